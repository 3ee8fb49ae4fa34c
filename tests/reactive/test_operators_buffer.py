"""The buffers: reactivex's marbles in virtual time, for every kind of source and every way out."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex import operators as rx_ops
from reactivex.internal import ArgumentOutOfRangeException
from reactivex.subject import Subject

from rxfal import operators as ops
from rxfal.reactive.stream import from_observable
from tests.reactive.virtual_time import BROKEN, STEADY, cold, hot, on_completed, on_error, on_next, same, sources


@pytest.mark.parametrize("name", ["buffer_with_count", "buffer_with_time", "buffer_with_time_or_count"])
def test_signature_is_that_of_reactivex(name: str):
    ours, theirs = inspect.signature(getattr(ops, name)), inspect.signature(getattr(rx_ops, name))
    assert [(p.name, p.kind, p.default) for p in ours.parameters.values()] == [
        (p.name, p.kind, p.default) for p in theirs.parameters.values()
    ]


def test_every_call_that_reactivex_takes_for_buffer_is_taken():
    inspect.signature(ops.buffer).bind(rx.never())
    inspect.signature(ops.buffer).bind(boundaries=rx.never())


# By count.


def test_by_count():
    seen = same(lambda ops, s, x: x.pipe(ops.buffer_with_count(3)), STEADY)
    assert seen.messages == [
        (280, "next", [2, 3, 4]),
        (380, "next", [5, 6, 7]),
        (600, "next", [8, 9]),
        (600, "completed", None),
    ]
    assert seen.subscriptions == [[(200, 600)]]


def test_by_count_overlapping():
    seen = same(lambda ops, s, x: x.pipe(ops.buffer_with_count(3, 2)), STEADY)
    assert seen.items == [(280, [2, 3, 4]), (350, [4, 5, 6]), (420, [6, 7, 8]), (600, [8, 9])]


def test_by_count_overlapping_at_the_end_leaves_several_open():
    seen = same(
        lambda ops, s, x: x.pipe(ops.buffer_with_count(3, 1)),
        cold(*(on_next(i, i) for i in (1, 2, 3, 4)), on_completed(5)),
    )
    assert seen.items == [(203, [1, 2, 3]), (204, [2, 3, 4]), (205, [3, 4]), (205, [4])]


def test_by_count_skipping():
    seen = same(lambda ops, s, x: x.pipe(ops.buffer_with_count(2, 3)), STEADY)
    assert seen.items == [(240, [2, 3]), (350, [5, 6]), (470, [8, 9])]


def test_by_count_disposed():
    seen = same(lambda ops, s, x: x.pipe(ops.buffer_with_count(3, 2)), STEADY, disposed=370)
    assert seen.items == [(280, [2, 3, 4]), (350, [4, 5, 6])]
    assert seen.end is None
    assert seen.subscriptions == [[(200, 370)]]


def test_by_count_error_drops_the_open_buffer():
    seen = same(lambda ops, s, x: x.pipe(ops.buffer_with_count(3, 2)), BROKEN)
    assert seen.items == [(280, [2, 3, 4]), (350, [4, 5, 6]), (420, [6, 7, 8])]
    assert seen.end == (600, "error", "broken")


def test_by_count_an_empty_source_gives_no_buffer():
    assert same(lambda ops, s, x: x.pipe(ops.buffer_with_count(3)), cold(on_completed(5))).messages == [
        (205, "completed", None)
    ]


def test_by_count_a_full_last_buffer_is_not_followed_by_an_empty_one():
    seen = same(lambda ops, s, x: x.pipe(ops.buffer_with_count(1)), cold(on_next(5, 0), on_completed(6)))
    assert seen.items == [(205, [0])]


@pytest.mark.parametrize("arguments", [(0,), (-1,), (1, 0), (1, -1)])
def test_by_count_below_one_is_refused(arguments: tuple[int, ...]):
    with pytest.raises(ArgumentOutOfRangeException):
        ops.buffer_with_count(*arguments)
    with pytest.raises(ArgumentOutOfRangeException):
        rx.never().pipe(rx_ops.buffer_with_count(*arguments))


@settings(max_examples=50, deadline=None)
@given(sources(), st.integers(1, 5), st.none() | st.integers(1, 7), st.sampled_from([230, 260, 1000]))
def test_any_source_by_count_as_in_reactivex(source: Any, count: int, skip: int | None, disposed: float):
    same(lambda ops, s, x: x.pipe(ops.buffer_with_count(count, skip)), source, disposed=disposed)


# By boundaries.

BOUNDARIES = hot(
    on_next(255, None), on_next(330, 0), on_next(350, ""), on_next(400, 1), on_next(500, 2), on_completed(900)
)


def test_by_boundaries_falsy_ones_too():
    seen = same(lambda ops, s, x, b: x.pipe(ops.buffer(b)), STEADY, BOUNDARIES)
    assert seen.messages == [
        (255, "next", [2, 3]),
        (330, "next", [4, 5]),
        (350, "next", [6]),
        (400, "next", [7]),
        (500, "next", [8, 9]),
        (600, "next", []),
        (600, "completed", None),
    ]
    assert seen.subscriptions == [[(200, 600)], [(200, 600)]]


def test_the_end_of_the_boundaries_is_the_end():
    seen = same(lambda ops, s, x, b: x.pipe(ops.buffer(b)), STEADY, hot(on_next(255, 1), on_completed(400)))
    assert seen.messages == [(255, "next", [2, 3]), (400, "next", [4, 5, 6, 7]), (400, "completed", None)]
    assert seen.subscriptions == [[(200, 400)], [(200, 400)]]


def test_an_error_of_the_source_drops_the_open_buffer():
    seen = same(lambda ops, s, x, b: x.pipe(ops.buffer(b)), hot(on_next(210, 1), on_error(300, "broken")), BOUNDARIES)
    assert seen.messages == [(255, "next", [1]), (300, "error", "broken")]


def test_an_error_of_the_boundaries_is_the_end():
    seen = same(lambda ops, s, x, b: x.pipe(ops.buffer(b)), STEADY, hot(on_error(300, "broken")))
    assert seen.messages == [(300, "error", "broken")]
    assert seen.subscriptions == [[(200, 300)], [(200, 300)]]


def test_by_boundaries_disposed():
    seen = same(lambda ops, s, x, b: x.pipe(ops.buffer(b)), STEADY, BOUNDARIES, disposed=340)
    assert seen.subscriptions == [[(200, 340)], [(200, 340)]]


def test_a_source_that_ends_at_once_still_gives_its_items():
    seen = same(lambda ops, s, b: rx.of(1, 2).pipe(ops.buffer(b)), BOUNDARIES)
    assert seen.messages == [(200, "next", [1, 2]), (200, "completed", None)]


@settings(max_examples=50, deadline=None)
@given(sources(), sources(), st.sampled_from([230, 260, 400]))
def test_any_source_and_boundaries_as_in_reactivex(source: Any, boundaries: Any, disposed: float):
    same(lambda ops, s, x, b: x.pipe(ops.buffer(b)), source, boundaries, disposed=disposed)


# What rxfal's own `buffer` adds, and what a subscriber may do.


def test_buffer_goes_to_the_one_that_its_arguments_name():
    def play(ours: Any, theirs: Any) -> None:
        same(lambda o, s, x: x.pipe(ours if o is ops else theirs), STEADY)

    play(ops.buffer(count=3), rx_ops.buffer_with_count(3))
    play(ops.buffer(seconds=70), rx_ops.buffer_with_time(70))
    play(ops.buffer(seconds=70, count=3), rx_ops.buffer_with_time_or_count(70, 3))


def test_a_stream_has_them_as_methods():
    source = from_observable(rx.range(5))
    assert source.buffer(count=2).to_list().run() == [[0, 1], [2, 3], [4]]
    assert source.buffer(rx.never()).to_list().run() == [[0, 1, 2, 3, 4]]
    assert source.buffer_with_count(2, 4).to_list().run() == [[0, 1], [4]]
    assert source.buffer_with_time(60).to_list().run() == [[0, 1, 2, 3, 4]]
    assert source.buffer_with_time_or_count(60, 3).to_list().run() == [[0, 1, 2], [3, 4]]


@pytest.mark.parametrize(
    "options", [{}, {"boundaries": rx.never(), "count": 1}, {"boundaries": rx.never(), "seconds": 1}]
)
def test_buffer_by_nothing_or_by_too_much_is_refused(options: dict[str, Any]):
    with pytest.raises(TypeError):
        ops.buffer(**options)


def test_each_subscription_has_buffers_of_its_own():
    subject: Subject[int] = Subject()
    buffered = subject.pipe(ops.buffer_with_count(2))
    one, two = [], []
    buffered.subscribe(one.append)
    subject.on_next(1)
    buffered.subscribe(two.append)
    subject.on_next(2)
    subject.on_next(3)
    assert (one, two) == ([[1, 2]], [[2, 3]])


@pytest.mark.parametrize(
    "operator",
    [
        ops.buffer_with_count(2),
        ops.buffer_with_count(2, 1),
        ops.buffer_with_time_or_count(60, 2),
        ops.buffer_with_time(60),
    ],
    ids=["count", "overlapping", "time or count", "time"],
)
async def test_a_subscriber_that_keeps_or_empties_a_list_changes_no_other(operator: Any):
    kept: list[list[int]] = []

    def take(items: list[int]) -> None:
        kept.append(list(items))
        items.clear()

    rx.range(4).pipe(operator).subscribe(take)
    expected: list[list[int]] = []
    rx.range(4).pipe(operator).subscribe(expected.append)
    assert kept == expected


@pytest.mark.parametrize(
    "operator",
    [ops.buffer_with_count(2), ops.buffer_with_time_or_count(60, 2), ops.buffer(rx.never())],
    ids=["count", "time or count", "boundaries"],
)
def test_a_source_that_is_fed_from_within_on_next_loses_nothing(operator: Any):
    subject: Subject[int] = Subject()
    seen: list[int] = []

    def on_next(items: list[int]) -> None:
        seen.extend(items)
        if len(seen) < 6:
            subject.on_next(len(seen) + 1)
            subject.on_next(len(seen) + 2)

    subject.pipe(operator).subscribe(on_next)
    subject.on_next(1)
    subject.on_next(2)
    subject.on_completed()
    assert len(set(seen)) == len(seen) >= 2


def test_a_number_for_boundaries_is_told_where_it_belongs():
    with pytest.raises(TypeError, match="count="):
        ops.buffer(5)  # pyright: ignore[reportArgumentType]
