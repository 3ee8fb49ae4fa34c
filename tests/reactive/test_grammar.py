"""Rules 1 and 2: a Stream is cold, and it keeps the grammar `on_next* (on_error | on_completed)?`."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex.disposable import Disposable
from reactivex.subject import Subject

from rxfal.reactive.reader import Sink
from rxfal.reactive.stream import Stream, create, from_observable
from tests.reactive.sources import END, Log, Source, spin


async def test_nothing_starts_until_someone_subscribes():
    source = Source()
    source.stream.map(str).filter(bool)
    await spin()
    assert source.runs == []


async def test_each_subscription_is_a_run_of_its_own():
    source, one, two = Source(), Log(), Log()
    source.stream.subscribe(*one.callbacks)
    source.stream.subscribe(*two.callbacks)
    await source.open(2)
    await source.runs[0].send(1, END)
    await source.runs[1].send(2, END)
    assert (one.items, two.items) == ([1], [2])
    assert one.ends == two.ends == ["completed"]


async def test_awaiting_twice_runs_twice():
    runs = 0

    async def read(sink: Sink[int]) -> None:
        nonlocal runs
        runs += 1
        sink.on_next(runs)

    stream = create(read, name="twice")
    assert [await stream, await stream] == [1, 2]


async def test_share_makes_it_one_run():
    source, one, two = Source(), Log(), Log()
    shared = source.stream.share()
    shared.subscribe(*one.callbacks)
    shared.subscribe(*two.callbacks)
    run = await source.open()
    await run.send(1, 2, END)
    assert one.items == two.items == [1, 2]
    assert one.ends == two.ends == ["completed"]
    assert len(source.runs) == 1


async def test_falsy_items_arrive_like_any_other():
    source, log = Source(), Log()
    source.stream.subscribe(*log.callbacks)
    run = await source.open()
    await run.send(0, "", False, None, [], {}, END)
    assert log.items == [0, "", False, None, [], {}]


@pytest.mark.parametrize("end", ["error", "completed"])
def test_nothing_follows_the_end_of_a_source_that_breaks_the_grammar(end: str):
    log = Log()

    def subscribe(observer: Any, scheduler: Any = None) -> Disposable:
        observer.on_next(1)
        observer.on_error(ValueError("first")) if end == "error" else observer.on_completed()
        observer.on_next(2)
        observer.on_error(ValueError("second"))
        observer.on_completed()
        return Disposable()

    Stream(subscribe).subscribe(*log.callbacks)
    assert log.items == [1]
    assert [str(outcome) for outcome in log.ends] == ["first" if end == "error" else "completed"]


def test_the_source_is_disposed_when_it_ends_and_when_it_ended_before_it_returned():
    disposed: list[str] = []
    late = Subject[int]()

    def synchronous(observer: Any, scheduler: Any = None) -> Disposable:
        observer.on_completed()
        return Disposable(lambda: disposed.append("synchronous"))

    def asynchronous(observer: Any, scheduler: Any = None) -> Disposable:
        late.subscribe(observer)
        return Disposable(lambda: disposed.append("asynchronous"))

    Stream(synchronous).subscribe()
    Stream(asynchronous).subscribe()
    assert disposed == ["synchronous"]
    late.on_completed()
    assert disposed == ["synchronous", "asynchronous"]


async def test_nothing_comes_after_dispose_not_even_the_end():
    source, log = Source(), Log()
    subscription = source.stream.subscribe(*log.callbacks)
    run = await source.open()
    await run.send(1)
    sent = run.push(2, END)
    subscription.dispose()
    await spin()
    assert sent.done() or run.closed.is_set()
    assert (log.items, log.ends) == ([1], [])


async def test_an_error_in_the_source_is_the_subscribers_on_error():
    source, log = Source(), Log()
    source.stream.subscribe(*log.callbacks)
    run = await source.open()
    error = ValueError("broken")
    await run.send(1, error)
    assert (log.items, log.ends) == ([1], [error])
    assert run.closed.is_set()


async def test_a_source_that_raises_while_it_is_subscribed_to_is_an_on_error():
    log = Log()

    def subscribe(observer: Any, scheduler: Any = None) -> Disposable:
        raise ValueError("at once")

    Stream(subscribe).subscribe(*log.callbacks)
    assert [str(end) for end in log.ends] == ["at once"]


async def test_a_burst_arrives_before_its_end_in_one_turn_of_the_loop():
    source, log = Source(), Log()
    source.stream.map(lambda x: x + 1).subscribe(*log.callbacks)
    run = await source.open()
    await run.send(*range(100), END)
    assert log.items == list(range(1, 101))
    assert log.ends == ["completed"]


async def test_an_observer_may_be_subscribed_instead_of_callbacks():
    source, subject, log = Source(), Subject[int](), Log()
    subject.subscribe(*log.callbacks)
    source.stream.subscribe(subject)
    run = await source.open()
    await run.send(1, END)
    assert (log.items, log.ends) == ([1], ["completed"])


def test_from_observable_adds_no_layer():
    calls: list[Any] = []

    class Plain(Observable[int]):
        def _subscribe_core(self, observer: Any, scheduler: Any = None) -> Disposable:
            calls.append(type(observer).__name__)
            observer.on_completed()
            return Disposable()

    stream = from_observable(Plain())
    stream.subscribe()
    assert calls == ["OutermostObserver"]
    assert from_observable(stream) is stream


async def test_a_name_names_the_stream_its_results_and_its_task():
    source = Source("owner/alias")
    assert repr(source.stream) == "<Stream owner/alias>"
    assert source.stream.map(str).name == "owner/alias"
    with source.stream.map(str).subscribe():
        run = await source.open()
        assert run.task.get_name() == "owner/alias"


def test_an_empty_or_failing_plain_observable_ends_a_stream_likewise():
    log = Log()
    from_observable(rx.throw(ValueError("plain"))).subscribe(*log.callbacks)
    assert log.ended.wait(5)
    assert [str(end) for end in log.ends] == ["plain"]
