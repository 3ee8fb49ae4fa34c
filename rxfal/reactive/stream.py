"""Stream: a reactivex Observable that knows its event loop and can be awaited, iterated and run.

Everything that takes an Observable takes a Stream, and `pipe` and the fluent methods return Streams again. Knows
nothing about fal: a source is any coroutine function that feeds a `Sink` (see `create`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable
from typing import Any, Generic, TypeVar, cast, overload

from reactivex import ConnectableObservable, GroupedObservable, Observable, abc, typing
from reactivex.disposable import Disposable
from reactivex.scheduler import CurrentThreadScheduler

from . import operators as own
from .background import current_loop
from .fluent import Fluent
from .hops import running_loop
from .iterate import BUFFER_SIZE, iterate, iterate_blocking, last, last_blocking
from .observer import ChainObserver, OnCompleted, OnError, OnNext, OutermostObserver, check_callbacks, is_within
from .reader import Reader, Sink
from .scheduler import LoopScheduler
from .unused import watch

_T = TypeVar("_T")
_T_out = TypeVar("_T_out", covariant=True)
_Key = TypeVar("_Key")


class Stream(Fluent[_T_out]):
    """An Observable that chooses its own event loop; you can subscribe to, compose, await, iterate or run it.

    Subscribed inside a running event loop, it works on that loop. Otherwise it uses one background loop in a daemon
    thread. It is cold: each subscription starts the source anew.

    Args:
        subscribe: Starts a subscription: takes an observer and a scheduler, and returns a disposable.
        name: The stream's name in error reports.

    Attributes:
        outside: On the copy of a stream that `pipe` passes to its operators, the original stream; otherwise None.

    Examples:
        >>> import reactivex as rx
        >>> stream = from_observable(rx.of(1, 2, 3))
        >>> stream.map(lambda x: x * 2).run()
        6
        >>> list(stream)
        [1, 2, 3]
    """

    def __init__(self, subscribe: abc.Subscription[_T_out] | None = None, *, name: str = "stream") -> None:
        super().__init__(subscribe)
        self.name = name
        self.outside: Stream[_T_out] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def subscribe(
        self,
        on_next: abc.ObserverBase[_T_out] | OnNext[_T_out] | None = None,
        on_error: OnError | None = None,
        on_completed: OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """Start the source and pass its items to callbacks or to an observer.

        If a callback raises an exception, it is reported to the event loop's exception handler and this subscription
        is disposed; other subscriptions are not affected. An error without an `on_error` callback is reported too.

        Args:
            on_next: Called with each item. It may also be an observer; then the other callbacks are ignored.
            on_error: Called with the exception that ended the stream.
            on_completed: Called when the stream has completed.
            scheduler: Runs the timers of time operators. By default, a `LoopScheduler` for the current loop.

        Returns:
            A disposable. `dispose()` ends the subscription; call it from any thread, at any time, as often as you like.

        Raises:
            TypeError: A callback isn't callable, or is an `async def` function.

        Examples:
            >>> import reactivex as rx
            >>> subscription = from_observable(rx.never()).subscribe(print, print, lambda: print("done"))
            >>> subscription.dispose()
        """
        if isinstance(on_next, abc.ObserverBase) or callable(getattr(on_next, "on_next", None)):
            target = cast("abc.ObserverBase[_T_out]", on_next)
            on_next, on_error, on_completed = target.on_next, target.on_error, target.on_completed
        check_callbacks(on_next=on_next, on_error=on_error, on_completed=on_completed)
        # This is a link in a chain if the stream comes from `pipe`, or the callbacks continue a chain with a scheduler.
        is_link = scheduler is not None and is_within(on_next, on_error, on_completed)
        if is_link or (self.outside is not None and on_error is not None):
            return self.feed(ChainObserver(on_next, on_error, on_completed), scheduler)
        loop = current_loop() if scheduler is None else None
        observer = OutermostObserver(on_next, on_error, on_completed, self.name, loop)
        return self.feed(observer, scheduler if loop is None else LoopScheduler(loop, consumer=observer))

    def feed(self, observer: ChainObserver[_T_out], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
        """Subscribe an observer that keeps the Rx grammar itself, without wrapping it in another one.

        For rxfal's own operators and consumers. All other code should use `subscribe`.

        Args:
            observer: A newly created observer.
            scheduler: The same as for `subscribe`.

        Returns:
            The same as `subscribe`.
        """
        timing = scheduler or LoopScheduler(current_loop())

        def begin(*_: Any) -> None:
            observer.begin(self._subscribe_core, timing)

        # As in Observable.subscribe: a thread's first subscription sets up the trampoline. Synchronous sources (repeat,
        # from_iterable without a scheduler) emit on it once they can be disposed.
        trampoline = CurrentThreadScheduler.singleton()
        if trampoline.schedule_required():
            trampoline.schedule(begin)
        else:
            begin()
        return Disposable(observer.dispose)

    def _inside(self) -> Stream[_T_out]:
        """Copy this stream for an operator of `pipe`: a subscription to the copy is a link in a chain."""
        if self.outside is not None:
            return self
        inside: Any = object.__new__(type(self))
        inside.__dict__.update(self.__dict__)
        inside.outside = self
        return inside

    def _alike(self, result: Any) -> Any:
        if self.outside is not None and isinstance(result, Stream):
            return cast("Stream[Any]", result)._inside()
        return result

    def _adopt(self, result: Any) -> Any:
        if (outside := getattr(result, "outside", None)) is not None:
            return outside
        if isinstance(result, list):  # the result of `partition`
            return [self._adopt(part) for part in cast("list[Any]", result)]
        if isinstance(result, Observable):
            return from_observable(cast("Observable[Any]", result), name=self.name)
        return result

    # Waiting, iterating, blocking.

    async def wait(self) -> _T_out:
        """Wait for the last item, like `await stream`, but as a coroutine, for `asyncio.create_task` and the like.

        Returns:
            The last item.

        Raises:
            SequenceContainsNoElementsError: The stream completed without an item.
            Exception: The error that the stream ends with.

        Examples:
            >>> import asyncio, reactivex as rx
            >>> async def main():
            ...     async with asyncio.TaskGroup() as tasks:
            ...         task = tasks.create_task(from_observable(rx.of(1, 2)).wait())
            ...     return task.result()
            >>> asyncio.run(main())
            2
        """
        return await last(self)

    def __await__(self) -> Generator[Any, None, _T_out]:
        """Wait for the last item; cancelling the wait disposes the subscription."""
        return last(self).__await__()

    def __aiter__(self) -> AsyncGenerator[_T_out, None]:
        """Pull the items with backpressure; see `rxfal.iterate`."""
        return iterate(self)

    def __iter__(self) -> Generator[_T_out, None, None]:
        """Pull the items on a thread without an event loop.

        Raises:
            TypeError: Called inside a running event loop, which would be blocked.
        """
        if running_loop() is not None:
            raise TypeError(
                f"{self!r} can't be iterated with a plain `for` inside a running event loop, which it would "
                "block: use `async for`, or `.blocking()` if blocking is what you want."
            )
        return iterate_blocking(self)

    def blocking(self, *, buffer_size: int = BUFFER_SIZE) -> Generator[_T_out, None, None]:
        """Iterate on the background loop and block this thread while waiting, even if an event loop runs here.

        Args:
            buffer_size: How many items to hold before the sources pause.

        Returns:
            A generator of the items. Closing or dropping it disposes the subscription.

        Raises:
            RuntimeError: Called on the background loop's own thread, such as inside a callback there.
            ValueError: `buffer_size` is below 1.

        Examples:
            >>> import reactivex as rx
            >>> list(from_observable(rx.of("a", "b")).blocking())
            ['a', 'b']
        """
        return iterate_blocking(self, buffer_size=buffer_size)

    def run(self, scheduler: abc.SchedulerBase | None = None) -> _T_out:
        """Block until the last item, while the stream runs on the background loop.

        Args:
            scheduler: Runs the timers of time operators. By default, the background loop.

        Returns:
            The last item.

        Raises:
            SequenceContainsNoElementsError: The stream completed without an item.
            RuntimeError: Called on the background loop's own thread, such as inside a callback there.
            Exception: The error that the stream ends with.

        Examples:
            >>> import reactivex as rx
            >>> from_observable(rx.of(1, 2)).run()
            2
        """
        return last_blocking(self, scheduler)

    # rxfal's own versions of operators.

    def share(self) -> Stream[_T_out]:
        """Share one subscription to the source among all current subscribers; see `rxfal.operators.share`."""
        return self.pipe(own.share.share())

    def observe_on(self, scheduler: abc.SchedulerBase) -> Stream[_T_out]:
        """Pass the items on through a scheduler; see `rxfal.operators.observe_on`."""
        return self.pipe(own.observe_on.observe_on(scheduler))

    def delay(
        self, duetime: typing.AbsoluteOrRelativeTime, scheduler: abc.SchedulerBase | None = None
    ) -> Stream[_T_out]:
        """Pass each item on after a delay; see `rxfal.operators.delay`."""
        return self.pipe(own.delay.delay(duetime, scheduler))

    @overload
    def timeout(
        self,
        duetime: typing.AbsoluteOrRelativeTime,
        other: None = None,
        scheduler: abc.SchedulerBase | None = None,
    ) -> Stream[_T_out]: ...
    @overload
    def timeout(
        self,
        duetime: typing.AbsoluteOrRelativeTime,
        other: Observable[_T] | typing.AnyFuture[_T],
        scheduler: abc.SchedulerBase | None = None,
    ) -> Stream[_T_out | _T]: ...
    def timeout(
        self,
        duetime: typing.AbsoluteOrRelativeTime,
        other: Observable[Any] | typing.AnyFuture[Any] | None = None,
        scheduler: abc.SchedulerBase | None = None,
    ) -> Stream[Any]:
        """After a silence, end with StreamTimeoutError or switch to `other`; see `rxfal.operators.timeout`."""
        return self.pipe(own.timeout.timeout(duetime, other, scheduler))

    @overload
    def buffer(self, boundaries: Observable[Any]) -> Stream[list[_T_out]]: ...
    @overload
    def buffer(self, *, count: int | None = None, seconds: float | None = None) -> Stream[list[_T_out]]: ...
    def buffer(
        self, boundaries: Observable[Any] | None = None, *, count: int | None = None, seconds: float | None = None
    ) -> Stream[list[_T_out]]:
        """Collect items into lists by boundaries, count or time; see `rxfal.operators.buffer`."""
        return self.pipe(own.buffer.buffer(boundaries, count=count, seconds=seconds))

    def buffer_with_count(self, count: int, skip: int | None = None) -> Stream[list[_T_out]]:
        """Collect items into lists of `count`; see `rxfal.operators.buffer_with_count`."""
        return self.pipe(own.buffer.buffer_with_count(count, skip))

    def buffer_with_time(
        self,
        timespan: typing.RelativeTime,
        timeshift: typing.RelativeTime | None = None,
        scheduler: abc.SchedulerBase | None = None,
    ) -> Stream[list[_T_out]]:
        """Collect items into lists by time; see `rxfal.operators.buffer_with_time`."""
        return self.pipe(own.buffer.buffer_with_time(timespan, timeshift, scheduler))

    def buffer_with_time_or_count(
        self, timespan: typing.RelativeTime, count: int, scheduler: abc.SchedulerBase | None = None
    ) -> Stream[list[_T_out]]:
        """Collect items into lists by time or count; see `rxfal.operators.buffer_with_time_or_count`."""
        return self.pipe(own.buffer.buffer_with_time_or_count(timespan, count, scheduler))

    def sequence_equal(
        self, second: Observable[_T_out] | Iterable[_T_out], comparer: typing.Comparer[_T_out] | None = None
    ) -> Stream[bool]:
        """Emit whether this and the other sequence have equal items and ends."""
        return self.pipe(own.sequence_equal.sequence_equal(second, comparer))


class ConnectableStream(Stream[_T], ConnectableObservable[_T]):  # pyright: ignore[reportIncompatibleMethodOverride]
    """The result of a Stream's `publish`, `replay` and `multicast`. It starts its single source on `connect()`."""

    def __init__(self, source: Observable[_T], subject: abc.SubjectBase[_T], *, name: str = "stream") -> None:
        ConnectableObservable.__init__(self, source, subject)  # pyright: ignore[reportUnknownMemberType]
        self.name = name
        self.outside = None

    def _inside(self) -> ConnectableStream[_T]:
        return self  # a copy would have a connection of its own

    def auto_connect(self, subscriber_count: int = 1) -> Stream[_T]:
        """Connect once this many subscribers have subscribed, and stay connected."""
        return self._adopt(super().auto_connect(subscriber_count))


