"""`throttle_latest`: emit the newest item, at a pace that eyes can follow."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

from reactivex import Observable, abc, typing
from reactivex.disposable import CompositeDisposable, SerialDisposable

from rxfal.reactive.observer import subscribe_within
from rxfal.reactive.scheduler import loop_scheduler

from .arguments import check_span

_T = TypeVar("_T")

_NOTHING = object()


def throttle_latest(
    seconds: typing.RelativeTime, scheduler: abc.SchedulerBase | None = None
) -> Callable[[Observable[_T]], Observable[_T]]:
    """Emit at most one item per interval, always the newest; for user interfaces.

    The first item passes at once. During the interval that follows, only the newest item is kept, and it is emitted
    when the interval ends. If an item is still kept when the source completes or fails, it is emitted before the end.
    (`sample` loses the last item, `throttle_first` emits the oldest of each interval, and `debounce` emits nothing
    while items keep coming.)

    Marbles:
        -12-3-----4--5-6|
        > throttle_latest(4)
        -1---3----4---5-(6|)

    - *Emits when* an item comes and no interval is running, when an interval ends in which items came, and, if an item
      is still kept, before the end.
    - *Pauses when* the consumer is full.
    - *Ends when* the source ends.
    - *Cancels when* disposed.

    Args:
        seconds: The interval, in seconds or as a `timedelta`.
        scheduler: Runs the timer. By default, the subscription's scheduler, otherwise an event loop; never a thread.

    Returns:
        An operator. It holds at most one item.

    Raises:
        TypeError: `seconds` is not a time.
        ValueError: `seconds` is not above 0.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> from_observable(rx.range(1000)).pipe(ops.throttle_latest(60), ops.to_list()).run()
        [0, 999]
    """
    check_span("seconds", seconds)

    def throttle_latest_(source: Observable[_T]) -> Observable[_T]:
        def subscribe(
            observer: abc.ObserverBase[_T], scheduler_: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            timing = loop_scheduler(scheduler, scheduler_)
            lock = threading.RLock()  # the timer and the source may be on different threads
            timer = SerialDisposable()
            kept: Any = _NOTHING
            waiting = False

            def pass_on(value: _T) -> None:
                nonlocal waiting
                waiting = True
                observer.on_next(value)
                timer.disposable = timing.schedule_relative(seconds, interval_over)

            def interval_over(*_: Any) -> None:
                nonlocal kept, waiting
                with lock:
                    waiting = False
                    if kept is not _NOTHING:
                        value, kept = kept, _NOTHING
                        pass_on(value)

            def on_next(value: _T) -> None:
                nonlocal kept
                with lock:
                    if waiting:
                        kept = value
                    else:
                        pass_on(value)

            def flush() -> None:
                nonlocal kept
                value, kept = kept, _NOTHING
                if value is not _NOTHING:
                    observer.on_next(cast(_T, value))

            def on_error(error: Exception) -> None:
                with lock:
                    flush()
                    observer.on_error(error)

            def on_completed() -> None:
                with lock:
                    flush()
                    observer.on_completed()

            subscription = subscribe_within(source, on_next, on_error, on_completed, scheduler_)
            return CompositeDisposable(subscription, timer)

        return Observable(subscribe)

    return throttle_latest_
