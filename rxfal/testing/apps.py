"""Apps of the embedded server: a Python function as a fal endpoint, its events, its single answer and its failures.

Knows the response side of fal's protocol (streams and errors), but not who may call or which app a path means.
"""

import asyncio
import inspect
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web
from pydantic import ValidationError
from pydantic_core import to_json

from .journal import RecordedRequest
from .steps import Step, hang_up

__all__ = ["ApiFailure", "App", "Handler", "error_response", "json_response", "respond"]

Handler = Callable[[Any], AsyncIterator[Any]] | Callable[[Any], Awaitable[Any]]

_EVENTS_PER_TURN = 64
"""Events that an app which never waits may send before other tasks get their turn."""

_END = object()
_log = logging.getLogger("rxfal.testing")


class ApiFailure(Exception):
    """An app's handler raises this to answer with an error of its choice.

    Before the first event, it is the response. Later the status has already been sent, so it becomes an event named
    `error` with the same body, and the stream ends.

    Args:
        status: The status code.
        body: The JSON body; a string is put under `detail`, as fal writes its errors.
        headers: More headers, such as `{"X-Fal-Error-Type": "runner_disconnected"}`.

    Examples:
        >>> ApiFailure(503, "no runner", headers={"Retry-After": "2"}).body
        {'detail': 'no runner'}
    """

    def __init__(self, status: int, body: Any = "failed", *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body: Any = {"detail": body} if isinstance(body, str) else body
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class App:
    """A registered handler and what it sends."""

    handler: Handler
    content_type: str | None = None

    def __post_init__(self) -> None:
        if not (inspect.isasyncgenfunction(self.handler) or inspect.iscoroutinefunction(self.handler)):
            raise TypeError(f"an app is an async generator function or a coroutine function, not {self.handler!r}")


async def respond(
    app: App, input: dict[str, Any], *, streaming: bool, request: web.BaseRequest, record: RecordedRequest
) -> web.StreamResponse:
    """Answers one request with what the app's handler gives.

    A generator's items go out one by one on a streaming path, each flushed; on the plain path its last item is the
    answer. A coroutine's value is one JSON answer on both.

    Args:
        app: The app.
        input: What the caller sent.
        streaming: Whether the path is the streaming one.
        request: What is to be answered.
        record: Its entry in the journal.

    Returns:
        The response, begun if it streams.
    """
    try:
        produced = app.handler(input)
        if isinstance(produced, Awaitable):
            return json_response(await produced)
        # Registered handlers are generator functions; annotated as an iterator, they are no less so.
        async with aclosing(cast("AsyncGenerator[Any, None]", produced)) as items:
            if streaming or app.content_type:
                return await _stream(items, app.content_type, request, record)
            last = None
            async for item in items:
                last = last if isinstance(item, bytes) else item
            return json_response(last)
    except ConnectionError:
        raise
    except Exception as error:
        return error_response(_as_failure(error))


def json_response(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A whole JSON answer."""
    return web.Response(body=to_json(value), status=status, headers=headers, content_type="application/json")


def error_response(failure: ApiFailure) -> web.Response:
    """The answer that a failure asks for."""
    return json_response(failure.body, status=failure.status, headers=failure.headers)


async def _stream(
    items: AsyncGenerator[Any, None], content_type: str | None, request: web.BaseRequest, record: RecordedRequest
) -> web.StreamResponse:
    item = await _next(items)  # what fails here has a status of its own: nothing is on the wire yet
    response = web.StreamResponse(
        headers={"Content-Type": content_type or "text/event-stream; charset=utf-8", "Cache-Control": "no-store"}
    )
    response.headers["x-fal-request-id"] = record.request_id
    record.status = response.status
    response.enable_chunked_encoding()
    await response.prepare(request)
    sent = 0
    while item is not _END:
        # write() drains by itself once 64 KiB are under way: a slow reader slows the handler down.
        await response.write(item if isinstance(item, bytes) else b"data: " + to_json(item) + b"\n\n")
        sent += 1
        if sent % _EVENTS_PER_TURN == 0:
            await asyncio.sleep(0)
        try:
            item = await _next(items)
        except Exception as error:
            failure = _as_failure(error)
            if content_type:  # a binary body has no room for an error: it ends without its last chunk
                hang_up(request, record)
                return response
            await response.write(b"event: error\ndata: " + to_json(failure.body) + b"\n\n")
            break
    await response.write_eof()
    return response


async def _next(items: AsyncGenerator[Any, None]) -> Any:
    item = await anext(items, _END)
    if isinstance(item, Step):
        raise TypeError(f"an app yields values, and {type(item).__name__} is a step of a script: server.script(...)")
    return item


def _as_failure(error: Exception) -> ApiFailure:
    match error:
        case ApiFailure():
            return error
        case ValidationError():
            details = json.loads(error.json())
            return ApiFailure(422, {"detail": [{**item, "loc": ["body", *item["loc"]]} for item in details]})
        case _:
            _log.error("an app of the embedded server failed", exc_info=error)
            return ApiFailure(500, f"{type(error).__name__}: {error}")
