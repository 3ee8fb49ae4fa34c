"""`conflate`: a slow consumer gets what is newest when it asks, and its source never waits for it."""

from __future__ import annotations

import asyncio
import operator
import queue
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex.subject import Subject

from rxfal import operators as ops
from rxfal.errors import TransportError
from rxfal.reactive.iterate import BUFFER_SIZE, iterate
from rxfal.reactive.merge import merge
from rxfal.reactive.stream import Stream, from_observable
from tests.reactive.sources import END, PATIENCE, Counter, Log, Run, Source, spin, until
from tests.reactive.virtual_time import hot, on_completed, on_next, play


async def asking(stream: Observable[Any], source: Source) -> tuple[AsyncIterator[Any], asyncio.Future[Any], Run]:
    """An iterator that waits for its first item, which that will be, and the source's run."""
    items = iterate(stream)
    first = asyncio.ensure_future(anext(items))
    run = await source.open()
    await spin()
    return items, first, run


async def test_who_asks_gets_an_item_at_once_and_who_is_busy_the_newest_when_it_asks():
    source = Source()
    items, first, run = await asking(source.stream.pipe(ops.conflate()), source)
    await run.send(1, 2, 3)
    assert await first == 1
    await run.send(4)
    assert await anext(items) == 4
    second = asyncio.ensure_future(anext(items))
    await spin()
    await run.send(5)
    assert await second == 5
    await run.send(6, 7, END)
    assert [item async for item in items] == [7]


async def test_what_was_merged_is_what_comes_and_nothing_is_lost():
    source = Source()
    items, first, run = await asking(source.stream.pipe(ops.conflate(operator.add)), source)
    await run.send("a", "b", "c", "d")
    assert await first == "a"
    await run.send("e")
    assert await anext(items) == "bcde"
    await run.send("f", "g", END)
    assert [item async for item in items] == ["fg"]


@pytest.mark.parametrize("value", [None, 0, "", False], ids=repr)
async def test_a_kept_item_may_be_false(value: Any):
    source = Source()
    items, first, run = await asking(source.stream.pipe(ops.conflate()), source)
    await run.send(1, 2, value)
    await first
    assert await anext(items) is value
    await run.send(END)
    assert [item async for item in items] == []


async def test_the_kept_item_comes_before_an_error():
    source = Source()
    items, first, run = await asking(source.stream.pipe(ops.conflate()), source)
    await run.send(1, 2, 3, ValueError("broken"))
    assert [await first, await anext(items)] == [1, 3]
    with pytest.raises(ValueError, match="broken"):
        await anext(items)


async def test_what_merge_raises_is_the_end_after_what_was_kept():
    source = Source()
    items, first, run = await asking(source.stream.pipe(ops.conflate(operator.add)), source)
    await run.send(1, 2, "three", 4)
    assert [await first, await anext(items)] == [1, 2]
    with pytest.raises(TypeError, match="unsupported operand"):
        await anext(items)
    assert run.closed.is_set()


async def test_the_source_is_never_paused_and_one_item_is_held():
    counter = Counter(10 * BUFFER_SIZE)
    async with aclosing(iterate(counter.stream.pipe(ops.conflate()))) as items:
        first = await anext(items)
        await until(lambda: counter.produced == counter.total)
        await spin()
        assert (first, [item async for item in items]) == (0, [counter.total - 1])


@pytest.mark.parametrize(
    "behind",
    [
        (ops.map(lambda n: n),),
        (ops.filter(lambda n: n % 2 == 0), ops.map(lambda n: n)),
        (ops.do_action(lambda _: None), ops.timeout(PATIENCE)),
        (ops.buffer(count=2), ops.map(lambda both: both[-1])),
        (ops.conflate(),),
    ],
    ids=["map", "filter and map", "do_action and timeout", "buffer", "conflate"],
)
async def test_what_has_no_queue_may_stand_behind_it(behind: tuple[Any, ...]):
    counter = Counter(100 * BUFFER_SIZE)
    seen: list[int] = []
    async for item in counter.stream.pipe(ops.conflate(), *behind):
        seen.append(item)
        await spin(10)
    assert seen == sorted(set(seen))
    assert 2 <= len(seen) <= BUFFER_SIZE


