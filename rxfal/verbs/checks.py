"""What the options of several verbs must be; checked at the call, so that a wrong one is an exception there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from multidict import CIMultiDict

from rxfal.wire.headers import CONTROL, check_header, checked_method

__all__ = [
    "check_callable",
    "check_word",
    "checked_headers",
    "checked_mapping",
    "checked_method",
    "checked_seconds",
    "checked_text",
]


def checked_seconds(name: str, seconds: float | None) -> float | None:
    """Seconds above 0, or None for no limit."""
    if seconds is not None:
        if not isinstance(seconds, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{name} is in seconds, a number, or None for no limit; got {seconds!r}")
        if not seconds > 0:
            raise ValueError(f"{name} is in seconds and above 0, or None for no limit; got {seconds!r}")
    return seconds


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
        check_header(name, value)
        checked[name] = value
    return checked


def checked_text(name: str, text: Any) -> str:
    """A text that a header can carry."""
    if not isinstance(text, str):
        raise TypeError(f"{name} is a text, not {type(text).__name__}")
    if not text.strip() or not text.isascii() or CONTROL.search(text):
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
