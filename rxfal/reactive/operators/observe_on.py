"""An `observe_on` that ends with an error if its scheduler raises; reactivex's would just go silent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable, abc
from reactivex import operators as rx_ops

from rxfal.reactive.guard import guarded

_T = TypeVar("_T")


def observe_on(scheduler: abc.SchedulerBase) -> Callable[[Observable[_T]], Observable[_T]]:
    """Pass the items and the end on through a scheduler.

    Items wait for the scheduler in an unbounded queue. `ops.on_thread` and `ops.on_loop` have bounded ones.

    - *Emits when* the scheduler runs it.
    - *Pauses when* the consumer is full. Items that wait for the scheduler still arrive.
    - *Ends when* the source ends, after the last item, or the scheduler raises.
    - *Cancels when* disposed. Items that wait for the scheduler are dropped.

    Args:
        scheduler: Runs `on_next`, `on_error` and `on_completed`. If it raises, the stream ends with that error.

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
