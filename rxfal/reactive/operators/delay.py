"""A `delay` that ends with an error if its scheduler raises; reactivex's would just go silent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable, abc, typing
from reactivex import operators as rx_ops

from rxfal.reactive.guard import guarded

_T = TypeVar("_T")


def delay(
    duetime: typing.AbsoluteOrRelativeTime, scheduler: abc.SchedulerBase | None = None
) -> Callable[[Observable[_T]], Observable[_T]]:
    """Pass on each item and the end after a delay, but an error at once.

    Delayed items wait in an unbounded queue.

    Marbles:
        -1-2--3-|
        > delay(2)
        ---1-2--3-|

    - *Emits when* the source did, `duetime` ago.
    - *Pauses when* the consumer is full. Items that are being delayed still arrive.
    - *Ends when* the source completed, `duetime` ago, or at once if it fails.
    - *Cancels when* disposed. Items that are being delayed are dropped.

    Args:
        duetime: The delay in seconds or as a `timedelta`, or a `datetime` at which the first item is emitted.
        scheduler: Runs the timer; by default, the subscription's scheduler. If it raises, the stream ends with that
            error.

    Returns:
        An operator.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> from_observable(rx.of(1, 2)).pipe(ops.delay(0.001), ops.to_list()).run()
        [1, 2]
    """
    if scheduler is None:
        return rx_ops.delay(duetime)
    return guarded(lambda guard: rx_ops.delay(duetime, guard), scheduler)
