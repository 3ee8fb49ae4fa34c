"""The demand gate: how a full consumer holds its sources back.

One gate belongs to one subscription and travels up the operator chain on its scheduler (see
`rxfal.reactive.scheduler`). A consumer with a bounded buffer closes it; every reader of the subscription
looks at it after each event and reads no more from its socket until it opens. Knows nothing of Rx.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable


class DemandGate:
    """Open while the consumer wants more, closed while it is full.

    `close` and `open` may be called from any thread; `wait` belongs to the gate's event loop.

    Args:
        loop: The event loop on which the sources of the subscription run.

    Attributes:
        closed: Whether the sources are to pause.
        paused: Seconds that the gate was closed, all the pauses that are over added up.
    """

    __slots__ = ("_closed_at", "_for_good", "_listeners", "_lock", "_loop", "_waiters", "closed", "paused")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.closed = False
        self.paused = 0.0
        self._loop = loop
        self._lock = threading.Lock()
        self._for_good = False
        self._closed_at = 0.0
        self._waiters: set[asyncio.Future[None]] = set()
        self._listeners: tuple[Callable[[], None], ...] = ()

    def close(self) -> None:
        """Ask the sources to pause; without effect once the gate was opened for good."""
        with self._lock:
            if self.closed or self._for_good:
                return
            self._closed_at = self._loop.time()
            self.closed = True
        for listener in self._listeners:
            listener()

    def open(self, *, for_good: bool = False) -> None:
        """Let the sources go on; `for_good` when the consumer has left and may never hold them back again."""
        with self._lock:
            self._for_good |= for_good
            if not self.closed:
                return
            self.paused += self._loop.time() - self._closed_at
            self.closed = False
        if self._waiters:
            if asyncio._get_running_loop() is self._loop:
                self._wake()
            else:
                try:
                    self._loop.call_soon_threadsafe(self._wake)
                except RuntimeError:  # the loop is closed, and its readers are gone with it
                    pass
        for listener in self._listeners:
            listener()

    async def wait(self) -> None:
        """Return when the gate is open."""
        while True:
            waiter = self._loop.create_future()
            self._waiters.add(waiter)  # before the look at `closed`: an `open` on another thread sees one of the two
            try:
                if not self.closed:
                    return
                await waiter
            finally:
                self._waiters.discard(waiter)

    def clock(self) -> float:
        """The loop's time in seconds, less all the time that the gate was closed: it stands still meanwhile."""
        with self._lock:
            now = self._closed_at if self.closed else self._loop.time()
            return now - self.paused

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each closing and opening, on the thread that did it."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Undo one `add_listener`; nothing happens where there was none."""
        with self._lock:
            listeners = list(self._listeners)
            if listener in listeners:
                listeners.remove(listener)
                self._listeners = tuple(listeners)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
