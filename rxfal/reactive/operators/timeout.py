"""`timeout` with one timer for the whole stream, where reactivex starts one per item."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from reactivex import Observable, abc, defer, from_future, throw, typing
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable
from reactivex.internal.utils import is_future
from reactivex.scheduler.scheduler import Scheduler

from rxfal.errors import StreamTimeoutError
from rxfal.reactive.gate import DemandGate
from rxfal.reactive.loop import call_after_poll
from rxfal.reactive.observer import OperatorObserver
from rxfal.reactive.scheduler import TOLERANCE, LoopScheduler, clock_of, loop_scheduler

_T = TypeVar("_T")


def timeout(
    duetime: typing.AbsoluteOrRelativeTime,
    other: Observable[_T] | typing.AnyFuture[_T] | None = None,
    scheduler: abc.SchedulerBase | None = None,
) -> Callable[[Observable[_T]], Observable[_T]]:
    """End with `StreamTimeoutError`, or go on with `other`, when no item comes for `duetime`.

    The silence is measured from the subscription, and from the end of each `on_next`. It stands still while the
    subscription's consumer is full (its demand gate is closed), and before it expires the event loop looks at its
    sockets once more: a busy program is not a silent server. A `datetime` is a deadline for the whole stream.

        --1--2---------->
          timeout(5)
        --1--2----#          (or, with other: --1--2---- other ...)

    Args:
        duetime: Seconds or a `timedelta` of silence; or an absolute `datetime`.
        other: What to go on with, an Observable or a future. Left out, the error.
        scheduler: Where the timer runs. Left out, the subscription's scheduler, else an event loop; never a thread.

    Returns:
        An operator.

    Raises:
        TypeError: For a `duetime` that is no time, or an `other` that is neither Observable nor future.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> from_observable(rx.never()).pipe(ops.timeout(0.01, rx.of("too late"))).run()
        'too late'
    """
    if not isinstance(duetime, int | float | timedelta | datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"timeout takes seconds, a timedelta or a datetime, not {duetime!r}")
    if not (other is None or isinstance(other, Observable) or is_future(other)):
        raise TypeError(f"timeout goes on with an Observable or a future, not {other!r}")
    if other is None:
        successor: Observable[_T] = defer(lambda _: throw(_expired(duetime)))
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
                limited = _SilenceObserver(observer, Scheduler.to_seconds(duetime), timing, expire)
                timer = limited.watch()
            return CompositeDisposable(limited.subscribe_to(source, scheduler_), current, timer)

        return Observable(subscribe)

    return timeout_


class _SilenceObserver(OperatorObserver[_T]):
    """Hands items on and notes the time of each, which one timer compares now and then."""

    __slots__ = ("_clock", "_expire", "_gate", "_last", "_scheduler", "_seconds", "_timer")

    def __init__(
        self,
        observer: abc.ObserverBase[_T],
        seconds: float,
        scheduler: abc.SchedulerBase,
        expire: Callable[[], None],
    ) -> None:
        super().__init__(observer)
        self._seconds = seconds
        self._scheduler = scheduler
        self._expire = expire
        self._gate = scheduler.gate if isinstance(scheduler, LoopScheduler) else _NoGate(scheduler)
        self._clock = clock_of(scheduler)
        self._last = self._gate.clock()
        self._timer = SerialDisposable()

    def watch(self) -> abc.DisposableBase:
        """Start the timer."""
        self._arm()
        return CompositeDisposable(self._timer, Disposable(lambda: self._gate.remove_listener(self._resume)))

    def on_next(self, value: _T) -> None:
        if not self.is_stopped:
            try:
                self._on_next(value)
            except BaseException as error:
                self._next_failed(error)
            self._last = self._clock() - self._gate.paused  # its clock, short of a pause in progress; cheaper than that

    def _remaining(self) -> float:
        return self._seconds - (self._gate.clock() - self._last)

    def _arm(self) -> None:
        self._timer.disposable = self._scheduler.schedule_relative(self._remaining(), self._check)

    def _check(self, *_: Any) -> None:
        if self._gate.closed:
            self._gate.add_listener(self._resume)
            self._resume()  # it may have opened between the two lines
        elif self._remaining() > TOLERANCE:
            self._arm()
        elif isinstance(self._scheduler, LoopScheduler):
            confirm = partial(self._confirm, self._last)
            self._timer.disposable = Disposable(call_after_poll(self._scheduler.loop, confirm).cancel)
        else:
            self._expire()

    def _confirm(self, last_before_poll: float) -> None:
        if self._timer.is_disposed:
            pass
        elif self._gate.closed or self._last != last_before_poll or self._remaining() > TOLERANCE:
            self._check()
        else:
            self._expire()

    def _resume(self) -> None:
        if not self._gate.closed:
            self._gate.remove_listener(self._resume)
            self._arm()


class _NoGate(DemandGate):
    """The gate of a scheduler that carries none: always open, on that scheduler's own clock."""

    def __init__(self, scheduler: abc.SchedulerBase) -> None:
        self.closed = False
        self.paused = 0.0
        self._scheduler = scheduler

    def clock(self) -> float:
        return Scheduler.to_seconds(self._scheduler.now)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        """Nobody listens to a gate that never moves."""


def _expired(duetime: typing.AbsoluteOrRelativeTime) -> StreamTimeoutError:
    if isinstance(duetime, datetime):
        return StreamTimeoutError(0.0, message=f"the stream had not ended by {duetime.isoformat()}")
    seconds = Scheduler.to_seconds(duetime)
    return StreamTimeoutError(
        seconds, message=f"no item came for {seconds:g} seconds, the limit that ops.timeout was given"
    )
