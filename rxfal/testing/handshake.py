"""Flags that one thread raises, and that any other thread or event loop can wait for."""

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

__all__ = ["Arrivals", "Handshake"]


class Handshake:
    """A flag that is raised once and stays up. Wait for it with `await` on any event loop, or from a plain thread.

    Tests use it to know that something has happened in the server, instead of sleeping and hoping.

    Args:
        what: What the flag stands for; used in the message when a wait takes too long.

    Examples:
        >>> opened = Handshake("the door opened")
        >>> opened.set()
        >>> opened.wait_blocking(timeout=1.0)
        >>> opened.is_set
        True
    """

    __slots__ = ("_is_set", "_lock", "_wakers", "_what")

    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = threading.Lock()
        self._is_set = False
        self._wakers: list[Callable[[], object]] = []

    @property
    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        """Raises the flag and wakes everyone who waits. Call it from any thread, as often as you like."""
        with self._lock:
            self._is_set = True
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    async def wait(self, timeout: float | None = 5.0) -> None:
        """Waits on the running event loop until the flag is up.

        Args:
            timeout: Seconds to wait; None waits as long as it takes.

        Raises:
            TimeoutError: The flag did not go up in time.
        """
        loop = asyncio.get_running_loop()
        raised = asyncio.Event()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(raised.set)

        with self._waking(wake) as must_wait:
            if must_wait:
                try:
                    async with asyncio.timeout(timeout):
                        await raised.wait()
                except TimeoutError:
                    raise self._too_late(timeout) from None

    def wait_blocking(self, timeout: float = 5.0) -> None:
        """Waits on this thread until the flag is up. Don't call it on the thread whose event loop runs the server.

        Args:
            timeout: Seconds to wait.

        Raises:
            TimeoutError: The flag did not go up in time.
        """
        raised = threading.Event()
        with self._waking(raised.set) as must_wait:
            if must_wait and not raised.wait(timeout):
                raise self._too_late(timeout)

    @contextmanager
    def _waking(self, wake: Callable[[], object]) -> Generator[bool]:
        """Has `wake` called when the flag goes up, while the block runs; gives False if it is up already."""
        with self._lock:
            must_wait = not self._is_set
            if must_wait:
                self._wakers.append(wake)
        try:
            yield must_wait
        finally:
            with self._lock:
                if wake in self._wakers:
                    self._wakers.remove(wake)

    def _too_late(self, timeout: float | None) -> TimeoutError:
        return TimeoutError(f"waited {timeout} s for {self._what}")


class Arrivals:
    """How many of something have come, and a flag for whoever waits for more.

    Args:
        what: What comes, with `{}` for the number; used in the message when a wait takes too long.

    Examples:
        >>> guests = Arrivals("guest number {}")
        >>> second = guests.flag(2)
        >>> guests.set(2)
        >>> second.is_set
        True
    """

    __slots__ = ("_awaited", "_here", "_lock", "_what")

    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = threading.Lock()
        self._here = 0
        self._awaited: list[tuple[int, Handshake]] = []

    def set(self, here: int) -> None:
        """Says how many there are now."""
        with self._lock:
            self._here = here
            self._tell()

    def flag(self, count: int) -> Handshake:
        """A flag that goes up when there are `count`."""
        flag = Handshake(self._what.format(count))
        with self._lock:
            self._awaited.append((count, flag))
            self._tell()
        return flag

    def _tell(self) -> None:
        for count, flag in self._awaited:
            if count <= self._here:
                flag.set()
        self._awaited = [(count, flag) for count, flag in self._awaited if count > self._here]
