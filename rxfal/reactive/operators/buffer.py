"""The buffer operators. Each open buffer is just a list, where reactivex needs a Subject and a subscription."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

from reactivex import Observable, abc, typing
from reactivex import operators as rx_ops
from reactivex.disposable import CompositeDisposable, SerialDisposable, SingleAssignmentDisposable
from reactivex.scheduler.scheduler import Scheduler

from rxfal.reactive.clock import TOLERANCE, next_tick
from rxfal.reactive.observer import OperatorObserver, subscribe_within
from rxfal.reactive.scheduler import LoopScheduler, clock_of, loop_scheduler

from .arguments import check_count, check_span

_T = TypeVar("_T")


def buffer(
    boundaries: Observable[Any] | None = None, *, count: int | None = None, seconds: float | None = None
) -> Callable[[Observable[_T]], Observable[list[_T]]]:
    """Collect items into lists: until another Observable emits, by count, by time, or by count or time.

    The items in an open buffer are emitted when the source (or `boundaries`) completes, and dropped if it fails.

    Marbles:
        -1--2--3--4--5--|
        > buffer(count=2)
        ----a-----b-----(c|)
        a = [1, 2], b = [3, 4], c = [5]

    - *Emits when* a buffer is full, its time is over, or `boundaries` emits; and the open buffer before the end, unless
      that is an error.
    - *Pauses when* the consumer is full.
    - *Ends when* the source or `boundaries` ends.
    - *Cancels when* disposed. The end of one of the two cancels the other.

    Args:
        boundaries: Each of its items closes a buffer, even an empty one. When it ends, so does the result.
        count: The number of items in a full buffer.
        seconds: How long a buffer stays open. A buffer without items is emitted as an empty list. With `count` too,
            whichever limit comes first closes the buffer.

    Returns:
        An operator.

    Raises:
        TypeError: None of the three is given, or `boundaries` together with another; or one has a wrong type.
        ValueError: `count` is below 1, or `seconds` is not above 0.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> from_observable(rx.range(5)).pipe(ops.buffer(count=2), ops.to_list()).run()
        [[0, 1], [2, 3], [4]]
    """
    if boundaries is not None:
        if not isinstance(boundaries, Observable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"boundaries is an Observable, not {boundaries!r}; pass a number as count= or seconds=")
        if count is not None or seconds is not None:
            raise TypeError("buffer takes boundaries, or count= and seconds=, not both")
        return _buffer_with_boundaries(boundaries)
    if seconds is not None:
        check_span("seconds", seconds)
        return buffer_with_time(seconds) if count is None else buffer_with_time_or_count(seconds, count)
    if count is None:
        raise TypeError("buffer needs boundaries, count= or seconds=")
    return buffer_with_count(count)


def buffer_with_count(count: int, skip: int | None = None) -> Callable[[Observable[_T]], Observable[list[_T]]]:
    """Collect items into lists of `count`; each list starts `skip` items after the previous one.

    Marbles:
        -1--2--3--4--|
        > buffer_with_count(2, skip=1)
        ----a--b--c--(d|)
        a = [1, 2], b = [2, 3], c = [3, 4], d = [4]

    - *Emits when* a list has `count` items; and the lists that have fewer, but at least one, before the end, unless
      that is an error.
    - *Pauses when* the consumer is full.
    - *Ends when* the source ends.
    - *Cancels when* disposed.

    Args:
        count: The number of items in a full buffer.
        skip: The number of items from the start of one buffer to the start of the next; by default, `count`.

    Returns:
        An operator. When the source ends, partly filled lists are emitted before the end, but not empty ones.

    Raises:
        ArgumentOutOfRangeException: `count` or `skip` is below 1.
        TypeError: One of them is not a whole number.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> from_observable(rx.range(4)).pipe(ops.buffer_with_count(2, 1), ops.to_list()).run()
        [[0, 1], [1, 2], [2, 3], [3]]
    """
    step = count if skip is None else skip
    check_count("count", count)
    check_count("skip", step)

    if step != count:
        return rx_ops.buffer_with_count(count, step)

    def buffer_with_count_(source: Observable[_T]) -> Observable[list[_T]]:
        def subscribe(
            observer: abc.ObserverBase[list[_T]], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return _CountObserver[_T](observer, count).subscribe_to(source, scheduler)

        return Observable(subscribe)

    return buffer_with_count_


class _CountObserver(OperatorObserver[_T]):
    """Fills one list after another."""

    __slots__ = ("_count", "_items")

    def __init__(self, observer: abc.ObserverBase[Any], count: int) -> None:
        super().__init__(observer)
        self._count = count
        self._items: list[_T] = []

    def on_next(self, value: _T) -> None:
        if not self.is_stopped:
            items = self._items
            items.append(value)
            if len(items) == self._count:
                self._items = []
                try:
                    self._on_next(cast(Any, items))
                except BaseException as error:
                    self._next_failed(error)

    def on_completed(self) -> None:
        if not self.is_stopped:
            self._end(self._flush)

    def _flush(self) -> None:
        if self._items:
            self._on_next(cast(Any, self._items))
        self._on_completed()


def buffer_with_time(
    timespan: typing.RelativeTime,
    timeshift: typing.RelativeTime | None = None,
    scheduler: abc.SchedulerBase | None = None,
) -> Callable[[Observable[_T]], Observable[list[_T]]]:
    """Collect items into lists by time; each list starts `timeshift` after the previous one.

    Marbles:
        -1-2---------3-|
        > buffer_with_time(5)
        -----a----b----(c|)
        a = [1, 2], b = [], c = [3]

    - *Emits when* a buffer's time is over; and the open buffers before the end, unless that is an error.
    - *Pauses when* the consumer is full. Buffers without items are not emitted then.
    - *Ends when* the source ends.
    - *Cancels when* disposed.

    Args:
        timespan: How long a buffer stays open, in seconds or as a `timedelta`.
        timeshift: The time from the start of one buffer to the start of the next; by default, `timespan`.
        scheduler: Runs the timer. By default, the subscription's scheduler, otherwise an event loop; never a thread.

    Returns:
        An operator. A buffer without items is emitted as an empty list, unless the consumer is full. Open buffers are
        emitted when the source completes.

    Raises:
        ArgumentOutOfRangeException: A time is not above 0.
        TypeError: An argument is not a time.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> from_observable(rx.range(3)).pipe(ops.buffer_with_time(60), ops.to_list()).run()
        [[0, 1, 2]]
    """
    check_span("timespan", timespan)
    if timeshift:
        check_span("timeshift", timeshift)
    span = Scheduler.to_seconds(timespan)
    shift = Scheduler.to_seconds(timeshift) if timeshift else span

    def buffer_with_time_(source: Observable[_T]) -> Observable[list[_T]]:
        def subscribe(
            observer: abc.ObserverBase[list[_T]], scheduler_: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            timing = loop_scheduler(scheduler, scheduler_)
            if shift != span:
                shifting = rx_ops.buffer_with_time(timespan, timeshift, timing)(source)
                wanted = shifting.pipe(rx_ops.filter(lambda items: bool(items) or not _is_full(scheduler_)))
                return wanted.subscribe(observer, scheduler=scheduler_)
            lock = threading.RLock()  # the timer and the source may be on different threads
            timer = SerialDisposable()
            clock = clock_of(timing)
            items: list[_T] = []
            due = clock() + span

            def tick(*_: Any) -> None:
                nonlocal items, due
                with lock:
                    if items or not _is_full(scheduler_):
                        full, items = items, []
                        observer.on_next(full)
                    due = next_tick(due, span, clock())
                    timer.disposable = timing.schedule_relative(due - clock(), tick)

            def on_next(value: _T) -> None:
                with lock:
                    items.append(value)

            def on_completed() -> None:
                with lock:
                    observer.on_next(items)
                    observer.on_completed()

            timer.disposable = timing.schedule_relative(span, tick)
            subscription = subscribe_within(source, on_next, observer.on_error, on_completed, scheduler_)
            return CompositeDisposable(subscription, timer)

        return Observable(subscribe)

    return buffer_with_time_


def buffer_with_time_or_count(
    timespan: typing.RelativeTime, count: int, scheduler: abc.SchedulerBase | None = None
) -> Callable[[Observable[_T]], Observable[list[_T]]]:
    """Collect items into lists that close when they are full or their time is up, whichever comes first.

    Marbles:
        -1-2-3--------4-|
        > buffer_with_time_or_count(5, 2)
        ---a----b----c--(d|)
        a = [1, 2], b = [3], c = [], d = [4]

    - *Emits when* a buffer is full or its time is over; and the open buffer before the end, unless that is an error.
    - *Pauses when* the consumer is full. Buffers without items are not emitted then.
    - *Ends when* the source ends.
    - *Cancels when* disposed.

    Args:
        timespan: How long a buffer stays open, in seconds or as a `timedelta`.
        count: The number of items in a full buffer.
        scheduler: Runs the timer. By default, the subscription's scheduler, otherwise an event loop; never a thread.

    Returns:
        An operator. A buffer without items is emitted as an empty list, unless the consumer is full. The open buffer is
        emitted when the source completes.

    Raises:
        ArgumentOutOfRangeException: `timespan` is not above 0, or `count` is below 1.
        TypeError: `timespan` is not a time, or `count` is not a whole number.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> from_observable(rx.range(3)).pipe(ops.buffer_with_time_or_count(60, 2), ops.to_list()).run()
        [[0, 1], [2]]
    """
    check_span("timespan", timespan)
    check_count("count", count)
    span = Scheduler.to_seconds(timespan)

    def buffer_with_time_or_count_(source: Observable[_T]) -> Observable[list[_T]]:
        def subscribe(
            observer: abc.ObserverBase[list[_T]], scheduler_: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            timing = loop_scheduler(scheduler, scheduler_)
            lock = threading.RLock()  # the timer and the source may be on different threads
            timer = SerialDisposable()
            items: list[_T] = []

            clock = clock_of(timing)
            opened = clock()

            def emit() -> None:
                nonlocal items, opened
                full, items = items, []
                observer.on_next(full)
                opened = clock()

            def look(*_: Any) -> None:  # a single timer, whatever closes the buffers: it checks the open one's age
                nonlocal opened
                with lock:
                    remaining = opened + span - clock()
                    if remaining <= TOLERANCE:
                        if items or not _is_full(scheduler_):
                            emit()
                        else:
                            opened = clock()
                        remaining = span
                    timer.disposable = timing.schedule_relative(remaining, look)

            def on_next(value: _T) -> None:
                with lock:
                    items.append(value)
                    if len(items) == count:
                        emit()

            def on_completed() -> None:
                with lock:
                    observer.on_next(items)
                    observer.on_completed()

            timer.disposable = timing.schedule_relative(span, look)
            subscription = subscribe_within(source, on_next, observer.on_error, on_completed, scheduler_)
            return CompositeDisposable(subscription, timer)

        return Observable(subscribe)

    return buffer_with_time_or_count_


def _is_full(scheduler: abc.SchedulerBase | None) -> bool:
    """Return whether the consumer has paused its sources. It would otherwise pile up an empty list per interval."""
    return isinstance(scheduler, LoopScheduler) and scheduler.gate.closed


def _buffer_with_boundaries(boundaries: Observable[Any]) -> Callable[[Observable[_T]], Observable[list[_T]]]:
    def buffer_(source: Observable[_T]) -> Observable[list[_T]]:
        def subscribe(
            observer: abc.ObserverBase[list[_T]], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            lock = threading.RLock()  # the boundaries and the source may be on different threads
            items: list[_T] = []

            def on_next(value: _T) -> None:
                with lock:
                    items.append(value)

            def on_boundary(_: Any) -> None:
                nonlocal items
                with lock:
                    full, items = items, []
                    observer.on_next(full)

            def on_completed() -> None:
                with lock:
                    observer.on_next(items)
                    observer.on_completed()

            subscriptions = CompositeDisposable()
            for subscribed, handler in ((source, on_next), (boundaries, on_boundary)):
                subscription = SingleAssignmentDisposable()
                subscriptions.add(subscription)
                subscription.disposable = subscribe_within(
                    subscribed, handler, observer.on_error, on_completed, scheduler
                )
            return subscriptions

        return Observable(subscribe)

    return buffer_
