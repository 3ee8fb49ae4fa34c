"""`share`'s states: idle, connected (to a loop of this process, or to none), ended; and how they change."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import reactivex as rx
from reactivex.scheduler import NewThreadScheduler
from reactivex.subject import Subject

from rxfal import operators as ops
from rxfal.errors import TransportError
from rxfal.reactive.merge import merge
from rxfal.reactive.stream import Stream, from_observable
from tests.loops import LoopFactory
from tests.reactive.elsewhere import Elsewhere, in_a_plain_thread
from tests.reactive.sources import END, PATIENCE, Log, Source, spin, until

Share = Callable[[Stream[Any]], Stream[Any]]


def run(new_loop: LoopFactory, main: Any) -> Any:
    """As `asyncio.run` does, on a loop of this kind."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)


# Idle.


async def test_the_last_subscriber_to_leave_disposes_the_source_and_the_next_starts_it_anew():
    source, log = Source(), Log()
    shared = source.stream.share()
    one, two = shared.subscribe(), shared.subscribe()
    run = await source.open()
    one.dispose()
    await spin()
    assert not run.closed.is_set()
    two.dispose()
    await spin()
    assert run.closed.is_set()
    with shared.subscribe(*log.callbacks):
        await (await source.open(2)).send(5)
    await spin()
    assert log.items == [5]


# Ended.


@pytest.mark.parametrize(
    ("end", "outcome"), [(rx.empty(), "completed"), (rx.throw(ValueError("over")), "over")], ids=["end", "error"]
)
async def test_who_comes_after_the_end_gets_the_end(end: Any, outcome: str):
    subscriptions: list[int] = []
    shared = from_observable(rx.defer(lambda _: (subscriptions.append(1), end)[1])).share()
    for _ in range(3):
        log = Log()
        shared.subscribe(*log.callbacks)
        await until(lambda log=log: log.ends)
        assert [str(each) for each in log.ends] == [outcome]
    assert len(subscriptions) == 1


# Connected to a loop, which may end first.


@pytest.mark.parametrize("leave", ["open", "by break", "by dispose"])
def test_another_run_of_asyncio_starts_the_source_anew_however_the_first_left_it(leave: str, new_loop: LoopFactory):
    source = Source()
    shared = source.stream.share()

    async def main(number: int) -> Any:
        feeding = asyncio.ensure_future(source.open(number))
        feeding.add_done_callback(lambda opened: opened.result().push(number))
        if leave == "by break":
            async for item in shared:
                return item
        log = Log()
        subscription = shared.subscribe(*log.callbacks)
        await until(lambda: log.items)
        if leave == "by dispose":
            subscription.dispose()
        return log.items[0]

    assert [run(new_loop, main(number)) for number in (1, 2, 3)] == [1, 2, 3]


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    there = Elsewhere()
    yield there
    there.close()


CONSUMERS: dict[str, Callable[[Stream[Any], Log, Elsewhere], Any]] = {
    "callbacks": lambda stream, log, _: stream.subscribe(*log.callbacks),
    "run": lambda stream, log, _: told(log, stream.run),
    "for": lambda stream, log, _: told(log, lambda: list(stream)),
    "await": lambda stream, log, there: told(
        log, asyncio.run_coroutine_threadsafe(stream.wait(), there.loop).result, PATIENCE
    ),
}


def told(log: Log, wait: Callable[..., Any], *args: Any) -> None:
    """Wait on a thread for what tells the log."""

    def work() -> None:
        try:
            log.callbacks[0](wait(*args))
        except Exception as error:
            log.callbacks[1](error)

    threading.Thread(target=work, daemon=True).start()


SHARES: dict[str, Share] = {
    "share": lambda s: s.share(),
    "share of a share": lambda s: s.share().map(lambda x: x).share(),
    "share of a merge": lambda s: merge(s, rx.empty()).share(),
    "operators after it": lambda s: s.share().map(lambda x: x).timeout(60.0),
}


@pytest.mark.parametrize(
    ("share", "consumer"),
    [*(("share", consumer) for consumer in CONSUMERS), *((share, "callbacks") for share in SHARES if share != "share")],
)
def test_who_lives_elsewhere_hears_that_the_sources_loop_has_ended_and_who_comes_later_starts_it_anew(
    share: str, consumer: str, new_loop: LoopFactory, elsewhere: Elsewhere
):
    source, log, here, present = Source("owner/alias"), Log(), Log(), threading.Event()
    shared = SHARES[share](source.stream)

    async def main() -> None:
        shared.subscribe(*here.callbacks)
        run = await source.open()
        await asyncio.to_thread(CONSUMERS[consumer], shared.do_action(lambda _: present.set()), log, elsewhere)
        while not present.is_set():
            await run.send(0)

    run(new_loop, main())
    assert log.ended.wait(PATIENCE)
    (error,) = log.ends
    assert isinstance(error, TransportError)
    assert (error.kind, str(error)) == ("cancelled", "owner/alias: the event loop that it ran on has ended.")
    assert here.ends == [], "who lives on the loop ends with it"

    late = Log()
    shared.subscribe(*late.callbacks)
    source.opened(2).push(7, END).result(PATIENCE)
    assert late.ended.wait(PATIENCE)
    assert (late.items, late.ends) == ([7], ["completed"])


