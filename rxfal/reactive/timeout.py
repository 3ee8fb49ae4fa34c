"""`timeout` with one timer for the whole stream, where reactivex starts one per item."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from reactivex import Observable, abc, defer, from_future, throw, typing
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable, SingleAssignmentDisposable
from reactivex.internal import noop
from reactivex.internal.utils import is_future
from reactivex.scheduler.scheduler import Scheduler

from rxfal.errors import StreamTimeoutError

from .gate import DemandGate
from .loop import call_after_poll
from .scheduler import TOLERANCE, LoopScheduler, clock_of, loop_scheduler

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
        --1--2-----#          (or, with other: --1--2-----| other ...)

    Args:
        duetime: Seconds or a `timedelta` of silence; or an absolute `datetime`.
        other: What to go on with, an Observable or a future. Left out, the error.
        scheduler: Where the timer runs. Left out, the subscription's scheduler, else an event loop; never a thread.

    Returns:
        An operator.

    Raises:
        TypeError: For a `duetime` that is no time.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> from_observable(rx.never()).pipe(ops.timeout(0.01, rx.of("too late"))).run()
        'too late'
    """
    if not isinstance(duetime, int | float | timedelta | datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"timeout takes seconds, a timedelta or a datetime, not {duetime!r}")
    if other is None:
        successor: Observable[_T] = defer(lambda _: throw(_expired(duetime)))
    else:
        successor = from_future(other) if is_future(other) else other

    def timeout_(source: Observable[_T]) -> Observable[_T]:
        def subscribe(
            observer: abc.ObserverBase[_T], scheduler_: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            timing = loop_scheduler(scheduler, scheduler_)
            original = SingleAssignmentDisposable()
            current = SerialDisposable()
            current.disposable = original
            # A source that emits inside its `subscribe` can't be disposed of meanwhile, so this is asked besides.
            is_over = False

            def emit(value: _T) -> None:
                if not is_over:
                    observer.on_next(value)

            def switch() -> None:
                current.disposable = successor.subscribe(observer, scheduler=timing)

            def expire(*_: Any) -> None:
                end(switch)

            def end(callback: Callable[..., None], *args: Exception) -> None:
                nonlocal is_over
                if not is_over:
                    is_over = True
                    callback(*args)

            if isinstance(duetime, datetime):
                on_next: abc.OnNext[_T] = emit
                timer = timing.schedule_absolute(duetime, expire)
            else:
                on_next, timer = _watch_silence(Scheduler.to_seconds(duetime), timing, observer.on_next, expire)
            original.disposable = source.subscribe(
                on_next, partial(end, observer.on_error), partial(end, observer.on_completed), scheduler=scheduler_
            )
            return CompositeDisposable(current, timer)

        return Observable(subscribe)

    return timeout_


def _watch_silence(
    seconds: float, scheduler: abc.SchedulerBase, emit: abc.OnNext[_T], expire: Callable[[], None]
) -> tuple[abc.OnNext[_T], abc.DisposableBase]:
    """Give an `on_next` that notes the time of each item, and the timer that compares it now and then."""
    if isinstance(scheduler, LoopScheduler):
        loop, gate = scheduler.loop, scheduler.gate
    else:
        loop, gate = None, _NoGate(scheduler)
    clock = clock_of(scheduler)
    timer = SerialDisposable()
    last = gate.clock()

    def on_next(value: _T) -> None:
        nonlocal last
        emit(value)
        last = clock() - gate.paused  # the gate's clock, short of a pause in progress; cheaper than calling it

    def remaining() -> float:
        return seconds - (gate.clock() - last)

    def arm() -> None:
        timer.disposable = scheduler.schedule_relative(remaining(), check)

    def check(*_: Any) -> None:
        if gate.closed:
            gate.add_listener(resume)
            resume()  # it may have opened between the two lines
        elif remaining() > TOLERANCE:
            arm()
        elif loop is not None:
            timer.disposable = Disposable(call_after_poll(loop, partial(confirm, last)).cancel)
        else:
            give_up()

    def confirm(last_before_poll: float) -> None:
        if timer.is_disposed:
            pass
        elif gate.closed or last != last_before_poll or remaining() > TOLERANCE:
            check()
        else:
            give_up()

    def give_up() -> None:
        nonlocal emit
        emit = noop
        expire()

    def resume() -> None:
        if not gate.closed:
            gate.remove_listener(resume)
            arm()

    arm()
    return on_next, CompositeDisposable(timer, Disposable(lambda: gate.remove_listener(resume)))


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
