"""What type checkers see of Stream's fluent methods: reactivex's own signatures, with a Stream coming out.

Declarations only. reactivex says `Observable`, on which `async for` is a type error, and `Any` in many places where
the type is known. The operators that rxfal has of its own (`share`, `timeout`, the buffers) stand in `stream.py`.
"""

import builtins
from asyncio import Future
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias, TypeVar, TypeVarTuple, overload

from reactivex import ConnectableObservable, GroupedObservable, Notification, Observable
from reactivex.abc import OnCompleted, OnError, OnNext, SchedulerBase, SubjectBase
from reactivex.operators._timeinterval import TimeInterval
from reactivex.operators._timestamp import Timestamp
from reactivex.subject import Subject
from reactivex.typing import (
    AbsoluteOrRelativeTime,
    Accumulator,
    Action,
    AnyFuture,
    Comparer,
    Mapper,
    MapperIndexed,
    Predicate,
    PredicateIndexed,
    RelativeTime,
    SubComparer,
)

from .stream import ConnectableStream, Stream

_T_co = TypeVar("_T_co", covariant=True)
_A = TypeVar("_A")
_B = TypeVar("_B")
_C = TypeVar("_C")
_D = TypeVar("_D")
_E = TypeVar("_E")
_F = TypeVar("_F")
_G = TypeVar("_G")
_H = TypeVar("_H")
_I = TypeVar("_I")
_K = TypeVar("_K")
_V = TypeVar("_V")
_Ts = TypeVarTuple("_Ts")

_Op: TypeAlias = Callable[[_A], _B]
_First: TypeAlias = Callable[[Observable[_A]], _B] | Callable[[Stream[_A]], _B]
_Many: TypeAlias = Observable[_A] | AnyFuture[_A] | Iterable[_A]

