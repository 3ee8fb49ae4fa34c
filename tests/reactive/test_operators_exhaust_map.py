"""`exhaust_map`: one inner stream at a time, and what comes meanwhile is dropped."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from reactivex import Observable
from reactivex.disposable import Disposable, SerialDisposable
from reactivex.subject import Subject

from rxfal import operators as ops
from rxfal.reactive.iterate import iterate
from rxfal.reactive.stream import Stream, from_observable
from tests.reactive.sources import END, PATIENCE, Counter, Log, Source, spin
from tests.reactive.virtual_time import Source as Timeline
from tests.reactive.virtual_time import cold, hot, on_completed, on_error, on_next, play, sources

CLICKS = hot(on_next(210, 1), on_next(220, 2), on_next(250, 3), on_completed(260))


def mapped(clicks: Timeline, answer: Timeline, **options: Any) -> Any:
    return play(lambda ops, s, x, y: x.pipe(ops.exhaust_map(lambda _: y)), clicks, answer, **options)


def test_items_that_come_while_an_inner_stream_runs_are_dropped():
    seen = mapped(CLICKS, cold(on_next(5, "a"), on_next(15, "b"), on_completed(20)))
    assert seen.items == [(215, "a"), (225, "b"), (255, "a"), (265, "b")]
    assert seen.subscriptions[1] == [(210, 230), (250, 270)]


def test_it_ends_when_the_source_and_the_inner_stream_have():
    assert mapped(CLICKS, cold(on_completed(20))).end == (270, "completed", None)
    assert mapped(CLICKS, cold(on_completed(5))).end == (260, "completed", None)
    assert mapped(hot(on_completed(210)), cold()).messages == [(210, "completed", None)]
    assert mapped(CLICKS, cold()).messages == []


def test_the_source_and_the_inner_stream_end_it_with_their_errors():
    broken = mapped(hot(on_next(210, 1), on_error(220, "broken")), cold())
    assert (broken.messages, broken.subscriptions[1]) == ([(220, "error", "broken")], [(210, 220)])
    broken = mapped(CLICKS, cold(on_next(5, "a"), on_error(15, "broken")))
    assert broken.messages == [(215, "next", "a"), (225, "error", "broken")]
    assert broken.subscriptions == [[(200, 225)], [(210, 225)]]


def test_disposed_both_end():
    seen = mapped(CLICKS, cold(on_next(5, "a"), on_next(30, "b")), disposed=230)
    assert (seen.items, seen.subscriptions) == ([(215, "a")], [[(200, 230)], [(210, 230)]])


@given(sources(), sources(last=30))
def test_it_is_the_exclusive_of_reactivex_that_asks_only_when_it_has_time(clicks: Timeline, answer: Timeline):
    asked = 0

    def build(ops: Any, s: Any, x: Any, y: Any) -> Any:
        def project(_: Any) -> Any:
            nonlocal asked
            asked += 1
            return y

        return x.pipe(ops.exhaust_map(project))

    ours = play(build, clicks, answer)
    assert asked == len(ours.subscriptions[1])
    assert play(build, clicks, answer, streams=True) == ours
    assert play(lambda ops, s, x, y: x.pipe(ops.map(lambda _: y), ops.exclusive()), clicks, answer) == ours


def test_what_project_raises_is_the_end():
    source, log = Subject[int](), Log()
    from_observable(source).pipe(ops.exhaust_map(lambda n: rx.of(10 // n))).subscribe(*log.callbacks)
    source.on_next(0)
    assert [type(end) for end in log.ends] == [ZeroDivisionError]
    source.on_next(1)
    assert log.items == []


@pytest.mark.parametrize("given", [None, 5, lambda _: 5], ids=["None", "5", "gives 5"])
def test_what_is_no_stream_is_a_type_error(given: Any):
    if callable(given):
        with pytest.raises(TypeError, match="not iterable"):
            from_observable(rx.of(1)).pipe(ops.exhaust_map(given)).run()
    else:
        with pytest.raises(TypeError, match="project is a function, an Observable, a future or an iterable, not"):
            ops.exhaust_map(given)


async def test_project_gives_what_flat_map_takes():
    async def later(n: int) -> str:
        await asyncio.sleep(0)
        return f"answer {n}"

    one = from_observable(rx.of(1))
    future = asyncio.get_running_loop().create_future()
    future.set_result("ready")
    threaded = concurrent.futures.Future[str]()
    threaded.set_result("from a thread")
    for project, expected in [
        (lambda n: rx.of(n, n), [1, 1]),
        (lambda n: from_observable(rx.of(n, n)), [1, 1]),
        (lambda n: [n, "and", n], [1, "and", 1]),
        (lambda n: asyncio.ensure_future(later(n)), ["answer 1"]),
        (rx.of("const"), ["const"]),
        (from_observable(rx.of("stream")), ["stream"]),
        (["a", "b"], ["a", "b"]),
        (future, ["ready"]),
        (threaded, ["from a thread"]),
    ]:
        project: Any
        assert await one.pipe(ops.exhaust_map(project), ops.to_list()) == expected
        assert await one.pipe(ops.flat_map(project), ops.to_list()) == expected


async def test_the_inner_stream_is_on_the_loop_and_ends_with_the_subscription():
    clicks, answers, log = Subject[int](), Source(), Log()
    subscription = from_observable(clicks).pipe(ops.exhaust_map(lambda _: answers.stream)).subscribe(*log.callbacks)
    clicks.on_next(1)
    run = await answers.open()
    await run.send("a")
    clicks.on_next(2)
    await run.send("b", END)
    clicks.on_next(3)
    again = await answers.open(2)
    await again.send("c")
    subscription.dispose()
    await spin()
    assert again.closed.is_set()
    assert (log.items, log.ends, len(answers.runs)) == (["a", "b", "c"], [], 2)


async def test_a_dispose_inside_on_next_ends_both():
    clicks, answers, seen = Source(), Source(), list[Any]()
    subscription = SerialDisposable()

    def on_next(item: Any) -> None:
        seen.append(item)
        subscription.dispose()

    stream = clicks.stream.pipe(ops.exhaust_map(lambda _: answers.stream))
    subscription.disposable = stream.subscribe(on_next)
    click = await clicks.open()
    await click.send(1)
    answer = await answers.open()
    await answer.send("a", "b", END)
    await spin()
    assert seen == ["a"]
    assert (click.closed.is_set(), answer.closed.is_set()) == (True, True)


def test_an_item_that_the_inner_stream_causes_is_dropped():
    clicks, log = Subject[int](), Log()
    echo: Stream[int] = from_observable(clicks).pipe(ops.exhaust_map(lambda n: from_observable(rx.create(_twice(n)))))
    echo.subscribe(lambda n: (log.items.append(n), clicks.on_next(n + 1)))
    clicks.on_next(1)
    assert log.items == [1, 1]
    clicks.on_next(5)
    assert log.items == [1, 1, 5, 5]


def _twice(n: int) -> Any:
    def subscribe(observer: Any, scheduler: Any = None) -> Any:
        observer.on_next(n)
        observer.on_next(n)
        observer.on_completed()
        return Disposable()

    return subscribe


def test_clicks_of_many_threads_start_one_inner_stream():
    for _ in range(10):
        clicks, inner = list[Any](), list[Any]()

        def gather(observer: Any, scheduler: Any = None, into: list[Any] = clicks) -> Any:
            into.append(observer)
            return Disposable()

        def answer(observer: Any, scheduler: Any = None, into: list[Any] = inner) -> Any:
            into.append(observer)
            return Disposable()

        Observable(gather).pipe(ops.exhaust_map(Observable(answer))).subscribe()
        started = threading.Barrier(4)

        def click(observer: Any = clicks[0], started: threading.Barrier = started) -> None:
            started.wait(PATIENCE)
            observer.on_next(1)

        threads = [threading.Thread(target=click) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert len(inner) == 1
        inner[0].on_completed()
        clicks[0].on_next(1)
        assert len(inner) == 2


@pytest.mark.parametrize("end", ["the source's", "the inner one's"])
def test_an_end_on_another_thread_waits_for_the_item_in_delivery(end: str):
    clicks, inner = Subject[int](), Subject[int]()
    delivering, ended, order = threading.Event(), threading.Event(), list[str]()

    def on_next(_: int) -> None:
        delivering.set()
        ended.wait(0.2)  # it comes too early, or not at all as long as this runs
        order.append("item")

    def on_error(_: Exception) -> None:
        order.append("end")
        ended.set()

    from_observable(clicks).pipe(ops.exhaust_map(lambda _: inner)).subscribe(on_next, on_error)
    clicks.on_next(1)
    thread = threading.Thread(target=inner.on_next, args=(1,))
    thread.start()
    assert delivering.wait(PATIENCE)
    (clicks if end == "the source's" else inner).on_error(ValueError())
    thread.join(PATIENCE)
    assert order == ["item", "end"]


async def test_a_slow_consumer_pauses_the_inner_stream():
    counter = Counter(10**9)
    items = iterate(from_observable(rx.of(1)).pipe(ops.exhaust_map(lambda _: counter.stream)), buffer_size=4)
    assert await anext(items) == 0
    await spin()
    assert counter.produced <= 5
    assert [await anext(items) for _ in range(100)] == [*range(1, 101)]
    await items.aclose()


def test_between_plain_observables_it_works_as_on_streams():
    clicks, log = Subject[int](), Log()
    clicks.pipe(ops.exhaust_map(lambda n: rx.of(n, n))).subscribe(*log.callbacks)
    clicks.on_next(1)
    clicks.on_next(2)
    clicks.on_completed()
    assert (log.items, log.ends) == ([1, 1, 2, 2], ["completed"])
