"""What can go wrong, as one tree of exceptions.

Every error that rxfal raises itself is a `FalError`. This module is a leaf: it knows neither HTTP nor Rx and imports
nothing from rxfal, so every other module may raise these errors.

    FalError
    ├── ApiError                 a server answered with an error
    │   ├── ValidationError      422: the input does not fit the model
    │   └── StreamTimeoutError   408: nothing came for too long (also a TimeoutError)
    ├── TransportError           no server answered, or its answer broke off
    ├── DecodeError              an answer that can't be decoded
    ├── EventTooLargeError       an event over the limit
    ├── BodyTooLargeError        an answer over the limit
    ├── CallbackError            a function given as an option raised
    ├── CredentialsError         no usable key or token
    └── EndpointError            not an endpoint that rxfal may call (also a ValueError)
"""

import re
from collections.abc import Mapping
from typing import Any, Literal, NotRequired, Self, TypedDict, cast

__all__ = [
    "ApiError",
    "BodyTooLargeError",
    "CallbackError",
    "CredentialsError",
    "DecodeError",
    "EndpointError",
    "EventTooLargeError",
    "FalError",
    "FieldError",
    "StreamTimeoutError",
    "TransportError",
    "TransportKind",
    "ValidationError",
]

TransportKind = Literal[
    "refused", "reset", "cut short", "dns", "tls", "out of file descriptors", "timeout", "connection", "cancelled"
]

# What fal's own clients retry (JavaScript: 429, 502, 503, 504; Python: 408, 409, 429).
_RETRYABLE_STATUSES = frozenset({408, 409, 429, 502, 503, 504})


class FieldError(TypedDict):
    """One entry in the `detail` of a 422: where (`loc`), what (`msg`) and which rule (`type`)."""

    loc: list[str | int]
    msg: str
    type: str
    url: NotRequired[str]
    ctx: NotRequired[dict[str, Any]]
    input: NotRequired[Any]


_LONGEST = 2000  # characters in a message: it may quote a server, which can send any number of them
# Control characters, characters that change the direction of writing, and halves of surrogate pairs.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(text: str, longest: int = _LONGEST) -> str:
    r"""The text on one line that a terminal can show: cut to length, and without control characters.

    Examples:
        >>> one_line("two\nlines, \x1b[31mred", longest=12)
        'two lines, …'
    """
    text = _UNPRINTABLE.sub("\ufffd", re.sub("[\r\n\t]+", " ", text[: 2 * longest]))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def one_sentence(text: str, more: str) -> str:
    """Two clauses as one sentence, whatever punctuation the first ends with.

    Examples:
        >>> one_sentence("The model is busy.", "try again in a moment")
        'The model is busy: try again in a moment'
    """
    return f"{text.rstrip(' .:;,')}: {more}"


def in_seconds(seconds: float) -> str:
    """A duration for a message.

    Examples:
        >>> in_seconds(0.200409), in_seconds(1.0), in_seconds(2.5), in_seconds(600)
        ('0.2 seconds', '1 second', '2.5 seconds', '600 seconds')
    """
    number = f"{seconds:.2g}" if seconds < 1 else f"{seconds:.1f}".removesuffix(".0")
    return f"{number} second" if number == "1" else f"{number} seconds"


