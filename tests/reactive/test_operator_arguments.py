"""What an operator is given wrong is an exception at the call, not at subscription."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import reactivex as rx
from reactivex.internal import ArgumentOutOfRangeException

from rxfal import from_observable
from rxfal import operators as ops

NAN, INF = float("nan"), float("inf")


async def asynchronous(_: Any) -> bool:
    return False


@pytest.mark.parametrize("count", [0, -1])
@pytest.mark.parametrize(
    "operator",
    [
        lambda n: ops.buffer(count=n),
        lambda n: ops.buffer(count=n, seconds=1),
        lambda n: ops.buffer_with_count(n),
        lambda n: ops.buffer_with_count(2, n),
        lambda n: ops.buffer_with_time_or_count(1.0, n),
        lambda n: ops.retry_backoff(n),
    ],
)
def test_a_count_below_1_is_out_of_range(operator: Callable[[Any], Any], count: int):
    with pytest.raises(ArgumentOutOfRangeException, match=f"is at least 1, not {count}"):
        operator(count)
    for wrong in (2.5, NAN, INF, "2"):
        with pytest.raises(TypeError, match="is a whole number, not"):
            operator(wrong)


@pytest.mark.parametrize(
    "operator",
    [
        lambda t: ops.buffer(seconds=t),
        lambda t: ops.buffer_with_time(t),
        lambda t: ops.buffer_with_time(1.0, t),
        lambda t: ops.buffer_with_time_or_count(t, 1),
        lambda t: ops.throttle_latest(t),
    ],
)
def test_a_time_is_finite_and_above_0(operator: Callable[[Any], Any]):
    for wrong in (-1, -0.5, NAN, INF, 1e300, timedelta(-1)):
        with pytest.raises(ArgumentOutOfRangeException, match="is a finite time above 0"):
            operator(wrong)
    for wrong in ("1", [1]):
        with pytest.raises(TypeError, match="is in seconds, or a timedelta, not"):
            operator(wrong)


@pytest.mark.parametrize(
    "operator",
    [
        lambda t: ops.buffer(seconds=t),
        lambda t: ops.buffer(count=2, seconds=t),
        ops.buffer_with_time,
        lambda t: ops.buffer_with_time_or_count(t, 2),
        ops.throttle_latest,
    ],
)
def test_no_time_at_all_is_not_above_0(operator: Callable[[Any], Any]):
    for wrong in (0, 0.0, timedelta(0)):
        with pytest.raises(ArgumentOutOfRangeException, match="is a finite time above 0"):
            operator(wrong)


def test_a_silence_is_0_seconds_or_more():
    for wrong in (-1, -0.001, NAN, -INF, timedelta(seconds=-1)):
        with pytest.raises(ValueError, match="0 seconds or more"):
            ops.timeout(wrong)
        with pytest.raises(ValueError, match="0 seconds or more"):
            from_observable(rx.of(1)).timeout(wrong)
    for right in (0, 0.5, timedelta(0), datetime.now(UTC)):
        ops.timeout(right)


@pytest.mark.parametrize("option", ["wait_initial", "wait_max", "wait_exp_base", "wait_jitter"])
def test_the_numbers_of_a_pause_are_not_negative(option: str):
    for wrong in (-1, NAN):
        with pytest.raises(ArgumentOutOfRangeException, match=f"{option} is 0 or more, not"):
            ops.retry_backoff(**{option: wrong})
    with pytest.raises(TypeError, match=f"{option} is a number, not '1'"):
        ops.retry_backoff(**{option: "1"})


@pytest.mark.parametrize("on", [5, "ValueError", int, (ValueError, 5), (ValueError, int), [ValueError], asynchronous])
def test_what_to_retry_on_says_something_about_exceptions(on: Any):
    with pytest.raises(TypeError, match="on is"):
        ops.retry_backoff(on=on)


@pytest.mark.parametrize(
    "on", [None, ValueError, (ValueError, TimeoutError), lambda error: True, KeyboardInterrupt, ()]
)
def test_what_to_retry_on_can_be_said_in_three_ways(on: Any):
    ops.retry_backoff(on=on)


WRONG_FUNCTIONS = [
    (lambda f: ops.map(f), [5, "x", rx.of(1)]),
    (lambda f: ops.filter(f), [5, "x", None, asynchronous]),
    (lambda f: ops.sequence_equal([1], f), [5, "x"]),
]


@pytest.mark.parametrize(("operator", "wrong"), WRONG_FUNCTIONS, ids=["map", "filter", "sequence_equal"])
def test_what_is_no_function_is_refused(operator: Callable[[Any], Any], wrong: list[Any]):
    for function in wrong:
        with pytest.raises(TypeError, match=r"is a function, not|is an async function"):
            operator(function)


@pytest.mark.parametrize("second", [5, None])
def test_a_second_sequence_is_one(second: Any):
    with pytest.raises(TypeError, match="is an Observable or an iterable, not"):
        ops.sequence_equal(second)


def test_fluent_methods_refuse_them_too():
    stream = from_observable(rx.of(1))
    with pytest.raises(TypeError):
        stream.map(5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ArgumentOutOfRangeException):
        stream.buffer(count=0)