async def test_an_item_that_is_filtered_out_leaves_the_consumer_asking():
    source = Source()
    items, first, run = await asking(source.stream.pipe(ops.conflate(), ops.filter(lambda n: n > 2)), source)
    await run.send(1, 2, 3, 4)
    assert await first == 3
    assert await anext(items) == 4
    third = asyncio.ensure_future(anext(items))
    await run.send(0)
    assert not third.done()
    await run.send(5, END)
    assert await third == 5
    assert [item async for item in items] == []


async def test_an_item_that_is_filtered_out_when_it_was_kept_leaves_the_consumer_asking():
    source = Source()
    items, first, run = await asking(source.stream.pipe(ops.conflate(), ops.filter(lambda n: n < 3)), source)
    await run.send(1, 3)
    assert await first == 1
    second = asyncio.ensure_future(anext(items))
    await spin()
    await run.send(2, END)
    assert await second == 2


async def test_merged_sources_take_turns_with_one_consumer():
    counters = [Counter(10**9, name) for name in "ab"]
    merged = merge({counter.stream.name: counter.stream.pipe(ops.conflate()) for counter in counters})
    tags: list[str] = []
    async with aclosing(iterate(merged)) as items:
        async for item in items:
            tags.append(item.tag)
            if len(tags) == 20:
                break
            await spin(3)
    assert abs(tags.count("a") - tags.count("b")) <= 2


async def test_a_shared_source_does_not_wait_for_the_one_that_conflates():
    counter = Counter(10 * BUFFER_SIZE)
    shared = counter.stream.share()
    async with aclosing(iterate(shared.pipe(ops.conflate()))) as items:
        first = asyncio.ensure_future(anext(items))
        await until(lambda: counter.produced)
        assert await shared == counter.total - 1
        assert (await first, [item async for item in items][-1:]) == (0, [counter.total - 1])


# Where nobody asks, everything passes.


async def test_every_item_passes_to_callbacks_and_to_who_waits_for_the_last():
    passing: list[Callable[[Stream[Any]], Any]] = [
        lambda stream: stream.to_list(),
        lambda stream: stream.pipe(ops.buffer(count=100)),
        lambda stream: stream.scan(lambda items, item: [*items, item], []),
    ]
    for chain in passing:
        assert await chain(from_observable(rx.create(_three)).pipe(ops.conflate())) == [1, 2, 3]
    log = Log()
    Counter(1_000).stream.pipe(ops.conflate()).subscribe(*log.callbacks)
    await until(lambda: log.ends)
    assert log.items == [*range(1_000)]


def test_every_item_passes_to_who_runs_it():
    assert from_observable(rx.create(_three)).pipe(ops.conflate(), ops.to_list()).run() == [1, 2, 3]


def _three(observer: Any, scheduler: Any = None) -> Any:
    for number in (1, 2, 3):
        observer.on_next(number)
    observer.on_completed()


def test_every_item_passes_in_a_chain_of_plain_observables():
    log = Log()
    rx.create(_three).pipe(ops.conflate(operator.add)).subscribe(*log.callbacks)
    assert (log.items, log.ends) == ([1, 2, 3], ["completed"])


def test_every_item_passes_in_virtual_time():
    source = hot(on_next(210, 1), on_next(210, 2), on_completed(220))
    seen = play(lambda ops, s, x: x.pipe(ops.conflate()), source, streams=True)
    assert seen.messages == [(210, "next", 1), (210, "next", 2), (220, "completed", None)]


# Sources and consumers of every kind.


