"""`map` and `filter` with one call of overhead per item; on a Stream, reactivex's versions take two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from reactivex import Observable, abc, typing
from reactivex.internal.basic import identity

from rxfal.reactive.observer import OperatorObserver

from .arguments import check_function, check_predicate

_T = TypeVar("_T", bound=Any)  # if mypy can't infer a lambda's argument, it uses the bound
_R = TypeVar("_R")


def map(mapper: typing.Mapper[_T, _R] | None = None) -> Callable[[Observable[_T]], Observable[_R]]:
    """Transform each item with a function.

    Marbles:
        -1--2--3-|
        > map(lambda n: n * 2)
        -2--4--6-|

    - *Emits when* the source does.
    - *Pauses when* the consumer is full.
    - *Ends when* the source ends, or `mapper` raises.
    - *Cancels when* disposed.

    Args:
        mapper: Takes an item and returns its replacement. If it raises, the stream ends with that error. By default,
            items stay as they are.

    Returns:
        An operator.

    Raises:
        TypeError: `mapper` isn't callable.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> from_observable(rx.of(1, 2, 3)).pipe(ops.map(lambda n: n * 10), ops.to_list()).run()
        [10, 20, 30]
    """
    if mapper is not None:
        check_function("mapper", mapper)

    def map_(source: Observable[_T]) -> Observable[_R]:
        def subscribe(observer: abc.ObserverBase[_R], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            return _MapObserver(observer, mapper or identity).subscribe_to(source, scheduler)

        return Observable(subscribe)

    return map_


@overload
def filter(predicate: type[bool]) -> Callable[[Observable[_R]], Observable[_R]]: ...
@overload
def filter(predicate: typing.Predicate[_T]) -> Callable[[Observable[_T]], Observable[_T]]: ...
def filter(predicate: typing.Predicate[Any]) -> Callable[[Observable[_T]], Observable[_T]]:
    """Emit only the items for which the predicate is true.

    Marbles:
        -1--2--3--4-|
        > filter(lambda n: n % 2)
        -1-----3----|

    - *Emits when* the source does and the predicate is true.
    - *Pauses when* the consumer is full.
    - *Ends when* the source ends, or the predicate raises.
    - *Cancels when* disposed.

    Args:
        predicate: Takes an item and returns something true or false. If it raises, the stream ends with that error.

    Returns:
        An operator.

    Raises:
        TypeError: `predicate` isn't callable, or is an async function.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> from_observable(rx.of(1, 2, 3, 4)).pipe(ops.filter(lambda n: n % 2), ops.to_list()).run()
        [1, 3]
    """
    check_predicate("predicate", predicate)

    def filter_(source: Observable[_T]) -> Observable[_T]:
        def subscribe(observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            return _FilterObserver(observer, predicate).subscribe_to(source, scheduler)

        return Observable(subscribe)

    return filter_


class _MapObserver(OperatorObserver[_T]):
    __slots__ = ("_mapper",)

    def __init__(self, observer: abc.ObserverBase[Any], mapper: Callable[[_T], Any]) -> None:
        super().__init__(observer)
        self._mapper = mapper

    def on_next(self, value: _T) -> None:
        if not self.is_stopped:
            try:
                try:
                    result = self._mapper(value)
                except Exception as error:
                    self.on_error(error)
                else:
                    self._on_next(result)
            except BaseException as error:
                self._next_failed(error)


class _FilterObserver(OperatorObserver[_T]):
    __slots__ = ("_predicate",)

    def __init__(self, observer: abc.ObserverBase[_T], predicate: Callable[[_T], Any]) -> None:
        super().__init__(observer)
        self._predicate = predicate

    def on_next(self, value: _T) -> None:
        if not self.is_stopped:
            try:
                try:
                    holds = self._predicate(value)
                except Exception as error:
                    self.on_error(error)
                    return
                if holds:
                    self._on_next(value)
            except BaseException as error:
                self._next_failed(error)