def test_who_hears_that_the_loop_ends_may_subscribe_again_at_once(new_loop: LoopFactory):
    source, late = Source(), Log()
    shared = source.stream.share()

    def again(_: Exception) -> None:
        in_a_plain_thread(lambda: shared.subscribe(*late.callbacks))

    async def main() -> None:
        shared.subscribe()
        await source.open()
        await asyncio.to_thread(lambda: shared.subscribe(on_error=again))

    run(new_loop, main())
    source.opened(2).push(7, END).result(PATIENCE)
    assert late.ended.wait(PATIENCE)
    assert (late.items, late.ends) == ([7], ["completed"])


def test_a_loop_that_was_closed_without_a_word_is_noticed_by_the_next_subscriber(new_loop: LoopFactory):
    source, waiting, late = Source(), Log(), Log()
    shared = source.stream.share()

    async def main() -> None:
        shared.subscribe()
        await source.open()
        await asyncio.to_thread(lambda: shared.subscribe(*waiting.callbacks))

    loop = new_loop()
    complaints: list[Any] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    assert waiting.ends == []
    shared.subscribe(*late.callbacks)
    source.opened(2).push(7, END).result(PATIENCE)
    assert late.ended.wait(PATIENCE)
    assert late.items == [7]
    (error,) = waiting.ends
    assert isinstance(error, TransportError)
    assert error.kind == "cancelled"
    old = weakref.ref(source.runs.pop(0).task)
    gc.collect()
    assert old() is None
    assert complaints == [], "of a task that was destroyed"


def test_a_loop_that_only_rests_is_no_ended_one(new_loop: LoopFactory):
    source, log = Source(), Log()
    shared = source.stream.share()
    loop = new_loop()

    async def begin() -> None:
        shared.subscribe()
        await source.open()

    async def go_on() -> None:
        shared.subscribe(*log.callbacks)
        await source.runs[0].send(1, END)
        await spin()

    loop.run_until_complete(begin())
    loop.run_until_complete(go_on())
    loop.close()
    assert (len(source.runs), log.items, log.ends) == (1, [1], ["completed"])


def test_who_has_left_is_not_told_of_the_end_of_the_loop(new_loop: LoopFactory):
    source, log = Source(), Log()
    shared = source.stream.share()

    async def main() -> None:
        shared.subscribe()
        await source.open()
        subscription = await asyncio.to_thread(lambda: shared.subscribe(*log.callbacks))
        subscription.dispose()

    run(new_loop, main())
    assert log.ends == []


# Connected to none.


def test_over_a_plain_observable_it_stays_on_the_subscribers_thread_as_reactivexs_does():
    for shared in (rx.of(1, 2, 3).pipe(ops.share()), rx.of(1, 2, 3).pipe(rx.operators.share())):
        seen: list[tuple[int, threading.Thread]] = []
        shared.subscribe(lambda item, seen=seen: seen.append((item, threading.current_thread())))
        assert seen == [(item, threading.current_thread()) for item in (1, 2, 3)]


def test_over_a_plain_observable_the_scheduler_that_is_handed_in_goes_on_to_the_source():
    mine, seen = NewThreadScheduler(), list[Any]()
    source = rx.create(lambda observer, scheduler: seen.append(scheduler))
    source.pipe(ops.share()).subscribe(scheduler=mine)
    source.pipe(ops.share()).subscribe()
    assert seen == [mine, None]


def test_over_a_plain_observable_its_states_are_the_same():
    subject, one, two, late = Subject[int](), Log(), Log(), Log()
    shared = subject.pipe(ops.share())
    with shared.subscribe(*one.callbacks), shared.subscribe(*two.callbacks):
        assert len(subject.observers) == 1
        subject.on_next(1)
    assert subject.observers == []
    shared.subscribe(*late.callbacks)
    subject.on_next(2)
    subject.on_completed()
    shared.subscribe(*one.callbacks)
    assert (one.items, two.items, late.items) == ([1], [1], [2])
    assert (one.ends, two.ends, late.ends) == (["completed"], [], ["completed"])
