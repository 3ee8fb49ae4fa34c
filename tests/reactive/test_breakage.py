"""What breaks on the way (a scheduler, an operator) ends the subscription, or is reported: nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex.disposable import Disposable
from reactivex.scheduler.scheduler import Scheduler
from reactivex.subject import Subject

from rxfal import operators as ops
from rxfal.reactive.background import background_loop
from rxfal.reactive.reader import Sink
from rxfal.reactive.scheduler import LoopScheduler
from rxfal.reactive.stream import Stream, create, from_observable
from tests.reactive.elsewhere import in_a_plain_thread
from tests.reactive.sources import END, PATIENCE, Log, Source, spin, until

Operator = Callable[[Observable[Any]], Observable[Any]]
Reports = list[dict[str, Any]]


class Broken(Scheduler):
    """A scheduler that refuses, at once or after some calls, which it heeds at once."""

    def __init__(self, heeded: int = 0) -> None:
        self.heeded = heeded

    def schedule(self, action: Any, state: Any = None) -> Any:
        if self.heeded <= 0:
            raise OSError("the scheduler is broken")
        self.heeded -= 1
        return self.invoke_action(action, state)

    def schedule_relative(self, duetime: Any, action: Any, state: Any = None) -> Any:
        return self.schedule(action, state)

    def schedule_absolute(self, duetime: Any, action: Any, state: Any = None) -> Any:
        return self.schedule(action, state)


async def slowly(sink: Sink[int]) -> None:
    for number in range(5):
        sink.on_next(number)
        await asyncio.sleep(0)
    raise EOFError("the source's own end")


five = create(slowly, name="five")


async def iterated(stream: Stream[Any]) -> list[Any]:
    return [item async for item in stream]


def subscribed(stream: Stream[Any]) -> None:
    log = Log()
    stream.subscribe(*log.callbacks)
    assert log.ended.wait(PATIENCE)
    raise log.ends[0]


WAITS: dict[str, Callable[[Stream[Any]], Any]] = {
    "run": lambda stream: stream.run(),
    "for": list,
    "await": lambda stream: asyncio.run(stream.wait()),
    "async for": lambda stream: asyncio.run(iterated(stream)),
    "on_error": subscribed,
}


# Schedulers.

SCHEDULED: dict[str, Callable[[Any], Operator]] = {
    "observe_on": ops.observe_on,
    "subscribe_on": ops.subscribe_on,
    "delay": lambda s: ops.delay(0.1, s),
    "debounce": lambda s: ops.debounce(0.1, s),
    "throttle_latest": lambda s: ops.throttle_latest(0.1, s),
    "timeout": lambda s: ops.timeout(60.0, scheduler=s),
    "timeout at a date": lambda s: ops.timeout(s.now, scheduler=s),
    "delay_subscription": lambda s: ops.delay_subscription(0.1, s),
    "buffer_with_time": lambda s: ops.buffer_with_time(0.1, scheduler=s),
    "buffer_with_time_or_count": lambda s: ops.buffer_with_time_or_count(0.1, 5, s),
    "window_with_time": lambda s: ops.window_with_time(0.1, scheduler=s),
    "window_with_time_or_count": lambda s: ops.window_with_time_or_count(0.1, 5, s),
    "take_with_time": lambda s: ops.take_with_time(60.0, s),
    "skip_with_time": lambda s: ops.skip_with_time(60.0, s),
    "take_until_with_time": lambda s: ops.take_until_with_time(60.0, s),
    "skip_until_with_time": lambda s: ops.skip_until_with_time(60.0, s),
    "retry_backoff": lambda s: ops.retry_backoff(on=EOFError, after_items=True, scheduler=s),
    "observe_on between others": lambda s: rx.compose(ops.map(), ops.observe_on(s), ops.map()),
}


@pytest.mark.parametrize("name", SCHEDULED)
@pytest.mark.parametrize("wait", ["run", "on_error"])
def test_a_scheduler_that_refuses_is_the_end(name: str, wait: str):
    stream = five.pipe(SCHEDULED[name](Broken()))
    with pytest.raises(OSError, match="the scheduler is broken"):
        in_a_plain_thread(lambda: WAITS[wait](stream))


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("name", ["observe_on", "delay"])
@pytest.mark.parametrize("heeded", [1, 2, 3])
def test_a_scheduler_that_refuses_later_on_is_the_end_too(name: str, heeded: int, wait: str):
    stream = five.pipe(SCHEDULED[name](Broken(heeded)))
    with pytest.raises(OSError, match="the scheduler is broken"):
        in_a_plain_thread(lambda: WAITS[wait](stream))


@pytest.mark.parametrize("fluent", [lambda s: s.observe_on(Broken()), lambda s: s.delay(0.1, Broken())])
async def test_the_source_of_a_scheduler_that_refuses_is_left(fluent: Callable[[Stream[Any]], Stream[Any]]):
    source, log = Source(), Log()
    fluent(source.stream).subscribe(*log.callbacks)
    run = await source.open()
    await run.send(1)
    await until(lambda: log.ends)
    await spin()
    assert run.closed.is_set()
    assert [type(end) for end in log.ends] == [OSError]


def test_a_plain_observables_subscriber_hears_of_it_as_well():
    subject, log = Subject[int](), Log()
    subject.pipe(ops.observe_on(Broken())).subscribe(*log.callbacks)
    subject.on_next(1)
    assert [str(end) for end in log.ends] == ["the scheduler is broken"]
    assert subject.observers == []


# Operators.


def failing_at_the_end(source: Observable[Any]) -> Observable[Any]:
    """A custom operator with a bug in its `on_error` and its `on_completed`."""

    def fail(*_: Any) -> None:
        raise ZeroDivisionError("a bug")

    return Observable(
        lambda observer, scheduler=None: source.subscribe(observer.on_next, fail, fail, scheduler=scheduler)
    )


def failing_later(source: Observable[Any]) -> Observable[Any]:
    """A custom operator with a bug in what it schedules."""

    def subscribe(observer: Any, scheduler: Any = None) -> Any:
        scheduler.schedule_relative(0.001, lambda *_: 1 / 0)
        return source.subscribe(observer, scheduler=scheduler)

    return Observable(subscribe)


ENDS: dict[str, Stream[Any]] = {"an error": five, "the end": from_observable(rx.of(1))}
BUGS: dict[str, Operator] = {
    "its last callback": failing_at_the_end,
    "its last callback, between others": rx.compose(ops.map(), failing_at_the_end, ops.filter(lambda _: True)),
    "the last callback of do_action": ops.do_action(on_error=lambda _: 1 / 0, on_completed=lambda: 1 / 0),
}


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("bug", BUGS)
@pytest.mark.parametrize("end", ENDS)
def test_an_operator_that_fails_in(end: str, bug: str, wait: str):
    with pytest.raises(ZeroDivisionError):
        in_a_plain_thread(lambda: WAITS[wait](ENDS[end].pipe(BUGS[bug])))


@pytest.mark.parametrize("wait", WAITS)
def test_an_operator_that_fails_in_what_it_scheduled(wait: str):
    with pytest.raises(ZeroDivisionError):
        in_a_plain_thread(lambda: WAITS[wait](from_observable(rx.never()).pipe(failing_later)))


async def test_its_source_is_left_too():
    source, log = Source(), Log()
    source.stream.pipe(failing_later).subscribe(*log.callbacks)
    run = await source.open()
    await until(lambda: log.ends)
    await spin()
    assert run.closed.is_set()


async def test_with_no_one_left_to_tell_the_loops_handler_is_told_what_an_operator_scheduled(reports: Reports):
    log = Log()
    subscription = from_observable(rx.never()).pipe(failing_later).subscribe(*log.callbacks)
    subscription.dispose()
    await until(lambda: reports)
    assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]
    assert log.ends == []


async def test_with_no_one_left_to_tell_the_loops_handler_is_told_of_the_last_callback(reports: Reports):
    loop = asyncio.get_running_loop()
    source = Source("owner/alias")
    source.stream.pipe(failing_at_the_end).subscribe(scheduler=LoopScheduler(loop))  # one that knows of no consumer
    await (await source.open()).send(END)
    await until(lambda: reports)
    assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]


def test_on_the_background_loop_its_handler_is_told(background_reports: Reports):
    LoopScheduler(background_loop().loop).schedule(lambda *_: 1 / 0)
    in_a_plain_thread(five.catch(rx.of(1)).run)
    assert [type(report["exception"]) for report in background_reports] == [ZeroDivisionError]


async def test_a_failure_while_the_source_is_subscribed_to_after_its_end_is_not_swallowed(reports: Reports):
    log = Log()

    def subscribe(observer: Any, scheduler: Any = None) -> Disposable:
        observer.on_completed()
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        Stream(subscribe).subscribe(*log.callbacks)
    assert log.ends == ["completed"]
