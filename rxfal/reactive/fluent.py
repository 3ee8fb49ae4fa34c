"""Fluent: reactivex's Observable, whose fluent methods and `pipe` give Streams again. Knows nothing of event loops.

Most fluent methods of reactivex go through `pipe`; here are `pipe` and those that go round it. Type checkers read
`fluent.pyi` beside this file, which says of every method what comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from reactivex import Observable, typing

from . import operators as own

__all__ = ["Fluent"]

_T_co = TypeVar("_T_co", covariant=True)


class Fluent(Observable[_T_co]):
    """An Observable that makes Streams of what its operators return. `Stream` says how: `_adopt`."""

    def _adopt(self, result: Any) -> Any:
        raise NotImplementedError

    def _inside(self) -> Any:
        raise NotImplementedError

    def pipe(self, *operators: Callable[[Any], Any]) -> Any:
        """Compose operators from left to right, as reactivex does; an Observable that comes out is a Stream.

        Args:
            operators: Functions from an Observable to an Observable (or to anything, in the last place).

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
        return result

    def map(self, mapper: typing.Mapper[Any, Any]) -> Any:
        """Turn each item into another; see `rxfal.operators.map`."""
        return self.pipe(own.per_item.map(mapper))

    def filter(self, predicate: typing.Predicate[Any]) -> Any:
        """Let through the items for which the predicate holds; see `rxfal.operators.filter`."""
        return self.pipe(own.per_item.filter(predicate))

    def group_by(self, key_mapper: Any, element_mapper: Any = None, subject_mapper: Any = None) -> Any:
        """The items by key, in a stream for each key; see `reactivex.operators.group_by`."""
        return self.pipe(own.grouping.group_by(key_mapper, element_mapper, subject_mapper))

    def group_by_until(
        self, key_mapper: Any, element_mapper: Any, duration_mapper: Any, subject_mapper: Any = None
    ) -> Any:
        """The items by key, in streams that end; see `reactivex.operators.group_by_until`."""
        return self.pipe(own.grouping.group_by_until(key_mapper, element_mapper, duration_mapper, subject_mapper))

    def window(self, boundaries: Observable[Any]) -> Any:
        """The items in streams that end where another Observable emits; see `reactivex.operators.window`."""
        return self.pipe(own.grouping.window(boundaries))

    def window_when(self, closing_mapper: Any) -> Any:
        """The items in streams, each with an end of its own; see `reactivex.operators.window_when`."""
        return self.pipe(own.grouping.window_when(closing_mapper))

    def window_toggle(self, openings: Observable[Any], closing_mapper: Any) -> Any:
        """The items in streams with a beginning and an end of their own; see `reactivex.operators.window_toggle`."""
        return self.pipe(own.grouping.window_toggle(openings, closing_mapper))

    def window_with_count(self, count: int, skip: int | None = None) -> Any:
        """The items in streams by count; see `reactivex.operators.window_with_count`."""
        return self.pipe(own.grouping.window_with_count(count, skip))

    def window_with_time(self, timespan: Any, timeshift: Any = None, scheduler: Any = None) -> Any:
        """The items in streams by time; see `reactivex.operators.window_with_time`."""
        return self.pipe(own.grouping.window_with_time(timespan, timeshift, scheduler))

    def window_with_time_or_count(self, timespan: Any, count: int, scheduler: Any = None) -> Any:
        """The items in streams by time or count; see `reactivex.operators.window_with_time_or_count`."""
        return self.pipe(own.grouping.window_with_time_or_count(timespan, count, scheduler))

    def switch_latest(self) -> Any:
        """Of a stream of streams, the items of the newest one."""
        return self.pipe(_reactivex().switch_latest())

    def exclusive(self) -> Any:
        """Of a stream of streams, the items of the one in progress; those that start meanwhile are dropped."""
        return self.pipe(_reactivex().exclusive())

    def pluck(self, key: str) -> Any:
        """The value at `key` of each item."""
        return self.pipe(_reactivex().pluck(key))

    def dematerialize(self) -> Any:
        """The items, error and end that a stream of notifications stands for."""
        return self.pipe(_reactivex().dematerialize())

    def partition_indexed(self, predicate_indexed: typing.PredicateIndexed[Any]) -> Any:
        """Two streams over one subscription: the items for which the predicate holds, and the rest."""
        return self.pipe(_reactivex().partition_indexed(predicate_indexed))

    def ref_count(self) -> Any:
        """Of a connectable stream, one that is connected while anyone subscribes to it."""
        return self.pipe(_reactivex().ref_count())

    def __add__(self, other: Observable[Any]) -> Any:
        """This stream, then the other."""
        return self._adopt(super().__add__(other))

    def __iadd__(self, other: Observable[Any]) -> Any:
        return self + other

    def __getitem__(self, key: slice | int) -> Any:
        """The items at a position or in a slice, counted from either end."""
        return self._adopt(super().__getitem__(key))


def _reactivex() -> Any:
    """The operators of reactivex, which take a while to load."""
    from reactivex import operators

    return operators
