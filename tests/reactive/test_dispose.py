"""Rule 3: `dispose()` works from any thread, at any moment, twice, and after its loop closed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import weakref
from contextlib import aclosing
from typing import Any

import pytest
import reactivex as rx
from reactivex.disposable import SerialDisposable

from rxfal.errors import TransportError
from rxfal.reactive.background import background_loop
from rxfal.reactive.iterate import iterate
from rxfal.reactive.reader import Sink
from rxfal.reactive.stream import create
from tests.reactive.sources import END, PATIENCE, Log, Source, forever, spin, until


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


@pytest.mark.parametrize("when", ["before the loop closes", "after the loop closed"])
def test_dispose_beside_a_loop_that_is_closed_without_ceremony_leaves_nothing(when: str):
    loop = asyncio.new_event_loop()
    told: list[Any] = []
    loop.set_exception_handler(lambda loop, context: told.append(context))

    async def main() -> Any:
        subscription = create(forever, name="left").subscribe()
        await spin()
        return subscription, weakref.ref(*(task for task in asyncio.all_tasks() if task.get_name() == "left"))

    subscription, task = loop.run_until_complete(main())
    if when == "before the loop closes":
        subscription.dispose()
    loop.close()
    subscription.dispose()
    del subscription
    gc.collect()
    assert task() is None
    assert told == []


async def test_a_reader_nobody_refers_to_is_kept_by_its_loop():
    woken: list[int] = []

    class Waiter:
        """A future that nothing but the waiting task refers to: the task must not be collected with it."""

        def __init__(self) -> None:
            self.future = asyncio.get_running_loop().create_future()

    waiters: weakref.WeakSet[Waiter] = weakref.WeakSet()

    async def read(sink: Sink[int]) -> None:
        waiter = Waiter()
        waiters.add(waiter)
        sink.on_next(await waiter.future)

    create(read, name="kept").subscribe(woken.append)
    await spin()
    gc.collect()
    assert len(waiters) == 1
    next(iter(waiters)).future.set_result(7)
    await until(lambda: woken)
    assert woken == [7]


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


async def test_take_closes_the_source_with_its_last_item():
    source, log = Source(), Log()
    source.stream.take(2).subscribe(*log.callbacks)
    run = await source.open()
    await run.send(1, 2, 3)
    await spin(2)
    assert (log.items, log.ends) == ([1, 2], ["completed"])
    assert run.closed.is_set()


async def test_no_reference_cycle_keeps_a_disposed_reader():
    gc.collect()
    gc.disable()
    try:
        subscription = create(forever, name="cycle").subscribe()
        await spin()
        reference = weakref.ref(*(task for task in asyncio.all_tasks() if task.get_name() == "cycle"))
        subscription.dispose()
        await spin()
        del subscription
        assert reference() is None
    finally:
        gc.enable()


def test_dispose_races_with_the_start_on_the_loop():
    for _ in range(300):
        source = Source()
        subscription = source.stream.subscribe()
        subscription.dispose()
    asyncio.run_coroutine_threadsafe(spin(), background_loop().loop).result(PATIENCE)
    with contextlib.suppress(IndexError):
        assert source.runs[0].closed.wait(PATIENCE)
