"""What a thread asks of another's loop: early enough that no one waits for it in vain, late enough to be whole."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex.disposable import Disposable
from reactivex.scheduler import CurrentThreadScheduler, ImmediateScheduler

from rxfal import operators as ops
from rxfal.reactive.background import background_loop
from rxfal.reactive.reader import Sink
from rxfal.reactive.scheduler import LoopScheduler
from rxfal.reactive.stream import Stream, create, from_observable
from tests.reactive.elsewhere import a_quick_loop, in_a_plain_thread
from tests.reactive.sources import END, PATIENCE, Log, Source


async def three(sink: Sink[int]) -> None:
    for number in range(3):
        sink.on_next(number)


numbers = create(three, name="three")


# Blocking inside what a plain script calls on the way.


def one(source: Callable[[Any], None]) -> Stream[Any]:
    """A stream of what a function hands on, on the thread that subscribes."""

    def subscribe(observer: Any, scheduler: Any = None) -> Disposable:
        source(observer)
        observer.on_completed()
        return Disposable()

    return from_observable(rx.create(subscribe))


def in_callback(name: str, pull: Callable[[], int]) -> int:
    seen: list[int] = []
    one(lambda observer: observer.on_next(0)).subscribe(**{name: lambda *_: seen.append(pull())})
    return seen[0]


PLACES: dict[str, Callable[[Callable[[], int]], int]] = {
    "a defer factory": lambda pull: from_observable(rx.defer(lambda _: rx.of(pull()))).run(),
    "a create function": lambda pull: one(lambda observer: observer.on_next(pull())).run(),
    "on_next": lambda pull: in_callback("on_next", pull),
    "on_completed": lambda pull: in_callback("on_completed", pull),
    "map": lambda pull: one(lambda observer: observer.on_next(0)).map(lambda _: pull()).run(),
    "map, iterated": lambda pull: next(one(lambda observer: observer.on_next(0)).map(lambda _: pull()).blocking()),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("pull", [numbers.run, lambda: list(numbers)[-1]], ids=["run", "for"])
def test_a_script_may_wait_for_a_stream_in(place: str, pull: Callable[[], int]):
    assert in_a_plain_thread(lambda: PLACES[place](pull)) == 2


def test_a_script_may_wait_for_the_end_of_a_subscription_inside_another():
    def subscribe(observer: Any, scheduler: Any = None) -> Disposable:
        log = Log()
        numbers.subscribe(*log.callbacks)
        observer.on_next(log.ended.wait(PATIENCE))
        observer.on_completed()
        return Disposable()

    assert in_a_plain_thread(from_observable(rx.create(subscribe)).run) is True


def test_who_is_about_to_wait_for_the_next_item_has_asked_for_all_it_wants_before():
    source = Source()

    def subscribe(observer: Any, scheduler: Any = None) -> Disposable:
        loop = LoopScheduler(background_loop().loop)
        for item in source.stream:
            observer.on_next(item)
            loop.schedule(lambda *_, item=item: source.runs[0].push(item + 1 if item < 3 else END))
        observer.on_completed()
        return Disposable()

    threading.Thread(target=lambda: source.opened().push(1)).start()
    assert in_a_plain_thread(lambda: list(from_observable(rx.create(subscribe)))) == [1, 2, 3]


# A producer that never returns.

STARTED: dict[str, Callable[[Stream[int]], Stream[Any]]] = {
    "a stream for each item": lambda s: s.flat_map(lambda _: numbers),
    "a plain timer for each item": lambda s: s.flat_map(lambda _: rx.timer(0.001)),
    "debounce": lambda s: s.debounce(0.001),
    "buffer by time": lambda s: s.buffer(seconds=0.005),
    "delay": lambda s: s.delay(0.001),
    "throttle_latest": lambda s: s.pipe(ops.skip(1), ops.throttle_latest(0.001), ops.skip(1)),
}


@pytest.mark.parametrize("name", STARTED)
def test_what_an_item_of_a_producer_that_never_returns_starts_begins_at_once(name: str):
    arrived = threading.Event()

    def produce(observer: Any, scheduler: Any = None) -> Disposable:
        for number in range(300):  # for ever, but for the test's sake
            observer.on_next(number)
            if arrived.wait(0.01):
                break
        produced.append(number)
        return Disposable()

    produced: list[int] = []
    stream = STARTED[name](from_observable(rx.create(produce)))
    in_a_plain_thread(lambda: stream.subscribe(lambda _: arrived.set())).dispose()
    assert produced[0] < 299


def test_a_timer_runs_beside_a_producer_that_says_nothing_and_does_not_return():
    over = threading.Event()

    def subscribe(observer: Any, scheduler: Any = None) -> Disposable:
        heard.append(over.wait(PATIENCE))
        return Disposable()

    heard: list[bool] = []
    stream = from_observable(rx.create(subscribe)).timeout(0.01)
    in_a_plain_thread(lambda: stream.subscribe(on_error=lambda _: over.set()))
    assert heard == [True]


# A loop that is quicker than the operator which asked it.


@pytest.fixture
def quick_background_loop() -> Iterator[None]:
    with a_quick_loop(background_loop().loop):
        yield


class Rounds:
    """A source that fails in its first three rounds and completes in the others, every other time on its own thread."""

    def __init__(self, fails: bool) -> None:
        self.rounds = 0
        self.fails = fails
        self.stream: Stream[int] = from_observable(rx.create(self._subscribe))

    def _subscribe(self, observer: Any, scheduler: Any = None) -> Disposable:
        self.rounds += 1
        if self.rounds % 2:
            threading.Thread(target=self._end, args=(observer, self.rounds)).start()
        else:
            self._end(observer, self.rounds)
        return Disposable()

    def _end(self, observer: Any, number: int) -> None:
        observer.on_next(number)
        if self.fails and number < 4:
            observer.on_error(ValueError(number))
        else:
            observer.on_completed()


ROUNDS: dict[str, tuple[bool, Callable[[Observable[int]], Observable[int]]]] = {
    "retry": (True, ops.retry(6)),
    "retry_backoff": (True, ops.retry_backoff(6, on=ValueError, wait_initial=0, wait_jitter=0, after_items=True)),
    "repeat": (False, ops.repeat(4)),
    "repeat over concat": (False, rx.compose(ops.concat(rx.empty()), ops.repeat(4))),
    "while_do": (False, ops.while_do(lambda _, left=iter([True] * 4): next(left, False))),
}


@pytest.mark.parametrize("name", ROUNDS)
@pytest.mark.usefixtures("quick_background_loop")
def test_no_round_is_lost_though_the_loop_begins_the_next_before_the_operator_has_kept_it(name: str):
    fails, again = ROUNDS[name]
    source = Rounds(fails)
    rounds = source.stream.pipe(again, ops.to_list())
    assert in_a_plain_thread(rounds.run) == [1, 2, 3, 4]
    assert source.rounds == 4


@pytest.mark.usefixtures("quick_background_loop")
def test_a_round_that_was_begun_elsewhere_can_be_disposed_of():
    source, log = Rounds(fails=True), Log()
    pause = ops.retry_backoff(6, on=ValueError, wait_initial=3600, wait_jitter=0, after_items=True)
    subscription = source.stream.pipe(pause).subscribe(*log.callbacks)
    while not log.items:
        threading.Event().wait(0.001)
    subscription.dispose()
    assert (source.rounds, log.items, log.ends) == (1, [1], [])


@pytest.mark.usefixtures("quick_background_loop")
def test_a_subscription_that_the_loop_ends_before_its_subscriber_goes_on_was_whole():
    disposed_on: list[str] = []

    def subscribe(observer: Any, scheduler: Any = None) -> Disposable:
        scheduler.schedule(lambda *_: observer.on_completed())
        return Disposable(lambda: disposed_on.append(threading.current_thread().name))

    log = Log()
    from_observable(rx.create(subscribe)).subscribe(*log.callbacks)
    assert log.ended.wait(PATIENCE)
    assert disposed_on == ["rxfal-loop"]  # by the end itself, which had what it was to dispose of


@pytest.mark.parametrize("scheduler", [CurrentThreadScheduler, ImmediateScheduler])
def test_retry_backoff_on_a_scheduler_that_acts_at_once_goes_through_all_its_rounds(scheduler: Any):
    tries = iter([rx.throw(ValueError(1)), rx.throw(ValueError(2)), rx.of("ok")])
    again = ops.retry_backoff(6, on=ValueError, wait_initial=0, wait_jitter=0, scheduler=scheduler())
    log = Log()
    in_a_plain_thread(lambda: from_observable(rx.defer(lambda _: next(tries))).pipe(again).subscribe(*log.callbacks))
    assert log.ended.wait(PATIENCE)
    assert (log.items, log.ends) == (["ok"], ["completed"])
