"""Several streams in one, and one stream for several: `merge` and `share`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

from reactivex import Observable, abc, typing
from reactivex import operators as rx_ops
from reactivex.disposable import CompositeDisposable, Disposable, SingleAssignmentDisposable
from reactivex.notification import Notification, OnCompleted, OnError

from .gate import DemandGate
from .loop import current_loop
from .scheduler import LoopScheduler

if TYPE_CHECKING:
    from .stream import Stream

_T = TypeVar("_T")


class Tagged(NamedTuple, Generic[_T]):
    """An item of a tagged merge, and which stream it came from.

    Attributes:
        tag: The name that `merge` was given for the stream.
        value: The item.
    """

    tag: str
    value: _T


@overload
def merge(*sources: Observable[_T]) -> Stream[_T]: ...
@overload
def merge(sources: Mapping[str, Observable[_T]], /) -> Stream[Tagged[_T]]: ...
@overload
def merge(**sources: Observable[_T]) -> Stream[Tagged[_T]]: ...
def merge(*sources: Any, **tagged: Any) -> Any:
    """Subscribe to several streams at once and emit their items as they arrive.

    Completes when all have completed; the first error ends it (give a stream an `ops.catch` of its own to let
    the others go on). Items that come from several threads are handed on one at a time. All share the
    subscription's demand gate: a full consumer holds every one of them back.

    Args:
        sources: Streams or other Observables; or one mapping from tags to them.
        tagged: Streams by tag, as keywords.

    Returns:
        A Stream of the items as they are, or of `Tagged` items where there are tags.

    Raises:
        TypeError: For a mix of plain and tagged streams, or something that is no Observable.

    Examples:
        >>> import reactivex as rx
        >>> sorted(merge(rx.of(1, 2), rx.of(3)))
        [1, 2, 3]
        >>> sorted(merge(a=rx.of(1), b=rx.of(2)))
        [Tagged(tag='a', value=1), Tagged(tag='b', value=2)]
    """
    from .stream import Stream

    if len(sources) == 1 and isinstance(sources[0], Mapping):
        sources, tagged = (), {**sources[0], **tagged}
    if sources and tagged:
        raise TypeError("merge takes plain streams or tagged ones, not both: tag them all, or none")
    for source in (*sources, *tagged.values()):
        if not isinstance(source, Observable):
            raise TypeError(f"merge takes Observables, not {type(source).__name__}")
    names = ", ".join([*tagged, *(getattr(source, "name", "observable") for source in sources)])
    pairs: list[tuple[str | None, Observable[Any]]] = [*((None, source) for source in sources), *tagged.items()]
    return Stream(partial(_subscribe_all, pairs), name=f"merge({names})")


def _subscribe_all(
    sources: list[tuple[str | None, Observable[Any]]],
    observer: abc.ObserverBase[Any],
    scheduler: abc.SchedulerBase | None = None,
) -> abc.DisposableBase:
    lock = threading.RLock()
    running = len(sources)
    emit = observer.on_next

    def on_next(value: Any) -> None:
        with lock:
            emit(value)

    def on_next_tagged(tag: str, value: Any) -> None:
        with lock:
            emit(Tagged(tag, value))

    def on_error(error: Exception) -> None:
        with lock:
            observer.on_error(error)

    def on_completed() -> None:
        nonlocal running
        with lock:
            running -= 1
            if not running:
                observer.on_completed()

    if not sources:
        observer.on_completed()
    subscriptions = CompositeDisposable()
    for tag, source in sources:
        subscription = SingleAssignmentDisposable()
        subscriptions.add(subscription)
        subscription.disposable = source.subscribe(
            on_next if tag is None else partial(on_next_tagged, tag), on_error, on_completed, scheduler=scheduler
        )
    return subscriptions


def share() -> Callable[[Observable[_T]], Observable[_T]]:
    """One subscription to the source for all present subscribers: one request, however many listen.

    Starts with the first subscriber and is disposed when the last one leaves, as in reactivex; who comes after the
    end gets the end. With backpressure, which reactivex's `share` has not: the source pauses while any present
    subscriber is full, and goes on when that one has room again or leaves.

    Returns:
        An operator, whose result may be subscribed to as often as you like.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> from_observable(rx.of(1, 2, 3)).pipe(ops.share()).run()
        3
    """
    return lambda source: Observable(_Shared(source).subscribe)


def sequence_equal(
    second: Observable[_T] | Iterable[_T], comparer: typing.Comparer[_T] | None = None
) -> Callable[[Observable[_T]], Observable[bool]]:
    """Whether two sequences have equal items and ends; reactivex's own, which would iterate a second Stream and block.

    Args:
        second: An Observable or an iterable.
        comparer: Whether two items are equal; `==`, if left out.

    Returns:
        An operator that emits one bool.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> from_observable(rx.of(1, 2)).pipe(ops.sequence_equal(from_observable(rx.of(1, 2)))).run()
        True
    """
    if isinstance(second, Observable):  # a Stream is iterable too, and reactivex looks at that first
        stream = second
        second = Observable(lambda observer, scheduler=None: stream.subscribe(observer, scheduler=scheduler))
    return rx_ops.sequence_equal(second, comparer)


class _Shared(Generic[_T]):
    """The subscribers of one shared source, each with the demand gate that it came with."""

    def __init__(self, source: Observable[_T]) -> None:
        self._source = source
        self._lock = threading.RLock()
        # Replaced, never changed: emitting needs no lock.
        self._members: tuple[tuple[abc.ObserverBase[_T], DemandGate | None], ...] = ()
        self._source_gate: DemandGate | None = None
        self._connection: abc.DisposableBase = Disposable()
        self._end: Notification[_T] | None = None

    def subscribe(
        self, observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        member = (observer, scheduler.gate if isinstance(scheduler, LoopScheduler) else None)
        with self._lock:
            end = self._end
            if end is None:
                self._members = (*self._members, member)
            is_first = len(self._members) == 1
        if end is not None:
            end.accept(observer)
            return Disposable()
        if (gate := member[1]) is not None:
            gate.add_listener(self._balance)
        if is_first:
            self._connect(scheduler)
        self._balance()
        return Disposable(partial(self._leave, member))

    def _connect(self, scheduler: abc.SchedulerBase | None) -> None:
        if scheduler is None or isinstance(scheduler, LoopScheduler):
            # The loop of the first subscriber, but a gate of the source's own.
            scheduler = LoopScheduler(current_loop() if scheduler is None else scheduler.loop)
            self._source_gate = scheduler.gate
        connection = self._connection = SingleAssignmentDisposable()
        connection.disposable = self._source.subscribe(
            self._on_next,
            lambda error: self._on_end(OnError(error)),
            lambda: self._on_end(OnCompleted()),
            scheduler=scheduler,
        )

    def _leave(self, member: tuple[abc.ObserverBase[_T], DemandGate | None]) -> None:
        if (gate := member[1]) is not None:
            gate.remove_listener(self._balance)
        with self._lock:
            self._members = tuple(other for other in self._members if other is not member)
            connection = self._connection if not self._members and self._end is None else None
        if connection is not None:
            connection.dispose()
        self._balance()

    def _balance(self) -> None:
        """The source pauses while any present subscriber is full."""
        with self._lock:
            if self._source_gate is not None:
                if any(gate is not None and gate.closed for _, gate in self._members):
                    self._source_gate.close()
                else:
                    self._source_gate.open()

    def _on_next(self, value: _T) -> None:
        for observer, _ in self._members:
            observer.on_next(value)

    def _on_end(self, end: Notification[_T]) -> None:
        with self._lock:
            self._end = end
            members = self._members
        for observer, _ in members:
            end.accept(observer)
