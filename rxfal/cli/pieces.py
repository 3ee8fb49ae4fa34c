"""From a model's events to what is written: text, lines of JSON, files, or the form that they had on the wire."""

import json
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

import reactivex as rx
from reactivex import GroupedObservable, Observable

from rxfal import ServerSentEvent
from rxfal import operators as ops
from rxfal.verbs.text_reader import reader

from .media import Media, media_in

__all__ = ["Piece", "Style", "pieces", "wire_form"]


class Style(Enum):
    """How events are written."""

    TEXT = "text"
    JSON = "json"
    RAW = "raw"
    BINARY = "binary"
    MEDIA = "media"


class Piece(NamedTuple):
    """What to write for one event.

    Attributes:
        style: How to write it.
        content: Text, bytes of a binary answer, or the files that the event holds.
    """

    style: Style
    content: str | bytes | list[Media]


def pieces(style: Style | None = None, *, files: bool = True) -> Callable[[Observable[Any]], Observable[Piece]]:
    r"""What to write for decoded events.

    Args:
        style: One style for all of them. None chooses: an event with files in it becomes those files, and the first of
            the other events decides between text and JSON. A binary answer is always written as it is.
        files: Whether None may choose files.

    Examples:
        >>> from rxfal import from_observable
        >>> events = from_observable(rx.of({"output": "Hel"}, {"output": "Hello"}))
        >>> [piece.content for piece in events.pipe(pieces())]
        ['Hel', 'lo']
        >>> [piece.content for piece in events.pipe(pieces(Style.JSON))][0]
        '{"output": "Hel"}\n'
    """

    def written(events: Observable[Any]) -> Observable[Piece]:
        decided = style

        def decide(event: Any) -> Style:
            nonlocal decided
            if isinstance(event, bytes):
                return Style.BINARY
            if style is None and files and media_in(event):
                return Style.MEDIA
            decided = decided or _suited_to(event)
            return decided

        def written_so(group: GroupedObservable[Style, Any]) -> Observable[Piece]:
            return group.pipe(_WRITTEN[group.key], ops.map(lambda content: Piece(group.key, content)))

        groups: Observable[GroupedObservable[Style, Any]] = events.pipe(ops.group_by(decide))
        return groups.pipe(ops.flat_map(written_so))

    return written


_read = reader("output", 0)

_WRITTEN: dict[Style, Callable[[Observable[Any]], Observable[Any]]] = {
    Style.TEXT: rx.compose(ops.filter(lambda event: _read(event) is not None), ops.deltas()),
    Style.JSON: ops.map(lambda event: json.dumps(event, ensure_ascii=False) + "\n"),
    Style.BINARY: ops.map(bytes),
    Style.MEDIA: ops.map(media_in),
}


def _suited_to(event: Any) -> Style:
    return Style.JSON if _read(event) is None else Style.TEXT


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
