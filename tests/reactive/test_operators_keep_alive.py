"""`keep_alive`: an item after each silence, its own ones counted, until the source ends; none for who is full."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex.scheduler import VirtualTimeScheduler
from reactivex.subject import Subject

from rxfal import operators as ops
from rxfal.reactive.background import background_loop
from rxfal.reactive.iterate import iterate
from rxfal.reactive.scheduler import LoopScheduler
from rxfal.reactive.stream import from_observable
from tests.reactive.sources import END, PATIENCE, Log, Source, spin, until
from tests.reactive.virtual_time import Source as Timeline
from tests.reactive.virtual_time import cold, hot, on_completed, on_error, on_next, play, sources


def kept_alive(source: Timeline, seconds: Any = 10, **options: Any) -> list[Any]:
    return play(lambda ops, s, x: x.pipe(ops.keep_alive(seconds, "still")), source, **options).messages


def test_an_item_after_each_silence_until_the_source_ends():
    assert kept_alive(hot(on_next(205, 1), on_next(240, 2), on_completed(245))) == [
        (205, "next", 1),
        (215, "next", "still"),
        (225, "next", "still"),
        (235, "next", "still"),
        (240, "next", 2),
        (245, "completed", None),
    ]


def test_a_silence_is_counted_from_the_subscription_on():
    assert kept_alive(cold(on_completed(25))) == [
        (210, "next", "still"),
        (220, "next", "still"),
        (225, "completed", None),
    ]


def test_an_error_ends_it_and_nothing_comes_afterwards():
    assert kept_alive(cold(on_next(5, 1), on_error(6, "broken"))) == [(205, "next", 1), (206, "error", "broken")]


def test_disposed_it_says_nothing_more():
    assert kept_alive(cold(on_next(5, 1)), disposed=230) == [
        (205, "next", 1),
        (215, "next", "still"),
        (225, "next", "still"),
    ]


def test_a_timedelta_is_seconds_too_and_a_scheduler_of_ones_own_counts():
    assert kept_alive(cold(on_completed(15)), timedelta(seconds=10))[0] == (210, "next", "still")
    seen = play(lambda ops, s, x: x.pipe(ops.keep_alive(10, "still", s)), cold(on_completed(15)))
    assert seen.items == [(210, "still")]


@settings(deadline=None)
@given(sources(), st.integers(2, 15))
def test_whatever_comes_when(source: Timeline, seconds: int):
    raw = play(lambda ops, s, x: x, source)
    ours = play(lambda ops, s, x: x.pipe(ops.keep_alive(seconds, "still")), source)
    until_ = raw.end[0] if raw.end else 1000
    expected: list[float] = []
    last = 200.0
    for at in [*(time for time, _ in raw.items), until_]:
        while at - last > seconds:
            last += seconds
            expected.append(last)
        last = at
    # What falls on the very tick of an item or of the end may come before it or not at all.
    possible = {*expected, *(time + seconds for time, _ in [*raw.items, *((at, "") for at in [200.0, *expected])])}
    assert [item for item in ours.items if item[1] != "still"] == raw.items
    assert {time for time, item in ours.items if item == "still"} <= possible
    assert {*expected} <= {time for time, item in ours.items if item == "still"}
    assert ours.end == raw.end
    assert play(lambda ops, s, x: x.pipe(ops.keep_alive(seconds, "still")), source, streams=True) == ours


def test_one_timer_for_a_thousand_items_and_none_after_the_end():
    scheduler = VirtualTimeScheduler()
    calls: list[Any] = []
    schedule = scheduler.schedule_relative
    scheduler.schedule_relative = lambda due, action, state=None: (  # type: ignore[method-assign]
        calls.append(due),
        schedule(due, action, state),
    )[1]
    subject, log = Subject[int](), Log()
    subject.pipe(ops.keep_alive(10, -1)).subscribe(*log.callbacks, scheduler=scheduler)
    for number in range(1_000):
        subject.on_next(number)
    assert calls == [10]
    subject.on_completed()
    scheduler.start()
    assert (log.items, log.ends) == ([*range(1_000)], ["completed"])


def test_a_dispose_inside_its_own_item_is_the_end():
    subject, seen = Subject[int](), list[Any]()
    scheduler = VirtualTimeScheduler()
    kept = from_observable(subject).pipe(ops.keep_alive(10, "still"), ops.do_action(seen.append), ops.take(2))
    kept.subscribe(scheduler=scheduler)
    scheduler.start()
    assert seen == ["still", "still"]


@pytest.mark.parametrize("given", ["no scheduler", "another of the loop"])
async def test_none_comes_while_the_consumer_is_full(given: str, clock: list[float]):
    timing = None if given == "no scheduler" else LoopScheduler(asyncio.get_running_loop())
    source = Source()
    items = iterate(source.stream.pipe(ops.keep_alive(10, "still", timing)), buffer_size=2)
    first = asyncio.ensure_future(anext(items))
    run = await source.open()
    run.push(1, 2, 3)
    assert await first == 1
    await until(lambda: run.sink.gate.closed)
    clock[0] += 25
    await spin()
    assert [await anext(items), await anext(items)] == [2, 3]
    waiting = asyncio.ensure_future(anext(items))
    await spin()
    clock[0] += 10.1
    assert await asyncio.wait_for(waiting, PATIENCE) == "still"
    await items.aclose()


async def test_none_comes_while_the_consumer_is_full_by_a_virtual_scheduler_of_ones_own():
    scheduler, source = VirtualTimeScheduler(), Source()
    items = iterate(source.stream.pipe(ops.keep_alive(10, "still", scheduler)), buffer_size=2)
    first = asyncio.ensure_future(anext(items))
    run = await source.open()
    run.push(1, 2, 3)
    assert await first == 1
    await until(lambda: run.sink.gate.closed)
    scheduler.advance_by(25)
    assert [await anext(items), await anext(items)] == [2, 3]
    waiting = asyncio.ensure_future(anext(items))
    await spin()
    scheduler.advance_by(10)
    assert await asyncio.wait_for(waiting, PATIENCE) == "still"
    await items.aclose()


async def test_the_time_while_the_consumer_was_full_is_no_silence(clock: list[float]):
    scheduler, subject, log = LoopScheduler(asyncio.get_running_loop()), Subject[int](), Log()
    subscription = subject.pipe(ops.keep_alive(10, "still")).subscribe(*log.callbacks, scheduler=scheduler)
    clock[0] += 9
    scheduler.gate.close()
    clock[0] += 500
    await spin()
    scheduler.gate.open()
    clock[0] += 0.9
    await spin()
    assert log.items == []
    clock[0] += 0.2
    await until(lambda: log.items)
    assert log.items == ["still"]
    subscription.dispose()


async def test_a_busy_program_is_not_a_silent_source(clock: list[float]):
    source, log = Source(), Log()
    source.stream.pipe(ops.keep_alive(10, "still")).subscribe(*log.callbacks)
    run = await source.open()
    await run.send(1)
    run.push(2)
    clock[0] += 15  # before the loop had a turn
    await spin()
    assert log.items == [1, 2]
    clock[0] += 10.1
    await until(lambda: log.items[2:])
    assert log.items == [1, 2, "still"]
    run.push(END)
    await until(lambda: log.ends)


def test_without_a_loop_it_runs_on_the_background_loop_without_a_thread():
    background_loop()
    subject, second = Subject[int](), threading.Event()
    before = threading.active_count()
    kept = subject.pipe(ops.keep_alive(0.005, "still"))
    seen: list[Any] = []
    subscription = kept.subscribe(lambda item: (seen.append(item), second.set() if len(seen) == 2 else None))
    assert threading.active_count() == before
    assert second.wait(PATIENCE)
    subscription.dispose()
    assert seen[:2] == ["still", "still"]


def test_items_of_another_thread_and_its_own_are_handed_on_one_at_a_time():
    subject, log = Subject[int](), Log()
    at_once, most = 0, 0

    def on_next(item: Any) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        log.items.append(item)
        at_once -= 1

    subscription = from_observable(subject).pipe(ops.keep_alive(0.0001, -1)).subscribe(on_next)
    while log.items.count(-1) < 50:
        subject.on_next(1)
    subscription.dispose()
    assert most == 1


@pytest.mark.parametrize("end", ["error", "completed"])
def test_an_end_on_another_thread_waits_for_the_item_in_delivery(end: str):
    subject, scheduler, order = Subject[int](), VirtualTimeScheduler(), list[str]()
    delivering, ended = threading.Event(), threading.Event()

    def on_next(_: Any) -> None:
        delivering.set()
        ended.wait(0.2)  # it comes too early, or not at all as long as this runs
        order.append("item")

    def on_end(*_: Any) -> None:
        order.append("end")
        ended.set()

    kept = subject.pipe(ops.keep_alive(10, "still", scheduler))
    kept.subscribe(on_next, on_end, on_end)
    thread = threading.Thread(target=scheduler.advance_to, args=(10,))
    thread.start()
    assert delivering.wait(PATIENCE)
    if end == "error":
        subject.on_error(ValueError())
    else:
        subject.on_completed()
    thread.join(PATIENCE)
    assert order == ["item", "end"]


async def test_when_the_source_ends_no_timer_is_left():
    source = Source()
    loop: Any = asyncio.get_running_loop()
    before = {timer for timer in loop._scheduled if not timer.cancelled()}
    source.stream.pipe(ops.keep_alive(600, "still")).subscribe()
    (await source.open()).push(END)
    await until(lambda: source.runs[0].closed.is_set())
    await spin()
    assert {timer for timer in loop._scheduled if not timer.cancelled()} <= before


async def test_an_exception_behind_it_reaches_the_consumer():
    def raising(upstream: rx.Observable[Any]) -> rx.Observable[Any]:
        def subscribe(observer: Any, scheduler: Any = None) -> Any:
            return upstream.subscribe(lambda _: 1 / 0, observer.on_error, observer.on_completed, scheduler=scheduler)

        return rx.create(subscribe)

    for stream in (
        from_observable(rx.never()).pipe(ops.keep_alive(0.001, "still"), raising),
        from_observable(rx.never().pipe(ops.keep_alive(0.001, "still"), raising)),
    ):
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(stream.wait(), PATIENCE)


def test_what_is_no_time_is_refused_at_the_call():
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="seconds is a finite time above 0"):
            ops.keep_alive(wrong, "still")
    with pytest.raises(TypeError, match="seconds is in seconds, or a timedelta"):
        ops.keep_alive("1", "still")  # pyright: ignore[reportArgumentType]
