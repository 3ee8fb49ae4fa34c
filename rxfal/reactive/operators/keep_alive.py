"""`keep_alive`: emit something while the source is silent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from reactivex import Observable, abc, typing
from reactivex.disposable import CompositeDisposable, Disposable
from reactivex.scheduler.scheduler import Scheduler

from rxfal.reactive.observer import subscribe_within
from rxfal.reactive.scheduler import LoopScheduler, clock_without_pauses, loop_scheduler
from rxfal.reactive.watchdog import Watchdog

from .arguments import check_span

_T = TypeVar("_T")
_I = TypeVar("_I")


def keep_alive(
    seconds: typing.RelativeTime, item: _I, scheduler: abc.SchedulerBase | None = None
) -> Callable[[Observable[_T]], Observable[_T | _I]]:
    """Emit `item` whenever nothing has been emitted for a given time, until the source ends.

    Use it for connections that are cut when they go silent, and for users who wonder whether anything is still
    happening.

    Marbles:
        -1---------2-|
        > keep_alive(4, "x")
        -1---x---x-2-|

    - *Emits when* the source does, and after each silence of `seconds`, its own items counted.
    - *Pauses when* the consumer is full. No silence is counted then.
    - *Ends when* the source ends.
    - *Cancels when* disposed.

    Args:
        seconds: The length of the silence, in seconds or as a `timedelta`.
        item: The item to emit after each silence.
        scheduler: Runs the timer. By default, the subscription's scheduler, otherwise an event loop; never a thread.

    Returns:
        An operator. It has one timer.

    Raises:
        ArgumentOutOfRangeException: `seconds` is not above 0.
        TypeError: `seconds` is not a time.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> slow = from_observable(rx.timer(0.05))
        >>> slow.pipe(ops.keep_alive(0.02, "still there"), ops.first()).run()
        'still there'
    """
    check_span("seconds", seconds)
    span = Scheduler.to_seconds(seconds)

    def keep_alive_(source: Observable[_T]) -> Observable[_T | _I]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler_: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            timing = loop_scheduler(scheduler, scheduler_)
            gate = scheduler_.gate if isinstance(scheduler_, LoopScheduler) else None
            clock = clock_without_pauses(timing, gate)
            lock = threading.RLock()  # the timer and the source may be on different threads
            since = clock()

            def emit(value: Any) -> None:
                nonlocal since
                with lock:
                    observer.on_next(value)
                    since = clock()

            def on_silence() -> None:
                emit(item)
                watchdog.start()

            def on_error(error: Exception) -> None:
                with lock:
                    observer.on_error(error)

            def on_completed() -> None:
                with lock:
                    observer.on_completed()

            watchdog = Watchdog(span, lambda: since, clock, on_silence, timing, gate)
            watchdog.start()
            subscription = subscribe_within(source, emit, on_error, on_completed, scheduler_)
            return CompositeDisposable(subscription, Disposable(watchdog.stop))

        return Observable(subscribe)

    return keep_alive_
