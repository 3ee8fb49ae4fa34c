"""A `sequence_equal` that treats a Stream as an Observable, although it is iterable too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from reactivex import Observable, typing
from reactivex import operators as ops

from .arguments import check_function

_T = TypeVar("_T")


def sequence_equal(
    second: Observable[_T] | Iterable[_T], comparer: typing.Comparer[_T] | None = None
) -> Callable[[Observable[_T]], Observable[bool]]:
    """Emit whether two sequences have equal items and ends.

    reactivex's own operator would iterate over a second Stream and block.

    Marbles:
               -1--2---|
        other: --1---2--|
               > sequence_equal(other)
               ---------(t|)
        t = True

    - *Emits when* the answer is known: at the first difference, or when both have completed.
    - *Pauses when* the consumer is full. Items of the faster one wait in an unbounded queue.
    - *Ends when* the answer is given, one of them fails, or `comparer` raises.
    - *Cancels when* disposed. The answer cancels both.

    Args:
        second: An Observable or an iterable.

        comparer: Takes two items and returns whether they are equal; by default, `==`.

    Returns:
        An operator that emits one bool.

    Raises:
        TypeError: `second` is neither an Observable nor an iterable, or `comparer` isn't callable.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> from_observable(rx.of(1, 2)).pipe(ops.sequence_equal(from_observable(rx.of(1, 2)))).run()
        True
    """
    if not isinstance(second, Observable | Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"second is an Observable or an iterable, not {second!r}")
    if comparer is not None:
        check_function("comparer", comparer)
    if isinstance(second, Observable):  # a Stream is iterable too, and reactivex checks for that first
        stream = second
        second = Observable(lambda observer, scheduler=None: stream.subscribe(observer, scheduler=scheduler))
    return ops.sequence_equal(second, comparer)
