"""`on_thread`: items cross to a thread that takes callbacks; in order, bounded, in short turns, none after dispose."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from reactivex.subject import Subject

from rxfal import operators as ops
from rxfal.errors import TransportError
from rxfal.reactive.gate import DemandGate
from rxfal.reactive.operators import on_thread
from rxfal.reactive.scheduler import LoopScheduler
from rxfal.reactive.stream import from_observable
from tests.reactive.sources import END, PATIENCE, Counter, Log, Source, spin, until

pytestmark = pytest.mark.every_loop


class Desk:
    """A thread that takes callbacks, by hand: `turn` makes the calls that were posted."""

    def __init__(self) -> None:
        self.posted: deque[Callable[[], None]] = deque()
        self.is_gone = False

    def post(self, call: Callable[[], None]) -> None:
        if self.is_gone:
            raise RuntimeError("the window was closed")
        self.posted.append(call)

    def turn(self) -> None:
        for _ in range(len(self.posted)):
            self.posted.popleft()()

    def all_turns(self) -> int:
        turns = 0
        while self.posted:
            self.turn()
            turns += 1
        return turns


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def fed(source: Source, *items: Any) -> None:
    await (await source.open()).send(*items)
    await spin()


async def test_items_and_the_end_wait_for_a_turn_of_the_thread_and_come_in_order(desk: Desk):
    source, log = Source(), Log()
    source.stream.pipe(ops.on_thread(desk.post)).subscribe(*log.callbacks)
    await fed(source, 1, 2, None, END)
    assert (log.items, log.ends) == ([], [])
    desk.turn()
    assert (log.items, log.ends) == ([1, 2, None], ["completed"])


async def test_an_error_comes_after_the_items_before_it(desk: Desk):
    source, log, error = Source(), Log(), ValueError("broken")
    source.stream.pipe(ops.on_thread(desk.post)).subscribe(*log.callbacks)
    await fed(source, 1, 2, error)
    assert log.ends == []
    desk.turn()
    assert (log.items, log.ends) == ([1, 2], [error])


async def test_one_call_is_posted_for_all_that_waits(desk: Desk):
    source = Source()
    with source.stream.pipe(ops.on_thread(desk.post)).subscribe():
        await fed(source, *range(100))
        assert len(desk.posted) == 1
        desk.turn()
        assert len(desk.posted) == 0
        await source.runs[0].send(1)
        assert len(desk.posted) == 1


def test_everything_is_called_on_the_thread_and_nothing_is_lost():
    calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    log = Log()
    threads: set[threading.Thread] = set()

    def work() -> None:
        while not log.ends:
            calls.get(timeout=PATIENCE)()

    thread = threading.Thread(target=work)
    stream = Counter(20_000).stream.pipe(ops.on_thread(calls.put, buffer_size=7))
    stream.do_action(lambda _: threads.add(threading.current_thread())).subscribe(*log.callbacks)
    thread.start()
    thread.join(PATIENCE)
    assert (log.items, log.ends) == ([*range(20_000)], ["completed"])
    assert threads == {thread}


async def test_the_source_pauses_when_so_many_wait_and_goes_on_at_half(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    counter, log = Counter(1000), Log()
    now = 0.0
    monkeypatch.setattr(on_thread, "time", SimpleNamespace(monotonic=lambda: now))
    on_next, *ends = log.callbacks

    def slow(item: int) -> None:
        nonlocal now
        now += on_thread.TURN * 0.6  # so that a turn delivers two
        on_next(item)

    counter.stream.pipe(ops.on_thread(desk.post, buffer_size=8)).subscribe(slow, *ends)
    await spin()
    assert counter.produced == 8
    desk.turn()
    await spin()
    assert (len(log.items), counter.produced) == (2, 8), "six are left, which is more than half"
    desk.turn()
    await spin()
    assert len(log.items) == 4
    assert counter.produced > 8
    while not log.ends:
        desk.turn()
        await spin(2)
        assert counter.produced - len(log.items) <= 8 + 1
    assert log.items == [*range(1000)]


async def test_a_turn_takes_8_ms_and_the_rest_has_another(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    source, seen, now = Source(), list[int](), 0.0
    monkeypatch.setattr(on_thread, "time", SimpleNamespace(monotonic=lambda: now))

    def on_next(item: int) -> None:
        nonlocal now
        now += 0.001
        seen.append(item)

    with source.stream.pipe(ops.on_thread(desk.post)).subscribe(on_next):
        await fed(source, *range(30))
        desk.turn()
        assert seen == [*range(9)]
        assert len(desk.posted) == 1, "the rest"
        assert desk.all_turns() == 3
        assert seen == [*range(30)]


async def test_what_comes_while_a_turn_delivers_waits_for_the_next(desk: Desk):
    subject, seen = Subject[int](), list[int]()

    def on_next(item: int) -> None:
        seen.append(item)
        if item < 5:
            subject.on_next(item + 1)

    with from_observable(subject).pipe(ops.on_thread(desk.post)).subscribe(on_next):
        subject.on_next(1)
        desk.turn()
        assert seen == [1]
        assert desk.all_turns() == 4
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("where", ["before the turn", "in on_next"])
async def test_disposed_what_waits_is_dropped_and_the_source_is_left(desk: Desk, where: str):
    source, seen = Source(), list[int]()
    subscription: Any = None

    def on_next(item: int) -> None:
        seen.append(item)
        if item == 2:
            subscription.dispose()

    subscription = source.stream.pipe(ops.on_thread(desk.post)).subscribe(on_next, seen.append, lambda: seen.append(-1))
    await fed(source, 1, 2, 3)
    source.runs[0].push(END)
    await spin()
    if where == "before the turn":
        subscription.dispose()
    desk.all_turns()
    await spin()
    assert seen == ([] if where == "before the turn" else [1, 2])
    assert source.runs[0].closed.is_set()


async def test_disposed_while_it_is_full_it_holds_no_neighbour_back(desk: Desk):
    """The gate belongs to the whole subscription: what crosses to a thread may not keep it closed when it has left."""
    counter = Counter(1000)
    scheduler = LoopScheduler(asyncio.get_running_loop())
    crossing = counter.stream.pipe(ops.on_thread(desk.post, buffer_size=5)).subscribe(scheduler=scheduler)
    await spin()
    assert scheduler.gate.closed
    crossing.dispose()
    assert not scheduler.gate.closed


async def test_disposed_just_as_it_gets_full_it_holds_no_neighbour_back_either(desk: Desk):
    class LeftBeforeItCloses(DemandGate):
        def close(self, holder: object = None) -> None:
            crossing.dispose()  # as another thread might
            super().close(holder)

    loop = asyncio.get_running_loop()
    subject, gate = Subject[int](), LeftBeforeItCloses(loop)
    stream = from_observable(subject).pipe(ops.on_thread(desk.post, buffer_size=1))
    crossing = stream.subscribe(scheduler=LoopScheduler(loop, gate))
    subject.on_next(1)
    assert not gate.closed


async def test_a_source_without_a_gate_overflows_and_nothing_is_lost(desk: Desk):
    subject, log = Subject[int](), Log()
    subject.pipe(ops.on_thread(desk.post, buffer_size=3)).subscribe(*log.callbacks)
    for number in range(100):
        subject.on_next(number)
    subject.on_completed()
    desk.all_turns()
    assert (log.items, log.ends) == ([*range(100)], ["completed"])


async def test_a_thread_that_is_gone_ends_the_subscription_in_silence(desk: Desk):
    source, log = Source(), Log()
    source.stream.pipe(ops.on_thread(desk.post)).subscribe(*log.callbacks)
    await fed(source, 1)
    desk.turn()
    desk.is_gone = True
    source.runs[0].push(2)
    await until(source.runs[0].closed.is_set)
    assert (log.items, log.ends) == ([1], [])


def test_a_plain_observable_is_left_too_when_the_thread_is_gone(desk: Desk):
    subject, log = Subject[int](), Log()
    subject.pipe(ops.on_thread(desk.post)).subscribe(*log.callbacks)
    desk.is_gone = True
    subject.on_next(1)
    assert subject.observers == []
    assert (log.items, log.ends) == ([], [])


async def test_a_thread_that_goes_between_two_turns_ends_it_too(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    source, log, now = Source(), Log(), 0.0
    monkeypatch.setattr(on_thread, "time", SimpleNamespace(monotonic=lambda: now))
    on_next, *ends = log.callbacks

    def slow(item: int) -> None:
        nonlocal now
        now += 1.0
        desk.is_gone = True
        on_next(item)

    source.stream.pipe(ops.on_thread(desk.post)).subscribe(slow, *ends)
    await fed(source, 1, 2, 3)
    desk.turn()
    await until(source.runs[0].closed.is_set)
    assert (log.items, log.ends) == ([1], [])


@pytest.mark.parametrize("burst", [(1, 2), (1, END), (1, ValueError("broken")), tuple(range(100))], ids=len)
async def test_a_thread_that_goes_with_what_was_posted_to_it_ends_it_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, burst: tuple[Any, ...]
):
    monkeypatch.setattr(on_thread, "OVERDUE", 0.01)
    source = Source()
    waiting = asyncio.ensure_future(source.stream.pipe(ops.on_thread(desk.post, buffer_size=8)).wait())
    run = await source.open()
    run.push(*burst)
    await until(lambda: desk.posted)
    desk.posted.clear()
    desk.is_gone = True
    with pytest.raises(TransportError, match="is gone"):
        await asyncio.wait_for(waiting, PATIENCE)
    await until(run.closed.is_set)


async def test_a_thread_that_goes_soon_after_a_turn_ends_it_too(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(on_thread, "OVERDUE", 0.05)
    source = Source()
    waiting = asyncio.ensure_future(source.stream.pipe(ops.on_thread(desk.post, buffer_size=8)).wait())
    await fed(source, 1, 2)
    desk.turn()
    source.runs[0].push(*range(100))
    await until(lambda: desk.posted)
    desk.posted.clear()
    desk.is_gone = True
    with pytest.raises(TransportError, match="is gone"):
        await asyncio.wait_for(waiting, PATIENCE)


async def test_a_turn_that_is_only_late_is_posted_again_and_nothing_comes_twice(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(on_thread, "OVERDUE", 0.01)
    source, log = Source(), Log()
    source.stream.pipe(ops.on_thread(desk.post)).subscribe(*log.callbacks)
    await fed(source, 1, 2, 3)
    await until(lambda: len(desk.posted) >= 3)
    desk.turn()
    await source.runs[0].send(4, END)
    desk.turn()
    assert (log.items, log.ends) == ([1, 2, 3, 4], ["completed"])


async def test_a_bad_subscriber_is_reported_and_ends_only_itself(desk: Desk, reports: list[dict[str, Any]]):
    source, log = Source(), Log()
    shared = source.stream.share()
    shared.pipe(ops.on_thread(desk.post)).subscribe(lambda item: 1 // item)
    shared.subscribe(*log.callbacks)
    await fed(source, 0, 1)
    desk.all_turns()
    await source.runs[0].send(END)
    assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]
    assert (log.items, log.ends) == ([0, 1], ["completed"])


def test_what_is_no_function_or_no_size_is_refused_at_the_call(desk: Desk):
    with pytest.raises(TypeError, match="posts a callback to a thread, not None"):
        ops.on_thread(None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="at least 1, not 0"):
        ops.on_thread(desk.post, buffer_size=0)
