"""Places: fair, over all loops and threads, and given back in every case."""

import asyncio
import multiprocessing
import threading

import pytest

from rxfal.wire.places import Place, Places


async def in_line(places: Places, count: int = 1) -> list[asyncio.Task[Place]]:
    tasks = [asyncio.create_task(places.take()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_who_waits_longest_gets_the_next_place():
    places = Places(2)
    taken = [await places.take(), await places.take()]
    tasks = await in_line(places, 3)
    for turn in range(3):
        assert [task.done() for task in tasks] == [number < turn for number in range(3)]
        places.give_back(taken[0] if turn == 0 else await tasks[turn - 1])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)


async def test_a_newcomer_does_not_overtake_the_line():
    places = Places(1)
    held = await places.take()
    (first,) = await in_line(places)
    places.give_back(held)  # the first has been called, and has not come yet
    (second,) = await in_line(places)
    place = await first
    assert not second.done()
    places.give_back(place)
    await second


async def test_one_who_leaves_the_line_has_no_place_and_holds_nobody_up():
    places = Places(1)
    held = await places.take()
    first, second = await in_line(places, 2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    places.give_back(held)
    await second


async def test_one_who_is_called_and_cancelled_at_once_passes_the_place_on():
    places = Places(1)
    held = await places.take()
    first, second = await in_line(places, 2)
    places.give_back(held)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    places.give_back(await asyncio.wait_for(second, 5))
    await asyncio.wait_for(places.take(), 5)


async def test_a_timeout_in_the_line_takes_no_place():
    places = Places(1)
    held = await places.take()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await places.take()
    places.give_back(held)
    await asyncio.wait_for(places.take(), 5)


async def test_a_place_that_is_given_back_twice_is_one_place():
    places = Places(1)
    held = await places.take()
    places.give_back(held)
    places.give_back(held)
    await places.take()
    (second,) = await in_line(places)
    assert not second.done()
    second.cancel()


async def test_places_are_counted_over_all_loops():
    places = Places(1)
    held = await places.take()
    order: list[str] = []
    waiting = threading.Event()

    async def elsewhere() -> None:
        task = asyncio.create_task(places.take())
        await asyncio.sleep(0)
        waiting.set()
        place = await task
        order.append("elsewhere")
        places.give_back(place)

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    thread.start()
    assert await asyncio.to_thread(waiting.wait, 5)
    (here,) = await in_line(places)
    assert order == []
    places.give_back(held)
    await asyncio.wait_for(here, 5)
    assert order == ["elsewhere"]
    await asyncio.to_thread(thread.join, 5)


@pytest.mark.parametrize("has_a_place", [True, False])
async def test_those_on_a_loop_that_was_closed_under_them_hold_nobody_up(has_a_place: bool):
    places = Places(1)
    held = None if has_a_place else await places.take()
    tasks: list[asyncio.Task[Place]] = []

    def abandoned() -> None:
        loop = asyncio.new_event_loop()
        tasks.append(loop.create_task(places.take()))
        tasks[0]._log_destroy_pending = False  # pyright: ignore[reportAttributeAccessIssue]
        loop.call_soon(loop.call_soon, loop.stop)
        loop.run_forever()
        loop.close()

    await asyncio.to_thread(abandoned)
    assert tasks[0].done() is has_a_place
    (here,) = await in_line(places)  # behind the one in the line, or in the place of the one that had it
    if held is not None:
        places.give_back(held)
    await asyncio.wait_for(here, 5)


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
    loop = asyncio.new_event_loop()  # it stays open: the place is still taken
    loop.run_until_complete(places.take())
    context = multiprocessing.get_context("fork")
    answer = context.SimpleQueue()
    child = context.Process(target=_takes, args=(places, answer))
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert answer.get() == "taken"
    loop.close()
