"""`share`: one subscription to the source for all present subscribers, with backpressure."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SingleAssignmentDisposable
from reactivex.notification import Notification, OnCompleted, OnError

from rxfal.reactive.gate import DemandGate
from rxfal.reactive.loop import current_loop
from rxfal.reactive.scheduler import LoopScheduler

_T = TypeVar("_T")


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
