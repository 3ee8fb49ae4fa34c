"""Every operator of reactivex composes with Streams: over the wire, as fluent methods, and in virtual time.

Each is applied to the stream of an embedded server and to `rx.from_iterable` of the same items; those whose outcome
depends on timing only in virtual time, where all of them are compared.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable, compose
from reactivex import operators as rx_ops
from reactivex.notification import Notification
from reactivex.observable.groupedobservable import GroupedObservable
from reactivex.observer import Observer
from reactivex.subject import Subject
from reactivex.testing import TestScheduler

from rxfal import operators as ops
from rxfal.client import Client
from rxfal.reactive.scheduler import LoopScheduler
from rxfal.reactive.stream import Stream, from_observable
from rxfal.testing import FalServer
from tests.reactive.sources import PATIENCE
from tests.reactive.virtual_time import cold, on_completed, on_error, on_next, play

ITEMS = [1, 2, 3, 4, 5, 6]


@dataclass
class Context:
    """What an operator's arguments are made from, of the same kind as the source."""

    more: Callable[[list[Any]], Observable[Any]]
    scheduler: Any
    effects: list[Any] = field(default_factory=list)

    def times(self, count: int) -> Callable[[Any], bool]:
        left = iter([True] * count)
        return lambda _: next(left, False)


def twice(c: Context, n: Any) -> Observable[Any]:
    return c.more([n, n])


def doubled(hot: Observable[int]) -> Observable[int]:
    return hot.pipe(rx_ops.map(lambda n: n * 2))


