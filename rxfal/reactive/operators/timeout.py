"""A `timeout` with a single timer for the whole stream, where reactivex starts one per item."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar, overload

from reactivex import Observable, abc, defer, from_future, throw, typing
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable
from reactivex.internal.utils import is_future
from reactivex.scheduler.scheduler import Scheduler

from rxfal.errors import StreamTimeoutError, in_seconds
from rxfal.reactive.gate import DemandGate
from rxfal.reactive.observer import OperatorObserver
from rxfal.reactive.scheduler import LoopScheduler, clock_of, clock_without_pauses, loop_scheduler
from rxfal.reactive.watchdog import Watchdog

_T = TypeVar("_T")
_U = TypeVar("_U")


@overload
def timeout(
    duetime: typing.AbsoluteOrRelativeTime, other: None = None, scheduler: abc.SchedulerBase | None = None
) -> Callable[[Observable[_T]], Observable[_T]]: ...
@overload
def timeout(
    duetime: typing.AbsoluteOrRelativeTime,
    other: Observable[_U] | typing.AnyFuture[_U],
    scheduler: abc.SchedulerBase | None = None,
) -> Callable[[Observable[_T]], Observable[_T | _U]]: ...
def timeout(
    duetime: typing.AbsoluteOrRelativeTime,
    other: Observable[Any] | typing.AnyFuture[Any] | None = None,
    scheduler: abc.SchedulerBase | None = None,
) -> Callable[[Observable[Any]], Observable[Any]]:
    """End with `StreamTimeoutError`, or switch to `other`, if no item comes for `duetime`.

    The silence is measured from the subscription and from the end of each `on_next`. It doesn't count while the
    subscription's consumer is full (its demand gate is closed). Before it expires, the event loop polls its sockets
    once more, because a busy program is not a silent server. A `datetime` is a deadline for the whole stream.

    Marbles:
        -1-2---!
        > timeout(4)
        -1-2---#

    - *Emits when* the source does; once the time is up, when `other` does.
    - *Pauses when* the consumer is full. No silence is counted then.
    - *Ends when* the source ends; or, once the time is up, with `StreamTimeoutError` or when `other` ends.
    - *Cancels when* disposed. The source is cancelled when the time is up.

    Args:
        duetime: The longest silence, in seconds or as a `timedelta`; or an absolute `datetime`.
        other: An Observable or a future to switch to. By default, the stream ends with the error.
        scheduler: Runs the timer, and then `other`. By default, the subscription's scheduler, otherwise an event loop;
            never a thread.

    Returns:
        An operator.

    Raises:
        TypeError: `duetime` is not a time, or `other` is neither an Observable nor a future.
        ValueError: `duetime` is below 0 seconds.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> from_observable(rx.never()).pipe(ops.timeout(0.01, rx.of("too late"))).run()
        'too late'
    """
    if not isinstance(duetime, int | float | timedelta | datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"timeout takes seconds, a timedelta or a datetime, not {duetime!r}")
    if not isinstance(duetime, datetime) and not Scheduler.to_seconds(duetime) >= 0.0:
        raise ValueError(f"timeout takes a silence of 0 seconds or more, not {duetime!r}")
    if not (other is None or isinstance(other, Observable) or is_future(other)):
        raise TypeError(f"timeout can switch to an Observable or a future, not {other!r}")
    if other is None:
        successor: Observable[Any] = defer(lambda _: throw(_expired(duetime)))
    else:
        successor = from_future(other) if is_future(other) else other

    def timeout_(source: Observable[_T]) -> Observable[_T]:
        def subscribe(
            observer: abc.ObserverBase[_T], scheduler_: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            timing = loop_scheduler(scheduler, scheduler_)
            current = SerialDisposable()

            def expire(*_: Any) -> None:
                if not limited.is_stopped:
                    limited.dispose()
                    current.disposable = successor.subscribe(observer, scheduler=timing)

            if isinstance(duetime, datetime):
                limited = OperatorObserver[_T](observer)
                timer = timing.schedule_absolute(duetime, expire)
            else:
                gate = scheduler_.gate if isinstance(scheduler_, LoopScheduler) else None
                limited = _SilenceObserver[_T](observer, timing, gate)
                seconds = Scheduler.to_seconds(duetime)
                watchdog = Watchdog(seconds, limited.since, limited.clock, expire, timing, gate)
                watchdog.start()
                timer = Disposable(watchdog.stop)
            return CompositeDisposable(limited.subscribe_to(source, scheduler_), current, timer)

        return Observable(subscribe)

    return timeout_


class _NeverPaused:
    """Stands in for a gate where the subscription has none."""

    paused = 0.0


class _SilenceObserver(OperatorObserver[_T]):
    """Passes items on and records the time of the last one, which a watchdog checks now and then.

    Attributes:
        clock: Returns the time in seconds, minus the time for which the gate was closed.
    """

    __slots__ = ("_gate", "_now", "_since", "clock")

    def __init__(self, observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase, gate: DemandGate | None) -> None:
        super().__init__(observer)
        self._now = clock_of(scheduler)
        self._gate = gate or _NeverPaused
        self.clock = clock_without_pauses(scheduler, gate)
        self._since = self.clock()

    def since(self) -> float:
        """Return when the last item was passed on."""
        return self._since

    def on_next(self, value: _T) -> None:
        if not self.is_stopped:
            try:
                self._on_next(value)
            except BaseException as error:
                self._next_failed(error)
            self._since = self._now() - self._gate.paused  # like `clock`, but ignores a pause in progress: cheaper


def _expired(duetime: typing.AbsoluteOrRelativeTime) -> StreamTimeoutError:
    if isinstance(duetime, datetime):
        return StreamTimeoutError(0.0, message=f"the stream had not ended by {duetime.isoformat()}")
    seconds = Scheduler.to_seconds(duetime)
    return StreamTimeoutError(
        seconds, message=f"no item came for {in_seconds(seconds)}, the limit that ops.timeout was given"
    )
