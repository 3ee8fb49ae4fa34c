"""Places for calls: so many at once for one client, and the others wait in line.

It knows nothing of what a call is.
"""

import asyncio
import os
import threading
from collections import deque

__all__ = ["Place", "Places"]


class Place:
    """A place, or one in the line for it. It belongs to a loop, and whoever has it gives it back."""

    __slots__ = ("loop", "turn")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.turn: asyncio.Future[None] = self.loop.create_future()

    def call(self) -> bool:
        """Say that its turn has come; False if its loop has ended."""
        try:
            self.loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            return False
        return True

    def _wake(self) -> None:
        if not self.turn.done():
            self.turn.set_result(None)


class Places:
    """A number of places, for calls on any loop and any thread. Who waits longest gets the next one.

    Args:
        count: How many places there are.

    Examples:
        >>> async def main():
        ...     places = Places(1)
        ...     first = await places.take()
        ...     second = asyncio.create_task(places.take())
        ...     await asyncio.sleep(0)
        ...     print(second.done())
        ...     places.give_back(first)
        ...     await second
        >>> asyncio.run(main())
        False
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pid = os.getpid()
        self._lock = threading.RLock()  # re-entrant, because a garbage collection inside it may give a place back
        self._taken: set[Place] = set()
        self._line: deque[Place] = deque()

    async def take(self) -> Place:
        """Wait for a place. One who is cancelled in the line has none."""
        if self._pid != os.getpid():  # in a forked process: the calls of the other one hold no place here
            self.__init__(self.count)
        place = Place()
        with self._lock:
            self._line.append(place)
            # Those on a loop that was closed under them never give their place back.
            self._taken = {taken for taken in self._taken if not taken.loop.is_closed()}
            self._fill()
            if place in self._taken:
                return place
        try:
            await place.turn
        except BaseException:
            self.give_back(place)
            raise
        return place

    def give_back(self, place: Place) -> None:
        """Give a place to the one who waits longest, or leave the line. Call it from any thread."""
        with self._lock:
            if place in self._taken:
                self._taken.remove(place)
            elif place in self._line:
                self._line.remove(place)
            self._fill()

    def _fill(self) -> None:
        while self._line and len(self._taken) < self.count:
            place = self._line.popleft()
            if place.call():
                self._taken.add(place)
