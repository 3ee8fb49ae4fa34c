"""`merge`: several streams in one."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar, overload

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, SingleAssignmentDisposable

from .stream import Stream

_T = TypeVar("_T")


class Tagged(NamedTuple, Generic[_T]):
    """An item of a tagged merge, and which stream it came from.

    Attributes:
        tag: The name that `merge` was given for the stream.
        value: The item.
    """

    tag: str
    value: _T


@overload
def merge(*sources: Observable[_T]) -> Stream[_T]: ...
@overload
def merge(sources: Mapping[str, Observable[_T]], /) -> Stream[Tagged[_T]]: ...
@overload
def merge(**sources: Observable[_T]) -> Stream[Tagged[_T]]: ...
def merge(*sources: Any, **tagged: Any) -> Any:
    """Subscribe to several streams at once and emit their items as they arrive.

    Completes when all have completed; the first error ends it (give a stream an `ops.catch` of its own to let
    the others go on). Items that come from several threads are handed on one at a time. All share the
    subscription's demand gate: a full consumer holds every one of them back.

    Args:
        sources: Streams or other Observables; or one mapping from tags to them.
        tagged: Streams by tag, as keywords.

    Returns:
        A Stream of the items as they are, or of `Tagged` items where there are tags.

    Raises:
        TypeError: For a mix of plain and tagged streams, or something that is no Observable.

    Examples:
        >>> import reactivex as rx
        >>> sorted(merge(rx.of(1, 2), rx.of(3)))
        [1, 2, 3]
        >>> sorted(merge(a=rx.of(1), b=rx.of(2)))
        [Tagged(tag='a', value=1), Tagged(tag='b', value=2)]
    """
    if len(sources) == 1 and isinstance(sources[0], Mapping):
        sources, tagged = (), {**sources[0], **tagged}
    if sources and tagged:
        raise TypeError("merge takes plain streams or tagged ones, not both: tag them all, or none")
    for source in (*sources, *tagged.values()):
        if not isinstance(source, Observable):
            raise TypeError(f"merge takes Observables, not {type(source).__name__}")
    names = ", ".join([*tagged, *(getattr(source, "name", "observable") for source in sources)])
    pairs: list[tuple[str | None, Observable[Any]]] = [*((None, source) for source in sources), *tagged.items()]
    return Stream(partial(_subscribe_all, pairs), name=f"merge({names})")


def _subscribe_all(
    sources: list[tuple[str | None, Observable[Any]]],
    observer: abc.ObserverBase[Any],
    scheduler: abc.SchedulerBase | None = None,
) -> abc.DisposableBase:
    lock = threading.RLock()
    running = len(sources)
    emit = observer.on_next

    def on_next(value: Any) -> None:
        with lock:
            emit(value)

    def on_next_tagged(tag: str, value: Any) -> None:
        with lock:
            emit(Tagged(tag, value))

    def on_error(error: Exception) -> None:
        with lock:
            observer.on_error(error)

    def on_completed() -> None:
        nonlocal running
        with lock:
            running -= 1
            if not running:
                observer.on_completed()

    if not sources:
        observer.on_completed()
    subscriptions = CompositeDisposable()
    for tag, source in sources:
        subscription = SingleAssignmentDisposable()
        subscriptions.add(subscription)
        subscription.disposable = source.subscribe(
            on_next if tag is None else partial(on_next_tagged, tag), on_error, on_completed, scheduler=scheduler
        )
    return subscriptions
