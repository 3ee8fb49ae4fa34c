"""What the programs of this folder share: models to show, and a report on stdout that the tests read.

Each program runs in a process of its own, on a toolkit's own thread: `python -m tests.ui.qt_program PySide6 shown`.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from rxfal.reactive.background import background_loop, open_streams
from rxfal.reactive.reader import Sink
from rxfal.reactive.stream import Stream, create

PATIENCE = 10.0
MANY = 20_000


class Model:
    """A stream that notes when it was closed, and how far it has come."""

    def __init__(self, items: int | None, pause: float = 0.0) -> None:
        self.closed = threading.Event()
        self.sent = 0
        self._items = items
        self._pause = pause
        self.stream: Stream[int] = create(self._read, name="model")

    async def _read(self, sink: Sink[int]) -> None:
        try:
            while self._items is None or self.sent < self._items:
                self.sent += 1
                sink.on_next(self.sent)
                if sink.gate.closed:
                    await sink.gate.wait()
                if self._pause:
                    await asyncio.sleep(self._pause)
        finally:
            self.closed.set()


class Seen:
    """What callbacks were told, and on which thread."""

    def __init__(self) -> None:
        self.items: list[int] = []
        self.ends: list[str] = []
        self.threads: set[int] = set()

    def on_next(self, item: int) -> None:
        self.threads.add(threading.get_ident())
        self.items.append(item)

    def on_error(self, error: Exception) -> None:
        self.ends.append(repr(error))

    def on_completed(self) -> None:
        self.threads.add(threading.get_ident())
        self.ends.append("completed")

    @property
    def callbacks(self) -> tuple[Callable[..., None], ...]:
        return self.on_next, self.on_error, self.on_completed


class Window:
    """A toolkit's event loop, turned by hand.

    Args:
        turn: Lets the toolkit handle what waits.
    """

    def __init__(self, turn: Callable[[], None]) -> None:
        self._turn = turn
        self.longest_turn = 0.0

    def until(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> bool:
        """Turn it until something holds."""
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            self.turn()
            time.sleep(0.0005)
        return bool(condition())

    def turn(self) -> None:
        began = time.monotonic()
        self._turn()
        self.longest_turn = max(self.longest_turn, time.monotonic() - began)

    def a_while(self) -> None:
        """Some turns, for what must not happen any more."""
        self.until(lambda: False, 0.2)


def waiting_for(stream: Stream[Any], turn: Callable[[], None], destroy: Callable[[], None]) -> str:
    """What an `await` in the window's thread gets when the window is destroyed; empty if it waits on."""

    async def wait() -> str:
        waiting = asyncio.ensure_future(stream.wait())
        for step in range(500):
            if step == 10:
                destroy()
            turn()
            await asyncio.sleep(0.001)
        waiting.cancel()
        (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
        return str(outcome)

    return asyncio.run(wait())


def reports() -> list[str]:
    """What the background loop's exception handler is told from now on."""
    told: list[str] = []
    loop = background_loop().loop
    loop.call_soon_threadsafe(loop.set_exception_handler, lambda _, context: told.append(context["message"]))
    return told


def still_open() -> list[str]:
    """The streams that are open on the background loop, a moment later."""
    end = time.monotonic() + 2.0
    while open_streams(background_loop().loop) and time.monotonic() < end:
        time.sleep(0.001)
    return open_streams(background_loop().loop)


def report(**facts: Any) -> None:
    """Tell the test."""
    print(json.dumps(facts))
