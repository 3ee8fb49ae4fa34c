"""From an Observable to pulling: async iterator, blocking iterator, last value. Bounded, lossless, nothing polls.

What arrives goes to an inbox, which a consumer empties at its own pace, and waits at while it is empty: a coroutine
with a future, a thread with a lock. The iterators close the subscription's demand gate when their inbox is full and
open it at half, so that a slow `for` body slows the server down. A source without a gate (a Subject, an interval)
overflows the mark and is kept. Items are accepted from any thread.
"""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from reactivex import Observable, abc
from reactivex.internal import SequenceContainsNoElementsError, noop

from .background import foreign_background_loop, subscribing_on
from .gate import Asking
from .hops import release, running_loop
from .observer import ChainObserver
from .scheduler import LoopScheduler

_T = TypeVar("_T")

BUFFER_SIZE = 256
"""Items that an iterator holds before it pauses its sources. Half of it is delivered per wake-up of a busy reader."""


class _Waiter(Protocol):
    def wake(self) -> None: ...


class _CoroutineWaiter:
    """Where a coroutine waits for an inbox; woken from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._future: asyncio.Future[None] | None = None

    async def wait_for(self, inbox: _Inbox[Any]) -> None:
        self._future = self._loop.create_future()
        inbox.wants.begin()
        try:
            if not inbox.has_news():  # looked at after it asked: another thread sees one of the two
                await self._future
        finally:
            inbox.wants.now = False
            self._future = None

    def wake(self) -> None:
        if (future := self._future) is None:
            pass
        elif running_loop() is self._loop:
            _settle(future)
        else:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(_settle, future)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _ThreadWaiter:
    """Where a thread waits for an inbox; woken from any other."""

    def __init__(self) -> None:
        self._woken: queue.SimpleQueue[None] = queue.SimpleQueue()

    def wait_for(self, inbox: _Inbox[Any]) -> None:
        release()
        try:
            while True:
                # Asked anew each time: who wakes may have been held up since the last, and have ended this asking.
                inbox.wants.begin()
                if inbox.has_news():
                    return
                self._woken.get()
        finally:
            inbox.wants.now = False

    def wake(self) -> None:
        self._woken.put(None)


class _Inbox(ChainObserver[_T]):
    """What has arrived, and how it ended, until the consumer takes it. The consumer of its subscription.

    Attributes:
        error: What the source ended with, if that was an error.
        wants: Its asking.
    """

    is_pulling = True

    def __init__(self, waiter: _Waiter) -> None:
        super().__init__(None, noop, None)
        self.error: Exception | None = None
        self.wants = Asking()
        self._wake = waiter.wake

    def has_news(self) -> bool:
        """Whether there is something to take, if only the end."""
        return self.is_stopped

    def on_error(self, error: Exception) -> None:
        if not self.is_stopped:
            self.error = error
            self._end(self._wake)

    def on_completed(self) -> None:
        if not self.is_stopped:
            self._end(self._wake)

    def on_loop_end(self, error: Exception) -> None:
        self.on_error(error)


class _Queue(_Inbox[_T]):
    """All items, in order. It closes the demand gate when it is full; whoever takes an item opens it at half.

    Attributes:
        items: What has arrived.
        half: How many are few enough for the sources to go on.
    """

    def __init__(self, waiter: _Waiter, scheduler: LoopScheduler, size: int) -> None:
        super().__init__(waiter)
        self.asking = self.wants
        self.items: deque[_T] = deque()
        self._gate = scheduler.gate
        self._size = size
        self.half = size // 2
        scheduler.consumer = self

    def has_news(self) -> bool:
        return bool(self.items) or self.is_stopped

    def on_next(self, value: _T) -> None:
        if self.is_stopped:
            return
        items = self.items
        items.append(value)
        if self.wants.now:
            self.wants.now = False
            self._wake()
        if len(items) >= self._size:
            self._gate.close()
            if len(items) <= self.half:  # a consumer on another thread emptied it between the two lines
                self._gate.open()


class _Latest(_Inbox[_T]):
    """Only the last item."""

    _NOTHING: Any = object()

    def __init__(self, waiter: _Waiter, scheduler: LoopScheduler | None) -> None:
        super().__init__(waiter)
        self._value: _T = self._NOTHING
        if scheduler is not None:
            scheduler.consumer = self

    def on_next(self, value: _T) -> None:
        if not self.is_stopped:
            self._value = value

    def result(self) -> _T:
        """The last item, or the error."""
        if self.error is not None:
            if isinstance(self.error, StopIteration):  # which no coroutine and no generator may raise
                raise RuntimeError(f"the stream ended with {self.error!r}") from self.error
            raise self.error
        if self._value is self._NOTHING:
            raise SequenceContainsNoElementsError()
        return self._value


async def iterate(source: Observable[_T], *, buffer_size: int = BUFFER_SIZE) -> AsyncGenerator[_T, None]:
    """Iterate any Observable with `async for`, with backpressure; what `async for item in stream` does.

    It subscribes at the first item asked for. Breaking out of the loop, cancelling its task or `aclose()` disposes
    the subscription. An iterator kept in a variable is best closed with `contextlib.aclosing`.

    Args:
        source: A Stream, or any Observable (`rx.merge(...)`, a Subject).
        buffer_size: Items held before the sources are paused.

    Returns:
        An async generator of the source's items.

    Raises:
        Exception: What the source ends with, after all items that came before it.

    Examples:
        >>> import asyncio, reactivex as rx
        >>> async def main():
        ...     return [item async for item in iterate(rx.of(1, 2, 3))]
        >>> asyncio.run(main())
        [1, 2, 3]
    """
    loop = asyncio.get_running_loop()
    scheduler = LoopScheduler(loop)
    waiter = _CoroutineWaiter(loop)
    inbox: _Queue[_T] = _Queue(waiter, scheduler, positive(buffer_size))
    items, take, half, gate = inbox.items, inbox.items.popleft, inbox.half, scheduler.gate
    subscription = inbox.subscribe_to(source, scheduler)
    try:
        while True:
            while items:
                item = take()
                if gate.closed and len(items) <= half:
                    gate.open()
                yield item
            if inbox.is_stopped and not items:
                break
            await waiter.wait_for(inbox)
        if inbox.error is not None:
            raise inbox.error
    finally:
        subscription.dispose()  # before the gate opens, or the source would go on until it hears of it
        scheduler.gate.open(for_good=True)


def iterate_blocking(source: Observable[_T], *, buffer_size: int = BUFFER_SIZE) -> Generator[_T, None, None]:
    """Iterate any Observable from code without an event loop; the source runs on the background loop.

    It subscribes at the first item asked for; `close()` or dropping the iterator disposes the subscription.

    Args:
        source: A Stream, or any Observable.
        buffer_size: Items held before the sources are paused.

    Returns:
        A generator of the source's items, which blocks its thread while it waits.

    Raises:
        RuntimeError: At the call, on the background loop's own thread.
    """
    scheduler = LoopScheduler(foreign_background_loop("iterating a stream"))
    return _pull(source, scheduler, positive(buffer_size))


def _pull(source: Observable[_T], scheduler: LoopScheduler, size: int) -> Generator[_T, None, None]:
    waiter = _ThreadWaiter()
    inbox: _Queue[_T] = _Queue(waiter, scheduler, size)
    items, take, half, gate = inbox.items, inbox.items.popleft, inbox.half, scheduler.gate
    with subscribing_on(scheduler.loop):
        subscription = inbox.subscribe_to(source, scheduler)
    try:
        while True:
            while items:
                item = take()
                if gate.closed and len(items) <= half:
                    gate.open()
                yield item
            if inbox.is_stopped and not items:
                break
            waiter.wait_for(inbox)
        if inbox.error is not None:
            raise inbox.error
    finally:
        subscription.dispose()
        scheduler.gate.open(for_good=True)


async def last(source: Observable[_T]) -> _T:
    """The last item of any Observable; what `await stream` gives. Cancelling the waiting task disposes it.

    Raises:
        SequenceContainsNoElementsError: The source completed without an item.
        Exception: What the source ends with.
    """
    loop = asyncio.get_running_loop()
    scheduler = LoopScheduler(loop)
    waiter = _CoroutineWaiter(loop)
    inbox = _Latest[_T](waiter, scheduler)
    subscription = inbox.subscribe_to(source, scheduler)
    try:
        while not inbox.has_news():
            await waiter.wait_for(inbox)
        return inbox.result()
    finally:
        subscription.dispose()


def last_blocking(source: Observable[_T], scheduler: abc.SchedulerBase | None = None) -> _T:
    """The last item of any Observable, for code without an event loop; the source runs on the background loop.

    Raises:
        RuntimeError: On the background loop's own thread.
        SequenceContainsNoElementsError: The source completed without an item.
        Exception: What the source ends with.
    """
    loop = foreign_background_loop("run()")
    own = None
    if scheduler is None:
        own = LoopScheduler(loop)
    elif isinstance(scheduler, LoopScheduler):
        own = LoopScheduler(scheduler.loop, scheduler.gate)  # the same, for this consumer
    waiter = _ThreadWaiter()
    inbox = _Latest[_T](waiter, own)
    with subscribing_on(loop):
        subscription = inbox.subscribe_to(source, own or scheduler)
    try:
        waiter.wait_for(inbox)
        return inbox.result()
    finally:
        subscription.dispose()


def positive(buffer_size: int) -> int:
    """The size, if a buffer can have it."""
    if buffer_size < 1:
        raise ValueError(f"buffer_size must be at least 1, not {buffer_size}")
    return buffer_size
