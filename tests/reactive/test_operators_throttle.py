"""`throttle_latest`, in virtual time: the first at once, the newest at each interval's end, the last never lost."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex.scheduler import VirtualTimeScheduler
from reactivex.subject import Subject

from rxfal import operators as ops
from rxfal.reactive.background import background_loop
from rxfal.reactive.stream import from_observable
from tests.reactive.sources import PATIENCE, Log, spin, until
from tests.reactive.virtual_time import Source, cold, hot, on_completed, on_error, on_next, play, sources


def throttled(source: Source, seconds: Any = 10, **options: Any) -> list[Any]:
    return play(lambda ops, s, x: x.pipe(ops.throttle_latest(seconds)), source, **options).messages


def test_the_marbles_of_its_docstring():
    source = hot(*(on_next(200 + at, at) for at in (1, 3, 5, 11, 14, 16)), on_completed(217))
    assert throttled(source, 4) == [
        (201, "next", 1),
        (205, "next", 5),
        (211, "next", 11),
        (215, "next", 14),
        (217, "next", 16),
        (217, "completed", None),
    ]


def test_the_first_passes_at_once_and_an_item_after_silence_too():
    assert throttled(hot(on_next(210, 1), on_next(300, 2))) == [(210, "next", 1), (300, "next", 2)]


def test_of_many_only_the_newest_passes_when_the_interval_ends():
    assert throttled(hot(*(on_next(210 + n, n) for n in range(8)))) == [(210, "next", 0), (220, "next", 7)]


def test_a_kept_item_starts_an_interval_too():
    source = hot(on_next(210, 1), on_next(211, 2), on_next(221, 3))
    assert throttled(source) == [(210, "next", 1), (220, "next", 2), (230, "next", 3)]


def test_an_item_at_the_very_end_of_the_interval_is_the_one_that_passes():
    assert throttled(hot(on_next(210, 1), on_next(215, 2), on_next(220, 3))) == [(210, "next", 1), (220, "next", 3)]


def test_the_kept_item_passes_before_the_end():
    source = hot(on_next(210, 1), on_next(211, 2), on_completed(212))
    assert throttled(source) == [(210, "next", 1), (212, "next", 2), (212, "completed", None)]


def test_the_kept_item_passes_before_an_error_too():
    source = hot(on_next(210, 1), on_next(211, 2), on_error(212, "broken"))
    assert throttled(source) == [(210, "next", 1), (212, "next", 2), (212, "error", "broken")]


def test_nothing_is_emitted_twice_at_the_end():
    assert throttled(hot(on_next(210, 1), on_completed(211))) == [(210, "next", 1), (211, "completed", None)]


@pytest.mark.parametrize("value", [None, 0, "", False, []], ids=repr)
def test_falsy_items_are_items(value: Any):
    source = hot(on_next(210, 1), on_next(211, value), on_completed(300))
    assert throttled(source) == [(210, "next", 1), (220, "next", value), (300, "completed", None)]


def test_disposed_it_forgets_the_kept_item():
    assert throttled(hot(on_next(210, 1), on_next(211, 2)), disposed=215) == [(210, "next", 1)]


def test_an_empty_source_and_one_that_fails_at_once():
    assert throttled(cold(on_completed(5))) == [(205, "completed", None)]
    assert throttled(cold(on_error(5, "broken"))) == [(205, "error", "broken")]


def test_a_timedelta_is_seconds_too():
    assert throttled(hot(on_next(210, 1), on_next(211, 2)), timedelta(seconds=20))[1] == (230, "next", 2)


def test_on_a_scheduler_of_its_own():
    seen = play(lambda ops, s, x: x.pipe(ops.throttle_latest(10, s)), hot(on_next(210, 1), on_next(211, 2)))
    assert seen.items == [(210, 1), (220, 2)]


def test_the_timer_ends_with_the_source():
    scheduler = VirtualTimeScheduler()
    fired: list[float] = []
    schedule = scheduler.schedule_relative
    scheduler.schedule_relative = lambda due, action, state=None: schedule(  # type: ignore[method-assign]
        due, lambda *args: (fired.append(due), action(*args))[1], state
    )
    subject: Subject[int] = Subject()
    subject.pipe(ops.throttle_latest(10)).subscribe(scheduler=scheduler)
    subject.on_next(1)
    subject.on_next(2)
    subject.on_completed()
    scheduler.start()
    assert fired == []


def test_an_item_from_within_on_next_waits_for_its_interval():
    scheduler = VirtualTimeScheduler()
    subject: Subject[int] = Subject()
    seen: list[tuple[float, int]] = []

    def on_next(value: int) -> None:
        seen.append((scheduler.clock, value))
        if value < 3:
            subject.on_next(value + 1)

    subject.pipe(ops.throttle_latest(10)).subscribe(on_next, scheduler=scheduler)
    subject.on_next(1)
    scheduler.start()
    assert seen == [(0, 1), (10, 2), (20, 3)]


@settings(max_examples=60, deadline=None)
@given(sources(), st.integers(1, 20))
def test_for_any_source_no_two_come_closer_than_the_interval_and_the_last_is_there(source: Source, seconds: int):
    raw = play(lambda ops, s, x: x, source)
    seen = play(lambda ops, s, x: x.pipe(ops.throttle_latest(seconds)), source)
    assert seen.end == raw.end
    assert [item for _, item in seen.items] == sorted({item for _, item in seen.items})
    assert [item for _, item in seen.items][-1:] == [item for _, item in raw.items][-1:]
    assert seen.items[:1] == raw.items[:1]
    times = [at for at, _ in seen.items]
    last_may_be_early = times if raw.end is None else times[:-1]
    assert all(later - earlier >= seconds for earlier, later in pairwise(last_may_be_early))
    for at, item in seen.items:  # always the newest
        assert all(item >= earlier for when, earlier in raw.items if when < at)


async def test_one_timer_at_a_time_and_none_while_nothing_comes():
    scheduler = VirtualTimeScheduler()
    calls = 0
    schedule = scheduler.schedule_relative

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        return schedule(*args, **kwargs)

    scheduler.schedule_relative = counted  # type: ignore[method-assign]
    subject: Subject[int] = Subject()
    subject.pipe(ops.throttle_latest(10)).subscribe(scheduler=scheduler)
    assert calls == 0
    for number in range(1_000):
        subject.on_next(number)
    assert calls == 1


async def test_on_a_real_loop_without_a_thread():
    before = set(threading.enumerate())
    subject: Subject[int] = Subject()
    log = Log()
    subscription = subject.pipe(ops.throttle_latest(0.01)).subscribe(*log.callbacks)
    for number in range(100):
        subject.on_next(number)
    await until(lambda: len(log.items) == 2)
    assert log.items == [0, 99]
    assert [thread for thread in threading.enumerate() if thread not in before] == []
    subscription.dispose()


async def test_items_from_another_thread_come_in_order_and_the_last_is_there():
    subject: Subject[int] = Subject()
    log = Log()
    from_observable(subject).pipe(ops.throttle_latest(0.0005)).subscribe(*log.callbacks)

    def feed() -> None:
        for number in range(20_000):
            subject.on_next(number)
        subject.on_completed()

    await asyncio.to_thread(feed)
    await spin()
    assert log.ends == ["completed"]
    assert log.items == sorted(set(log.items))
    assert (log.items[0], log.items[-1]) == (0, 19_999)


def test_without_a_loop_the_interval_runs_on_the_background_loop():
    background_loop()
    subject: Subject[int] = Subject()
    second = threading.Event()
    subscription = subject.pipe(ops.throttle_latest(0.01)).subscribe(lambda item: second.set() if item == 2 else None)
    before = threading.active_count()
    subject.on_next(1)
    subject.on_next(2)
    assert threading.active_count() == before
    assert second.wait(PATIENCE)
    subscription.dispose()
