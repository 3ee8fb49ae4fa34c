"""`timeout`: reactivex's marbles in virtual time, one timer on a real loop, and silence told from a busy program."""

from __future__ import annotations

import asyncio
import inspect
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex import operators as rx_ops
from reactivex.disposable import Disposable
from reactivex.scheduler import ImmediateScheduler
from reactivex.subject import Subject
from reactivex.testing import TestScheduler

from rxfal import operators as ops
from rxfal.errors import ApiError, StreamTimeoutError
from rxfal.reactive.background import background_loop
from rxfal.reactive.iterate import iterate, last
from rxfal.reactive.scheduler import LoopScheduler
from rxfal.reactive.stream import create, from_observable
from tests.reactive.sources import END, PATIENCE, Log, Source, forever, spin, until
from tests.reactive.virtual_time import cold, hot, on_completed, on_error, on_next, play, same, sources


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)


# As reactivex has it, in virtual time.


def test_signature_is_that_of_reactivex():
    ours, theirs = inspect.signature(ops.timeout), inspect.signature(rx_ops.timeout)
    assert [(p.name, p.kind, p.default) for p in ours.parameters.values()] == [
        (p.name, p.kind, p.default) for p in theirs.parameters.values()
    ]


def test_in_time_everything_passes():
    seen = same(
        lambda ops, s, x: x.pipe(ops.timeout(500)),
        hot(on_next(150, 1), on_next(210, 2), on_next(230, 3), on_next(260, 4), on_completed(300)),
    )
    assert seen.messages == [(210, "next", 2), (230, "next", 3), (260, "next", 4), (300, "completed", None)]
    assert seen.subscriptions == [[(200, 300)]]


@pytest.mark.parametrize("given_scheduler", [False, True], ids=["subscription's", "own"])
def test_out_of_time_ends_with_an_error_and_leaves_the_source(given_scheduler: bool):
    seen = same(
        lambda ops, s, x: x.pipe(ops.timeout(205, scheduler=s if given_scheduler else None)),
        hot(on_next(210, 2), on_next(230, 3), on_next(260, 4), on_next(470, 5), on_completed(500)),
    )
    assert seen.items == [(210, 2), (230, 3), (260, 4)]
    assert seen.end == (465, "error", "timeout")
    assert seen.subscriptions == [[(200, 465)]]


def test_an_item_on_time_counts_as_in_time():
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(100)), hot(on_next(300, 1), on_next(400, 2), on_completed(500)))
    assert seen.messages == [(300, "next", 1), (400, "next", 2), (500, "completed", None)]


def test_each_item_starts_the_silence_anew():
    times = range(210, 900, 9)
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(10)), hot(*(on_next(t, t) for t in times)))
    assert [t for t, _ in seen.items] == list(times)
    assert seen.end == (times[-1] + 10, "error", "timeout")


def test_a_silent_source_times_out_counted_from_the_subscription():
    assert same(lambda ops, s: rx.never().pipe(ops.timeout(100))).messages == [(300, "error", "timeout")]


def test_an_empty_source_completes():
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(100)), cold(on_completed(50)))
    assert seen.messages == [(250, "completed", None)]


def test_the_end_of_the_source_ends_the_watch():
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(100, rx.of("late"))), hot(on_next(210, 1), on_completed(250)))
    assert seen.messages == [(210, "next", 1), (250, "completed", None)]


def test_an_error_of_the_source_passes_and_ends_the_watch():
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(100, rx.of("late"))), hot(on_error(250, "broken")))
    assert seen.messages == [(250, "error", "broken")]


def test_disposed_before_the_time_is_out_nothing_follows():
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(100)), hot(on_next(210, 1)), disposed=250)
    assert seen.messages == [(210, "next", 1)]
    assert seen.subscriptions == [[(200, 250)]]


def test_goes_on_with_the_other():
    seen = same(
        lambda ops, s, x, other: x.pipe(ops.timeout(100, other)),
        hot(on_next(250, 1), on_next(350, 2), on_next(470, 3)),
        cold(on_next(10, "a"), on_next(200, "b"), on_completed(210)),
    )
    assert seen.messages == [
        (250, "next", 1),
        (350, "next", 2),
        (460, "next", "a"),
        (650, "next", "b"),
        (660, "completed", None),
    ]
    assert seen.subscriptions == [[(200, 450)], [(450, 660)]]


def test_the_other_is_not_watched():
    seen = same(
        lambda ops, s, x, other: x.pipe(ops.timeout(20, other)), hot(), cold(on_next(500, 1), on_completed(501))
    )
    assert seen.items == [(720, 1)]


def test_the_other_may_fail():
    seen = same(lambda ops, s, x, other: x.pipe(ops.timeout(20, other)), hot(), cold(on_error(5, "worse")))
    assert seen.messages == [(225, "error", "worse")]


def test_the_other_is_left_alone_when_in_time():
    seen = same(lambda ops, s, x, other: x.pipe(ops.timeout(50, other)), hot(on_completed(240)), cold(on_next(1, 1)))
    assert seen.subscriptions[1] == []


