"""`race` and `hedge`: subscribe to several streams, and use only the first one that emits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import Any, TypeVar, overload

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable, SingleAssignmentDisposable
from reactivex.scheduler.scheduler import Scheduler

from .merge import Tagged, named_sources
from .observer import subscribe_within
from .operators.arguments import check_span
from .scheduler import LoopScheduler, clock_of, loop_scheduler
from .stream import Stream
from .watchdog import Watchdog

_T = TypeVar("_T")
_A = TypeVar("_A")
_B = TypeVar("_B")
_C = TypeVar("_C")
_D = TypeVar("_D")
_Key = TypeVar("_Key", bound=Hashable)


@overload
def race(a: Observable[_A], b: Observable[_B], /) -> Stream[_A | _B]: ...
@overload
def race(a: Observable[_A], b: Observable[_B], c: Observable[_C], /) -> Stream[_A | _B | _C]: ...
@overload
def race(
    a: Observable[_A], b: Observable[_B], c: Observable[_C], d: Observable[_D], /
) -> Stream[_A | _B | _C | _D]: ...
@overload
def race(*sources: Observable[_T]) -> Stream[_T]: ...
@overload
def race(sources: Mapping[_Key, Observable[_T]], /) -> Stream[Tagged[_T, _Key]]: ...
@overload
def race(**sources: Observable[_T]) -> Stream[Tagged[_T]]: ...
def race(*sources: Any, **tagged: Any) -> Any:
    """Subscribe to several streams at once; the first to emit an item wins, and the others are disposed.

    The others are disposed before that item is passed on, which ends their requests at once. (You may still pay for
    the work that their models have done.) A stream that fails or ends before its first item is out of the race, and the
    others continue.

    Marbles:
        a: ----!
        b: ----1--2-|
        c: --#
           > race(a, b, c)
           ----1--2-|

    - *Emits when* the winner does.
    - *Pauses when* the consumer is full. That pauses all of them.
    - *Ends when* the winner ends, or all have ended without an item.
    - *Cancels when* disposed. The first item cancels all but the winner.

    Args:
        sources: Streams or other Observables, or a single mapping from tags to them.

        tagged: Streams by tag, as keyword arguments.

    Returns:
        A Stream of the winner's items themselves, or of `Tagged` items if there are tags. If no stream emits anything,
        it ends with the last error, or completes if none failed.

    Raises:
        TypeError: Plain and tagged streams are mixed, or something is not an Observable.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import race
        >>> list(race(rx.timer(0.2), rx.throw(OSError("refused")), rx.timer(0.01)))
        [0]
        >>> race(slow=rx.timer(0.2), quick=rx.timer(0.01)).run()
        Tagged(tag='quick', value=0)
    """
    every, tags, name = named_sources("race", sources, tagged)
    return Stream(partial(_race, every, tags), name=name)


def hedge(stream: Observable[_T], *, after: float) -> Stream[_T]:
    """Subscribe to a stream, and again if it emits nothing for a while; the first subscription to emit an item wins.

    Use it for requests that are sometimes much slower than usual. You may pay for both requests. If the first one fails
    or ends before its first item, the second starts at once.

    Marbles:
        a: ------!
        a:     --1--2-|
           > hedge(a, after=4)
           ------1--2-|

    - *Emits when* the winner does.
    - *Pauses when* the consumer is full. The time until the second subscription doesn't count then.
    - *Ends when* the winner ends, or both have ended without an item.
    - *Cancels when* disposed. The first item cancels the other subscription.

    Args:
        stream: A cold stream, so that each subscription makes its own request.

        after: How many seconds to wait for an item before subscribing again.

    Returns:
        A Stream of the winner's items.

    Raises:
        TypeError: `stream` is not an Observable, or `after` is not a number of seconds.
        ArgumentOutOfRangeException: `after` is not above 0.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import hedge
        >>> attempts = iter([rx.never(), rx.of("at last")])
        >>> hedge(rx.defer(lambda _: next(attempts)), after=0.01).run()
        'at last'
    """
    if not isinstance(stream, Observable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"hedge takes an Observable, not {type(stream).__name__}")
    check_span("after", after)
    name = getattr(stream, "name", "observable")
    return Stream(partial(_hedge, stream, Scheduler.to_seconds(after)), name=f"hedge({name})")


def _race(
    sources: list[Observable[Any]],
    tags: list[Hashable],
    observer: abc.ObserverBase[Any],
    scheduler: abc.SchedulerBase | None = None,
) -> abc.DisposableBase:
    contest = _Contest(observer, len(sources))
    for index, source in enumerate(sources):
        contest.enter(source, scheduler, wrap=partial(Tagged, tags[index]) if tags else None)
    if not sources:
        observer.on_completed()
    return contest.entries


def _hedge(
    stream: Observable[Any],
    after: float,
    observer: abc.ObserverBase[Any],
    scheduler: abc.SchedulerBase | None = None,
) -> abc.DisposableBase:
    contest = _Contest(observer, 2)
    timing = loop_scheduler(scheduler)
    gate = timing.gate if isinstance(timing, LoopScheduler) else None
    clock = clock_of(timing) if gate is None else gate.clock
    began = clock()

    def second() -> None:
        if contest.entries.remove(waiting):  # only once: when the wait or the first subscription ends
            contest.enter(stream, scheduler)

    watchdog = Watchdog(after, lambda: began, clock, second, timing, gate)
    waiting = Disposable(watchdog.stop)  # an entry in the contest, so it is disposed when someone wins
    contest.entries.add(waiting)
    watchdog.start()
    contest.enter(stream, scheduler, on_out=second)
    return contest.entries


class _Contest:
    """Keeps track of the streams that are still in the contest, and of the winner.

    Args:
        observer: Receives the winner's items and end.
        expected: How many streams will enter, unless one wins first.
    """

    def __init__(self, observer: abc.ObserverBase[Any], expected: int) -> None:
        self.entries = CompositeDisposable()
        self._observer = observer
        self._still_to_lose = expected
        self._lock = threading.RLock()  # each stream may emit on its own thread
        self._winner: SingleAssignmentDisposable | None = None
        self._error: Exception | None = None

    def enter(
        self,
        source: Observable[Any],
        scheduler: abc.SchedulerBase | None,
        wrap: Callable[[Any], Any] | None = None,
        on_out: Callable[[], None] | None = None,
    ) -> None:
        """Subscribe to a source, unless another one has already won.

        Args:
            source: The source.
            scheduler: The subscription's scheduler.
            wrap: Applied to each item before it goes to the observer.
            on_out: Called if the source ends without an item and others may still enter.
        """
        entry = SingleAssignmentDisposable()

        def on_next(value: Any) -> None:
            with self._lock:
                if self._winner is None:
                    self._win(entry)
                if self._winner is entry:
                    self._observer.on_next(value if wrap is None else wrap(value))

        def on_error(error: Exception) -> None:
            with self._lock:
                if self._winner is entry:
                    self._observer.on_error(error)
                elif self._winner is None:
                    self._error = error
                    out()

        def on_completed() -> None:
            with self._lock:
                if self._winner is entry:
                    self._observer.on_completed()
                elif self._winner is None:
                    out()

        def out() -> None:
            self._still_to_lose -= 1
            if not self._still_to_lose:
                self._finish()
            elif on_out is not None:
                on_out()

        with self._lock:
            if self._winner is not None:
                return
            self.entries.add(entry)
        entry.disposable = subscribe_within(source, on_next, on_error, on_completed, scheduler)

    def _win(self, winner: SingleAssignmentDisposable) -> None:
        self._winner = winner
        for entry in self.entries.to_list():
            if entry is not winner:
                entry.dispose()

    def _finish(self) -> None:
        if self._error is None:
            self._observer.on_completed()
        else:
            self._observer.on_error(self._error)
