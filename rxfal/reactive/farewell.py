"""Farewell: what a source still has to do after its subscription has ended, such as cancelling its work on a server."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from .background import farewells_of

_T = TypeVar("_T")

PATIENCE = 5.0
"""How many seconds the end of an event loop, or of the program, waits for a farewell."""


class Farewell(asyncio.Task[_T]):
    """A task that outlives the subscription that began it. Make it on its event loop.

    When the loop shuts down, it is not cancelled at once like other tasks, but has `PATIENCE` seconds to end. (Like
    `ReaderTask`, it can tell a shutdown from other code's `cancel()`: the loop isn't running then.)

    Args:
        work: What to do. An exception that nobody awaits is dropped, so it should handle its own.
        name: The task's name.
    """

    def __init__(self, work: Coroutine[Any, Any, _T], *, name: str) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(work, loop=loop, name=name)
        self._is_last_call = False
        self._log_destroy_pending = False  # its work knows best what it means that its loop was closed under it
        farewells_of(loop).add(self)
        self.add_done_callback(_retrieve)

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel; if the loop is shutting down, only when it has waited long enough."""
        loop = self.get_loop()
        if loop.is_running() or loop.is_closed():
            return super().cancel(msg)
        if not self._is_last_call and not self.done():
            self._is_last_call = True
            loop.call_later(PATIENCE, super().cancel, msg)
        return not self.done()


def _retrieve(task: asyncio.Task[Any]) -> None:
    farewells_of(task.get_loop()).discard(task)
    if not task.cancelled():
        task.exception()  # now asyncio does not report it again
