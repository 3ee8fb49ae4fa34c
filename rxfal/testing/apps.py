"""Apps of the embedded server: a Python function as a fal endpoint, its events, its single answer and its failures.

Knows the response side of fal's protocol (streams and errors), but not who may call or which app a path means.
"""

import asyncio
import inspect
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import Any, cast

from aiohttp import web
from pydantic import ValidationError
from pydantic_core import to_json

from .job import Job
from .journal import RecordedRequest
from .signatures import Signature, signature_of
from .steps import Step, hang_up

__all__ = ["ApiFailure", "App", "Handler", "answer", "error_response", "input_of", "json_response", "respond"]

Handler = (
    Callable[[Any], AsyncIterator[Any]]
    | Callable[[Any], Awaitable[Any]]
    | Callable[[Any, Job], AsyncIterator[Any]]
    | Callable[[Any, Job], Awaitable[Any]]
)

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


@dataclass(frozen=True, slots=True, eq=False)  # the same function at two endpoints is two apps
class App:
    """A registered handler and what it sends.

    Attributes:
        handler: The function.
        content_type: If given, its items are bytes of a body of this type, and not events.
        concurrency: How many requests from the queue it works on at once; None for all.
        category: What kind of model it is, such as `text-to-image`.
        price: What a unit costs, in US dollars.
        unit: What is counted.
        signature: What its annotations say.
        takes_job: Whether it gets the `Job`.
    """

    handler: Handler
    content_type: str | None = None
    concurrency: int | None = None
    _: KW_ONLY
    category: str | None = None
    price: float | None = None
    unit: str = "request"
    namespace: InitVar[Mapping[str, Any] | None] = None
    signature: Signature = field(init=False)
    takes_job: bool = field(init=False)

    def __post_init__(self, namespace: Mapping[str, Any] | None) -> None:
        if not (inspect.isasyncgenfunction(self.handler) or inspect.iscoroutinefunction(self.handler)):
            raise TypeError(f"an app is an async generator function or a coroutine function, not {self.handler!r}")
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError(f"concurrency is how many requests at once, 1 or more, not {self.concurrency}")
        object.__setattr__(self, "signature", signature_of(self.handler, namespace))
        object.__setattr__(self, "takes_job", _takes_job(self.handler))

    def call(self, input: dict[str, Any], job: Job) -> AsyncIterator[Any] | Awaitable[Any]:
        """What the handler gives for an input, which may fail to validate; one with a second parameter gets the job."""
        handler = cast("Callable[..., AsyncIterator[Any] | Awaitable[Any]]", self.handler)
        accepted = self._accept(input)
        return handler(accepted, job) if self.takes_job else handler(accepted)

    def _accept(self, input: dict[str, Any]) -> Any:
        """What the handler gets: an instance of the pydantic model that it is annotated with, or the input as it is."""
        model = self.signature.input
        return input if model is None else model.model_validate_json(json.dumps(input))


def _takes_job(handler: Callable[..., Any]) -> bool:
    """Whether a second parameter is for the job: one with a default of its own, `n=n`, is not, unless it is `job`."""
    parameters = [
        parameter
        for parameter in inspect.signature(handler).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return len(parameters) > 1 and (parameters[1].default is parameters[1].empty or parameters[1].name == "job")


async def answer(app: App, input: dict[str, Any], job: Job) -> web.Response:
    """The single answer of an app's handler: a coroutine's value, a generator's last item, or all of its bytes.

    What the handler raises is the answer that fal would give; only a cancellation is passed on.
    """
    try:
        produced = app.call(input, job)
        if isinstance(produced, Awaitable):
            return _with_cost(json_response(await produced), job)
        last, body = None, bytearray()
        # Registered handlers are generator functions; annotated as an iterator, they are no less so.
        async with aclosing(cast("AsyncGenerator[Any, None]", produced)) as items:
            while (item := await _next(items)) is not _END:
                if not isinstance(item, bytes):
                    last = item
                elif app.content_type:
                    body += item
        if app.content_type:
            return _with_cost(web.Response(body=bytes(body), headers={"Content-Type": app.content_type}), job)
        return _with_cost(json_response(last), job)
    except Exception as error:
        return _with_cost(error_response(_as_failure(error)), job)


async def respond(
    app: App, input: dict[str, Any], job: Job, *, streaming: bool, request: web.BaseRequest, record: RecordedRequest
) -> web.StreamResponse:
    """Answers one request with what the app's handler gives.

    A generator's items go out one by one on a streaming path, each flushed; on the plain path its last item is the
    answer. A coroutine's value is one JSON answer on both.

    Args:
        app: The app.
        input: What the caller sent.
        job: What a handler with a second parameter gets.
        streaming: Whether the path is the streaming one.
        request: What is to be answered.
        record: Its entry in the journal.

    Returns:
        The response, begun if it streams.
    """
    if not (inspect.isasyncgenfunction(app.handler) and (streaming or app.content_type)):
        return await answer(app, input, job)
    try:
        async with aclosing(cast("AsyncGenerator[Any, None]", app.call(input, job))) as items:
            return await _stream(items, app.content_type, job, request, record)
    except ConnectionError:
        raise
    except Exception as error:
        return _with_cost(error_response(_as_failure(error)), job)


def input_of(record: RecordedRequest) -> dict[str, Any]:
    """The caller's input; a 422 in fal's words if it is not valid."""
    if record.method == "GET":
        return {name: _decoded(text) for name, text in record.query.items() if name != "fal_jwt_token"}
    if record.method != "POST":
        raise ApiFailure(405, "Method Not Allowed", headers={"Allow": "GET, POST"})
    try:
        value = json.loads(record.body or b"{}")
    except ValueError as error:
        detail = {"loc": ["body", 0], "msg": "JSON decode error", "type": "json_invalid", "ctx": {"error": str(error)}}
        raise ApiFailure(422, {"detail": [detail]}) from None
    if not isinstance(value, dict | None):
        detail = {"loc": ["body"], "msg": "Input should be a valid dictionary", "type": "dict_type", "input": value}
        raise ApiFailure(422, {"detail": [detail]})
    return cast(dict[str, Any], value or {})


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _with_cost(response: web.Response, job: Job) -> web.Response:
    """The response with what the work cost; fal asks nothing for an input that the model refused."""
    units = 0 if response.status == 422 else job.billable_units
    if units is not None:
        response.headers.setdefault("X-Fal-Billable-Units", str(units))
    return response


def json_response(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A whole JSON answer."""
    return web.Response(body=to_json(value), status=status, headers=headers, content_type="application/json")


def error_response(failure: ApiFailure) -> web.Response:
    """The answer that a failure asks for; an `error_type` in the body is in the headers, too."""
    response = json_response(failure.body, status=failure.status, headers=failure.headers)
    body = failure.body
    if isinstance(body, dict):
        kind = cast("dict[str, Any]", body).get("error_type")
        if isinstance(kind, str):
            response.headers.setdefault("X-Fal-Error-Type", kind)
    return response


async def _stream(
    items: AsyncGenerator[Any, None],
    content_type: str | None,
    job: Job,
    request: web.BaseRequest,
    record: RecordedRequest,
) -> web.StreamResponse:
    item = await _next(items)  # what fails here has a status of its own: nothing is on the wire yet
    response = web.StreamResponse(
        headers={"Content-Type": content_type or "text/event-stream; charset=utf-8", "Cache-Control": "no-store"}
    )
    response.headers["x-fal-request-id"] = record.request_id
    if job.billable_units is not None:
        response.headers["X-Fal-Billable-Units"] = str(job.billable_units)
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
