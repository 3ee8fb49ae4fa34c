"""The failure of a request that must not be paid for twice: what happened to it, and whether to send it again.

Pure functions over errors.
"""

from rxfal.errors import ApiError, FalError, StreamTimeoutError, TransportError
from rxfal.wire.failures import what_happened
from rxfal.wire.retries import surely_not_taken

__all__ = ["judge", "say_unknown"]

_UNKNOWN = (
    "the request had been sent, and nobody knows whether fal took it: sent again, it may be done and paid for twice; "
    "look at https://fal.ai/dashboard/requests first"
)


def judge(error: FalError, *, has_begun: bool = False, answers_failures: bool = False) -> None:
    """Complete the error of a request that must not be paid for twice.

    If the server surely did not take the request, or refused it, the error stays as it is. Otherwise `retryable` is
    False, so that nobody sends the request again without a thought. If nobody knows what became of it,
    `outcome_unknown` is True, and the message says so.

    Args:
        error: The error.
        has_begun: Whether the answer had begun.
        answers_failures: Whether an error with an id is the model's own, so that the outcome is known.
    """
    if isinstance(error, ApiError) and not isinstance(error, StreamTimeoutError):
        if surely_not_taken(error):
            return
        error.retryable = False
        is_known = error.status < 500 and error.status != 408
        if not (is_known or (answers_failures and error.request_id)):
            say_unknown(error)
    elif error.outcome_unknown or (has_begun and isinstance(error, TransportError | StreamTimeoutError)):
        say_unknown(error)


def say_unknown(error: FalError) -> None:
    """Let an error say that nobody knows what became of its request."""
    error.outcome_unknown = True
    error.retryable = False
    error.reword(f"{what_happened(error)}; {_UNKNOWN}")
