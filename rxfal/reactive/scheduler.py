"""LoopScheduler: reactivex's time on an asyncio event loop, callable from any thread.

A Stream that is subscribed without a scheduler subscribes with one of these. Operators hand it up the chain, so
that their timers run on the loop (not on a thread each) and the sources find what belongs to the whole subscription:
its demand gate, and its consumer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from reactivex import abc, typing
from reactivex.disposable import MultipleAssignmentDisposable
from reactivex.scheduler.periodicscheduler import PeriodicScheduler
from reactivex.scheduler.scheduler import Scheduler

from .background import current_loop
from .clock import clock_of_loop, next_tick
from .gate import Asking, DemandGate
from .hops import call_on, running_loop

_TState = TypeVar("_TState")


class Consumer(Protocol):
    """Whoever a subscription is for: the last observer of its chain, or of the part of it that runs on one loop."""

    is_stopped: bool

    @property
    def is_pulling(self) -> bool:
        """Whether somebody waits here, and would for ever if no end came."""
        ...

    @property
    def asking(self) -> Asking | None:
        """Of one with a queue, whether it wants an item now."""
        ...

    def on_error(self, error: Exception) -> None:
        """Take the end."""
        ...

    def dispose(self) -> None:
        """Leave."""
        ...

    def on_loop_end(self, error: Exception) -> None:
        """Take it that the sources' loop has ended; who lives on that loop ends with it, and needs no telling."""
        ...


class LoopScheduler(PeriodicScheduler):
    """Schedules on one event loop, and carries the demand gate and the consumer of one subscription.

    Every method may be called from any thread: off the loop it hops with `call_soon_threadsafe` and never blocks.
    (reactivex's AsyncIOScheduler is not thread-safe, its AsyncIOThreadSafeScheduler waits for the loop when
    disposed.) Once the loop is closed, scheduling raises RuntimeError (or does nothing, where the consumer
    has left) and disposing does nothing.

    Args:
        loop: The event loop that runs the scheduled actions.
        gate: The demand gate. Left out, one of its own.
        consumer: Who is told when something on the way breaks that can't tell it the usual way.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        gate: DemandGate | None = None,
        consumer: Consumer | None = None,
    ) -> None:
        super().__init__()
        self.loop = loop
        self.gate = gate or DemandGate(loop)
        self.consumer = consumer

    def tell(self, error: Exception) -> None:
        """End the subscription with an error, past whatever is broken on the way; report it if no one is left."""
        consumer = self.consumer
        if consumer is None or consumer.is_stopped:
            self.report(error)
        else:
            consumer.on_error(error)

    def report(self, error: Exception) -> None:
        """Tell the loop's exception handler of an error that no subscriber is left for."""
        self.loop.call_exception_handler(
            {"message": f"an operator raised {error!r}, and no subscriber is left to tell", "exception": error}
        )

    def schedule(self, action: typing.ScheduledAction[_TState], state: _TState | None = None) -> abc.DisposableBase:
        """Run an action as soon as the loop gets to it."""
        return self.schedule_relative(0.0, action, state)

    def schedule_relative(
        self, duetime: typing.RelativeTime, action: typing.ScheduledAction[_TState], state: _TState | None = None
    ) -> abc.DisposableBase:
        """Run an action after so many seconds (or a `timedelta`)."""
        work = _Scheduled(self, lambda: action(self, state))
        work.start(max(0.0, self.to_seconds(duetime)))
        return work

    def schedule_absolute(
        self, duetime: typing.AbsoluteTime, action: typing.ScheduledAction[_TState], state: _TState | None = None
    ) -> abc.DisposableBase:
        """Run an action at a time of day, a `datetime` or seconds since the epoch."""
        return self.schedule_relative(self.to_datetime(duetime) - self.now, action, state)

    def schedule_periodic(
        self,
        period: typing.RelativeTime,
        action: typing.ScheduledPeriodicAction[_TState],
        state: _TState | None = None,
    ) -> abc.DisposableBase:
        """Run an action every so many seconds (or a `timedelta`), counted from now: late ones don't add up.

        While an action takes longer than the period, the ticks that it covers are left out.
        """
        seconds = max(0.0, self.to_seconds(period))
        clock = clock_of_loop(self.loop)
        due = clock() + seconds
        timer = MultipleAssignmentDisposable()

        def tick(*_: Any) -> None:
            nonlocal due, state
            if not timer.is_disposed:
                state = action(state)
                due = next_tick(due, seconds, clock())
                timer.disposable = self.schedule_relative(due - clock(), tick)

        timer.disposable = self.schedule_relative(seconds, tick)
        return timer


class _Scheduled(abc.DisposableBase):
    """One action on its way to the loop; disposing it cancels the action, or what the action returned."""

    __slots__ = ("_action", "_is_disposed", "_loop", "_result", "_scheduler", "handle")

    def __init__(self, scheduler: LoopScheduler, action: Callable[[], Any]) -> None:
        self._scheduler = scheduler
        self._loop = scheduler.loop
        self._action = action
        self._is_disposed = False
        self._result: abc.DisposableBase | None = None
        self.handle: asyncio.Handle | None = None

    def start(self, seconds: float) -> None:
        if running_loop() is not self._loop:
            due = self._loop.time() + seconds
            try:
                call_on(self._loop, lambda: self.start(max(0.0, due - self._loop.time())))
            except RuntimeError:  # the loop is closed
                consumer = self._scheduler.consumer
                if consumer is None or not consumer.is_stopped:
                    raise
        elif not self._is_disposed:
            later = self._loop.call_later(seconds, self._run) if seconds > 0.0 else self._loop.call_soon(self._run)
            self.handle = later
            if self._is_disposed:  # meanwhile, on another thread, which found no handle
                later.cancel()

    def _run(self) -> None:
        if not self._is_disposed:
            try:
                result = self._action()
            except Exception as error:  # an operator's own: whoever waits for the stream must not wait for ever
                self._scheduler.tell(error)
                return
            if isinstance(result, abc.DisposableBase):
                self._result = result
                if self._is_disposed:
                    result.dispose()

    def dispose(self) -> None:
        self._is_disposed = True
        if (result := self._result) is not None:
            result.dispose()
        elif (handle := self.handle) is not None:
            if running_loop() is self._loop:
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


def clock_of(scheduler: abc.SchedulerBase) -> Callable[[], float]:
    """The clock, in seconds, by which a scheduler's relative timers run; a fraction of the cost of its `now`."""
    if isinstance(scheduler, LoopScheduler):
        return clock_of_loop(scheduler.loop)
    return lambda: Scheduler.to_seconds(scheduler.now)
