"""Rule 5: the LoopScheduler by itself, called from any thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from reactivex.disposable import Disposable

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
