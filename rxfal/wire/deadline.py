"""A point in time by which something must be done, however many steps it takes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rxfal.errors import FalError

__all__ = ["Deadline"]

_T = TypeVar("_T")


class Deadline:
    """A time limit that begins now.

    Args:
        seconds: How long it is; None for no limit.
    """

    __slots__ = ("_at", "_loop", "seconds")

    def __init__(self, seconds: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._at = None if seconds is None else self._loop.time() + seconds
        self.seconds = seconds

    def left(self, most: float) -> float:
        """How many seconds are left, but at most `most`."""
        return most if self._at is None else max(0.0, min(most, self._at - self._loop.time()))

    async def limit(self, work: Awaitable[_T], failure: Callable[[float], FalError]) -> _T:
        """The result of the work. If time runs out first, the work is cancelled and an error is raised.

        Args:
            work: What must be done.
            failure: Makes the error from the length of the limit, in seconds.
        """
        limit = asyncio.timeout_at(self._at)
        try:
            async with limit:
                return await work
        except TimeoutError:
            if not limit.expired():
                raise
        assert self.seconds is not None
        # Outside of the clause: the context would have the frames of all that was cancelled, headers and all.
        raise failure(self.seconds)
