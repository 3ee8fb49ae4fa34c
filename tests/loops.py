"""The kinds of event loop that are here to be tested on."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

LOOPS: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}

if importlib.util.find_spec("uvloop"):
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop

if hasattr(asyncio, "eager_task_factory"):  # from Python 3.12 on

    def _eager() -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        loop.set_task_factory(asyncio.eager_task_factory)  # pyright: ignore[reportAttributeAccessIssue]
        return loop

    LOOPS["eager"] = _eager
    """On which a task takes its first step where it is made, before the code that makes it goes on."""