CASES: dict[str, Callable[[Any, Context], Any]] = {
    "all": lambda o, c: o.all(lambda n: n > 0),
    "amb": lambda o, c: o.amb(c.more([7, 8])),
    "as_observable": lambda o, c: o.as_observable(),
    "average": lambda o, c: o.average(),
    "buffer": lambda o, c: o.buffer(c.more([0, 0])),
    "buffer_toggle": lambda o, c: o.buffer_toggle(c.more([0, 1]), lambda _: c.more([0])),
    "buffer_when": lambda o, c: o.buffer_when(lambda: c.more([0])),
    "buffer_with_count": lambda o, c: o.buffer_with_count(2, 3),
    "buffer_with_time": lambda o, c: o.buffer_with_time(25),
    "buffer_with_time_or_count": lambda o, c: o.buffer_with_time_or_count(25, 2),
    "catch": lambda o, c: o.catch(c.more([7])),
    "combine_latest": lambda o, c: o.combine_latest(c.more([7, 8])),
    "concat": lambda o, c: o.concat(c.more([7]), c.more([8, 9])),
    "concat_all": lambda o, c: compose(o.map(partial(twice, c)), o.concat_all()),
    "concat_map": lambda o, c: o.concat_map(partial(twice, c)),
    "contains": lambda o, c: o.contains(3),
    "count": lambda o, c: o.count(lambda n: n % 2),
    "debounce": lambda o, c: o.debounce(12, c.scheduler),
    "default_if_empty": lambda o, c: o.default_if_empty(9),
    "delay": lambda o, c: o.delay(12),
    "delay_subscription": lambda o, c: o.delay_subscription(12),
    "delay_with_mapper": lambda o, c: o.delay_with_mapper(lambda n: c.more([n])),
    "dematerialize": lambda o, c: compose(o.materialize(), o.dematerialize()),
    "distinct": lambda o, c: o.distinct(lambda n: n % 3),
    "distinct_until_changed": lambda o, c: o.distinct_until_changed(lambda n: n // 2),
    "do": lambda o, c: o.do(Observer(c.effects.append, c.effects.append, lambda: c.effects.append("end"))),
    "do_action": lambda o, c: o.do_action(c.effects.append, on_completed=lambda: c.effects.append("end")),
    "do_while": lambda o, c: o.do_while(c.times(1)),
    "element_at": lambda o, c: o.element_at(2),
    "element_at_or_default": lambda o, c: o.element_at_or_default(9, "none"),
    "exclusive": lambda o, c: compose(o.map(partial(twice, c)), o.exclusive()),
    "expand": lambda o, c: o.expand(lambda n: c.more([n * 10]) if n < 10 else rx.empty()),
    "filter": lambda o, c: o.filter(lambda n: n % 2),
    "filter_indexed": lambda o, c: o.filter_indexed(lambda n, i: i % 2),
    "finally_action": lambda o, c: o.finally_action(lambda: c.effects.append("finally")),
    "find": lambda o, c: o.find(lambda n, i, s: n == 3),
    "find_index": lambda o, c: o.find_index(lambda n, i, s: n == 3),
    "first": lambda o, c: o.first(),
    "first_or_default": lambda o, c: o.first_or_default(lambda n: n > 9, "none"),
    "flat_map": lambda o, c: o.flat_map(partial(twice, c)),
    "flat_map_indexed": lambda o, c: o.flat_map_indexed(lambda n, i: c.more([n, i])),
    "flat_map_latest": lambda o, c: o.flat_map_latest(partial(twice, c)),
    "fork_join": lambda o, c: o.fork_join(c.more([7, 8])),
    "group_by": lambda o, c: o.group_by(lambda n: n % 2, lambda n: n * 10),
    "group_by_until": lambda o, c: o.group_by_until(lambda n: n % 2, None, lambda group: group.pipe(rx_ops.skip(1))),
    "group_join": lambda o, c: o.group_join(c.more([7, 8]), lambda _: c.more([0]), lambda _: c.more([0])),
    "ignore_elements": lambda o, c: o.ignore_elements(),
    "is_empty": lambda o, c: o.is_empty(),
    "join": lambda o, c: o.join(c.more([7, 8]), lambda _: c.more([0]), lambda _: c.more([0])),
    "last": lambda o, c: o.last(),
    "last_or_default": lambda o, c: o.last_or_default("none", lambda n: n > 9),
    "map": lambda o, c: o.map(lambda n: n * 2),
    "map_indexed": lambda o, c: o.map_indexed(lambda n, i: (n, i)),
    "materialize": lambda o, c: o.materialize(),
    "max": lambda o, c: o.max(),
    "max_by": lambda o, c: o.max_by(lambda n: n % 3),
    "merge": lambda o, c: o.merge(c.more([7, 8]), c.more([9])),
    "merge_all": lambda o, c: compose(o.map(partial(twice, c)), o.merge_all()),
    "min": lambda o, c: o.min(),
    "min_by": lambda o, c: o.min_by(lambda n: n % 3),
    "multicast": lambda o, c: o.multicast(subject_factory=lambda _: Subject(), mapper=doubled),
    "observe_on": lambda o, c: o.observe_on(c.scheduler),
    "on_error_resume_next": lambda o, c: o.on_error_resume_next(c.more([7])),
    "pairwise": lambda o, c: o.pairwise(),
    "partition": lambda o, c: o.partition(lambda n: n % 2),
    "partition_indexed": lambda o, c: o.partition_indexed(lambda n, i: i % 3),
    "pluck": lambda o, c: compose(o.map(lambda n: {"n": n}), o.pluck("n")),
    "pluck_attr": lambda o, c: o.pluck_attr("real"),
    "publish": lambda o, c: o.publish(doubled),
    "publish_value": lambda o, c: o.publish_value(0, doubled),
    "reduce": lambda o, c: o.reduce(lambda a, b: a * b, 1),
    "ref_count": lambda o, c: compose(o.publish(), o.ref_count()),
    "repeat": lambda o, c: o.repeat(2),
    "replay": lambda o, c: o.replay(mapper=doubled),
    "retry": lambda o, c: o.retry(2),
    "sample": lambda o, c: o.sample(25),
    "scan": lambda o, c: o.scan(lambda a, b: a + b),
    "sequence_equal": lambda o, c: o.sequence_equal(c.more(ITEMS)),
    "share": lambda o, c: o.share(),
    "single": lambda o, c: compose(o.take(1), o.single()),
    "single_or_default": lambda o, c: o.single_or_default(lambda n: n == 3),
    "single_or_default_async": lambda o, c: o.single_or_default_async(True, 9),
    "skip": lambda o, c: o.skip(2),
    "skip_last": lambda o, c: o.skip_last(2),
    "skip_last_with_time": lambda o, c: o.skip_last_with_time(25),
    "skip_until": lambda o, c: o.skip_until(c.more([0])),
    "skip_until_with_time": lambda o, c: o.skip_until_with_time(25.0),
    "skip_while": lambda o, c: o.skip_while(lambda n: n < 3),
    "skip_while_indexed": lambda o, c: o.skip_while_indexed(lambda n, i: i < 2),
    "skip_with_time": lambda o, c: o.skip_with_time(25),
    "slice": lambda o, c: o.slice(1, -1, 2),
    "some": lambda o, c: o.some(lambda n: n > 3),
    "starmap": lambda o, c: compose(o.pairwise(), o.starmap(lambda a, b: a * b)),
    "starmap_indexed": lambda o, c: compose(o.pairwise(), o.starmap_indexed(lambda a, b, i: a * b + i)),
    "start_with": lambda o, c: o.start_with(8, 9),
    "subscribe_on": lambda o, c: o.subscribe_on(c.scheduler),
    "sum": lambda o, c: o.sum(),
    "switch_latest": lambda o, c: compose(o.map(partial(twice, c)), o.switch_latest()),
    "switch_map": lambda o, c: o.switch_map(partial(twice, c)),
    "switch_map_indexed": lambda o, c: o.switch_map_indexed(lambda n, i: c.more([n, i])),
    "take": lambda o, c: o.take(2),
    "take_last": lambda o, c: o.take_last(2),
    "take_last_buffer": lambda o, c: o.take_last_buffer(2),
    "take_last_with_time": lambda o, c: o.take_last_with_time(25),
    "take_until": lambda o, c: o.take_until(c.more([0])),
    "take_until_with_time": lambda o, c: o.take_until_with_time(25.0),
    "take_while": lambda o, c: o.take_while(lambda n: n < 3, inclusive=True),
    "take_while_indexed": lambda o, c: o.take_while_indexed(lambda n, i: i < 2),
    "take_with_time": lambda o, c: o.take_with_time(25),
    "tap": lambda o, c: o.tap(c.effects.append),
    "throttle_first": lambda o, c: o.throttle_first(25),
    "throttle_with_mapper": lambda o, c: o.throttle_with_mapper(lambda _: c.more([0])),
    "throttle_with_timeout": lambda o, c: o.throttle_with_timeout(12, c.scheduler),
    "time_interval": lambda o, c: o.time_interval(),
    "timeout": lambda o, c: o.timeout(12, c.more([7])),
    "timeout_with_mapper": lambda o, c: o.timeout_with_mapper(c.more([0]), lambda _: c.more([0]), c.more([7])),
    "timestamp": lambda o, c: o.timestamp(),
    "to_dict": lambda o, c: o.to_dict(lambda n: n % 4),
    "to_future": lambda o, c: o.to_future(),
    "to_iterable": lambda o, c: o.to_iterable(),
    "to_list": lambda o, c: o.to_list(),
    "to_marbles": lambda o, c: o.to_marbles(10),
    "to_set": lambda o, c: o.to_set(),
    "while_do": lambda o, c: o.while_do(c.times(2)),
    "window": lambda o, c: o.window(c.more([0, 0])),
    "window_toggle": lambda o, c: o.window_toggle(c.more([0, 1]), lambda _: c.more([0])),
    "window_when": lambda o, c: o.window_when(lambda: c.more([0])),
    "window_with_count": lambda o, c: o.window_with_count(2, 1),
    "window_with_time": lambda o, c: o.window_with_time(25),
    "window_with_time_or_count": lambda o, c: o.window_with_time_or_count(25, 2),
    "with_latest_from": lambda o, c: o.with_latest_from(c.more([7, 8])),
    "zip": lambda o, c: o.zip(c.more([7, 8, 9])),
    "zip_latest": lambda o, c: o.zip_latest(c.more([7, 8])),
    "zip_with_iterable": lambda o, c: o.zip_with_iterable("abc"),
    "zip_with_list": lambda o, c: o.zip_with_list("abc"),
}

TIMED = {
    *("amb", "buffer", "buffer_toggle", "buffer_when", "buffer_with_time", "buffer_with_time_or_count"),
    *("combine_latest", "debounce", "delay", "delay_subscription", "delay_with_mapper", "exclusive", "flat_map_latest"),
    *("group_join", "join", "sample", "skip_last_with_time", "skip_until", "skip_until_with_time", "skip_with_time"),
    *("switch_latest", "switch_map", "switch_map_indexed", "take_last_with_time", "take_until", "take_until_with_time"),
    *("take_with_time", "throttle_first", "throttle_with_mapper", "throttle_with_timeout", "time_interval", "timeout"),
    *("timeout_with_mapper", "timestamp", "to_marbles", "window", "window_toggle", "window_when", "window_with_time"),
    *("window_with_time_or_count", "with_latest_from", "zip_latest"),
}
"""What these emit depends on when their sources do."""

UNORDERED = {"expand", "flat_map", "flat_map_indexed", "merge", "merge_all"}
"""What these emit does not, but its order does."""

UNTIMED = sorted(CASES.keys() - TIMED)


def test_every_operator_of_reactivex_is_in_the_table():
    assert set(rx_ops.__all__) == set(CASES)


def test_every_operator_of_reactivex_is_in_ours():
    assert set(rx_ops.__all__) <= set(ops.__all__)
    assert [name for name in rx_ops.__all__ if not callable(getattr(ops, name, None))] == []


@pytest.fixture(scope="module")
def server() -> Iterator[FalServer]:
    with FalServer() as server:

        @server.app("test/items")
        async def items(input: dict[str, Any]) -> Any:
            for item in input["items"]:
                yield item

        yield server


@pytest.fixture(scope="module")
def client(server: FalServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


class Fluent:
    """reactivex's operators as the methods that every Observable has of the same names."""

    def __getattr__(self, name: str) -> Any:
        def operator(*args: Any, **kwargs: Any) -> Callable[[Observable[Any]], Any]:
            return lambda source: getattr(source, name)(*args, **kwargs)

        return operator


NOT_FLUENT = {"do", "multicast"}
"""reactivex's methods of these names take other arguments than its operators."""


def is_fluent(name: str) -> bool:
    return name not in NOT_FLUENT and hasattr(Observable, name)


# Over the wire.


def plain(value: Any, clock: Callable[[], Any], scheduler: Any) -> Any:
    """A value to compare: inner Observables are subscribed to as they come, and stand for what they emit."""
    if isinstance(value, Notification):
        return str(value)
    if isinstance(value, tuple):
        return tuple(plain(part, clock, scheduler) for part in value)
    if not isinstance(value, Observable):
        return value
    heard: list[Any] = [value.key] if isinstance(value, GroupedObservable) else []
    value.subscribe(
        lambda item: heard.append((clock(), plain(item, clock, scheduler))),
        lambda error: heard.append((clock(), "error", str(error))),
        lambda: heard.append((clock(), "completed")),
        scheduler=scheduler,
    )
    return heard


async def outcome(result: Any) -> Any:
    """All that an operator's result emits, and how it ends."""
    if isinstance(result, list):
        return [await outcome(part) for part in result]
    if inspect.isawaitable(result) and not isinstance(result, Observable):
        try:
            return await result
        except Exception as error:
            return repr(error)
    heard: list[Any] = []
    end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    result.subscribe(
        lambda item: heard.append(plain(item, lambda: None, None)),
        lambda error: end.set_result(repr(error)),
        lambda: end.set_result("completed"),
    )
    return heard, await asyncio.wait_for(end, PATIENCE)


async def compare(name: str, client: Client, items: list[Any], theirs: Any, ours: Any) -> None:
    def served(items: list[Any]) -> Stream[Any]:
        return client.stream("test/items", {"items": items})

    scheduler = LoopScheduler(asyncio.get_running_loop())
    with_rx, with_stream = Context(rx.from_iterable, scheduler), Context(served, scheduler)
    expected = await outcome(rx.from_iterable(items).pipe(CASES[name](theirs, with_rx)))
    result = served(items).pipe(CASES[name](ours, with_stream))
    got = await outcome(result)
    if name in UNORDERED:
        got, expected = (Counter(got[0]), got[1]), (Counter(expected[0]), expected[1])
    assert got == expected
    assert with_stream.effects == with_rx.effects
    for part in result if isinstance(result, list) else [result]:
        assert isinstance(part, Stream) or name == "to_future"


@pytest.mark.parametrize("name", UNTIMED)
async def test_over_the_wire_the_outcome_is_that_of_a_plain_observable(name: str, client: Client):
    await compare(name, client, ITEMS, rx_ops, ops)


@pytest.mark.parametrize("name", UNTIMED)
async def test_over_the_wire_an_empty_stream_is_an_empty_observable(name: str, client: Client):
    await compare(name, client, [], rx_ops, ops)


@pytest.mark.parametrize("name", [name for name in UNTIMED if is_fluent(name)])
async def test_over_the_wire_the_fluent_method_does_the_same(name: str, client: Client):
    await compare(name, client, ITEMS, rx_ops, Fluent())


# In virtual time.

VIRTUAL = sorted(CASES.keys() - {"to_future"})
ENDS = {"completed": on_completed(70), "error": on_error(70, "broken"), "never": None}


def in_virtual_time(name: str, operators: Any, end: str, *, streams: bool, disposed: float = 1000.0) -> Any:
    """The same marbles as a Stream or as a plain Observable; what its arguments make is of the same kind."""
    last = ENDS[end]
    source = cold(*(on_next(10 * n, n) for n in ITEMS), *([last] if last else []))
    effects: list[Any] = []

    def build(_: Any, scheduler: TestScheduler, x: Observable[Any]) -> Observable[Any]:
        def more(items: list[Any]) -> Observable[Any]:
            made = cold(*(on_next(15 + 25 * n, item) for n, item in enumerate(items)), on_completed(80)).make(scheduler)
            return from_observable(made) if streams else made

        context = Context(more, scheduler, effects)
        result = x.pipe(CASES[name](operators, context))
        for part in result if isinstance(result, list) else [result]:
            assert isinstance(part, Stream) is streams
        if isinstance(result, list):
            result = rx.merge(*result)
        return result.pipe(rx_ops.map(lambda value: plain(value, lambda: scheduler.clock, scheduler)))

    return play(build, source, streams=streams, disposed=disposed), effects


@pytest.mark.parametrize("name", VIRTUAL)
def test_in_virtual_time_the_marbles_are_those_of_a_plain_observable(name: str):
    for end in ENDS:
        expected = in_virtual_time(name, rx_ops, end, streams=False)
        assert in_virtual_time(name, ops, end, streams=True) == expected


@pytest.mark.parametrize("name", VIRTUAL)
def test_in_virtual_time_dispose_reaches_the_source_as_in_a_plain_observable(name: str):
    expected = in_virtual_time(name, rx_ops, "completed", streams=False, disposed=235.0)
    assert in_virtual_time(name, ops, "completed", streams=True, disposed=235.0) == expected


@pytest.mark.parametrize("name", [name for name in VIRTUAL if is_fluent(name)])
def test_in_virtual_time_the_fluent_method_does_the_same(name: str):
    expected = in_virtual_time(name, rx_ops, "completed", streams=False)
    assert in_virtual_time(name, Fluent(), "completed", streams=True) == expected
