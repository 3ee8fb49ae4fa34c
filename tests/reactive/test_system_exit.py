"""SystemExit and the like inside a chain: it goes on to whoever emits, and nobody waits for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex import operators as rx_ops
from reactivex.subject import Subject

from rxfal import operators as ops
from rxfal.reactive.merge import merge
from rxfal.reactive.reader import Sink
from rxfal.reactive.stream import Stream, create, from_observable
from tests.reactive.elsewhere import in_a_plain_thread
from tests.reactive.sources import PATIENCE, Log

Reports = list[dict[str, Any]]


def leave(_: Any) -> None:
    raise SystemExit(3)


class Emitter:
    """A source that notes what comes back from handing an item on."""

    def __init__(self) -> None:
        self.came_back: list[BaseException] = []
        self.stream: Stream[int] = create(self._read, name="emitter")

    async def _read(self, sink: Sink[int]) -> None:
        try:
            sink.on_next(1)
        except BaseException as error:
            self.came_back.append(error)
            raise


CHAINS: dict[str, Callable[[Stream[Any]], Observable[Any]]] = {
    "at once": lambda s: s.do_action(leave),
    "map": lambda s: s.map(leave),
    "filter": lambda s: s.filter(leave),
    "behind map": lambda s: s.map(lambda x: x).do_action(leave),
    "behind filter": lambda s: s.filter(lambda _: True).do_action(leave),
    "behind timeout": lambda s: s.timeout(60.0).do_action(leave),
    "behind buffer by count": lambda s: s.buffer(count=1).do_action(leave),
    "behind share": lambda s: s.share().do_action(leave),
    "behind merge": lambda s: merge(s, rx.never()).do_action(leave),
    "behind exhaust_map": lambda s: s.pipe(ops.exhaust_map(lambda x: rx.of(x))).do_action(leave),
    "behind reactivex's operators": lambda s: s.scan(lambda _, x: x).do_action(leave).scan(lambda _, x: x),
    # Plain Observables, in which no observer of a Stream stands between.
    "map, plain": lambda s: rx.merge(s).pipe(ops.map(), rx_ops.do_action(leave)),
    "filter, plain": lambda s: rx.merge(s).pipe(ops.filter(lambda _: True), rx_ops.do_action(leave)),
    "timeout, plain": lambda s: rx.merge(s).pipe(ops.timeout(60.0), rx_ops.do_action(leave)),
    "buffer, plain": lambda s: rx.merge(s).pipe(ops.buffer(count=1), rx_ops.do_action(leave)),
    "throttle_latest, plain": lambda s: rx.merge(s).pipe(ops.throttle_latest(60.0), rx_ops.do_action(leave)),
    "share, plain": lambda s: rx.merge(s).pipe(ops.share(), rx_ops.do_action(leave)),
    "retry_backoff, plain": lambda s: rx.merge(s).pipe(ops.retry_backoff(), rx_ops.do_action(leave)),
    "reactivex's, plain": lambda s: rx.merge(s).pipe(rx_ops.do_action(leave)),
}


@pytest.mark.parametrize("pull", [lambda s: s.run(), list], ids=["run", "for"])
@pytest.mark.parametrize("chain", CHAINS)
def test_who_waits_gets_it_and_so_does_the_emitter(
    chain: str, pull: Callable[[Stream[Any]], Any], background_reports: Reports
):
    emitter = Emitter()
    with pytest.raises(SystemExit):
        in_a_plain_thread(lambda: pull(from_observable(CHAINS[chain](emitter.stream))))
    if chain != "behind exhaust_map":  # the item has come from the loop by then
        assert [type(error) for error in emitter.came_back] == [SystemExit]


@pytest.mark.parametrize("chain", CHAINS)
def test_on_error_gets_it_once(chain: str, background_reports: Reports):
    emitter, log = Emitter(), Log()
    from_observable(CHAINS[chain](emitter.stream)).subscribe(*log.callbacks)
    assert log.ended.wait(PATIENCE)
    assert [type(end) for end in log.ends] == [SystemExit]


@pytest.mark.parametrize("composed", [False, True], ids=["apart", "composed into one"])
@pytest.mark.parametrize(
    "operator",
    [ops.map(), ops.filter(lambda _: True), ops.timeout(60.0), ops.buffer(count=1), ops.share()],
    ids=["map", "filter", "timeout", "buffer", "share"],
)
def test_through_a_stream_over_a_subject_it_reaches_whoever_feeds_the_subject(operator: Any, composed: bool):
    subject, log = Subject[int](), Log()
    operators = [rx.compose(operator, rx_ops.do_action(leave))] if composed else [operator, ops.do_action(leave)]
    subscription = from_observable(subject).pipe(*operators).subscribe(*log.callbacks)
    with pytest.raises(SystemExit):
        subject.on_next(1)
    assert [type(end) for end in log.ends] == [SystemExit]
    subscription.dispose()


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_a_sources_own_reaches_who_waits(error: type[BaseException], background_reports: Reports):
    async def read(sink: Sink[int]) -> None:
        raise error

    with pytest.raises(error):
        in_a_plain_thread(create(read, name="leaves").run)
    assert [type(report["exception"]) for report in background_reports] == [error]


def test_a_subscribers_own_is_not_reported_but_raised(background_reports: Reports):
    subject = Subject[int]()
    from_observable(subject).subscribe(leave)
    with pytest.raises(SystemExit):
        subject.on_next(1)
    assert background_reports == []
    assert subject.observers == []
