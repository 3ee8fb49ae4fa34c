"""What `download` takes: a URL, a data URI, or a result that holds some, found at the call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast

from yarl import URL

from rxfal.wire.masking import without_queries
from rxfal.wire.payload import is_model
from rxfal.wire.request import exact_url

from .data_uris import DataUri
from .updates import Completed

__all__ = ["Remote", "Source", "label_of", "sources_in"]


class Remote:
    """A URL to download from. Its repr shows no query, which may be signed: tracebacks can show it.

    Attributes:
        text: The URL as it was given.
        url: The URL.
    """

    __slots__ = ("text", "url")

    def __init__(self, text: str, url: URL) -> None:
        self.text = text
        self.url = url

    def __repr__(self) -> str:
        return f"Remote({without_queries(self.text)})"


Source = Remote | DataUri
"""One file to download."""


def sources_in(source: Any) -> tuple[list[Source], str | None]:
    """The files that a source names, in order, and the id of the request that made them, if it is known.

    Raises:
        ValueError: It is no URL and holds none, or one that can't be called.
        TypeError: It is no text and no result.

    Examples:
        >>> sources, request_id = sources_in({"images": [{"url": "https://v3.fal.media/a.png", "width": 1}]})
        >>> sources
        [Remote(https://v3.fal.media/a.png)]
    """
    if isinstance(source, str):
        return [_checked(source)], None
    if source is None or isinstance(source, (bytes, bytearray, int, float)):
        raise TypeError(f"source is a URL, a data: URI, or a result that holds some, not {type(source).__name__}")
    request_id = None
    if isinstance(source, Completed):
        done = cast("Completed[Any]", source)
        request_id, source = done.request_id, done.output  # its logs may name addresses too
        if isinstance(source, str):
            return [_checked(source)], request_id
    found = [_checked(text) for text in _texts_in(source)]
    if not found:
        raise ValueError("the result holds no file: no field `url` with a URL, and no data: URI")
    return found, request_id


def label_of(source: Source) -> str:
    """What to call it in messages: without its query, which may be signed."""
    if isinstance(source, DataUri):
        return f"download of a data: URI ({source.content_type})"
    shown = str(source.url.with_query(None))
    return f"download of {shown if len(shown) <= 200 else f'{shown[:199]}…'}"


def _checked(text: str) -> Source:
    if (uri := DataUri.find(text)) is not None:
        return uri
    try:
        url = exact_url(text).with_fragment(None)
        is_good = url.scheme in ("http", "https") and bool(url.raw_host) and url.port is not None
        has_user = url.user is not None or url.password is not None
    except ValueError:
        is_good = has_user = False
    else:
        if has_user:
            raise ValueError(f"a URL to download from has no user in it (the host of this one is {url.raw_host})")
        if is_good:
            return Remote(text, url)
    # The text may be signed, and is not repeated.
    raise ValueError("source must be a URL that begins with http:// or https://, or a data: URI")


def _texts_in(value: Any) -> list[str]:
    """The URLs in fields called `url`, and all data URIs, in the order in which they come."""
    found: list[str] = []
    waiting: list[tuple[Any, Any]] = [(None, value)]
    while waiting:  # not by recursion: JSON may be nested thousands of levels deep
        name, value = waiting.pop()
        if is_model(value):
            value = value.model_dump(by_alias=True)
        elif is_dataclass(value) and not isinstance(value, type):
            value = {field.name: getattr(value, field.name) for field in fields(value)}
        if isinstance(value, Mapping):
            waiting += reversed(list(cast("Mapping[Any, Any]", value).items()))
        elif isinstance(value, (list, tuple)):
            waiting += reversed([(None, item) for item in cast("list[Any]", value)])
        elif name == "url" and _is_address(text := str(value)):
            found.append(text)
        elif isinstance(value, str) and DataUri.find(value, with_type=True) is not None:
            found.append(value)
    return found


def _is_address(text: str) -> bool:
    return re.match("https?://|data:", text, re.IGNORECASE) is not None
