"""What is kept for as long as it is needed, and let go after that: readers, observers, iterators' items, gates."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from rxfal.reactive.reader import Sink
from rxfal.reactive.stream import create
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
