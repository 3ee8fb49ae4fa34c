"""The demand gate, with which a full consumer pauses its sources, and `Asking`, with which an empty one asks for more.

Each subscription has one gate, which travels up the operator chain on its scheduler (see `rxfal.reactive.scheduler`).
A consumer with a bounded buffer closes the gate. Every reader of the subscription checks it after each event, and stops
reading from its socket until the gate opens. Knows nothing about Rx.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from .clock import clock_of_loop

_NOBODY: frozenset[object] = frozenset()
"""One for all gates: most stay without holders, and each set of their own would take 216 bytes."""


class DemandGate:
    """Open while the consumer wants more; closed while the consumer, or a bounded queue in front of it, is full.

    Each of these is a holder, and the gate is closed while at least one of them holds it. `close` and `open` may be
    called from any thread. `wait` must be called on the gate's event loop.

    Args:
        loop: The event loop on which the subscription's sources run.

    Attributes:
        closed: Whether the sources should pause.
        paused: The total duration of all completed pauses, in seconds.
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
        self._holders: frozenset[object] = _NOBODY
        self._gone: frozenset[object] = _NOBODY
        self._closed_at = 0.0
        self._waiters: dict[object, asyncio.Future[None]] = {}
        self._listeners: tuple[Callable[[], None], ...] = ()

    def close(self, holder: object = None) -> None:
        """Ask the sources to pause. No effect if the holder has already opened the gate for good.

        Args:
            holder: Who is full; by default, the subscription's consumer.
        """
        with self._lock:
            if holder in self._gone or holder in self._holders:
                return
            self._holders |= {holder}
            if self.closed:
                return
            self._closed_at = self._clock()
            self.closed = True
        for listener in self._listeners:
            listener()

    def open(self, holder: object = None, *, for_good: bool = False) -> None:
        """Release this holder's hold; the sources resume once there are no holders left.

        Args:
            holder: Who has room again; by default, the subscription's consumer.
            for_good: Whether the holder has left and must never pause the sources again.
        """
        with self._lock:
            if for_good:
                self._gone |= {holder}
            self._holders -= {holder}
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
                except RuntimeError:  # the loop is closed, and so its readers are gone
                    pass
        for listener in self._listeners:
            listener()

    async def wait(self) -> None:
        """Wait until the gate is open."""
        place = object()  # kept even if others fill the consumer again first, so that merged sources take turns
        try:
            while True:
                waiter = self._waiters[place] = self._loop.create_future()
                if not self.closed:  # checked after the waiter is set, so an `open` on another thread can't be missed
                    return
                await waiter
        finally:
            del self._waiters[place]

    def clock(self) -> float:
        """Return the loop's time in seconds, minus all paused time: it stands still while the gate is closed."""
        with self._lock:
            now = self._closed_at if self.closed else self._clock()
            return now - self.paused

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each closing and opening, on the thread that closed or opened the gate."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def remove_listener(self, listener: Callable[[], None]) -> bool:
        """Undo one `add_listener`. Returns False if there was none to undo."""
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
    """Whether a consumer's queue is empty, so that it wants an item now, and listeners for when it starts to.

    Attributes:
        now: Whether the consumer wants an item now.
    """

    __slots__ = ("_listeners", "_lock", "now")

    def __init__(self, now: bool = False) -> None:
        self.now = now
        self._lock = threading.Lock()
        self._listeners: tuple[Callable[[], None], ...] = ()

    def begin(self) -> None:
        """Start asking, on the consumer's thread. A listener may deliver an item at once, which ends the asking.

        Each time a different listener is called first, so that merged sources take turns.
        """
        self.now = True
        for listener in self._listeners:
            listener()
        with self._lock:
            self._listeners = (*self._listeners[1:], *self._listeners[:1])

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever the asking starts, on the consumer's thread."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Undo one `add_listener`; does nothing if there was none."""
        with self._lock:
            self._listeners = tuple(other for other in self._listeners if other != listener)
