"""What is said of a request in the queue, and the handle by which it is found again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Self, cast

from pydantic import BaseModel, ConfigDict, field_validator
from typing_extensions import TypeVar

from rxfal.wire.config import Config
from rxfal.wire.endpoints import Endpoint, check_request_id
from rxfal.wire.queue import Addresses, check_address

__all__ = ["Cancellation", "Completed", "InProgress", "Queued", "RequestHandle", "RequestLog"]

_T = TypeVar("_T", covariant=True, default=Any)

_FALS_OWN = Config()


class RequestHandle(BaseModel):
    """What it takes to find a request in the queue again, in another process too. Keep it as JSON.

    Args:
        app: The endpoint that the request was submitted to.
        request_id: fal's id for it.
        status_url: Where its status is, as fal said. If left out, the client that uses the handle builds it.
        response_url: Where its result is; likewise.
        cancel_url: Where it can be cancelled; likewise.

    Raises:
        pydantic.ValidationError: The id of the app or of the request is none.

    Examples:
        >>> handle = RequestHandle.of("fal-ai/flux/dev", "764cabcf-b745")
        >>> RequestHandle.model_validate_json(handle.model_dump_json()) == handle
        True
    """

    model_config = ConfigDict(frozen=True)

    app: str
    request_id: str
    status_url: str | None = None
    response_url: str | None = None
    cancel_url: str | None = None

    @field_validator("app")
    @classmethod
    def _checked_app(cls, app: str) -> str:
        endpoint = Endpoint.parse(app, _FALS_OWN)
        return app if endpoint.base is None else endpoint.full_id

    @field_validator("request_id")
    @classmethod
    def _checked_id(cls, request_id: str) -> str:
        check_request_id(request_id)
        return request_id

    @classmethod
    def of(cls, app: str, request_id: str) -> Self:
        """A handle from the two ids alone, for the default addresses of fal's queue.

        Args:
            app: The endpoint that the request was submitted to.
            request_id: fal's id for it.

        Raises:
            EndpointError: One of them is not an id.
        """
        Endpoint.parse(app, _FALS_OWN)
        check_request_id(request_id)
        return cls(app=app, request_id=request_id)


def addresses_of(handle: Any, config: Config) -> Addresses:
    """Where to ask about the request of a user's handle, which may come from anywhere.

    Raises:
        TypeError: It is not a handle.
        EndpointError: It has an address whose host must not see the key.
    """
    if not isinstance(handle, RequestHandle):
        raise TypeError(
            f"handle must be a RequestHandle, not {type(handle).__name__}: from JSON, make one with "
            "RequestHandle.model_validate_json(...), and from ids, with RequestHandle.of(app, request_id)"
        )
    for name in ("status_url", "response_url", "cancel_url"):
        check_address(name, getattr(handle, name), config)
    return addresses_given(handle, config)


def addresses_given(handle: RequestHandle, config: Config) -> Addresses:
    """Where to ask about the request of a handle from fal itself."""
    return Addresses.of(
        Endpoint.parse(handle.app, config),
        handle.request_id,
        config,
        status_url=handle.status_url,
        response_url=handle.response_url,
        cancel_url=handle.cancel_url,
    )


class RequestLog(BaseModel):
    """A line that the model logged while it worked. fal's other keys are attributes too, and in `model_extra`.

    Attributes:
        message: The line.
        level: `INFO`, `ERROR` and the like.
        source: Where it came from, such as `USER`.
        timestamp: When, as fal writes it.
    """

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    message: str = ""
    level: str | None = None
    source: str | None = None
    timestamp: str | None = None

    @classmethod
    def read(cls, entry: Any) -> RequestLog:
        """A log from an entry as the server wrote it, whatever that is."""
        if not isinstance(entry, dict):
            return cls(message=_as_text(entry) or "")
        found = dict(cast("dict[str, Any]", entry))
        for name in cls.model_fields:
            if name in found:
                found[name] = _as_text(found[name])
        found["message"] = found.get("message") or ""
        return cls(**found)


def _as_text(value: Any) -> str | None:
    """A text as pydantic takes it: without halves of surrogate pairs."""
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class Queued:
    """The request waits in the queue.

    Attributes:
        request_id: fal's id for it.
        position: How many requests are before it, if fal says so.
    """

    request_id: str
    position: int | None = None


@dataclass(frozen=True, slots=True)
class InProgress:
    """The model works on the request, or has logged something.

    Attributes:
        request_id: fal's id for it.
        logs: What was logged since the last update.
    """

    request_id: str
    logs: tuple[RequestLog, ...] = ()


@dataclass(frozen=True, slots=True)
class Completed(Generic[_T]):
    """The request is done.

    Attributes:
        request_id: fal's id for it.
        output: The result, decoded and validated; None if only the status was asked for.
        logs: All that was logged.
        metrics: fal's measurements, such as `inference_time` in seconds.
        billable_units: What the request is billed for. Its price is this, multiplied by the unit price of the model.
        headers: The headers of the result; looking one up ignores case.
        error: What went wrong, if it failed. A failed request that is followed ends with an `ApiError` instead.
        error_type: fal's word for that, such as `runner_disconnected`.
    """

    request_id: str
    output: _T
    logs: tuple[RequestLog, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict[str, Any])
    billable_units: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    error: str | None = None
    error_type: str | None = None


class Cancellation(StrEnum):
    """What fal says to a cancellation."""

    OK = "OK"
    """The request was still waiting, and is gone."""
    CANCELLATION_REQUESTED = "CANCELLATION_REQUESTED"
    """The model works on it, and has been told to stop."""
    ALREADY_COMPLETED = "ALREADY_COMPLETED"
    """It was done before."""
    NOT_FOUND = "NOT_FOUND"
    """There is no such request."""
