"""`conflate`: give a slow consumer the newest item when it asks for one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, cast, overload

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxfal.reactive.gate import Asking
from rxfal.reactive.hops import running_loop
from rxfal.reactive.observer import OperatorObserver
from rxfal.reactive.scheduler import Consumer, LoopScheduler

from .arguments import check_function

_T = TypeVar("_T", bound=Any)  # if mypy can't infer a lambda's argument, it uses the bound

_NOTHING: Any = object()


@overload
def conflate() -> Callable[[Observable[_T]], Observable[_T]]: ...
@overload
def conflate(merge: Callable[[_T, _T], _T] | None) -> Callable[[Observable[_T]], Observable[_T]]: ...
def conflate(merge: Callable[[_T, _T], _T] | None = None) -> Callable[[Observable[_T]], Observable[_T]]:
    """While the consumer is busy, keep only the newest item, or all items merged into one.

    Use it when a consumer is slower than its source and only cares about the latest state: images that sharpen, the
    text so far. `map` and `filter` may come after it. (`throttle_latest` goes by the clock. With neither, an iterator
    first has to work through up to 256 outdated items.)

    Marbles:
              -1-2-3-4-5-6-7|
              > conflate()
        asks: ?-----?-----?
              -1----3-----6-(7|)

    - *Emits when* the consumer asks and an item is kept, when an item comes and the consumer is already waiting, and,
      if an item is still kept, before the end.
    - *Pauses when* never. Its source goes on.
    - *Ends when* the source ends, or `merge` raises.
    - *Cancels when* disposed.

    The consumer is an iterator (`async for`, `for`, `.blocking()`), or a later `on_thread` or similar operator. Plain
    callbacks and `await` have no queue, so for them every item passes.

    Args:
        merge: Combines the kept item and a new one into one item, so that nothing is lost, such as `operator.add` for
            deltas. By default, the new item replaces the kept one. If it raises, the stream ends with that error.

    Returns:
        An operator. It holds one item.

    Raises:
        TypeError: `merge` isn't callable.

    Examples:
        >>> import operator, reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> "".join(from_observable(rx.of("to", " ", "be")).pipe(ops.conflate(operator.add)))
        'to be'
    """
    if merge is not None:
        check_function("merge", merge)

    def conflate_(source: Observable[_T]) -> Observable[_T]:
        def subscribe(observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            if (
                not isinstance(scheduler, LoopScheduler)
                or (consumer := scheduler.consumer) is None
                or (asking := consumer.asking) is None
            ):
                return source.subscribe(observer, scheduler=scheduler)  # no one here can ask
            newest = _Newest(observer, merge, scheduler, consumer, asking)
            asking.add_listener(newest.asked)
            # The source gets its own gate, which no one closes.
            subscription = newest.subscribe_to(source, LoopScheduler(scheduler.loop, consumer=newest))
            return CompositeDisposable(subscription, Disposable(partial(asking.remove_listener, newest.asked)))

        return Observable(subscribe)

    return conflate_


class _Newest(OperatorObserver[_T]):
    """Keeps an item until the consumer asks. For everything upstream, this object is the consumer."""

    __slots__ = ("_asking", "_consumer", "_kept", "_lock", "_loop", "_merge")

    def __init__(
        self,
        observer: abc.ObserverBase[_T],
        merge: Callable[[_T, _T], _T] | None,
        scheduler: LoopScheduler,
        consumer: Consumer,
        asking: Asking,
    ) -> None:
        super().__init__(observer)
        self._merge = merge
        self._loop = scheduler.loop
        self._scheduler = scheduler  # its consumer is told what breaks downstream
        self._consumer = consumer
        self._asking = asking
        self._lock = threading.RLock()  # the consumer and the source may be on different threads
        self._kept: Any = _NOTHING

    @property
    def is_pulling(self) -> bool:
        return self._consumer.is_pulling

    def on_next(self, value: _T) -> None:
        if not self.is_stopped:
            try:
                with self._lock:
                    if self._kept is _NOTHING and self._asking.now:
                        self._on_next(value)
                    elif self._kept is _NOTHING or self._merge is None:
                        self._kept = value
                    else:
                        try:
                            self._kept = self._merge(self._kept, value)
                        except Exception as error:
                            self.on_error(error)
            except BaseException as error:
                self._next_failed(error)

    def on_error(self, error: Exception) -> None:
        if not self.is_stopped:
            self._end(self._flush, self._on_error or self._unhandled, error)

    def on_completed(self) -> None:
        if not self.is_stopped:
            self._end(self._flush, self._on_completed)

    def on_loop_end(self, error: Exception) -> None:
        self._consumer.on_loop_end(error)

    def asked(self) -> None:
        """Deliver the kept item on the loop, so that everything downstream runs on the items' own thread."""
        if running_loop() is self._loop:
            self._give()
            return
        with self._lock:
            if self._kept is _NOTHING:
                return
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._give)  # now, not with `call_on`: the consumer's thread is waiting

    def _give(self) -> None:
        with self._lock:
            if self._kept is not _NOTHING and self._asking.now and not self.is_stopped:
                value, self._kept = self._kept, _NOTHING
                try:
                    self._on_next(value)
                except BaseException as error:  # the source didn't make this call, so don't raise into it
                    self.on_error(cast(Exception, error))
                    if not isinstance(error, Exception):
                        raise

    def _flush(self, end: Callable[..., object], *args: Exception) -> None:
        with self._lock:
            value, self._kept = self._kept, _NOTHING
            if value is not _NOTHING:
                self._on_next(value)
            end(*args)
