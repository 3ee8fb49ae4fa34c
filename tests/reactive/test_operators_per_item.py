"""`map` and `filter`: the marbles of reactivex's, and what becomes of an exception."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as rx_ops
from reactivex.subject import Subject

from rxfal import operators as ops
from rxfal.reactive.stream import from_observable
from tests.reactive.sources import Log
from tests.reactive.virtual_time import Played, Source, cold, hot, on_completed, on_error, on_next, play, sources

SOURCE = hot(on_next(210, 1), on_next(220, 2), on_next(230, 3), on_completed(240))
OPERATORS: dict[str, Callable[[Any, Callable[[Any], Any]], Any]] = {
    "map": lambda o, function: o.map(function),
    "filter": lambda o, function: o.filter(function),
}
each = pytest.mark.parametrize("name", OPERATORS)


def played(name: str, function: Callable[[Any], Any], source: Source = SOURCE, **options: Any) -> Played:
    return play(lambda o, s, x: x.pipe(OPERATORS[name](o, function)), source, **options)


def test_the_marbles_of_map():
    assert played("map", lambda n: n * 10).messages == [
        (210, "next", 10),
        (220, "next", 20),
        (230, "next", 30),
        (240, "completed", None),
    ]


def test_the_marbles_of_filter():
    expected = [(210, "next", 1), (230, "next", 3), (240, "completed", None)]
    assert played("filter", lambda n: n % 2).messages == expected


@each
@pytest.mark.parametrize("streams", [False, True], ids=["observable", "stream"])
@given(source=sources())
def test_any_timeline_comes_out_as_from_reactivex(name: str, streams: bool, source: Source):
    function: Callable[[Any], Any] = lambda n: n % 2 if isinstance(n, int) else n
    assert played(name, function, source, streams=streams) == played(name, function, source, operators=rx_ops)


@each
@pytest.mark.parametrize("streams", [False, True], ids=["observable", "stream"])
def test_what_the_function_raises_is_the_end_and_disposes_the_source(name: str, streams: bool):
    def refuse(n: int) -> int:
        if n == 2:
            raise ValueError("no twos")
        return n

    for operators in (ops, rx_ops):
        result = played(name, refuse, operators=operators, streams=streams)
        assert result.items == [(210, 1)]
        assert result.end == (220, "error", "no twos")
        assert result.subscriptions == [[(200, 220)]]


@each
def test_an_error_passes_and_nothing_after_it(name: str):
    source = hot(on_next(210, 1), on_error(220, "broken"), on_next(230, 2))
    assert played(name, lambda n: n, source).messages == [(210, "next", 1), (220, "error", "broken")]


@each
def test_disposed_inside_its_function_it_lets_the_item_in_hand_through_no_further(name: str):
    subject, log, asked = Subject[int](), Log(), []

    def function(n: int) -> int:
        asked.append(n)
        if n == 2:
            subscription.dispose()
        return n

    subscription = from_observable(subject).pipe(OPERATORS[name](ops, function)).subscribe(*log.callbacks)
    for n in (1, 2, 3):
        subject.on_next(n)
    assert (log.items, asked) == ([1], [1, 2])


@each
def test_an_item_that_a_source_emits_after_its_end_is_not_asked_about(name: str):
    asked: list[int] = []

    def unruly(observer: Any, scheduler: Any = None) -> Any:
        observer.on_next(1)
        observer.on_completed()
        observer.on_next(2)

    rx.create(unruly).pipe(OPERATORS[name](ops, lambda n: asked.append(n) or n)).subscribe()
    from_observable(rx.create(unruly)).pipe(OPERATORS[name](ops, lambda n: asked.append(n) or n)).run()
    assert asked == [1, 1]


def test_map_without_a_function_leaves_the_items():
    assert from_observable(rx.of(1, 2)).pipe(ops.map(), ops.to_list()).run() == [1, 2]


@each
def test_one_operator_serves_many_subscriptions(name: str):
    operator = OPERATORS[name](ops, lambda n: n)
    source = cold(on_next(10, 1), on_completed(20))
    result = play(lambda o, s, x, y: rx.concat(x.pipe(operator), y.pipe(operator), x.pipe(operator)), source, source)
    assert result.items == [(210, 1), (230, 1), (250, 1)]


@each
@pytest.mark.parametrize("value", [None, 0, "", False], ids=repr)
def test_falsy_items_are_items(name: str, value: Any):
    asked = played(name, lambda n: True, hot(on_next(210, value)))
    assert asked.items == [(210, True if name == "map" else value)]


@given(numbers=st.lists(st.integers()))
def test_composed_they_are_pythons_own(numbers: list[int]):
    stream = from_observable(rx.from_iterable(numbers))
    expected = [n * 2 for n in numbers if n % 3]
    assert stream.pipe(ops.filter(lambda n: n % 3), ops.map(lambda n: n * 2), ops.to_list()).run() == expected
    assert stream.filter(lambda n: n % 3).map(lambda n: n * 2).to_list().run() == expected
