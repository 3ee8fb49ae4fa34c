"""`retry_backoff`: subscribe again to what may work the next time."""

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
    """Subscribe again, after a growing pause, when the source fails with an error that says it is retryable.

    The pause before attempt n + 1 is `wait_initial * wait_exp_base ** (n - 1)`, at most `wait_max`, plus a random part
    of up to `wait_jitter`; and never less than the error's `retry_after`. Once an item has come an error is final,
    unless `after_items`: a model that is asked again is paid for again.

        --#   --#   --1--2--|
          retry_backoff(attempts=3)
        --------------1--2--|

    Args:
        attempts: How often to subscribe at most, the first time included.
        on: Which errors to retry: a type, a tuple of types, or a predicate. Left out, those with a true `retryable`
            attribute (every `FalError` has it).
        wait_initial: Seconds of the first pause.
        wait_max: Seconds of the longest pause, jitter and `retry_after` aside.
        wait_exp_base: What each pause is longer by than the one before.
        wait_jitter: Seconds of the random part, at most.
        after_items: Whether to retry a source that had already emitted; its items come again.
        scheduler: Where the pauses run. Left out, the subscription's scheduler, else an event loop; never a thread.

    Returns:
        An operator. When the attempts are used up, the last error goes on.

    Raises:
        ValueError: For fewer than one attempt, and for negative numbers.
        TypeError: For what is no number, and for an `on` that says nothing about exceptions.

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
                except Exception as failure:  # the predicate's own, or a `retry_after` that is no number
                    error, is_final, seconds = failure, True, 0.0
                if is_final:
                    observer.on_error(error)
                else:
                    waiting = SingleAssignmentDisposable()  # in its place first: the pause may be over before it is set
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
                    f"on is a type of exception, a tuple of such, or a function of an exception; not {on!r}"
                )


def _matches(error: Exception, on: RetryOn | None) -> bool:
    if on is None:
        return bool(getattr(error, "retryable", False))
    if isinstance(on, type | tuple):
        return isinstance(error, on)
    return on(error)
