"""Pull from an Observable: async iterator, blocking iterator, last value. Bounded and lossless, without polling.

Items go into an inbox, which the consumer empties at its own pace. While it is empty the consumer waits: a coroutine on
a future, a thread on a lock. The iterators close the subscription's demand gate when their inbox is full and open it
when it is half empty, so a slow `for` body slows the server down. A source without a gate (a Subject, an interval) can
exceed the limit; its items are kept. Items are accepted from any thread.
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
"""How many items an iterator holds before it pauses its sources. A busy reader delivers half of it per wake-up."""


class _Waiter(Protocol):
    def wake(self) -> None: ...


class _CoroutineWaiter:
    """Lets a coroutine wait for an inbox. Any thread may wake it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._future: asyncio.Future[None] | None = None

    async def wait_for(self, inbox: _Inbox[Any]) -> None:
        self._future = self._loop.create_future()
        inbox.wants.begin()
        try:
            if not inbox.has_news():  # checked after asking, so news from another thread can't be missed
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
            with suppress(RuntimeError):  # the loop is closed: nobody is waiting any more
                self._loop.call_soon_threadsafe(_settle, future)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _ThreadWaiter:
    """Lets a thread wait for an inbox. Any other thread may wake it."""

    def __init__(self) -> None:
        self._woken: queue.SimpleQueue[None] = queue.SimpleQueue()

    def wait_for(self, inbox: _Inbox[Any]) -> None:
        release()
        try:
            while True:
                # Ask again each time: the waker may be a delayed one from an earlier item, and have ended this asking.
                inbox.wants.begin()
                if inbox.has_news():
                    return
                self._woken.get()
        finally:
            inbox.wants.now = False

    def wake(self) -> None:
        self._woken.put(None)


class _Inbox(ChainObserver[_T]):
    """Holds what has arrived, and how the source ended, until it is taken. It is its subscription's consumer.

    Attributes:
        error: The error that the source ended with, if any.
        wants: Whether an item is wanted now; the same object as `asking`, but never None.
    """

    is_pulling = True

    def __init__(self, waiter: _Waiter) -> None:
        super().__init__(None, noop, None)
        self.error: Exception | None = None
        self.wants = Asking()
        self._wake = waiter.wake

    def has_news(self) -> bool:
        """Return whether there is anything to take, even if it is only the end."""
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
    """Holds all items, in order. It closes the demand gate when it is full; taking items opens it again at half.

    Attributes:
        items: The items that have arrived and have not been taken.
        half: The number of items at or below which the sources resume.
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
            if len(items) <= self.half:  # a consumer on another thread took items in between
                self._gate.open()


class _Latest(_Inbox[_T]):
    """Holds only the last item."""

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
        """Return the last item, or raise the error."""
        if self.error is not None:
            if isinstance(self.error, StopIteration):  # coroutines and generators can't raise it
                raise RuntimeError(f"the stream ended with {self.error!r}") from self.error
            raise self.error
        if self._value is self._NOTHING:
            raise SequenceContainsNoElementsError()
        return self._value


async def iterate(source: Observable[_T], *, buffer_size: int = BUFFER_SIZE) -> AsyncGenerator[_T, None]:
    """Iterate over any Observable with `async for`, with backpressure. `async for item in stream` does the same.

    It subscribes when the first item is requested. `aclose()` and cancelling the task dispose the subscription, and so
    does breaking out of the loop. If you keep the iterator in a variable, close it with `contextlib.aclosing`.

    Args:
        source: A Stream or any other Observable (`rx.merge(...)`, a Subject).
        buffer_size: How many items to hold before the sources pause.

    Returns:
        An async generator of the source's items.

    Raises:
        ValueError: `buffer_size` is below 1.
        Exception: The error that the source ends with, after all items that came before it.

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
        subscription.dispose()  # before the gate opens, or the source would resume until it is told
        scheduler.gate.open(for_good=True)


def iterate_blocking(source: Observable[_T], *, buffer_size: int = BUFFER_SIZE) -> Generator[_T, None, None]:
    """Iterate over any Observable from code without an event loop; the source runs on the background loop.

    It subscribes when the first item is requested. `close()` disposes the subscription, and so does dropping the
    iterator.

    Args:
        source: A Stream or any other Observable.
        buffer_size: How many items to hold before the sources pause.

    Returns:
        A generator of the source's items, which blocks its thread while it waits.

    Raises:
        RuntimeError: Called on the background loop's own thread; raised by the call itself.
        ValueError: `buffer_size` is below 1; raised by the call itself.
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
    """Wait for the last item of any Observable, as `await stream` does. Cancelling the wait disposes the subscription.

    Raises:
        SequenceContainsNoElementsError: The source completed without an item.
        Exception: The error that the source ends with.
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
    """Block until the last item of any Observable, which runs on the background loop.

    Raises:
        RuntimeError: Called on the background loop's own thread.
        SequenceContainsNoElementsError: The source completed without an item.
        Exception: The error that the source ends with.
    """
    loop = foreign_background_loop("run()")
    own = None
    if scheduler is None:
        own = LoopScheduler(loop)
    elif isinstance(scheduler, LoopScheduler):
        own = LoopScheduler(scheduler.loop, scheduler.gate)  # the same loop and gate, for this consumer
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
    """Return the size unchanged, or raise ValueError if it is below 1."""
    if buffer_size < 1:
        raise ValueError(f"buffer_size must be at least 1, not {buffer_size}")
    return buffer_size
