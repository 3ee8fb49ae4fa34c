"""The observers between a source and a subscription's callbacks: they keep the Rx grammar and route exceptions.

Both observers pass nothing on after the end or after `dispose`. They differ in what an exception from `on_next` means.
Inside a chain, it is a failure of the chain and becomes `on_error`. At the outermost subscription, it is a bug in the
subscriber: it is reported, and must not harm the source or its other subscribers.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SingleAssignmentDisposable
from reactivex.internal import noop
from reactivex.observer import AutoDetachObserver, ScheduledObserver

from .background import current_loop
from .gate import Asking
from .hops import held, running_loop
from .scheduler import LoopScheduler

_T = TypeVar("_T")
_T_in = TypeVar("_T_in", contravariant=True)

# A subscriber's callbacks. Their results are ignored, so a `label.set_text` that returns the label is fine too.
OnNext: TypeAlias = Callable[[_T], object]
OnError: TypeAlias = Callable[[Exception], object]
OnCompleted: TypeAlias = Callable[[], object]


class ChainObserver(abc.ObserverBase[_T_in]):
    """The observer of a subscription inside an operator chain. An exception raised in `on_next` becomes `on_error`.

    Attributes:
        is_stopped: Whether the stream has ended or the subscription has been disposed.
        is_pulling: Whether someone is waiting on this consumer, and would wait forever if it were never told the end.
        asking: For a consumer with a queue, whether it wants an item now; otherwise None.
    """

    is_pulling = False
    asking: Asking | None = None

    __slots__ = (
        "_is_fed_by_a_stream",
        "_on_completed",
        "_on_error",
        "_on_next",
        "_scheduler",
        "_subscription",
        "is_stopped",
    )

    def __init__(
        self,
        on_next: OnNext[_T_in] | None,
        on_error: OnError | None,
        on_completed: OnCompleted | None,
    ) -> None:
        self._on_next: OnNext[Any] = on_next or noop
        self._on_error = on_error
        self._on_completed = on_completed or noop
        self._subscription = SingleAssignmentDisposable()
        self._scheduler: LoopScheduler | None = None
        self._is_fed_by_a_stream = True
        self.is_stopped = False

    def subscribe_to(self, source: Observable[_T_in], scheduler: abc.SchedulerBase | None) -> abc.DisposableBase:
        """Subscribe an operator's own observer. A Stream doesn't wrap it in another one, which saves a call per item.

        If the source or the chain's outermost Observable is not a Stream, exceptions from `on_next` propagate up to the
        source instead, as in reactivex: the next Stream on the way up handles them, or whoever emits gets them.

        Use this only for a newly created observer. An observer that an operator was given must be subscribed in the
        usual way.
        """
        feed = _feed_of(source, scheduler)
        if feed is not None:
            return feed(self, scheduler)
        self._is_fed_by_a_stream = False
        self.attach(source.subscribe(self, scheduler=scheduler))
        return Disposable(self.dispose)

    def begin(self, subscribe: abc.Subscription[_T_in], scheduler: abc.SchedulerBase) -> None:
        """Start the source; if that fails, end with the error. Callbacks on other threads' loops are held meanwhile."""
        if isinstance(scheduler, LoopScheduler):
            if scheduler.consumer is not self:
                self._scheduler = scheduler
            is_on_loop = running_loop() is scheduler.loop
        else:
            is_on_loop = False
        on_next = self._on_next
        if not is_on_loop:  # it may emit on this thread while it subscribes, and each item is a boundary of its own
            self._on_next = functools.partial(_deliver_held, on_next)
        try:
            with held():
                subscription: Any = subscribe(self, scheduler)
                self.attach(subscription if hasattr(subscription, "dispose") else Disposable(subscription))
        except Exception as error:
            if self.is_stopped:
                raise
            self.on_error(error)
        finally:
            self._on_next = on_next

    def on_next(self, value: _T_in) -> None:
        """Pass an item on, unless the stream has ended."""
        if not self.is_stopped:
            try:
                self._on_next(value)
            except BaseException as error:
                self._next_failed(error)

    def on_error(self, error: Exception) -> None:
        """Pass the error on, and end."""
        if not self.is_stopped:
            self._end(self._on_error or self._unhandled, error)

    def on_completed(self) -> None:
        """Pass the completion on, and end."""
        if not self.is_stopped:
            self._end(self._on_completed)

    def on_loop_end(self, error: Exception) -> None:
        """Handle the end of the sources' loop, as the consumer. Callbacks end with their loop and aren't notified."""

    def dispose(self) -> None:
        """Pass nothing more on, and dispose the source."""
        self.is_stopped = True
        self._subscription.dispose()

    def attach(self, subscription: abc.DisposableBase) -> None:
        """Keep the source's disposable, to dispose it at the end; or dispose it at once if the end came first."""
        self._subscription.disposable = subscription

    def _end(self, callback: Callable[..., object], *args: Any) -> None:
        self.is_stopped = True
        try:
            try:
                with held():
                    callback(*args)
            finally:
                self._subscription.dispose()
        except BaseException as error:
            self._end_failed(error)

    def _end_failed(self, error: BaseException) -> None:
        # The callback failed before the end reached the consumer, so tell the consumer directly.
        if not isinstance(error, Exception) or self._scheduler is None:
            raise error
        self._scheduler.tell(error)

    def _next_failed(self, error: BaseException) -> None:
        if not self._is_fed_by_a_stream:
            raise error
        if self.is_stopped and isinstance(error, Exception) and self._scheduler is not None:
            self._scheduler.report(error)
            return
        self.on_error(cast(Exception, error))  # even SystemExit: whoever waits for the end must not wait forever
        if not isinstance(error, Exception):
            raise error

    def _unhandled(self, error: Exception) -> None:
        raise error


