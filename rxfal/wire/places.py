"""Places for calls: so many at once for one client, and the others wait in line.

It knows nothing of what a call is.
"""

import asyncio
import os
import threading
from collections import deque

__all__ = ["Places"]


class _Waiting:
    """One who waits, on a loop of its own."""

    __slots__ = ("_called", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._called: asyncio.Future[None] = self._loop.create_future()

    async def turn(self) -> None:
        await self._called

    def call(self) -> bool:
        """Say that its turn has come; False if its loop has ended."""
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            return False
        return True

    def _wake(self) -> None:
        if not self._called.done():
            self._called.set_result(None)


class Places:
    """A number of places, for calls on any loop and any thread. Who waits longest gets the next one.

    Args:
        count: How many places there are.

    Examples:
        >>> async def main():
        ...     places = Places(1)
        ...     await places.take()
        ...     second = asyncio.create_task(places.take())
        ...     await asyncio.sleep(0)
        ...     print(second.done())
        ...     places.give_back()
        ...     await second
        >>> asyncio.run(main())
        False
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pid = os.getpid()
        self._lock = threading.RLock()  # re-entrant, because a garbage collection inside it may give a place back
        self._free = count
        self._line: deque[_Waiting] = deque()

    async def take(self) -> None:
        """Wait for a place. Whoever gets one gives it back; one who is cancelled in the line has none."""
        if self._pid != os.getpid():  # in a forked process: the calls of the other one hold no place here
            self.__init__(self.count)
        with self._lock:
            if self._free:
                self._free -= 1
                return
            waiting = _Waiting()
            self._line.append(waiting)
        try:
            await waiting.turn()
        except BaseException:
            with self._lock:
                was_called = waiting not in self._line
                if not was_called:
                    self._line.remove(waiting)
            if was_called:
                self.give_back()
            raise

    def give_back(self) -> None:
        """Give a place to the one who waits longest. Call it from any thread."""
        with self._lock:
            while self._line:
                if self._line.popleft().call():
                    return
            self._free += 1
