"""The marble diagrams in docstrings: how they are written, and what they say.

    Marbles:
        -12-3-----4--5-6|
        > throttle_latest(4)
        -1---3----4---5-(6|)

Time runs from left to right, a second per character. Above the operator stands its source, below it what comes out.

    -         nothing happens
    1, a      an item: a number stands for itself; a letter too, unless a line such as `a = "text"` gives its value
    |         the end
    #         an error
    !         the subscription is cancelled
    (ab|)     several of these at once, at the time of the opening bracket

A line begins where the stream is subscribed to. A source that is subscribed to twice has two lines, a late subscriber
has a line below. Other streams than the source have names: `other:  --1--2--|`. If there is no line without a name
above the operator, the expression itself is the stream. A line that is named `asks` has a `?` where an iterator asks
for the next item.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import dataclass
from typing import NamedTuple

_SECTION = re.compile(r"^Marbles:\n((?:(?: {4}.*)?\n)+)", re.MULTILINE)
_NAME = re.compile(r"(\w+):")
_VALUE = re.compile(r"\w = ")

ASKS = "asks"


class Mark(NamedTuple):
    """One character of a line, and its time in seconds since the start of the diagram."""

    time: int
    symbol: str


@dataclass(frozen=True)
class Line:
    """One subscription: the stream's name, or "" for the source and the result; its time; and what happens then."""

    name: str
    begin: int
    marks: tuple[Mark, ...]
    drawn: str = ""

    def __str__(self) -> str:
        marks = "".join(f", {mark.symbol} at {mark.time}" for mark in self.marks)
        return f"{self.name or 'a line'} begins at {self.begin}{marks}"


@dataclass(frozen=True)
class Diagram:
    """A diagram: the sources, the operator's expression, the iterator's questions, the results, the letters' values."""

    text: str
    sources: tuple[Line, ...]
    operator: str
    asks: Line | None
    results: tuple[Line, ...]
    values: tuple[str, ...]
    """Rows such as `a = "text", b = [1, 2]`."""

    @property
    def lines(self) -> list[Line]:
        """All lines, from top to bottom."""
        return [*self.sources, *((self.asks,) if self.asks else ()), *self.results]

    @property
    def end(self) -> int:
        """When the longest line ends."""
        return max(len(line.drawn) for line in self.lines)


def diagram_of(operator: object) -> Diagram | None:
    """The diagram in an operator's docstring."""
    section = _SECTION.search((inspect.getdoc(operator) or "") + "\n")
    return parsed(textwrap.dedent(section[1]).strip("\n")) if section else None


def parsed(text: str) -> Diagram:
    """Read a diagram."""
    rows = [row for row in text.splitlines() if row.strip()]
    values = [row for row in rows if _VALUE.match(row)]
    rows = [row for row in rows if row not in values]
    margin = max(len(name[0]) + 1 if (name := _NAME.match(row)) else 0 for row in rows)
    operators = [place for place, row in enumerate(rows) if row.lstrip().startswith("> ")]
    assert len(operators) == 1, f"a diagram has one operator, in a line that begins with `> `:\n{text}"
    at = operators[0]
    results = [_line(row, margin) for row in rows[at + 1 :]]
    asks = [line for line in results if line.name == ASKS]
    return Diagram(
        text=text,
        sources=tuple(_line(row, margin) for row in rows[:at]),
        operator=rows[at].strip().removeprefix("> "),
        asks=asks[0] if asks else None,
        results=tuple(line for line in results if line not in asks),
        values=tuple(values),
    )


def _line(row: str, margin: int) -> Line:
    name = _NAME.match(row)
    drawn = row[margin:].rstrip()
    assert name or not row[:margin].strip(), f"not in line with the others: {row}"
    marks: list[Mark] = []
    opened: int | None = None
    for time, symbol in enumerate(drawn):
        if symbol == "(":
            opened = time
        elif symbol == ")":
            opened = None
        elif symbol not in "- ":
            marks.append(Mark(time if opened is None else opened, symbol))
    return Line(name[1] if name else "", len(drawn) - len(drawn.lstrip()), tuple(marks), drawn)
