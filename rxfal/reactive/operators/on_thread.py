"""`on_thread`: deliver items on a thread that accepts callbacks, such as a user interface's."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from reactivex import Observable, abc

from rxfal.errors import TransportError
from rxfal.reactive.gate import Asking, DemandGate
from rxfal.reactive.iterate import BUFFER_SIZE, positive
from rxfal.reactive.observer import OperatorObserver
from rxfal.reactive.scheduler import LoopScheduler

_T = TypeVar("_T")

TURN = 0.008
"""How many seconds one turn may deliver items for, so that the thread has time for its own work between turns."""

OVERDUE = 0.5
"""After how many seconds a turn that hasn't come is first posted again, to learn whether the thread is gone."""


def on_thread(
    post: Callable[[Callable[[], None]], object], *, buffer_size: int = BUFFER_SIZE
) -> Callable[[Observable[_T]], Observable[_T]]:
    """Deliver the items and the end on a thread that accepts callbacks, in order and from any thread.

    Nothing blocks and nothing is lost: the sources pause while `buffer_size` items are waiting for the thread. Each
    delivery takes at most 8 ms, so a flood of items leaves the thread time for its own work.

    - *Emits when* the thread runs what was posted.
    - *Pauses when* `buffer_size` items wait, or the consumer is full.
    - *Ends when* the source ends, after the last item; with an error if `post` raises anything but RuntimeError.
    - *Cancels when* disposed, or when `post` raises RuntimeError. Then nothing that waits is delivered; an iterator or
      `await` gets a `TransportError`.

    Args:
        post: Makes the thread call a function without arguments. It must be callable from any thread, must never block,
            and must raise RuntimeError if the thread is gone; that disposes the subscription. If the call doesn't
            happen for a while, it is posted again, to find out whether the thread is still there.
        buffer_size: How many items may wait for the thread before the sources pause.

    Returns:
        An operator.

    Raises:
        TypeError: `post` isn't callable.
        ValueError: `buffer_size` is below 1.

    Examples:
        >>> import queue, reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> calls = queue.SimpleQueue()
        >>> subscription = from_observable(rx.of(1, 2)).pipe(ops.on_thread(calls.put)).subscribe(print)
        >>> calls.get()()  # the thread's own loop, here by hand
        1
        2
    """
    if not callable(post):
        raise TypeError(f"on_thread takes a function that posts a callback to a thread, not {post!r}")
    positive(buffer_size)

    def on_thread_(source: Observable[_T]) -> Observable[_T]:
        def subscribe(observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            crossing = Crossing[_T](observer, post, buffer_size, scheduler)
            return crossing.subscribe_to(source, crossing.upstream(scheduler))

        return Observable(subscribe)

    return on_thread_


class Crossing(OperatorObserver[_T]):
    """The queue between two threads, and the consumer of everything upstream of it.

    Args:
        observer: The observer on the target thread.
        post: Makes the target thread call a function.
        size: How many items may wait.
        scheduler: The subscription's scheduler.
        is_there: Returns whether this already is the target thread; then nothing needs to wait.
    """

    __slots__ = (
        "_asking",
        "_downstream",
        "_gate",
        "_has_left",
        "_is_posted",
        "_is_there",
        "_is_watched",
        "_post",
        "_size",
        "_turns",
        "_waiting",
        "_wants",
        "_watch_timer",
        "asking",
    )

    def __init__(
        self,
        observer: abc.ObserverBase[_T],
        post: Callable[[Callable[[], None]], object],
        size: int,
        scheduler: abc.SchedulerBase | None,
        is_there: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(observer)
        self._post = post
        self._size = size
        self._is_there = is_there
        self._waiting: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.asking = self._wants = Asking(now=True)
        self._is_posted = False
        self._turns = 0
        self._is_watched = False
        self._watch_timer: abc.DisposableBase | None = None
        self._has_left = False
        self._gate: DemandGate | None = None
        self._downstream: LoopScheduler | None = None
        self._asking: Asking | None = None
        if isinstance(scheduler, LoopScheduler):
            self._gate = scheduler.gate
            self._downstream = scheduler
            self._gate.add_listener(self._ask)
            if scheduler.consumer is not None and (asking := scheduler.consumer.asking) is not None:
                self._asking = asking
                self._wants.now = asking.now
                asking.add_listener(self._ask)

    def upstream(self, scheduler: abc.SchedulerBase | None) -> abc.SchedulerBase | None:
        """Return the scheduler to use upstream, given the subscription's."""
        return (
            LoopScheduler(scheduler.loop, scheduler.gate, self) if isinstance(scheduler, LoopScheduler) else scheduler
        )

    @property
    def is_pulling(self) -> bool:
        consumer = None if self._downstream is None else self._downstream.consumer
        return consumer is not None and consumer.is_pulling

    def on_next(self, value: _T) -> None:
        if not self.is_stopped:
            try:
                self._cross(self._on_next, value)
            except BaseException as error:
                self._next_failed(error)

    def on_error(self, error: Exception) -> None:
        if not self.is_stopped:
            self._end(self._cross, self._on_error, error)

    def on_completed(self) -> None:
        if not self.is_stopped:
            self._end(self._cross, self._on_completed)

    def on_loop_end(self, error: Exception) -> None:
        self.on_error(error)

    def dispose(self) -> None:
        self._has_left = True
        try:
            super().dispose()
        finally:  # whatever the source's own cleaning up raises
            if self._watch_timer is not None:
                self._watch_timer.dispose()
            if self._asking is not None:
                self._asking.remove_listener(self._ask)
            if self._gate is not None:
                self._gate.remove_listener(self._ask)
                self._gate.open(self)

    def abandon(self, cause: Exception | None = None) -> None:
        """End the subscription because its target is gone: callbacks aren't told, but an iterator or `await` is."""
        try:
            self.dispose()
        finally:
            consumer = None if self._downstream is None else self._downstream.consumer
            if consumer is not None and consumer.is_pulling:
                gone = TransportError(
                    "the thread, event loop or window that should get the items is gone", kind="cancelled"
                )
                gone.__cause__ = cause
                consumer.on_error(gone)
            elif consumer is not None:
                consumer.dispose()  # with timers that run behind this operator

    def _cross(self, callback: Callable[..., object], *args: Any) -> None:
        waiting = self._waiting
        if not waiting and self._is_there():
            callback(*args)
            self._wants.now = self._has_room_behind()
            return
        self._wants.now = False
        waiting.append((callback, args))
        if self._gate is not None and len(waiting) >= self._size:
            self._gate.close(self)
            if self._has_left or len(waiting) <= self._size // 2:  # emptied in the meantime by the other thread
                self._gate.open(self)
        if not self._is_posted:
            self._post_turn()
        elif not self._is_watched and self._downstream is not None:
            self._watch(self._downstream, OVERDUE)

    def _watch(self, scheduler: LoopScheduler, seconds: float) -> None:
        """Post a turn again if it doesn't come. An event loop that was closed, for example, has dropped it."""
        self._is_watched = True
        turns = self._turns

        def look(*_: Any) -> None:
            self._is_watched = False
            if self._has_left or not (self._is_posted or self._waiting):
                return
            if self._turns != turns:  # that turn has come; another one is under way
                self._watch(scheduler, OVERDUE)
            else:
                self._post_turn()
                self._watch(scheduler, 2 * seconds)  # a thread that is busy for long isn't flooded with turns

        with suppress(RuntimeError):  # the sources' loop is closed
            timer = self._watch_timer = scheduler.schedule_relative(seconds, look)
            if self._has_left:
                timer.dispose()

    def _ask(self) -> None:
        if not self._waiting and self._has_room_behind():
            self._wants.begin()

    def _has_room_behind(self) -> bool:
        """Return whether the consumer behind the target thread wants an item; plain callbacks always do."""
        if self._asking is not None:
            return self._asking.now
        return self._gate is None or not self._gate.closed

    def _post_turn(self) -> None:
        self._is_posted = True
        try:
            self._post(self._deliver)
        except RuntimeError as error:  # the target thread is gone
            self.abandon(error)
        except Exception as error:  # a bug in `post`: nothing can cross, not even the error
            self.dispose()
            (self._on_error or self._unhandled)(error)

    def _deliver(self) -> None:
        self._is_posted = False  # reset before the last check of `waiting`: a later item posts its own turn
        self._turns += 1
        until = time.monotonic() + TURN
        waiting = self._waiting
        try:
            for _ in range(len(waiting)):  # items that arrive meanwhile wait for the next turn
                if self._has_left:  # the target thread is gone, or no one wants the rest
                    waiting.clear()
                if not waiting or time.monotonic() > until:
                    break
                callback, args = waiting.popleft()
                callback(*args)
                if self._gate is not None and len(waiting) <= self._size // 2:
                    self._gate.open(self)
                if not waiting:
                    self._ask()
        finally:
            if waiting and not self._is_posted:
                self._post_turn()
