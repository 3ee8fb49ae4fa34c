"""Rules 7 and 8: whose bug an exception is, and who is told of it."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex.internal import SequenceContainsNoElementsError
from reactivex.subject import BehaviorSubject, Subject

from rxfal.reactive.merge import merge
from rxfal.reactive.reader import Sink
from rxfal.reactive.stream import Stream, create, from_observable
from tests.reactive.sources import END, PATIENCE, Log, Source, spin, until

Reports = list[dict[str, Any]]


def bad(item: Any) -> None:
    raise ZeroDivisionError(item)


def raising(source: Observable[Any]) -> Observable[Any]:
    """A custom operator with a bug in its `on_next`."""
    return Observable(
        lambda observer, scheduler=None: source.subscribe(
            bad, observer.on_error, observer.on_completed, scheduler=scheduler
        )
    )


def raising_without_scheduler(source: Observable[Any]) -> Observable[Any]:
    """The same, which also forgets to hand the scheduler on."""
    return Observable(lambda observer, scheduler=None: source.subscribe(bad, observer.on_error, observer.on_completed))


async def test_an_exception_of_the_subscriber_is_reported_with_the_streams_name_and_disposes(reports: Reports):
    source, log = Source("owner/alias"), Log()
    source.stream.map(lambda x: x).subscribe(bad, *log.callbacks[1:])
    run = await source.open()
    await run.send(1, 2, END)
    await spin()
    assert run.closed.is_set()
    assert log.ends == []
    (report,) = reports
    assert isinstance(report["exception"], ZeroDivisionError)
    assert report["message"].startswith("stream owner/alias: on_next raised ZeroDivisionError")


async def test_the_source_of_a_bad_subscriber_is_returned_to_as_if_nothing_had_happened(reports: Reports):
    subject, log = Subject[int](), Log()
    from_observable(subject).subscribe(bad)
    from_observable(subject).subscribe(*log.callbacks)
    subject.on_next(1)
    subject.on_next(2)
    assert log.items == [1, 2]
    assert len(reports) == 1


@pytest.mark.parametrize("how", ["share", "publish"])
async def test_neighbours_of_a_bad_subscriber_of_one_source_are_not_harmed(how: str, reports: Reports):
    source, before, after = Source(), Log(), Log()
    shared: Any = source.stream.share() if how == "share" else source.stream.publish()
    shared.subscribe(*before.callbacks)
    shared.subscribe(bad)
    shared.map(lambda x: x).subscribe(*after.callbacks)
    if how == "publish":
        shared.connect()
    await (await source.open()).send(1, 2, END)
    assert before.items == after.items == [1, 2]
    assert before.ends == after.ends == ["completed"]
    assert len(reports) == 1


async def test_a_bad_subscriber_of_a_merge_ends_with_all_its_sources_and_harms_no_other_subscription(reports: Reports):
    one, two, log = Source("one"), Source("two"), Log()
    merge(one.stream, two.stream).subscribe(bad)
    merge(one.stream, two.stream).subscribe(*log.callbacks)
    await one.open(2)
    await two.open(2)
    await one.runs[0].send(1)
    await spin()
    assert [run.closed.is_set() for run in (*one.runs, *two.runs)] == [True, False, True, False]
    await one.runs[1].send(1, END)
    await two.runs[1].send(2, END)
    assert log.items == [1, 2]
    assert [report["message"].split(":")[0] for report in reports] == ["stream merge(one, two)"]


CHAINS: dict[str, Callable[[Stream[Any]], Observable[Any]]] = {
    "custom operator": lambda s: s.pipe(raising),
    "custom operator between others": lambda s: s.map(lambda x: x).pipe(raising).filter(lambda x: True),
    "composed into one": lambda s: s.pipe(rx.compose(rx.operators.map(lambda x: x), raising, rx.operators.last())),
    "without a scheduler": lambda s: s.pipe(raising_without_scheduler),
    "without a scheduler, in a merge": lambda s: merge(s.pipe(raising_without_scheduler), rx.never()),
    "under rx.merge": lambda s: from_observable(rx.merge(s, rx.never())).pipe(raising),
    "under rx.concat": lambda s: from_observable(rx.concat(rx.of(), s).pipe(raising)),
    "under share": lambda s: s.share().pipe(raising),
    "in a flat_map": lambda s: s.flat_map(lambda x: from_observable(rx.of(x)).pipe(raising)),
    "mapper": lambda s: s.map(bad),
    "do_action": lambda s: s.do_action(bad),
    "accumulator": lambda s: s.scan(lambda total, x: bad(x), 0),
}


@pytest.mark.parametrize("chain", CHAINS)
async def test_an_exception_inside_a_chain_is_an_on_error(chain: str, reports: Reports):
    source, log = Source(), Log()
    from_observable(CHAINS[chain](source.stream)).subscribe(*log.callbacks)
    run = await source.open()
    await run.send(1, 2)
    await until(lambda: log.ends)
    await spin()
    assert [type(end) for end in log.ends] == [ZeroDivisionError]
    assert log.items == []
    assert run.closed.is_set()
    assert reports == []


@pytest.mark.parametrize("chain", CHAINS)
async def test_an_exception_inside_a_chain_is_raised_to_who_awaits(chain: str):
    source = Source()
    waiting = asyncio.ensure_future(from_observable(CHAINS[chain](source.stream)).__aiter__().__anext__())
    await (await source.open()).send(1)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(waiting, PATIENCE)


async def test_an_error_without_on_error_is_reported(reports: Reports):
    source = Source("owner/alias")
    source.stream.subscribe(lambda item: None)
    error = ValueError("unheard")
    await (await source.open()).send(error)
    (report,) = reports
    assert report["exception"] is error
    assert report["message"].startswith("stream owner/alias: an error and no on_error callback")


@pytest.mark.parametrize("end", [END, ValueError("end")], ids=["on_completed", "on_error"])
async def test_an_exception_in_the_last_callback_is_reported_once(end: Any, reports: Reports):
    source, calls = Source("owner/alias"), list[Any]()

    def worse(*args: Any) -> None:
        calls.append(args)
        raise KeyError("callback")

    source.stream.subscribe(print, worse, worse)
    run = await source.open()
    await run.send(end)
    await spin()
    assert len(calls) == 1
    assert run.closed.is_set()
    (report,) = reports
    assert isinstance(report["exception"], KeyError)
    assert "owner/alias" in report["message"]


async def test_even_what_is_no_exception_ends_only_its_own_subscription(reports: Reports):
    class Stop(BaseException):
        pass

    def stop(_: Any) -> None:
        raise Stop

    source, log = Source(), Log()
    shared = source.stream.share()
    shared.subscribe(stop)
    shared.subscribe(*log.callbacks)
    await (await source.open()).send(1, END)
    assert log.items == [1]
    assert [type(report["exception"]) for report in reports] == [Stop]


def test_a_bad_subscriber_on_the_background_loop_is_reported_there(background_reports: Reports):
    source = Source("owner/alias")
    source.stream.subscribe(bad)
    run = source.opened()
    run.push(1).result(PATIENCE)
    assert run.closed.wait(PATIENCE)
    assert ["owner/alias" in report["message"] for report in background_reports] == [True]


def test_a_bad_subscriber_on_a_foreign_thread_is_reported_to_its_subscriptions_loop(background_reports: Reports):
    subject = Subject[int]()
    from_observable(subject, name="foreign").subscribe(bad)
    thread = threading.Thread(target=subject.on_next, args=(1,))
    thread.start()
    thread.join()
    assert ["foreign" in report["message"] for report in background_reports] == [True]


async def test_a_bad_subscriber_with_a_scheduler_of_its_own_is_reported_too(reports: Reports):
    source = Source("owner/alias")
    source.stream.map(lambda x: x).subscribe(bad, scheduler=rx.scheduler.TimeoutScheduler())
    await (await source.open()).send(1)
    assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]


# What can't be called, and async def callbacks


@pytest.mark.parametrize("place", ["on_next", "on_error", "on_completed"])
@pytest.mark.parametrize("wrong", ["x", 5, [], object()], ids=["text", "number", "list", "object"])
async def test_what_can_not_be_called_is_a_type_error_at_the_call(wrong: Any, place: str):
    source = Source()
    with pytest.raises(TypeError, match=f"{place} is a function or an observer, not "):
        source.stream.subscribe(**{place: wrong})
    with pytest.raises(TypeError, match=f"{place} is a function or an observer, not "):
        source.stream.map(str).subscribe(**{place: wrong})
    await spin()
    assert source.runs == []


async def coroutine(*args: Any) -> None:
    pass


async def generator(*args: Any) -> AsyncIterator[None]:
    yield


class Callback:
    async def method(self, *args: Any) -> None:
        pass

    async def __call__(self, *args: Any) -> None:
        pass


class Observer:
    async def on_next(self, item: Any) -> None:
        pass

    def on_error(self, error: Exception) -> None:
        pass

    def on_completed(self) -> None:
        pass


ASYNC: dict[str, Any] = {
    "function": coroutine,
    "generator": generator,
    "partial": functools.partial(coroutine, 1),
    "partial of a partial": functools.partial(functools.partial(coroutine, 1), 2),
    "bound method": Callback().method,
    "partial of a bound method": functools.partial(Callback().method, 1),
    "callable object": Callback(),
    "partial of a callable object": functools.partial(Callback(), 1),
}


@pytest.mark.parametrize("place", ["on_next", "on_error", "on_completed"])
@pytest.mark.parametrize("kind", ASYNC)
async def test_an_async_callback_is_refused_by_a_type_error_that_names_what_to_use(kind: str, place: str):
    source = Source()
    with pytest.raises(TypeError, match=rf"{place}.*async for.*flat_map"):
        source.stream.subscribe(**{place: ASYNC[kind]})
    await spin()
    assert source.runs == []


def test_an_observer_with_an_async_method_is_refused_too():
    observer: Any = Observer()
    with pytest.raises(TypeError, match="async for"):
        Source().stream.subscribe(observer)


async def test_flat_map_is_what_the_message_says_it_is():
    async def handle(item: int) -> int:
        await asyncio.sleep(0)
        return item * 2

    stream = from_observable(rx.of(1, 2)).flat_map(lambda item: asyncio.ensure_future(handle(item)))
    assert await stream.to_list() == [2, 4]


# Rule 8


async def test_awaiting_an_empty_stream_raises_what_reactivex_raises():
    with pytest.raises(SequenceContainsNoElementsError):
        await from_observable(rx.empty())


def test_running_an_empty_stream_raises_what_reactivex_raises():
    with pytest.raises(SequenceContainsNoElementsError):
        from_observable(rx.empty()).run()
    assert list(from_observable(rx.empty())) == []


async def test_awaiting_gives_the_last_item_and_none_counts():
    assert await from_observable(rx.of(1, None)) is None


async def test_awaiting_raises_the_streams_own_error():
    error = ValueError("own")
    with pytest.raises(ValueError, match="own") as caught:
        await from_observable(rx.of(1)).concat(rx.throw(error))
    assert caught.value is error


async def test_an_error_nobody_handles_is_reported_also_where_another_subscription_is_in_progress(
    caplog: pytest.LogCaptureFixture,
):
    async def fail(sink: Sink[int]) -> None:
        raise ValueError("nobody listens")

    outer = from_observable(BehaviorSubject("now"))  # emits inside its subscribe
    outer.subscribe(lambda _: create(fail, name="inner").subscribe(lambda _: None))
    for _ in range(5):
        await asyncio.sleep(0)
    (record,) = caplog.records
    assert "inner" in record.getMessage()
    assert "nobody listens" in record.getMessage()
