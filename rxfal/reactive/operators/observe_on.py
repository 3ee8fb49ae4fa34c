"""`observe_on` that ends with an error when its scheduler raises, where reactivex's would say nothing more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable, abc
from reactivex import operators as rx_ops

from rxfal.reactive.guard import guarded

_T = TypeVar("_T")


def observe_on(scheduler: abc.SchedulerBase) -> Callable[[Observable[_T]], Observable[_T]]:
    """Hand the items, and the end, on by a scheduler.

    What waits for the scheduler is kept in a queue without a bound; `ops.on_thread` and `ops.on_loop` have one.

        --1--2--3--|
          observe_on(scheduler)
        --1--2--3--|          (each on the scheduler)

    Args:
        scheduler: Where `on_next`, `on_error` and `on_completed` are to be called. What it raises ends the stream.

    Returns:
        An operator.

    Examples:
        >>> import reactivex as rx
        >>> from reactivex.scheduler import NewThreadScheduler
        >>> from rxfal import from_observable, operators as ops
        >>> from_observable(rx.of(1, 2)).pipe(ops.observe_on(NewThreadScheduler()), ops.to_list()).run()
        [1, 2]
    """
    return guarded(rx_ops.observe_on, scheduler)
