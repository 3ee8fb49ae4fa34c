"""LoopScheduler: a reactivex scheduler on an asyncio event loop, callable from any thread.

A Stream that is subscribed without a scheduler creates one of these. Operators pass it up the chain. So their timers
run on the loop instead of a thread each, and the sources can find what belongs to the whole subscription: its demand
gate and its consumer.
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
    """The final receiver of a subscription: the last observer in its chain, or in the part that runs on one loop."""

    is_stopped: bool

    @property
    def is_pulling(self) -> bool:
        """Whether someone is waiting on this consumer, and would wait forever if it were never told the end."""
        ...

    @property
    def asking(self) -> Asking | None:
        """For a consumer with a queue, whether it wants an item now; otherwise None."""
        ...

    def on_error(self, error: Exception) -> None:
        """Receive the error that ends the subscription."""
        ...

    def dispose(self) -> None:
        """Leave, and end the subscription."""
        ...

    def on_loop_end(self, error: Exception) -> None:
        """Handle the end of the sources' loop. A consumer on that same loop ends with it and need not be notified."""
        ...


class LoopScheduler(PeriodicScheduler):
    """Schedules on one event loop, and carries the demand gate and the consumer of one subscription.

    Every method may be called from any thread. Off the loop's thread, it uses `call_soon_threadsafe` and never blocks.
    (reactivex's AsyncIOScheduler is not thread-safe, and its AsyncIOThreadSafeScheduler waits for the loop when
    disposed.) Once the loop is closed, disposing does nothing, and scheduling raises RuntimeError, or does nothing if
    the consumer has left.

    Args:
        loop: The event loop that runs the scheduled actions.
        gate: The demand gate; by default, a new one.
        consumer: Is told directly about failures in the chain that can't reach it through the chain.
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
        """End the subscription with an error, bypassing the broken chain; report the error if no subscriber is left."""
        consumer = self.consumer
        if consumer is None or consumer.is_stopped:
            self.report(error)
        else:
            consumer.on_error(error)

    def report(self, error: Exception) -> None:
        """Report an error to the loop's exception handler, because no subscriber is left to receive it."""
        self.loop.call_exception_handler(
            {"message": f"an operator raised {error!r}, and no subscriber is left to tell", "exception": error}
        )

    def schedule(self, action: typing.ScheduledAction[_TState], state: _TState | None = None) -> abc.DisposableBase:
        """Run an action as soon as possible on the loop."""
        return self.schedule_relative(0.0, action, state)

    def schedule_relative(
        self, duetime: typing.RelativeTime, action: typing.ScheduledAction[_TState], state: _TState | None = None
    ) -> abc.DisposableBase:
        """Run an action after a delay, in seconds or as a `timedelta`."""
        work = _Scheduled(self, lambda: action(self, state))
        work.start(max(0.0, self.to_seconds(duetime)))
        return work

    def schedule_absolute(
        self, duetime: typing.AbsoluteTime, action: typing.ScheduledAction[_TState], state: _TState | None = None
    ) -> abc.DisposableBase:
        """Run an action at an absolute time, a `datetime` or seconds since the epoch."""
        return self.schedule_relative(self.to_datetime(duetime) - self.now, action, state)

    def schedule_periodic(
        self,
        period: typing.RelativeTime,
        action: typing.ScheduledPeriodicAction[_TState],
        state: _TState | None = None,
    ) -> abc.DisposableBase:
        """Run an action periodically, in seconds or as a `timedelta`. Ticks count from now, so delays don't add up.

        If an action takes longer than the period, the ticks that it overlaps are skipped.
        """
        seconds = max(0.0, self.to_seconds(period))
        clock = clock_of_loop(self.loop)
        due = clock() + seconds
        timer = MultipleAssignmentDisposable()

        def tick(*_: Any) -> None:
            nonlocal due, state
            state = action(state)
            due = next_tick(due, seconds, clock())
            timer.disposable = self.schedule_relative(due - clock(), tick)  # at once disposed, if the timer was

        timer.disposable = self.schedule_relative(seconds, tick)
        return timer


class _Scheduled(abc.DisposableBase):
    """One scheduled action. Disposing it cancels the action, or disposes what the action returned."""

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
            if self._is_disposed:  # disposed in the meantime by another thread, before there was a handle
                later.cancel()

    def _run(self) -> None:
        if not self._is_disposed:
            try:
                result = self._action()
            except Exception as error:  # an operator's own failure: whoever waits for the stream must not wait forever
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
    """Return the first scheduler given, otherwise one for the current loop, so that time operators need no threads."""
    for scheduler in candidates:
        if scheduler is not None:
            return scheduler
    return LoopScheduler(current_loop())


def clock_of(scheduler: abc.SchedulerBase) -> Callable[[], float]:
    """Return the clock, in seconds, that a scheduler's relative timers use; far cheaper to read than its `now`."""
    if isinstance(scheduler, LoopScheduler):
        return clock_of_loop(scheduler.loop)
    return lambda: Scheduler.to_seconds(scheduler.now)


def clock_without_pauses(scheduler: abc.SchedulerBase, gate: DemandGate | None) -> Callable[[], float]:
    """Return a scheduler's clock, minus the time for which a gate was closed. It may go on while the gate is closed."""
    clock = clock_of(scheduler)
    if gate is None:
        return clock
    if isinstance(scheduler, LoopScheduler) and scheduler.gate is gate:
        return gate.clock
    return lambda: clock() - gate.paused
