"""fal's queue on the wire: the addresses of a request, and what is said of it.

Pure functions over text, `Config` and decoded JSON.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self, cast

from yarl import URL

from rxfal.errors import EndpointError
from rxfal.wire.config import Config
from rxfal.wire.endpoints import Endpoint, may_see_credential

__all__ = ["Addresses", "Status", "Word", "queue_url", "status_in_queue", "with_logs"]

Word = Literal["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]


def queue_url(
    endpoint: Endpoint, config: Config, *, path: str | None = None, query: Mapping[str, Any] | None = None
) -> URL:
    """Where requests to an endpoint are submitted.

    Args:
        endpoint: The endpoint. If it was a URL of fal's server for direct calls, its queue is meant.
        config: Where the queue is, unless the endpoint was a URL of another server.
        path: As for `Endpoint.url`.
        query: As for `Endpoint.url`.

    Examples:
        >>> str(queue_url(Endpoint.parse("fal-ai/flux/dev", Config()), Config(), query={"fal_max_queue_length": 3}))
        'https://queue.fal.run/fal-ai/flux/dev?fal_max_queue_length=3'
    """
    return endpoint._replace(base=_base(endpoint, config)).url(config, path=path, query=query)


def _base(endpoint: Endpoint, config: Config) -> str:
    if endpoint.base is None or endpoint.base == config.run_url:
        return config.queue_url
    return "https://queue.fal.run" if endpoint.base in ("https://fal.run", "https://fal.ai") else endpoint.base


class Addresses(NamedTuple):
    """Where a request can be asked about.

    Attributes:
        status: Its status; with `/stream` after the path, all its statuses.
        result: Its result.
        cancel: Where to cancel it.
    """

    status: URL
    result: URL
    cancel: URL

    @classmethod
    def of(
        cls,
        endpoint: Endpoint,
        request_id: str,
        config: Config,
        *,
        status_url: str | None = None,
        response_url: str | None = None,
        cancel_url: str | None = None,
    ) -> Self:
        """The addresses that the server gave, as they are; those that it did not give are built.

        Args:
            endpoint: The endpoint that it was submitted to; only its app counts.
            request_id: The request's id, checked.
            config: Where the queue is.
            status_url: What the server gave.
            response_url: What the server gave.
            cancel_url: What the server gave.

        Examples:
            >>> addresses = Addresses.of(Endpoint.parse("fal-ai/flux/dev", Config()), "r-1", Config())
            >>> str(addresses.cancel)
            'https://queue.fal.run/fal-ai/flux/requests/r-1/cancel'
        """
        own = URL(_base(endpoint, config)).joinpath(*endpoint.app_id.split("/"), "requests", request_id)
        return cls(
            _given(status_url) or own / "status",
            _given(response_url) or own,
            _given(cancel_url) or own / "cancel",
        )


def _given(text: str | None) -> URL | None:
    """An address as the server wrote it: quoting it again could break a signature. None if it is not one."""
    if text is None or not re.fullmatch("https?://[!-~]+", text, re.IGNORECASE):
        return None
    try:
        url = URL(text, encoded=True)
        return url if url.raw_host and url.port else None
    except ValueError:
        return None


def check_address(what: str, text: str | None, config: Config) -> None:
    """Refuse an address that must not see the key.

    Args:
        what: What to call it in messages.
        text: The address; None passes.
        config: Says which hosts are trusted.

    Raises:
        EndpointError: It is not an address, or its host is not trusted.
    """
    if text is None:
        return
    url = _given(text)
    if url is None:
        raise EndpointError(f"the {what} of the handle is not an http or https URL; leave it out, and it is built")
    if not may_see_credential(url, config):
        raise EndpointError(
            f"the {what} of the handle is at {url.scheme}://{url.raw_host}, which must not see the key; name a host of "
            "yours in Config(trusted_hosts=...)"
        )


def with_logs(url: URL, logs: bool, *, streamed: bool = False) -> URL:
    """The address of a status, with and without logs, and of the stream of all statuses.

    Args:
        url: The status's address. Its query is kept, character by character.
        logs: Whether logs are wanted.
        streamed: Whether to ask for the stream.

    Examples:
        >>> url = URL("https://queue.fal.run/a/b/requests/r/status?s=a%2Fb", encoded=True)
        >>> str(with_logs(url, True, streamed=True))
        'https://queue.fal.run/a/b/requests/r/status/stream?s=a%2Fb&logs=1'
    """
    path, _, query = str(url).partition("?")
    if streamed:
        path = f"{path.removesuffix('/')}/stream"
    query = f"{query}&" if query else ""
    return URL(f"{path}?{query}logs={int(logs)}", encoded=True)


class Status(NamedTuple):
    """What the queue says of a request.

    Attributes:
        word: `IN_QUEUE`, `IN_PROGRESS` or `COMPLETED`. There is no word for a failure; a failed request is completed.
        position: How many requests are before it in the queue, if it says so.
        logs: The log entries, as they came.
        metrics: fal's measurements, such as `inference_time` in seconds.
        error: What went wrong, if it failed.
        error_type: fal's word for that.
    """

    word: Word
    position: int | None
    logs: list[Any]
    metrics: dict[str, Any]
    error: str | None
    error_type: str | None


def status_in_queue(value: Any) -> Status | None:
    """Read a decoded status; None if it says nothing that is known.

    Examples:
        >>> status_in_queue({"status": "IN_QUEUE", "queue_position": 2}).position
        2
        >>> status_in_queue({"status": "THINKING"})
    """
    if not isinstance(value, dict):
        return None
    found = cast("dict[str, Any]", value)
    word = found.get("status")
    if word not in ("IN_QUEUE", "IN_PROGRESS", "COMPLETED"):
        return None
    position, logs, metrics = found.get("queue_position"), found.get("logs"), found.get("metrics")
    is_number = isinstance(position, int) and not isinstance(position, bool)
    return Status(
        word,
        position if is_number else None,
        cast("list[Any]", logs) if isinstance(logs, list) else [],
        cast("dict[str, Any]", metrics) if isinstance(metrics, dict) else {},
        _text(found.get("error")),
        _text(found.get("error_type")),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None if value is None else str(value)
