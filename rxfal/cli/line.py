"""The live line: how far a request has come, at the bottom of a terminal. It is on stderr, like all but the result."""

import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from types import TracebackType
from typing import Any, Self, TypeVar

from reactivex import Observable

import rxfal
from rxfal import operators as ops

from .printing import on_one_line, say

__all__ = ["CANCELLING", "StatusLine"]

CANCELLING = "cancelling; Ctrl-C again leaves at once"
"""What Ctrl-C is answered with where there is something to cancel on the server."""

_T = TypeVar("_T")

_INTERVAL = 0.1
"""Seconds between two drawings while nothing happens."""
_LEAST_INTERVAL = 0.04
"""Seconds between two drawings when much happens: no eye sees more."""
_TICK = object()
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class StatusLine:
    """A line of a terminal that is drawn anew until it is closed; what `say` prints stays above it.

    Where stderr is no terminal, only what `say` prints is written.

    Args:
        what: What the line is about, such as the endpoint.

    Attributes:
        state: How far it has come; set it as often as you like.
        is_live: Whether there is a terminal to draw on.
    """

    def __init__(self, what: str) -> None:
        self.state = ""
        self.is_live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._what = what
        self._began = time.monotonic()
        self._took: float | None = None
        self._drawn = -_INTERVAL

    @property
    def seconds(self) -> float:
        """Seconds since the line was made; once it is closed, how many they were."""
        return time.monotonic() - self._began if self._took is None else self._took

    def __enter__(self) -> Self:
        self._draw()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._took = self.seconds
        self._erase()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._erase()
        say(text)

    def wait_for(self, stream: Observable[_T], show: Callable[[_T], None] = lambda item: None) -> _T:
        """The last item of a stream. While it runs the line is drawn; `show` is given each item, to say what it means.

        Raises:
            Exception: The error that the stream ends with.
        """
        ticking = rxfal.from_observable(stream.pipe(ops.keep_alive(_INTERVAL, _TICK)) if self.is_live else stream)
        last: Any = None
        with closing(ticking.blocking()) as arriving:
            for item in arriving:
                if item is not _TICK:
                    last = item
                    show(last)
                self._draw()
        return last

    def _draw(self) -> None:
        seconds = self.seconds
        if not self.is_live or seconds - self._drawn < _LEAST_INTERVAL:
            return
        from rich.text import Text  # loaded only for a terminal

        self._drawn = seconds
        spinner = _SPINNER[int(seconds / _INTERVAL) % len(_SPINNER)]
        parts = [f"{spinner} {seconds:.1f} s", self._what, self.state]
        line = Text(on_one_line(" · ".join(part for part in parts if part)))
        columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80  # some terminals don't know
        line.truncate(max(1, columns - 1), overflow="ellipsis")
        sys.stderr.write(f"\r{line.plain}\x1b[K")
        sys.stderr.flush()

    def _erase(self) -> None:
        if self.is_live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
