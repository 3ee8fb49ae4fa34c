"""`memoize`: one request for all subscribers, early or late, each of whom gets the whole answer from its start."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex import Observable
from reactivex.disposable import Disposable, SerialDisposable
from reactivex.subject import Subject
from reactivex.testing import TestScheduler

from rxfal import operators as ops
from rxfal.errors import TransportError
from rxfal.reactive.iterate import iterate
from rxfal.reactive.scheduler import LoopScheduler
from rxfal.reactive.stream import Stream, from_observable
from tests.reactive.sources import END, PATIENCE, Counter, Log, Source, spin, until
from tests.reactive.virtual_time import Source as Timeline
from tests.reactive.virtual_time import cold, on_completed, on_error, on_next


class Subscribers:
    """Logs of a memoized timeline, each from the time at which it subscribed."""

    def __init__(self, timeline: Timeline, ttl: float | None = None) -> None:
        self.scheduler = TestScheduler()
        self.source: Any = timeline.make(self.scheduler)
        self.memoized: Observable[Any] = self.source.pipe(ops.memoize(ttl, self.scheduler))

    def at(self, time: float, until: float | None = None) -> list[Any]:
        """What one hears that subscribes then, and leaves later: `(time, item or end)`."""
        heard: list[Any] = []

        def hear(what: Any) -> None:
            heard.append((self.scheduler.clock, what))

        subscription = SerialDisposable()

        def subscribe(*_: Any) -> None:
            subscription.disposable = self.memoized.subscribe(
                hear, lambda error: hear(str(error)), lambda: hear("end"), scheduler=self.scheduler
            )

        self.scheduler.schedule_absolute(time, subscribe)
        if until is not None:
            self.scheduler.schedule_absolute(until, lambda *_: subscription.dispose())
        return heard

    @property
    def requests(self) -> list[tuple[float, float]]:
        return [(each.subscribe, each.unsubscribe) for each in self.source.subscriptions]


ANSWER = cold(on_next(10, "a"), on_next(20, "b"), on_completed(30))


def test_early_and_late_each_gets_the_whole_answer_of_one_request():
    subscribers = Subscribers(ANSWER)
    early, late, after = subscribers.at(200), subscribers.at(215), subscribers.at(500)
    subscribers.scheduler.start()
    assert early == [(210, "a"), (220, "b"), (230, "end")]
    assert late == [(215, "a"), (220, "b"), (230, "end")]
    assert after == [(500, "a"), (500, "b"), (500, "end")]
    assert subscribers.requests == [(200, 230)]


def test_an_error_goes_to_those_who_listen_and_is_not_kept():
    subscribers = Subscribers(cold(on_next(10, "a"), on_error(30, "broken")))
    early, late, after = subscribers.at(200), subscribers.at(215), subscribers.at(500)
    subscribers.scheduler.start()
    assert early == [(210, "a"), (230, "broken")]
    assert late == [(215, "a"), (230, "broken")]
    assert after == [(510, "a"), (530, "broken")]
    assert subscribers.requests == [(200, 230), (500, 530)]


def test_who_subscribes_when_it_hears_the_error_starts_a_new_request():
    tries = iter([rx.throw(ValueError("first")), rx.of("second")])
    memoized = from_observable(rx.defer(lambda _: next(tries))).pipe(ops.memoize())
    assert memoized.pipe(ops.retry(2)).run() == "second"
    assert memoized.run() == "second"


def test_when_the_last_leaves_before_the_end_the_request_ends_and_is_forgotten():
    subscribers = Subscribers(ANSWER)
    one, other = subscribers.at(200, until=212), subscribers.at(205, until=215)
    anew = subscribers.at(300)
    subscribers.scheduler.start()
    assert (one, other) == ([(210, "a")], [(210, "a")])
    assert anew == [(310, "a"), (320, "b"), (330, "end")]
    assert subscribers.requests == [(200, 215), (300, 330)]


def test_one_that_leaves_takes_nothing_from_the_others():
    subscribers = Subscribers(ANSWER)
    subscribers.at(200, until=212)
    other = subscribers.at(205)
    subscribers.scheduler.start()
    assert other == [(210, "a"), (220, "b"), (230, "end")]
    assert subscribers.requests == [(200, 230)]


def test_an_answer_is_kept_for_its_ttl_after_the_end():
    subscribers = Subscribers(ANSWER, ttl=50)
    subscribers.at(200)
    within, after, within_the_second = subscribers.at(279), subscribers.at(280), subscribers.at(310)
    subscribers.scheduler.start()
    assert within == [(279, "a"), (279, "b"), (279, "end")]
    assert after == [(290, "a"), (300, "b"), (310, "end")]
    assert within_the_second[-1][1] == "end"
    assert subscribers.requests == [(200, 230), (280, 310)]


def test_with_a_ttl_of_nothing_it_is_kept_for_those_alone_who_came_before_the_end():
    subscribers = Subscribers(ANSWER, ttl=0)
    subscribers.at(200)
    before, after = subscribers.at(229), subscribers.at(231)
    subscribers.scheduler.start()
    assert before == [(229, "a"), (229, "b"), (230, "end")]
    assert after[0] == (241, "a")


def test_the_ttl_counts_by_the_systems_clock_unless_a_scheduler_is_given(monkeypatch: pytest.MonkeyPatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    asked = 0

    def ask(_: Any) -> Observable[int]:
        nonlocal asked
        asked += 1
        return rx.of(asked)

    log = Log()
    memoized = rx.defer(ask).pipe(ops.memoize(10))
    for now[0] in (100.0, 109.9, 110.0, 119.9):
        memoized.subscribe(*log.callbacks)
    assert log.items == [1, 1, 2, 2]


# So that nothing happens at one time: subscribers come at multiples of 4 and leave two later, items come at odd times.
VISITS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=5).map(
    lambda drawn: [(200 + 4 * comes, 202 + 4 * (comes + stays)) for comes, stays in sorted(drawn)]
)
ANSWERS = st.tuples(st.lists(st.integers(0, 30), max_size=5).map(sorted), st.sampled_from(["end", "broken", None]))


@given(ANSWERS, VISITS)
def test_whoever_subscribes_when_and_leaves_when(answer: tuple[list[int], str | None], visits: list[tuple[int, int]]):
    times, end = answer
    said: list[tuple[int, Any]] = [(2 * time + 1, index) for index, time in enumerate(times)]
    said += [(2 * (times[-1] if times else 0) + 1, end)] if end else []
    ends = {"end": on_completed, "broken": lambda time: on_error(time, "broken")}
    messages = [ends[what](time) if what in ends else on_next(time, what) for time, what in said]
    subscribers = Subscribers(cold(*messages))
    heard = [subscribers.at(comes, until=leaves) for comes, leaves in visits]
    subscribers.scheduler.start()

    begun: int | None = None  # when the request of the moment was
    gone = 0  # when the last of its subscribers leaves
    requests: list[int] = []
    for (comes, leaves), log in zip(visits, heard, strict=True):
        over = None if begun is None or not end else begun + said[-1][0]
        is_whole = end == "end" and over is not None and over < min(comes, gone)
        if not is_whole and (begun is None or min(gone, over or gone) < comes):
            begun, gone = comes, leaves
            requests.append(begun)
        assert log == [(max(comes, begun + time), what) for time, what in said if begun + time < leaves]
        gone = max(gone, leaves) if not is_whole else gone
    assert [begun for begun, _ in subscribers.requests] == requests


# Threads, loops, backpressure.


async def test_on_a_loop_it_is_one_request():
    source, early, late, after = Source(), Log(), Log(), Log()
    memoized = source.stream.pipe(ops.memoize())
    memoized.subscribe(*early.callbacks)
    run = await source.open()
    await run.send(1, 2)
    memoized.subscribe(*late.callbacks)
    assert late.items == [1, 2]
    await run.send(3, END)
    memoized.subscribe(*after.callbacks)
    assert early.items == late.items == after.items == [1, 2, 3]
    assert early.ends == late.ends == after.ends == ["completed"]
    assert len(source.runs) == 1


async def test_the_request_is_cancelled_when_the_last_leaves():
    source = Source()
    memoized = source.stream.pipe(ops.memoize())
    one, two = memoized.subscribe(), memoized.subscribe()
    run = await source.open()
    one.dispose()
    await spin()
    assert not run.closed.is_set()
    two.dispose()
    await spin()
    assert run.closed.is_set()
    assert len(source.runs) == 1


async def test_a_dispose_inside_on_next_stops_the_replay():
    memoized: Stream[int] = from_observable(rx.create(_numbers(5))).pipe(ops.memoize())
    assert await memoized == 4
    source, seen = Source(), list[Any]()
    memoized = source.stream.pipe(ops.memoize())
    keeper = memoized.subscribe()
    await (await source.open()).send(*range(5))
    subscription = SerialDisposable()

    def on_next(item: int) -> None:
        seen.append(item)
        if item == 6:
            subscription.dispose()

    subscription.disposable = memoized.subscribe(on_next)
    await source.runs[0].send(5, 6, 7)
    assert seen == [*range(7)]
    assert await memoized.pipe(ops.take(2), ops.to_list()) == [0, 1]
    keeper.dispose()


def _numbers(total: int) -> Any:
    def subscribe(observer: Any, scheduler: Any = None) -> Any:
        for number in range(total):
            observer.on_next(number)
        observer.on_completed()
        return Disposable()

    return subscribe


async def test_who_is_disposed_of_while_it_waits_for_room_hears_nothing_more():
    counter = Counter(100)
    memoized = counter.stream.pipe(ops.memoize())
    assert await memoized == 99
    scheduler, log = LoopScheduler(asyncio.get_running_loop()), Log()
    scheduler.gate.close()
    subscription = memoized.subscribe(*log.callbacks, scheduler=scheduler)
    subscription.dispose()
    scheduler.gate.open()
    await spin()
    assert (log.items, log.ends) == ([], [])
    assert scheduler.gate._listeners == ()


@pytest.mark.parametrize("when", ["during", "after"])
async def test_a_late_subscriber_with_a_small_buffer_reads_at_its_own_pace(when: str):
    counter = Counter(2_000)
    memoized = counter.stream.pipe(ops.memoize())
    early = asyncio.ensure_future(memoized.pipe(ops.to_list()).wait())
    await until(lambda: counter.produced >= 1_000)
    if when == "after":
        await early
    seen: list[int] = []
    async for item in iterate(memoized, buffer_size=3):
        seen.append(item)
        if not item % 100:
            await spin(1)
    assert seen == await early == [*range(2_000)]


async def test_what_is_replayed_fills_no_buffer_beyond_its_size():
    memoized = Counter(1_000).stream.pipe(ops.memoize())
    assert await memoized == 999
    read: list[int] = []
    items = iterate(memoized.do_action(read.append), buffer_size=8)
    assert await anext(items) == 0
    await spin()
    assert read == [*range(8)]
    await items.aclose()


async def test_the_source_pauses_while_any_present_subscriber_is_full():
    counter = Counter(10**9)
    memoized = counter.stream.pipe(ops.memoize())
    quick = memoized.subscribe()
    await until(lambda: counter.produced >= 10)
    slow = iterate(memoized, buffer_size=4)
    assert await anext(slow) == 0
    await spin()
    paused_at = counter.produced
    await spin()
    assert counter.produced == paused_at
    await slow.aclose()
    await until(lambda: counter.produced > paused_at + 1_000)
    quick.dispose()
    await spin()


async def test_the_end_comes_after_all_that_a_full_subscriber_has_still_to_read():
    for end in ("completed", ValueError("broken")):
        source, scheduler, log = Source(), LoopScheduler(asyncio.get_running_loop()), Log()
        memoized = source.stream.pipe(ops.memoize())
        keeper = memoized.subscribe(on_error=lambda _: None)
        run = await source.open()
        await run.send(1, 2)
        scheduler.gate.close()
        memoized.subscribe(*log.callbacks, scheduler=scheduler)
        run.push(END if end == "completed" else end)
        await until(run.closed.is_set)
        await spin()
        assert (log.items, log.ends) == ([], [])
        scheduler.gate.open()
        assert (log.items, log.ends) == ([1, 2], [end])
        keeper.dispose()


def test_subscribers_on_different_threads_and_loops_all_get_everything():
    counter, first = Counter(20_000), Log()
    memoized = counter.stream.pipe(ops.memoize())
    keeper = memoized.subscribe(*first.callbacks)  # on the background loop
    results: list[list[int]] = [[] for _ in range(6)]

    async def pull(number: int) -> None:
        async for item in iterate(memoized.do_action(), buffer_size=16):
            results[number].append(item)

    def block(number: int) -> None:
        results[number].extend(memoized.blocking(buffer_size=16))

    threads = [
        *(threading.Thread(target=lambda n=n: asyncio.run(pull(n))) for n in range(3)),
        *(threading.Thread(target=block, args=(n,)) for n in range(3, 6)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * PATIENCE)
    assert first.ended.wait(PATIENCE)
    assert [len(result) for result in results] == [20_000] * 6
    assert all(result == first.items for result in results)
    keeper.dispose()


def test_what_had_come_before_is_handed_on_by_the_loop_of_who_comes_late():
    source, where = Source(), list[str]()
    memoized = source.stream.pipe(ops.memoize())
    keeper = memoized.subscribe()  # on the background loop
    run = source.opened()
    run.push(1, 2).result(PATIENCE)

    async def main() -> list[int]:
        seen: list[int] = []
        memoized.subscribe(lambda item: (seen.append(item), where.append(threading.current_thread().name)))
        return seen

    assert asyncio.run(main()) == [1, 2]
    assert where == [threading.current_thread().name] * 2
    run.push(END).result(PATIENCE)
    keeper.dispose()
    heard, log = queue.SimpleQueue[str](), Log()
    memoized.subscribe(lambda item: heard.put(threading.current_thread().name), *log.callbacks[1:])
    assert log.ended.wait(PATIENCE)
    assert [heard.get(), heard.get()] == ["rxfal-loop"] * 2


def test_when_the_loop_of_the_request_ends_the_others_are_told_and_the_next_starts_anew():
    source, elsewhere = Source(), Log()
    memoized = source.stream.pipe(ops.memoize())

    async def main() -> None:
        memoized.subscribe()
        await (await source.open()).send(1)
        ready = threading.Event()
        thread = threading.Thread(target=lambda: (memoized.subscribe(*elsewhere.callbacks), ready.set()))
        thread.start()
        await until(lambda: elsewhere.items)
        thread.join()

    asyncio.run(main())
    assert elsewhere.ended.wait(PATIENCE)
    assert elsewhere.items == [1]
    assert [type(end) for end in elsewhere.ends] == [TransportError]
    again = Log()
    subscription = memoized.subscribe(*again.callbacks)
    source.opened(2).push(7, END)
    assert again.ended.wait(PATIENCE)
    assert again.items == [7]
    subscription.dispose()


def test_a_request_whose_loop_was_closed_under_it_is_forgotten():
    source, lost = Source(), Log()
    memoized = source.stream.pipe(ops.memoize())

    async def begin() -> None:
        memoized.subscribe()
        await (await source.open()).send(1)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    memoized.subscribe(*lost.callbacks)  # on the background loop
    source.runs[0].task._log_destroy_pending = False  # pyright: ignore[reportAttributeAccessIssue]
    loop.close()
    found = Log()
    subscription = memoized.subscribe(*found.callbacks)
    source.opened(2).push(7, END)
    assert found.ended.wait(PATIENCE)
    assert found.items == [7]
    assert [type(end) for end in lost.ends] == [TransportError]
    subscription.dispose()


def test_a_whole_answer_outlives_the_loop_that_it_came_on():
    counter = Counter(3)
    memoized = counter.stream.pipe(ops.memoize())

    async def main() -> list[int]:
        return [item async for item in memoized]

    assert asyncio.run(main()) == [0, 1, 2]
    assert asyncio.run(main()) == [0, 1, 2]
    assert list(memoized) == [0, 1, 2]
    counter.total = 0  # for whoever would ask again
    assert memoized.count().run() == 3


def test_items_from_another_thread_and_those_read_at_home_come_one_at_a_time_and_in_order():
    subject, lists = Subject[int](), list[list[int]]()
    memoized = from_observable(subject).pipe(ops.memoize())
    keeper = memoized.subscribe()
    feeding = threading.Thread(target=lambda: ([subject.on_next(n) for n in range(20_000)], subject.on_completed()))
    feeding.start()
    while feeding.is_alive() and len(lists) < 20:
        lists.append(list(memoized.blocking(buffer_size=5)))
    feeding.join()
    assert all(items == [*range(20_000)] for items in lists)
    assert len(lists) >= 1
    keeper.dispose()


async def test_an_item_that_on_next_causes_comes_once():
    subject, seen = Subject[int](), list[int]()
    memoized = from_observable(subject).pipe(ops.memoize())

    def on_next(item: int) -> None:
        seen.append(item)
        if item < 3:
            subject.on_next(item + 1)

    memoized.subscribe(on_next)
    subject.on_next(1)
    assert seen == [1, 2, 3]


async def test_it_may_be_memoized_shared_and_piped():
    counter = Counter(100)
    memoized = counter.stream.pipe(ops.memoize(), ops.map(lambda n: n * 2), ops.memoize(), ops.share())
    assert await memoized.pipe(ops.count()) == 100
    assert await memoized.pipe(ops.count()) == 0  # what `share` says after the end
    log = Log()
    rx.of(1, 2).pipe(ops.memoize()).subscribe(*log.callbacks)
    assert (log.items, log.ends) == ([1, 2], ["completed"])


def test_a_ttl_is_a_number_of_seconds():
    with pytest.raises(ValueError, match="ttl is 0 or more, not -1"):
        ops.memoize(-1)
    with pytest.raises(TypeError, match="ttl is a number, not '1'"):
        ops.memoize("1")  # pyright: ignore[reportArgumentType]
