"""`on_loop`: items cross from any thread or loop to another loop, in order, none lost, none piling up without bound."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex.disposable import Disposable
from reactivex.subject import Subject

from rxfal import operators as ops
from rxfal.reactive.scheduler import LoopScheduler
from rxfal.reactive.stream import create, from_observable
from tests.reactive.elsewhere import Elsewhere
from tests.reactive.sources import END, PATIENCE, Counter, Log, Source, spin, until


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    there = Elsewhere()
    yield there
    there.close()


class Where(Log):
    """A log that also notes the thread of every call."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[threading.Thread] = set()

    @property
    def callbacks(self) -> tuple[Any, Any, Any]:
        def noted(callback: Callable[..., None]) -> Callable[..., None]:
            return lambda *args: (self.threads.add(threading.current_thread()), callback(*args))[1]

        on_next, on_error, on_completed = super().callbacks
        return noted(on_next), noted(on_error), noted(on_completed)


def in_a_thread(feed: Callable[[Any], None]) -> Observable[Any]:
    """A source that is fed by a thread of its own, which the subscription's disposal waits for."""

    def subscribe(observer: Any, scheduler: Any = None) -> Any:
        threading.Thread(target=feed, args=(observer,)).start()
        return Disposable()

    return Observable(subscribe)


async def test_from_another_thread_everything_is_called_on_the_loop():
    def feed(observer: Any) -> None:
        observer.on_next(1)
        observer.on_next(2)
        observer.on_completed()

    log = Where()
    in_a_thread(feed).pipe(ops.on_loop(asyncio.get_running_loop())).subscribe(*log.callbacks)
    await until(lambda: log.ends)
    assert (log.items, log.ends) == ([1, 2], ["completed"])
    assert log.threads == {threading.current_thread()}


async def test_an_error_comes_after_the_items_before_it():
    error = ValueError("broken")

    def feed(observer: Any) -> None:
        for number in range(100):
            observer.on_next(number)
        observer.on_error(error)

    log = Where()
    in_a_thread(feed).pipe(ops.on_loop(asyncio.get_running_loop())).subscribe(*log.callbacks)
    await until(lambda: log.ends)
    assert (log.items, log.ends) == ([*range(100)], [error])
    assert log.threads == {threading.current_thread()}


def test_from_one_loop_to_another(elsewhere: Elsewhere):
    here, log = Elsewhere(), Where()
    source = Source()
    here.call(lambda: source.stream.pipe(ops.on_loop(elsewhere.loop)).subscribe(*log.callbacks))
    run = source.opened()
    run.push(1, 2, 3).result(PATIENCE)
    run.push(END)
    assert log.ended.wait(PATIENCE)
    assert run.thread is here.thread
    assert (log.items, log.ends) == ([1, 2, 3], ["completed"])
    assert log.threads == {elsewhere.thread}
    here.close()


def test_there_and_back_again(elsewhere: Elsewhere):
    here, log = Elsewhere(), Where()
    between: set[threading.Thread] = set()
    stream = Counter(1_000).stream.pipe(
        ops.on_loop(elsewhere.loop),
        ops.do_action(lambda _: between.add(threading.current_thread())),
        ops.on_loop(here.loop),
    )
    here.call(lambda: stream.subscribe(*log.callbacks))
    assert log.ended.wait(PATIENCE)
    assert log.items == [*range(1_000)]
    assert (between, log.threads) == ({elsewhere.thread}, {here.thread})
    here.close()


async def test_on_the_loop_itself_items_pass_at_once():
    subject: Subject[int] = Subject()
    log = Log()
    subject.pipe(ops.on_loop(asyncio.get_running_loop())).subscribe(*log.callbacks)
    subject.on_next(1)
    assert log.items == [1]


async def test_an_item_of_the_loop_itself_does_not_overtake_those_that_wait():
    subject: Subject[int] = Subject()
    log = Log()
    subject.pipe(ops.on_loop(asyncio.get_running_loop())).subscribe(*log.callbacks)
    thread = threading.Thread(target=subject.on_next, args=(1,))
    thread.start()
    thread.join()
    subject.on_next(2)
    subject.on_completed()
    await until(lambda: log.ends)
    assert log.items == [1, 2]


