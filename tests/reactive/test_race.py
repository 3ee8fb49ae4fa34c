"""`race` and `hedge`: the first to say something wins, the others are cancelled; and the errors of `merge` as items."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import reactivex as rx
from hypothesis import assume, given
from hypothesis import strategies as st
from reactivex import Observable
from reactivex.disposable import Disposable
from reactivex.scheduler import VirtualTimeScheduler
from reactivex.subject import Subject
from reactivex.testing import TestScheduler

from rxfal import operators as ops
from rxfal.reactive.iterate import iterate
from rxfal.reactive.merge import Tagged, merge
from rxfal.reactive.race import hedge, race
from rxfal.reactive.scheduler import LoopScheduler
from rxfal.reactive.stream import Stream, create, from_observable
from tests.reactive.sources import END, PATIENCE, Counter, Log, Source, forever, spin, until
from tests.reactive.virtual_time import Source as Timeline
from tests.reactive.virtual_time import cold, on_completed, on_error, on_next, play, sources


def raced(*timelines: Timeline, **options: Any) -> Any:
    return play(lambda ops, s, *streams: race(*streams), *timelines, **options)


QUICK = cold(on_next(10, "quick"), on_next(30, "more"), on_completed(40))
SLOW = cold(on_next(20, "slow"), on_completed(25))


def test_the_first_to_say_something_wins_and_the_others_are_disposed_then():
    seen = raced(SLOW, QUICK, cold())
    assert seen.messages == [(210, "next", "quick"), (230, "next", "more"), (240, "completed", None)]
    assert seen.subscriptions == [[(200, 210)], [(200, 240)], [(200, 210)]]


def test_of_two_that_speak_at_one_time_the_first_is_heard():
    assert raced(cold(on_next(10, "a")), cold(on_next(10, "b")), disposed=300).items == [(210, "a")]


def test_one_that_fails_or_ends_before_it_said_anything_is_out():
    seen = raced(cold(on_error(5, "broken")), cold(on_completed(6)), SLOW)
    assert seen.messages == [(220, "next", "slow"), (225, "completed", None)]


def test_if_none_said_anything_it_ends_with_the_last_error():
    failing = [cold(on_error(7, "first")), cold(on_completed(20)), cold(on_error(12, "last")), cold(on_completed(15))]
    assert raced(*failing).messages == [(220, "error", "last")]
    assert raced(cold(on_completed(7)), cold(on_completed(20))).messages == [(220, "completed", None)]


def test_an_error_of_the_winner_is_the_end():
    seen = raced(cold(on_next(10, "a"), on_error(15, "broken")), SLOW)
    assert seen.messages == [(210, "next", "a"), (215, "error", "broken")]


def test_disposed_all_are():
    assert raced(cold(), SLOW, disposed=205).subscriptions == [[(200, 205)], [(200, 205)]]


@given(st.lists(sources(), min_size=1, max_size=4))
def test_whoever_says_what_when(timelines: list[Timeline]):
    alone = [play(lambda ops, s, x: x, timeline) for timeline in timelines]
    seen = raced(*timelines)
    speaking = [index for index, one in enumerate(alone) if one.items]
    if speaking:
        winner = min(speaking, key=lambda index: alone[index].items[0][0])
        began = alone[winner].items[0][0]
        assume(sum(one.items[:1] != [] and one.items[0][0] == began for one in alone) == 1)
        assert seen.messages == alone[winner].messages
        for index, (used,) in enumerate(seen.subscriptions):
            if index != winner:
                assert used[1] == min(began, alone[index].end[0] if alone[index].end else began)
    elif all(one.end for one in alone):
        ends: list[Any] = [one.end for one in alone]
        at = max(time for time, _, _ in ends)
        kind = "error" if any(end[1] == "error" for end in ends) else "completed"
        assert [message[:2] for message in seen.messages] == [(at, kind)]
    else:
        assert seen.messages == []


def test_the_losers_are_disposed_before_the_item_is_handed_on():
    order: list[str] = []

    def loser(observer: Any, scheduler: Any = None) -> Any:
        return Disposable(lambda: order.append("disposed"))

    winner = Subject[int]()
    race(rx.create(loser), winner, rx.create(loser)).subscribe(lambda _: order.append("item"))
    winner.on_next(1)
    assert order == ["disposed", "disposed", "item"]


def test_who_speaks_at_once_is_the_only_one_that_is_asked():
    asked: list[str] = []
    silent = rx.defer(lambda _: asked.append("asked") or rx.never())
    log = Log()
    race(rx.create(_speak), silent).subscribe(*log.callbacks)
    assert (log.items, log.ends, asked) == ([1, 2], ["completed"], [])


def _speak(observer: Any, scheduler: Any = None) -> Any:
    observer.on_next(1)
    observer.on_next(2)
    observer.on_completed()
    return Disposable()


# With tags.


@pytest.mark.parametrize("how", ["keywords", "mapping", "mapping and keywords"])
def test_tagged_items_say_who_won(how: str):
    slow, quick = rx.timer(0.2), from_observable(rx.of(7))
    tagged: Stream[Tagged[int]] = {
        "keywords": lambda: race(slow=slow, quick=quick),
        "mapping": lambda: race({"slow": slow, "quick": quick}),
        "mapping and keywords": lambda: race({"slow": slow}, quick=quick),
    }[how]()
    assert list(tagged) == [("quick", 7)]
    (won,) = tagged
    assert (won.tag, won.value, won.error) == ("quick", 7, None)


def test_a_race_is_named_after_its_streams():
    assert repr(race(create(forever, name="a"), rx.never())) == "<Stream race(a, observable)>"
    assert repr(race({1: rx.never()}, b=rx.never())) == "<Stream race(1, b)>"
    assert repr(hedge(create(forever, name="a"), after=1)) == "<Stream hedge(a)>"
    assert repr(hedge(rx.never(), after=1)) == "<Stream hedge(observable)>"


@pytest.mark.parametrize("empty", [race, lambda: race({})], ids=["nothing", "an empty mapping"])
def test_a_race_of_nobody_completes(empty: Callable[[], Stream[Any]]):
    assert list(empty()) == []


def test_a_wrong_argument_is_an_error_at_the_call():
    with pytest.raises(TypeError, match="race takes Observables, not int"):
        race(rx.never(), 5)  # pyright: ignore[reportCallIssue, reportArgumentType]
    with pytest.raises(TypeError, match="race takes plain streams or tagged ones, not both"):
        race(rx.never(), b=rx.never())  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError, match="hedge takes an Observable, not int"):
        hedge(5, after=1)  # pyright: ignore[reportArgumentType]
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="after is a finite time above 0"):
            hedge(rx.never(), after=wrong)
    with pytest.raises(TypeError, match="after is in seconds"):
        hedge(rx.never(), after="1")  # pyright: ignore[reportArgumentType]


# On loops and threads.


async def test_the_readers_of_those_who_lost_are_cancelled():
    one, two = Source(), Source()
    log = Log()
    subscription = race(one=one.stream, two=two.stream).subscribe(*log.callbacks)
    lost, won = await one.open(), await two.open()
    await won.send(1)
    await spin(2)
    assert (lost.closed.is_set(), won.closed.is_set()) == (True, False)
    await won.send(2, END)
    assert (log.items, log.ends) == ([("two", 1), ("two", 2)], ["completed"])
    subscription.dispose()


async def test_a_dispose_inside_on_next_ends_the_winner_too():
    one, two = Source(), Source()
    waiting = asyncio.ensure_future(race(one.stream, two.stream).pipe(ops.take(1)).wait())
    lost, won = await one.open(), await two.open()
    await won.send(1, 2)
    await spin()
    assert await waiting == 1
    assert (lost.closed.is_set(), won.closed.is_set()) == (True, True)


async def test_a_race_pauses_for_a_slow_consumer():
    counter = Counter(10**9)
    items = iterate(race(counter.stream, create(forever, name="silent")), buffer_size=4)
    assert await anext(items) == 0
    await spin()
    assert counter.produced <= 5
    assert [await anext(items) for _ in range(100)] == [*range(1, 101)]
    await items.aclose()


def test_of_many_threads_that_speak_at_once_one_is_heard():
    for _ in range(50):
        subjects = [Subject[int]() for _ in range(4)]
        log, barrier = Log(), threading.Barrier(4)
        race(dict(enumerate(subjects))).subscribe(*log.callbacks)

        def speak(subject: Subject[int], barrier: threading.Barrier = barrier) -> None:
            barrier.wait(PATIENCE)
            for number in range(20):
                subject.on_next(number)

        threads = [threading.Thread(target=speak, args=(subject,)) for subject in subjects]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert len({item.tag for item in log.items}) == 1
        assert [item.value for item in log.items] == [*range(20)]


def test_sources_on_several_loops_race_too():
    counter, here = Counter(10), Counter(10)

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        behind = rx.create(lambda observer, scheduler=None: elsewhere(observer))
        return await race(here.stream.pipe(ops.filter(lambda _: False)), behind).pipe(ops.on_loop(loop), ops.to_list())

    def elsewhere(observer: Any) -> Any:
        threading.Thread(target=lambda: counter.stream.subscribe(observer)).start()
        return Disposable()

    assert asyncio.run(main()) == [*range(10)]


async def test_a_race_of_plain_observables_in_a_plain_chain():
    log = Log()
    rx.merge(race(rx.never(), rx.of(1)), rx.of(2)).subscribe(*log.callbacks)
    await until(lambda: log.ends)
    assert sorted(log.items) == [1, 2]


# hedge


class Attempts:
    """A cold stream, with a timeline for each subscription, in virtual time."""

    def __init__(self, *timelines: Timeline, after: float = 50) -> None:
        self.scheduler = TestScheduler()
        self.made: list[Any] = [timeline.make(self.scheduler) for timeline in timelines]
        left = iter(self.made)
        self.hedged = hedge(rx.defer(lambda _: next(left)), after=after)

    def play(self, disposed: float = 1000) -> list[Any]:
        observer = self.scheduler.start(lambda: self.hedged, disposed=disposed)
        return [(each.time, str(each.value)) for each in observer.messages]

    @property
    def used(self) -> list[list[tuple[float, float]]]:
        return [[(each.subscribe, each.unsubscribe) for each in source.subscriptions] for source in self.made]


def test_a_stream_that_speaks_in_time_is_asked_once():
    attempts = Attempts(cold(on_next(49, "a"), on_completed(100)), cold())
    assert attempts.play() == [(249, "OnNext(a)"), (300, "OnCompleted()")]
    assert attempts.used == [[(200, 300)], []]


def test_one_that_does_not_is_asked_again_and_the_first_to_speak_wins():
    attempts = Attempts(cold(on_next(80, "late"), on_completed(90)), cold(on_next(20, "second"), on_completed(30)))
    assert attempts.play() == [(270, "OnNext(second)"), (280, "OnCompleted()")]
    assert attempts.used == [[(200, 270)], [(250, 280)]]
    attempts = Attempts(cold(on_next(60, "first"), on_completed(90)), cold(on_next(20, "second")))
    assert attempts.play() == [(260, "OnNext(first)"), (290, "OnCompleted()")]
    assert attempts.used == [[(200, 290)], [(250, 260)]]


@pytest.mark.parametrize("end", [on_error(10, "broken"), on_completed(10)], ids=["fails", "ends empty"])
def test_one_that_is_out_before_is_asked_again_at_once_and_never_a_third_time(end: Any):
    attempts = Attempts(cold(end), cold(on_next(60, "second"), on_completed(70)), cold(on_next(1, "third")))
    assert attempts.play() == [(270, "OnNext(second)"), (280, "OnCompleted()")]
    assert attempts.used == [[(200, 210)], [(210, 280)], []]


def test_the_last_error_of_both_is_the_end_once():
    attempts = Attempts(cold(on_error(10, "first")), cold(on_error(5, "second")))
    assert attempts.play() == [(215, "OnError(second)")]
    attempts = Attempts(cold(on_error(100, "first")), cold(on_error(5, "second")))
    assert attempts.play() == [(300, "OnError(first)")]
    attempts = Attempts(cold(on_error(10, "first")), cold(on_completed(5)))
    assert attempts.play() == [(215, "OnError(first)")]
    errors, ends = iter(["first", "second"]), list[str]()
    failing = hedge(
        Observable(lambda observer, _: observer.on_error(ValueError(next(errors))) or Disposable()), after=1
    )
    failing._subscribe_core(_Raw(ends), TestScheduler())  # pyright: ignore[reportPrivateUsage]
    assert ends == ["second"]


class _Raw(rx.abc.ObserverBase[Any]):
    """An observer that does not keep the grammar for others."""

    def __init__(self, ends: list[str]) -> None:
        self._ends = ends

    def on_next(self, value: Any) -> None: ...

    def on_error(self, error: Exception) -> None:
        self._ends.append(str(error))

    def on_completed(self) -> None:
        self._ends.append("completed")


def test_disposed_before_the_second_is_asked_it_never_is():
    attempts = Attempts(cold(), cold())
    assert attempts.play(disposed=240) == []
    assert attempts.used == [[(200, 240)], []]


async def test_on_a_loop_the_one_that_lost_is_cancelled_and_no_timer_is_left(clock: list[float]):
    source, log = Source(), Log()
    loop: Any = asyncio.get_running_loop()
    before = {timer for timer in loop._scheduled if not timer.cancelled()}
    subscription = hedge(source.stream, after=10).subscribe(*log.callbacks)
    first = await source.open()
    clock[0] += 9.9
    await spin()
    assert len(source.runs) == 1
    clock[0] += 0.2
    second = await source.open(2)
    await second.send(1)
    await spin(2)
    assert (first.closed.is_set(), second.closed.is_set()) == (True, False)
    assert {timer for timer in loop._scheduled if not timer.cancelled()} <= before
    subscription.dispose()
    await spin()
    assert second.closed.is_set()


async def test_when_the_first_speaks_no_timer_is_left():
    source = Source()
    loop: Any = asyncio.get_running_loop()
    before = {timer for timer in loop._scheduled if not timer.cancelled()}
    subscription = hedge(source.stream, after=600).subscribe()
    await (await source.open()).send(1)
    assert {timer for timer in loop._scheduled if not timer.cancelled()} <= before
    subscription.dispose()
    await spin()


async def test_a_busy_program_pays_for_no_second_request(clock: list[float]):
    source, log = Source(), Log()
    subscription = hedge(source.stream, after=10).subscribe(*log.callbacks)
    (await source.open()).push(1)
    clock[0] += 15  # before the loop had a turn
    await spin()
    assert (log.items, len(source.runs)) == ([1], 1)
    subscription.dispose()
    await spin()


async def test_a_full_consumer_is_no_silence(clock: list[float]):
    source, scheduler = Source(), LoopScheduler(asyncio.get_running_loop())
    subscription = hedge(source.stream, after=10).subscribe(scheduler=scheduler)
    scheduler.gate.close()
    clock[0] += 500
    await spin()
    scheduler.gate.open()
    clock[0] += 9.9
    await spin()
    assert len(source.runs) == 1
    clock[0] += 0.2
    await source.open(2)
    subscription.dispose()
    await spin()


class Held(VirtualTimeScheduler):
    """Keeps what is to be run, for the test to run it on a thread."""

    seconds = 0

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def schedule_relative(self, duetime: Any, action: Any, state: Any = None) -> Any:
        self.action = action
        return Disposable()


def test_a_failure_and_the_end_of_the_wait_at_one_time_are_one_second_request():
    for _ in range(100):
        asked: list[Any] = []

        def subscribe(observer: Any, scheduler: Any = None, asked: list[Any] = asked) -> Any:
            asked.append(observer)
            return Disposable()

        scheduler = Held()
        subscription = hedge(rx.create(subscribe), after=1).subscribe(on_error=print, scheduler=scheduler)
        scheduler.seconds = 5
        barrier = threading.Barrier(2)

        def expire(scheduler: Any = scheduler, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(PATIENCE)
            scheduler.action(scheduler, None)

        thread = threading.Thread(target=expire)
        thread.start()
        barrier.wait(PATIENCE)
        asked[0].on_error(ValueError())
        thread.join(PATIENCE)
        assert len(asked) == 2
        subscription.dispose()


# merge(errors="items")


def merged(*timelines: Timeline, **options: Any) -> Any:
    return play(
        lambda ops, s, *streams: merge(dict(zip("abc", streams)), errors="items").pipe(
            ops.map(lambda item: (item.tag, str(item.value), type(item.error).__name__))
        ),
        *timelines,
        **options,
    )


def test_a_source_that_fails_is_an_item_and_the_others_go_on():
    seen = merged(cold(on_next(10, "1"), on_error(20, "broken")), cold(on_next(30, "2"), on_completed(40)), cold())
    assert seen.items == [
        (210, ("a", "1", "NoneType")),
        (220, ("a", "broken", "Exception")),
        (230, ("b", "2", "NoneType")),
    ]
    assert seen.end is None
    assert [used[0][1] for used in seen.subscriptions] == [220, 240, 1000]


def test_it_completes_with_the_last_be_that_a_failure():
    assert merged(cold(on_completed(10)), cold(on_error(20, "broken"))).messages[-2:] == [
        (220, "next", ("b", "broken", "Exception")),
        (220, "completed", None),
    ]
    assert merged(cold(on_error(10, "broken")), cold(on_completed(20))).end == (220, "completed", None)


def test_a_tagged_item_stays_a_pair():
    error = ValueError("broken")
    for tag, value in merge(a=rx.throw(error), errors="items"):
        assert (tag, value) == ("a", error)
    ((failed, right),) = [merge({"a": rx.throw(error), 2: rx.of("x")}, errors="items").to_list().run()]
    assert (failed.error, right.error) == (error, None)
    assert failed == Tagged("a", error) == ("a", error)


def test_a_value_that_is_an_exception_is_the_error_of_its_item():
    error = ValueError()
    (item,) = merge(a=rx.of(error))
    assert item.error is error


def test_errors_as_items_need_tags_and_a_word_that_is_known():
    with pytest.raises(TypeError, match="errors='items' needs tags"):
        merge(rx.never(), errors="items")  # pyright: ignore[reportCallIssue]
    with pytest.raises(ValueError, match="errors is 'end' or 'items', not 'item'; to tag"):
        merge(a=rx.never(), errors="item")  # pyright: ignore[reportCallIssue, reportArgumentType]
    with pytest.raises(ValueError, match="to tag a stream 'errors', use a mapping"):
        merge(errors=rx.never())  # pyright: ignore[reportCallIssue, reportArgumentType]
    assert list(merge({"errors": rx.of(1)})) == [("errors", 1)]
    assert list(race(errors=rx.of(1))) == [("errors", 1)]


async def test_what_fails_behind_it_is_no_item_of_a_source():
    def raising(upstream: Observable[Any]) -> Observable[Any]:
        def subscribe(observer: Any, scheduler: Any = None) -> Any:
            return upstream.subscribe(lambda _: 1 / 0, observer.on_error, observer.on_completed, scheduler=scheduler)

        return Observable(subscribe)

    source = Source()
    log = Log()
    merge(a=source.stream, errors="items").pipe(raising).subscribe(*log.callbacks)
    await (await source.open()).send(1, END)
    assert (log.items, [type(end) for end in log.ends]) == ([], [ZeroDivisionError])


async def test_the_readers_of_those_that_go_on_are_left_alone():
    one, two, log = Source(), Source(), Log()
    merge(one=one.stream, two=two.stream, errors="items").subscribe(*log.callbacks)
    failing, other = await one.open(), await two.open()
    await failing.send(1, error := ValueError())
    await other.send(2, END)
    assert (log.items, log.ends) == ([("one", 1), ("one", error), ("two", 2)], ["completed"])
