"""What one thread asks of another thread's event loop, and when it is asked.

Operators keep the disposable of what they schedule *after* they scheduled it. A loop on another thread could be
quicker: it would run the action, let that schedule the next one, and the operator would then put the disposable of the
first in the place of the second, and so cancel it. So what is asked while a subscription is being made, or an end is
being delivered, waits for the next border: where a subscription, an item or an end begins or is done. Between two
borders there is only an operator's straight code, which has stored by then what it was given.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs on this thread, if one does."""
    return asyncio._get_running_loop()


class _Asked(threading.local):
    """Of one thread: how deep it is in `held` blocks, and what it has asked of event loops since the last border."""

    def __init__(self) -> None:
        self.depth = 0
        self.waiting: list[tuple[asyncio.AbstractEventLoop, Callable[[], Any]]] = []


_asked = _Asked()


class held:
    """A block whose two ends are borders, and in which `call_on` waits for the next border."""

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
    """Call back on another thread's event loop; inside a `held` block, from its next border on.

    Raises:
        RuntimeError: The loop is closed.
    """
    if _asked.depth and not loop.is_closed():
        _asked.waiting.append((loop, callback))
    else:
        loop.call_soon_threadsafe(callback)


def release() -> None:
    """A border: ask now for all that waits. Also for a thread that is about to block."""
    waiting, _asked.waiting = _asked.waiting, []
    for loop, callback in waiting:
        with suppress(RuntimeError):  # the loop was closed since: nothing will run
            loop.call_soon_threadsafe(callback)