def test_the_other_is_disposed_with_the_subscription():
    seen = same(lambda ops, s, x, other: x.pipe(ops.timeout(20, other)), hot(), cold(on_next(500, 1)), disposed=300)
    assert seen.subscriptions == [[(200, 220)], [(220, 300)]]


async def test_the_other_may_be_a_future():
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    future.set_result("from a future")
    stream = create(forever, name="silent")
    assert await stream.pipe(ops.timeout(0.001, future)) == "from a future"


def test_a_timedelta_is_seconds_too():
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(timedelta(seconds=70))), hot(on_next(210, 1)))
    assert seen.end == (280, "error", "timeout")


def test_a_deadline_that_passes():
    seen = same(
        lambda ops, s, x, other: x.pipe(ops.timeout(at(400), other)),
        hot(on_next(310, 1), on_next(350, 2), on_next(420, 3), on_completed(450)),
        cold(on_next(100, -1), on_completed(101)),
    )
    assert seen.items == [(310, 1), (350, 2), (500, -1)]
    assert seen.subscriptions == [[(200, 400)], [(400, 501)]]


def test_a_deadline_that_is_met():
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(at(400))), hot(on_next(310, 1), on_completed(390)))
    assert seen.messages == [(310, "next", 1), (390, "completed", None)]


def test_an_error_before_the_deadline():
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(at(400))), hot(on_error(390, "broken"), on_next(395, 1)))
    assert seen.messages == [(390, "error", "broken")]


def test_a_deadline_is_not_moved_by_items():
    seen = same(lambda ops, s, x: x.pipe(ops.timeout(at(400))), hot(*(on_next(t, t) for t in range(210, 600, 10))))
    assert seen.end == (400, "error", "timeout")


def test_two_subscriptions_are_watched_apart():
    scheduler = TestScheduler()
    timed = scheduler.create_cold_observable(on_next(50, 1)).pipe(ops.timeout(100))
    first, second = scheduler.create_observer(), scheduler.create_observer()
    scheduler.schedule_absolute(200.0, lambda *_: timed.subscribe(first, scheduler=scheduler))
    scheduler.schedule_absolute(270.0, lambda *_: timed.subscribe(second, scheduler=scheduler))
    scheduler.start()
    assert [[m.time for m in o.messages] for o in (first, second)] == [[250, 350], [320, 420]]


@settings(max_examples=50, deadline=None)
@given(sources(), st.integers(1, 40), st.sampled_from([230, 260, 1000]))
def test_any_source_as_in_reactivex(source: Any, duetime: int, disposed: float):
    same(lambda ops, s, x: x.pipe(ops.timeout(duetime)), source, disposed=disposed)


@settings(max_examples=50, deadline=None)
@given(sources(), sources(), st.integers(1, 40))
def test_any_source_and_other_as_in_reactivex(source: Any, other: Any, duetime: int):
    same(lambda ops, s, x, y: x.pipe(ops.timeout(duetime, y)), source, other)


@settings(max_examples=50, deadline=None)
@given(sources(), st.integers(200, 300))  # and a half: in a tie reactivex has the one that was scheduled first
def test_any_source_and_deadline_as_in_reactivex(source: Any, deadline: int):
    same(lambda ops, s, x: x.pipe(ops.timeout(at(deadline + 0.5))), source)


# One timer for a whole stream.


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


# On a real event loop.


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


@pytest.fixture
async def clock() -> AsyncIterator[list[float]]:
    """The running loop's time, to be set."""
    loop: Any = asyncio.get_running_loop()
    now = [1000.0]
    loop.time = lambda: now[0]
    yield now
    del loop.time


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


def test_a_source_that_ended_inside_its_subscribe_is_not_followed_by_the_other():
    scheduler = TestScheduler()
    others: list[int] = []
    subscribe_other = rx.defer(lambda _: (others.append(1), rx.of("other"))[1])

    def ends_and_lingers(observer: Any, scheduler_: Any = None) -> Any:
        observer.on_completed()
        scheduler.advance_by(500.0)
        return Disposable()

    seen = play(lambda ops, s: rx.create(ends_and_lingers).pipe(ops.timeout(100, subscribe_other)))
    assert (seen.messages, others) == ([(200, "completed", None)], [])


@pytest.mark.parametrize("duetime", [None, "5"])
def test_what_is_no_time_is_refused_at_the_call(duetime: Any):
    with pytest.raises(TypeError, match="seconds"):
        ops.timeout(duetime)


@pytest.mark.parametrize("streams", [False, True], ids=["observable", "stream"])
def test_a_timer_that_is_due_inside_subscribe_is_the_end_before_the_first_item(streams: bool):
    source = from_observable(rx.of(1)) if streams else rx.of(1)
    for o in (ops, rx_ops):
        log = Log()
        source.pipe(o.timeout(0, rx.of("other"), scheduler=ImmediateScheduler())).subscribe(*log.callbacks)
        assert (log.items, log.ends) == (["other"], ["completed"])


def test_what_can_not_be_gone_on_with_is_refused_at_the_call():
    with pytest.raises(TypeError, match="Observable or a future, not 'x'"):
        ops.timeout(1, "x")  # pyright: ignore[reportArgumentType]
