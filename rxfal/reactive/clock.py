"""The clock that event loops go by, and how early their timers may come."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

TOLERANCE = 1e-6
"""Seconds by which a timer may come early: loops round to their clock's resolution, virtual time to microseconds."""


def clock_of_loop(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """A loop's clock, in seconds, that goes on while a callback runs.

    For asyncio's own loops that is `time.monotonic`, all that their `time` does, at half the cost. uvloop's `time`
    stands still between two looks at its sockets; it goes by the same clock. Any other loop (of a test, perhaps) is
    asked.
    """
    is_asyncio = getattr(loop.time, "__func__", None) is asyncio.BaseEventLoop.time
    return time.monotonic if is_asyncio or type(loop).__module__ == "uvloop" else loop.time


def next_tick(due: float, period: float, now: float) -> float:
    """When a tick that was due at `due` is due again: on the same beat, so that lateness does not add up.

    Beats that are over by `now` are left out.
    """
    due += period
    return due if due >= now or period <= 0.0 else due + math.ceil((now - due) / period) * period
