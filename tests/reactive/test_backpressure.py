"""Rule 6: the demand gate. A full consumer pauses its sources, and nothing is ever dropped."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex.disposable import Disposable
from reactivex.subject import Subject

from rxfal.reactive.gate import DemandGate
from rxfal.reactive.iterate import BUFFER_SIZE, iterate
from rxfal.reactive.merge import merge
from rxfal.reactive.reader import Sink
from rxfal.reactive.stream import Stream, create
from tests.reactive.sources import PATIENCE, Counter, Log, Source, spin, until

pytestmark = pytest.mark.every_loop

# The gate by itself.


async def test_a_gate_is_closed_while_anyone_holds_it():
    gate = DemandGate(asyncio.get_running_loop())
    gate.close("a")
    gate.close("a")
    gate.close("b")
    gate.open("a")
    assert gate.closed
    gate.open("stranger")
    assert gate.closed
    gate.open("b")
    assert not gate.closed


async def test_a_holder_that_opened_for_good_never_closes_again():
    gate = DemandGate(asyncio.get_running_loop())
    gate.close("a")
    gate.open("a", for_good=True)
    gate.close("a")
    assert not gate.closed
    gate.close("b")
    assert gate.closed


@pytest.mark.parametrize("where", ["on the loop", "on another thread"])
async def test_opening_wakes_every_waiter(where: str):
    gate = DemandGate(asyncio.get_running_loop())
    gate.close()
    waiters = [asyncio.ensure_future(gate.wait()) for _ in range(3)]
    await spin()
    assert not any(waiter.done() for waiter in waiters)
    gate.open() if where == "on the loop" else await asyncio.to_thread(gate.open)
    await asyncio.wait_for(asyncio.gather(*waiters), PATIENCE)


async def test_who_waits_goes_on_waiting_when_the_gate_closed_again_before_it_woke():
    gate = DemandGate(asyncio.get_running_loop())
    gate.close()
    waiter = asyncio.ensure_future(gate.wait())
    await spin()
    gate.open()
    gate.close()
    await spin()
    assert not waiter.done()
    gate.open()
    await asyncio.wait_for(waiter, PATIENCE)


async def test_the_gates_clock_stands_still_while_it_is_closed(monkeypatch: pytest.MonkeyPatch):
    now = 100.0
    monkeypatch.setattr("rxfal.reactive.gate.clock_of_loop", lambda loop: lambda: now)
    gate = DemandGate(asyncio.get_running_loop())
    now += 1.0
    gate.close()
    now += 50.0
    gate.close("another")
    now += 50.0
    assert gate.clock() == 101.0
    gate.open()
    gate.open("another")
    now += 2.0
    assert (gate.clock(), gate.paused) == (103.0, 100.0)


async def test_opening_a_gate_of_a_closed_loop_does_no_harm():
    loop = asyncio.new_event_loop()
    gate = DemandGate(loop)
    gate.close()
    waiting = gate.wait()
    waiting.send(None)
    loop.close()
    gate.open()
    waiting.close()


# Iterators close and open it.


async def test_a_full_iterator_pauses_its_source_and_goes_on_at_half():
    counter = Counter(1000)
    async with aclosing(iterate(counter.stream, buffer_size=8)) as items:
        assert await anext(items) == 0
        await spin()
        assert counter.produced == 8  # the first was taken after the buffer had filled
        for number in (1, 2):
            assert await anext(items) == number
            await spin()
            assert counter.produced == 8, number  # more than half of it is left
        assert await anext(items) == 3
        await spin()
        assert counter.produced > 8


@pytest.mark.parametrize("size", [1, 2, 3, 256])
async def test_every_item_arrives_in_order_whatever_the_buffer_holds(size: int):
    counter = Counter(1000)
    ahead = 0
    expected = 0
    async for item in iterate(counter.stream, buffer_size=size):
        assert item == expected
        expected += 1
        ahead = max(ahead, counter.produced - expected)
    assert expected == 1000
    assert ahead <= size


@pytest.mark.parametrize("size", [1, 2, 3, 256])
def test_the_blocking_iterator_is_bounded_and_lossless_too(size: int):
    counter = Counter(1000)
    ahead = 0
    for expected, item in enumerate(counter.stream.blocking(buffer_size=size)):
        assert item == expected
        ahead = max(ahead, counter.produced - expected - 1)
    assert item == 999
    assert ahead <= size


def test_a_blocking_iterator_that_is_not_asked_pauses_its_source():
    counter = Counter(10**9)
    items = counter.stream.blocking(buffer_size=16)
    assert next(items) == 0
    before = -1
    while counter.produced != before:
        before = counter.produced
        threading.Event().wait(0.02)
    assert counter.produced <= 17
    items.close()


def test_a_buffer_holds_at_least_one():
    with pytest.raises(ValueError, match="at least 1"):
        Counter(1).stream.blocking(buffer_size=0)


async def test_leaving_opens_the_gate_for_good():
    gates: list[DemandGate] = []

    async def read(sink: Sink[int]) -> None:
        gates.append(sink.gate)
        for number in range(10):
            sink.on_next(number)
            if sink.gate.closed:
                await sink.gate.wait()

    async with aclosing(iterate(create(read, name="left"), buffer_size=4)) as items:
        await anext(items)
        assert gates[0].closed
    assert not gates[0].closed
    gates[0].close()
    assert not gates[0].closed


def at_once(item: Any) -> Observable[Any]:
    """`rx.of`, but that one waits for the loop before it emits."""

    def subscribe(observer: Any, scheduler: Any = None) -> Disposable:
        observer.on_next(item)
        observer.on_completed()
        return Disposable()

    return Observable(subscribe)


BOUNDED: dict[str, Callable[[Stream[int]], Observable[Any]]] = {
    "bare": lambda s: s,
    "map and filter": lambda s: s.map(lambda x: x).filter(lambda x: True),
    "scan": lambda s: s.scan(lambda total, x: x, 0),
    "do_action": lambda s: s.do_action(lambda x: None),
    "take_while": lambda s: s.take_while(lambda x: True),
    "rx.merge": lambda s: rx.merge(s, rx.never()),
    "rxfal.merge": lambda s: merge(s, rx.never()),
    "flat_map": lambda s: s.flat_map(at_once),
    "timeout": lambda s: s.timeout(PATIENCE),
    "share": lambda s: s.share(),
    "share twice": lambda s: s.share().map(lambda x: x).share(),
    "concat": lambda s: rx.concat(rx.empty(), s),
    "catch and retry": lambda s: s.catch(rx.empty()).retry(2),
}


@pytest.mark.parametrize("chain", BOUNDED)
async def test_a_slow_consumer_bounds_the_source_through(chain: str):
    counter = Counter(10**9)
    consumed = 0
    async with aclosing(iterate(BOUNDED[chain](counter.stream))) as items:
        async for item in items:
            assert item == consumed
            consumed += 1
            assert counter.produced - consumed <= 2 * BUFFER_SIZE
            if consumed == 3 * BUFFER_SIZE:
                break
            await asyncio.sleep(0)


@pytest.mark.parametrize("tagged", [False, True])
async def test_one_full_consumer_holds_all_merged_sources_back(tagged: bool):
    counters = [Counter(10**9, f"counter{n}") for n in range(5)]
    streams = [counter.stream for counter in counters]
    merged: Stream[Any] = merge({str(n): stream for n, stream in enumerate(streams)}) if tagged else merge(*streams)
    async with aclosing(iterate(merged, buffer_size=10)) as items:
        await anext(items)
        await spin()
        assert sum(counter.produced for counter in counters) <= 10 + len(counters)
        for _ in range(200):
            await anext(items)
            await asyncio.sleep(0)
        assert all(counter.produced > 5 for counter in counters)


async def test_a_subscriber_with_callbacks_is_never_full():
    counter, log = Counter(10 * BUFFER_SIZE), Log()
    counter.stream.subscribe(*log.callbacks)
    await until(lambda: log.ends)
    assert log.items == list(range(10 * BUFFER_SIZE))


async def test_a_source_without_a_gate_overflows_and_nothing_is_lost():
    subject = Subject[int]()
    items = iterate(subject, buffer_size=4)
    first = asyncio.ensure_future(anext(items))
    await spin()
    for number in range(100):
        subject.on_next(number)
    subject.on_completed()
    assert [await first] + [item async for item in items] == list(range(100))


async def test_an_error_comes_after_all_that_was_in_the_buffer():
    source = Source()
    feeding = asyncio.ensure_future(source.open())
    feeding.add_done_callback(lambda opened: opened.result().push(1, 2, 3, ValueError("end")))
    seen: list[int] = []
    with pytest.raises(ValueError, match="end"):
        async for item in source.stream:
            seen.append(item)
    assert seen == [1, 2, 3]


async def test_an_item_is_delivered_when_it_arrives_and_nothing_polls(monkeypatch: pytest.MonkeyPatch):
    source = Source()
    loop = asyncio.get_running_loop()
    timers: list[Any] = []
    for name in ("call_later", "call_at"):
        monkeypatch.setattr(loop, name, lambda *args: timers.append(args))
    async with aclosing(iterate(source.stream)) as items:
        pending = asyncio.ensure_future(anext(items))
        await spin()
        source.runs[0].push(1)
        await spin(6)
        assert pending.done()
    assert timers == []
