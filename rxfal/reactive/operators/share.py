"""`share`: one subscription to the source for all present subscribers, with backpressure."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.notification import Notification, OnCompleted, OnError

from rxfal.errors import TransportError
from rxfal.reactive.background import current_loop
from rxfal.reactive.gate import DemandGate
from rxfal.reactive.observer import ChainObserver, is_stream
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
    return lambda source: Observable(Shared(source).subscribe)


class Shared(Generic[_T]):
    """A source and the state that it is in: idle (None), connected, or ended.

    The first subscriber connects it, to an event loop of this process or to none; the last one that leaves makes it
    idle; the source's end ends it for good. Its loop may end before it does, and a process may fork: then it is idle
    again, subscribers that live elsewhere are told, and the next one connects anew.
    """

    def __init__(self, source: Observable[_T]) -> None:
        self.source = source
        self.lock = threading.RLock()
        self.state: Connection[_T] | Ended | None = None

    def subscribe(
        self, observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        member = (observer, scheduler if isinstance(scheduler, LoopScheduler) else None)
        lost = None
        with self.lock:
            if isinstance(self.state, Connection) and self.state.is_lost():
                lost, self.state = self.state, None
            is_first = self.state is None
            if self.state is None:
                self.state = self.connection(scheduler)
            state = self.state
            if isinstance(state, Connection):
                state.join(member)
        if lost is not None:
            lost.on_loop_end(TransportError("the event loop that a shared stream ran on was closed", kind="cancelled"))
        if not isinstance(state, Connection):
            state.accept(observer)
            return Disposable()
        if (timing := member[1]) is not None:
            timing.gate.add_listener(state.balance)
        if is_first:
            state.connect()
        state.balance()
        return Disposable(partial(state.leave, member))

    def connection(self, scheduler: abc.SchedulerBase | None) -> Connection[_T]:
        """A connection for the first subscriber, which has this scheduler."""
        return Connection(self, scheduler)

    def ended(self, connection: Connection[_T], end: Notification[_T]) -> Ended | None:
        """The state after the source's end."""
        return end


class Ended(Protocol):
    """What those find who come after the end."""

    def accept(self, observer: abc.ObserverBase[Any], /) -> object:
        """Tell one of them."""
        ...


Member = tuple[abc.ObserverBase[_T], LoopScheduler | None]


class Connection(ChainObserver[_T]):
    """The one subscription to the source; and its members, the present subscribers with their schedulers."""

    __slots__ = ("_gate", "_loop", "_pid", "_shared", "_timing", "members")

    def __init__(self, shared: Shared[_T], scheduler: abc.SchedulerBase | None) -> None:
        super().__init__(None, None, None)
        self._shared = shared
        self._pid = os.getpid()
        self._timing = scheduler
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gate: DemandGate | None = None
        if isinstance(scheduler, LoopScheduler) or (scheduler is None and is_stream(shared.source)):
            # The loop of the first subscriber, but a gate of the source's own: closed while any member's is.
            self._loop = current_loop() if scheduler is None else scheduler.loop
            self._timing = LoopScheduler(self._loop, consumer=self)
            self._gate = self._timing.gate
        self.members: tuple[Member[_T], ...] = ()  # replaced, never changed: emitting needs no lock

    def connect(self) -> None:
        """Subscribe to the source."""
        timing, self._timing = self._timing, None  # which leads back here, as the consumer
        self.subscribe_to(self._shared.source, timing)

    def is_lost(self) -> bool:
        """Whether its loop was closed before the source ended, or belongs to the process that this one forked from."""
        return self._pid != os.getpid() or (self._loop is not None and self._loop.is_closed())

    def join(self, member: Member[_T]) -> None:
        """Take a member in; called under the lock."""
        self.members += (member,)

    def leave(self, member: Member[_T]) -> None:
        """Forget a member; the last one takes the source along."""
        if (timing := member[1]) is not None:
            timing.gate.remove_listener(self.balance)
        with self._shared.lock:
            self.members = tuple(other for other in self.members if other is not member)
            is_last = not self.members and self._shared.state is self
            if is_last:
                self._shared.state = None
        if is_last:
            self.dispose()
        self.balance()

    def balance(self) -> None:
        """The source pauses while any present subscriber is full."""
        with self._shared.lock:
            if self._gate is not None:
                if any(timing is not None and timing.gate.closed for _, timing in self.members):
                    self._gate.close()
                else:
                    self._gate.open()

    @property
    def is_pulling(self) -> bool:
        consumers = [timing.consumer for _, timing in self.members if timing is not None]
        return any(consumer is not None and consumer.is_pulling for consumer in consumers)

    def dispose(self) -> None:
        with self._shared.lock:
            if self._shared.state is self:
                self._shared.state = None
        super().dispose()

    def on_next(self, value: _T) -> None:
        if not self.is_stopped:
            try:
                for observer, _ in self.members:
                    observer.on_next(value)
            except BaseException as error:
                self._next_failed(error)

    def on_error(self, error: Exception) -> None:
        if not self.is_stopped:
            self._end(self._hand_on, OnError(error))

    def on_completed(self) -> None:
        if not self.is_stopped:
            self._end(self._hand_on, OnCompleted())

    def on_loop_end(self, error: Exception) -> None:
        with self._shared.lock:
            members, self.members = self.members, ()
        if self._pid != os.getpid():
            return  # members and source are the other process's
        self.dispose()
        for observer, timing in members:
            if timing is None or timing.loop is not self._loop:
                observer.on_error(error)
            elif timing.consumer is not None:  # another share, perhaps, with members of its own elsewhere
                timing.consumer.on_loop_end(error)

    def _hand_on(self, end: Notification[_T]) -> None:
        with self._shared.lock:
            if self._shared.state is self:
                self._shared.state = self._shared.ended(self, end)
            members = self.members
        for observer, _ in members:
            end.accept(observer)
