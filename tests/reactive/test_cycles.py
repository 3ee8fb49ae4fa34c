"""What has ended or was disposed is let go of at once, and does not wait for the garbage collector."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import reactivex as rx

from rxfal import operators as ops
from rxfal.reactive.merge import merge
from rxfal.reactive.race import hedge, race
from rxfal.reactive.stream import Stream, create, from_observable
from tests.reactive.sources import spin

ROUNDS = 20


async def three(sink: Any) -> None:
    for number in range(3):
        sink.on_next(number)


async def endless(sink: Any) -> None:
    sink.on_next(0)
    await asyncio.Event().wait()


CHAINS: dict[str, Callable[[Stream[Any]], Stream[Any]]] = {
    "the source": lambda stream: stream,
    "map, filter": lambda stream: stream.pipe(ops.map(lambda item: item), ops.filter(lambda _: True)),
    "timeout": lambda stream: stream.pipe(ops.timeout(60)),
    "buffer": lambda stream: stream.pipe(ops.buffer(count=2)),
    "share": lambda stream: from_observable(rx.defer(lambda _: stream.pipe(ops.share()))),
    "on_loop": lambda stream: stream.pipe(ops.on_loop(asyncio.get_running_loop())),
    "on_thread": lambda stream: stream.pipe(ops.on_thread(lambda deliver: deliver())),
    "conflate": lambda stream: stream.pipe(ops.conflate()),
    "exhaust_map": lambda stream: stream.pipe(ops.exhaust_map(lambda _: stream)),
    "keep_alive": lambda stream: stream.pipe(ops.keep_alive(60, None)),
    "memoize": lambda stream: from_observable(rx.defer(lambda _: stream.pipe(ops.memoize()))),
    "flat_map": lambda stream: stream.pipe(ops.flat_map(lambda _: stream)),
    "merge": lambda stream: merge(a=stream, b=stream),
    "race": lambda stream: race(stream, stream),
    "hedge": lambda stream: hedge(stream, after=60),
}


async def to_the_end(stream: Stream[Any]) -> None:
    ended = asyncio.Event()
    stream.subscribe(lambda _: None, on_completed=ended.set)
    await ended.wait()


async def awaited(stream: Stream[Any]) -> None:
    await stream


async def iterated(stream: Stream[Any]) -> None:
    async for _ in stream:
        pass


async def disposed_on_its_way(stream: Stream[Any]) -> None:
    with stream.subscribe(lambda _: None):
        await spin()


async def disposed_before_its_first_step(stream: Stream[Any]) -> None:
    stream.subscribe(lambda _: None).dispose()


USES: list[tuple[Callable[[Any], Any], Callable[[Stream[Any]], Awaitable[None]]]] = [
    (three, to_the_end),
    (three, awaited),
    (three, iterated),
    (endless, disposed_on_its_way),
    (endless, disposed_before_its_first_step),
]


@pytest.mark.parametrize(("read", "use"), USES, ids=[use.__name__ for _, use in USES])
@pytest.mark.parametrize("chain", CHAINS)
async def test_a_subscription_leaves_no_cycle_behind(
    chain: str, read: Callable[[Any], Any], use: Callable[[Stream[Any]], Awaitable[None]]
):
    stream = CHAINS[chain](create(read, name=chain))
    await use(stream)
    await spin(20)
    gc.disable()
    gc.freeze()  # what was there before is not looked through
    try:
        for _ in range(ROUNDS):
            await use(stream)
        await spin(20)
        found = gc.collect()
    finally:
        gc.unfreeze()
        gc.enable()
    assert found < ROUNDS  # a cycle in each would be many objects in each
