"""Watchdog: detects silence with a single timer for a whole stream, and no work per event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from reactivex import abc
from reactivex.internal import noop

from .clock import TOLERANCE
from .gate import DemandGate
from .scheduler import LoopScheduler


class Watchdog:
    """Calls `expire` when a silence has lasted too long; only once, until it is started again.

    The timer is set for the end of the current silence. When it fires, it checks how much time is left by then. Before
    the watchdog expires, the event loop polls its sockets once more, because a busy program is not a silent source.

    Args:
        seconds: The longest allowed silence, in seconds.
        since: Returns when the current silence began, or None if there is none.
        clock: Returns the time, in seconds.
        expire: Called when a silence has lasted longer than `seconds`.
        scheduler: Runs the timer.
        gate: While it is closed, no silence is counted and nothing is checked.
    """

    __slots__ = ("_clock", "_expire", "_gate", "_is_stopped", "_scheduler", "_seconds", "_since", "_timer")

    def __init__(
        self,
        seconds: float,
        since: Callable[[], float | None],
        clock: Callable[[], float],
        expire: Callable[[], None],
        scheduler: abc.SchedulerBase,
        gate: DemandGate | None = None,
    ) -> None:
        self._seconds = seconds
        self._since = since
        self._clock = clock
        self._expire = expire
        self._scheduler = scheduler
        self._gate = gate
        self._timer: abc.DisposableBase | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Start watching."""
        timer = self._timer = self._scheduler.schedule_relative(self._remaining(), self._look)
        if self._is_stopped:  # stopped in the meantime by another thread
            timer.dispose()

    def stop(self) -> None:
        """Stop watching; callable from any thread."""
        self._is_stopped = True
        timer, self._timer, self._expire = self._timer, None, noop  # both refer back to this object
        if timer is not None:
            timer.dispose()
        if self._gate is not None:
            self._gate.remove_listener(self._resume)

    def _look(self, *_: Any) -> None:
        if self._is_due():
            if isinstance(self._scheduler, LoopScheduler):
                call_after_poll(self._scheduler.loop, partial(self._look_again, self._scheduler, self._since()))
            else:
                self._expire()

    def _look_again(self, scheduler: LoopScheduler, since: float | None) -> None:
        if since != self._since():  # an item came, and a new silence began
            self._look()
        elif self._is_due():
            try:
                self._expire()
            except Exception as error:  # as for the scheduler's own actions: no one must wait forever
                scheduler.tell(error)

    def _is_due(self) -> bool:
        if self._is_stopped:
            return False
        if self._gate is not None and self._gate.closed:
            self._gate.add_listener(self._resume)
            self._resume()  # it may have opened just before the listener was added
            return False
        if self._remaining() > TOLERANCE:
            self.start()
            return False
        return True

    def _remaining(self) -> float:
        since = self._since()
        return self._seconds if since is None else since + self._seconds - self._clock()

    def _resume(self) -> None:
        if self._gate is None or self._gate.closed:
            return
        # Two threads may get here for the same opening: whichever removes the listener starts the timer.
        if self._gate.remove_listener(self._resume) and not self._is_stopped:
            self.start()


def call_after_poll(loop: asyncio.AbstractEventLoop, callback: Callable[[], Any]) -> None:
    """Call back once the loop has polled its sockets again and the tasks that this woke have run.

    For timers that are about to declare a source silent: a loop that was busy only finds its data then. Call this on
    the loop's thread.

    Args:
        loop: The running loop.
        callback: Called without arguments.
    """
    # In one iteration, asyncio runs the ready callbacks, then the I/O it found, then the timers that are due. uvloop
    # runs the timers before the I/O, and treats a zero timer as a `call_soon`. With either loop, two of each come after
    # a poll of the sockets, and after the tasks that the poll woke.
    loop.call_later(0.0, lambda: loop.call_later(0.0, lambda: loop.call_soon(loop.call_soon, callback)))
