"""Rule 9: waiting, iterating and merging accept items from any thread, lose none and never deadlock."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex.scheduler import NewThreadScheduler
from reactivex.subject import Subject

from rxfal.reactive.background import background_loop
from rxfal.reactive.iterate import _Queue, _ThreadWaiter, iterate  # pyright: ignore[reportPrivateUsage]
from rxfal.reactive.merge import merge
from rxfal.reactive.reader import Sink
from rxfal.reactive.scheduler import LoopScheduler
from rxfal.reactive.stream import Stream, create, from_observable
from tests.reactive.sources import PATIENCE, Counter

pytestmark = pytest.mark.every_loop

MANY = 20_000
FEW = 200
"""For reactivex's NewThreadScheduler, which is slow: `observe_on` starts a thread per item with it."""


@pytest.fixture(autouse=True)
def switch_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def fed_by_a_thread(count: int = MANY) -> Observable[int]:
    """A Subject that a thread of its own feeds as fast as it can, once someone has subscribed."""

    def subscribe(observer: Any, scheduler: Any = None) -> Any:
        subject = Subject[int]()
        subscription = subject.subscribe(observer)

        def feed() -> None:
            for number in range(count):
                subject.on_next(number)
            subject.on_completed()

        threading.Thread(target=feed, daemon=True).start()
        return subscription

    return Observable(subscribe)


SOURCES: dict[str, Callable[[], Observable[int]]] = {
    "a thread feeds a Subject": fed_by_a_thread,
    "observe_on a new thread": lambda: Counter(FEW).stream.observe_on(NewThreadScheduler()),
    "subscribed on a new thread": lambda: from_observable(
        rx.range(FEW).pipe(rx.operators.subscribe_on(NewThreadScheduler()))
    ),
}


def count_of(source: str) -> int:
    return MANY if source == "a thread feeds a Subject" else FEW


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("size", [1, 256])
async def test_async_iteration_loses_nothing(source: str, size: int):
    async with asyncio.timeout(PATIENCE):
        assert [item async for item in iterate(SOURCES[source](), buffer_size=size)] == list(range(count_of(source)))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("size", [1, 256])
def test_blocking_iteration_loses_nothing(source: str, size: int):
    assert list(from_observable(SOURCES[source]()).blocking(buffer_size=size)) == list(range(count_of(source)))


@pytest.mark.parametrize("source", SOURCES)
async def test_awaiting_gets_the_last_of_all(source: str):
    async with asyncio.timeout(PATIENCE):
        assert await from_observable(SOURCES[source]()).count() == count_of(source)


@pytest.mark.parametrize("source", SOURCES)
def test_running_gets_the_last_of_all(source: str):
    assert from_observable(SOURCES[source]()).count().run() == count_of(source)


async def test_awaiting_wakes_for_an_end_that_comes_from_a_thread():
    subject = Subject[int]()
    waiting = asyncio.ensure_future(from_observable(subject).last_or_default(7))
    await asyncio.sleep(0)
    threading.Thread(target=subject.on_completed).start()
    assert await asyncio.wait_for(waiting, PATIENCE) == 7


async def test_an_item_that_comes_just_as_the_consumer_begins_to_wait_wakes_it():
    subject = Subject[int]()
    turns = threading.Semaphore(0)

    def feed() -> None:
        for number in range(500):
            assert turns.acquire(timeout=PATIENCE)
            subject.on_next(number)
        subject.on_completed()

    thread = threading.Thread(target=feed)
    thread.start()
    seen: list[int] = []
    async with asyncio.timeout(PATIENCE):
        items = iterate(subject)
        pending = asyncio.ensure_future(anext(items))
        await asyncio.sleep(0)
        turns.release()
        seen.append(await pending)
        turns.release()
        async for item in items:
            seen.append(item)
            turns.release()
    thread.join()
    assert seen == list(range(500))


def test_who_wakes_a_waiting_thread_too_late_does_not_end_its_next_asking():
    subject = Subject[int]()
    scheduler = LoopScheduler(background_loop().loop)
    waiter = _ThreadWaiter()
    inbox = _Queue[int](waiter, scheduler, 256)
    inbox.subscribe_to(subject, scheduler)
    thread = threading.Thread(target=waiter.wait_for, args=(inbox,), daemon=True)
    thread.start()
    asks(inbox)
    inbox.asking.now = False  # as a producer does whose item was taken while it was held up between two lines
    waiter.wake()
    asks(inbox)
    subject.on_next(1)
    thread.join(PATIENCE)
    assert not thread.is_alive()


def asks(inbox: _Queue[int]) -> None:
    until = time.monotonic() + PATIENCE
    while not inbox.asking.now:
        assert time.monotonic() < until, "nobody asks"
        time.sleep(0)


async def test_merging_threads_hands_items_on_one_at_a_time_and_loses_none():
    inside = 0
    overlaps = 0

    def note(_: Any) -> None:
        nonlocal inside, overlaps
        inside += 1
        overlaps += inside > 1
        inside -= 1

    merged = merge(**{str(number): fed_by_a_thread(5000) for number in range(4)}).do_action(note)
    seen: dict[str, list[int]] = {}
    async with asyncio.timeout(PATIENCE):
        async for tag, value in merged:
            seen.setdefault(tag, []).append(value)
    assert seen == {str(number): list(range(5000)) for number in range(4)}
    assert overlaps == 0


@pytest.mark.parametrize("second", ["on_next", "on_error", "on_completed"])
@pytest.mark.parametrize("tagged", [False, True], ids=["plain", "tagged"])
def test_while_a_merge_hands_an_item_on_another_thread_has_to_wait(tagged: bool, second: str):
    one, other = Subject[int](), Subject[int]()
    merged: Stream[Any] = merge(a=one, b=other) if tagged else merge(one, other)
    inside, seen = False, list[str]()

    def called(what: str) -> None:
        nonlocal inside
        seen.append(f"{what} inside another" if inside else what)
        inside = True
        if len(seen) == 1:
            thread.start()
            thread.join(0.05)  # as long as it takes for the other thread to come in, if it can
        inside = False

    thread = threading.Thread(target=getattr(other, second), args=[] if second == "on_completed" else [ValueError()])
    with merged.subscribe(lambda _: called("on_next"), lambda _: called("on_error"), lambda: called("on_completed")):
        one.on_next(1)
        thread.join(PATIENCE)
        one.on_completed()
    assert seen[1:] == [second]


def test_many_threads_run_streams_at_once():
    results: list[int] = []

    def work() -> None:
        for _ in range(20):
            results.append(Counter(100).stream.map(lambda x: x + 1).run())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert results == [100] * 160


def test_subscribing_and_disposing_from_many_threads_leaves_no_reader():
    async def pausing(sink: Sink[int]) -> None:
        for number in range(10**9):
            sink.on_next(number)
            await asyncio.sleep(0)

    stream = create(pausing, name="pausing")

    def work() -> None:
        for _ in range(50):
            items = stream.blocking(buffer_size=4)
            assert next(items) == 0
            items.close()
            stream.share().map(str).timeout(60.0).subscribe().dispose()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
