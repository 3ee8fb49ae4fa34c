"""`timeout` on event loops: one timer for a whole stream, and silence told from a busy program and a full consumer."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import reactivex as rx
from reactivex.disposable import Disposable
from reactivex.subject import Subject
from reactivex.testing import TestScheduler

from rxfal import operators as ops
from rxfal.errors import ApiError, StreamTimeoutError
from rxfal.reactive.background import background_loop
from rxfal.reactive.iterate import iterate, last
from rxfal.reactive.scheduler import LoopScheduler
from rxfal.reactive.stream import create, from_observable
from tests.reactive.sources import END, PATIENCE, Log, Source, forever, spin, until

pytestmark = pytest.mark.every_loop


async def test_the_other_may_be_a_future():
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    future.set_result("from a future")
    stream = create(forever, name="silent")
    assert await stream.pipe(ops.timeout(0.001, future)) == "from a future"


class Watched:
    """A scheduler whose `schedule_*` calls are counted."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self.calls = 0
        for name in ("schedule_relative", "schedule_absolute"):
            self._count(name, getattr(scheduler, name))

    def _count(self, name: str, original: Callable[..., Any]) -> None:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return original(*args, **kwargs)

        setattr(self.scheduler, name, counted)


async def test_one_timer_for_ten_thousand_items(monkeypatch: pytest.MonkeyPatch):
    loop = asyncio.get_running_loop()
    timers: list[Any] = []
    for name in ("call_at", "call_later"):  # a loop's own call_later ends in call_at
        original = getattr(loop, name)
        monkeypatch.setattr(
            loop, name, lambda *args, original=original, **kw: (timers.append(args), original(*args, **kw))[1]
        )
    subject: Subject[int] = Subject()
    log = Log()
    subscription = from_observable(subject).pipe(ops.timeout(60)).subscribe(*log.callbacks)
    await spin()
    started = len(timers)
    for number in range(10_000):
        subject.on_next(number)
    await spin()
    assert len(log.items) == 10_000
    assert started in (1, 2), "the timer of the subscription"
    assert len(timers) == started
    subscription.dispose()


def test_the_timer_looks_again_only_when_it_would_have_expired():
    scheduler = TestScheduler()
    subject: Subject[int] = Subject()
    watched = Watched(scheduler)
    seen: list[Any] = []
    subject.pipe(ops.timeout(100.0)).subscribe(seen.append, seen.append, scheduler=scheduler)
    for moment in range(1, 1000):
        scheduler.advance_to(float(moment))
        subject.on_next(moment)
    assert seen == list(range(1, 1000))
    assert watched.calls < 25


async def test_an_expired_one_is_a_stream_timeout_error_that_says_how_long():
    with pytest.raises(StreamTimeoutError, match=r"no item came for 0\.02 seconds") as caught:
        await create(forever, name="silent").pipe(ops.timeout(0.02))
    assert isinstance(caught.value, ApiError)
    assert isinstance(caught.value, TimeoutError)
    assert (caught.value.status, caught.value.seconds) == (408, 0.02)


async def test_an_expired_timedelta_is_told_in_seconds():
    with pytest.raises(StreamTimeoutError, match=r"no item came for 0\.02 seconds"):
        await create(forever, name="silent").pipe(ops.timeout(timedelta(milliseconds=20)))


async def test_an_expired_deadline_names_the_moment():
    moment = datetime.now(UTC) + timedelta(milliseconds=20)
    with pytest.raises(StreamTimeoutError) as caught:
        await create(forever, name="silent").pipe(ops.timeout(moment))
    assert moment.isoformat() in str(caught.value)


async def test_each_expiry_raises_an_error_of_its_own():
    stream = create(forever, name="silent").pipe(ops.timeout(0.001))
    errors = await asyncio.gather(last(stream), last(stream), return_exceptions=True)
    assert errors[0] is not errors[1]


async def test_the_fluent_method_is_the_same_operator():
    with pytest.raises(StreamTimeoutError):
        await create(forever, name="silent").timeout(0.001)


async def test_expiry_disposes_the_source():
    source = Source()
    with pytest.raises(StreamTimeoutError):
        await source.stream.pipe(ops.timeout(0.01))
    await until(source.runs[0].closed.is_set)


async def test_outermost_on_a_plain_observable_it_uses_the_running_loop_and_no_thread():
    before = set(threading.enumerate())
    log = Log()
    rx.never().pipe(ops.timeout(0.01)).subscribe(*log.callbacks)
    threads: list[threading.Thread] = []
    while not log.ends:
        threads += [thread for thread in threading.enumerate() if thread not in before]
        await asyncio.sleep(0)
    assert threads == []
    assert isinstance(log.ends[0], StreamTimeoutError)


def test_outermost_on_a_plain_observable_without_a_loop_it_uses_the_background_loop():
    background_loop()
    before = threading.active_count()
    done = threading.Event()
    where: list[threading.Thread] = []

    def on_error(error: Exception) -> None:
        where.append(threading.current_thread())
        done.set()

    rx.never().pipe(ops.timeout(0.01)).subscribe(on_error=on_error)
    assert threading.active_count() == before
    assert done.wait(PATIENCE)
    assert where[0].name == "rxfal-loop"


