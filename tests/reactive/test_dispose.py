"""Rule 3: `dispose()` works from any thread, at any moment, twice, and after its loop closed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import pytest
import reactivex as rx
from reactivex.disposable import SerialDisposable

from rxfal.errors import TransportError
from rxfal.reactive.background import background_loop
from rxfal.reactive.reader import Sink
from rxfal.reactive.stream import create
from tests.reactive.sources import END, PATIENCE, Log, Source, spin

pytestmark = pytest.mark.every_loop


async def test_dispose_on_the_loop_cancels_the_task_at_once():
    source = Source()
    subscription = source.stream.subscribe()
    run = await source.open()
    subscription.dispose()
    await asyncio.sleep(0)
    assert run.closed.is_set()


def test_dispose_from_another_thread_closes_the_source():
    source, log = Source(), Log()
    subscription = source.stream.subscribe(*log.callbacks)
    run = source.opened()
    run.push(1).result(PATIENCE)
    subscription.dispose()
    assert run.closed.wait(PATIENCE)
    assert (log.items, log.ends) == ([1], [])


async def test_dispose_of_a_streams_loop_from_a_thread_does_not_wait_for_the_loop():
    source, log = Source(), Log()
    subscription = source.stream.subscribe(*log.callbacks)
    run = await source.open()
    thread = threading.Thread(target=subscription.dispose)
    thread.start()
    thread.join(PATIENCE)  # blocks the loop: a dispose that waited for it would never return
    assert not thread.is_alive()
    run.push(1)
    await spin()
    assert run.closed.is_set()
    assert log.items == []


@pytest.mark.parametrize("chain", ["bare", "map", "merged"])
async def test_dispose_inside_on_next_stops_the_rest_of_the_burst(chain: str):
    source, seen = Source(), list[int]()
    stream = source.stream
    if chain == "map":
        stream = stream.map(lambda x: x).filter(lambda x: True)
    elif chain == "merged":
        stream = stream.merge(rx.never())
    subscription = SerialDisposable()

    def on_next(item: int) -> None:
        seen.append(item)
        if item == 2:
            subscription.dispose()

    subscription.disposable = stream.subscribe(on_next, seen.append, lambda: seen.append(-1))
    run = await source.open()
    await run.send(1, 2, 3, 4, END)
    await spin()
    assert seen == [1, 2]
    assert run.closed.is_set()


async def test_dispose_from_another_thread_lets_at_most_the_item_in_delivery_finish():
    source, seen = Source(), list[int]()
    entered, disposed = threading.Event(), threading.Event()

    def on_next(item: int) -> None:
        entered.set()
        assert disposed.wait(PATIENCE)
        seen.append(item)

    subscription = source.stream.subscribe(on_next)

    def leave() -> None:
        assert entered.wait(PATIENCE)
        subscription.dispose()
        disposed.set()

    thread = threading.Thread(target=leave)
    thread.start()
    run = await source.open()
    await run.send(1, 2, 3)
    thread.join()
    assert seen == [1]


def test_dispose_twice_and_from_many_threads_at_once_is_one_dispose():
    source = Source()
    subscription = source.stream.subscribe()
    run = source.opened()
    barrier = threading.Barrier(8)

    def leave() -> None:
        barrier.wait(PATIENCE)
        subscription.dispose()

    threads = [threading.Thread(target=leave) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert run.closed.wait(PATIENCE)
    subscription.dispose()


def test_dispose_before_the_reader_started_starts_nothing():
    source = Source()
    loop = background_loop().loop
    entered, release = threading.Event(), threading.Event()

    def block() -> None:
        entered.set()
        assert release.wait(PATIENCE)

    loop.call_soon_threadsafe(block)
    assert entered.wait(PATIENCE)
    source.stream.subscribe().dispose()  # the loop has had no time to start it
    release.set()
    asyncio.run_coroutine_threadsafe(spin(), loop).result(PATIENCE)
    assert source.runs == []


async def test_dispose_before_the_task_took_its_first_step_reads_nothing():
    source = Source()
    source.stream.subscribe().dispose()
    await spin()
    assert source.runs == []


def test_dispose_after_the_loop_was_shut_down_does_nothing():
    source, log = Source(), Log()

    async def main() -> Any:
        subscription = source.stream.subscribe(*log.callbacks)
        await source.open()
        return subscription

    subscription = asyncio.run(main())
    subscription.dispose()
    subscription.dispose()
    assert (log.items, log.ends) == ([], [])


async def test_a_reader_cancelled_from_outside_ends_with_an_error_that_says_so():
    source, log = Source("owner/alias"), Log()
    source.stream.subscribe(*log.callbacks)
    run = await source.open()
    run.task.cancel()
    await spin()
    (error,) = log.ends
    assert isinstance(error, TransportError)
    assert error.kind == "cancelled"
    assert str(error).startswith("owner/alias: ")
    assert isinstance(error.__cause__, asyncio.CancelledError)


async def test_awaiting_a_stream_whose_reader_is_cancelled_from_outside_raises():
    source = Source()
    waiting = asyncio.ensure_future(source.stream)
    run = await source.open()
    run.task.cancel()
    with pytest.raises(TransportError):
        await waiting


def test_a_loop_that_shuts_down_ends_its_readers_in_silence():
    source, log = Source(), Log()

    async def main() -> None:
        source.stream.subscribe(*log.callbacks)
        await (await source.open()).send(1)

    asyncio.run(main())
    assert source.runs[0].closed.is_set()
    assert (log.items, log.ends) == ([1], [])


async def test_a_reader_may_dispose_of_itself_and_end_in_the_same_step():
    seen: list[Any] = []
    subscription = SerialDisposable()

    async def read(sink: Sink[int]) -> None:
        sink.on_next(1)  # disposes, and no await follows at which the cancellation could be raised

    subscription.disposable = create(read, name="short").subscribe(
        lambda item: (seen.append(item), subscription.dispose()), seen.append, lambda: seen.append("end")
    )
    await spin()
    assert seen == [1]
    assert subscription.is_disposed


def test_dispose_races_with_the_start_on_the_loop():
    for _ in range(300):
        source = Source()
        subscription = source.stream.subscribe()
        subscription.dispose()
    asyncio.run_coroutine_threadsafe(spin(), background_loop().loop).result(PATIENCE)
    with contextlib.suppress(IndexError):
        assert source.runs[0].closed.wait(PATIENCE)
