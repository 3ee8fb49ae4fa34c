"""`timeout`: reactivex's marbles in virtual time, and what it refuses."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex import operators as rx_ops
from reactivex.disposable import Disposable
from reactivex.scheduler import ImmediateScheduler
from reactivex.testing import TestScheduler

from rxfal import operators as ops
from rxfal.reactive.stream import from_observable
from tests.reactive.sources import Log
from tests.reactive.virtual_time import cold, hot, on_completed, on_error, on_next, play, same, sources


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)


def test_signature_is_that_of_reactivex():
    ours, theirs = inspect.signature(ops.timeout), inspect.signature(rx_ops.timeout)
    assert [(p.name, p.kind, p.default) for p in ours.parameters.values()] == [
        (p.name, p.kind, p.default) for p in theirs.parameters.values()
    ]


def test_in_time_everything_passes():
    seen = same(
        lambda ops, s, x: x.pipe(ops.timeout(500)),
        hot(on_next(150, 1), on_next(210, 2), on_next(230, 3), on_next(260, 4), on_completed(300)),
    )
    assert seen.messages == [(210, "next", 2), (230, "next", 3), (260, "next", 4), (300, "completed", None)]
    assert seen.subscriptions == [[(200, 300)]]


@pytest.mark.parametrize("given_scheduler", [False, True], ids=["subscription's", "own"])
def test_out_of_time_ends_with_an_error_and_leaves_the_source(given_scheduler: bool):
    seen = same(
        lambda ops, s, x: x.pipe(ops.timeout(205, scheduler=s if given_scheduler else None)),
        hot(on_next(210, 2), on_next(230, 3), on_next(260, 4), on_next(470, 5), on_completed(500)),
    )
    assert seen.items == [(210, 2), (230, 3), (260, 4)]
    assert seen.end == (465, "error", "timeout")
    assert seen.subscriptions == [[(200, 465)]]


def test_an_item_on_time_counts_as_in_time():
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(100)), hot(on_next(300, 1), on_next(400, 2), on_completed(500)))
    assert seen.messages == [(300, "next", 1), (400, "next", 2), (500, "completed", None)]


def test_each_item_starts_the_silence_anew():
    times = range(210, 900, 9)
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(10)), hot(*(on_next(t, t) for t in times)))
    assert [t for t, _ in seen.items] == list(times)
    assert seen.end == (times[-1] + 10, "error", "timeout")


def test_a_silent_source_times_out_counted_from_the_subscription():
    assert same(lambda ops, s: rx.never().pipe(ops.timeout(100))).messages == [(300, "error", "timeout")]


def test_an_empty_source_completes():
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(100)), cold(on_completed(50)))
    assert seen.messages == [(250, "completed", None)]


def test_the_end_of_the_source_ends_the_watch():
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(100, rx.of("late"))), hot(on_next(210, 1), on_completed(250)))
    assert seen.messages == [(210, "next", 1), (250, "completed", None)]


def test_an_error_of_the_source_passes_and_ends_the_watch():
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(100, rx.of("late"))), hot(on_error(250, "broken")))
    assert seen.messages == [(250, "error", "broken")]


def test_disposed_before_the_time_is_out_nothing_follows():
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(100)), hot(on_next(210, 1)), disposed=250)
    assert seen.messages == [(210, "next", 1)]
    assert seen.subscriptions == [[(200, 250)]]


def test_goes_on_with_the_other():
    seen = same(
        lambda ops, s, x, other: x.pipe(ops.timeout(100, other)),
        hot(on_next(250, 1), on_next(350, 2), on_next(470, 3)),
        cold(on_next(10, "a"), on_next(200, "b"), on_completed(210)),
    )
    assert seen.messages == [
        (250, "next", 1),
        (350, "next", 2),
        (460, "next", "a"),
        (650, "next", "b"),
        (660, "completed", None),
    ]
    assert seen.subscriptions == [[(200, 450)], [(450, 660)]]


def test_the_other_is_not_watched():
    seen = same(
        lambda ops, s, x, other: x.pipe(ops.timeout(20, other)), hot(), cold(on_next(500, 1), on_completed(501))
    )
    assert seen.items == [(720, 1)]


def test_the_other_may_fail():
    seen = same(lambda ops, s, x, other: x.pipe(ops.timeout(20, other)), hot(), cold(on_error(5, "worse")))
    assert seen.messages == [(225, "error", "worse")]


def test_the_other_is_left_alone_when_in_time():
    seen = same(lambda ops, s, x, other: x.pipe(ops.timeout(50, other)), hot(on_completed(240)), cold(on_next(1, 1)))
    assert seen.subscriptions[1] == []


def test_the_other_is_disposed_with_the_subscription():
    seen = same(lambda ops, s, x, other: x.pipe(ops.timeout(20, other)), hot(), cold(on_next(500, 1)), disposed=300)
    assert seen.subscriptions == [[(200, 220)], [(220, 300)]]


def test_a_timedelta_is_seconds_too():
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(timedelta(seconds=70))), hot(on_next(210, 1)))
    assert seen.end == (280, "error", "timeout")


def test_a_deadline_that_passes():
    seen = same(
        lambda ops, s, x, other: x.pipe(ops.timeout(at(400), other)),
        hot(on_next(310, 1), on_next(350, 2), on_next(420, 3), on_completed(450)),
        cold(on_next(100, -1), on_completed(101)),
    )
    assert seen.items == [(310, 1), (350, 2), (500, -1)]
    assert seen.subscriptions == [[(200, 400)], [(400, 501)]]


def test_a_deadline_that_is_met():
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(at(400))), hot(on_next(310, 1), on_completed(390)))
    assert seen.messages == [(310, "next", 1), (390, "completed", None)]


def test_an_error_before_the_deadline():
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(at(400))), hot(on_error(390, "broken"), on_next(395, 1)))
    assert seen.messages == [(390, "error", "broken")]


def test_a_deadline_is_not_moved_by_items():
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(at(400))), hot(*(on_next(t, t) for t in range(210, 600, 10))))
    assert seen.end == (400, "error", "timeout")


def test_two_subscriptions_are_watched_apart():
    scheduler = TestScheduler()
    timed = scheduler.create_cold_observable(on_next(50, 1)).pipe(ops.timeout(100))
    first, second = scheduler.create_observer(), scheduler.create_observer()
    scheduler.schedule_absolute(200.0, lambda *_: timed.subscribe(first, scheduler=scheduler))
    scheduler.schedule_absolute(270.0, lambda *_: timed.subscribe(second, scheduler=scheduler))
    scheduler.start()
    assert [[m.time for m in o.messages] for o in (first, second)] == [[250, 350], [320, 420]]


@settings(max_examples=50, deadline=None)
@given(sources(), st.integers(1, 40), st.sampled_from([230, 260, 1000]))
def test_any_source_as_in_reactivex(source: Any, duetime: int, disposed: float):
    same(lambda ops, s, x: x.pipe(ops.timeout(duetime)), source, disposed=disposed)


@settings(max_examples=50, deadline=None)
@given(sources(), sources(), st.integers(1, 40))
def test_any_source_and_other_as_in_reactivex(source: Any, other: Any, duetime: int):
    same(lambda ops, s, x, y: x.pipe(ops.timeout(duetime, y)), source, other)


@settings(max_examples=50, deadline=None)
@given(sources(), st.integers(200, 300))  # and a half: in a tie reactivex has the one that was scheduled first
def test_any_source_and_deadline_as_in_reactivex(source: Any, deadline: int):
    same(lambda ops, s, x: x.pipe(ops.timeout(at(deadline + 0.5))), source)


def test_a_source_that_ended_inside_its_subscribe_is_not_followed_by_the_other():
    scheduler = TestScheduler()
    others: list[int] = []
    subscribe_other = rx.defer(lambda _: (others.append(1), rx.of("other"))[1])

    def ends_and_lingers(observer: Any, scheduler_: Any = None) -> Any:
        observer.on_completed()
        scheduler.advance_by(500.0)
        return Disposable()

    seen = play(lambda ops, s: rx.create(ends_and_lingers).pipe(ops.timeout(100, subscribe_other)))
    assert (seen.messages, others) == ([(200, "completed", None)], [])


@pytest.mark.parametrize("duetime", [None, "5"])
def test_what_is_no_time_is_refused_at_the_call(duetime: Any):
    with pytest.raises(TypeError, match="seconds"):
        ops.timeout(duetime)


@pytest.mark.parametrize("streams", [False, True], ids=["observable", "stream"])
def test_a_timer_that_is_due_inside_subscribe_is_the_end_before_the_first_item(streams: bool):
    source = from_observable(rx.of(1)) if streams else rx.of(1)
    for o in (ops, rx_ops):
        log = Log()
        source.pipe(o.timeout(0, rx.of("other"), scheduler=ImmediateScheduler())).subscribe(*log.callbacks)
        assert (log.items, log.ends) == (["other"], ["completed"])


def test_what_can_not_be_gone_on_with_is_refused_at_the_call():
    with pytest.raises(TypeError, match="Observable or a future, not 'x'"):
        ops.timeout(1, "x")  # pyright: ignore[reportArgumentType]