class GroupedStream(  # pyright: ignore[reportIncompatibleMethodOverride]
    Stream[_T], GroupedObservable[_Key, _T], Generic[_Key, _T]
):
    """One group of `group_by`.

    Attributes:
        key: The key that all its items share.
    """

    def __init__(self, group: GroupedObservable[_Key, _T], *, name: str = "stream") -> None:
        GroupedObservable.__init__(self, group.key, group.underlying_observable)  # pyright: ignore[reportUnknownMemberType]
        self.name = name
        self.outside = None


def from_observable(source: Observable[_T], *, name: str = "stream") -> Stream[_T]:
    """Turn any Observable into a Stream, which is awaitable, iterable, and runs its time operators on an event loop.

    It adds no layer: the Stream subscribes the way `source` does.

    Args:
        source: An Observable, such as `rx.merge(...)`.
        name: The stream's name in error reports.

    Returns:
        A Stream; for a connectable Observable, a connectable one. A Stream is returned as it is.

    Raises:
        TypeError: `source` is not an Observable.

    Examples:
        >>> import reactivex as rx
        >>> from_observable(rx.of(1, 2, 3)).to_list().run()
        [1, 2, 3]
    """
    if not isinstance(source, Observable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"from_observable takes an Observable, not {type(source).__name__}")
    if isinstance(source, Stream):
        return source
    if isinstance(source, ConnectableObservable):
        return ConnectableStream(source.source, source.subject, name=name)  # pyright: ignore[reportArgumentType]
    if isinstance(source, GroupedObservable):
        return GroupedStream(cast("GroupedObservable[Any, _T]", source), name=name)
    return Stream(source._subscribe_core, name=name)  # pyright: ignore[reportPrivateUsage]


