"""Fluent: reactivex's Observable, whose fluent methods and `pipe` give Streams again. Knows nothing of event loops.

Most fluent methods of reactivex go through `pipe`; here are `pipe` and those that go round it. Type checkers read
`fluent.pyi` beside this file, which says of every method what comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from reactivex import Observable, typing
from reactivex import operators as ops

from .operators import per_item

__all__ = ["Fluent"]

_T_co = TypeVar("_T_co", covariant=True)


class Fluent(Observable[_T_co]):
    """An Observable that makes Streams of what its operators return. `Stream` says how: `_adopt`."""

    def _adopt(self, result: Any) -> Any:
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
            result = self._adopt(operator(result))
        return result

    def map(self, mapper: typing.Mapper[Any, Any]) -> Any:
        """Turn each item into another; see `rxfal.operators.map`."""
        return self.pipe(per_item.map(mapper))

    def filter(self, predicate: typing.Predicate[Any]) -> Any:
        """Let through the items for which the predicate holds; see `rxfal.operators.filter`."""
        return self.pipe(per_item.filter(predicate))

    def switch_latest(self) -> Any:
        """Of a stream of streams, the items of the newest one."""
        return self.pipe(ops.switch_latest())

    def exclusive(self) -> Any:
        """Of a stream of streams, the items of the one in progress; those that start meanwhile are dropped."""
        return self.pipe(ops.exclusive())

    def pluck(self, key: str) -> Any:
        """The value at `key` of each item."""
        return self.pipe(ops.pluck(key))

    def dematerialize(self) -> Any:
        """The items, error and end that a stream of notifications stands for."""
        return self.pipe(ops.dematerialize())

    def partition_indexed(self, predicate_indexed: typing.PredicateIndexed[Any]) -> Any:
        """Two streams over one subscription: the items for which the predicate holds, and the rest."""
        return self.pipe(ops.partition_indexed(predicate_indexed))

    def ref_count(self) -> Any:
        """Of a connectable stream, one that is connected while anyone subscribes to it."""
        return self.pipe(ops.ref_count())

    def __add__(self, other: Observable[Any]) -> Any:
        """This stream, then the other."""
        return self._adopt(super().__add__(other))

    def __iadd__(self, other: Observable[Any]) -> Any:
        return self + other

    def __getitem__(self, key: slice | int) -> Any:
        """The items at a position or in a slice, counted from either end."""
        return self._adopt(super().__getitem__(key))
