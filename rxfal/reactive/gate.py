"""The demand gate: how a full consumer holds its sources back. And asking: how an empty one says that it wants more.

One gate belongs to one subscription and travels up the operator chain on its scheduler (see
`rxfal.reactive.scheduler`). A consumer with a bounded buffer closes it; every reader of the subscription
looks at it after each event and reads no more from its socket until it opens. Knows nothing of Rx.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from .clock import clock_of_loop


class DemandGate:
    """Open while the consumer wants more, closed while it, or a bounded queue on the way to it, is full.

    Each of those is a holder: the gate is closed while at least one holds it. `close` and `open` may be called from
    any thread; `wait` belongs to the gate's event loop.

    Args:
        loop: The event loop on which the sources of the subscription run.

    Attributes:
        closed: Whether the sources are to pause.
        paused: Seconds that the gate was closed, all the pauses that are over added up.
    """

    __slots__ = (
        "_clock",
        "_closed_at",
        "_gone",
        "_holders",
        "_listeners",
        "_lock",
        "_loop",
        "_waiters",
        "closed",
        "paused",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.closed = False
        self.paused = 0.0
        self._loop = loop
        self._clock = clock_of_loop(loop)
        self._lock = threading.Lock()
        self._holders: set[object] = set()
        self._gone: set[object] = set()
        self._closed_at = 0.0
        self._waiters: dict[object, asyncio.Future[None]] = {}
        self._listeners: tuple[Callable[[], None], ...] = ()

    def close(self, holder: object = None) -> None:
        """Ask the sources to pause; without effect for a holder that opened for good.

        Args:
            holder: Who is full; the subscription's consumer, if left out.
        """
        with self._lock:
            if holder in self._gone or holder in self._holders:
                return
            self._holders.add(holder)
            if self.closed:
                return
            self._closed_at = self._clock()
            self.closed = True
        for listener in self._listeners:
            listener()

    def open(self, holder: object = None, *, for_good: bool = False) -> None:
        """Let the sources go on, as far as this holder is concerned.

        Args:
            holder: Who has room again; the subscription's consumer, if left out.
            for_good: It has left, and may never hold the sources back again.
        """
        with self._lock:
            if for_good:
                self._gone.add(holder)
            self._holders.discard(holder)
            if self._holders or not self.closed:
                return
            self.paused += self._clock() - self._closed_at
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
        place = object()  # kept while others fill the consumer again, so that merged sources take turns
        try:
            while True:
                waiter = self._waiters[place] = self._loop.create_future()
                if not self.closed:  # after the waiter is up: an `open` on another thread sees one of the two
                    return
                await waiter
        finally:
            del self._waiters[place]

    def clock(self) -> float:
        """The loop's time in seconds, less all the time that the gate was closed: it stands still meanwhile."""
        with self._lock:
            now = self._closed_at if self.closed else self._clock()
            return now - self.paused

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each closing and opening, on the thread that did it."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def remove_listener(self, listener: Callable[[], None]) -> bool:
        """Undo one `add_listener`; False where there was none to undo."""
        with self._lock:
            listeners = list(self._listeners)
            if listener not in listeners:
                return False
            listeners.remove(listener)
            self._listeners = tuple(listeners)
            return True

    def _wake(self) -> None:
        for waiter in self._waiters.values():
            if not waiter.done():
                waiter.set_result(None)


class Asking:
    """Whether a consumer with a queue wants an item now, its queue being empty, and who is told when it begins to.

    Attributes:
        now: Whether it does.
    """

    __slots__ = ("_listeners", "_lock", "now")

    def __init__(self, now: bool = False) -> None:
        self.now = now
        self._lock = threading.Lock()
        self._listeners: tuple[Callable[[], None], ...] = ()

    def begin(self) -> None:
        """Ask, on the consumer's thread. A listener that has something may give it at once, and so end the asking.

        Another one is asked first each time, so that merged sources take turns.
        """
        self.now = True
        for listener in self._listeners:
            listener()
        with self._lock:
            self._listeners = (*self._listeners[1:], *self._listeners[:1])

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever the asking begins, on the consumer's thread."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Undo one `add_listener`; nothing happens where there was none."""
        with self._lock:
            self._listeners = tuple(other for other in self._listeners if other != listener)
