"""What one event of a language model says: the next piece of the text, the whole so far, nothing, or an error.

A pure function, which knows neither Rx nor what came before; the shapes are in `text_shapes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from rxfal.errors import DecodeError, FalError
from rxfal.wire.payload import PayloadDecoder, is_model
from rxfal.wire.sse import ServerSentEvent

from .text_shapes import BY_KEY, OBJECT, Said, failure, fields_of, get_field, shape_of_type

__all__ = ["reader"]


def reader(key: str, choice: int) -> Callable[[Any], Said]:
    """The function that reads events.

    Args:
        key: Where an event may have the text so far.
        choice: The index of the choice, where a model gives several.

    Examples:
        >>> read = reader("output", 0)
        >>> read({"output": "Hel"}), read({"type": "text-delta", "id": "1", "delta": "lo"}), read({"type": "ping"})
        (('Hel',), 'lo', '')
        >>> read({"error": {"message": "overloaded", "code": 503}}).status
        503
        >>> read({"n": 1}) is None
        True
    """
    is_named = key != "output"

    def read(event: Any, name: str | None = None) -> Said:
        if isinstance(event, OBJECT):
            get = event.get
        elif isinstance(event, str):
            return event
        elif is_model(event):
            get = fields_of(event).get
        elif isinstance(event, ServerSentEvent):
            return read_sse(event)
        else:
            get = partial(get_field, event)
        if error := get("error"):
            return failure(event, event if error is True else error)
        whole, kind = get(key), get("type") or name
        typed = shape_of_type(kind) if isinstance(kind, str) else None
        # In a known event `output` is something else, such as the result of a tool. Any other key was given on purpose.
        if isinstance(whole, str) and (typed is None or is_named):
            return (whole,)
        if typed is not None and (said := typed(event, choice)) is not None:
            return said
        for place, shape in BY_KEY.items():
            if get(place) is not None and (said := shape(event, choice)) is not None:
                return said
        return _at_key(event, key)

    def read_sse(event: ServerSentEvent) -> Said:
        if event.data.strip() in ("", "[DONE]"):
            return None if event.data else ""
        is_error = event.event == "error"
        try:
            data = PayloadDecoder()(event.data.encode("utf-8", "surrogatepass"))
        except DecodeError as error:
            return failure(event.data, event.data) if is_error else error
        said = read(data, None if event.event == "message" else event.event)
        return failure(data, data) if is_error and not isinstance(said, FalError) else said

    return read


def _at_key(event: Any, key: str) -> Said:
    """The text so far in an attribute of an object; "" if the key is there and has no text yet."""
    if isinstance(event, Mapping):
        return "" if key in event and get_field(event, key) is None else None
    whole = getattr(event, key, 0)
    return (whole,) if isinstance(whole, str) else "" if whole is None else None
