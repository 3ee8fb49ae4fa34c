"""Check the arguments of operators, so that a wrong one raises at the call rather than at subscription.

A value out of range raises reactivex's ArgumentOutOfRangeException, which is a ValueError. A wrong type raises
TypeError.
"""

from __future__ import annotations

import inspect
import operator
from datetime import timedelta
from typing import Any

from reactivex.internal import ArgumentOutOfRangeException
from reactivex.scheduler.scheduler import Scheduler


def check_count(name: str, value: Any) -> None:
    """Reject anything but a whole number above 0."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is a whole number, not {value!r}") from None
    if number < 1:
        raise ArgumentOutOfRangeException(f"{name} is at least 1, not {value!r}")


def check_number(name: str, value: Any) -> None:
    """Reject anything but a number of 0 or more. Infinity is allowed."""
    if not isinstance(value, int | float):
        raise TypeError(f"{name} is a number, not {value!r}")
    if not value >= 0:  # written this way round so that NaN is rejected too
        raise ArgumentOutOfRangeException(f"{name} is 0 or more, not {value!r}")


def check_span(name: str, value: Any) -> None:
    """Reject anything but a time above 0, in seconds or as a timedelta, that fits in a timedelta."""
    if not isinstance(value, int | float | timedelta):
        raise TypeError(f"{name} is in seconds, or a timedelta, not {value!r}")
    try:
        in_range = Scheduler.to_timedelta(value) > timedelta(0)
    except (ValueError, OverflowError):  # NaN, infinity
        in_range = False
    if not in_range:
        raise ArgumentOutOfRangeException(f"{name} is a finite time above 0, not {value!r}")


def check_function(name: str, value: Any) -> None:
    """Reject what isn't callable."""
    if not callable(value):
        raise TypeError(f"{name} is a function, not {value!r}")


def check_predicate(name: str, value: Any) -> None:
    """Reject what isn't callable, and async functions."""
    check_function(name, value)
    if inspect.iscoroutinefunction(value):
        raise TypeError(f"{name} is an async function, whose coroutine would always count as true")
