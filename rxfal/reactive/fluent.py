"""Fluent: reactivex's Observable with a `pipe` and fluent methods that return Streams. Knows nothing of event loops.

Most of reactivex's fluent methods call `pipe`. This file overrides `pipe` and the methods that bypass it. Type checkers
read `fluent.pyi` next to this file, which has the return type of every method.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from reactivex import Observable, typing

from . import operators as own

__all__ = ["Fluent"]

_T_co = TypeVar("_T_co", covariant=True)


class Fluent(Observable[_T_co]):
    """An Observable that turns the results of its operators into Streams. `Stream` defines how, in `_adopt`."""

    def _adopt(self, result: Any) -> Any:
        raise NotImplementedError

    def _inside(self) -> Any:
        raise NotImplementedError

    def _alike(self, result: Any) -> Any:
        """What comes out, for an operator again where this is what an operator of `pipe` got."""
        raise NotImplementedError

    def pipe(self, *operators: Callable[[Any], Any]) -> Any:
        """Compose operators from left to right, as reactivex does. If the result is an Observable, it is a Stream.

        Args:
            operators: Functions from an Observable to an Observable. The last one may return anything.

        Returns:
            A Stream, or whatever else the last operator returned.

        Examples:
            >>> import reactivex as rx
            >>> from rxfal import from_observable, operators as ops
            >>> from_observable(rx.range(10)).pipe(ops.filter(lambda x: x % 2), ops.sum()).run()
            25
        """
        result: Any = self
        for operator in operators:
            result = self._adopt(operator(result._inside() if isinstance(result, Fluent) else result))
        return self._alike(result)

    def map(self, mapper: typing.Mapper[Any, Any]) -> Any:
        """Transform each item; see `rxfal.operators.map`."""
        return self.pipe(own.per_item.map(mapper))

    def filter(self, predicate: typing.Predicate[Any]) -> Any:
        """Emit only the items for which the predicate is true; see `rxfal.operators.filter`."""
        return self.pipe(own.per_item.filter(predicate))

    def group_by(self, key_mapper: Any, element_mapper: Any = None, subject_mapper: Any = None) -> Any:
        """Group the items by key, with one stream per key; see `reactivex.operators.group_by`."""
        return self.pipe(own.grouping.group_by(key_mapper, element_mapper, subject_mapper))

    def group_by_until(
        self, key_mapper: Any, element_mapper: Any, duration_mapper: Any, subject_mapper: Any = None
    ) -> Any:
        """Group the items by key, in streams that end; see `reactivex.operators.group_by_until`."""
        return self.pipe(own.grouping.group_by_until(key_mapper, element_mapper, duration_mapper, subject_mapper))

    def window(self, boundaries: Observable[Any]) -> Any:
        """Split the items into streams that end when another Observable emits; see `reactivex.operators.window`."""
        return self.pipe(own.grouping.window(boundaries))

    def window_when(self, closing_mapper: Any) -> Any:
        """Split the items into streams, each with its own end; see `reactivex.operators.window_when`."""
        return self.pipe(own.grouping.window_when(closing_mapper))

    def window_toggle(self, openings: Observable[Any], closing_mapper: Any) -> Any:
        """Split the items into streams with their own starts and ends; see `reactivex.operators.window_toggle`."""
        return self.pipe(own.grouping.window_toggle(openings, closing_mapper))

    def window_with_count(self, count: int, skip: int | None = None) -> Any:
        """Split the items into streams by count; see `reactivex.operators.window_with_count`."""
        return self.pipe(own.grouping.window_with_count(count, skip))

    def window_with_time(self, timespan: Any, timeshift: Any = None, scheduler: Any = None) -> Any:
        """Split the items into streams by time; see `reactivex.operators.window_with_time`."""
        return self.pipe(own.grouping.window_with_time(timespan, timeshift, scheduler))

    def window_with_time_or_count(self, timespan: Any, count: int, scheduler: Any = None) -> Any:
        """Split the items into streams by time or count; see `reactivex.operators.window_with_time_or_count`."""
        return self.pipe(own.grouping.window_with_time_or_count(timespan, count, scheduler))

    def switch_latest(self) -> Any:
        """In a stream of streams, emit the items of the newest one."""
        return self.pipe(_reactivex().switch_latest())

    def exclusive(self) -> Any:
        """In a stream of streams, emit the items of the one in progress and drop any that start in the meantime."""
        return self.pipe(_reactivex().exclusive())

    def pluck(self, key: str) -> Any:
        """Emit the value at `key` of each item."""
        return self.pipe(_reactivex().pluck(key))

    def dematerialize(self) -> Any:
        """Turn a stream of notifications back into the items, error and end that they represent."""
        return self.pipe(_reactivex().dematerialize())

    def partition_indexed(self, predicate_indexed: typing.PredicateIndexed[Any]) -> Any:
        """Split into two streams over one subscription: the items for which the predicate is true, and the rest."""
        return self.pipe(_reactivex().partition_indexed(predicate_indexed))

    def ref_count(self) -> Any:
        """Turn a connectable stream into one that is connected as long as it has subscribers."""
        return self.pipe(_reactivex().ref_count())

    def __add__(self, other: Observable[Any]) -> Any:
        """Emit this stream's items, then the other's."""
        return self._alike(self._adopt(super().__add__(other)))

    def __iadd__(self, other: Observable[Any]) -> Any:
        return self + other

    def __getitem__(self, key: slice | int) -> Any:
        """Emit the item at an index or the items in a slice. Negative positions count from the end."""
        if isinstance(key, str):  # as in answer["images"]
            raise TypeError(
                f"a stream has no item {key!r}: get its value first, with .run() or await, or take the item of each "
                f"value with .pluck({key!r})"
            )
        return self._alike(self._adopt(super().__getitem__(key)))


def _reactivex() -> Any:
    """Import reactivex's operators late, because loading them takes a while."""
    from reactivex import operators

    return operators
