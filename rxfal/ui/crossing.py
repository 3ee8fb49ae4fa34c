"""What all toolkits share: an operator whose subscription ends with its window."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxfal.reactive.background import current_loop
from rxfal.reactive.iterate import positive
from rxfal.reactive.operators.on_thread import Crossing
from rxfal.reactive.scheduler import LoopScheduler

_T = TypeVar("_T")


class Window(Protocol):
    """A toolkit's thread, and the widget or object whose lifetime limits the operator's."""

    def post(self, callback: Callable[[], None]) -> object:
        """Schedule a callback on the toolkit's thread. Callable from any thread; never blocks.

        Raises:
            RuntimeError: The thread is gone.
        """
        ...

    def enter(self, on_gone: Callable[[], None]) -> Callable[[], None]:
        """Register a subscription that ends with the window.

        Args:
            on_gone: Called when the window is gone; at once, if it is gone already.

        Returns:
            A function that unregisters it. It may be called from any thread.
        """
        ...


def crossing_to(window: Window, buffer_size: int) -> Callable[[Observable[_T]], Observable[_T]]:
    """Make the operator that delivers items on a window's thread and ends with the window."""
    positive(buffer_size)

    def cross(source: Observable[_T]) -> Observable[_T]:
        def subscribe(observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            crossing: Crossing[Any] = Crossing(observer, window.post, buffer_size, scheduler)
            leave = window.enter(partial(_abandon, crossing, scheduler))
            if crossing.is_stopped:
                return Disposable()
            return CompositeDisposable(crossing.subscribe_to(source, crossing.upstream(scheduler)), Disposable(leave))

        return Observable(subscribe)

    return cross


def _abandon(crossing: Crossing[Any], scheduler: abc.SchedulerBase | None) -> None:
    try:
        crossing.abandon()
    except Exception as error:  # from a `finally_action`, say: the toolkit, and what else ends with the window, go on
        timing = scheduler if isinstance(scheduler, LoopScheduler) else LoopScheduler(current_loop())
        timing.report(error)
