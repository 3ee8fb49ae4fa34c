"""`share`: one subscription to the source for all current subscribers, with backpressure."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.notification import Notification, OnCompleted, OnError

from rxfal.errors import TransportError
from rxfal.reactive.background import current_loop, loop_about_to_block
from rxfal.reactive.gate import DemandGate
from rxfal.reactive.observer import ChainObserver, is_stream
from rxfal.reactive.reader import Reader, Sink
from rxfal.reactive.scheduler import LoopScheduler

_T = TypeVar("_T")


def share() -> Callable[[Observable[_T]], Observable[_T]]:
    """Share one subscription to the source among all current subscribers: one request, however many there are.

    As in reactivex, it starts with the first subscriber and is disposed when the last one leaves. A subscriber that
    comes after the end gets only the end. Unlike reactivex's `share`, it has backpressure: the source pauses while any
    current subscriber is full, and resumes when that subscriber has room again or leaves.

    Marbles:
        -1--2--3-|
        > share()
        -1--2--3-|
           -2--3-|

    - *Emits when* the source does.
    - *Pauses when* a current subscriber is full.
    - *Ends when* the source ends. For a late subscriber, at once.
    - *Cancels when* the last subscriber leaves.

    Returns:
        An operator. You can subscribe to its result as often as you like.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> from_observable(rx.of(1, 2, 3)).pipe(ops.share()).run()
        3
    """
    return lambda source: Observable(Shared(source).subscribe)


class Shared(Generic[_T]):
    """A source and its state: idle (None), connected, or ended.

    The first subscriber connects it, to an event loop of this process or to none. When the last one leaves, it becomes
    idle. When the source ends, it has ended for good. If its loop ends first, or the process forks, it becomes idle
    again: subscribers on other loops are notified, and the next subscriber connects anew.
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
                state.refuse_to_wait_for_itself()
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
        else:
            state.watch_loop_for(timing)
        state.balance()
        return Disposable(partial(state.leave, member))

    def connection(self, scheduler: abc.SchedulerBase | None) -> Connection[_T]:
        """Create the connection for the first subscriber, which has this scheduler."""
        return Connection(self, scheduler)

    def ended(self, connection: Connection[_T], end: Notification[_T]) -> Ended | None:
        """Return the state after the source's end."""
        return end


class Ended(Protocol):
    """The state after the end, for subscribers that come later."""

    def accept(self, observer: abc.ObserverBase[Any], /) -> object:
        """Notify one late subscriber."""
        ...


Member = tuple[abc.ObserverBase[_T], LoopScheduler | None]


class Connection(ChainObserver[_T]):
    """The single subscription to the source, with its members: the current subscribers and their schedulers."""

    __slots__ = ("_gate", "_loop", "_pid", "_shared", "_timing", "_watch", "members")

    def __init__(self, shared: Shared[_T], scheduler: abc.SchedulerBase | None) -> None:
        super().__init__(None, None, None)
        self._shared = shared
        self._pid = os.getpid()
        self._timing = scheduler
        self._loop: asyncio.AbstractEventLoop | None = None
        self._gate: DemandGate | None = None
        if isinstance(scheduler, LoopScheduler) or (scheduler is None and is_stream(shared.source)):
            # It uses the first subscriber's loop, but its own gate, which is closed while any member's gate is.
            self._loop = current_loop() if scheduler is None else scheduler.loop
            self._timing = LoopScheduler(self._loop, consumer=self)
            self._gate = self._timing.gate
        self._watch: Reader[Any] | None = None
        self.members: tuple[Member[_T], ...] = ()  # replaced, never changed: emitting needs no lock

    def connect(self) -> None:
        """Subscribe to the source."""
        timing, self._timing = self._timing, None  # it refers back to this object, as the consumer
        self.subscribe_to(self._shared.source, timing)

    def watch_loop_for(self, timing: LoopScheduler | None) -> None:
        """Have a task notice the end of the loop, for a member who lives elsewhere and would wait for ever.

        A reader of the source's does, but there may be none just then: between two attempts, or before a timer.
        """
        if self._loop is None or (timing is not None and timing.loop is self._loop):
            return
        with self._shared.lock:
            if self._watch is not None or self._shared.state is not self:
                return
            name = getattr(self._shared.source, "name", "observable")
            watch = self._watch = Reader(_for_ever, self, LoopScheduler(self._loop, consumer=self), name)
        with suppress(RuntimeError):  # the loop is closed, which the next subscriber will find
            watch.start()

    def is_lost(self) -> bool:
        """Return whether its loop was closed before the source ended, or it belongs to the parent of a fork."""
        return self._pid != os.getpid() or (self._loop is not None and self._loop.is_closed())

    def refuse_to_wait_for_itself(self) -> None:
        """Raise RuntimeError if this thread is about to block the loop that the source runs on."""
        if self._loop is not None and self._loop is loop_about_to_block():
            raise RuntimeError(
                "run() and blocking() would block the event loop on which this shared stream already runs, and wait "
                "for themselves for ever: use `await` or `async for` there."
            )

    def join(self, member: Member[_T]) -> None:
        """Add a member. The caller must hold the lock."""
        self.members += (member,)

    def leave(self, member: Member[_T]) -> None:
        """Remove a member. When the last one leaves, the source is disposed."""
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
        """Pause the source while any current subscriber is full, and let it run otherwise."""
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
        self._unwatch()
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
            end = OnError[_T](error)
            end.exception = error  # it makes an Exception of what is none, of a SystemExit
            self._end(self._hand_on, end)

    def on_completed(self) -> None:
        if not self.is_stopped:
            self._end(self._hand_on, OnCompleted())

    def on_loop_end(self, error: Exception) -> None:
        with self._shared.lock:
            members, self.members = self.members, ()
        if self._pid != os.getpid():
            return  # the members and the source belong to the other process
        self.dispose()
        for observer, timing in members:
            if timing is None or timing.loop is not self._loop:
                observer.on_error(error)
            elif timing.consumer is not None:  # it may be another share, with members on other loops
                timing.consumer.on_loop_end(error)

    def _hand_on(self, end: Notification[_T]) -> None:
        with self._shared.lock:
            if self._shared.state is self:
                self._shared.state = self._shared.ended(self, end)
            members = self.members
        self._unwatch()
        for observer, _ in members:
            end.accept(observer)

    def _unwatch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.dispose()


async def _for_ever(_: Sink[Any]) -> None:
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        await asyncio.sleep(0)  # a reader of the source's, which is cancelled with this, knows better what has ended
        raise
