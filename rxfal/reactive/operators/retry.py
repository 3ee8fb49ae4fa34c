"""`retry_backoff`: subscribe again after an error that may not happen the next time."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar, cast

from reactivex import Observable, abc
from reactivex.disposable import SerialDisposable, SingleAssignmentDisposable

from rxfal.reactive.observer import subscribe_within
from rxfal.reactive.scheduler import loop_scheduler

from .arguments import check_count, check_number, check_predicate

_T = TypeVar("_T")

RetryOn = type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool]


def retry_backoff(
    attempts: int = 4,
    on: RetryOn | None = None,
    *,
    wait_initial: float = 0.5,
    wait_max: float = 30.0,
    wait_exp_base: float = 2.0,
    wait_jitter: float = 0.5,
    after_items: bool = False,
    scheduler: abc.SchedulerBase | None = None,
) -> Callable[[Observable[_T]], Observable[_T]]:
    """Subscribe again, after a growing pause, if the source fails with a retryable error.

    The pause before attempt n + 1 is `wait_initial * wait_exp_base ** (n - 1)`, capped at `wait_max`, plus a random
    jitter of up to `wait_jitter`. It is never shorter than the error's `retry_after`. Once an item has been emitted, an
    error is final unless `after_items` is true, because calling a model again costs again.

    Marbles:
        --#
            --1--2-|
        > retry_backoff(wait_initial=2, wait_jitter=0)
        ------1--2-|

    - *Emits when* the source does.
    - *Pauses when* the consumer is full.
    - *Ends when* the source completes, or fails and isn't retried.
    - *Cancels when* disposed. That ends a pause too.

    Args:
        attempts: The maximum number of subscriptions, including the first.
        on: Which errors to retry: a type, a tuple of types, or a predicate. By default, errors whose `retryable`
            attribute is true (every `FalError` has this attribute).
        wait_initial: The first pause, in seconds.
        wait_max: The longest pause, in seconds, not counting jitter and `retry_after`.
        wait_exp_base: The factor by which each pause is longer than the previous one.
        wait_jitter: The maximum jitter, in seconds.
        after_items: Whether to retry a source that has already emitted items; they will be emitted again.
        scheduler: Times the pauses. By default, the subscription's scheduler, otherwise an event loop; never a thread.

    Returns:
        An operator. When all attempts are used up, the last error is passed on.

    Raises:
        ValueError: `attempts` is below 1, or a number is negative.
        TypeError: A numeric option is not a number, or `on` is not a type of exception, a tuple of such types or a
            function.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> tries = iter([rx.throw(TimeoutError()), rx.of("done")])
        >>> flaky = from_observable(rx.defer(lambda _: next(tries)))
        >>> flaky.pipe(ops.retry_backoff(on=TimeoutError, wait_initial=0.0, wait_jitter=0.0)).run()
        'done'
    """
    check_count("attempts", attempts)
    check_number("wait_initial", wait_initial)
    check_number("wait_max", wait_max)
    check_number("wait_exp_base", wait_exp_base)
    check_number("wait_jitter", wait_jitter)
    _check_on(on)

    def retry_backoff_(source: Observable[_T]) -> Observable[_T]:
        def subscribe(
            observer: abc.ObserverBase[_T], scheduler_: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            timing = loop_scheduler(scheduler, scheduler_)
            current = SerialDisposable()
            attempt = 0
            backoff = wait_initial
            has_items = False

            def on_next(value: _T) -> None:
                nonlocal has_items
                has_items = True
                observer.on_next(value)

            def on_error(error: Exception) -> None:
                try:
                    is_final = attempt >= attempts or (has_items and not after_items) or not _matches(error, on)
                    seconds = 0.0 if is_final else pause(error)
                except Exception as failure:  # from the predicate, or from a `retry_after` that isn't a number
                    error, is_final, seconds = failure, True, 0.0
                if is_final:
                    observer.on_error(error)
                else:
                    waiting = SingleAssignmentDisposable()  # put in place first: the pause may end before it is set
                    current.disposable = waiting
                    waiting.disposable = timing.schedule_relative(seconds, start)

            def pause(error: Exception) -> float:
                nonlocal backoff
                waited, backoff = min(wait_max, backoff), min(wait_max, backoff * wait_exp_base)
                return max(waited + random.uniform(0.0, wait_jitter), getattr(error, "retry_after", None) or 0.0)

            def start(*_: Any) -> None:
                nonlocal attempt
                attempt += 1
                subscription = SingleAssignmentDisposable()
                current.disposable = subscription
                subscription.disposable = subscribe_within(source, on_next, on_error, observer.on_completed, scheduler_)

            start()
            return current

        return Observable(subscribe)

    return retry_backoff_


def _check_on(on: Any) -> None:
    if callable(on) and not isinstance(on, type):
        check_predicate("on", on)
    elif on is not None:
        for kind in cast("tuple[Any, ...]", on if isinstance(on, tuple) else (on,)):
            if not (isinstance(kind, type) and issubclass(kind, BaseException)):
                raise TypeError(
                    f"on is a type of exception, a tuple of such types, or a function of an exception, not {on!r}"
                )


def _matches(error: Exception, on: RetryOn | None) -> bool:
    if on is None:
        return bool(getattr(error, "retryable", False))
    if isinstance(on, type | tuple):
        return isinstance(error, on)
    return on(error)
