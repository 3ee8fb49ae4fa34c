"""Places: fair, over all loops and threads, and given back in every case."""

import asyncio
import gc
import multiprocessing
import threading

import pytest

from rxfal.wire.places import Places


async def in_line(places: Places, count: int = 1) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(places.take()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_who_waits_longest_gets_the_next_place():
    places = Places(2)
    await places.take()
    await places.take()
    tasks = await in_line(places, 3)
    for turn in range(3):
        assert [task.done() for task in tasks] == [number < turn for number in range(3)]
        places.give_back()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)


async def test_a_newcomer_does_not_overtake_the_line():
    places = Places(1)
    await places.take()
    (first,) = await in_line(places)
    places.give_back()  # the first has been called, and has not come yet
    (second,) = await in_line(places)
    await first
    assert not second.done()
    places.give_back()
    await second


async def test_one_who_leaves_the_line_has_no_place_and_holds_nobody_up():
    places = Places(1)
    await places.take()
    first, second = await in_line(places, 2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    places.give_back()
    await second


async def test_one_who_is_called_and_cancelled_at_once_passes_the_place_on():
    places = Places(1)
    await places.take()
    first, second = await in_line(places, 2)
    places.give_back()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await asyncio.wait_for(second, 5)
    places.give_back()
    await asyncio.wait_for(places.take(), 5)


async def test_a_timeout_in_the_line_takes_no_place():
    places = Places(1)
    await places.take()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await places.take()
    places.give_back()
    await asyncio.wait_for(places.take(), 5)


async def test_places_are_counted_over_all_loops():
    places = Places(1)
    await places.take()
    order: list[str] = []
    waiting = threading.Event()

    async def elsewhere() -> None:
        task = asyncio.create_task(places.take())
        await asyncio.sleep(0)
        waiting.set()
        await task
        order.append("elsewhere")
        places.give_back()

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    thread.start()
    assert await asyncio.to_thread(waiting.wait, 5)
    (here,) = await in_line(places)
    assert order == []
    places.give_back()
    await asyncio.wait_for(here, 5)
    assert order == ["elsewhere"]
    await asyncio.to_thread(thread.join, 5)


async def test_the_waiting_of_a_loop_that_ended_hold_nobody_up():
    places = Places(1)
    await places.take()

    def abandoned() -> None:
        loop = asyncio.new_event_loop()
        task = loop.create_task(places.take())
        task._log_destroy_pending = False  # pyright: ignore[reportAttributeAccessIssue]
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()

    await asyncio.to_thread(abandoned)
    (here,) = await in_line(places)
    places.give_back()
    await asyncio.wait_for(here, 5)
    gc.collect()
    places.give_back()
    await asyncio.wait_for(places.take(), 5)


def _takes(places: Places, answer: "multiprocessing.SimpleQueue[str]") -> None:
    async def main() -> None:
        async with asyncio.timeout(5):
            await places.take()

    asyncio.run(main())
    answer.put("taken")


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_in_a_forked_process_all_places_are_free():
    places = Places(1)
    asyncio.run(places.take())
    context = multiprocessing.get_context("fork")
    answer = context.SimpleQueue()
    child = context.Process(target=_takes, args=(places, answer))
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert answer.get() == "taken"
