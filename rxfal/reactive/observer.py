"""What stands between a source and the callbacks of one subscription: the Rx grammar, and who gets an exception.

Both observers let nothing through after the end or after `dispose`. They differ in what an exception from an
`on_next` means: inside a chain it is the chain's failure and becomes `on_error`; at the outermost subscription it is
the subscriber's own bug, which is reported and must not harm the source or its other subscribers.
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

from .loop import is_subscribing
from .scheduler import LoopScheduler

_T = TypeVar("_T")
_T_in = TypeVar("_T_in", contravariant=True)

# A subscriber's callbacks: whatever they return is let go, so that a `label.set_text` that returns itself will do.
OnNext: TypeAlias = Callable[[_T], object]
OnError: TypeAlias = Callable[[Exception], object]
OnCompleted: TypeAlias = Callable[[], object]


class ChainObserver(abc.ObserverBase[_T_in]):
    """The observer of a subscription inside an operator chain: what escapes `on_next` becomes `on_error`."""

    __slots__ = ("_is_fed_by_a_stream", "_on_completed", "_on_error", "_on_next", "_subscription", "is_stopped")

    def __init__(
        self,
        on_next: OnNext[_T_in] | None,
        on_error: OnError | None,
        on_completed: OnCompleted | None,
    ) -> None:
        self._on_next = on_next or noop
        self._on_error = on_error or self._unhandled
        self._on_completed = on_completed or noop
        self._subscription = SingleAssignmentDisposable()
        self._is_fed_by_a_stream = True
        self.is_stopped = False

    def subscribe_to(self, source: Observable[_T_in], scheduler: abc.SchedulerBase | None) -> abc.DisposableBase:
        """Subscribe an operator's own observer; a Stream puts no other around it, which saves a call per item.

        Where the operator's result is no Stream, or the source none, what escapes `on_next` goes up to the source
        instead, as in reactivex: the next Stream on the way, or whoever emits, is told.

        Only for an observer that is new: what an operator was handed, it may only subscribe in the usual way.
        """
        feed = getattr(source, "_feed", None)
        if feed is not None and (is_subscribing() or isinstance(scheduler, LoopScheduler)):
            return feed(self, scheduler)
        self._is_fed_by_a_stream = False
        self.attach(source.subscribe(self, scheduler=scheduler))
        return Disposable(self.dispose)

    def on_next(self, value: _T_in) -> None:
        """Hand an item on, unless the end was reached."""
        if not self.is_stopped:
            try:
                self._on_next(value)
            except BaseException as error:
                self._next_failed(error)

    def on_error(self, error: Exception) -> None:
        """Hand the error on, as the end."""
        if not self.is_stopped:
            self._end(self._on_error, error)

    def on_completed(self) -> None:
        """Hand the end on."""
        if not self.is_stopped:
            self._end(self._on_completed)

    def dispose(self) -> None:
        """Let nothing more through, and end the source."""
        self.is_stopped = True
        self._subscription.dispose()

    def attach(self, subscription: abc.DisposableBase) -> None:
        """Take the source's disposable, to be disposed at the end; at once if the end came first."""
        self._subscription.disposable = subscription

    def _end(self, callback: Callable[..., object], *args: Exception) -> None:
        self.is_stopped = True
        try:
            callback(*args)
        finally:
            self._subscription.dispose()

    def _next_failed(self, error: BaseException) -> None:
        if not self._is_fed_by_a_stream:
            raise error
        self.on_error(cast(Exception, error))  # SystemExit too: who waits for the end must not wait for ever
        if not isinstance(error, Exception):
            raise error

    def _unhandled(self, error: Exception) -> None:
        raise error


class OperatorObserver(ChainObserver[_T_in]):
    """The observer of an operator, in front of the observer that gets what the operator makes of the items."""

    __slots__ = ()

    def __init__(self, observer: abc.ObserverBase[Any]) -> None:
        super().__init__(observer.on_next, observer.on_error, observer.on_completed)


class OutermostObserver(ChainObserver[_T_in]):
    """The observer of a user's own subscription: what its callbacks raise is reported, and goes no further."""

    __slots__ = ("_loop", "_name")

    def __init__(
        self,
        on_next: OnNext[_T_in] | None,
        on_error: OnError | None,
        on_completed: OnCompleted | None,
        name: str,
        loop: Callable[[], asyncio.AbstractEventLoop],
    ) -> None:
        super().__init__(on_next, on_error, on_completed)
        self._name = name
        self._loop = loop

    def _end(self, callback: Callable[..., object], *args: Exception) -> None:
        try:
            super()._end(callback, *args)
        except BaseException as error:
            self._report(f"a callback raised {error!r}", error)

    def _next_failed(self, error: BaseException) -> None:
        self.dispose()
        self._report(f"on_next raised {error!r}, the subscription was disposed", error)

    def _unhandled(self, error: Exception) -> None:
        self._report(f"an error and no on_error callback: {error!r}", error)

    def _report(self, what: str, error: BaseException) -> None:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):  # these mean the program
            raise error
        self._loop().call_exception_handler({"message": f"stream {self._name}: {what}", "exception": error})


def _is_async(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


_FUNCTIONS = (types.FunctionType, types.MethodType)  # what else is called may have an `async def __call__`


def refuse_coroutine_functions(**callbacks: Callable[..., Any] | None) -> None:
    """Raise TypeError for an `async def` callback: Rx would call it and drop the coroutine unawaited."""
    for name, callback in callbacks.items():
        while isinstance(callback, functools.partial):
            callback = callback.func
        if callback is None:
            continue
        call = getattr(type(callback), "__call__", None)  # noqa: B004
        if _is_async(callback) or (not isinstance(callback, _FUNCTIONS) and _is_async(call)):
            raise TypeError(
                f"{name} is an async function, which a subscription would never await: iterate with `async for`, or "
                "await each item with ops.flat_map(lambda item: asyncio.ensure_future(handle(item)))."
            )