class OperatorObserver(ChainObserver[_T_in]):
    """An operator's observer, in front of the downstream observer that receives the operator's results."""

    __slots__ = ()

    def __init__(self, observer: abc.ObserverBase[Any]) -> None:
        super().__init__(observer.on_next, observer.on_error, observer.on_completed)


def subscribe_within(
    source: Observable[_T],
    on_next: abc.OnNext[_T],
    on_error: abc.OnError,
    on_completed: abc.OnCompleted,
    scheduler: abc.SchedulerBase | None,
) -> abc.DisposableBase:
    """Subscribe the way an operator does, with callbacks that are a link in a chain."""
    feed = _feed_of(source, scheduler)
    if feed is None:
        return source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)
    return feed(ChainObserver(on_next, on_error, on_completed), scheduler)


def _feed_of(source: Observable[Any], scheduler: abc.SchedulerBase | None) -> Callable[..., abc.DisposableBase] | None:
    """Return a Stream's `feed`, which bypasses `subscribe`, for observers known to be links in a chain; or None.

    An operator that was given no scheduler may end in a plain Observable, where none of rxfal's observers catches a
    subscriber's exceptions. Then the Stream's own `subscribe` has to catch them.
    """
    if scheduler is None and getattr(source, "outside", None) is None:
        return None
    return getattr(source, "feed", None)


def is_stream(source: Observable[Any]) -> bool:
    """Return whether an Observable is a Stream, for modules that `stream.py` imports."""
    return hasattr(source, "feed")


def is_within(*callbacks: object) -> bool:
    """Return whether any callback continues a chain: a method of its observers, or a function inside reactivex."""
    return any(_leads_on(callback) for callback in callbacks)


def _leads_on(callback: object) -> bool:
    while isinstance(callback, functools.partial):
        callback = callback.func
    if isinstance(callback, types.MethodType):
        return isinstance(callback.__self__, AutoDetachObserver | ChainObserver | ScheduledObserver)
    module = getattr(callback, "__module__", None) or ""
    return module.startswith("reactivex.") and not module.startswith("reactivex.testing")


def _deliver_held(on_next: OnNext[_T], value: _T) -> None:
    with held():
        on_next(value)


class OutermostObserver(ChainObserver[_T_in]):
    """The observer of a user's own subscription. Exceptions from its callbacks are reported and go no further."""

    __slots__ = ("_loop", "_name")

    def __init__(
        self,
        on_next: OnNext[_T_in] | None,
        on_error: OnError | None,
        on_completed: OnCompleted | None,
        name: str,
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        super().__init__(on_next, on_error, on_completed)
        self._name = name
        self._loop = loop

    def _end_failed(self, error: BaseException) -> None:
        self._report(f"a callback raised {error!r}", error)

    def _next_failed(self, error: BaseException) -> None:
        try:
            self.dispose()
        except Exception as failure:
            self._report(f"disposing raised {failure!r}", failure)
        self._report(f"on_next raised {error!r}, the subscription was disposed", error)

    def _unhandled(self, error: Exception) -> None:
        self._report(f"an error and no on_error callback: {error!r}", error)

    def _report(self, what: str, error: BaseException) -> None:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):  # these are meant to end the program
            raise error
        loop = self._loop or current_loop()
        loop.call_exception_handler({"message": f"stream {self._name}: {what}", "exception": error})


def _is_async(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


_FUNCTIONS = (
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
)  # any other callable may have an `async def __call__`


def check_callbacks(**callbacks: object) -> None:
    """Raise TypeError for a callback that isn't callable or is `async def`: Rx would drop its coroutine."""
    for name, callback in callbacks.items():
        if callback is None:
            continue
        if not callable(callback):
            raise TypeError(f"{name} is a function or an observer, not {callback!r}")
        while isinstance(callback, functools.partial):
            callback = callback.func
        call = getattr(type(callback), "__call__", None)  # noqa: B004
        if _is_async(callback) or (not isinstance(callback, _FUNCTIONS) and _is_async(call)):
            raise TypeError(
                f"{name} is an async function, which a subscription would never await: iterate with `async for`, or "
                "await each item with ops.flat_map(lambda item: asyncio.ensure_future(handle(item)))."
            )
