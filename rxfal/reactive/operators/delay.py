"""`delay` that ends with an error when its scheduler raises, where reactivex's would say nothing more."""

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
    """Hand each item, and the end, on later; an error at once.

    What is on its way is kept in a queue without a bound.

        --1--2--3--|
          delay(2)
        ----1--2--3--|

    Args:
        duetime: Seconds or a `timedelta` that each item is late; or a `datetime` at which the first one comes.
        scheduler: Where the timer runs. Left out, the subscription's scheduler. What it raises ends the stream.

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
