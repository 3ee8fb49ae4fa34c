"""`retry_backoff`, in virtual time: which errors, how often, how long the pauses, and what a subscriber sees."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex.disposable import Disposable
from reactivex.testing import TestScheduler

from rxfal import operators as ops
from rxfal.errors import ApiError, TransportError, ValidationError
from rxfal.reactive.operators import retry
from rxfal.reactive.stream import create
from tests.reactive import virtual_time
from tests.reactive.sources import PATIENCE, Log, Source, spin, until
from tests.reactive.virtual_time import cold, on_error

CALM = {"wait_initial": 10.0, "wait_max": 1000.0, "wait_jitter": 0.0}


class Flaky:
    """A cold source whose n-th subscription says what the n-th of `tries` does; `at` has the times they began."""

    def __init__(self, scheduler: TestScheduler, *tries: list[Any]) -> None:
        self.at: list[float] = []
        self.disposed = 0
        self._scheduler = scheduler
        self._tries = tries

    def __call__(self, observer: Any, scheduler: Any = None) -> Any:
        said = self._tries[min(len(self.at), len(self._tries) - 1)]
        self.at.append(self._scheduler.clock)
        for item in said:
            if isinstance(item, Exception):
                observer.on_error(item)
            elif item is ...:
                observer.on_completed()
            else:
                observer.on_next(item)
        return Disposable(self._dispose)

    def _dispose(self) -> None:
        self.disposed += 1


class Retrying(ApiError):
    def __init__(self, retry_after: float | None = None) -> None:
        super().__init__("busy", status=503, retry_after=retry_after)


def play(
    *tries: list[Any], disposed: float = 100_000.0, operator: Callable[..., Any] = ops.retry_backoff, **options: Any
) -> tuple[Flaky, list[Any], list[Any]]:
    """The source, its items and its end, subscribed at 200."""
    scheduler = TestScheduler()
    flaky = Flaky(scheduler, *tries)
    observer = scheduler.start(lambda: Observable(flaky).pipe(operator(**{**CALM, **options})), disposed=disposed)
    notifications: list[Any] = [message.value for message in observer.messages]
    items = [each.value for each in notifications if each.kind == "N"]
    ends = [each.exception if each.kind == "E" else "completed" for each in notifications if each.kind != "N"]
    return flaky, items, ends


def test_what_works_at_once_is_subscribed_once():
    flaky, items, ends = play([1, 2, ...])
    assert (flaky.at, items, ends) == ([200], [1, 2], ["completed"])


def test_what_fails_is_subscribed_again_until_it_works():
    flaky, items, ends = play([Retrying()], [Retrying()], [1, ...])
    assert (len(flaky.at), items, ends) == (3, [1], ["completed"])


def test_each_pause_is_longer_by_the_base_up_to_the_longest():
    flaky, _, _ = play([Retrying()], attempts=6, wait_max=45.0)
    assert flaky.at == [200, 210, 230, 270, 315, 360]


def test_another_base():
    flaky, _, _ = play([Retrying()], wait_exp_base=3.0)
    assert flaky.at == [200, 210, 240, 330]


def test_the_last_error_goes_on_when_the_attempts_are_used_up():
    errors = [Retrying() for _ in range(9)]
    flaky, items, ends = play(*([error] for error in errors), attempts=3)
    assert (len(flaky.at), items) == (3, [])
    assert ends == [errors[2]]
    assert ends[0] is errors[2]


def test_one_attempt_is_no_retry():
    flaky, _, ends = play([Retrying()], attempts=1)
    assert (flaky.at, len(ends)) == ([200], 1)


@pytest.mark.parametrize("attempts", [0, -1])
def test_fewer_than_one_attempt_is_refused(attempts: int):
    with pytest.raises(ValueError, match="at least 1"):
        ops.retry_backoff(attempts)


def test_thousands_of_attempts_keep_to_the_longest_pause():
    flaky, _, ends = play([Retrying()], attempts=1_200, wait_initial=1.0, wait_max=2.0)
    assert len(flaky.at) == 1_200
    assert flaky.at[-1] - flaky.at[-2] == 2
    assert len(ends) == 1


@pytest.mark.parametrize(
    ("error", "is_retried"),
    [
        (ApiError("busy", status=503), True),
        (ApiError("busy", status=429), True),
        (ApiError("your own limit", status=504, timeout_type="user"), False),
        (ApiError("no", status=400), False),
        (ApiError("says so", status=400, retryable=True), True),
        (ValidationError("no", status=422), False),
        (TransportError("reset", kind="reset"), True),
        (TransportError("certificate", kind="tls"), False),
        (ValueError("someone else's"), False),
    ],
    ids=str,
)
def test_left_to_itself_it_retries_what_says_it_is_retryable(error: Exception, is_retried: bool):
    flaky, _, _ = play([error], [...])
    assert (len(flaky.at) == 2) is is_retried


@pytest.mark.parametrize(
    ("on", "error", "is_retried"),
    [
        (ValueError, ValueError(), True),
        (ValueError, KeyError(), False),
        (LookupError, KeyError(), True),
        ((ValueError, KeyError), KeyError(), True),
        ((ValueError, KeyError), OSError(), False),
        (lambda error: "again" in str(error), ValueError("again, please"), True),
        (lambda error: "again" in str(error), ValueError("never"), False),
        (ValueError, Retrying(), False),
    ],
)
def test_on_names_the_errors_to_retry(on: Any, error: Exception, is_retried: bool):
    flaky, _, _ = play([error], [...], on=on)
    assert (len(flaky.at) == 2) is is_retried


def test_a_predicate_that_raises_ends_the_stream_with_its_error():
    def predicate(error: Exception) -> bool:
        raise KeyError("the predicate's own")

    seen = virtual_time.play(lambda ops, s, x: x.pipe(ops.retry_backoff(on=predicate)), cold(on_error(10, "broken")))
    assert seen.messages == [(210, "error", '"the predicate\'s own"')]
    assert seen.subscriptions == [[(200, 210)]]


def test_once_an_item_has_come_an_error_is_final():
    error = Retrying()
    flaky, items, ends = play([1, error], [2, ...])
    assert (len(flaky.at), items, ends) == (1, [1], [error])


def test_an_item_of_a_later_attempt_is_an_item_too():
    flaky, items, _ = play([Retrying()], [1, Retrying()], [2, ...])
    assert (len(flaky.at), items) == (2, [1])


def test_a_falsy_item_is_an_item_too():
    flaky, items, _ = play([None, Retrying()], [2, ...])
    assert (len(flaky.at), items) == (1, [None])


def test_after_items_it_is_asked_again_when_told_so():
    flaky, items, ends = play([1, Retrying()], [1, 2, ...], after_items=True)
    assert (len(flaky.at), items, ends) == (2, [1, 1, 2], ["completed"])


def test_the_pause_is_never_shorter_than_the_server_asked_for():
    flaky, _, _ = play([Retrying(retry_after=77.0)], attempts=2)
    assert flaky.at == [200, 277]


def test_the_pause_is_never_shorter_than_the_backoff():
    flaky, _, _ = play([Retrying(retry_after=3.0)], attempts=2)
    assert flaky.at == [200, 210]


def test_the_server_may_ask_for_more_than_the_longest_pause():
    flaky, _, _ = play([Retrying(retry_after=77.0)], attempts=2, wait_max=20.0)
    assert flaky.at == [200, 277]


def test_the_jitter_is_added_and_no_more_than_asked_for(monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[float, float]] = []
    monkeypatch.setattr(retry.random, "uniform", lambda low, high: (asked.append((low, high)), high)[1])
    flaky, _, _ = play([Retrying()], attempts=3, wait_max=15.0, wait_jitter=4.0)
    assert asked == [(0.0, 4.0)] * 2
    assert flaky.at == [200, 214, 233]


def test_pauses_differ_from_one_subscription_to_the_next():
    times = {tuple(play([Retrying()], wait_jitter=5.0)[0].at) for _ in range(8)}
    assert len(times) > 1


def test_disposed_in_a_pause_it_subscribes_no_more():
    flaky, _, ends = play([Retrying()], disposed=205.0)
    assert (flaky.at, ends) == ([200], [])


def test_disposed_in_an_attempt_it_disposes_the_source():
    flaky, _, ends = play([Retrying()], [], disposed=250.0)
    assert (flaky.at, flaky.disposed, ends) == ([200, 210], 2, [])


def test_each_attempt_is_disposed_of_before_the_next():
    flaky, _, _ = play([Retrying()], [Retrying()], [...])
    assert (len(flaky.at), flaky.disposed) == (3, 3)


def test_each_subscription_counts_its_own_attempts_and_items():
    scheduler = TestScheduler()
    flaky = Flaky(scheduler, [Retrying()])
    retrying = Observable(flaky).pipe(ops.retry_backoff(2, **CALM))
    for _ in range(2):
        log = Log()
        retrying.subscribe(*log.callbacks, scheduler=scheduler)
        scheduler.advance_by(100.0)
        assert len(log.ends) == 1
    assert len(flaky.at) == 4


def test_on_a_scheduler_of_its_own():
    scheduler = TestScheduler()
    flaky = Flaky(scheduler, [Retrying()], [...])
    log = Log()
    Observable(flaky).pipe(ops.retry_backoff(scheduler=scheduler, **CALM)).subscribe(*log.callbacks)
    assert log.ends == []
    scheduler.advance_by(10.0)
    assert log.ends == ["completed"]


def test_attempts_without_a_pause_do_not_nest():
    """Each comes from the scheduler, not from within the error of the one before: no recursion, however many."""
    flaky, _, ends = play([Retrying()], attempts=5_000, wait_initial=0.0)
    assert (len(flaky.at), len(ends)) == (5_000, 1)


async def test_on_a_real_loop():
    runs = 0

    async def read(sink: Any) -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise Retrying()
        sink.on_next(runs)

    stream = create(read, name="flaky")
    assert await stream.pipe(ops.retry_backoff(wait_initial=0.001, wait_jitter=0.0)) == 3


async def test_disposed_in_a_pause_on_a_real_loop_leaves_no_timer():
    source, log = Source(), Log()
    subscription = source.stream.pipe(ops.retry_backoff(wait_initial=0.01, wait_jitter=0.0)).subscribe(*log.callbacks)
    run = await source.open()
    await run.send(Retrying())
    await until(run.closed.is_set)
    subscription.dispose()
    await asyncio.sleep(0.03)
    await spin()
    assert (len(source.runs), log.ends) == (1, [])


def test_without_a_loop_no_thread_is_started_for_the_pause():
    done = threading.Event()
    tries = iter([rx.throw(Retrying()), rx.of("done")])
    before = {thread.name for thread in threading.enumerate()}
    rx.defer(lambda _: next(tries)).pipe(ops.retry_backoff(wait_initial=0.01, wait_jitter=0.0)).subscribe(
        on_completed=done.set
    )
    assert {thread.name for thread in threading.enumerate()} - before <= {"rxfal-loop"}
    assert done.wait(PATIENCE)


def test_a_retry_after_that_is_no_number_is_the_end_and_not_a_silence():
    error = Retrying()
    error.retry_after = "soon"  # pyright: ignore[reportAttributeAccessIssue]
    flaky, _, (end,) = play([error], [...], attempts=2)
    assert (len(flaky.at), type(end)) == (1, TypeError)
