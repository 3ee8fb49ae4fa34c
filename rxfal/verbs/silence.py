"""The limit on a socket's silence: one timer per stream, nothing per event."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

from rxfal.errors import StreamTimeoutError
from rxfal.reactive.clock import clock_of_loop
from rxfal.reactive.scheduler import LoopScheduler
from rxfal.reactive.watchdog import Watchdog

_T = TypeVar("_T")


class SilenceLimit:
    """Turns a wait of more than `seconds` for the socket into `StreamTimeoutError`.

    Only the time inside `wait` counts: while a callback runs, or a full consumer pauses the reader, the clock
    stands still. Before it expires the loop polls once more, since a busy loop is not a silent server.

    Args:
        seconds: The longest silence; None for no limit.
        endpoint: Which endpoint the error names.
    """

    def __init__(self, seconds: float | None, *, endpoint: str) -> None:
        self._endpoint = endpoint
        self._task = asyncio.current_task()
        self._since: float | None = None
        self._expired = False
        loop = asyncio.get_running_loop()
        self._clock = clock_of_loop(loop)
        self._watchdog = (
            None
            if seconds is None
            else Watchdog(seconds, lambda: self._since, self._clock, self._expire, LoopScheduler(loop))
        )

    def __enter__(self) -> Self:
        if self._watchdog is not None:
            self._watchdog.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task = None
        if self._watchdog is not None:
            self._watchdog.stop()
            self._watchdog = None  # it refers to this object

    async def wait(self, read: Callable[[], Awaitable[_T]]) -> _T:
        """What `read()` gives, within the limit."""
        since = self._since = self._clock()
        try:
            return await read()
        except asyncio.CancelledError:
            # As asyncio.timeout does: somebody else's cancellation at the same moment goes first.
            if self._expired and self._task is not None and self._task.uncancel() <= 0:
                raise StreamTimeoutError(self._clock() - since, endpoint=self._endpoint) from None
            raise
        finally:
            self._since = None

    def _expire(self) -> None:
        self._expired = True
        assert self._task is not None  # or the watchdog would have been stopped
        self._task.cancel()
