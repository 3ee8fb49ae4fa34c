"""A point in time by which something has to be done, however many steps it takes.

Knows the event loop's clock, and nothing of what is done.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from rxfal.errors import FalError

__all__ = ["Deadline"]


class Deadline:
    """The end of a time that begins now.

    Args:
        seconds: How long it is; None for no end.
    """

    __slots__ = ("_at", "_loop", "seconds")

    def __init__(self, seconds: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._at = None if seconds is None else self._loop.time() + seconds
        self.seconds = seconds

    def left(self, most: float) -> float:
        """How many seconds are left of it, `most` at most."""
        return most if self._at is None else max(0.0, min(most, self._at - self._loop.time()))

    @asynccontextmanager
    async def limit(self, failure: Callable[[float], FalError]) -> AsyncGenerator[None]:
        """End the block when the time is over.

        Args:
            failure: Makes the error to raise then, from the seconds of the whole.
        """
        limit = asyncio.timeout_at(self._at)
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
        else:
            return
        assert self.seconds is not None
        late = failure(self.seconds)
        try:
            raise late
        finally:
            late.__context__ = None  # the cancellation, which has the frames of all that was cut off