class FalError(Exception):
    """The base of every error that rxfal raises itself.

    Attributes:
        message: What happened and what to do next, on one line of at most 2,000 characters.
        endpoint: Where it happened, as the user wrote it; None if no endpoint is involved.
        retryable: Whether the same request may succeed if it is sent again.
        request_id: fal's id for the request (`x-fal-request-id`); None before there is one.
        outcome_unknown: Whether the request, or some of it, was sent and no answer came, so that nobody can say whether
            the server took it.
        logs: What a queued request had logged until then, as `RequestLog`s; otherwise empty.
    """

    retryable: bool = False
    request_id: str | None = None
    outcome_unknown: bool = False
    logs: tuple[Any, ...] = ()

    def __init__(self, message: str, *, endpoint: str | None = None) -> None:
        message = one_line(message)
        super().__init__(message)
        self.message = message
        self.endpoint = endpoint

    def __str__(self) -> str:
        text = f"{self.endpoint}: {self.message}" if self.endpoint else self.message
        return f"{text} (request {self.request_id})" if self.request_id and not isinstance(self, ApiError) else text

    def reword(self, message: str) -> None:
        """Replace the message, for a caller that knows more about what happened."""
        self.message = one_line(message)
        self.args = (self.message,)

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls the class with `args` alone, which fails with keyword-only parameters: an error from a
        # worker process would break its pool instead of arriving.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[FalError], args: tuple[Any, ...], state: dict[str, Any]) -> FalError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ApiError(FalError):
    """A server answered with an error.

    Args:
        message: What happened and what to do next.
        status: The HTTP status.
        body: The body of the response: decoded JSON, or text, or None if it was empty.
        request_id: fal's id for the request (`x-fal-request-id`).
        error_type: fal's word for the failure (`X-Fal-Error-Type`), such as `runner_disconnected`.
        timeout_type: Whose time limit expired (`X-Fal-Request-Timeout-Type`): `user` for the caller's own limit, or
            another word such as `infrastructure`.
        retryable: Whether a retry can help, as the server says. If left out, 408, 409, 429, 502, 503 and 504 can be
            retried. A 504 of type `user` never can.
        retry_after: How many seconds the server asked to wait before the next attempt.
        endpoint: Where it happened.
        address: Host and port of the server.

    The attribute `retry_hint` says whether the server itself asked for a retry (with `retryable` or `retry_after`).

    Examples:
        >>> error = ApiError("the model is busy", status=503, endpoint="owner/alias", request_id="r1")
        >>> print(error)
        owner/alias: the model is busy (status 503, request r1)
        >>> error.retryable
        True
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        body: Any = None,
        request_id: str | None = None,
        error_type: str | None = None,
        timeout_type: str | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        endpoint: str | None = None,
        address: str | None = None,
    ) -> None:
        super().__init__(message, endpoint=endpoint)
        self.status = status
        self.body = body
        self.request_id = request_id
        self.error_type = error_type
        self.timeout_type = timeout_type
        is_users_limit = status == 504 and timeout_type == "user"
        self.retryable = not is_users_limit and (status in _RETRYABLE_STATUSES if retryable is None else retryable)
        self.retry_after = retry_after
        self.retry_hint = retryable is True or retry_after is not None
        self.address = address

    def __str__(self) -> str:
        request = f", request {self.request_id}" if self.request_id else ""
        address = f", from {self.address}" if self.address else ""
        return f"{super().__str__()} (status {self.status}{request}){address}"


class ValidationError(ApiError):
    """The server refused the input; `field_errors` says which fields and why.

    Examples:
        >>> body = {"detail": [{"loc": ["body", "prompt"], "msg": "field required", "type": "missing"}]}
        >>> error = ValidationError("prompt: field required", status=422, body=body)
        >>> [entry["msg"] for entry in error.get_field_errors("prompt")]
        ['field required']
    """

    @property
    def field_errors(self) -> list[FieldError]:
        """The entries of the body's `detail`. A `detail` that is plain text becomes one entry for the whole body."""
        body: Any = self.body
        detail: Any = cast(dict[str, Any], body).get("detail") if isinstance(body, dict) else None
        entries = cast(list[Any], detail) if isinstance(detail, list) else [detail]
        return [_field_error(entry) for entry in entries if entry]

    def get_field_errors(self, field: str) -> list[FieldError]:
        """The entries for one field, given by its name (`"url"`) or its whole path (`"images.0.url"`)."""
        return [error for error in self.field_errors if field in _names_of(error["loc"])]


def _field_error(entry: Any) -> FieldError:
    if not isinstance(entry, Mapping):
        return {"loc": ["body"], "msg": str(entry), "type": "value_error"}
    found: dict[str, Any] = dict(cast(Mapping[str, Any], entry))
    loc: Any = found.get("loc", ["body"])
    found["loc"] = list(cast(list[Any], loc)) if isinstance(loc, (list, tuple)) else [loc]
    found["msg"] = str(found.get("msg", ""))
    found["type"] = str(found.get("type", "value_error"))
    return cast(FieldError, found)


