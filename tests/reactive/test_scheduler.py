"""Rule 5: the LoopScheduler by itself, called from any thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex.disposable import Disposable
from reactivex.subject import Subject

from rxfal import operators as ops
from rxfal.reactive.scheduler import LoopScheduler
from rxfal.reactive.stream import create
from tests.reactive.sources import PATIENCE, Log, forever, spin, until

pytestmark = pytest.mark.every_loop


async def test_now_is_the_wall_clock_and_due_times_are_taken_from_it():
    scheduler, ran = LoopScheduler(asyncio.get_running_loop()), list[str]()
    assert abs(scheduler.now - datetime.now(UTC)) < timedelta(seconds=1)
    scheduler.schedule_absolute(scheduler.now + timedelta(seconds=0.01), lambda *_: ran.append("later"))
    scheduler.schedule_absolute(scheduler.now - timedelta(days=1), lambda *_: ran.append("past"))
    scheduler.schedule_relative(timedelta(seconds=-1), lambda *_: ran.append("negative"))
    scheduler.schedule(lambda *_: ran.append("now"))
    assert ran == []
    await until(lambda: len(ran) == 4)
    assert ran == ["past", "negative", "now", "later"]


async def test_an_action_gets_the_scheduler_and_its_state():
    scheduler, seen = LoopScheduler(asyncio.get_running_loop()), list[Any]()
    scheduler.schedule_relative(0.001, lambda *args: seen.append(args), "state")
    await until(lambda: seen)
    assert seen == [(scheduler, "state")]


async def test_disposing_cancels_an_action_or_disposes_what_it_returned():
    scheduler, log = LoopScheduler(asyncio.get_running_loop()), list[str]()
    scheduler.schedule(lambda *_: log.append("never")).dispose()
    scheduler.schedule_relative(0.001, lambda *_: log.append("never")).dispose()
    scheduled = scheduler.schedule(lambda *_: Disposable(lambda: log.append("inner")))
    await spin()
    await asyncio.sleep(0.002)
    assert log == []
    scheduled.dispose()
    assert log == ["inner"]


async def test_an_action_disposed_while_it_runs_disposes_what_it_returns():
    scheduler, log = LoopScheduler(asyncio.get_running_loop()), list[str]()

    def action(*_: Any) -> Disposable:
        scheduled.dispose()
        return Disposable(lambda: log.append("inner"))

    scheduled = scheduler.schedule(action)
    await spin()
    assert log == ["inner"]


async def test_scheduling_and_disposing_from_other_threads_never_block():
    """The loop stands still in `join` all the while; whatever waited for it would wait for ever."""
    scheduler, ran = LoopScheduler(asyncio.get_running_loop()), list[str]()

    def elsewhere() -> None:
        scheduler.schedule(lambda *_: ran.append("now"))
        scheduler.schedule_relative(0.001, lambda *_: ran.append("soon"))
        scheduler.schedule_absolute(scheduler.now, lambda *_: ran.append("at"))
        for scheduled in (
            scheduler.schedule(lambda *_: ran.append("never")),
            scheduler.schedule_relative(0.001, lambda *_: ran.append("never")),
            mine,
        ):
            scheduled.dispose()

    mine = scheduler.schedule_relative(0.001, lambda *_: ran.append("never"))
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert ran == []
    await until(lambda: len(ran) == 3)
    await asyncio.sleep(0.005)
    assert sorted(ran) == ["at", "now", "soon"]


async def test_an_action_scheduled_elsewhere_is_due_from_the_call_and_not_from_the_hop():
    loop = asyncio.get_running_loop()
    scheduler, ran = LoopScheduler(loop), list[float]()
    thread = threading.Thread(target=lambda: scheduler.schedule_relative(0.03, lambda *_: ran.append(loop.time())))
    thread.start()
    thread.join()
    called = loop.time()
    while loop.time() < called + 0.03:  # the loop is kept busy meanwhile
        pass
    await spin(3)
    assert len(ran) == 1


def test_a_timer_disposed_on_another_thread_just_as_it_is_made_is_cancelled():
    handles: list[asyncio.TimerHandle] = []

    class Loop(asyncio.SelectorEventLoop):
        def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
            handle = super().call_later(delay, callback, *args, context=context)
            if delay > 900.0:
                handles.append(handle)
                elsewhere(scheduled[0].dispose)
            return handle

    def elsewhere(call: Callable[[], Any]) -> None:
        thread = threading.Thread(target=call)
        thread.start()
        thread.join(PATIENCE)

    scheduled: list[Any] = []
    with asyncio.Runner(loop_factory=Loop) as runner:
        scheduler = LoopScheduler(runner.get_loop())
        scheduled.append(scheduler.schedule_relative(1000.0, lambda *_: None))
        runner.run(spin())
    assert handles[0].cancelled()


async def test_periodic_work_passes_its_state_on_until_disposed():
    scheduler, states = LoopScheduler(asyncio.get_running_loop()), list[int]()

    def action(state: int | None) -> int:
        states.append(state or 0)
        return (state or 0) + 1

    periodic = scheduler.schedule_periodic(0.001, action, 0)
    await until(lambda: len(states) == 3)
    periodic.dispose()
    await asyncio.sleep(0.005)
    assert states == [0, 1, 2]


class HandLoop(asyncio.AbstractEventLoop):
    """A loop that the test turns: each timer rings when it is told to, some seconds late."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self.now

    def is_closed(self) -> bool:
        return False

    def get_debug(self) -> bool:
        return False

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(self.now + delay, callback, args, self)
        self.timers.append(timer)
        return timer

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        return self.call_later(0.0, callback, *args)

    def _timer_handle_cancelled(self, timer: asyncio.TimerHandle) -> None:
        if timer in self.timers:  # not the one that has rung
            self.timers.remove(timer)

    def ring(self, late: float = 0.0) -> None:
        timer = min(self.timers, key=asyncio.TimerHandle.when)
        self.timers.remove(timer)
        self.now = timer.when() + late
        timer._run()


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> HandLoop:
    loop = HandLoop()
    monkeypatch.setattr("rxfal.reactive.scheduler.running_loop", lambda: loop)
    return loop


