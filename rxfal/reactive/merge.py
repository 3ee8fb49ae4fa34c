"""`merge`: several streams in one."""

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
    """An item of a tagged merge, and which stream it came from.

    `Tagged[Answer]` is an `Answer` with a text as its tag, `Tagged[Answer, int]` one with a number.

    Attributes:
        tag: What `merge` was given to tell the stream by: a text, or anything that can be a dict's key.
        value: The item; with `errors="items"` the exception that its stream ended with.
    """

    tag: _Tag
    value: _T

    @property
    def error(self) -> Exception | None:
        """The value where it is an exception, else None."""
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

    Completes when all have completed; the first error ends it, unless errors are items. Items that come from several
    threads are handed on one at a time. All share the subscription's demand gate: a full consumer holds every one of
    them back.

    Args:
        sources: Streams or other Observables; or one mapping from tags to them. Any key of a dict can be a tag.
        errors: `"end"`: the first error ends all; `"items"`, for tagged streams: it is an item, and the others go on.
        tagged: Streams by tag, as keywords. (A stream tagged `errors` goes into a mapping.)

    Returns:
        A Stream of the items as they are, or of `Tagged` items where there are tags.

    Raises:
        TypeError: For a mix of plain and tagged streams, or something that is no Observable; for plain streams with
            `errors="items"`.
        ValueError: For another word for `errors`.

    Examples:
        >>> import reactivex as rx
        >>> sorted(merge(rx.of(1, 2), rx.of(3)))
        [1, 2, 3]
        >>> sorted(merge(a=rx.of(1), b=rx.of(2)))
        [Tagged(tag='a', value=1), Tagged(tag='b', value=2)]
    """
    if errors not in ("end", "items"):
        raise ValueError(f"errors is 'end' or 'items', not {errors!r}; a stream tagged so goes into a mapping")
    every, tags, name = named_sources("merge", sources, tagged)
    if errors == "items" and every and not tags:
        raise TypeError("errors='items' needs tags, to tell which stream failed: pass a mapping or keywords")
    return Stream(partial(_merge, every, tags, errors == "items"), name=name)


def named_sources(
    verb: str, sources: tuple[Any, ...], tagged: Mapping[Any, Any]
) -> tuple[list[Observable[Any]], list[Hashable], str]:
    """The streams that `merge` and its kind were given, their tags if they have any, and what to call the result."""
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
