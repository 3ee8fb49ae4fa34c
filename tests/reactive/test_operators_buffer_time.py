"""`buffer_with_time` and `buffer_with_time_or_count`: reactivex's marbles in virtual time, and on event loops."""

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
from rxfal.reactive.scheduler import LoopScheduler
from rxfal.reactive.stream import from_observable
from tests.reactive.sources import PATIENCE, Log, spin, until
from tests.reactive.virtual_time import BROKEN, STEADY, cold, hot, on_completed, on_next, same, sources


def test_by_time():
    seen = same(lambda ops, s, x: x.pipe(ops.buffer_with_time(100)), STEADY)
    assert seen.messages == [
        (300, "next", [2, 3, 4]),
        (400, "next", [5, 6, 7]),
        (500, "next", [8, 9]),
        (600, "next", []),
        (600, "completed", None),
    ]
    assert seen.subscriptions == [[(200, 600)]]


def test_by_time_overlapping():
    seen = same(lambda ops, s, x: x.pipe(ops.buffer_with_time(100, 70)), STEADY)
    assert seen.items == [
        (300, [2, 3, 4]),
        (370, [4, 5, 6]),
        (440, [6, 7, 8]),
        (510, [8, 9]),
        (580, []),
        (600, []),
    ]


def test_by_time_overlapping_many_times():
    same(lambda ops, s, x: x.pipe(ops.buffer_with_time(100, 10)), STEADY)


def test_by_time_skipping():
    seen = same(lambda ops, s, x: x.pipe(ops.buffer_with_time(70, 100)), STEADY)
    assert seen.items == [(270, [2, 3]), (370, [5, 6]), (470, [8, 9]), (570, [])]


def test_by_time_an_item_on_the_boundary_is_in_the_buffer_that_closes():
    seen = same(
        lambda ops, s, x: x.pipe(ops.buffer_with_time(100)), hot(on_next(300, 1), on_next(301, 2), on_completed(310))
    )
    assert seen.items == [(300, [1]), (310, [2])]


def test_by_time_disposed():
    seen = same(lambda ops, s, x: x.pipe(ops.buffer_with_time(100, 70)), STEADY, disposed=370)
    assert seen.items == [(300, [2, 3, 4])]
    assert seen.end is None
    assert seen.subscriptions == [[(200, 370)]]


def test_by_time_error_drops_the_open_buffers():
    seen = same(lambda ops, s, x: x.pipe(ops.buffer_with_time(100, 70)), BROKEN)
    assert len(seen.items) == 5
    assert seen.end == (600, "error", "broken")


def test_by_time_silence_gives_empty_buffers():
    seen = same(lambda ops, s, x: x.pipe(ops.buffer_with_time(100)), hot(), disposed=450)
    assert seen.items == [(300, []), (400, [])]


def test_by_time_as_timedeltas():
    span, shift = timedelta(seconds=100), timedelta(seconds=70)
    assert same(lambda ops, s, x: x.pipe(ops.buffer_with_time(span, shift)), STEADY) == same(
        lambda ops, s, x: x.pipe(ops.buffer_with_time(100, 70)), STEADY
    )


def test_by_time_fractions_of_seconds_close_and_open_together():
    """A tenth is no binary fraction: three shifts of 0.1 and a span of 0.3 must still meet at one moment."""
    source = cold(*(on_next(t, t) for t in range(1, 4)), on_completed(4))
    same(lambda ops, s, x: x.pipe(ops.buffer_with_time(0.3, 0.1)), source)


def test_by_time_on_a_scheduler_of_its_own():
    same(lambda ops, s, x: x.pipe(ops.buffer_with_time(100, scheduler=s)), STEADY)


@settings(max_examples=50, deadline=None)
@given(sources(), st.integers(1, 30), st.none() | st.integers(0, 30), st.sampled_from([230, 260, 400]))
def test_any_source_by_time_as_in_reactivex(source: Any, span: int, shift: int | None, disposed: float):
    same(lambda ops, s, x: x.pipe(ops.buffer_with_time(span, shift)), source, disposed=disposed)


def test_by_time_or_count():
    seen = same(
        lambda ops, s, x: x.pipe(ops.buffer_with_time_or_count(70, 3)),
        hot(
            on_next(205, 1),
            on_next(210, 2),
            on_next(240, 3),
            on_next(280, 4),
            on_next(320, 5),
            on_next(350, 6),
            on_next(370, 7),
            on_next(420, 8),
            on_next(470, 9),
            on_completed(600),
        ),
    )
    assert seen.messages == [
        (240, "next", [1, 2, 3]),
        (310, "next", [4]),
        (370, "next", [5, 6, 7]),
        (440, "next", [8]),
        (510, "next", [9]),
        (580, "next", []),
        (600, "next", []),
        (600, "completed", None),
    ]
    assert seen.subscriptions == [[(200, 600)]]


