"""`merge`: combine several streams into one."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping
from functools import partial
from typing import Any, Generic, Literal, NamedTuple, overload

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, SingleAssignmentDisposable
from typing_extensions import TypeVar

from .observer import subscribe_within
from .stream import Stream

_T = TypeVar("_T")
_A = TypeVar("_A")
_B = TypeVar("_B")
_C = TypeVar("_C")
_D = TypeVar("_D")
_Key = TypeVar("_Key", bound=Hashable)
_Tag = TypeVar("_Tag", bound=Hashable, default=str)


class Tagged(NamedTuple, Generic[_T, _Tag]):
    """An item of a tagged merge, with the tag of the stream that it came from.

    `Tagged[Answer]` is an `Answer` with a string as its tag; `Tagged[Answer, int]` has a number.

    Attributes:
        tag: The stream's tag as given to `merge`: a string, or anything else that can be a dict key.
        value: The item; with `errors="items"`, it can be the exception that the stream ended with.
    """

    tag: _Tag
    value: _T

    @property
    def error(self) -> Exception | None:
        """The value if it is an exception, otherwise None."""
        return self.value if isinstance(self.value, Exception) else None


@overload
def merge(a: Observable[_A], b: Observable[_B], /) -> Stream[_A | _B]: ...
@overload
def merge(a: Observable[_A], b: Observable[_B], c: Observable[_C], /) -> Stream[_A | _B | _C]: ...
@overload
def merge(
    a: Observable[_A], b: Observable[_B], c: Observable[_C], d: Observable[_D], /
) -> Stream[_A | _B | _C | _D]: ...
@overload
def merge(*sources: Observable[_T], errors: Literal["end"] = "end") -> Stream[_T]: ...
@overload
def merge(sources: Mapping[_Key, Observable[_T]], /, *, errors: Literal["end"] = "end") -> Stream[Tagged[_T, _Key]]: ...
@overload
def merge(
    sources: Mapping[_Key, Observable[_T]], /, *, errors: Literal["items"]
) -> Stream[Tagged[_T | Exception, _Key]]: ...
@overload
def merge(*, errors: Literal["end"] = "end", **sources: Observable[_T]) -> Stream[Tagged[_T]]: ...
@overload
def merge(*, errors: Literal["items"], **sources: Observable[_T]) -> Stream[Tagged[_T | Exception]]: ...
def merge(*sources: Any, errors: Literal["end", "items"] = "end", **tagged: Any) -> Any:
    """Subscribe to several streams at once and emit their items as they arrive.

    The result completes when all of them have completed. The first error ends it, unless errors are items. Items from
    different threads are passed on one at a time. All streams share the subscription's demand gate, so a full consumer
    pauses every one of them.

    Marbles:
        a: -1----3-|
        b: ---2-----4-|
           > merge(a, b)
           -1-2--3--4-|

    - *Emits when* one of the streams does, or fails with `errors="items"`.
    - *Pauses when* the consumer is full. That pauses all of them.
    - *Ends when* all have ended, or one fails with `errors="end"`.
    - *Cancels when* disposed. That cancels all of them, and so does the first error with `errors="end"`.

    Args:
        sources: Streams or other Observables, or a single mapping from tags to them. A tag can be any dict key.

        errors: With `"end"`, the first error ends everything. With `"items"`, for tagged streams only, an error becomes
            an item and the other streams continue.
        tagged: Streams by tag, as keyword arguments. (To tag a stream `errors`, use a mapping.)

    Returns:
        A Stream of the items themselves, or of `Tagged` items if there are tags.

    Raises:
        TypeError: Plain and tagged streams are mixed, something is not an Observable, or plain streams come with
            `errors="items"`.
        ValueError: `errors` is another word.

    Examples:
        >>> import reactivex as rx
        >>> sorted(merge(rx.of(1, 2), rx.of(3)))
        [1, 2, 3]
        >>> sorted(merge(a=rx.of(1), b=rx.of(2)))
        [Tagged(tag='a', value=1), Tagged(tag='b', value=2)]
    """
    if errors not in ("end", "items"):
        raise ValueError(f"errors is 'end' or 'items', not {errors!r}; to tag a stream 'errors', use a mapping")
    every, tags, name = named_sources("merge", sources, tagged)
    if errors == "items" and every and not tags:
        raise TypeError("errors='items' needs tags, to tell which stream failed: pass a mapping or keywords")
    return Stream(partial(_merge, every, tags, errors == "items"), name=name)


def named_sources(
    verb: str, sources: tuple[Any, ...], tagged: Mapping[Any, Any]
) -> tuple[list[Observable[Any]], list[Hashable], str]:
    """Return the streams given to `merge` or a similar function, their tags if any, and a name for the result."""
    if len(sources) == 1 and isinstance(sources[0], Mapping):
        sources, tagged = (), {**sources[0], **tagged}
    if sources and tagged:
        raise TypeError(f"{verb} takes plain streams or tagged ones, not both: tag them all, or none")
    for source in (*sources, *tagged.values()):
        if not isinstance(source, Observable):
            raise TypeError(f"{verb} takes Observables, not {type(source).__name__}")
    names = map(str, tagged) if tagged else (getattr(source, "name", "observable") for source in sources)
    return list(sources or tagged.values()), list(tagged), f"{verb}({', '.join(names)})"


def _merge(
    sources: list[Observable[Any]],
    tags: list[Hashable],
    errors_are_items: bool,
    observer: abc.ObserverBase[Any],
    scheduler: abc.SchedulerBase | None = None,
) -> abc.DisposableBase:
    lock = threading.RLock()
    running = len(sources)
    emit = observer.on_next

    def on_next(value: Any) -> None:
        with lock:
            emit(value)

    def on_next_tagged(tag: Hashable, value: Any) -> None:
        with lock:
            emit(Tagged(tag, value))

    def on_error(error: Exception) -> None:
        with lock:
            observer.on_error(error)

    def on_error_tagged(tag: Hashable, error: Exception) -> None:
        on_next_tagged(tag, error)
        on_completed()

    def on_completed() -> None:
        nonlocal running
        with lock:
            running -= 1
            if not running:
                observer.on_completed()

    if not sources:
        observer.on_completed()
    subscriptions = CompositeDisposable()
    handlers = [partial(on_next_tagged, tag) for tag in tags] or [on_next] * len(sources)
    failures = [partial(on_error_tagged, tag) for tag in tags] if errors_are_items else [on_error] * len(sources)
    for source, handler, failure in zip(sources, handlers, failures):
        subscription = SingleAssignmentDisposable()
        subscriptions.add(subscription)
        subscription.disposable = subscribe_within(source, handler, failure, on_completed, scheduler)
    return subscriptions
