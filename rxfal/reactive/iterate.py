"""From an Observable to pulling: async iterator, blocking iterator, last value. Bounded, lossless, nothing polls.

The iterators close the subscription's demand gate when their buffer is full and open it at half, so that a slow
`for` body slows the server down. A source without a gate (a Subject, an interval) overflows the mark and is kept.
Items are accepted from any thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
from collections import deque
from collections.abc import AsyncGenerator, Generator
from typing import Any, Generic, TypeVar, cast

from reactivex import Observable, abc
from reactivex.internal import SequenceContainsNoElementsError, noop

from .loop import foreign_background_loop, running_loop, subscribing_on
from .observer import ChainObserver
from .scheduler import LoopScheduler

_T = TypeVar("_T")

BUFFER_SIZE = 256
"""Items that an iterator holds before it pauses its sources. Half of it is delivered per wake-up of a busy reader."""


class _Inbox(ChainObserver[_T]):
    """The buffer between a pushing source and a coroutine that pulls."""

    def __init__(self, loop: asyncio.AbstractEventLoop, size: int) -> None:
        super().__init__(None, noop, None)
        self.items: deque[_T] = deque()
        self.scheduler = LoopScheduler(loop)
        self.error: Exception | None = None
        self._loop = loop
        self._gate = self.scheduler.gate
        self._size = size
        self._waiter: asyncio.Future[None] | None = None

    def on_next(self, value: _T) -> None:
        if self.is_stopped:
            return
        items = self.items
        items.append(value)
        if self._waiter is not None:
            self._wake()
        if len(items) >= self._size:
            self._gate.close()
            if len(items) <= self._size // 2:  # a consumer on another thread emptied it between the two lines
                self._gate.open()

    def on_error(self, error: Exception) -> None:
        if not self.is_stopped:
            self.error = error
            self._end(self._wake)

    def on_completed(self) -> None:
        if not self.is_stopped:
            self._end(self._wake)

    async def arrival(self) -> None:
        """Return when there may be something new."""
        waiter = self._waiter = self._loop.create_future()
        try:
            # Looked at after the waiter is up: another thread sees one of the two.
            if not self.items and not self.is_stopped:
                await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            if running_loop() is self._loop:
                _settle(waiter)
            else:
                self._loop.call_soon_threadsafe(_settle, waiter)


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


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
    inbox: _Inbox[_T] = _Inbox(asyncio.get_running_loop(), positive(buffer_size))
    gate = inbox.scheduler.gate
    items = inbox.items
    half = buffer_size // 2
    subscription = inbox.subscribe_to(source, inbox.scheduler)
    try:
        while True:
            while items:
                item = items.popleft()
                if gate.closed and len(items) <= half:
                    gate.open()
                yield item
            if inbox.is_stopped and not items:
                break
            await inbox.arrival()
        if inbox.error is not None:
            raise inbox.error
    finally:
        subscription.dispose()  # before the gate opens, or the source would go on until it hears of it
        gate.open(for_good=True)


class _End:
    __slots__ = ("error",)

    def __init__(self, error: Exception | None) -> None:
        self.error = error


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
    inbox: queue.SimpleQueue[_T | _End] = queue.SimpleQueue()
    gate = scheduler.gate
    half = size // 2

    def on_next(value: _T) -> None:
        inbox.put(value)
        if inbox.qsize() >= size:
            gate.close()
            if inbox.qsize() <= half:  # the consumer's thread emptied it between the two lines
                gate.open()

    with subscribing_on(scheduler.loop):
        subscription = source.subscribe(
            on_next,
            lambda error: inbox.put(_End(error)),
            lambda: inbox.put(_End(None)),
            scheduler=scheduler,
        )
    try:
        while True:
            item = inbox.get()
            if type(item) is _End:
                if item.error is not None:
                    raise item.error
                return
            if gate.closed and inbox.qsize() <= half:
                gate.open()
            yield cast(_T, item)
    finally:
        subscription.dispose()
        gate.open(for_good=True)


class _Last(abc.ObserverBase[_T], Generic[_T]):
    """Keeps the last item and hands it to a future at the end."""

    _NOTHING: Any = object()

    def __init__(self) -> None:
        self.outcome: concurrent.futures.Future[_T] = concurrent.futures.Future()
        self._value: _T = self._NOTHING

    def on_next(self, value: _T) -> None:
        self._value = value

    def on_error(self, error: Exception) -> None:
        if isinstance(error, StopIteration):  # which no asyncio future takes
            stopped = RuntimeError(f"the stream ended with {error!r}")
            stopped.__cause__ = error
            error = stopped
        if self.outcome.set_running_or_notify_cancel():
            self.outcome.set_exception(error)

    def on_completed(self) -> None:
        if self._value is self._NOTHING:
            self.on_error(SequenceContainsNoElementsError())
        elif self.outcome.set_running_or_notify_cancel():
            self.outcome.set_result(self._value)


async def last(source: Observable[_T]) -> _T:
    """The last item of any Observable; what `await stream` gives. Cancelling the waiting task disposes it.

    Raises:
        SequenceContainsNoElementsError: The source completed without an item.
        Exception: What the source ends with.
    """
    observer = _Last[_T]()
    subscription = source.subscribe(observer, scheduler=LoopScheduler(asyncio.get_running_loop()))
    try:
        return await asyncio.wrap_future(observer.outcome)
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
    observer = _Last[_T]()
    with subscribing_on(loop):
        subscription = source.subscribe(observer, scheduler=scheduler or LoopScheduler(loop))
    try:
        return observer.outcome.result()
    finally:
        subscription.dispose()


def positive(buffer_size: int) -> int:
    """The size, if a buffer can have it."""
    if buffer_size < 1:
        raise ValueError(f"buffer_size must be at least 1, not {buffer_size}")
    return buffer_size