async def test_dispose_cancels_the_timer():
    log = Log()
    subscription = create(forever, name="silent").pipe(ops.timeout(0.01)).subscribe(*log.callbacks)
    await spin()
    subscription.dispose()
    await create(forever, name="silent").pipe(ops.timeout(0.02, rx.of(1)))
    assert log.ends == []


async def test_the_clock_stands_still_while_the_gate_is_closed():
    source = Source()
    items = iterate(source.stream.pipe(ops.timeout(0.05)), buffer_size=2)
    first = asyncio.ensure_future(anext(items))
    run = await source.open()
    sending = run.push(1, 2, 3, 4)
    assert await first == 1
    await until(lambda: run.sink.gate.closed)
    await rx.timer(0.2, scheduler=LoopScheduler(asyncio.get_running_loop()))  # four times the limit, and still full
    assert [await anext(items) for _ in range(3)] == [2, 3, 4]
    await asyncio.wrap_future(sending)
    with pytest.raises(StreamTimeoutError):  # open again, the silence counts
        await anext(items)


only_asyncio = pytest.mark.asyncio(loop_factories=["asyncio"])
"""The other loops keep their own time, which no test can set."""


@only_asyncio
async def test_the_clock_goes_on_where_it_stood_when_the_gate_opens(clock: list[float]):
    scheduler = LoopScheduler(asyncio.get_running_loop())
    log = Log()
    Subject().pipe(ops.timeout(10)).subscribe(*log.callbacks, scheduler=scheduler)
    clock[0] += 9
    scheduler.gate.close()
    clock[0] += 500
    await spin()
    scheduler.gate.open()
    clock[0] += 0.9
    await spin()
    assert log.ends == [], "9.9 of 10 seconds have counted"
    clock[0] += 0.2
    await until(lambda: log.ends)
    assert isinstance(log.ends[0], StreamTimeoutError)


@only_asyncio
async def test_an_item_after_a_pause_starts_the_silence_anew(clock: list[float]):
    scheduler = LoopScheduler(asyncio.get_running_loop())
    log = Log()
    subject: Subject[int] = Subject()
    subject.pipe(ops.timeout(10)).subscribe(*log.callbacks, scheduler=scheduler)
    scheduler.gate.close()
    clock[0] += 500
    scheduler.gate.open()
    subject.on_next(1)
    clock[0] += 9.9
    await spin()
    assert log.ends == []
    clock[0] += 0.2
    await until(lambda: log.ends)
    assert isinstance(log.ends[0], StreamTimeoutError)


@only_asyncio
async def test_no_timer_runs_while_the_gate_is_closed(clock: list[float]):
    scheduler = LoopScheduler(asyncio.get_running_loop())
    watched = Watched(scheduler)
    subscription = Subject().pipe(ops.timeout(10)).subscribe(scheduler=scheduler)
    clock[0] += 9
    scheduler.gate.close()
    for _ in range(50):
        clock[0] += 10
        await spin(3)
    assert watched.calls == 1
    subscription.dispose()


async def test_data_that_waits_in_a_socket_is_no_silence_though_the_loop_was_blocked():
    here, there = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=here)

    async def read(sink: Any) -> None:
        while line := await reader.readline():
            sink.on_next(line)

    log = Log()
    create(read, name="socket").pipe(ops.timeout(0.05)).subscribe(*log.callbacks)
    await spin()
    for line in (b"one\n", b"two\n"):
        there.sendall(line)
        time.sleep(0.1)  # noqa: ASYNC251  this is what it is about: the loop sees neither data nor time meanwhile
        await until(lambda line=line: log.items[-1:] == [line] or log.ends)
    there.close()
    await until(lambda: log.ends)
    writer.close()
    await writer.wait_closed()
    assert (log.items, log.ends) == ([b"one\n", b"two\n"], ["completed"])


async def test_an_on_next_that_takes_long_is_no_silence():
    source, log = Source(), Log()
    on_next, on_error, on_completed = log.callbacks
    source.stream.pipe(ops.timeout(0.03)).subscribe(
        lambda item: (on_next(item), time.sleep(0.06)), on_error, on_completed
    )
    run = await source.open()
    for item in (1, 2, 3):
        await run.send(item)
    run.push(END)
    await until(lambda: log.ends)
    assert (log.items, log.ends) == ([1, 2, 3], ["completed"])


async def test_a_source_that_blocks_in_its_subscribe_is_not_heard_after_the_switch():
    switched = threading.Event()

    def stubborn(observer: Any, scheduler: Any = None) -> Any:
        observer.on_next(1)
        assert switched.wait(PATIENCE)
        observer.on_next("too late")
        observer.on_completed()
        return Disposable()

    def other(observer: Any, scheduler: Any = None) -> Any:
        observer.on_next("other")
        switched.set()
        return Disposable()

    log = Log()
    timed = rx.create(stubborn).pipe(ops.timeout(0.01, rx.create(other)))
    await asyncio.to_thread(lambda: timed.subscribe(*log.callbacks))
    assert (log.items, log.ends) == ([1, "other"], [])