async def test_an_item_that_on_next_causes_comes_after_it():
    subject: Subject[int] = Subject()
    entered: list[int] = []

    def on_next(value: int) -> None:
        entered.append(value)
        if value == 1:
            subject.on_next(2)

    subject.pipe(ops.on_loop(asyncio.get_running_loop())).subscribe(on_next)
    await asyncio.to_thread(subject.on_next, 1)
    await until(lambda: len(entered) == 2)
    assert entered == [1, 2]


async def test_twenty_thousand_items_from_a_thread_in_order():
    def feed(observer: Any) -> None:
        for number in range(20_000):
            observer.on_next(number)
        observer.on_completed()

    log = Log()
    from_observable(in_a_thread(feed)).pipe(ops.on_loop(asyncio.get_running_loop())).subscribe(*log.callbacks)
    await until(lambda: log.ends)
    assert log.items == [*range(20_000)]


def test_twenty_thousand_items_from_loop_to_loop_with_a_small_buffer(elsewhere: Elsewhere):
    here, log = Elsewhere(), Log()
    stream = Counter(20_000).stream.pipe(ops.on_loop(elsewhere.loop, buffer_size=3))
    here.call(lambda: stream.subscribe(*log.callbacks))
    assert log.ended.wait(PATIENCE)
    assert log.items == [*range(20_000)]
    here.close()


def test_while_the_loop_is_busy_the_source_pauses_and_then_goes_on(elsewhere: Elsewhere):
    here, log = Elsewhere(), Log()
    counter = Counter(10_000)
    release = elsewhere.hold()
    here.call(lambda: counter.stream.pipe(ops.on_loop(elsewhere.loop, buffer_size=10)).subscribe(*log.callbacks))
    for _ in range(20):
        here.call(lambda: None)  # so many turns of the source's loop
    assert counter.produced == 10
    assert log.items == []
    release()
    assert log.ended.wait(PATIENCE)
    assert log.items == [*range(10_000)]
    here.close()


def test_the_source_goes_on_when_half_of_what_waited_is_delivered(elsewhere: Elsewhere):
    here, counter, seen = Elsewhere(), Counter(100), list[tuple[int, int]]()
    release = elsewhere.hold()

    def on_next(item: int) -> None:
        for _ in range(5):
            here.call(lambda: None)  # so many turns of the source's loop
        seen.append((item, counter.produced))

    stream = counter.stream.pipe(ops.on_loop(elsewhere.loop, buffer_size=10))
    here.call(lambda: stream.subscribe(on_next))
    while counter.produced < 10:
        here.call(lambda: None)
    release()
    while len(seen) < 100:
        elsewhere.call(lambda: None)
    assert [item for item, _ in seen] == [*range(100)]
    assert seen[4] == (4, 10), "six were still waiting when it was called"
    assert seen[5][1] > 10, "and five when this one was"
    here.close()


def test_disposed_while_it_is_full_it_holds_no_neighbour_back(elsewhere: Elsewhere):
    """The gate belongs to the whole subscription: a crossing that was disposed of may not keep it closed."""
    here, log = Elsewhere(), Log()
    counter = Counter(10_000)
    scheduler = LoopScheduler(here.loop)
    release = elsewhere.hold()
    crossing = here.call(
        lambda: counter.stream.pipe(ops.on_loop(elsewhere.loop, buffer_size=10)).subscribe(scheduler=scheduler)
    )
    for _ in range(20):
        here.call(lambda: None)
    assert scheduler.gate.closed
    crossing.dispose()
    assert not scheduler.gate.closed
    release()
    here.call(lambda: rx.of(1).subscribe(*log.callbacks, scheduler=scheduler))
    assert log.ended.wait(PATIENCE)
    here.close()


def test_disposed_nothing_more_arrives_though_items_wait(elsewhere: Elsewhere):
    subject: Subject[int] = Subject()
    log = Log()
    subscription = subject.pipe(ops.on_loop(elsewhere.loop)).subscribe(*log.callbacks)
    release = elsewhere.hold()
    for number in range(5):
        subject.on_next(number)
    subscription.dispose()
    release()
    elsewhere.call(lambda: None)
    assert log.items == []
    assert subject.observers == []