async def test_a_plain_observable_in_a_plain_chain_is_conflated_for_who_iterates_it():
    subject = Subject[int]()
    items = iterate(subject.pipe(ops.conflate()))
    first = asyncio.ensure_future(anext(items))
    await spin()
    for number in range(5):
        subject.on_next(number)
    assert [await first, await anext(items)] == [0, 4]
    subject.on_completed()
    assert [item async for item in items] == []


async def test_an_item_from_within_on_next_comes_after_it():
    subject = Subject[int]()
    echoed = from_observable(subject).pipe(
        ops.conflate(), ops.do_action(lambda n: subject.on_next(n + 1) if n < 3 else None)
    )
    seen: list[int] = []
    echoed.subscribe(seen.append)
    subject.on_next(1)
    assert seen == [3, 2, 1]  # as with any operator that has no queue: depth first
    items = iterate(echoed)
    first = asyncio.ensure_future(anext(items))
    await spin()
    subject.on_next(1)
    assert await first == 3
    await items.aclose()


@pytest.mark.parametrize("merging", [None, operator.add], ids=["newest", "merged"])
async def test_items_from_another_thread_come_in_order_and_the_last_is_there(merging: Any):
    subject: Subject[int] = Subject()

    def feed() -> None:
        for number in range(20_000):
            subject.on_next(number)
        subject.on_completed()

    items = iterate(from_observable(subject).pipe(ops.conflate(merging)))
    first = asyncio.ensure_future(anext(items))
    await spin()
    thread = threading.Thread(target=feed)
    thread.start()
    seen = [await first, *[item async for item in items]]
    thread.join()
    if merging:
        assert sum(seen) == sum(range(20_000))
    else:
        assert seen == sorted(set(seen))
        assert (seen[0], seen[-1]) == (0, 19_999)


def test_a_blocking_iterator_gets_the_newest_too():
    source = Source()
    asked: queue.SimpleQueue[None] = queue.SimpleQueue()
    seen: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def consume() -> None:
        for item in source.stream.pipe(ops.conflate()).blocking():
            seen.put(item)
            asked.get(timeout=PATIENCE)
        seen.put(END)

    thread = threading.Thread(target=consume)
    thread.start()
    run = source.opened()
    run.push(1, 2, 3).result(PATIENCE)  # the first one too may have come before it asked
    first = seen.get(timeout=PATIENCE)
    asked.put(None)
    if first == 1:
        assert seen.get(timeout=PATIENCE) == 3
        asked.put(None)
    run.push(4).result(PATIENCE)
    assert seen.get(timeout=PATIENCE) == 4
    run.push(5, 6, END)
    assert run.closed.wait(PATIENCE)
    asked.put(None)
    assert seen.get(timeout=PATIENCE) == 6
    asked.put(None)
    assert seen.get(timeout=PATIENCE) is END
    thread.join(PATIENCE)


@pytest.mark.parametrize("size", [1, BUFFER_SIZE])
def test_blocking_iterators_lose_neither_the_last_item_nor_a_wake_up(size: int):
    for _ in range(20):
        seen = list(Counter(5_000).stream.pipe(ops.conflate()).blocking(buffer_size=size))
        assert seen == sorted(set(seen))
        assert seen[-1] == 4_999
        assert sum(Counter(5_000).stream.pipe(ops.conflate(operator.add)).blocking()) == sum(range(5_000))


def test_a_blocking_iterator_inside_the_last_callback_of_another_stream_gets_what_it_asks_for():
    source, seen = Source(), list[int]()

    async def main() -> None:
        over = asyncio.Event()

        def on_completed() -> None:
            seen.extend(Counter(5_000).stream.pipe(ops.conflate()).blocking())
            over.set()

        source.stream.subscribe(on_completed=on_completed)
        (await source.open()).push(END)
        await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert seen[-1] == 4_999


async def test_who_asks_on_the_loop_gets_what_is_kept_without_a_wait():
    source = Source()
    items, first, run = await asking(source.stream.pipe(ops.conflate()), source)
    await run.send(1, 2)
    await first
    with pytest.raises(StopIteration) as returned:
        items.__anext__().__await__().send(None)
    assert returned.value.value == 2
    await items.aclose()  # pyright: ignore[reportAttributeAccessIssue]


