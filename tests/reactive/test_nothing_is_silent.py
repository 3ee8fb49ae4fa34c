"""What breaks on the way ends the subscription, or is reported where no subscriber is left; it harms nobody else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex.scheduler import ImmediateScheduler
from reactivex.subject import Subject

from rxfal import operators as ops
from rxfal.errors import TransportError
from rxfal.reactive import background
from rxfal.reactive.gate import DemandGate
from rxfal.reactive.scheduler import LoopScheduler
from rxfal.reactive.stream import create, from_observable
from rxfal.reactive.watchdog import Watchdog
from tests.reactive.sources import PATIENCE, Log, Source, until

Reports = list[dict[str, Any]]


def in_a_thread(call: Callable[[], Any]) -> Any:
    """What a call gives, or raises; a call that hangs fails the test."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(call())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert outcome, "it hangs"
    return outcome[0]


def raises(*_: Any) -> Any:
    raise LookupError("a bug")


def raises_after_handing_on(source: Observable[Any]) -> Observable[Any]:
    """An operator with a bug behind its `on_next`."""

    def subscribe(observer: Any, scheduler: Any = None) -> Any:
        def on_next(value: Any) -> None:
            observer.on_next(value)
            raises()

        return source.subscribe(on_next, observer.on_error, observer.on_completed, scheduler=scheduler)

    return Observable(subscribe)


# What an end sets off.


async def test_an_exception_from_a_finally_action_is_reported_and_harms_no_neighbour(reports: Reports):
    subject: Subject[int] = Subject()
    log, neighbour = Log(), Log()
    from_observable(subject).pipe(ops.finally_action(raises)).subscribe(*log.callbacks)
    from_observable(subject).subscribe(*neighbour.callbacks)
    subject.on_completed()
    assert (log.ends, neighbour.ends) == (["completed"], ["completed"])
    assert [type(report["exception"]) for report in reports] == [LookupError]


