"""`share`: one subscription to the source for all present subscribers; its states, and its gate."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rxfal.reactive.iterate import iterate
from rxfal.reactive.reader import Sink
from rxfal.reactive.stream import Stream, create
from tests.reactive.sources import PATIENCE, Counter, Log, spin, until

pytestmark = pytest.mark.every_loop


async def full(stream: Stream[Any], size: int = 4) -> AsyncIterator[Any]:
    """An iterator that has had its first item and is full."""
    items = iterate(stream, buffer_size=size)
    await anext(items)
    await spin()
    return items


async def test_a_shared_source_pauses_while_any_present_subscriber_is_full():
    counter = Counter(10**9)
    shared = counter.stream.share()
    slow, quick = await asyncio.gather(full(shared), full(shared, 1000))
    assert counter.produced <= 5
    for _ in range(3):
        await anext(quick)
    await spin()
    assert counter.produced <= 5
    await slow.aclose()  # pyright: ignore[reportAttributeAccessIssue]
    await until(lambda: counter.produced > 100)
    await quick.aclose()  # pyright: ignore[reportAttributeAccessIssue]


async def test_a_shared_source_goes_on_when_the_full_subscriber_has_room_again():
    counter = Counter(10**9)
    items = await full(counter.stream.share())
    before = counter.produced
    for _ in range(4):
        await anext(items)
    await until(lambda: counter.produced > before)
    await items.aclose()  # pyright: ignore[reportAttributeAccessIssue]


async def test_a_subscriber_that_comes_while_the_source_is_paused_leaves_it_paused():
    counter, log = Counter(10**9), Log()
    shared = counter.stream.share()
    items = await full(shared)
    before = counter.produced
    with shared.subscribe(*log.callbacks):
        await spin()
        assert counter.produced == before
    await items.aclose()  # pyright: ignore[reportAttributeAccessIssue]


def test_subscribers_of_a_shared_stream_on_different_threads_and_loops_all_get_everything():
    counter = Counter(3000)
    gate = threading.Event()

    async def read(sink: Sink[int]) -> None:
        await until(gate.is_set)
        await counter._read(sink)

    shared = create(read, name="shared").share()
    results: list[list[int]] = [[] for _ in range(4)]
    ready = threading.Barrier(5)

    async def on_a_loop(number: int) -> None:
        async for item in iterate(shared.do_action(), buffer_size=16):
            results[number].append(item)

    def blocking(number: int) -> None:
        results[number].extend(shared.blocking(buffer_size=16))

    log = Log()
    keeper = shared.subscribe(*log.callbacks)  # on the background loop, so the source does not end with a test's loop

    def worker(number: int) -> None:
        ready.wait(PATIENCE)
        asyncio.run(on_a_loop(number)) if number % 2 else blocking(number)

    threads = [threading.Thread(target=worker, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    ready.wait(PATIENCE)
    while len(subscribers(shared)) < 5:
        threading.Event().wait(0.001)
    gate.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert log.ended.wait(PATIENCE)
    keeper.dispose()
    assert [len(result) for result in results] == [3000] * 4
    assert results == [log.items] * 4 == [list(range(3000))] * 4


def subscribers(shared: Stream[Any]) -> tuple[Any, ...]:
    """How many a shared stream has, which it tells nobody."""
    subscribe: Any = shared._subscribe
    while not hasattr(subscribe, "__self__") or not hasattr(subscribe.__self__, "state"):
        subscribe = subscribe.__self__._subscribe
    return subscribe.__self__.state.members


async def test_run_on_the_loop_of_a_shared_source_says_that_it_would_wait_for_itself():
    counter, log = Counter(10**9), Log()
    shared = counter.stream.share()
    with shared.subscribe(*log.callbacks):
        with pytest.raises(RuntimeError, match="wait for themselves for ever"):
            shared.run()
        with pytest.raises(RuntimeError, match="wait for themselves for ever"):
            next(shared.map(str).blocking())
        before = counter.produced
        await until(lambda: counter.produced > before)  # the others go on
    assert log.ends == []