def test_what_stands_behind_it_runs_on_the_loop_whoever_asks():
    where: set[str] = set()
    stream = Counter(5_000).stream.pipe(
        ops.conflate(), ops.do_action(lambda _: where.add(threading.current_thread().name))
    )
    list(stream.blocking())
    assert where == {"rxfal-loop"}


async def test_an_end_on_another_thread_waits_for_the_item_in_delivery():
    subject, order = Subject[int](), list[str]()
    delivering, ended = threading.Event(), threading.Event()

    def slowly(item: int) -> None:
        if item == 2:
            delivering.set()
            ended.wait(0.2)  # it comes too early, or not at all as long as this runs
            order.append("item")

    def end() -> None:
        order.append("end")
        ended.set()

    items = iterate(
        from_observable(subject).pipe(
            ops.conflate(), ops.do_action(slowly, on_completed=end), ops.filter(lambda item: item == 1)
        )
    )
    first = asyncio.ensure_future(anext(items))
    await spin()
    subject.on_next(1)
    subject.on_next(2)
    assert await first == 1
    thread = threading.Thread(target=lambda: (delivering.wait(PATIENCE), subject.on_completed()))
    thread.start()
    assert [item async for item in items] == []
    thread.join(PATIENCE)
    assert order == ["item", "end"]


def test_behind_on_thread_one_item_crosses_when_the_thread_has_time_for_it():
    calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    source, log = Source(), Log()
    source.stream.pipe(ops.conflate(), ops.on_thread(calls.put)).subscribe(*log.callbacks)
    run = source.opened()
    run.push(*range(1_000)).result(PATIENCE)
    calls.get(timeout=PATIENCE)()
    assert log.items == [0]
    calls.get(timeout=PATIENCE)()
    assert log.items == [0, 999]
    run.push(1_000, 1_001, END)
    assert run.closed.wait(PATIENCE)
    while not log.ends:
        calls.get(timeout=PATIENCE)()
    assert (log.items, log.ends) == ([0, 999, 1_000, 1_001], ["completed"])


async def test_on_another_loop_the_consumer_gets_the_newest():
    counter = Counter(100 * BUFFER_SIZE)
    here = asyncio.get_running_loop()
    seen: list[int] = []

    async def elsewhere() -> None:
        async for item in counter.stream.pipe(ops.conflate(), ops.on_loop(here), ops.on_loop(loop)):
            seen.append(item)
            await spin(5)

    loop = asyncio.new_event_loop()
    await asyncio.to_thread(loop.run_until_complete, elsewhere())
    loop.close()
    assert seen == sorted(set(seen))
    assert seen[-1] == counter.total - 1


@pytest.mark.parametrize("to", ["a thread", "this loop"])
async def test_an_iterator_behind_on_thread_or_on_loop_gets_the_newest_when_it_asks(to: str):
    counter = Counter(10 * BUFFER_SIZE)
    with ThreadPoolExecutor(1) as pool:
        crossing = ops.on_thread(pool.submit) if to == "a thread" else ops.on_loop(asyncio.get_running_loop())
        async with aclosing(iterate(counter.stream.pipe(ops.conflate(), crossing))) as items:
            first = await anext(items)
            await until(lambda: counter.produced == counter.total)
            await spin()
            assert (first, [item async for item in items]) == (0, [counter.total - 1])


async def test_behind_on_thread_a_consumer_that_only_pauses_gets_no_more_than_it_has_room_for():
    source = Source()
    with ThreadPoolExecutor(1) as pool:
        stream = source.stream.pipe(ops.conflate(), ops.on_thread(pool.submit), ops.share())
        items = iterate(stream, buffer_size=2)
        first = asyncio.ensure_future(anext(items))
        run = await source.open()
        for number in range(20):
            await run.send(number)
            pool.submit(int).result()  # what was posted has been delivered
            await spin()
        await run.send(END)
        assert [await first, *[item async for item in items]] == [0, 1, 2, 19]


