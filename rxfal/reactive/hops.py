"""Schedule callbacks on another thread's event loop, and choose the moment when they are submitted.

An operator stores the disposable of an action only *after* scheduling it. A loop on another thread could be faster: it
would run the action, which schedules the next one, and then the operator would replace the second disposable with the
first, and so cancel the second action. So while a subscription is being made or an end is being delivered, callbacks
are held until the next boundary: the start or the end of a subscription, an item or an end. Between two boundaries
there is only an operator's own straight-line code, which has stored its disposables before the next one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop running on this thread, or None."""
    return asyncio._get_running_loop()


class _Asked(threading.local):
    """One thread's depth of nested `held` blocks, and the callbacks it has held since the last boundary."""

    def __init__(self) -> None:
        self.depth = 0
        self.waiting: list[tuple[asyncio.AbstractEventLoop, Callable[[], Any]]] = []


_asked = _Asked()


class held:
    """A block whose start and end are boundaries, and in which `call_on` holds callbacks until the next boundary."""

    __slots__ = ()

    def __enter__(self) -> None:
        if _asked.waiting:
            release()
        _asked.depth += 1

    def __exit__(self, *_: object) -> None:
        _asked.depth -= 1
        if _asked.waiting:
            release()


def call_on(loop: asyncio.AbstractEventLoop, callback: Callable[[], Any]) -> None:
    """Schedule a callback on another thread's event loop; inside a `held` block, hold it until the next boundary.

    Raises:
        RuntimeError: The loop is closed.
    """
    if _asked.depth and not loop.is_closed():
        _asked.waiting.append((loop, callback))
    else:
        loop.call_soon_threadsafe(callback)


def release() -> None:
    """Submit all held callbacks now: at a boundary, or before this thread blocks."""
    waiting, _asked.waiting = _asked.waiting, []
    for loop, callback in waiting:
        with suppress(RuntimeError):  # the loop has been closed in the meantime: nothing will run
            loop.call_soon_threadsafe(callback)
