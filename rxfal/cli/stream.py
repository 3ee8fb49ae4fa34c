"""`rxfal stream`: from a model's events to the bytes on stdout, each of them flushed as it arrives."""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO

import reactivex as rx
from reactivex import GroupedObservable, Observable

import rxfal
from rxfal import ServerSentEvent
from rxfal import operators as ops
from rxfal.verbs.call import StreamOptions

from . import inputs

__all__ = ["Style", "run"]


class Style(Enum):
    """How events are printed."""

    TEXT = "text"
    JSON = "json"
    RAW = "raw"
    BINARY = "binary"


def run(endpoint: str, fields: Sequence[str], style: Style | None, output: Path | None, options: StreamOptions) -> None:
    """Print the events of one request.

    Args:
        endpoint: Whom to ask.
        fields: The input, as `inputs.parse` takes it.
        style: How to print; None lets the first event decide.
        output: A file to write instead of stdout.
        options: As for `rxfal.stream`.
    """
    given = inputs.parse(fields)
    with rxfal.Client() as client:
        if style is Style.RAW:
            pieces = client.stream_events(endpoint, given, **options).map(wire_form)
        else:
            pieces = client.stream(endpoint, given, **options).pipe(printed(style))
        if output is not None:
            with output.open("wb") as file:
                written = _write(pieces, file, "utf-8", is_terminal=False)
        else:
            written = _write(pieces, sys.stdout.buffer, sys.stdout.encoding, is_terminal=sys.stdout.isatty())
    if style is Style.TEXT and not written:
        raise rxfal.FalError("no event carried any text; --json shows what came", endpoint=endpoint)


def printed(style: Style | None = None) -> Callable[[Observable[Any]], Observable[str | bytes]]:
    r"""What to print of decoded events, in one style for all of them; None lets the first event decide.

    Examples:
        >>> events = rxfal.from_observable(rx.of({"output": "Hel"}, {"output": "Hello"}))
        >>> list(events.pipe(printed())), list(events.take(1).pipe(printed(Style.JSON)))
        (['Hel', 'lo'], ['{"output": "Hel"}\n'])
    """

    def print_events(events: Observable[Any]) -> Observable[str | bytes]:
        decided: list[Style] = []

        def decide(event: Any) -> Style:
            if not decided:
                decided.append(Style.BINARY if isinstance(event, bytes) else style or _suited_to(event))
            return decided[0]

        def printed_so(group: GroupedObservable[Style, Any]) -> Observable[str | bytes]:
            return group.pipe(_PRINTERS[group.key])

        groups: Observable[GroupedObservable[Style, Any]] = events.pipe(ops.group_by(decide))
        return groups.pipe(ops.flat_map(printed_so))

    return print_events


_PRINTERS: dict[Style, Callable[[Observable[Any]], Observable[str | bytes]]] = {
    Style.TEXT: ops.deltas(),
    Style.JSON: ops.map(lambda event: json.dumps(event, ensure_ascii=False) + "\n"),
    Style.BINARY: ops.map(bytes),
}


def _suited_to(event: Any) -> Style:
    found: list[str] = []
    rx.of(event).pipe(ops.text()).subscribe(found.append)
    # The first event of an OpenAI-compatible route has choices, but often a role and no text as yet.
    return Style.TEXT if found or (isinstance(event, dict) and "choices" in event) else Style.JSON


def wire_form(event: ServerSentEvent) -> str:
    r"""An event as the standard writes it.

    Examples:
        >>> wire_form(ServerSentEvent(event="error", data="a\nb"))
        'event: error\ndata: a\ndata: b\n\n'
    """
    lines = [f"data: {line}" for line in event.data.split("\n")]
    if event.retry is not None:
        lines.insert(0, f"retry: {event.retry}")
    if event.id:
        lines.insert(0, f"id: {event.id}")
    if event.event != "message":
        lines.insert(0, f"event: {event.event}")
    return "\n".join(lines) + "\n\n"


_CONTROLS = {code: "�" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
"""What a model must not send to a terminal: escape sequences move the cursor, and worse."""


def _write(pieces: rxfal.Stream[str | bytes], file: BinaryIO, encoding: str, *, is_terminal: bool) -> bool:
    """Write each piece as it comes, and end text with a newline; whether there was anything."""
    last: str | bytes = ""
    try:
        with closing(pieces.blocking()) as arriving:
            for last in arriving:
                if isinstance(last, bytes):
                    if is_terminal:
                        raise rxfal.FalError("the answer is binary: write it to a file with -o FILE, or into a pipe")
                    file.write(last)
                else:
                    text = last.translate(_CONTROLS) if is_terminal else last
                    # A lone surrogate becomes the escape that it was in the JSON.
                    file.write(text.encode(encoding, "backslashreplace"))
                file.flush()
    finally:
        if last and isinstance(last, str) and not last.endswith("\n"):
            file.write(b"\n")
            file.flush()
    return bool(last)