async def test_an_exception_from_a_finally_action_does_not_hide_that_of_the_callback(reports: Reports):
    subject: Subject[int] = Subject()
    from_observable(subject).pipe(ops.finally_action(raises)).subscribe(lambda item: 1 // item)
    subject.on_next(0)
    assert {type(report["exception"]) for report in reports} == {LookupError, ZeroDivisionError}


async def test_an_exception_of_an_operator_behind_the_end_is_reported(reports: Reports):
    subject: Subject[int] = Subject()
    log, neighbour = Log(), Log()
    from_observable(subject).pipe(raises_after_handing_on, ops.take(1)).subscribe(*log.callbacks)
    from_observable(subject).subscribe(*neighbour.callbacks)
    subject.on_next(1)
    assert (log.items, log.ends, neighbour.items) == ([1], ["completed"], [1])
    assert [type(report["exception"]) for report in reports] == [LookupError]


async def test_a_source_whose_subscriber_left_may_ask_a_closed_loop_for_more():
    loop = asyncio.new_event_loop()
    consumer = Log()
    consumer.is_stopped = False
    scheduler = LoopScheduler(loop, consumer=consumer)  # pyright: ignore[reportArgumentType]
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        scheduler.schedule(raises)
    consumer.is_stopped = True
    scheduler.schedule(raises)


# A thread that items can't cross to.


def dead(_: Callable[[], None]) -> None:
    raise RuntimeError("the thread is gone")


@pytest.mark.parametrize("source", [rx.of(1, 2), rx.empty(), rx.throw(ValueError())])
def test_a_post_with_a_bug_ends_the_stream_with_its_error(source: Observable[int]):
    stream = from_observable(source).pipe(ops.on_thread(raises))
    assert isinstance(in_a_thread(stream.run), LookupError)


def test_a_post_that_fails_later_ends_the_stream_too():
    posts = iter([lambda deliver: deliver(), raises])
    stream = from_observable(rx.of(1, 2)).pipe(ops.on_thread(lambda deliver: next(posts)(deliver)))
    assert isinstance(in_a_thread(lambda: list(stream)), LookupError)


async def test_a_post_with_a_bug_tells_callbacks_and_an_operator_may_catch_it():
    log = Log()
    stream = from_observable(rx.of(1)).pipe(ops.on_thread(raises), ops.catch(rx.of("instead")))
    stream.subscribe(*log.callbacks)
    await until(log.ended.is_set)
    assert (log.items, log.ends) == (["instead"], ["completed"])


@pytest.mark.parametrize(
    "between",
    [ops.share(), ops.on_thread(lambda deliver: deliver()), ops.conflate()],
    ids=["share", "another thread", "conflate"],
)
def test_who_waits_behind_a_thread_that_is_gone_is_told(between: Any):
    stream = from_observable(rx.of(1)).pipe(ops.concat(rx.never()), ops.on_thread(dead), between)
    assert isinstance(in_a_thread(lambda: list(stream)), TransportError)


async def test_a_thread_that_is_gone_disposes_the_whole_subscription():
    first, other = Source(), Source()
    log = Log()
    first.stream.pipe(ops.on_thread(dead), ops.merge(other.stream)).subscribe(*log.callbacks)
    beside = await other.open()
    await (await first.open()).send(1)
    await asyncio.wait_for(asyncio.to_thread(beside.closed.wait), PATIENCE)
    assert (log.items, log.ends) == ([], [])


async def test_a_stream_shared_behind_a_thread_that_is_gone_begins_anew():
    subject: Subject[int] = Subject()
    posts = iter([dead, lambda deliver: deliver()])
    shared = from_observable(subject).pipe(ops.on_thread(lambda deliver: next(posts)(deliver)), ops.share())
    first, second = Log(), Log()
    shared.subscribe(*first.callbacks)
    subject.on_next(1)
    shared.subscribe(*second.callbacks)
    subject.on_next(2)
    assert (first.items, first.ends, second.items) == ([], [], [2])


async def fails(_: Any) -> None:
    raise TimeoutError


BETWEEN_READERS: dict[str, Callable[[], Observable[Any]]] = {
    "a pause between attempts": lambda: create(fails, name="failing").pipe(
        ops.retry_backoff(on=TimeoutError, wait_initial=60.0)
    ),
    "a timer": lambda: from_observable(rx.timer(60.0)),
}


@pytest.mark.parametrize("source", BETWEEN_READERS)
def test_a_shared_source_that_has_no_reader_when_its_loop_ends_tells_who_lives_elsewhere(source: str):
    shared = BETWEEN_READERS[source]().pipe(ops.share())
    connected, joined = threading.Event(), threading.Event()

    async def main() -> None:
        shared.subscribe(on_error=lambda _: None)
        connected.set()
        await asyncio.to_thread(joined.wait, PATIENCE)

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert connected.wait(PATIENCE)
    log = Log()
    shared.subscribe(*log.callbacks)
    joined.set()
    thread.join(PATIENCE)
    assert log.ended.wait(PATIENCE)
    assert isinstance(log.ends[0], TransportError)


# The background loop.


def test_a_background_loop_that_can_not_start_says_so_and_the_next_use_tries_again(monkeypatch: pytest.MonkeyPatch):
    stream = from_observable(rx.of(1))
    with monkeypatch.context() as patched:
        patched.setattr(background, "_background", None)
        patched.setattr(asyncio.events, "new_event_loop", raises)
        assert isinstance(in_a_thread(stream.run), LookupError)
        assert background._background is None
    assert stream.run() == 1


def test_a_thread_that_can_not_be_started_is_not_called_the_end_of_the_program(monkeypatch: pytest.MonkeyPatch):
    def full(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(background, "_background", None)
        patched.setattr(threading.Thread, "start", full)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            from_observable(rx.of(1)).run()


def test_a_loop_that_runs_inside_a_blocking_subscribe_is_the_loop_of_its_own_subscriptions():
    threads: list[threading.Thread] = []

    async def read(sink: Any) -> None:
        sink.on_next(threading.current_thread())

    async def main() -> None:
        done = asyncio.Event()
        create(read, name="inner").subscribe(threads.append, on_completed=done.set)
        await asyncio.wait_for(done.wait(), PATIENCE)

    def factory(_: Any) -> Observable[int]:
        asyncio.run(main())
        return rx.of(1)

    assert from_observable(rx.defer(factory)).run() == 1
    assert threads == [threading.current_thread()]


# The watchdog.


def test_a_gate_that_opens_while_the_watchdog_looks_starts_one_timer():
    started: list[float] = []

    class Counting(ImmediateScheduler):
        def schedule_relative(self, duetime: Any, action: Any, state: Any = None) -> Any:
            started.append(duetime)
            return rx.disposable.Disposable()

    class OpensAtOnce(DemandGate):
        def add_listener(self, listener: Callable[[], None]) -> None:
            super().add_listener(listener)
            self.open()  # as another thread might

    loop = asyncio.new_event_loop()
    gate = OpensAtOnce(loop)
    watchdog = Watchdog(5.0, lambda: 0.0, lambda: 1.0, raises, Counting(), gate)
    gate.close()
    watchdog._look()  # pyright: ignore[reportPrivateUsage]
    loop.close()
    assert started == [4.0]
