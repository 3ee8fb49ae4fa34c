"""What comes out of a Stream is a Stream; and `merge`, which makes one of several."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from reactivex import ConnectableObservable, Observable
from reactivex import operators as rx_ops
from reactivex.subject import Subject

from rxfal.reactive.merge import Tagged, merge
from rxfal.reactive.stream import ConnectableStream, Stream, from_observable
from tests.reactive.sources import END, PATIENCE, Log, Source, spin, until

four = from_observable(rx.of(0, 1, 2, 3), name="four")

CHAINS: dict[str, tuple[Callable[[], Any], Any]] = {
    "pipe of nothing": (lambda: four.pipe(), [0, 1, 2, 3]),
    "pipe": (lambda: four.pipe(rx_ops.map(lambda x: x * 2), rx_ops.take(2)), [0, 2]),
    "fluent": (lambda: four.map(lambda x: x * 2).filter(bool), [2, 4, 6]),
    "switch_latest": (lambda: four.take(1).map(lambda x: rx.of(x, 9)).switch_latest(), [0, 9]),
    "exclusive": (lambda: four.take(1).map(lambda x: rx.of(x, 9)).exclusive(), [0, 9]),
    "pluck": (lambda: four.map(lambda x: {"key": x}).pluck("key"), [0, 1, 2, 3]),
    "dematerialize": (lambda: four.materialize().dematerialize(), [0, 1, 2, 3]),
    "+": (lambda: four + rx.of(4), [0, 1, 2, 3, 4]),
    "item": (lambda: four[1], [1]),
    "slice": (lambda: four[1:3], [1, 2]),
    "slice from the end": (lambda: four[-2:], [2, 3]),
    "buffer": (lambda: four.buffer(count=3), [[0, 1, 2], [3]]),
    "buffer_with_count": (lambda: four.buffer_with_count(2, 1), [[0, 1], [1, 2], [2, 3], [3]]),
    "timeout": (lambda: four.timeout(60.0), [0, 1, 2, 3]),
    "share": (lambda: four.share(), [0, 1, 2, 3]),
    "sequence_equal": (lambda: four.sequence_equal([0, 1, 2, 3]), [True]),
    "publish with a mapper": (lambda: four.publish(lambda xs: xs.map(lambda x: x + 1)), [1, 2, 3, 4]),
    "replay with a mapper": (lambda: four.replay(mapper=lambda xs: xs.take(2)), [0, 1]),
    "ref_count": (lambda: four.publish().pipe(rx_ops.ref_count()), [0, 1, 2, 3]),
    "replay and ref_count": (lambda: four.replay().pipe(rx_ops.ref_count()), [0, 1, 2, 3]),
    "auto_connect": (lambda: four.publish().auto_connect(), [0, 1, 2, 3]),
    "from_observable": (lambda: from_observable(rx.merge(four, rx.empty())), [0, 1, 2, 3]),
    "merge": (lambda: merge(four), [0, 1, 2, 3]),
}


@pytest.mark.parametrize("chain", CHAINS)
async def test_a_stream_comes_out_that_can_be_iterated(chain: str):
    build, expected = CHAINS[chain]
    stream = build()
    assert isinstance(stream, Stream)
    assert [item async for item in stream] == expected


@pytest.mark.parametrize("chain", CHAINS)
def test_a_stream_comes_out_that_a_plain_script_can_use(chain: str):
    build, expected = CHAINS[chain]
    assert list(build()) == expected


def test_iadd_makes_a_new_stream():
    stream = four
    stream += rx.of(4)
    assert isinstance(stream, Stream)
    assert stream is not four
    assert stream.run() == 4


def test_partition_gives_two_streams_over_one_subscription():
    subscriptions = 0

    def subscribe(observer: Any, scheduler: Any = None) -> Any:
        nonlocal subscriptions
        subscriptions += 1
        return subject.subscribe(observer)

    subject = Subject[int]()
    for parts in (
        Stream(subscribe).partition(lambda x: x % 2 == 0),
        Stream(subscribe).partition_indexed(lambda x, i: i % 2 == 0),
        Stream(subscribe).pipe(rx_ops.partition(lambda x: x % 2 == 0)),
    ):
        even, odd = Log(), Log()
        assert all(isinstance(part, Stream) for part in parts)
        with parts[0].subscribe(*even.callbacks), parts[1].subscribe(*odd.callbacks):
            for number in range(4):
                subject.on_next(number)
        assert (even.items, odd.items) == ([0, 2], [1, 3])
    assert subscriptions == 3


@pytest.mark.parametrize("make", ["publish", "replay", "publish_value"])
async def test_a_connectable_stream_starts_its_one_source_at_connect(make: str):
    source, one, two = Source(), Log(), Log()
    connectable = source.stream.publish_value(0) if make == "publish_value" else getattr(source.stream, make)()
    assert isinstance(connectable, ConnectableStream)
    assert isinstance(connectable, ConnectableObservable)
    connectable.subscribe(*one.callbacks)
    connectable.map(lambda x: x).subscribe(*two.callbacks)
    await spin()
    assert source.runs == []
    connectable.connect()
    await (await source.open()).send(1, 2, END)
    await spin()
    assert one.items == two.items == ([0, 1, 2] if make == "publish_value" else [1, 2])
    assert len(source.runs) == 1


async def test_disconnecting_a_connectable_stream_disposes_its_source():
    source = Source()
    connection = source.stream.publish().connect()
    run = await source.open()
    assert connection is not None
    connection.dispose()
    await spin()
    assert run.closed.is_set()


async def test_ref_count_disposes_the_source_with_its_last_subscriber():
    source = Source()
    counted = source.stream.publish().pipe(rx_ops.ref_count())
    one, two = counted.subscribe(), counted.subscribe()
    run = await source.open()
    one.dispose()
    await spin()
    assert not run.closed.is_set()
    two.dispose()
    await spin()
    assert run.closed.is_set()
    assert len(source.runs) == 1


async def test_auto_connect_waits_for_so_many_subscribers():
    source = Source()
    stream = source.stream.publish().auto_connect(2)
    one = stream.subscribe()
    await spin()
    assert source.runs == []
    two = stream.subscribe()
    run = await source.open()
    one.dispose()
    two.dispose()
    run.push(END)
    await spin()


async def test_what_an_operator_returns_that_is_no_observable_is_left_alone():
    future = four.pipe(rx_ops.to_future())
    assert isinstance(future, asyncio.Future)
    assert await future == 3
    assert four.pipe(rx_ops.map(str), lambda source: 5) == 5


async def test_wait_is_the_coroutine_that_tasks_are_made_of():
    task = asyncio.create_task(four.wait())
    async with asyncio.TaskGroup() as group:
        grouped = group.create_task(four.map(str).wait())
    assert (await task, grouped.result()) == (3, "3")
    assert await asyncio.wait_for(four.wait(), PATIENCE) == 3
    assert await asyncio.gather(four.wait(), four) == [3, 3]


async def test_cancelling_a_task_that_waits_disposes():
    source = Source()
    task = asyncio.create_task(source.stream.wait())
    run = await source.open()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await spin()
    assert run.closed.is_set()


async def test_a_stream_that_fails_in_a_task_group_ends_the_others():
    other = Source()
    with pytest.RaisesGroup(ValueError):
        async with asyncio.TaskGroup() as group:
            group.create_task(other.stream.wait())
            group.create_task(from_observable(rx.throw(ValueError("broken"))).wait())
    await spin()
    assert all(run.closed.is_set() for run in other.runs)


# merge


async def test_merge_emits_items_as_they_arrive_and_completes_with_the_last():
    one, two, log = Source("one"), Source("two"), Log()
    merge(one.stream, two.stream).subscribe(*log.callbacks)
    await (await one.open()).send(1)
    await (await two.open()).send(2)
    await one.runs[0].send(3, END)
    assert (log.items, log.ends) == ([1, 2, 3], [])
    await two.runs[0].send(4, END)
    assert (log.items, log.ends) == ([1, 2, 3, 4], ["completed"])


@pytest.mark.parametrize("how", ["keywords", "mapping"])
async def test_tagged_items_say_where_they_come_from(how: str):
    one, two, log = Source(), Source(), Log()
    tags = {"claude": one.stream, "gpt": two.stream}
    stream = merge(**tags) if how == "keywords" else merge(tags)
    assert stream.name == "merge(claude, gpt)"
    stream.subscribe(*log.callbacks)
    await (await one.open()).send(None)
    await (await two.open()).send(0, END)
    await one.runs[0].send(END)
    assert log.items == [Tagged("claude", None), Tagged("gpt", 0)]
    assert [(item.tag, item.value) for item in log.items] == [("claude", None), ("gpt", 0)]
    assert log.ends == ["completed"]


def test_a_mapping_may_have_tags_that_are_no_names():
    assert list(merge({"fal-ai/a b": rx.of(1)})) == [Tagged("fal-ai/a b", 1)]


def test_anything_that_can_be_a_key_can_be_a_tag():
    stream = merge({None: rx.of("a"), 0: rx.of("b"), ("gpt", 4): rx.of("c")})
    assert stream.name == "merge(None, 0, ('gpt', 4))"
    assert {item.tag: item.value for item in stream} == {None: "a", 0: "b", ("gpt", 4): "c"}


@pytest.mark.parametrize("tagged", [False, True])
async def test_the_first_error_ends_a_merge_and_cancels_the_other_readers(tagged: bool):
    one, two, log = Source(), Source(), Log()
    stream: Stream[Any] = merge(a=one.stream, b=two.stream) if tagged else merge(one.stream, two.stream)
    stream.subscribe(*log.callbacks)
    await two.open()
    error = ValueError("one")
    await (await one.open()).send(1, error)
    await spin()
    assert log.ends == [error]
    assert two.runs[0].closed.is_set()


async def test_a_merge_that_fails_while_it_subscribes_leaves_no_reader():
    source, log = Source(), Log()
    merge(source.stream, Stream(lambda observer, scheduler=None: failing())).subscribe(*log.callbacks)
    await until(lambda: log.ends)
    await spin()
    assert [str(end) for end in log.ends] == ["at once"]
    assert all(run.closed.is_set() for run in source.runs)


def failing() -> Any:
    raise ValueError("at once")


async def test_a_caught_error_lets_the_others_go_on():
    one, two, log = Source(), Source(), Log()
    merge(one.stream.catch(rx.of(9)), two.stream).subscribe(*log.callbacks)
    await two.open()
    await (await one.open()).send(ValueError("one"))
    await until(lambda: log.items)
    await two.runs[0].send(2, END)
    assert (log.items, log.ends) == ([9, 2], ["completed"])


async def test_disposing_a_merge_disposes_every_source():
    sources = [Source(str(n)) for n in range(3)]
    subscription = merge(*(source.stream for source in sources)).subscribe()
    runs = [await source.open() for source in sources]
    subscription.dispose()
    await spin()
    assert all(run.closed.is_set() for run in runs)


@pytest.mark.parametrize("empty", [lambda: merge(), lambda: merge({})], ids=["nothing", "an empty mapping"])
def test_a_merge_of_nothing_completes(empty: Callable[[], Any]):
    assert list(empty()) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: merge(four, tagged=four), "not both"),
        (lambda: merge(four, 5), "merge takes Observables, not int"),
        (lambda: merge(a=[1]), "merge takes Observables, not list"),
        (lambda: merge({"a": four}, four), "merge takes Observables, not dict"),
        (lambda: merge([four]), "merge takes Observables, not list"),
    ],
)
def test_a_wrong_argument_of_merge_is_a_type_error_at_the_call(call: Callable[[], Any], message: str):
    with pytest.raises(TypeError, match=re.escape(message)):
        call()


def test_a_merge_of_plain_observables_is_a_stream_named_so():
    stream = merge(rx.of(1), four)
    assert isinstance(stream, Stream)
    assert isinstance(stream, Observable)
    assert stream.name == "merge(observable, four)"


async def test_merges_nest():
    stream = merge(x=merge(a=rx.of(1)), y=merge(rx.of(2)))
    assert sorted([item async for item in stream], key=str) == [Tagged("x", Tagged("a", 1)), Tagged("y", 2)]


def test_the_key_of_a_value_is_no_item_of_its_stream() -> None:
    with pytest.raises(TypeError, match=r"a stream has no item 'output': get its value first, with \.run\(\) or await"):
        four["output"]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUnusedExpression]