# Ends.


async def test_leaving_ends_the_source_and_lets_go():
    source = Source()
    asked: list[Any] = []

    def noted(upstream: Observable[Any]) -> Observable[Any]:
        def subscribe(observer: Any, scheduler: Any = None) -> Any:
            asked.append(scheduler.consumer.asking)
            return upstream.subscribe(observer, scheduler=scheduler)

        return Observable(subscribe)

    items, first, run = await asking(source.stream.pipe(ops.conflate(), noted), source)
    await run.send(1, 2)
    await first
    await items.aclose()  # pyright: ignore[reportAttributeAccessIssue]
    await spin()
    assert run.closed.is_set()
    assert asked[0]._listeners == ()


async def test_no_item_comes_after_a_dispose_inside_on_next():
    subject, seen = Subject[int](), list[int]()
    items = iterate(from_observable(subject).pipe(ops.conflate(), ops.do_action(seen.append), ops.take(1)))
    first = asyncio.ensure_future(anext(items))
    await spin()
    subject.on_next(1)
    subject.on_next(2)
    assert (await first, [item async for item in items], seen) == (1, [], [1])


def raising(source: Observable[Any]) -> Observable[Any]:
    """An operator with a mistake: it raises at 3 where it should have said `on_error`."""

    def subscribe(observer: Any, scheduler: Any = None) -> Any:
        def on_next(item: int) -> None:
            if item == 3:
                raise ZeroDivisionError
            observer.on_next(item)

        return source.subscribe(on_next, observer.on_error, observer.on_completed, scheduler=scheduler)

    return Observable(subscribe)


@pytest.mark.parametrize("over", ["a stream", "a plain observable"])
@pytest.mark.parametrize("burst", [(1, 3), (1, 2, 3, END)], ids=["when asked", "at the end"])
@pytest.mark.parametrize("consumer", ["loop", "thread"])
async def test_an_exception_behind_it_reaches_the_consumer(over: str, burst: tuple[Any, ...], consumer: str):
    source = Source()
    stream: Observable[Any] = source.stream if over == "a stream" else rx.merge(source.stream)
    broken = from_observable(stream.pipe(ops.conflate())).pipe(raising)
    if over != "a stream":
        broken = from_observable(rx.merge(source.stream).pipe(ops.conflate(), raising))

    def consume() -> list[int]:
        return list(broken.blocking())

    async def consume_here() -> list[int]:
        return [item async for item in broken]

    running = consume_here() if consumer == "loop" else asyncio.to_thread(consume)
    consuming = asyncio.ensure_future(running)
    run = await source.open()
    await spin()
    run.push(*burst)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(consuming, PATIENCE)


def test_when_the_loop_of_the_source_ends_a_consumer_elsewhere_is_told():
    source = Source()
    calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    log = Log()

    async def main() -> None:
        source.stream.pipe(ops.conflate(), ops.on_thread(calls.put)).subscribe(*log.callbacks)
        await (await source.open()).send(1)

    asyncio.run(main())
    while not calls.empty():
        calls.get()()
    assert log.items == [1]
    assert [type(end) for end in log.ends] == [TransportError]


async def test_when_the_thread_before_it_is_gone_who_pulls_is_told():
    def gone(_: Any) -> None:
        raise RuntimeError("no such thread any more")

    source = Source()
    items = iterate(source.stream.pipe(ops.on_thread(gone), ops.conflate()))
    first = asyncio.ensure_future(anext(items))
    (await source.open()).push(1)
    with pytest.raises(TransportError, match="is gone"):
        await asyncio.wait_for(first, PATIENCE)


def test_what_can_not_be_called_is_no_merge():
    with pytest.raises(TypeError, match="merge is a function, not 'newest'"):
        ops.conflate("newest")  # pyright: ignore[reportArgumentType]
