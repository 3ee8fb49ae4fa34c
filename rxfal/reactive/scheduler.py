"""LoopScheduler: reactivex's time on an asyncio event loop, callable from any thread.

A Stream that is subscribed without a scheduler subscribes with one of these. Operators hand it up the chain, so
that their timers run on the loop (not on a thread each) and the sources find the subscription's demand gate.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

from reactivex import abc, typing
from reactivex.scheduler.periodicscheduler import PeriodicScheduler
from reactivex.scheduler.scheduler import Scheduler

from .gate import DemandGate
from .loop import call_on, current_loop

_TState = TypeVar("_TState")


class LoopScheduler(PeriodicScheduler):
    """Schedules on one event loop and carries the demand gate of one subscription.

    Every method may be called from any thread: off the loop it hops with `call_soon_threadsafe` and never blocks.
    (reactivex's AsyncIOScheduler is not thread-safe, its AsyncIOThreadSafeScheduler waits for the loop when
    disposed.) Once the loop is closed, scheduling raises RuntimeError and disposing does nothing.

    Args:
        loop: The event loop that runs the scheduled actions.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.loop = loop
        self.gate = DemandGate(loop)

    def schedule(self, action: typing.ScheduledAction[_TState], state: _TState | None = None) -> abc.DisposableBase:
        """Run an action as soon as the loop gets to it."""
        return self.schedule_relative(0.0, action, state)

    def schedule_relative(
        self, duetime: typing.RelativeTime, action: typing.ScheduledAction[_TState], state: _TState | None = None
    ) -> abc.DisposableBase:
        """Run an action after so many seconds (or a `timedelta`)."""
        work = _Scheduled(self.loop, lambda: action(self, state))
        work.start(max(0.0, self.to_seconds(duetime)))
        return work

    def schedule_absolute(
        self, duetime: typing.AbsoluteTime, action: typing.ScheduledAction[_TState], state: _TState | None = None
    ) -> abc.DisposableBase:
        """Run an action at a time of day, a `datetime` or seconds since the epoch."""
        return self.schedule_relative(self.to_datetime(duetime) - self.now, action, state)


class _Scheduled(abc.DisposableBase):
    """One action on its way to the loop; disposing it cancels the action, or what the action returned."""

    __slots__ = ("_action", "_is_disposed", "_loop", "_result", "handle")

    def __init__(self, loop: asyncio.AbstractEventLoop, action: Callable[[], Any]) -> None:
        self._loop = loop
        self._action = action
        self._is_disposed = False
        self._result: abc.DisposableBase | None = None
        self.handle: asyncio.Handle | None = None

    def start(self, seconds: float) -> None:
        if asyncio._get_running_loop() is not self._loop:
            due = self._loop.time() + seconds
            call_on(self._loop, lambda: self.start(max(0.0, due - self._loop.time())))
        elif not self._is_disposed:
            later = self._loop.call_later(seconds, self._run) if seconds > 0.0 else self._loop.call_soon(self._run)
            self.handle = later
            if self._is_disposed:  # meanwhile, on another thread, which found no handle
                later.cancel()

    def _run(self) -> None:
        if not self._is_disposed:
            result = self._action()
            if isinstance(result, abc.DisposableBase):
                self._result = result
                if self._is_disposed:
                    result.dispose()

    def dispose(self) -> None:
        self._is_disposed = True
        if (result := self._result) is not None:
            result.dispose()
        elif (handle := self.handle) is not None:
            if asyncio._get_running_loop() is self._loop:
                handle.cancel()
            else:
                try:
                    self._loop.call_soon_threadsafe(handle.cancel)
                except RuntimeError:  # the loop is closed: nothing will run
                    pass


def loop_scheduler(*candidates: abc.SchedulerBase | None) -> abc.SchedulerBase:
    """The first scheduler given, else one for the loop of the moment: what a time operator uses, never a thread."""
    for scheduler in candidates:
        if scheduler is not None:
            return scheduler
    return LoopScheduler(current_loop())


TOLERANCE = 1e-6
"""Seconds by which a timer may come early: loops round to their clock's resolution, virtual time to microseconds."""


def clock_of(scheduler: abc.SchedulerBase) -> Callable[[], float]:
    """The clock, in seconds, by which a scheduler's relative timers run; a fraction of the cost of its `now`."""
    if not isinstance(scheduler, LoopScheduler):
        return lambda: Scheduler.to_seconds(scheduler.now)
    loop = scheduler.loop
    if getattr(loop.time, "__func__", None) is asyncio.BaseEventLoop.time:
        return time.monotonic  # all that asyncio's own does, at half the cost
    return loop.time