def create(
    read: Callable[[Sink[_T]], Coroutine[Any, Any, None]], *, name: str, unused: str | None = None
) -> Stream[_T]:
    """Create a cold Stream fed by a coroutine: each subscription runs `read(sink)` in its own task.

    When the coroutine returns, the subscription completes; when it raises, the subscription ends with `on_error`.
    Disposing the subscription cancels the task.

    Args:
        read: Calls `sink.on_next` with each item, and waits for `sink.gate` while the gate is closed.
        name: The stream's name in error reports, and the name of its tasks.
        unused: What to call the stream if it is never subscribed, for a warning in Python's development mode. If left
            out, there is no warning.

    Returns:
        A Stream that starts the coroutine on its subscription's loop.

    Examples:
        >>> async def count(sink):
        ...     for number in range(3):
        ...         sink.on_next(number)
        ...         if sink.gate.closed:
        ...             await sink.gate.wait()
        >>> list(create(count, name="count"))
        [0, 1, 2]
    """
    mark = watch(unused)

    def subscribe(observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
        if mark is not None:
            mark.is_used = True
        timing = scheduler if isinstance(scheduler, LoopScheduler) else LoopScheduler(current_loop())
        reader = Reader(read, observer, timing, name)
        reader.start()
        return reader

    return Stream(subscribe, name=name)
