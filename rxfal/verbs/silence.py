"""The limit on a socket's silence: one timer per stream, nothing per event."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from rxfal.errors import StreamTimeoutError
from rxfal.reactive.loop import call_after_poll

_T = TypeVar("_T")


class SilenceLimit:
    """Turns a wait of more than `seconds` for the socket into `StreamTimeoutError`.

    Only the time inside `wait` counts: while a callback runs, or a full consumer pauses the reader, the clock
    stands still. Before it expires the loop polls once more, since a busy loop is not a silent server.

    Args:
        seconds: The longest silence; None for no limit.
        endpoint: Which endpoint the error names.
        request_id: fal's id of the request.
    """

    def __init__(self, seconds: float | None, *, endpoint: str, request_id: str | None) -> None:
        self._seconds = seconds
        self._endpoint = endpoint
        self._request_id = request_id
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._since: float | None = None
        self._expired = False
        self._timer: asyncio.Handle | None = None

    def __enter__(self) -> Self:
        if self._seconds is not None:
            self._timer = self._loop.call_later(self._seconds, self._check)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task = None
        if self._timer is not None:
            self._timer.cancel()

    async def wait(self, read: Callable[[], Awaitable[_T]]) -> _T:
        """What `read()` gives, within the limit."""
        since = self._since = self._loop.time()
        try:
            return await read()
        except asyncio.CancelledError:
            # As asyncio.timeout does: somebody else's cancellation at the same moment goes first.
            if self._expired and self._task is not None and self._task.uncancel() <= 0:
                raise StreamTimeoutError(
                    self._loop.time() - since, endpoint=self._endpoint, request_id=self._request_id
                ) from None
            raise
        finally:
            self._since = None

    def _check(self) -> None:
        assert self._seconds is not None
        remaining = self._remaining()
        if remaining > 0:
            self._timer = self._loop.call_later(remaining, self._check)
        else:
            self._timer = call_after_poll(self._loop, partial(self._expire, self._since))

    def _expire(self, since: float | None) -> None:
        if self._task is None:
            return  # left since the poll
        if self._since != since or self._remaining() > 0:  # something came, and another silence began
            self._check()
        else:
            self._expired = True
            self._task.cancel()

    def _remaining(self) -> float:
        assert self._seconds is not None
        return self._seconds if self._since is None else self._since + self._seconds - self._loop.time()
