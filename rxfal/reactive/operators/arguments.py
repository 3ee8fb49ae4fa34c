"""Checks of what operators are given, so that a wrong argument is an exception at the call and not at subscription.

What is out of range raises reactivex's ArgumentOutOfRangeException, which is a ValueError; a wrong kind, TypeError.
"""

from __future__ import annotations

import inspect
import operator
from datetime import timedelta
from typing import Any

from reactivex.internal import ArgumentOutOfRangeException
from reactivex.scheduler.scheduler import Scheduler


def check_count(name: str, value: Any) -> None:
    """Refuse what is no whole number above 0."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is a whole number, not {value!r}") from None
    if number < 1:
        raise ArgumentOutOfRangeException(f"{name} is at least 1, not {value!r}")


def check_number(name: str, value: Any) -> None:
    """Refuse what is no number, and a negative one; infinity is fine."""
    if not isinstance(value, int | float):
        raise TypeError(f"{name} is a number, not {value!r}")
    if not value >= 0:  # as it stands: NaN is refused too
        raise ArgumentOutOfRangeException(f"{name} is 0 or more, not {value!r}")


def check_span(name: str, value: Any) -> None:
    """Refuse what is no time above 0, in seconds or as a timedelta, or more than a timedelta holds."""
    if not isinstance(value, int | float | timedelta):
        raise TypeError(f"{name} is in seconds, or a timedelta, not {value!r}")
    try:
        in_range = Scheduler.to_timedelta(value) > timedelta(0)
    except (ValueError, OverflowError):  # NaN, infinity
        in_range = False
    if not in_range:
        raise ArgumentOutOfRangeException(f"{name} is a time above 0, with an end; not {value!r}")


def check_function(name: str, value: Any) -> None:
    """Refuse what can't be called."""
    if not callable(value):
        raise TypeError(f"{name} is a function, not {value!r}")


def check_predicate(name: str, value: Any) -> None:
    """Refuse what can't be called, and an async function."""
    check_function(name, value)
    if inspect.iscoroutinefunction(value):
        raise TypeError(f"{name} is an async function, and the coroutine that it gives would always count as true")
