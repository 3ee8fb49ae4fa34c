"""The clock that an event loop uses, and how early its timers may fire."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

TOLERANCE = 1e-6
"""Seconds by which a timer may fire early: loops round to their clock's resolution, virtual time to microseconds."""


def clock_of_loop(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return a function that reads the loop's clock, in seconds, and that advances even while a callback runs.

    asyncio's own loops just call `time.monotonic`, so calling it directly costs half as much. uvloop uses the same
    clock, but its `time` stands still between two polls of its sockets. Any other loop (such as a test's) is asked for
    its `time`.
    """
    is_asyncio = getattr(loop.time, "__func__", None) is asyncio.BaseEventLoop.time
    return time.monotonic if is_asyncio or type(loop).__module__ == "uvloop" else loop.time


def next_tick(due: float, period: float, now: float) -> float:
    """Return when a tick that was due at `due` is due next: on the same beat, so delays don't accumulate.

    Beats that `now` has already passed are skipped.
    """
    due += period
    return due if due >= now or period <= 0.0 else due + math.ceil((now - due) / period) * period
