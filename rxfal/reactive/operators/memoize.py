"""`memoize`: one answer for all who want it, now or later."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxfal.reactive.gate import DemandGate
from rxfal.reactive.hops import call_on, running_loop
from rxfal.reactive.observer import subscribe_within
from rxfal.reactive.scheduler import LoopScheduler, clock_of

from .arguments import check_number
from .share import share

_T = TypeVar("_T")


def memoize(
    ttl: float | None = None, scheduler: abc.SchedulerBase | None = None
) -> Callable[[Observable[_T]], Observable[_T]]:
    """One request for all subscribers, early or late; each gets the whole answer from its start.

    An error goes to those who listen, and is not kept. When the last subscriber leaves before the end, or the event
    loop of the request ends, the request is ended and forgotten. The next subscriber then starts a new one. An answer
    that is whole is replayed on any loop, and held in memory for as long as the result is.

        --1--2--|
          memoize()
        --1--2--|
             (12|)       (a late subscriber)

    Emits when: the source does, and at once what came before the subscription. Pauses when: any present subscriber is
    full. Ends when: the source ends. Cancels when: the last subscriber leaves before that.

    Args:
        ttl: Seconds after its end for which an answer is replayed. Left out, always.
        scheduler: Whose clock counts them. Left out, the system's.

    Returns:
        An operator, whose result may be subscribed to as often as you like.

    Raises:
        TypeError, ArgumentOutOfRangeException: For a `ttl` that is no number of seconds.

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


class _Memory(Generic[_T]):
    """A shared source whose items are written down, so that who comes late can read what came before."""

    def __init__(self, source: Observable[_T], ttl: float | None, scheduler: abc.SchedulerBase | None) -> None:
        self._source = source
        self._ttl = ttl
        self._clock = time.monotonic if scheduler is None else clock_of(scheduler)
        self._lock = threading.RLock()
        self._begin()

    def _begin(self) -> None:
        self._shared: Observable[list[_T]] = share()(Observable(self._record))
        self._expires: float | None = None
        self.items: list[_T] = []

    def subscribe(
        self, observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        with self._lock:
            if self._expires is not None and self._clock() >= self._expires:
                self._begin()
            shared = self._shared
        return _Reading(self, observer, scheduler).follow(shared)

    def _record(
        self, observer: abc.ObserverBase[list[_T]], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        items = self.items = []
        is_whole = False

        def on_next(value: _T) -> None:
            items.append(value)
            observer.on_next(items)

        def on_error(error: Exception) -> None:
            with self._lock:
                self._begin()
            observer.on_error(error)

        def on_completed() -> None:
            nonlocal is_whole
            is_whole = True
            if self._ttl is not None:
                self._expires = self._clock() + self._ttl
            observer.on_completed()

        def leave() -> None:
            if not is_whole and self.items is items:
                self.items = []

        subscription = subscribe_within(self._source, on_next, on_error, on_completed, scheduler)
        return CompositeDisposable(subscription, Disposable(leave))


class _Reading(Generic[_T]):
    """One subscriber, and how far it has read."""

    def __init__(
        self, memory: _Memory[_T], observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None
    ) -> None:
        self._memory = memory
        self._observer = observer
        self._scheduler = scheduler
        self._gate: DemandGate | None = scheduler.gate if isinstance(scheduler, LoopScheduler) else None
        self._lock = threading.Lock()
        self._items: list[_T] = []
        self._position = 0
        self._end: Callable[[], None] | None = None
        self._is_reading = False
        self._is_wanted = False

    def follow(self, shared: Observable[list[_T]]) -> abc.DisposableBase:
        """Read from the start, and on whenever something comes or the consumer has room."""
        observer = self._observer
        if self._gate is not None:
            self._gate.add_listener(self._gate_moved)
        subscription = subscribe_within(
            shared,
            self._heard,
            lambda error: self._ended(partial(observer.on_error, error)),
            lambda: self._ended(observer.on_completed),
            self._scheduler,
        )
        self._items = self._items or self._memory.items
        self._read_where_it_belongs()
        return CompositeDisposable(subscription, Disposable(self._leave))

    def _heard(self, items: list[_T]) -> None:
        self._items = items
        self._read()

    def _ended(self, end: Callable[[], None]) -> None:
        self._items = self._items or self._memory.items
        self._end = end
        self._read()

    def _gate_moved(self) -> None:
        if self._gate is not None and not self._gate.closed:
            self._read_where_it_belongs()

    def _leave(self) -> None:
        if self._gate is not None:
            self._gate.remove_listener(self._gate_moved)

    def _read_where_it_belongs(self) -> None:
        loop = self._scheduler.loop if isinstance(self._scheduler, LoopScheduler) else None
        if loop is None or running_loop() is loop:
            self._read()
        else:
            with suppress(RuntimeError):  # the loop is closed
                call_on(loop, self._read)

    def _read(self) -> None:
        """Hand on what there is room for, and then the end; one thread at a time."""
        with self._lock:
            self._is_wanted = True
            if self._is_reading:
                return
            self._is_reading = True
        while True:
            self._is_wanted = False
            while self._position < len(self._items) and not (self._gate is not None and self._gate.closed):
                item = self._items[self._position]
                self._position += 1
                self._observer.on_next(item)
            if self._end is not None and self._position == len(self._items):
                end, self._end = self._end, None
                end()
            with self._lock:
                if not self._is_wanted:
                    self._is_reading = False
                    return
