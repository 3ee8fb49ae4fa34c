"""What the options of several verbs must be; checked at the call, so that a wrong one is an exception there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from multidict import CIMultiDict

__all__ = [
    "check_callable",
    "check_word",
    "checked_headers",
    "checked_mapping",
    "checked_method",
    "checked_seconds",
    "checked_text",
]

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token, RFC 9110 5.6.2
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

# Headers that say how the request is sent and not what it says (RFC 9110 and 9112): a wrong one makes one request two,
# hands it to another host, or lets it wait for ever.
_OWN_HEADERS = {
    "content-length": "it is the length of the body, which rxfal knows",
    "transfer-encoding": "it is how the body is sent, which rxfal decides",
    "trailer": "it announces fields behind the body, which rxfal does not send",
    "te": "it concerns the connection, which is rxfal's",
    "expect": "the server would be waited for before the body is sent; leave it out",
    "host": "it is the host of the address; for another server set base_url or run_url in Config",
    "connection": "the connection is rxfal's, and is kept or closed as need be",
    "keep-alive": "the connection is rxfal's, and is kept or closed as need be",
    "proxy-connection": "the connection is rxfal's, and is kept or closed as need be",
    "upgrade": "the connection speaks HTTP, and no other protocol",
    "x-fal-target-url": "it tells a server-side proxy where to send the request, and is made from the endpoint",
}


def checked_seconds(name: str, seconds: float | None) -> float | None:
    """Seconds above 0, or None for no limit."""
    if seconds is not None:
        if not isinstance(seconds, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{name} is in seconds, a number, or None for no limit; got {seconds!r}")
        if not seconds > 0:
            raise ValueError(f"{name} is in seconds and above 0, or None for no limit; got {seconds!r}")
    return seconds


def checked_method(method: Any) -> str:
    """An HTTP method, in capitals."""
    known = method.upper() if isinstance(method, str) else None
    if known not in _METHODS:
        raise ValueError(f"method is one of {', '.join(_METHODS)}, not {method!r}")
    return known


def checked_mapping(name: str, given: Any) -> Mapping[Any, Any]:
    """A mapping; None stands for an empty one."""
    if not isinstance(given, Mapping | None):
        raise TypeError(f"{name} is a mapping of names to values, not {type(given).__name__}")
    return cast("Mapping[Any, Any] | None", given) or {}


def checked_headers(headers: Any, own: Mapping[str, str]) -> CIMultiDict[str]:
    """A request's headers: the user's, which win, and a verb's own.

    Args:
        headers: The user's.
        own: The verb's own.
    """
    checked = CIMultiDict(own)
    for name, value in checked_mapping("headers", headers).items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"headers are text; {name!r} is {type(value).__name__}")
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} can't be the name of a header; use letters, digits and hyphens")
        if _CONTROL.search(value):
            raise ValueError(f"the header {name!r} holds a line break or another control character")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"the header {name!r} can't be given: {_OWN_HEADERS[name.lower()]}")
        checked[name] = value
    return checked


def checked_text(name: str, text: Any) -> str:
    """A text that a header can carry."""
    if not isinstance(text, str):
        raise TypeError(f"{name} is a text, not {type(text).__name__}")
    if not text.strip() or not text.isascii() or _CONTROL.search(text):
        raise ValueError(f"{name} is a text of printable ASCII characters that is not empty, not {text!r}")
    return text


def check_word(name: str, word: Any, *words: str) -> None:
    """One of a few words."""
    if word not in words:
        raise ValueError(f"{name} is {' or '.join(map(repr, words))}, not {word!r}")


def check_callable(name: str, value: Any) -> None:
    """A function, or None."""
    if value is not None and not callable(value):
        raise TypeError(f"{name} is a function, not {type(value).__name__}")