def test_disposed_inside_on_next_the_rest_does_not_arrive(elsewhere: Elsewhere):
    subject: Subject[int] = Subject()
    seen: list[int] = []
    subscription: Any = None

    def on_next(value: int) -> None:
        seen.append(value)
        if value == 2:
            subscription.dispose()

    release = elsewhere.hold()
    subscription = subject.pipe(ops.on_loop(elsewhere.loop)).subscribe(on_next)
    for number in range(5):
        subject.on_next(number)
    release()
    elsewhere.call(lambda: None)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("chain", [lambda s: s, lambda s: s.share()], ids=["bare", "behind share"])
def test_the_far_side_hears_that_the_sources_loop_has_ended(elsewhere: Elsewhere, chain: Any):
    source, log = Source("owner/alias"), Log()

    async def main() -> None:
        chain(source.stream).pipe(ops.on_loop(elsewhere.loop)).subscribe(*log.callbacks)
        await (await source.open()).send(1)

    asyncio.run(main())
    assert log.ended.wait(PATIENCE)
    assert log.items == [1]
    assert [str(end) for end in log.ends] == ["owner/alias: the event loop that it ran on has ended."]


def test_a_closed_loop_disposes_the_source(elsewhere: Elsewhere):
    here, source, log = Elsewhere(), Source(), Log()
    here.call(lambda: source.stream.pipe(ops.on_loop(elsewhere.loop)).subscribe(*log.callbacks))
    run = source.opened()
    elsewhere.close()
    run.push(1)
    assert run.closed.wait(PATIENCE)
    assert (log.items, log.ends) == ([], [])
    here.close()


def test_a_loop_that_is_closed_beforehand_disposes_a_source_that_speaks_at_once(elsewhere: Elsewhere):
    elsewhere.close()
    disposed = threading.Event()

    def subscribe(observer: Any, scheduler: Any = None) -> Any:
        observer.on_next(1)
        return Disposable(disposed.set)

    Observable(subscribe).pipe(ops.on_loop(elsewhere.loop)).subscribe()
    assert disposed.is_set()


async def test_a_source_that_never_pauses_leaves_the_loop_to_others():
    """A delivery takes what waits when it begins: what comes meanwhile waits for the loop's next turn."""
    subject: Subject[int] = Subject()
    seen: list[int] = []
    turns: list[int] = []

    def feed_more(value: int) -> None:
        seen.append(value)
        if value < 50:
            feeder = threading.Thread(target=subject.on_next, args=(value + 1,))
            feeder.start()
            feeder.join()

    subject.pipe(ops.on_loop(asyncio.get_running_loop())).subscribe(feed_more)
    await asyncio.to_thread(subject.on_next, 1)
    while len(seen) < 50:
        turns.append(len(seen))
        await asyncio.sleep(0)
    assert len(set(turns)) > 40


async def test_nothing_blocks_while_the_other_loop_is_held():
    there = Elsewhere()
    release = there.hold()
    log = Log()
    subject: Subject[int] = Subject()
    subscription = subject.pipe(ops.on_loop(there.loop, buffer_size=2)).subscribe(*log.callbacks)
    for number in range(1_000):  # a source without a gate: kept, never dropped
        subject.on_next(number)
    subject.on_completed()
    release()
    await asyncio.to_thread(log.ended.wait, PATIENCE)
    assert log.items == [*range(1_000)]
    subscription.dispose()
    there.close()


async def test_awaited_across_loops():
    there = Elsewhere()
    stream = create(_three, name="three").pipe(ops.on_loop(there.loop), ops.map(lambda n: n * 2), ops.to_list())
    assert await stream == [0, 2, 4]
    there.close()


async def _three(sink: Any) -> None:
    for number in range(3):
        sink.on_next(number)
        await spin(1)


async def test_what_is_no_loop_or_no_size_is_refused_at_the_call():
    with pytest.raises(TypeError, match="event loop, not None"):
        ops.on_loop(None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="at least 1, not 0"):
        ops.on_loop(asyncio.get_running_loop(), buffer_size=0)
