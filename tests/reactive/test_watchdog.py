"""The one watchdog: when a silence is over, on any loop, and what is none: a busy program, a full consumer."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from reactivex.disposable import Disposable
from reactivex.testing import TestScheduler

from rxfal.reactive import watchdog
from rxfal.reactive.gate import DemandGate
from rxfal.reactive.scheduler import LoopScheduler
from rxfal.reactive.watchdog import Watchdog, call_after_poll
from tests.reactive.sources import PATIENCE, spin

pytestmark = pytest.mark.every_loop


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[socket.socket, list[bytes]]]:
    """One end of a connection, and what a task has got that another reads for it from the other end."""
    here, there = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=here)
    got: list[bytes] = []

    between: asyncio.Queue[bytes] = asyncio.Queue()

    async def read() -> None:
        while data := await reader.read(100):
            between.put_nowait(data)
        between.put_nowait(b"")

    async def get() -> None:
        while data := await between.get():
            got.append(data)

    reading = asyncio.gather(read(), get())
    await spin()
    try:
        yield there, got
    finally:
        there.close()
        await reading
        writer.close()
        await writer.wait_closed()


# The loop looks at its sockets once more.

BUSY: dict[str, Callable[[asyncio.AbstractEventLoop, Callable[[], None]], Any]] = {
    "in a callback": lambda loop, busy: loop.call_soon(busy),
    "in a callback of a callback": lambda loop, busy: loop.call_soon(loop.call_soon, busy),
    "in a timer": lambda loop, busy: loop.call_later(0.001, busy),
    "in a callback of a timer": lambda loop, busy: loop.call_later(0.001, loop.call_soon, busy),
}


@pytest.mark.parametrize("where", BUSY)
async def test_data_that_came_while_the_loop_was_busy_is_read_before_the_call(where: str):
    loop = asyncio.get_running_loop()
    for _ in range(20):
        async with connection() as (there, got):
            verdict: asyncio.Future[int] = loop.create_future()

            def busy(there: socket.socket = there) -> None:
                time.sleep(0.003)
                there.send(b"data")

            def due(verdict: asyncio.Future[int] = verdict, got: list[bytes] = got) -> None:
                call_after_poll(loop, lambda: verdict.set_result(len(got)))

            loop.call_later(0.002, due)
            BUSY[where](loop, busy)
            assert await asyncio.wait_for(verdict, PATIENCE) == 1


async def test_data_that_came_while_another_connection_kept_the_loop_busy_is_read_before_the_call():
    loop = asyncio.get_running_loop()
    for _ in range(20):
        async with connection() as (there, got), connection():
            verdict: asyncio.Future[int] = loop.create_future()

            class Busy(asyncio.Protocol):
                def data_received(
                    self, data: bytes, there: socket.socket = there, verdict: Any = verdict, got: list[bytes] = got
                ) -> None:
                    time.sleep(0.003)
                    there.send(b"data")

            mine, theirs = socket.socketpair()
            transport, _ = await loop.create_connection(Busy, sock=mine)
            loop.call_later(
                0.002,
                lambda verdict=verdict, got=got: call_after_poll(loop, lambda: verdict.set_result(len(got))),
            )
            theirs.send(b"go")
            assert await asyncio.wait_for(verdict, PATIENCE) == 1
            transport.close()
            theirs.close()
            await spin()


# The watch, on a scheduler and a clock that the test sets.


class Hand(LoopScheduler):
    """A LoopScheduler whose timers the test lets ring, with what has been set for later."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, consumer: Any = None) -> None:
        super().__init__(asyncio.get_running_loop(), consumer=consumer)
        self.timers: list[tuple[float, Callable[[], Any]]] = []
        self.disposed = 0
        self.polls: list[Callable[[], Any]] = []
        monkeypatch.setattr(watchdog, "call_after_poll", lambda _, callback: self.polls.append(callback))

    def schedule_relative(self, duetime: Any, action: Any, state: Any = None) -> Any:
        self.timers.append((duetime, lambda: action(self, state)))
        return Disposable(lambda: setattr(self, "disposed", self.disposed + 1))

    @property
    def due_in(self) -> list[float]:
        return [duetime for duetime, _ in self.timers]

    def ring(self) -> None:
        self.timers.pop(0)[1]()

    def poll(self) -> None:
        self.polls.pop(0)()


class Watched:
    """A watchdog of 10 seconds over a silence since 100."""

    def __init__(self, scheduler: Any, gate: DemandGate | None = None) -> None:
        self.now = self.since = 100.0
        self.expired = 0
        self.watchdog = Watchdog(10.0, lambda: self.since, lambda: self.now, self._expire, scheduler, gate)
        self.watchdog.start()

    def _expire(self) -> None:
        self.expired += 1


@pytest.fixture
async def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    return Hand(monkeypatch)


async def test_a_silence_is_over_after_the_loop_has_looked_once_more(hand: Hand):
    watched = Watched(hand)
    assert hand.due_in == [10.0]
    watched.now = 110.0
    hand.ring()
    assert watched.expired == 0
    hand.poll()
    assert (watched.expired, hand.timers, hand.polls) == (1, [], [])


async def test_a_silence_that_began_later_has_its_whole_time(hand: Hand):
    watched = Watched(hand)
    watched.now, watched.since = 110.0, 107.0
    hand.ring()
    assert (hand.due_in, hand.polls, watched.expired) == ([7.0], [], 0)


