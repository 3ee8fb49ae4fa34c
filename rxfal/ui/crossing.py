"""What the toolkits have in common: an operator that ends when its window does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxfal.reactive.iterate import positive
from rxfal.reactive.operators.on_thread import Crossing

_T = TypeVar("_T")


class Window(Protocol):
    """A toolkit's thread, and what an operator was given to live as long as."""

    def post(self, callback: Callable[[], None]) -> object:
        """Have the thread call back; from any thread, without blocking. RuntimeError when the thread is gone."""
        ...

    def enter(self, on_gone: Callable[[], None]) -> Callable[[], None]:
        """Begin a subscription that ends with the window.

        Args:
            on_gone: Called when the window is gone.

        Returns:
            What undoes it, from any thread.
        """
        ...


def crossing_to(window: Window, buffer_size: int) -> Callable[[Observable[_T]], Observable[_T]]:
    """The operator that hands items to a window's thread, and ends with the window."""
    positive(buffer_size)

    def cross(source: Observable[_T]) -> Observable[_T]:
        def subscribe(observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            crossing: Crossing[Any] = Crossing(observer, window.post, buffer_size, scheduler)
            leave = window.enter(crossing.dispose)
            return CompositeDisposable(crossing.subscribe_to(source, crossing.upstream(scheduler)), Disposable(leave))

        return Observable(subscribe)

    return cross