def test_periodic_work_keeps_to_its_beat_however_late_each_tick_is(loop: HandLoop):
    ticks: list[float] = []
    work = LoopScheduler(loop).schedule_periodic(10.0, lambda _: ticks.append(loop.now))
    for late in (1.0, 3.0, 0.0, 9.0, 2.0):
        loop.ring(late)
    assert ticks == [1011.0, 1023.0, 1030.0, 1049.0, 1052.0]
    work.dispose()


def test_ticks_that_an_action_covers_are_left_out(loop: HandLoop):
    ticks: list[float] = []

    def action(_: Any) -> None:
        ticks.append(loop.now)
        if len(ticks) == 1:
            loop.now += 27.0

    work = LoopScheduler(loop).schedule_periodic(10.0, action)
    for _ in range(3):
        loop.ring()
    assert ticks == [1010.0, 1040.0, 1050.0]
    work.dispose()


def test_periodic_work_that_disposes_itself_sets_no_timer_more(loop: HandLoop):
    work = LoopScheduler(loop).schedule_periodic(10.0, lambda _: work.dispose())
    loop.ring()
    assert loop.timers == []


@pytest.mark.parametrize("operator", ["interval", "sample", "buffer_with_time"])
def test_operators_keep_to_the_beat_too(operator: str, loop: HandLoop):
    ticks: list[float] = []
    subject = Subject[int]()
    streams: dict[str, Observable[Any]] = {
        "interval": rx.interval(10.0),
        "sample": subject.pipe(ops.sample(10.0)),
        "buffer_with_time": subject.pipe(ops.buffer_with_time(10.0)),
    }
    with streams[operator].subscribe(lambda _: ticks.append(loop.now), scheduler=LoopScheduler(loop)):
        for late in (1.0, 3.0, 0.0, 9.0, 2.0):
            subject.on_next(1)
            loop.ring(late)
    assert ticks == [1011.0, 1023.0, 1030.0, 1049.0, 1052.0]


def test_on_a_closed_loop_scheduling_raises_and_disposing_does_nothing():
    loop = asyncio.new_event_loop()
    scheduler = LoopScheduler(loop)

    async def main() -> Any:
        return scheduler.schedule_relative(1000.0, lambda *_: None)

    scheduled = loop.run_until_complete(main())
    loop.close()
    scheduled.dispose()
    with pytest.raises(RuntimeError):
        scheduler.schedule(lambda *_: None)


async def test_an_exception_in_an_action_goes_to_the_loops_exception_handler(reports: list[dict[str, Any]]):
    scheduler = LoopScheduler(asyncio.get_running_loop())
    scheduler.schedule(lambda *_: 1 / 0)
    await spin()
    assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]


@pytest.mark.asyncio(loop_factories=["asyncio"])  # the only one that lists its timers
async def test_timers_of_a_disposed_chain_are_gone_from_the_loop():
    loop = asyncio.get_running_loop()
    log = Log()
    subscription = (
        create(forever, name="silent").timeout(1000.0).debounce(1000.0).delay(1000.0).subscribe(*log.callbacks)
    )
    await spin()
    subscription.dispose()
    await spin()
    timers: list[asyncio.TimerHandle] = loop._scheduled  # pyright: ignore[reportAttributeAccessIssue]
    assert [timer for timer in timers if not timer.cancelled() and timer.when() > loop.time() + 100] == []
