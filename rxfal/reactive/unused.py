"""A warning for streams that were made and never subscribed, in Python's development mode."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

_PACKAGE = f"{Path(__file__).parent.parent}{os.sep}"


class Unused:
    """Warns when it is collected, unless it was used before, as a coroutine does that was never awaited.

    The warning names the line outside of rxfal that made the stream.

    Args:
        what: What was made, for the message.
    """

    __slots__ = ("_line", "_path", "_what", "is_used")

    def __init__(self, what: str) -> None:
        self.is_used = False
        self._what = what
        frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
        while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
            frame = frame.f_back
        self._path, self._line = frame.f_code.co_filename, frame.f_lineno

    def __del__(self) -> None:
        if not self.is_used and not sys.is_finalizing():
            message = f"{self._what} was never subscribed, so nothing was sent: await it, subscribe or call .run()"
            warnings.warn_explicit(message, RuntimeWarning, self._path, self._line)


def watch(what: str | None) -> Unused | None:
    """What to mark as used at the first subscription; None outside of the development mode, or without a text.

    Args:
        what: What was made, for the message.
    """
    return Unused(what) if what is not None and sys.flags.dev_mode else None
