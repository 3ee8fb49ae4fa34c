"""Rule 4: a stream runs on the running loop; without one, and for who blocks, on the background loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex.scheduler import EventLoopScheduler, NewThreadScheduler, TimeoutScheduler

from rxfal.errors import TransportError
from rxfal.reactive import background
from rxfal.reactive.background import background_loop, current_loop
from rxfal.reactive.hops import running_loop
from rxfal.reactive.reader import Sink
from rxfal.reactive.scheduler import LoopScheduler
from rxfal.reactive.stream import Stream, create, from_observable
from tests.reactive.sources import END, PATIENCE, Log, Source, spin, until


def drop_the_scheduler(source: Observable[Any]) -> Observable[Any]:
    """A custom operator that forgets to hand its scheduler on, as many do."""
    return Observable(
        lambda observer, scheduler=None: source.subscribe(observer.on_next, observer.on_error, observer.on_completed)
    )


async def loop_and_thread(sink: Sink[Any]) -> None:
    await asyncio.sleep(0)
    sink.on_next((asyncio.get_running_loop(), threading.current_thread()))


where = create(loop_and_thread, name="where")


async def test_subscribed_on_a_loop_it_runs_on_that_loop_after_the_calling_code():
    loop, seen = asyncio.get_running_loop(), list[Any]()
    where.subscribe(seen.append)
    assert seen == []  # a notebook cell ends before its callbacks run
    await until(lambda: seen)
    assert seen == [(loop, threading.current_thread())]


async def test_callbacks_run_on_the_loops_own_thread():
    threads: list[threading.Thread] = []
    where.map(lambda item: threads.append(threading.current_thread())).subscribe(
        lambda item: threads.append(threading.current_thread()),
        on_completed=lambda: threads.append(threading.current_thread()),
    )
    await until(lambda: len(threads) == 3)
    assert set(threads) == {threading.current_thread()}


def test_without_a_loop_it_runs_on_the_background_loop_in_a_daemon_thread():
    seen: list[Any] = []
    done = threading.Event()
    where.subscribe(seen.append, on_completed=done.set)
    assert done.wait(PATIENCE)
    ((loop, thread),) = seen
    assert loop is background_loop().loop
    assert thread.daemon
    assert thread.name == "rxfal-loop"


def test_there_is_one_background_loop_for_all_threads():
    loops: list[Any] = []
    barrier = threading.Barrier(8)

    def use() -> None:
        barrier.wait(PATIENCE)
        loops.append(where.run()[0])

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert loops == [background_loop().loop] * 8
    assert [thread.name for thread in threading.enumerate()].count("rxfal-loop") == 1


def test_threads_that_use_it_first_at_once_make_one_background_loop(monkeypatch: pytest.MonkeyPatch):
    made: list[Any] = []
    barrier = threading.Barrier(4)

    class Slow:
        is_closing = False

        def __init__(self) -> None:
            made.append(self)
            threading.Event().wait(0.05)  # as long as it takes for another thread to come in, if it can

    def use() -> Any:
        barrier.wait(PATIENCE)
        return background.background_loop()

    with monkeypatch.context() as patch, ThreadPoolExecutor(4) as threads:
        patch.setattr(background, "_background", None)
        patch.setattr(background, "BackgroundLoop", Slow)
        used = [future.result(PATIENCE) for future in [threads.submit(use) for _ in range(4)]]
    assert used == made * 4


def test_a_thread_with_a_loop_of_its_own_uses_that():
    async def main() -> bool:
        return (await where)[0] is asyncio.get_running_loop()

    outcomes: list[bool] = []
    thread = threading.Thread(target=lambda: outcomes.append(asyncio.run(main())))
    thread.start()
    thread.join(PATIENCE)
    assert outcomes == [True]


def test_observe_on_moves_the_callbacks_to_a_thread_of_ones_own():
    scheduler = EventLoopScheduler()
    seen: list[Any] = []
    done = threading.Event()
    where.observe_on(scheduler).subscribe(lambda _: seen.append(threading.current_thread()), on_completed=done.set)
    assert done.wait(PATIENCE)
    scheduler.dispose()
    assert seen[0] is not threading.current_thread()
    assert seen[0].name != "rxfal-loop"


RUNS: dict[str, Callable[[Stream[Any]], Any]] = {
    "run": lambda stream: stream.run(),
    "run with a scheduler": lambda stream: stream.run(TimeoutScheduler()),
    "blocking": lambda stream: list(stream.blocking())[-1],
}
CHAINS: dict[str, Callable[[Stream[Any]], Stream[Any]]] = {
    "bare": lambda stream: stream,
    "operators": lambda stream: stream.map(lambda x: x).repeat(2).last(),
    "an operator without a scheduler": lambda stream: stream.pipe(drop_the_scheduler),
    "a late subscription": lambda stream: stream.flat_map(lambda _: where),
}


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("run", RUNS)
async def test_run_and_blocking_use_the_background_loop_beside_a_running_one(run: str, chain: str):
    loop, _ = RUNS[run](CHAINS[chain](where))
    assert loop is background_loop().loop
    assert running_loop() is current_loop() is asyncio.get_running_loop()


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("run", RUNS)
def test_run_and_blocking_work_without_a_loop(run: str, chain: str):
    assert RUNS[run](CHAINS[chain](where))[0] is background_loop().loop


@pytest.mark.parametrize("run", RUNS)
def test_blocking_on_the_background_loops_own_thread_is_an_error_and_not_a_deadlock(run: str):
    def inside(_: Any) -> Any:
        with pytest.raises(RuntimeError, match="background loop") as caught:
            RUNS[run](where)
        return str(caught.value)

    assert "flat_map" in where.map(inside).run()


def test_the_error_of_blocking_is_raised_at_the_call():
    def inside(_: Any) -> str:
        try:
            where.blocking()
        except RuntimeError as error:
            return str(error)
        return "nothing was raised"

    assert "for ever" in where.map(inside).run()


def test_a_plain_for_on_the_background_loops_thread_is_an_error_too():
    def inside(_: Any) -> str:
        with pytest.raises(TypeError) as caught:
            iter(where)
        return str(caught.value)

    assert "async for" in where.map(inside).run()


async def test_a_plain_for_on_a_running_loop_is_a_type_error_that_names_the_ways_out():
    with pytest.raises(TypeError, match=r"async for.*blocking"):
        iter(where)
    with pytest.raises(TypeError, match="async for"):
        list(where)


async def test_reactivex_iterating_a_stream_on_a_running_loop_ends_instead_of_blocking_it():
    log = Log()
    from_observable(rx.from_(where)).subscribe(*log.callbacks)
    await until(lambda: log.ends)
    assert isinstance(log.ends[0], TypeError)
    assert log.items == []


def test_reactivex_may_iterate_a_stream_on_a_thread_without_a_loop():
    three = from_observable(rx.of(1, 2, 3))
    seen: list[int] = []
    rx.from_(three).subscribe(seen.append)
    assert seen == [1, 2, 3]


async def test_sequence_equal_of_two_streams_neither_iterates_nor_blocks():
    one, two = from_observable(rx.of(1, 2)), from_observable(rx.of(1, 2))
    assert await one.sequence_equal(two) is True
    assert await one.sequence_equal([1, 3]) is False


@pytest.mark.parametrize("end", [SystemExit(3), KeyboardInterrupt()], ids=["SystemExit", "KeyboardInterrupt"])
def test_the_background_loop_survives_what_a_callback_raises(
    end: BaseException, background_reports: list[dict[str, Any]]
):
    def bad(_: Any) -> None:
        raise end

    source = Source()
    source.stream.subscribe(bad)
    run = source.opened()
    neighbour, log = Source(), Log()
    neighbour.stream.subscribe(*log.callbacks)
    other = neighbour.opened()
    run.push(1)
    assert run.closed.wait(PATIENCE)
    other.push(1, END).result(PATIENCE)
    assert log.items == [1]
    assert where.run()[0] is background_loop().loop
    assert [report["exception"] for report in background_reports] == [end]


@pytest.mark.parametrize("end", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()])
@pytest.mark.parametrize("source", ["reader", "timer"])
@pytest.mark.parametrize("wait", ["run", "for"])
def test_who_blocks_for_a_stream_gets_what_is_no_exception_too(
    wait: str, source: str, end: BaseException, background_reports: list[dict[str, Any]]
):
    def bad(_: Any) -> None:
        raise end

    stream: Stream[Any] = where if source == "reader" else from_observable(rx.interval(0.001))
    with pytest.raises(type(end)):
        stream.do_action(bad).run() if wait == "run" else list(stream.do_action(bad))


def test_who_blocks_for_a_stream_on_a_loop_that_ends_hears_of_it():
    source, heard = Source("owner/alias"), list[BaseException]()

    def block(loop: asyncio.AbstractEventLoop) -> None:
        with pytest.raises(TransportError, match="owner/alias: the event loop that it ran on has ended") as caught:
            source.stream.run(LoopScheduler(loop))
        heard.append(caught.value)

    async def main() -> None:
        thread.start()
        await source.open()

    with asyncio.Runner() as runner:
        thread = threading.Thread(target=block, args=(runner.get_loop(),), daemon=True)
        runner.run(main())
    thread.join(PATIENCE)
    assert len(heard) == 1


def test_a_callback_that_stops_the_background_loop_does_not_end_it():
    background = background_loop()
    background.loop.call_soon_threadsafe(background.loop.stop)
    assert where.run()[0] is background.loop


async def test_a_stream_may_move_from_loop_to_loop_between_subscriptions():
    first = (await where)[0]
    second = await asyncio.to_thread(lambda: asyncio.run(awaited()))
    assert first is asyncio.get_running_loop()
    assert second is not first


async def awaited() -> Any:
    return (await where)[0]


async def test_a_new_thread_scheduler_that_the_user_passes_wins():
    threads: list[str] = []
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    from_observable(rx.timer(0.001)).subscribe(
        lambda _: threads.append(threading.current_thread().name),
        on_completed=lambda: loop.call_soon_threadsafe(done.set),
        scheduler=NewThreadScheduler(),
    )
    await asyncio.wait_for(done.wait(), PATIENCE)
    assert threads[0] != threading.current_thread().name


async def test_nothing_of_the_background_loop_is_started_for_code_on_a_loop():
    source = Source()
    with source.stream.map(str).subscribe():
        run = await source.open()
        assert run.thread is threading.current_thread()
    await spin()


def test_a_subscription_is_whole_before_the_loop_of_another_thread_acts_on_it():
    # reactivex's repeat keeps what it scheduled after scheduling it: a loop that was quicker lost its second round.
    acted, looked, inside = threading.Event(), threading.Event(), []
    loop = background_loop().loop
    scheduler = LoopScheduler(loop)

    def subscribe(observer: Any, _: Any = None) -> Any:
        scheduled = scheduler.schedule(lambda *_: acted.set())
        loop.call_soon_threadsafe(looked.set)  # which the loop comes to after what it was asked before
        assert looked.wait(PATIENCE)
        inside.append(acted.is_set())
        return scheduled

    Stream(subscribe).subscribe()
    assert inside == [False]
    assert acted.wait(PATIENCE)