def _names_of(loc: list[str | int]) -> set[str]:
    path = [str(part) for part in (loc[1:] if loc[:1] == ["body"] else loc)]
    names = [part for part in loc if isinstance(part, str)]
    return {".".join(path), *names[-1:]}


class StreamTimeoutError(ApiError, TimeoutError):
    """Nothing came for as long as the caller was willing to wait. Its status is 408; it is also a `TimeoutError`.

    Args:
        seconds: How long the wait was.
        message: What happened. If left out, it is about silence on the stream.
        endpoint: Where it happened.
        request_id: fal's id for the request, if the response had begun.

    Examples:
        >>> print(StreamTimeoutError(2.5))
        nothing came for 2.5 seconds; wait longer with timeout=..., ... (status 408)
    """

    def __init__(
        self, seconds: float, *, message: str | None = None, endpoint: str | None = None, request_id: str | None = None
    ) -> None:
        if message is None:
            message = (
                f"nothing came for {in_seconds(seconds)}; wait longer with timeout=..., or for ever with timeout=None"
            )
        super().__init__(message, status=408, endpoint=endpoint, request_id=request_id)
        self.seconds = seconds


class TransportError(FalError):
    """No server answered, or the answer broke off. `kind` says how; `__cause__` is the original error.

    Args:
        message: What happened and what to do next.
        kind: `refused`, `reset`, `cut short`, `dns`, `tls`, `out of file descriptors`, `timeout` (while connecting),
            `connection` (anything else about the connection) or `cancelled` (other code cancelled the stream's task).
        endpoint: Where it happened.
    """

    def __init__(self, message: str, *, kind: TransportKind, endpoint: str | None = None) -> None:
        super().__init__(message, endpoint=endpoint)
        self.kind: TransportKind = kind
        self.retryable = kind != "tls"


class DecodeError(FalError):
    """An answer that can't be decoded, or does not fit the `output` type. `data` is the answer as it came.

    `ops.text` and `ops.deltas` end with it if no event had a shape that they know; `data` is then the first event.

    Args:
        message: What is wrong with it.
        data: The raw bytes.
        endpoint: Where they came from.
    """

    def __init__(self, message: str, *, data: bytes, endpoint: str | None = None) -> None:
        super().__init__(message, endpoint=endpoint)
        self.data = data


class EventTooLargeError(FalError):
    """One event is larger than `max_event_size`, the limit that keeps a broken server from filling the memory.

    Args:
        size_limit: The limit, in bytes.
        endpoint: Where the event came from.
    """

    def __init__(self, size_limit: int, *, endpoint: str | None = None) -> None:
        super().__init__(
            f"an event is larger than {size_limit} bytes; if it is meant to be, raise max_event_size in Config",
            endpoint=endpoint,
        )
        self.size_limit = size_limit


class BodyTooLargeError(FalError):
    """An answer is larger than `max_body_size`, the limit that keeps a broken server from filling the memory.

    Args:
        size_limit: The limit, in bytes.
        endpoint: Where the answer came from.
    """

    def __init__(self, size_limit: int, *, endpoint: str | None = None) -> None:
        super().__init__(
            f"the answer is larger than {size_limit} bytes; if it is meant to be, raise max_body_size in Config",
            endpoint=endpoint,
        )
        self.size_limit = size_limit


class CallbackError(FalError):
    """A function that was given as an option, such as `on_open`, raised, or a middleware returned what is no request.

    An exception of the function is the `__cause__`.
    """


class CredentialsError(FalError):
    """There is no usable key or token."""


class EndpointError(FalError, ValueError):
    """Not an endpoint that rxfal may call, or send a credential to. Raised before anything is sent.

    That is at the call; or at the subscription, if a middleware moved the request there.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)

    @classmethod
    def format(cls, app: str) -> Self:
        """The error for text that does not have the form of an id."""
        return cls(f"Invalid app id: {app}. Must be in the format <appOwner>/<appId>")
