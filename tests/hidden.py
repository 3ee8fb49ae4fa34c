"""Looks for secrets wherever an error can show them: its words, its causes, and the locals of every frame."""

import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any

_TESTS = __file__.rpartition("/")[0]


def assert_hidden(error: BaseException, *secrets: str) -> None:
    """No secret is in the words of an error or of what caused it, nor in what an error tracker sends along."""
    shown: dict[str, str] = {}
    for link in links(error):
        name = type(link).__name__
        words = "".join(traceback.format_exception_only(link))
        shown[f"{name} {link}"] = f"{words} {link!r} {link.args!r} {vars(link)!r}"
        for frame in frames(link):
            for local, value in frame.f_locals.items():
                shown[f"{name}: {local} in {frame.f_code.co_filename}:{frame.f_lineno}"] = _words(value)
    found = [place for place, words in shown.items() if any(secret.lower() in words.lower() for secret in secrets)]
    assert not found, found


def links(error: BaseException) -> list[BaseException]:
    """The error with all its causes and contexts, those that are not displayed too."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is not None and link not in found:
            found.append(link)
            waiting += [link.__cause__, link.__context__]
            waiting += [arg for arg in link.args if isinstance(arg, BaseException)]
    return found


def frames(error: BaseException) -> Iterator[FrameType]:
    """The frames of its traceback, but those of the tests, which know the secret."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if not frame.f_code.co_filename.startswith(_TESTS):
            yield frame


def _words(value: Any) -> str:
    if isinstance(value, BaseException):
        return f"{value} {value!r} {vars(value)!r}"
    try:
        return repr(value)
    except Exception:  # of an object that is half made
        return ""
