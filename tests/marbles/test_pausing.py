"""The lines *Pauses when* and *Cancels when* of each operator: what a source notices of a full consumer that leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing
from datetime import datetime
from itertools import count
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex.scheduler.eventloop import AsyncIOScheduler

import rxfal
from rxfal import Stream, iterate
from rxfal import operators as ops
from rxfal.reactive.reader import Sink
from rxfal.reactive.stream import create
from tests.marbles.operators import OWN
from tests.marbles.playing import virtual_time

Chain = Callable[[Stream[int]], Observable[Any]]


class Elsewhere(AsyncIOScheduler):
    """A scheduler that isn't the subscription's."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop())

    @property
    def now(self) -> datetime:
        return self.to_datetime(self._loop.time())


CHAINS: dict[str, Chain] = {
    "buffer": lambda source: source.pipe(ops.buffer(count=2)),
    "buffer, of time": lambda source: source.pipe(ops.buffer(seconds=2.5)),
    "buffer, until": lambda source: source.pipe(ops.buffer(source.map(str))),
    "buffer_with_count": lambda source: source.pipe(ops.buffer_with_count(2)),
    "buffer_with_count, skipping": lambda source: source.pipe(ops.buffer_with_count(3, 1)),
    "buffer_with_time": lambda source: source.pipe(ops.buffer_with_time(2.5)),
    "buffer_with_time, shifting": lambda source: source.pipe(ops.buffer_with_time(2.5, 1.5)),
    "buffer_with_time_or_count": lambda source: source.pipe(ops.buffer_with_time_or_count(2.5, 2)),
    "chunk_text": lambda source: source.pipe(ops.map(lambda n: f"{n} "), ops.chunk_text("word")),
    "delay": lambda source: source.pipe(ops.delay(2)),
    "delay, elsewhere": lambda source: source.pipe(ops.delay(2, Elsewhere())),
    "deltas": lambda source: source.pipe(ops.map(lambda n: {"output": "a" * n}), ops.deltas()),
    "exhaust_map": lambda source: source.pipe(ops.exhaust_map(rx.just)),
    "exhaust_map, the inner one": lambda source: ops.exhaust_map(source)(rx.just(1)),
    "filter": lambda source: source.pipe(ops.filter(lambda n: n % 2)),
    "hedge": lambda source: rxfal.hedge(source, after=3),
    "keep_alive": lambda source: source.pipe(ops.keep_alive(0.7, "still there")),
    "keep_alive, elsewhere": lambda source: source.pipe(ops.keep_alive(0.7, "still there", Elsewhere())),
    "map": lambda source: source.pipe(ops.map(str)),
    "map_concurrent": lambda source: rxfal.map_concurrent(source, call=rx.just, concurrency=2),
    "memoize": lambda source: source.pipe(ops.memoize()),
    "merge": lambda source: rxfal.merge(source, rx.never()),
    "observe_on": lambda source: source.pipe(ops.observe_on(Elsewhere())),
    "on_loop": lambda source: source.pipe(ops.on_loop(asyncio.get_running_loop())),
    "on_thread": lambda source: source.pipe(ops.on_thread(asyncio.get_running_loop().call_soon)),
    "partial_json": lambda source: source.pipe(ops.map(lambda n: "[" + "1," * n), ops.partial_json()),
    "race": lambda source: rxfal.race(source, rx.never()),
    "retry_backoff": lambda source: source.pipe(ops.retry_backoff()),
    "sequence_equal": lambda source: rxfal.merge(rx.range(9), source.pipe(ops.sequence_equal(rx.never()))),
    "share": lambda source: source.pipe(ops.share()),
    "text": lambda source: source.pipe(ops.map(lambda n: {"output": "a" * n}), ops.text()),
    "throttle_latest": lambda source: source.pipe(ops.throttle_latest(2.5)),
    "timeout": lambda source: source.pipe(ops.timeout(3)),
    "timeout, the other one": lambda source: ops.timeout(1, source)(rxfal.from_observable(rx.never())),
    "timeout, elsewhere": lambda source: source.pipe(ops.timeout(3, scheduler=Elsewhere())),
}

NEVER: dict[str, Chain] = {"conflate": lambda source: source.pipe(ops.conflate())}

IN_WINDOWS = {"on_qt", "on_tk"}
"""Tested in `tests/ui`."""


class Ticker:
    """A source of a number a second, which says how far it is, and whether it was cancelled."""

    def __init__(self) -> None:
        self.produced = 0
        self.is_cancelled = False
        self.stream: Stream[int] = create(self._read, name="ticker")

    async def _read(self, sink: Sink[int]) -> None:
        try:
            for number in count(1):
                await asyncio.sleep(1)
                self.produced = number
                sink.on_next(number)
                if sink.gate.closed:
                    await sink.gate.wait()
        except asyncio.CancelledError:
            self.is_cancelled = True
            raise


def test_every_operator_is_here() -> None:
    assert {name.partition(",")[0] for name in CHAINS} | NEVER.keys() | IN_WINDOWS == OWN.keys()


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with virtual_time() as runner:
        yield runner


async def _left_full(chain: Chain) -> Ticker:
    """Ask once, be busy for a thousand seconds, leave."""
    ticker = Ticker()
    async with aclosing(iterate(chain(ticker.stream), buffer_size=4)) as items:
        await anext(items)
        await asyncio.sleep(1000)
        assert not ticker.is_cancelled
    await asyncio.sleep(1)
    return ticker


@pytest.mark.parametrize("name", CHAINS)
def test_a_full_consumer_pauses_the_source_and_leaving_cancels_it(name: str, runner: asyncio.Runner) -> None:
    ticker = runner.run(_left_full(CHAINS[name]))
    assert ticker.produced <= 20
    assert ticker.is_cancelled


@pytest.mark.parametrize("name", NEVER)
def test_some_pause_never(name: str, runner: asyncio.Runner) -> None:
    ticker = runner.run(_left_full(NEVER[name]))
    assert ticker.produced >= 1000
    assert ticker.is_cancelled
