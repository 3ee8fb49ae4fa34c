"""The one watchdog over silences: a single timer for a whole stream, and nothing to do per event."""

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
    """Calls `expire` when a silence has lasted for so many seconds; once, until it is started again.

    The timer is set for the end of the present silence and, when it rings, looks how much of that is left by then.
    Before it expires, an event loop looks at its sockets once more: a program that was busy is not a silent source.

    Args:
        seconds: The longest silence.
        since: When the present silence began; None while there is none.
        clock: The time, in seconds.
        expire: Called at the end of one that lasted longer.
        scheduler: Where the timer runs.
        gate: While it is closed, silence stands still, and nothing is looked at.
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
        """Watch."""
        timer = self._timer = self._scheduler.schedule_relative(self._remaining(), self._look)
        if self._is_stopped:  # meanwhile, on another thread
            timer.dispose()

    def stop(self) -> None:
        """Watch no more; from any thread."""
        self._is_stopped = True
        timer, self._timer, self._expire = self._timer, None, noop  # both lead back here
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
        if since != self._since():  # something came, and another silence began
            self._look()
        elif self._is_due():
            try:
                self._expire()
            except Exception as error:  # as in what the scheduler runs itself: who waits must not wait for ever
                if not scheduler.tell(error):
                    raise

    def _is_due(self) -> bool:
        if self._is_stopped:
            return False
        if self._gate is not None and self._gate.closed:
            self._gate.add_listener(self._resume)
            self._resume()  # it may have opened between the two lines
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
        # Two threads may come here for one opening: whoever takes the listener away starts the timer.
        if self._gate.remove_listener(self._resume) and not self._is_stopped:
            self.start()


def call_after_poll(loop: asyncio.AbstractEventLoop, callback: Callable[[], Any]) -> None:
    """Call back once the loop has looked at its sockets again and whoever that woke has run.

    For timers that are about to call a source silent: a loop that was kept busy finds the data only then. Runs on the
    loop's thread.

    Args:
        loop: The running loop.
        callback: Called without arguments.
    """
    # Within an iteration asyncio runs what was ready, then the I/O it found, then the timers that are due; uvloop runs
    # the timers before the I/O, and takes a zero timer for a `call_soon`. Two of each come after a look at the sockets,
    # and after the tasks which that look woke, with either.
    loop.call_later(0.0, lambda: loop.call_later(0.0, lambda: loop.call_soon(loop.call_soon, callback)))
