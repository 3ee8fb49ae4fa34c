"""Sources that the tests feed by hand, from any thread, with an answer when what they sent has been handed on."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import Any

from rxfal.reactive.reader import Sink
from rxfal.reactive.stream import Stream, create

PATIENCE = 10.0
"""Seconds after which a test that waits for something has failed."""

END = object()
"""In a burst: complete."""


class Run:
    """One subscription to a `Source`."""

    def __init__(self, sink: Sink[Any]) -> None:
        self.sink = sink
        self.loop = asyncio.get_running_loop()
        self.thread = threading.current_thread()
        self.task: asyncio.Task[Any] = asyncio.current_task()  # pyright: ignore[reportAttributeAccessIssue]
        self.closed = threading.Event()
        self._bursts: asyncio.Queue[tuple[tuple[Any, ...], concurrent.futures.Future[None]]] = asyncio.Queue()

    def push(self, *burst: Any) -> concurrent.futures.Future[None]:
        """Hand on a burst without an await in between; done when the last item has been handed on."""
        done: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.loop.call_soon_threadsafe(self._bursts.put_nowait, (burst, done))
        return done

    async def send(self, *burst: Any) -> None:
        """Push, and wait for it on the source's own loop."""
        await asyncio.wait_for(asyncio.wrap_future(self.push(*burst)), PATIENCE)

    async def read(self) -> None:
        try:
            while True:
                burst, done = await self._bursts.get()
                try:
                    for item in burst:
                        if item is END:
                            return
                        if isinstance(item, BaseException):
                            raise item
                        self.sink.on_next(item)
                        if self.sink.gate.closed:
                            await self.sink.gate.wait()
                finally:
                    done.set_result(None)
        finally:
            self.closed.set()


class Source:
    """A cold stream that the test feeds; `runs` has its subscriptions, the oldest first."""

    def __init__(self, name: str = "source") -> None:
        self.runs: list[Run] = []
        self._opened = threading.Condition()
        self.stream: Stream[Any] = create(self._read, name=name)

    async def _read(self, sink: Sink[Any]) -> None:
        run = Run(sink)
        with self._opened:
            self.runs.append(run)
            self._opened.notify_all()
        await run.read()

    def opened(self, number: int = 1) -> Run:
        """Wait on another thread than the loop's until so many subscriptions have begun; the newest of them."""
        with self._opened:
            assert self._opened.wait_for(lambda: len(self.runs) >= number, PATIENCE), "no subscription"
            return self.runs[number - 1]

    async def open(self, number: int = 1) -> Run:
        """The same on the loop, which goes on running."""
        await until(lambda: len(self.runs) >= number)
        return self.runs[number - 1]


class Log:
    """An observer that keeps what it is told, in order."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.ends: list[Any] = []
        self.ended = threading.Event()

    @property
    def callbacks(self) -> tuple[Any, Any, Any]:
        return self.items.append, self._end, lambda: self._end("completed")

    def _end(self, end: Any) -> None:
        self.ends.append(end)
        self.ended.set()


class Counter:
    """A source of the numbers below `total`, in bursts of a thousand; `produced` says how far it is."""

    def __init__(self, total: int, name: str = "counter") -> None:
        self.total = total
        self.produced = 0
        self.stream: Stream[int] = create(self._read, name=name)

    async def _read(self, sink: Sink[int]) -> None:
        for number in range(self.total):
            self.produced = number + 1
            sink.on_next(number)
            if sink.gate.closed:
                await sink.gate.wait()
            if not self.produced % 1000:
                await asyncio.sleep(0)


async def forever(sink: Sink[Any]) -> None:
    """A source that never says anything."""
    await asyncio.Event().wait()


async def spin(turns: int = 20) -> None:
    """Let the loop go round, so that whatever was going to happen without an outside event has happened."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def until(condition: Any) -> None:
    """Let the loop go round until something holds that needs no more than that, or another thread."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await spin(1)
