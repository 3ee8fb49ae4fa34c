"""What is submitted to the queue: options, checked at the call, and the request that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypedDict

from yarl import URL

from rxfal.errors import StreamTimeoutError
from rxfal.wire.deadline import Deadline
from rxfal.wire.endpoints import Endpoint
from rxfal.wire.http import Request
from rxfal.wire.queue import queue_url

from .call import InputRequest
from .checks import check_word, checked_headers, checked_mapping
from .connected import Connections
from .fal_headers import Kept, fal_headers
from .options import Default

__all__ = ["SUBMIT_SECONDS", "Submission", "SubmitOptions"]

SUBMIT_SECONDS = 120.0
"""How long submitting may take until its answer is whole, retries and their pauses included."""

Priority = Literal["normal", "low"]


class SubmitOptions(TypedDict, total=False):
    """The options of a request to the queue; `subscribe` explains them."""

    path: Annotated[str, Default("")]
    query: Annotated[Mapping[str, Any] | None, Default(None)]
    headers: Annotated[Mapping[str, str] | None, Default(None)]
    auto_upload: Annotated[bool, Default(True)]
    priority: Annotated[Priority, Default("normal")]
    hint: Annotated[str | None, Default(None)]
    start_timeout: Annotated[float | None, Default(None)]
    lifecycle: Annotated[Kept | None, Default(None)]
    tags: Annotated[Mapping[str, str] | None, Default(None)]
    webhook_url: Annotated[str | None, Default(None)]
    max_queue_length: Annotated[int | None, Default(None)]


class Submission:
    """One request to the queue, checked when it is made. Each subscription submits it anew.

    Args:
        connections: The client's.
        app: As for `subscribe`, like the others.
        input: The model's input.
        given: All options; of them, those of `SubmitOptions` are used here.
    """

    def __init__(self, connections: Connections, app: str, input: Any, given: Mapping[str, Any]) -> None:
        http = connections.http
        self.endpoint = endpoint = Endpoint.parse(app, http.config)
        check_word("priority", given["priority"], "normal", "low")
        own = fal_headers(**{name: given[name] for name in ("start_timeout", "hint", "lifecycle", "tags", "priority")})
        query = dict(checked_mapping("query", given["query"]))
        if given["webhook_url"] is not None:
            query["fal_webhook"] = _checked_webhook(given["webhook_url"])
        limit = given["max_queue_length"]
        if limit is not None:
            query["fal_max_queue_length"] = _checked_count("max_queue_length", limit)
        request = Request(
            method="POST",
            url=queue_url(endpoint, http.config, path=given["path"], query=query),
            endpoint=endpoint.id,
            headers=checked_headers(given["headers"], {"Accept": "application/json", **own}),
            final=frozenset() if limit is None else frozenset({429}),  # the queue is too long: that is the answer
        )
        self._request = InputRequest(connections, request, input, find_files=given["auto_upload"])

    async def ready(self) -> Request:
        """The request as it can be sent, once its files are uploaded."""
        return await self._request.ready(Deadline(None), StreamTimeoutError)


def _checked_webhook(url: Any) -> str:
    if not isinstance(url, str):
        raise TypeError(f"webhook_url is a text, not {type(url).__name__}")
    try:
        parsed = URL(url)
        if parsed.scheme in ("http", "https") and parsed.host and parsed.port and url.isprintable() and " " not in url:
            return url
    except ValueError:
        pass
    raise ValueError("webhook_url is an address of yours, such as https://example.com/fal")  # it may hold a secret


def _checked_count(name: str, count: Any) -> int:
    if not isinstance(count, int) or isinstance(count, bool):
        raise TypeError(f"{name} is a whole number, not {count!r}")
    if count < 1:
        raise ValueError(f"{name} is 1 or more, not {count}")
    return count
