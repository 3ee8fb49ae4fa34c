"""`exhaust_map`: run one inner stream at a time, and ignore other items until it has ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar, cast, overload

from reactivex import Observable, abc, from_, from_future, typing
from reactivex.disposable import CompositeDisposable, SerialDisposable, SingleAssignmentDisposable
from reactivex.internal.utils import is_future

from rxfal.reactive.observer import subscribe_within

_T = TypeVar("_T", bound=Any)  # if mypy can't infer a lambda's argument, it uses the bound
_R = TypeVar("_R")

_Inner: TypeAlias = Observable[_R] | typing.AnyFuture[_R] | Iterable[_R]


@overload
def exhaust_map(project: Callable[[_T], Observable[_R]]) -> Callable[[Observable[_T]], Observable[_R]]: ...
@overload
def exhaust_map(project: Callable[[_T], typing.AnyFuture[_R]]) -> Callable[[Observable[_T]], Observable[_R]]: ...
@overload
def exhaust_map(project: Callable[[_T], Iterable[_R]]) -> Callable[[Observable[_T]], Observable[_R]]: ...
@overload
def exhaust_map(
    project: Observable[_R] | typing.AnyFuture[_R] | Iterable[_R],
) -> Callable[[Observable[Any]], Observable[_R]]: ...
def exhaust_map(
    project: Callable[[Any], _Inner[Any]] | _Inner[Any],
) -> Callable[[Observable[Any]], Observable[Any]]:
    """Turn an item into a stream and emit that stream's items; drop items that arrive while it is running.

    Use it for clicks on a button while an answer is still streaming. (`switch_map` would cancel the answer and start
    the next one.)

    Marbles:
                -1-2--------3--|
        answer:  --a-b|
        answer:             --a-b|
                > exhaust_map(answer)
                ---a-b--------a-b|

    - *Emits when* the inner stream does.
    - *Pauses when* the consumer is full.
    - *Ends when* the source and the inner stream have ended, one of them fails, or `project` raises.
    - *Cancels when* disposed. That cancels the source and the inner stream.

    Args:
        project: Takes an item and returns an Observable, a future or an iterable. It may also be one of these itself,
            to use for every item. If it raises, the stream ends with that error.

    Returns:
        An operator.

    Raises:
        TypeError: `project` is none of these.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> answer = lambda click: rx.of(f"answer {click}").pipe(ops.delay(0.01))
        >>> clicks = from_observable(rx.of(1, 2, 3))
        >>> list(clicks.pipe(ops.exhaust_map(answer)))
        ['answer 1']
    """
    if not (callable(project) or isinstance(project, Observable | Iterable) or is_future(project)):
        raise TypeError(f"project is a function, an Observable, a future or an iterable, not {project!r}")

    def exhaust_map_(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            lock = threading.RLock()  # the source and the inner stream may be on different threads
            inner = SerialDisposable()
            is_running = False
            is_over = False

            def on_next(value: Any) -> None:
                nonlocal is_running
                with lock:
                    if is_running:
                        return
                    is_running = True
                try:
                    stream = _observable(project(value) if callable(project) else project)
                except Exception as error:
                    on_error(error)
                    return
                subscription = SingleAssignmentDisposable()
                inner.disposable = subscription
                subscription.disposable = subscribe_within(stream, emit, on_error, inner_completed, scheduler)

            def emit(value: Any) -> None:
                with lock:
                    observer.on_next(value)

            def on_error(error: Exception) -> None:
                with lock:
                    observer.on_error(error)

            def inner_completed() -> None:
                nonlocal is_running
                with lock:
                    is_running = False
                    if is_over:
                        observer.on_completed()

            def on_completed() -> None:
                nonlocal is_over
                with lock:
                    is_over = True
                    if not is_running:
                        observer.on_completed()

            return CompositeDisposable(subscribe_within(source, on_next, on_error, on_completed, scheduler), inner)

        return Observable(subscribe)

    return exhaust_map_


def _observable(given: Any) -> Observable[Any]:
    if isinstance(given, Observable):
        return cast("Observable[Any]", given)
    return from_future(given) if is_future(given) else from_(given)
