"""A scheduler wrapper whose failures end the subscription.

reactivex's `observe_on` and `delay` keep a queue, and mark it as being drained before they schedule the draining. If
the scheduler raises, the error is put in the queue behind the items, and nothing ever drains it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from reactivex import Observable, abc, typing
from reactivex.disposable import Disposable
from reactivex.scheduler.scheduler import Scheduler

_T = TypeVar("_T")
_TState = TypeVar("_TState")


class GuardedScheduler(Scheduler):
    """Schedules on another scheduler, and notifies an observer if that scheduler raises.

    Args:
        scheduler: The scheduler to wrap.
        observer: Its `on_error` receives what the scheduler raises.
    """

    def __init__(self, scheduler: abc.SchedulerBase, observer: abc.ObserverBase[Any]) -> None:
        self._scheduler = scheduler
        self._observer = observer

    @property
    def now(self) -> datetime:
        return self._scheduler.now

    def schedule(self, action: typing.ScheduledAction[_TState], state: _TState | None = None) -> abc.DisposableBase:
        return self._guarded(self._scheduler.schedule, action, state)

    def schedule_relative(
        self, duetime: typing.RelativeTime, action: typing.ScheduledAction[_TState], state: _TState | None = None
    ) -> abc.DisposableBase:
        return self._guarded(self._scheduler.schedule_relative, duetime, action, state)

    def schedule_absolute(
        self, duetime: typing.AbsoluteTime, action: typing.ScheduledAction[_TState], state: _TState | None = None
    ) -> abc.DisposableBase:
        return self._guarded(self._scheduler.schedule_absolute, duetime, action, state)

    def _guarded(self, schedule: Callable[..., abc.DisposableBase], *args: Any) -> abc.DisposableBase:
        try:
            return schedule(*args)
        except Exception as error:
            self._observer.on_error(error)
            return Disposable()


def guarded(
    operator: Callable[[abc.SchedulerBase], Callable[[Observable[_T]], Observable[_T]]], scheduler: abc.SchedulerBase
) -> Callable[[Observable[_T]], Observable[_T]]:
    """Run an operator of reactivex on a guarded scheduler."""

    def guarded_(source: Observable[_T]) -> Observable[_T]:
        def subscribe(observer: abc.ObserverBase[_T], outer: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            # `delay` would subscribe to the source with the scheduler that it was given, which has no demand gate.
            within: Observable[_T] = Observable(lambda inner, _=None: source.subscribe(inner, scheduler=outer))
            return operator(GuardedScheduler(scheduler, observer))(within).subscribe(observer, scheduler=outer)

        return Observable(subscribe)

    return guarded_
