"""Rule 5: time operators on the LoopScheduler, without a thread, and its way up the chain to the source."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import reactivex as rx
from reactivex.disposable import Disposable
from reactivex.scheduler import NewThreadScheduler
from reactivex.subject import Subject

import rxfal.operators as ops
from rxfal.reactive.background import background_loop, current_loop
from rxfal.reactive.reader import Sink
from rxfal.reactive.scheduler import LoopScheduler
from rxfal.reactive.stream import ConnectableStream, Stream, create, from_observable
from tests.reactive.sources import PATIENCE, spin

pytestmark = pytest.mark.every_loop

TICK = 0.01


async def three(sink: Sink[int]) -> None:
    for number in range(3):
        sink.on_next(number)
        await asyncio.sleep(0)


numbers = create(three, name="three")


# Operators that schedule, each in a chain over a source of 0, 1, 2 that ends, and what comes out.
SCHEDULING: dict[str, tuple[Callable[[Stream[Any]], Stream[Any]], list[Any]]] = {
    "delay": (lambda s: s.delay(TICK), [0, 1, 2]),
    "delay to a date": (lambda s: s.delay(datetime.now(UTC) + timedelta(seconds=TICK)), [0, 1, 2]),
    "debounce": (lambda s: s.debounce(TICK), [2]),
    "sample": (lambda s: s.concat(rx.never()).sample(TICK).take(1), [2]),
    "interval": (lambda s: s.flat_map(lambda x: rx.interval(TICK).take(2)).count(), [6]),
    "timeout": (lambda s: s.timeout(PATIENCE), [0, 1, 2]),
    "timeout that expires": (lambda s: s.concat(rx.never()).timeout(TICK, rx.of(9)), [0, 1, 2, 9]),
    "reactivex's timeout": (lambda s: s.pipe(rx.operators.timeout(TICK * 100)), [0, 1, 2]),
    "throttle_first": (lambda s: s.throttle_first(PATIENCE), [0]),
    "retry": (lambda s: s.concat(rx.throw(ValueError())).retry(2).catch(rx.of(9)), [0, 1, 2, 0, 1, 2, 9]),
    "repeat": (lambda s: s.repeat(2), [0, 1, 2, 0, 1, 2]),
    "concat": (lambda s: s.concat(s), [0, 1, 2, 0, 1, 2]),
    "start_with": (lambda s: s.start_with(8, 9), [8, 9, 0, 1, 2]),
    "delay_subscription": (lambda s: s.delay_subscription(TICK), [0, 1, 2]),
    "delay_subscription to a date": (lambda s: s.delay_subscription(datetime.now(UTC)), [0, 1, 2]),
    "observe_on": (lambda s: s.observe_on(LoopScheduler(current_loop())), [0, 1, 2]),
    "subscribe_on": (lambda s: s.subscribe_on(LoopScheduler(current_loop())), [0, 1, 2]),
    "take_with_time": (lambda s: s.concat(rx.never()).take_with_time(TICK), [0, 1, 2]),
    "take_until_with_time": (lambda s: s.concat(rx.never()).take_until_with_time(TICK), [0, 1, 2]),
    "take_last_with_time": (lambda s: s.take_last_with_time(PATIENCE), [0, 1, 2]),
    "skip_with_time": (lambda s: s.skip_with_time(PATIENCE), []),
    "skip_until_with_time": (lambda s: s.delay(TICK * 3).skip_until_with_time(TICK), [0, 1, 2]),
    "skip_last_with_time": (lambda s: s.skip_last_with_time(PATIENCE), []),
    "buffer_with_time": (lambda s: s.concat(rx.never()).buffer_with_time(TICK).take(1), [[0, 1, 2]]),
    "buffer_with_time_or_count": (lambda s: s.buffer_with_time_or_count(PATIENCE, 2), [[0, 1], [2]]),
    "window_with_time": (lambda s: s.window_with_time(PATIENCE).flat_map(lambda w: w.to_list()), [[0, 1, 2]]),
    "window_with_time_or_count": (
        lambda s: s.window_with_time_or_count(PATIENCE, 2).flat_map(lambda w: w.to_list()),
        [[0, 1], [2]],
    ),
    "timestamp": (lambda s: s.timestamp().map(lambda stamped: stamped.value), [0, 1, 2]),
    "time_interval": (lambda s: s.time_interval().map(lambda spanned: spanned.value), [0, 1, 2]),
    "timer": (lambda s: s.flat_map(lambda x: rx.timer(TICK * x).map(lambda _: x)), [0, 1, 2]),
    "expand": (lambda s: s.take(1).expand(lambda x: rx.timer(TICK).map(lambda _: x + 1)).take(3), [0, 1, 2]),
    "generate_with_relative_time": (
        lambda s: s.concat(rx.generate_with_relative_time(3, lambda x: x < 5, lambda x: x + 1, lambda x: TICK)),
        [0, 1, 2, 3, 4],
    ),
    "throttle_latest": (lambda s: s.pipe(ops.throttle_latest(TICK)), [0, 2]),
}


@pytest.fixture
def no_new_threads() -> Any:
    background_loop()
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("name", SCHEDULING)
def test_time_operators_work_from_a_thread_without_a_loop_and_start_no_thread(name: str, no_new_threads: None):
    build, expected = SCHEDULING[name]
    threads: set[threading.Thread] = set()
    outcome = build(numbers).do_action(lambda _: threads.add(threading.current_thread())).to_list().run()
    assert outcome == expected
    assert {thread.name for thread in threads} <= {"rxfal-loop"}


@pytest.mark.parametrize("name", SCHEDULING)
async def test_time_operators_work_on_a_running_loop_and_start_no_thread(name: str, no_new_threads: None):
    build, expected = SCHEDULING[name]
    async with asyncio.timeout(PATIENCE):
        assert await build(numbers).to_list() == expected


# What each operator of `rxfal.operators` is given where it needs arguments; `mine` stands for a LoopScheduler.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "all": (bool,),
    "amb": (rx.never(),),
    "average": (float,),
    "buffer": (rx.never(),),
    "buffer_toggle": (rx.never(), lambda _: rx.never()),
    "buffer_when": (rx.never,),
    "buffer_with_count": (2,),
    "buffer_with_time": (1.0,),
    "buffer_with_time_or_count": (1.0, 2),
    "catch": (rx.empty(),),
    "combine_latest": (rx.never(),),
    "concat": (rx.empty(),),
    "concat_map": (rx.of,),
    "contains": (1,),
    "debounce": (1.0,),
    "delay": (0.0,),
    "delay_subscription": (0.0,),
    "delay_with_mapper": (lambda _: rx.empty(),),
    "do": (Subject(),),
    "do_while": (lambda _: False,),
    "element_at": (0,),
    "element_at_or_default": (0,),
    "expand": (lambda _: rx.empty(),),
    "filter": (bool,),
    "finally_action": (lambda: None,),
    "find": (lambda x, i, s: True,),
    "find_index": (lambda x, i, s: True,),
    "flat_map": (rx.of,),
    "flat_map_indexed": (lambda x, i: rx.of(x),),
    "flat_map_latest": (rx.of,),
    "fork_join": (rx.empty(),),
    "group_by": (lambda x: x,),
    "group_by_until": (lambda x: x, None, lambda group: rx.never()),
    "group_join": (rx.never(), lambda _: rx.never(), lambda _: rx.never()),
    "join": (rx.never(), lambda _: rx.never(), lambda _: rx.never()),
    "max_by": (lambda x: x,),
    "merge": (rx.never(),),
    "min_by": (lambda x: x,),
    "multicast": (Subject(),),
    "observe_on": ("mine",),
    "on_error_resume_next": (rx.empty(),),
    "on_loop": ("loop",),
    "exhaust_map": (lambda item: rx.never(),),
    "keep_alive": (60, "still there"),
    "on_thread": (lambda call: call(),),
    "partition": (bool,),
    "partition_indexed": (lambda x, i: True,),
    "pluck": ("key",),
    "pluck_attr": ("real",),
    "publish_value": (0,),
    "reduce": (lambda a, b: a,),
    "sample": (1.0,),
    "scan": (lambda a, b: a,),
    "sequence_equal": ([1],),
    "skip": (1,),
    "skip_last": (1,),
    "skip_last_with_time": (1.0,),
    "skip_until": (rx.never(),),
    "skip_until_with_time": (1.0,),
    "skip_while": (bool,),
    "skip_while_indexed": (lambda x, i: True,),
    "skip_with_time": (1.0,),
    "slice": (1, 2, 1),
    "starmap_indexed": (lambda *args: args,),
    "start_with": (1,),
    "subscribe_on": ("mine",),
    "switch_map": (rx.of,),
    "switch_map_indexed": (lambda x, i: rx.of(x),),
    "take": (1,),
    "take_last": (1,),
    "take_last_buffer": (1,),
    "take_last_with_time": (1.0,),
    "take_until": (rx.never(),),
    "take_until_with_time": (1.0,),
    "take_while": (bool,),
    "take_while_indexed": (lambda x, i: True,),
    "take_with_time": (1.0,),
    "throttle_first": (1.0,),
    "throttle_latest": (1.0,),
    "throttle_with_mapper": (lambda _: rx.never(),),
    "throttle_with_timeout": (1.0,),
    "timeout": (1.0,),
    "timeout_with_mapper": (rx.never(), lambda _: rx.never(), rx.empty()),
    "to_dict": (lambda x: x,),
    "while_do": (lambda _: True,),
    "window": (rx.never(),),
    "window_toggle": (rx.never(), lambda _: rx.never()),
    "window_when": (rx.never,),
    "window_with_count": (2,),
    "window_with_time": (1.0,),
    "window_with_time_or_count": (1.0, 2),
    "with_latest_from": (rx.never(),),
    "zip": (rx.never(),),
    "zip_latest": (rx.never(),),
    "zip_with_iterable": ([1],),
    "zip_with_list": ([1],),
}
# A connectable's source gets the scheduler of `connect`; `partition` has one inside, which ref_count connects with it.
CONNECTABLE = {"multicast", "publish", "publish_value", "replay"}
NOT_APPLICABLE = {"ref_count"}  # wants a connectable
OWN_SCHEDULER = {
    "memoize",  # as share
    "on_loop",  # the same loop and gate, and itself as the consumer of what comes before it
    "on_thread",
    "share",  # one for all subscribers, with a gate of its own
    "to_future",  # subscribes by itself, at once
}


@pytest.mark.parametrize("name", sorted(set(ops.__all__) - NOT_APPLICABLE))
async def test_the_scheduler_reaches_the_source_through(name: str):
    loop = asyncio.get_running_loop()
    mine = LoopScheduler(loop)
    stand_ins: dict[Any, Any] = {"mine": mine, "loop": loop}
    arguments = [stand_ins.get(arg, arg) if isinstance(arg, str) else arg for arg in ARGUMENTS.get(name, ())]
    seen: list[Any] = []

    def subscribe(observer: Any, scheduler: Any = None) -> Disposable:
        seen.append(scheduler)
        return Disposable()

    result = Stream(subscribe).pipe(getattr(ops, name)(*arguments))
    if isinstance(result, asyncio.Future):
        result.cancel()
    else:
        stream = result[0] if isinstance(result, list) else result
        assert isinstance(stream, Stream)
        subscription = stream.subscribe(scheduler=mine)
        if isinstance(stream, ConnectableStream):
            assert name in CONNECTABLE
            assert seen == []
            stream.connect(mine)
        await spin(5)
        subscription.dispose()
    (scheduler,) = set(seen)
    assert isinstance(scheduler, LoopScheduler)
    assert scheduler.loop is loop
    assert (scheduler is mine) == (name not in OWN_SCHEDULER)


async def test_without_a_scheduler_the_source_gets_one_for_the_loop_of_the_moment():
    seen: list[Any] = []

    def subscribe(observer: Any, scheduler: Any = None) -> Disposable:
        seen.append(scheduler)
        return Disposable()

    Stream(subscribe).map(str).subscribe().dispose()
    await asyncio.to_thread(lambda: Stream(subscribe).map(str).subscribe().dispose())
    assert [type(scheduler) for scheduler in seen] == [LoopScheduler, LoopScheduler]
    assert [scheduler.loop for scheduler in seen] == [asyncio.get_running_loop(), background_loop().loop]


async def test_a_scheduler_that_the_user_passes_wins():
    seen: list[Any] = []
    mine = NewThreadScheduler()

    def subscribe(observer: Any, scheduler: Any = None) -> Disposable:
        seen.append(scheduler)
        return Disposable()

    Stream(subscribe).map(str).subscribe(scheduler=mine).dispose()
    assert seen == [mine]


def test_a_plain_observable_made_a_stream_has_its_timers_on_the_loop(no_new_threads: None):
    assert from_observable(rx.interval(0.001).pipe(ops.take(3))).run() == 2
    assert from_observable(rx.timer(0.001)).delay(0.001).run() == 0