def test_by_time_or_count_disposed():
    seen = same(lambda ops, s, x: x.pipe(ops.buffer_with_time_or_count(70, 3)), STEADY, disposed=370)
    assert seen.items == [(270, [2, 3]), (340, [4, 5])]
    assert seen.subscriptions == [[(200, 370)]]


def test_by_time_or_count_error_drops_the_open_buffer():
    seen = same(lambda ops, s, x: x.pipe(ops.buffer_with_time_or_count(70, 3)), BROKEN)
    assert seen.end == (600, "error", "broken")


def test_by_time_or_count_a_full_buffer_starts_the_time_anew():
    seen = same(
        lambda ops, s, x: x.pipe(ops.buffer_with_time_or_count(50, 2)),
        hot(on_next(230, 1), on_next(240, 2), on_next(285, 3), on_completed(400)),
    )
    assert seen.items[:3] == [(240, [1, 2]), (290, [3]), (340, [])]


@settings(max_examples=50, deadline=None)
@given(sources(), st.integers(1, 30), st.integers(1, 5), st.sampled_from([230, 260, 400]))
def test_any_source_by_time_or_count_as_in_reactivex(source: Any, span: int, count: int, disposed: float):
    same(lambda ops, s, x: x.pipe(ops.buffer_with_time_or_count(span, count)), source, disposed=disposed)


def test_the_timer_ends_with_the_source():
    scheduler = VirtualTimeScheduler()
    rx.of(1).pipe(ops.buffer_with_time(10)).subscribe(scheduler=scheduler)
    rx.of(1).pipe(ops.buffer_with_time_or_count(10, 3)).subscribe(scheduler=scheduler)
    scheduler.start()  # would run for ever
    assert scheduler.clock <= 10


async def test_by_time_on_a_real_loop_without_a_thread():
    before = set(threading.enumerate())
    subject: Subject[int] = Subject()
    log = Log()
    subscription = subject.pipe(ops.buffer_with_time(0.01)).subscribe(*log.callbacks)
    subject.on_next(1)
    await until(lambda: len(log.items) >= 2)
    assert [thread for thread in threading.enumerate() if thread not in before] == []
    subscription.dispose()
    assert log.items[:2] == [[1], []]


async def test_by_time_or_count_items_from_two_threads_are_neither_lost_nor_doubled():
    subject: Subject[int] = Subject()
    got: list[list[int]] = []
    subscription = from_observable(subject).pipe(ops.buffer_with_time_or_count(0.001, 7)).subscribe(got.append)

    def feed() -> None:
        for number in range(5_000):
            subject.on_next(number)

    await asyncio.gather(asyncio.to_thread(feed), asyncio.to_thread(feed))
    subject.on_completed()
    await spin()
    subscription.dispose()
    assert sorted(number for items in got for number in items) == sorted([*range(5_000)] * 2)
    assert max(map(len, got)) <= 7


def test_without_a_loop_the_timer_runs_on_the_background_loop():
    background_loop()
    before = threading.active_count()
    arrived = threading.Event()
    subscription = rx.never().pipe(ops.buffer_with_time(0.01)).subscribe(lambda _: arrived.set())
    assert threading.active_count() == before
    assert arrived.wait(PATIENCE)
    subscription.dispose()


@pytest.mark.parametrize(
    ("arguments", "options"),
    [((), {"seconds": 0}), ((), {"seconds": -1}), ((), {"count": 0}), ((), {"count": 0, "seconds": 1})],
)
def test_a_time_or_count_that_makes_no_buffer_is_refused_at_the_call(arguments: Any, options: Any):
    with pytest.raises(ValueError):
        ops.buffer(*arguments, **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda o: o.buffer(seconds=0.001),
        lambda o: o.buffer(seconds=0.001, count=9),
        lambda o: o.buffer_with_time(0.002, 0.001),
    ],
)
async def test_a_full_consumer_gets_no_empty_lists_until_it_has_room(make: Any):
    scheduler, others, subject = LoopScheduler(asyncio.get_running_loop()), Log(), Subject[int]()
    lists: list[list[int]] = []
    with from_observable(subject).pipe(make(ops)).subscribe(lists.append, scheduler=scheduler):
        scheduler.gate.close()
        del lists[:]
        # The same timer beside it, for a consumer with room, says when several intervals have passed.
        with from_observable(rx.never()).pipe(make(ops)).subscribe(*others.callbacks):
            await until(lambda: len(others.items) > 5)
            assert lists == []
            subject.on_next(1)
            await until(lambda: [1] in lists)
            scheduler.gate.open()
            await until(lambda: [] in lists)
