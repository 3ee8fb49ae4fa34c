"""Sending again: which failures are worth it, after which pause, and until when.

Knows errors and the clock; it does not know what is sent.
"""

import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from rxfal.errors import ApiError, StreamTimeoutError, TransportError, in_seconds
from rxfal.wire.deadline import Deadline
from rxfal.wire.request import Request, Retry

if TYPE_CHECKING:
    import stamina

__all__ = ["retried", "surely_not_taken"]

logger = logging.getLogger("rxfal")
_STAMINAS_NAME = "a request of rxfal"
# stamina's own log of a retry says neither where nor why; `again` logs a line that does.
logging.getLogger("stamina").addFilter(lambda record: record.__dict__.get("stamina.callable") != _STAMINAS_NAME)

_LONGEST_RETRY_AFTER = 60.0  # seconds; if a server asks for more, there is no retry and the caller decides
_FIRST_PAUSE, _LONGEST_PAUSE, _JITTER = 0.2, 5.0, 0.4  # seconds, if the server names none

_T = TypeVar("_T")


async def retried(once: Callable[[], Awaitable[_T]], request: Request, deadline: Deadline, attempts: int) -> _T:
    """The result of the first attempt that succeeds, or the error of the last.

    Args:
        once: One attempt.
        request: What it sends: `request.retry` says which failures are worth another attempt.
        deadline: No pause is begun that would last beyond it.
        attempts: How many there may be.
    """
    failures: list[Exception] = []  # popped when raised: its traceback has this frame, which must not have it
    try:
        return await once()  # mostly all that is needed, and setting up retries takes as long as sending a request
    except Exception as error:
        failures.append(error)
    retries = None
    with suppress(OSError):  # without a file descriptor left there is no way to load stamina
        retries = _attempts(request, deadline, attempts)
    if retries is None:
        raise failures.pop()
    async for attempt in retries:
        with attempt:
            if failures:  # stamina's first attempt is the one that failed: it gets the error, and decides
                raise failures.pop()
            return await once()
    raise AssertionError("retries end with a result or an error")


def _attempts(request: Request, deadline: Deadline, most: int) -> "AsyncIterator[stamina.Attempt]":
    import stamina  # loaded only when something failed

    worth = _WORTH[request.retry]
    failed = 0

    def again(error: Exception) -> bool | float:
        """The seconds until the next attempt, or False."""
        nonlocal failed
        failed += 1
        pause = worth(error) and not _is_final(error, request) and _pause_of(error)
        if pause is False:
            return False
        if pause is True:
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (failed - 1) + random.uniform(0, _JITTER))
        if deadline.left(pause) < pause:
            return False  # what the server said is more useful than a timeout
        if failed < most:
            reason = str(error).removeprefix(f"{request.endpoint}: ")
            logger.info("%s: trying again in %s, after: %s", request.endpoint, in_seconds(pause), reason)
        return pause

    # The context manager, because the decorator would log the arguments.
    return aiter(stamina.retry_context(on=again, attempts=most, timeout=None).with_name(_STAMINAS_NAME, (), {}))


def _is_final(error: Exception, request: Request) -> bool:
    return isinstance(error, ApiError) and error.status in request.final


def _pause_of(error: Exception) -> bool | float:
    """After how many seconds to try again if the server said so; else True, or False if that would be too long."""
    if not isinstance(error, ApiError) or error.retry_after is None:
        return True
    return error.retry_after if error.retry_after <= _LONGEST_RETRY_AFTER else False


def surely_not_taken(error: Exception) -> bool:
    """Whether nothing has begun, so that no work is done and paid for twice if the same request is sent again.

    That is so if there was no connection, and if the server said that it did not take the work: with 429, with 503 and
    a hint to come back, and with the page that nginx sends if it could not hand a request on (502 and 503; its 504
    comes after it did).
    """
    if isinstance(error, TransportError):
        return error.kind in ("refused", "dns", "timeout", "reset") and not error.outcome_unknown
    if not isinstance(error, ApiError) or error.timeout_type is not None or not error.retryable:
        return False
    return error.status == 429 or (error.status == 503 and error.retry_hint) or _is_page_of_nginx(error)


def _is_page_of_nginx(error: ApiError) -> bool:
    return (
        error.status in (502, 503)
        and error.request_id is None
        and isinstance(error.body, str)
        and "nginx" in error.body.lower()
    )


def _may_help(error: Exception) -> bool:
    """For requests that may be repeated without harm."""
    if isinstance(error, ApiError):
        return error.retryable and not isinstance(error, StreamTimeoutError)
    return isinstance(error, TransportError) and error.retryable and error.kind != "timeout"


def _is_the_servers_fault(error: Exception) -> bool:
    """For requests that may be repeated and have no input that could be the cause of a 500."""
    return _may_help(error) or (isinstance(error, ApiError) and error.status >= 500)


def _is_unanswered(error: Exception) -> bool:
    """For the result of a request, which may be an error: the model's own, then, and it has an id."""
    return _may_help(error) and not (isinstance(error, ApiError) and error.request_id)


_WORTH: dict[Retry, Callable[[Exception], bool]] = {
    "never-started": surely_not_taken,
    "idempotent": _may_help,
    "5xx": _is_the_servers_fault,
    "unanswered": _is_unanswered,
    "never": lambda error: False,
}
