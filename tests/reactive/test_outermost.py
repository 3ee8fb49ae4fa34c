"""Rule 7, who is who: what a user's own subscription raises is reported, what an operator's raises is the chain's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex.subject import Subject

from rxfal import operators as ops
from rxfal.reactive.background import background_loop
from rxfal.reactive.merge import merge
from rxfal.reactive.scheduler import LoopScheduler
from rxfal.reactive.stream import Stream, from_observable
from tests.reactive.elsewhere import in_a_plain_thread
from tests.reactive.sources import END, Log, Source, spin, until

Reports = list[dict[str, Any]]

pytestmark = pytest.mark.every_loop


def bad(item: Any) -> None:
    raise ZeroDivisionError(item)


def at_once(scheduler: Any = None) -> Stream[int]:
    return from_observable(rx.create(lambda observer, _: observer.on_next(1)), name="theirs")


# A user's own subscription, wherever it is made. Each is given a log for the ends of the bad subscriber.

OWN: dict[str, Callable[[Log], Any]] = {
    "at the top": lambda log: at_once().subscribe(bad, *log.callbacks[1:]),
    "with a scheduler": lambda log: at_once().subscribe(
        bad, *log.callbacks[1:], scheduler=LoopScheduler(background_loop().loop)
    ),
    "of a chain, with a scheduler": lambda log: (
        at_once().map(str).subscribe(bad, *log.callbacks[1:], scheduler=LoopScheduler(background_loop().loop))
    ),
    "inside on_next": lambda log: at_once().subscribe(lambda _: at_once().subscribe(bad, *log.callbacks[1:])),
    "inside a mapper": lambda log: (
        at_once().map(lambda _: at_once().subscribe(bad, *log.callbacks[1:])).subscribe(lambda _: None)
    ),
    "inside defer, with its scheduler": lambda log: from_observable(
        rx.defer(lambda scheduler: (at_once().subscribe(bad, *log.callbacks[1:], scheduler=scheduler), rx.of(1))[1])
    ).subscribe(lambda _: None),
    "inside a create function, with its scheduler": lambda log: from_observable(
        rx.create(lambda _, scheduler: at_once().subscribe(bad, *log.callbacks[1:], scheduler=scheduler))
    ).subscribe(lambda _: None),
    "by a partial, inside defer": lambda log: from_observable(
        rx.defer(
            lambda scheduler: (
                at_once().subscribe(partial(bad), *log.callbacks[1:], scheduler=scheduler),
                rx.of(1),
            )[1]
        )
    ).subscribe(lambda _: None),
    "of a group": lambda log: (
        at_once().group_by(lambda _: "key").subscribe(lambda group: group.subscribe(bad, *log.callbacks[1:]))
    ),
    "of a window": lambda log: (
        at_once().window_with_count(2).subscribe(lambda window: window.subscribe(bad, *log.callbacks[1:]))
    ),
    "through a Subject": lambda log: at_once().subscribe(subject_of(bad), scheduler=None),
    "through a Subject, with a scheduler": lambda log: at_once().subscribe(
        subject_of(bad), scheduler=LoopScheduler(background_loop().loop)
    ),
    "of a merge": lambda log: merge(at_once(), rx.never()).subscribe(bad, *log.callbacks[1:]),
    "of what an operator hands through": lambda log: at_once().pipe(lambda s: s).subscribe(bad, *log.callbacks[1:]),
    "of an operator that was applied by hand": lambda log: ops.map()(at_once()).subscribe(bad, *log.callbacks[1:]),
    "of a share": lambda log: at_once().share().subscribe(bad, *log.callbacks[1:]),
}


def subject_of(on_next: Callable[[Any], None]) -> Subject[Any]:
    subject = Subject[Any]()
    subject.subscribe(on_next)
    return subject


@pytest.mark.parametrize("name", OWN)
async def test_the_bug_of_a_users_own_subscription_is_reported_on_a_loop(name: str, reports: Reports):
    log = Log()
    with OWN[name](log):
        await until(lambda: reports)
    assert log.ends == []
    assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]
    assert reports[0]["message"].startswith("stream ")


@pytest.mark.parametrize("name", OWN)
def test_the_bug_of_a_users_own_subscription_is_reported_in_a_plain_script(name: str, background_reports: Reports):
    log = Log()
    with in_a_plain_thread(lambda: OWN[name](log)):
        assert [type(report["exception"]) for report in background_reports] == [ZeroDivisionError]
    assert log.ends == []


# An operator's subscription.


def closures_only(source: Observable[Any]) -> Observable[Any]:
    """A custom operator that keeps everything in closures, with a bug."""

    def subscribe(observer: Any, scheduler: Any = None) -> Any:
        def on_next(item: Any) -> None:
            observer.on_next(1 // item)

        def on_error(error: Exception) -> None:
            observer.on_error(error)

        def on_completed() -> None:
            observer.on_completed()

        return source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)

    return Observable(subscribe)


def without_a_scheduler(source: Observable[Any]) -> Observable[Any]:
    return rx.create(
        lambda observer, _: source.subscribe(
            lambda item: observer.on_next(1 // item), lambda e: observer.on_error(e), lambda: observer.on_completed()
        )
    )


def led_on(stream: Stream[Any], observer: Any, scheduler: Any = None) -> Any:
    return stream.subscribe(
        partial(observer.on_next), partial(observer.on_error), partial(observer.on_completed), scheduler=scheduler
    )


CHAINS: dict[str, Callable[[Stream[Any]], Stream[Any]]] = {
    "alone": lambda s: s.pipe(closures_only),
    "between others": lambda s: s.map(lambda x: x).pipe(closures_only).filter(lambda _: True),
    "in one pipe": lambda s: s.pipe(ops.map(), closures_only, ops.map()),
    "composed": lambda s: s.pipe(rx.compose(ops.map(), closures_only)),
    "without a scheduler": lambda s: s.pipe(without_a_scheduler),
    "over reactivex's own": lambda s: s.pipe(ops.scan(lambda _, x: x), closures_only, ops.scan(lambda _, x: x)),
    "behind share": lambda s: s.share().pipe(closures_only),
    "in front of share": lambda s: s.pipe(closures_only).share(),
    "in front of merge": lambda s: merge(s.pipe(closures_only), rx.never()),
    # Here no Stream stands between the bug and the stream that emits, which is no operator's own either.
    "behind flat_map": lambda s: s.pipe(rx.compose(ops.flat_map(lambda x: from_observable(rx.of(x))), closures_only)),
    "behind +": lambda s: s.pipe(rx.compose(lambda x: x + rx.never(), closures_only)),
    "behind a slice": lambda s: s.pipe(rx.compose(lambda x: x[0:], closures_only)),
    "behind switch_latest": lambda s: s.pipe(
        rx.compose(ops.map(lambda x: from_observable(rx.of(x))), ops.switch_latest(), closures_only)
    ),
    "behind rx.defer": lambda s: from_observable(rx.defer(lambda _: s).pipe(closures_only)),
    "behind rx.merge": lambda s: from_observable(rx.merge(s, rx.never()).pipe(closures_only)),
    "behind rx.concat": lambda s: from_observable(rx.concat(rx.empty(), s).pipe(closures_only)),
    "behind rx.zip": lambda s: from_observable(rx.zip(s, rx.of(0)).pipe(ops.map(lambda x: x[0]), closures_only)),
    "behind a create function": lambda s: from_observable(rx.create(partial(led_on, s)).pipe(closures_only)),
    "in flat_map": lambda s: s.flat_map(lambda x: from_observable(rx.of(x)).pipe(closures_only)),
    "twice": lambda s: s.pipe(closures_only).pipe(closures_only),
}


@pytest.mark.parametrize("chain", CHAINS)
async def test_the_bug_of_an_operator_is_the_chains_error(chain: str, reports: Reports):
    source, log = Source(), Log()
    CHAINS[chain](source.stream).subscribe(*log.callbacks)
    run = await source.open()
    await run.send(0)
    await until(lambda: log.ends)
    await spin()
    assert [type(end) for end in log.ends] == [ZeroDivisionError]
    assert (log.items, reports) == ([], [])
    assert run.closed.is_set()


async def test_an_operator_that_takes_no_errors_of_its_source_has_its_own_reported(reports: Reports):
    def forgetful(source: Observable[Any]) -> Observable[Any]:
        return Observable(lambda observer, scheduler=None: source.subscribe(bad, scheduler=scheduler))

    source, log = Source(), Log()
    with source.stream.pipe(forgetful).subscribe(*log.callbacks):
        await (await source.open()).send(1)
        await spin()
    assert log.ends == []
    assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]


# A plain Observable at the top, with streams in it.

TOPS: dict[str, Callable[..., Observable[Any]]] = {
    "merge": rx.merge,
    "concat": lambda one, other: rx.concat(one, other),
    "combine_latest": lambda one, other: rx.combine_latest(one, rx.of(1)),
    "amb": lambda one, other: rx.amb(one, rx.never()),
    "with operators": lambda one, other: rx.merge(one, other).pipe(
        rx.operators.map(lambda x: x), ops.map(), ops.share()
    ),
}


@pytest.mark.parametrize("top", TOPS)
async def test_the_bug_of_a_subscriber_to_a_plain_observable_over_streams_is_reported(top: str, reports: Reports):
    source, other, log = Source("owner/alias"), Source(), Log()
    with TOPS[top](source.stream, other.stream).subscribe(bad, *log.callbacks[1:]):
        run = await source.open()
        await run.send(1)
        await spin()
        assert run.closed.is_set()
    await spin()
    assert log.ends == []
    assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]
    assert "owner/alias" in reports[0]["message"]


async def test_and_it_harms_no_neighbour(reports: Reports):
    source, log = Source(), Log()
    shared = source.stream.share()
    rx.merge(shared, rx.never()).subscribe(bad)
    rx.merge(shared, rx.empty()).subscribe(*log.callbacks)
    await (await source.open()).send(1, 2, END)
    assert (log.items, log.ends) == ([1, 2], ["completed"])
    assert len(reports) == 1
