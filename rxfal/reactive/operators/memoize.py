"""`memoize`: share one answer with all subscribers, now or later."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable
from reactivex.notification import Notification, OnCompleted, OnError

from rxfal.reactive.hops import call_on, running_loop
from rxfal.reactive.scheduler import LoopScheduler, clock_of

from .arguments import check_number
from .share import Connection, Ended, Member, Shared

_T = TypeVar("_T")


def memoize(
    ttl: float | None = None, scheduler: abc.SchedulerBase | None = None
) -> Callable[[Observable[_T]], Observable[_T]]:
    """Make one request for all subscribers, early or late; each gets the whole answer from the start.

    An error goes to the current subscribers and is not kept. If the last subscriber leaves before the end, or the
    request's event loop ends, the request is cancelled and forgotten; the next subscriber then starts a new one. A
    complete answer can be replayed on any loop. It stays in memory as long as the result does.

    Marbles:
        -1--2-|
        > memoize()
        -1--2-|
                 (12|)

    - *Emits when* the source does; to a late subscriber, first and at once what came before.
    - *Pauses when* a current subscriber is full.
    - *Ends when* the source ends. A late subscriber's stream ends after the last replayed item.
    - *Cancels when* the last subscriber leaves before the end, or the request's event loop ends.

    Args:
        ttl: How many seconds after its end an answer is replayed; by default, forever.
        scheduler: Provides the clock for `ttl`; by default, the system clock.

    Returns:
        An operator. You can subscribe to its result as often as you like.

    Raises:
        TypeError: `ttl` is not a number.
        ArgumentOutOfRangeException: `ttl` is below 0.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> asked = []
        >>> source = rx.defer(lambda _: asked.append(1) or rx.of("a", "b"))
        >>> answer = from_observable(source).pipe(ops.memoize())
        >>> list(answer), list(answer), len(asked)
        (['a', 'b'], ['a', 'b'], 1)
    """
    if ttl is not None:
        check_number("ttl", ttl)
    return lambda source: Observable(_Memory(source, ttl, scheduler).subscribe)


class _Memory(Shared[_T]):
    """A shared source that records its items, so that late subscribers can read the earlier ones."""

    def __init__(self, source: Observable[_T], ttl: float | None, scheduler: abc.SchedulerBase | None) -> None:
        super().__init__(source)
        self._ttl = math.inf if ttl is None else ttl
        self._clock = time.monotonic if scheduler is None else clock_of(scheduler)

    def subscribe(
        self, observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        with self.lock:
            state: object = self.state
            if isinstance(state, _Answer) and state.expires <= self._clock():
                self.state = None
        reading = _Reading(observer, scheduler if isinstance(scheduler, LoopScheduler) else None)
        subscription = super().subscribe(reading, scheduler)
        reading.begin()
        return CompositeDisposable(subscription, Disposable(reading.stop))

    def connection(self, scheduler: abc.SchedulerBase | None) -> Connection[_T]:
        return _Request(self, scheduler)

    def ended(self, connection: Connection[_T], end: Notification[_T]) -> Ended | None:
        assert isinstance(connection, _Request)
        return _Answer(connection.items, self._clock() + self._ttl) if isinstance(end, OnCompleted) else None


class _Request(Connection[_T]):
    """A connection that records its items for its members to read."""

    __slots__ = ("items",)

    def __init__(self, shared: Shared[_T], scheduler: abc.SchedulerBase | None) -> None:
        super().__init__(shared, scheduler)
        self.items: list[_T] = []

    def join(self, member: Member[_T]) -> None:
        cast("_Reading[_T]", member[0]).items = self.items
        super().join(member)

    def on_next(self, value: _T) -> None:
        if not self.is_stopped:
            self.items.append(value)
            super().on_next(value)


class _Answer:
    """A complete answer, and when it expires."""

    def __init__(self, items: list[Any], expires: float) -> None:
        self.items = items
        self.expires = expires

    def accept(self, observer: abc.ObserverBase[Any], /) -> None:
        reading = cast("_Reading[Any]", observer)
        reading.items, reading.end = self.items, OnCompleted()


class _Reading(abc.ObserverBase[_T]):
    """One subscriber, and how far it has read.

    A new item is passed on at once, on the source's thread. Items from before the subscription, and items that had to
    wait for the subscriber's gate, are delivered on the subscriber's own loop.

    Attributes:
        items: The items so far; this list grows.
        end: The end to pass on after the last item, once it is known.
    """

    def __init__(self, observer: abc.ObserverBase[_T], scheduler: LoopScheduler | None) -> None:
        self.items: list[_T] = []
        self.end: Notification[_T] | None = None
        self._observer = observer
        self._scheduler = scheduler
        self._lock = threading.RLock()  # the source and the subscriber's loop may be on different threads
        self._position = 0
        self._is_stopped = False

    def begin(self) -> None:
        """Read from the start, and again whenever an item comes or the consumer has room."""
        if self._scheduler is not None:
            self._scheduler.gate.add_listener(self._gate_moved)
        self._read_at_home()

    def stop(self) -> None:
        """Stop reading."""
        self._is_stopped = True
        if self._scheduler is not None:
            self._scheduler.gate.remove_listener(self._gate_moved)

    def on_next(self, value: _T) -> None:
        self._read()

    def on_error(self, error: Exception) -> None:
        self.end = OnError(error)
        self._read()

    def on_completed(self) -> None:
        self.end = OnCompleted()
        self._read()

    def _gate_moved(self) -> None:
        if not self._is_full():
            self._read_at_home()

    def _is_full(self) -> bool:
        return self._scheduler is not None and self._scheduler.gate.closed

    def _read_at_home(self) -> None:
        if self._scheduler is None or running_loop() is self._scheduler.loop:
            self._read()
        else:
            with suppress(RuntimeError):  # the loop is closed
                call_on(self._scheduler.loop, self._read)

    def _read(self) -> None:
        """Pass on as many items as there is room for, and then the end."""
        with self._lock:
            while self._position < len(self.items):
                if self._is_stopped or self._is_full():
                    return
                self._position += 1
                self._observer.on_next(self.items[self._position - 1])
            if self.end is not None:
                end, self.end = self.end, None
                end.accept(self._observer)
