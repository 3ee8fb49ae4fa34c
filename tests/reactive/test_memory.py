"""What is kept for as long as it is needed, and let go after that: readers, observers, iterators' items, gates."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from rxfal import operators as ops
from rxfal.reactive.gate import DemandGate
from rxfal.reactive.merge import merge
from rxfal.reactive.reader import Sink
from rxfal.reactive.stream import Stream, create
from tests.loops import LoopFactory
from tests.reactive.sources import forever, spin, until

pytestmark = pytest.mark.every_loop


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


LEFT_OPEN: dict[str, Callable[[Stream[Any]], Any]] = {
    "a subscription": lambda stream: stream.subscribe(lambda _: None),
    "with timers": lambda stream: stream.timeout(1000.0).delay(1000.0).subscribe(lambda _: None),
    "a share": lambda stream: stream.share().subscribe(lambda _: None),
    "a merge": lambda stream: merge(stream, stream).subscribe(lambda _: None),
    "an iterator": lambda stream: asyncio.ensure_future(anext(aiter(stream))),
    "an await": lambda stream: asyncio.ensure_future(stream.wait()),
}


@pytest.mark.parametrize("name", LEFT_OPEN)
def test_a_loop_that_is_closed_without_ceremony_is_garbage_though_streams_are_open_on_it(
    name: str, new_loop: LoopFactory
):
    async def main() -> None:
        kept.append(LEFT_OPEN[name](create(forever, name="left")))
        await spin()

    kept: list[Any] = []
    loop = new_loop()
    loop.set_exception_handler(lambda _, context: None)  # asyncio's own complaint, of a task that was pending
    loop.run_until_complete(main())
    loop.close()
    kept.clear()
    reference = weakref.ref(loop)
    del loop
    gc.collect()
    assert reference() is None


INNER: dict[str, Callable[[Stream[Any]], Stream[Any]]] = {
    "on_loop": lambda stream: stream.pipe(ops.on_loop(asyncio.get_running_loop())),
    "on_thread": lambda stream: stream.pipe(ops.on_thread(lambda deliver: deliver())),
    "share": lambda stream: stream.share(),
    "timeout": lambda stream: stream.timeout(60.0),
}


@pytest.mark.parametrize("name", INNER)
async def test_a_gate_does_not_grow_with_the_streams_that_come_and_go_inside_a_chain(name: str):
    sizes: list[int] = []

    async def read(sink: Sink[int]) -> None:
        for number in range(100):
            sink.on_next(number)
            await spin(3)
            gate = sink.gate
            sizes.append(sum(len(held) for held in (gate._gone, gate._holders, gate._listeners, gate._waiters)))

    inner = create(one, name="inner")
    assert await create(read, name="outer").flat_map(lambda _: INNER[name](inner)).count() == 100
    assert sizes == [0] * 100


async def one(sink: Sink[int]) -> None:
    sink.on_next(1)


async def test_a_pause_leaves_nothing_in_the_gate():
    gate = DemandGate(asyncio.get_running_loop())
    for _ in range(10):
        gate.close()
        waiting = [asyncio.ensure_future(gate.wait()) for _ in range(3)]
        await spin()
        gate.open()
        await asyncio.gather(*waiting)
    gate.close()
    cancelled = asyncio.ensure_future(gate.wait())
    await spin()
    cancelled.cancel()
    await asyncio.wait([cancelled])
    assert gate._waiters == {}


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
