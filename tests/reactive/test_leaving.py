"""Rule 3: who stops waiting or iterating, in whatever way, disposes the subscription, and promptly."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing

import pytest
import reactivex as rx

from rxfal.reactive.iterate import iterate
from tests.reactive.sources import PATIENCE, Log, Source, spin, until

pytestmark = pytest.mark.every_loop


async def test_cancelling_the_task_that_awaits_disposes():
    source = Source()
    waiting = asyncio.ensure_future(source.stream)
    run = await source.open()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await spin()
    assert run.closed.is_set()


async def test_a_timeout_around_await_disposes():
    source = Source()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await source.stream
    await spin()
    assert source.runs[0].closed.is_set()


@pytest.mark.parametrize("chain", ["stream", "observable"])
async def test_cancelling_the_task_that_iterates_disposes(chain: str):
    source, seen = Source(), list[int]()
    iterated = source.stream if chain == "stream" else iterate(rx.merge(source.stream, rx.never()))

    async def consume() -> None:
        async for item in iterated:
            seen.append(item)

    task = asyncio.ensure_future(consume())
    run = await source.open()
    await run.send(1)
    await until(lambda: seen)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await spin()
    assert run.closed.is_set()


async def test_break_disposes_promptly():
    source = Source()

    async def feed() -> None:
        await (await source.open()).send(1, 2, 3)

    feeding = asyncio.ensure_future(feed())
    async for item in source.stream:
        assert item == 1
        break
    await feeding
    await spin(3)
    assert source.runs[0].closed.is_set()


def test_break_and_the_end_of_the_program_at_once_close_the_source():
    source = Source()

    async def main() -> None:
        feeding = asyncio.ensure_future(source.open())
        feeding.add_done_callback(lambda opened: opened.result().push(1))
        async for _ in source.stream:
            break

    asyncio.run(main())
    assert source.runs[0].closed.is_set()


async def test_an_exception_in_the_body_of_async_for_disposes():
    source = Source()

    async def consume() -> None:
        async for _ in source.stream:
            raise KeyError("body")

    task = asyncio.ensure_future(consume())
    await (await source.open()).send(1)
    with pytest.raises(KeyError):
        await task
    del task
    await spin()
    assert source.runs[0].closed.is_set()


async def test_aclosing_disposes_an_iterator_kept_in_a_variable():
    source = Source()
    async with aclosing(iterate(source.stream)) as items:
        feeding = asyncio.ensure_future(source.open())
        feeding.add_done_callback(lambda opened: opened.result().push(1))
        assert await anext(items) == 1
        run = source.runs[0]
        assert not run.closed.is_set()
    await spin(2)
    assert run.closed.is_set()


async def test_an_iterator_never_asked_for_an_item_subscribes_to_nothing():
    source = Source()
    items = iterate(source.stream)
    await items.aclose()
    assert source.runs == []


def test_leaving_a_plain_for_disposes():
    source = Source()
    feeder = threading.Thread(target=lambda: source.opened().push(1, 2))
    feeder.start()
    for item in source.stream:
        assert item == 1
        break
    feeder.join()
    assert source.runs[0].closed.wait(PATIENCE)


def test_closing_a_blocking_iterator_disposes():
    source = Source()
    items = source.stream.blocking()
    feeder = threading.Thread(target=lambda: source.opened().push(1, 2))
    feeder.start()
    assert next(items) == 1
    items.close()
    feeder.join()
    assert source.runs[0].closed.wait(PATIENCE)


async def test_a_subscription_is_a_context_manager():
    source = Source()
    with source.stream.subscribe():
        run = await source.open()
    await spin()
    assert run.closed.is_set()


async def test_take_closes_the_source_with_its_last_item():
    source, log = Source(), Log()
    source.stream.take(2).subscribe(*log.callbacks)
    run = await source.open()
    await run.send(1, 2, 3)
    await spin(2)
    assert (log.items, log.ends) == ([1, 2], ["completed"])
    assert run.closed.is_set()