async def test_where_something_came_at_the_last_moment_the_watch_goes_on(hand: Hand):
    watched = Watched(hand)
    watched.now = 115.0
    hand.ring()
    watched.since = 114.0
    hand.poll()
    assert (hand.due_in, watched.expired) == ([9.0], 0)
    watched.now = 124.0
    hand.ring()
    hand.poll()
    assert watched.expired == 1


async def test_a_silence_that_began_at_the_last_look_has_a_last_look_of_its_own(hand: Hand):
    """The loop was busy again: what that silence is over for has not been looked at yet."""
    watched = Watched(hand)
    watched.now = 115.0
    hand.ring()
    watched.since, watched.now = 114.0, 130.0
    hand.poll()
    assert (watched.expired, len(hand.polls)) == (0, 1)
    hand.poll()
    assert watched.expired == 1


async def test_without_a_silence_it_looks_again_after_the_whole_time(hand: Hand):
    watched = Watched(hand)
    watched.since, watched.now = None, 500.0  # pyright: ignore[reportAttributeAccessIssue]
    hand.ring()
    assert (hand.due_in, watched.expired) == ([10.0], 0)


async def test_a_clock_that_stood_still_meanwhile_counts_for_what_is_left(hand: Hand):
    watched = Watched(hand)
    watched.now = 110.0
    hand.ring()
    watched.now = 104.0  # the gate's clock, after a pause that it had not counted yet
    hand.poll()
    assert (hand.due_in, watched.expired) == ([6.0], 0)


@pytest.mark.parametrize("when", ["before", "at the last look"])
async def test_stopped_it_looks_at_nothing_any_more(hand: Hand, when: str):
    watched = Watched(hand)
    watched.now = 110.0
    if when == "at the last look":
        hand.ring()
    watched.watchdog.stop()
    hand.ring() if when == "before" else hand.poll()
    assert (watched.expired, hand.timers, hand.polls) == (0, [], [])
    assert hand.disposed == 1


async def test_stopped_on_another_thread_while_it_starts_it_leaves_no_timer(hand: Hand):
    class Slow(Hand):
        def schedule_relative(self, duetime: Any, action: Any, state: Any = None) -> Any:
            timer = hand.schedule_relative(duetime, action, state)
            watching.stop()
            return timer

    slow: Any = object.__new__(Slow)
    watching = Watchdog(10.0, lambda: 0.0, lambda: 0.0, lambda: None, slow)
    watching.start()
    assert hand.disposed == 1


async def test_while_the_gate_is_closed_there_is_no_timer_and_then_one_for_what_is_left(hand: Hand):
    gate = DemandGate(asyncio.get_running_loop())
    watched = Watched(hand, gate)
    watched.now = 106.0
    gate.close()
    hand.ring()
    assert (hand.timers, hand.polls) == ([], [])
    gate.open()
    assert hand.due_in == [4.0]
    gate.close()
    gate.open()
    assert hand.due_in == [4.0], "one timer is enough"


async def test_a_gate_that_closes_before_the_last_look_stops_the_watch_too(hand: Hand):
    gate = DemandGate(asyncio.get_running_loop())
    watched = Watched(hand, gate)
    watched.now = 110.0
    hand.ring()
    gate.close()
    hand.poll()
    assert (watched.expired, hand.timers) == (0, [])


async def test_stopped_while_the_gate_is_closed_it_does_not_begin_again(hand: Hand):
    gate = DemandGate(asyncio.get_running_loop())
    watched = Watched(hand, gate)
    gate.close()
    hand.ring()
    watched.watchdog.stop()
    assert gate._listeners == (), "nothing of it is kept"
    gate.open()
    assert hand.timers == []


async def test_stopped_on_another_thread_while_the_gate_opens_it_does_not_begin_again(hand: Hand):
    class StoppedMeanwhile(DemandGate):
        def remove_listener(self, listener: Callable[[], None]) -> bool:
            was_there = super().remove_listener(listener)
            if was_there:
                watched.watchdog.stop()
            return was_there

    gate = StoppedMeanwhile(asyncio.get_running_loop())
    watched = Watched(hand, gate)
    gate.close()
    hand.ring()
    gate.open()
    assert hand.timers == []


async def test_a_failure_at_the_end_of_the_silence_is_told_to_the_consumer(monkeypatch: pytest.MonkeyPatch):
    class Consumer:
        is_stopped = False
        told: list[Exception] = []  # noqa: RUF012

        def on_error(self, error: Exception) -> None:
            self.told.append(error)

    consumer = Consumer()
    hand = Hand(monkeypatch, consumer)
    watching = Watchdog(10.0, lambda: 0.0, lambda: 10.0, lambda: 1 / 0, hand)
    watching.start()
    hand.ring()
    hand.poll()
    assert [type(error) for error in consumer.told] == [ZeroDivisionError]


def test_on_another_scheduler_the_silence_is_over_at_once():
    scheduler = TestScheduler()
    expired: list[float] = []
    Watchdog(10.0, lambda: 0.0, lambda: scheduler.clock, lambda: expired.append(scheduler.clock), scheduler).start()
    scheduler.start()
    assert expired == [10.0]
