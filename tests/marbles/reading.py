"""Read a picture: what its lines, marbles and words say, wherever the text that it was drawn from is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from xml.etree.ElementTree import Element, fromstring

from tests.marbles.draw import FRAME, LABELS, RADIUS
from tests.marbles.notation import Line, Mark

_SVG = "{http://www.w3.org/2000/svg}"
_TRANSLATE = re.compile(r"translate\((\S+) \S+\)")


class Picture(NamedTuple):
    """What a picture shows."""

    lines: list[Line]
    operator: str
    values: list[str]


def read(svg: str) -> Picture:
    """Read a picture."""
    root = fromstring(svg)
    (drawing,) = root.findall(_SVG + "g")
    values = [element.text or "" for element in root.findall(_SVG + "text")]
    boxes = [item for item in drawing if item.find(_SVG + "rect") is not None]
    (operator,) = (box.findtext(_SVG + "text", "") for box in boxes)
    streams = [list(_placed(item)) for item in drawing if item not in boxes]
    start = min(x for stream in streams for x, group in stream if _is_arrow(group))
    return Picture([_line(stream, start) for stream in streams], operator, values)


def _line(stream: list[tuple[float, Element]], start: float) -> Line:
    name, begin, marks = "", 0, list[Mark]()
    for x, group in stream:
        strokes = group.findall(_SVG + "line")
        label = group.findtext(_SVG + "text")
        if _is_arrow(group):
            begin = _time(x - start)
        elif group.find(_SVG + "ellipse") is not None:
            marks.append(Mark(_time(x - start + RADIUS), LABELS.get(str(label), str(label))))
        elif strokes:
            marks.append(Mark(_time(x - start + float(strokes[0].get("x2", 0)) / 2), "|#"[len(strokes) - 1]))
        elif label:
            name = label
    marks.reverse()  # swirly draws the last one first
    return Line(name, begin, tuple(sorted(marks, key=lambda mark: mark.time)))


def _placed(element: Element, x: float = 0.0) -> Iterator[tuple[float, Element]]:
    """Every group inside, and itself, with its place."""
    x += sum(map(float, _TRANSLATE.findall(element.get("transform", ""))))
    yield x, element
    for group in element.findall(_SVG + "g"):
        yield from _placed(group, x)


def _is_arrow(group: Element) -> bool:
    return group.find(_SVG + "polyline") is not None


def _time(x: float) -> int:
    return round(x / FRAME)