class Fluent(Observable[_T_co]):
    def _adopt(self, result: Any) -> Any: ...

    # pipe: an Observable that the last operator returns is a Stream, a connectable one a ConnectableStream, and
    # anything else (a Future, a list) is returned as it is.

    @overload
    def pipe(self) -> Stream[_T_co]: ...
    @overload
    def pipe(self, op1: _First[_T_co, ConnectableObservable[_A]], /) -> ConnectableStream[_A]: ...
    @overload
    def pipe(self, op1: _First[_T_co, Observable[_A]], /) -> Stream[_A]: ...
    @overload
    def pipe(self, op1: _First[_T_co, _A], /) -> _A: ...
    @overload
    def pipe(self, op1: _First[_T_co, _A], op2: _Op[_A, ConnectableObservable[_B]], /) -> ConnectableStream[_B]: ...
    @overload
    def pipe(self, op1: _First[_T_co, _A], op2: _Op[_A, Observable[_B]], /) -> Stream[_B]: ...
    @overload
    def pipe(self, op1: _First[_T_co, _A], op2: _Op[_A, _B], /) -> _B: ...
    @overload
    def pipe(
        self, op1: _First[_T_co, _A], op2: _Op[_A, _B], op3: _Op[_B, ConnectableObservable[_C]], /
    ) -> ConnectableStream[_C]: ...
    @overload
    def pipe(self, op1: _First[_T_co, _A], op2: _Op[_A, _B], op3: _Op[_B, Observable[_C]], /) -> Stream[_C]: ...
    @overload
    def pipe(self, op1: _First[_T_co, _A], op2: _Op[_A, _B], op3: _Op[_B, _C], /) -> _C: ...
    @overload
    def pipe(
        self, op1: _First[_T_co, _A], op2: _Op[_A, _B], op3: _Op[_B, _C], op4: _Op[_C, ConnectableObservable[_D]], /
    ) -> ConnectableStream[_D]: ...
    @overload
    def pipe(
        self, op1: _First[_T_co, _A], op2: _Op[_A, _B], op3: _Op[_B, _C], op4: _Op[_C, Observable[_D]], /
    ) -> Stream[_D]: ...
    @overload
    def pipe(self, op1: _First[_T_co, _A], op2: _Op[_A, _B], op3: _Op[_B, _C], op4: _Op[_C, _D], /) -> _D: ...
    @overload
    def pipe(
        self,
        op1: _First[_T_co, _A],
        op2: _Op[_A, _B],
        op3: _Op[_B, _C],
        op4: _Op[_C, _D],
        op5: _Op[_D, ConnectableObservable[_E]],
        /,
    ) -> ConnectableStream[_E]: ...
    @overload
    def pipe(
        self,
        op1: _First[_T_co, _A],
        op2: _Op[_A, _B],
        op3: _Op[_B, _C],
        op4: _Op[_C, _D],
        op5: _Op[_D, Observable[_E]],
        /,
    ) -> Stream[_E]: ...
    @overload
    def pipe(
        self, op1: _First[_T_co, _A], op2: _Op[_A, _B], op3: _Op[_B, _C], op4: _Op[_C, _D], op5: _Op[_D, _E], /
    ) -> _E: ...
    @overload
    def pipe(
        self,
        op1: _First[_T_co, _A],
        op2: _Op[_A, _B],
        op3: _Op[_B, _C],
        op4: _Op[_C, _D],
        op5: _Op[_D, _E],
        op6: _Op[_E, ConnectableObservable[_F]],
        /,
    ) -> ConnectableStream[_F]: ...
    @overload
    def pipe(
        self,
        op1: _First[_T_co, _A],
        op2: _Op[_A, _B],
        op3: _Op[_B, _C],
        op4: _Op[_C, _D],
        op5: _Op[_D, _E],
        op6: _Op[_E, Observable[_F]],
        /,
    ) -> Stream[_F]: ...
    @overload
    def pipe(
        self,
        op1: _First[_T_co, _A],
        op2: _Op[_A, _B],
        op3: _Op[_B, _C],
        op4: _Op[_C, _D],
        op5: _Op[_D, _E],
        op6: _Op[_E, _F],
        /,
    ) -> _F: ...
    @overload
    def pipe(
        self,
        op1: _First[_T_co, _A],
        op2: _Op[_A, _B],
        op3: _Op[_B, _C],
        op4: _Op[_C, _D],
        op5: _Op[_D, _E],
        op6: _Op[_E, _F],
        op7: _Op[_F, ConnectableObservable[_G]],
        /,
    ) -> ConnectableStream[_G]: ...
    @overload
    def pipe(
        self,
        op1: _First[_T_co, _A],
        op2: _Op[_A, _B],
        op3: _Op[_B, _C],
        op4: _Op[_C, _D],
        op5: _Op[_D, _E],
        op6: _Op[_E, _F],
        op7: _Op[_F, Observable[_G]],
        /,
    ) -> Stream[_G]: ...
    @overload
    def pipe(
        self,
        op1: _First[_T_co, _A],
        op2: _Op[_A, _B],
        op3: _Op[_B, _C],
        op4: _Op[_C, _D],
        op5: _Op[_D, _E],
        op6: _Op[_E, _F],
        op7: _Op[_F, _G],
        /,
    ) -> _G: ...
    @overload
    def pipe(
        self,
        op1: _First[_T_co, _A],
        op2: _Op[_A, _B],
        op3: _Op[_B, _C],
        op4: _Op[_C, _D],
        op5: _Op[_D, _E],
        op6: _Op[_E, _F],
        op7: _Op[_F, _G],
        op8: _Op[_G, ConnectableObservable[_H]],
        /,
    ) -> ConnectableStream[_H]: ...
    @overload
    def pipe(
        self,
        op1: _First[_T_co, _A],
        op2: _Op[_A, _B],
        op3: _Op[_B, _C],
        op4: _Op[_C, _D],
        op5: _Op[_D, _E],
        op6: _Op[_E, _F],
        op7: _Op[_F, _G],
        op8: _Op[_G, Observable[_H]],
        /,
    ) -> Stream[_H]: ...
    @overload
    def pipe(
        self,
        op1: _First[_T_co, _A],
        op2: _Op[_A, _B],
        op3: _Op[_B, _C],
        op4: _Op[_C, _D],
        op5: _Op[_D, _E],
        op6: _Op[_E, _F],
        op7: _Op[_F, _G],
        op8: _Op[_G, _H],
        /,
    ) -> _H: ...
    @overload
    def pipe(
        self,
        op1: _First[_T_co, _A],
        op2: _Op[_A, _B],
        op3: _Op[_B, _C],
        op4: _Op[_C, _D],
        op5: _Op[_D, _E],
        op6: _Op[_E, _F],
        op7: _Op[_F, _G],
        op8: _Op[_G, _H],
        op9: _Op[_H, ConnectableObservable[_I]],
        /,
    ) -> ConnectableStream[_I]: ...
    @overload
    def pipe(
        self,
        op1: _First[_T_co, _A],
        op2: _Op[_A, _B],
        op3: _Op[_B, _C],
        op4: _Op[_C, _D],
        op5: _Op[_D, _E],
        op6: _Op[_E, _F],
        op7: _Op[_F, _G],
        op8: _Op[_G, _H],
        op9: _Op[_H, Observable[_I]],
        /,
    ) -> Stream[_I]: ...
    @overload
    def pipe(
        self,
        op1: _First[_T_co, _A],
        op2: _Op[_A, _B],
        op3: _Op[_B, _C],
        op4: _Op[_C, _D],
        op5: _Op[_D, _E],
        op6: _Op[_E, _F],
        op7: _Op[_F, _G],
        op8: _Op[_G, _H],
        op9: _Op[_H, _I],
        /,
    ) -> _I: ...
    # Of more operators than there are overloads, the outcome is not known.
    @overload
    def pipe(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        op1: _Op[Any, Any],
        op2: _Op[Any, Any],
        op3: _Op[Any, Any],
        op4: _Op[Any, Any],
        op5: _Op[Any, Any],
        op6: _Op[Any, Any],
        op7: _Op[Any, Any],
        op8: _Op[Any, Any],
        op9: _Op[Any, Any],
        op10: _Op[Any, Any],
        /,
        *more: _Op[Any, Any],
    ) -> Any: ...

    # Transforming.

    def map(self, mapper: Mapper[_T_co, _B]) -> Stream[_B]: ...
    def map_indexed(self, mapper_indexed: MapperIndexed[_T_co, _B] | None = None) -> Stream[_B]: ...
    @overload
    def reduce(self, accumulator: Accumulator[_T_co, _T_co]) -> Stream[_T_co]: ...
    @overload
    def reduce(self, accumulator: Accumulator[_A, _T_co], seed: _A) -> Stream[_A]: ...
    @overload
    def scan(self, accumulator: Accumulator[_T_co, _T_co]) -> Stream[_T_co]: ...
    @overload
    def scan(self, accumulator: Accumulator[_A, _T_co], seed: _A) -> Stream[_A]: ...
    @overload
    def flat_map(self, mapper: Mapper[_T_co, Observable[_B]]) -> Stream[_B]: ...
    @overload
    def flat_map(self, mapper: None = None) -> Stream[object]: ...
    @overload
    def flat_map(self, mapper: Mapper[_T_co, AnyFuture[_B]]) -> Stream[_B]: ...
    @overload
    def flat_map(self, mapper: Mapper[_T_co, Iterable[_B]]) -> Stream[_B]: ...
    @overload
    def flat_map(self, mapper: _Many[_B]) -> Stream[_B]: ...
    def flat_map_indexed(self, mapper_indexed: MapperIndexed[_T_co, _Many[_B]] | None = None) -> Stream[_B]: ...
    def flat_map_latest(self, mapper: Mapper[_T_co, Observable[_B] | AnyFuture[_B]]) -> Stream[_B]: ...
    def concat_map(self, project: Mapper[_T_co, Observable[_B]]) -> Stream[_B]: ...
    def switch_map(self, project: Mapper[_T_co, Observable[_B]]) -> Stream[_B]: ...
    def switch_map_indexed(self, mapper_indexed: MapperIndexed[_T_co, Observable[_B]]) -> Stream[_B]: ...
    @overload
    def starmap(self) -> Stream[_T_co]: ...
    @overload
    def starmap(self: Observable[tuple[*_Ts]], mapper: Callable[[*_Ts], _B]) -> Stream[_B]: ...
    @overload
    def starmap_indexed(self: Observable[tuple[*_Ts]], mapper_indexed: Callable[[*_Ts], _B]) -> Stream[_B]: ...
    @overload
    def starmap_indexed(self, mapper_indexed: None = None) -> Stream[Any]: ...
    def pluck(self, key: str) -> Stream[Any]: ...
    def pluck_attr(self, attr: str) -> Stream[Any]: ...
    def expand(self, mapper: Mapper[_T_co, Observable[_T_co]]) -> Stream[_T_co]: ...

    # Filtering.

    def filter(self, predicate: Predicate[_T_co]) -> Stream[_T_co]: ...
    def filter_indexed(self, predicate_indexed: PredicateIndexed[_T_co]) -> Stream[_T_co]: ...
    def distinct(
        self, key_mapper: Mapper[_T_co, _K] | None = None, comparer: Comparer[_K] | None = None
    ) -> Stream[_T_co]: ...
    def distinct_until_changed(
        self, key_mapper: Mapper[_T_co, _K] | None = None, comparer: Comparer[_K] | None = None
    ) -> Stream[_T_co]: ...
    def element_at(self, index: int) -> Stream[_T_co]: ...
    def first(self, predicate: Predicate[_T_co] | None = None) -> Stream[_T_co]: ...
    def last(self, predicate: Predicate[_T_co] | None = None) -> Stream[_T_co]: ...
    def single(self, predicate: Predicate[_T_co] | None = None) -> Stream[_T_co]: ...
    def slice(self, start: int | None = None, stop: int | None = None, step: int | None = None) -> Stream[_T_co]: ...
    def __getitem__(self, key: builtins.slice | int) -> Stream[_T_co]: ...
    def skip(self, count: int) -> Stream[_T_co]: ...
    def skip_last(self, count: int) -> Stream[_T_co]: ...
    def skip_last_with_time(self, duration: RelativeTime, scheduler: SchedulerBase | None = None) -> Stream[_T_co]: ...
    def skip_until(self, other: Observable[Any] | AnyFuture[Any]) -> Stream[_T_co]: ...
    def skip_until_with_time(
        self, start_time: AbsoluteOrRelativeTime, scheduler: SchedulerBase | None = None
    ) -> Stream[_T_co]: ...
    def skip_while(self, predicate: Predicate[_T_co]) -> Stream[_T_co]: ...
    def skip_while_indexed(self, predicate_indexed: PredicateIndexed[_T_co]) -> Stream[_T_co]: ...
    def skip_with_time(self, duration: RelativeTime, scheduler: SchedulerBase | None = None) -> Stream[_T_co]: ...
    def take(self, count: int) -> Stream[_T_co]: ...
    def take_last(self, count: int) -> Stream[_T_co]: ...
    def take_last_buffer(self, count: int) -> Stream[list[_T_co]]: ...
    def take_last_with_time(self, duration: RelativeTime, scheduler: SchedulerBase | None = None) -> Stream[_T_co]: ...
    def take_until(self, other: Observable[Any] | AnyFuture[Any]) -> Stream[_T_co]: ...
    def take_until_with_time(
        self, end_time: AbsoluteOrRelativeTime, scheduler: SchedulerBase | None = None
    ) -> Stream[_T_co]: ...
    def take_while(self, predicate: Predicate[_T_co], inclusive: bool = False) -> Stream[_T_co]: ...
    def take_while_indexed(
        self, predicate_indexed: PredicateIndexed[_T_co], inclusive: bool = False
    ) -> Stream[_T_co]: ...
    def take_with_time(self, duration: RelativeTime, scheduler: SchedulerBase | None = None) -> Stream[_T_co]: ...

    # Filling in: the default is part of what comes out. (reactivex leaves it out.)

    @overload
    def default_if_empty(self, default_value: _A) -> Stream[_T_co | _A]: ...
    @overload
    def default_if_empty(self) -> Stream[_T_co | None]: ...
    @overload
    def element_at_or_default(self, index: int, default_value: None = None) -> Stream[_T_co | None]: ...
    @overload
    def element_at_or_default(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, index: int, default_value: _A
    ) -> Stream[_T_co | _A]: ...
    @overload
    def first_or_default(
        self, predicate: Predicate[_T_co] | None = None, default_value: None = None
    ) -> Stream[_T_co | None]: ...
    @overload
    def first_or_default(self, predicate: Predicate[_T_co] | None, default_value: _A) -> Stream[_T_co | _A]: ...
    @overload
    def first_or_default(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, predicate: Predicate[_T_co] | None = None, *, default_value: _A
    ) -> Stream[_T_co | _A]: ...
    @overload
    def last_or_default(
        self, default_value: None = None, predicate: Predicate[_T_co] | None = None
    ) -> Stream[_T_co | None]: ...
    @overload
    def last_or_default(self, default_value: _A, predicate: Predicate[_T_co] | None = None) -> Stream[_T_co | _A]: ...
    @overload
    def single_or_default(
        self, predicate: Predicate[_T_co] | None = None, default_value: None = None
    ) -> Stream[_T_co | None]: ...
    @overload
    def single_or_default(self, predicate: Predicate[_T_co] | None, default_value: _A) -> Stream[_T_co | _A]: ...
    @overload
    def single_or_default(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, predicate: Predicate[_T_co] | None = None, *, default_value: _A
    ) -> Stream[_T_co | _A]: ...
    @overload
    def single_or_default_async(self, has_default: Literal[False] = False) -> Stream[_T_co]: ...
    @overload
    def single_or_default_async(self, has_default: bool, default_value: None = None) -> Stream[_T_co | None]: ...
    @overload
    def single_or_default_async(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, has_default: bool, default_value: _A
    ) -> Stream[_T_co | _A]: ...

    # Asking.

    def all(self, predicate: Predicate[_T_co]) -> Stream[bool]: ...
    def some(self, predicate: Predicate[_T_co] | None = None) -> Stream[bool]: ...
    def is_empty(self) -> Stream[bool]: ...
    def contains(self, value: Any, comparer: Comparer[Any] | None = None) -> Stream[bool]: ...
    def sequence_equal(
        self, second: Observable[_T_co] | Iterable[_T_co], comparer: Comparer[_T_co] | None = None
    ) -> Stream[bool]: ...
    def find(self, predicate: Callable[[_T_co, int, Observable[_T_co]], bool]) -> Stream[_T_co | None]: ...
    def find_index(self, predicate: Callable[[_T_co, int, Observable[_T_co]], bool]) -> Stream[int | None]: ...

    # Calculating. What min and max take is not "equal or not" but an order, as `a - b` gives it.

    def count(self, predicate: Predicate[_T_co] | None = None) -> Stream[int]: ...
    @overload
    def sum(self) -> Stream[float]: ...
    @overload
    def sum(self, key_mapper: Mapper[_T_co, float]) -> Stream[float]: ...
    def average(self, key_mapper: Mapper[_T_co, float] | None = None) -> Stream[float]: ...
    def min(self, comparer: SubComparer[_T_co] | None = None) -> Stream[_T_co]: ...
    def max(self, comparer: SubComparer[_T_co] | None = None) -> Stream[_T_co]: ...
    def min_by(self, key_mapper: Mapper[_T_co, _K], comparer: SubComparer[_K] | None = None) -> Stream[list[_T_co]]: ...
    def max_by(self, key_mapper: Mapper[_T_co, _K], comparer: SubComparer[_K] | None = None) -> Stream[list[_T_co]]: ...

    # Combining.

    def merge(self, *sources: Observable[_A], max_concurrent: int | None = None) -> Stream[_T_co | _A]: ...
    def __add__(self, other: Observable[_A]) -> Stream[_T_co | _A]: ...
    def __iadd__(self, other: Observable[_A]) -> Stream[_T_co | _A]: ...
    def concat(self, *sources: Observable[_A]) -> Stream[_T_co | _A]: ...
    def amb(self, right_source: Observable[_A] | AnyFuture[_A]) -> Stream[_T_co | _A]: ...
    def start_with(self, *args: _A) -> Stream[_T_co | _A]: ...
    def merge_all(self: Observable[Observable[_A] | AnyFuture[_A]]) -> Stream[_A]: ...
    def switch_latest(self: Observable[Observable[_A] | AnyFuture[_A]]) -> Stream[_A]: ...
    def exclusive(  # pyright: ignore[reportIncompatibleMethodOverride]
        self: Observable[Observable[_A]],
    ) -> Stream[_A]: ...
    def concat_all(self: Observable[Observable[_A]]) -> Stream[_A]: ...
    @overload
    def zip(self, a: Observable[_A], /) -> Stream[tuple[_T_co, _A]]: ...
    @overload
    def zip(self, a: Observable[_A], b: Observable[_B], /) -> Stream[tuple[_T_co, _A, _B]]: ...
    @overload
    def zip(self, a: Observable[_A], b: Observable[_B], c: Observable[_C], /) -> Stream[tuple[_T_co, _A, _B, _C]]: ...
    @overload
    def zip(self, *sources: Observable[Any]) -> Stream[tuple[Any, ...]]: ...
    @overload
    def zip_latest(self, a: Observable[_A], /) -> Stream[tuple[_T_co, _A]]: ...
    @overload
    def zip_latest(self, a: Observable[_A], b: Observable[_B], /) -> Stream[tuple[_T_co, _A, _B]]: ...
    @overload
    def zip_latest(
        self, a: Observable[_A], b: Observable[_B], c: Observable[_C], /
    ) -> Stream[tuple[_T_co, _A, _B, _C]]: ...
    @overload
    def zip_latest(self, *sources: Observable[Any]) -> Stream[tuple[Any, ...]]: ...
    @overload
    def combine_latest(self, a: Observable[_A], /) -> Stream[tuple[_T_co, _A]]: ...
    @overload
    def combine_latest(self, a: Observable[_A], b: Observable[_B], /) -> Stream[tuple[_T_co, _A, _B]]: ...
    @overload
    def combine_latest(
        self, a: Observable[_A], b: Observable[_B], c: Observable[_C], /
    ) -> Stream[tuple[_T_co, _A, _B, _C]]: ...
    @overload
    def combine_latest(self, *sources: Observable[Any]) -> Stream[tuple[Any, ...]]: ...
    @overload
    def with_latest_from(self, a: Observable[_A], /) -> Stream[tuple[_T_co, _A]]: ...
    @overload
    def with_latest_from(self, a: Observable[_A], b: Observable[_B], /) -> Stream[tuple[_T_co, _A, _B]]: ...
    @overload
    def with_latest_from(
        self, a: Observable[_A], b: Observable[_B], c: Observable[_C], /
    ) -> Stream[tuple[_T_co, _A, _B, _C]]: ...
    @overload
    def with_latest_from(self, *sources: Observable[Any]) -> Stream[tuple[Any, ...]]: ...
    @overload
    def fork_join(self, a: Observable[_A], /) -> Stream[tuple[_T_co, _A]]: ...
    @overload
    def fork_join(self, a: Observable[_A], b: Observable[_B], /) -> Stream[tuple[_T_co, _A, _B]]: ...
    @overload
    def fork_join(
        self, a: Observable[_A], b: Observable[_B], c: Observable[_C], /
    ) -> Stream[tuple[_T_co, _A, _B, _C]]: ...
    @overload
    def fork_join(self, *others: Observable[Any]) -> Stream[tuple[Any, ...]]: ...
    def zip_with_iterable(self, second: Iterable[_A]) -> Stream[tuple[_T_co, _A]]: ...
    def join(
        self,
        right: Observable[_A],
        left_duration_mapper: Callable[[_T_co], Observable[Any]],
        right_duration_mapper: Callable[[_A], Observable[Any]],
    ) -> Stream[tuple[_T_co, _A]]: ...
    def group_join(
        self,
        right: Observable[_A],
        left_duration_mapper: Callable[[_T_co], Observable[Any]],
        right_duration_mapper: Callable[[_A], Observable[Any]],
    ) -> Stream[tuple[_T_co, Observable[_A]]]: ...

    # Going on after an error.

    def catch(
        self, handler: Observable[_A] | Callable[[Exception, Observable[_T_co]], Observable[_A] | AnyFuture[_A]]
    ) -> Stream[_T_co | _A]: ...
    def on_error_resume_next(self, second: Observable[_A]) -> Stream[_T_co | _A]: ...
    def retry(self, retry_count: int | None = None) -> Stream[_T_co]: ...

    # Looking on, repeating, converting.

    def do(
        self,
        on_next: OnNext[_T_co] | None = None,
        on_error: OnError | None = None,
        on_completed: OnCompleted | None = None,
    ) -> Stream[_T_co]: ...
    def do_action(
        self,
        on_next: OnNext[_T_co] | None = None,
        on_error: OnError | None = None,
        on_completed: OnCompleted | None = None,
    ) -> Stream[_T_co]: ...
    def finally_action(self, action: Action) -> Stream[_T_co]: ...
    def do_while(self, condition: Predicate[Observable[_T_co]]) -> Stream[_T_co]: ...
    def while_do(self, condition: Predicate[Observable[_T_co]]) -> Stream[_T_co]: ...
    def repeat(self, repeat_count: int | None = None) -> Stream[_T_co]: ...
    def ignore_elements(self) -> Stream[_T_co]: ...
    def as_observable(self) -> Stream[_T_co]: ...
    def materialize(self) -> Stream[Notification[_T_co]]: ...
    def dematerialize(self: Observable[Notification[_A]]) -> Stream[_A]: ...
    def to_iterable(self) -> Stream[list[_T_co]]: ...
    def to_list(self) -> Stream[list[_T_co]]: ...
    def to_set(self) -> Stream[set[_T_co]]: ...
    @overload
    def to_dict(self, key_mapper: Mapper[_T_co, _K], element_mapper: None = None) -> Stream[dict[_K, _T_co]]: ...
    @overload
    def to_dict(
        self, key_mapper: Mapper[_T_co, _K], element_mapper: Mapper[_T_co, _V] | None = None
    ) -> Stream[dict[_K, _V]]: ...
    def to_future(self, future_ctor: Callable[[], Future[_T_co]] | None = None) -> Future[_T_co]: ...
    def to_marbles(self, timespan: RelativeTime = 0.1, scheduler: SchedulerBase | None = None) -> Stream[str]: ...

    # Time and place.

    def observe_on(self, scheduler: SchedulerBase) -> Stream[_T_co]: ...
    def subscribe_on(self, scheduler: SchedulerBase) -> Stream[_T_co]: ...
    def delay(self, duetime: AbsoluteOrRelativeTime, scheduler: SchedulerBase | None = None) -> Stream[_T_co]: ...
    def delay_subscription(
        self, duetime: AbsoluteOrRelativeTime, scheduler: SchedulerBase | None = None
    ) -> Stream[_T_co]: ...
    def delay_with_mapper(
        self,
        subscription_delay: Observable[Any] | Mapper[_T_co, Observable[Any]] | None = None,
        delay_duration_mapper: Mapper[_T_co, Observable[Any]] | None = None,
    ) -> Stream[_T_co]: ...
    def timeout_with_mapper(
        self,
        first_timeout: Observable[Any] | None = None,
        timeout_duration_mapper: Mapper[_T_co, Observable[Any]] | None = None,
        other: Observable[_T_co] | None = None,
    ) -> Stream[_T_co]: ...
    def sample(
        self, sampler: RelativeTime | Observable[Any], scheduler: SchedulerBase | None = None
    ) -> Stream[_T_co]: ...
    def debounce(self, duetime: RelativeTime, scheduler: SchedulerBase | None = None) -> Stream[_T_co]: ...
    def throttle_first(
        self, window_duration: RelativeTime, scheduler: SchedulerBase | None = None
    ) -> Stream[_T_co]: ...
    def throttle_with_mapper(self, throttle_duration_mapper: Callable[[_T_co], Observable[Any]]) -> Stream[_T_co]: ...
    def throttle_with_timeout(self, duetime: RelativeTime, scheduler: SchedulerBase | None = None) -> Stream[_T_co]: ...
    def timestamp(self, scheduler: SchedulerBase | None = None) -> Stream[Timestamp[_T_co]]: ...
    def time_interval(self, scheduler: SchedulerBase | None = None) -> Stream[TimeInterval[_T_co]]: ...

    # Buffers, windows, groups: what is inside a window or a group is a plain Observable.

    def pairwise(self) -> Stream[tuple[_T_co, _T_co]]: ...
    def buffer_when(self, closing_mapper: Callable[[], Observable[Any]]) -> Stream[list[_T_co]]: ...
    def buffer_toggle(
        self, openings: Observable[_A], closing_mapper: Callable[[_A], Observable[Any]]
    ) -> Stream[list[_T_co]]: ...
    def window(self, boundaries: Observable[Any]) -> Stream[Observable[_T_co]]: ...
    def window_when(self, closing_mapper: Callable[[], Observable[Any]]) -> Stream[Observable[_T_co]]: ...
    def window_toggle(
        self, openings: Observable[_A], closing_mapper: Callable[[_A], Observable[Any]]
    ) -> Stream[Observable[_T_co]]: ...
    def window_with_count(self, count: int, skip: int | None = None) -> Stream[Observable[_T_co]]: ...
    def window_with_time(
        self, timespan: RelativeTime, timeshift: RelativeTime | None = None, scheduler: SchedulerBase | None = None
    ) -> Stream[Observable[_T_co]]: ...
    def window_with_time_or_count(
        self, timespan: RelativeTime, count: int, scheduler: SchedulerBase | None = None
    ) -> Stream[Observable[_T_co]]: ...
    @overload
    def group_by(
        self,
        key_mapper: Mapper[_T_co, _K],
        element_mapper: None = None,
        subject_mapper: Callable[[], Subject[_T_co]] | None = None,
    ) -> Stream[GroupedObservable[_K, _T_co]]: ...
    @overload
    def group_by(
        self,
        key_mapper: Mapper[_T_co, _K],
        element_mapper: Mapper[_T_co, _V] | None = None,
        subject_mapper: Callable[[], Subject[_V]] | None = None,
    ) -> Stream[GroupedObservable[_K, _V]]: ...
    @overload
    def group_by_until(
        self,
        key_mapper: Mapper[_T_co, _K],
        element_mapper: None,
        duration_mapper: Callable[[GroupedObservable[_K, _T_co]], Observable[Any]],
        subject_mapper: Callable[[], Subject[_T_co]] | None = None,
    ) -> Stream[GroupedObservable[_K, _T_co]]: ...
    @overload
    def group_by_until(
        self,
        key_mapper: Mapper[_T_co, _K],
        element_mapper: Mapper[_T_co, _V] | None,
        duration_mapper: Callable[[GroupedObservable[_K, _V]], Observable[Any]],
        subject_mapper: Callable[[], Subject[_V]] | None = None,
    ) -> Stream[GroupedObservable[_K, _V]]: ...
    def partition(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, predicate: Predicate[_T_co]
    ) -> list[Stream[_T_co]]: ...
    def partition_indexed(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, predicate_indexed: PredicateIndexed[_T_co]
    ) -> list[Stream[_T_co]]: ...

    # One subscription for several.

    @overload
    def publish(self) -> ConnectableStream[_T_co]: ...
    @overload
    def publish(self, mapper: Mapper[Observable[_T_co], Observable[_B]]) -> Stream[_B]: ...
    @overload
    def publish_value(self, initial_value: _A) -> ConnectableStream[_T_co | _A]: ...
    @overload
    def publish_value(
        self, initial_value: _A, mapper: Mapper[Observable[_T_co | _A], Observable[_B]]
    ) -> Stream[_B]: ...
    @overload
    def replay(
        self,
        buffer_size: int | None = None,
        window: RelativeTime | None = None,
        *,
        scheduler: SchedulerBase | None = None,
    ) -> ConnectableStream[_T_co]: ...
    @overload
    def replay(
        self,
        buffer_size: int | None = None,
        window: RelativeTime | None = None,
        *,
        mapper: Mapper[Observable[_T_co], Observable[_B]],
        scheduler: SchedulerBase | None = None,
    ) -> Stream[_B]: ...
    def multicast(self, subject: SubjectBase[_T_co] | None = None) -> ConnectableStream[_T_co]: ...
    def ref_count(self) -> Stream[_T_co]: ...
