"""`stream` and `stream_events`: one request, and its body handed on as it arrives.

The way of a byte: `Response.read_chunk` (socket) to `SSEDecoder.feed_raw` (payloads) to the payload decoder (values)
to `sink.on_next` (the subscriber). Between two events the reader looks at the demand gate, and reads no further while
it is closed.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypedDict, TypeVar, cast

from multidict import CIMultiDict
from pydantic import SecretStr
from pydantic_core import from_json

from rxfal.errors import ApiError, CredentialsError, DecodeError
from rxfal.reactive.observer import refuse_coroutine_functions
from rxfal.reactive.reader import Sink
from rxfal.reactive.stream import Stream, create
from rxfal.wire.config import Config
from rxfal.wire.credentials import TokenCache
from rxfal.wire.endpoints import Endpoint, encode_query
from rxfal.wire.failures import error_from_response
from rxfal.wire.http import Http, Request, Response
from rxfal.wire.payload import encode_json, payload_decoder
from rxfal.wire.sse import ServerSentEvent, SSEDecoder

from .inputs import PreparedInput
from .silence import SilenceLimit
from .storage import Uploader

_T = TypeVar("_T")

TokenProvider = Callable[[str], str | Awaitable[str]]
"""Gives a short-lived token for an app such as `owner/alias/stream`."""

_STREAM_HEADERS = {
    "Accept": "text/event-stream",
    "Accept-Encoding": "identity",  # a compressing server or proxy would hold events back until a block is full
    "Cache-Control": "no-store",
}


class ResponseInfo(NamedTuple):
    """What `on_open` is told when the response has begun.

    Attributes:
        status: The HTTP status.
        headers: The response's headers; look-ups ignore case.
        request_id: fal's id of the request (`x-fal-request-id`), if it sent one.
    """

    status: int
    headers: Mapping[str, str]
    request_id: str | None


class StreamOptions(TypedDict, total=False):
    """The options of `Client.stream` but `output`, for type checkers; their meaning stands there."""

    path: str | None
    method: str
    query: Mapping[str, Any] | None
    headers: Mapping[str, str] | None
    timeout: float | None
    response_timeout: float | None
    auto_upload: bool
    auth: Literal["key", "token"]
    token_provider: TokenProvider | None
    on_open: Callable[[ResponseInfo], None] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamCall:
    """Everything about one call of `stream`, checked at the call; each subscription opens a request of its own."""

    http: Http
    tokens: TokenCache
    endpoint: Endpoint
    input: PreparedInput
    path: str | None
    method: str
    query: Mapping[str, Any]
    headers: Mapping[str, str]
    timeout: float | None
    response_timeout: float | None
    auth: Literal["key", "token"]
    token_provider: TokenProvider | None
    on_open: Callable[[ResponseInfo], None] | None

    def __post_init__(self) -> None:
        for name, seconds in (("timeout", self.timeout), ("response_timeout", self.response_timeout)):
            if seconds is not None and not seconds > 0:
                raise ValueError(f"{name} is in seconds and above 0, or None for no limit; got {seconds!r}")
        if self.auth not in ("key", "token"):
            raise ValueError(f"auth is 'key' or 'token', not {self.auth!r}")
        refuse_coroutine_functions(on_open=self.on_open)
        if not self.input.uploads:
            self._request(self.input.value(), token=None)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Response]:
        """Upload what the input holds, send the request, and leave the response open for the block."""
        value = await Uploader(self.http).resolve(self.input)
        async with self.http.exchange(self._request(value, await self._token())) as response:
            if response.status == 204:
                raise ApiError(
                    "the response body is empty (204)",
                    status=400,
                    request_id=response.request_id,
                    endpoint=self.endpoint.id,
                )
            if self.on_open is not None:
                self.on_open(ResponseInfo(response.status, response.headers, response.request_id))
            yield response

    def _request(self, value: Any, token: SecretStr | None) -> Request:
        query, body = self.query, None
        headers = CIMultiDict(_STREAM_HEADERS)
        if self.method == "GET":
            if not isinstance(value, Mapping | None):
                raise TypeError(f"with method GET the input becomes the query: a mapping, not {type(value).__name__}")
            query = {**encode_query(cast("Mapping[str, Any]", value or {}), what="input"), **query}
        else:
            body = encode_json({} if value is None else value)
            headers["Content-Type"] = "application/json"
        headers.update(self.headers)
        return Request(
            method=self.method,
            url=self.endpoint.stream_url(self.http.config, path=self.path, query=query),
            endpoint=self.endpoint.id,
            headers=headers,
            body=body,
            auth=token is None,
            token=token,
            response_timeout=self.response_timeout,
        )

    def limit(self, response: Response) -> SilenceLimit:
        """The limit on the silence of this response."""
        return SilenceLimit(self.timeout, endpoint=self.endpoint.id, request_id=response.request_id)

    async def _token(self) -> SecretStr | None:
        if self.auth == "key":
            return None
        if self.token_provider is None:
            return await self.tokens.token(self.endpoint.alias)
        app = self.endpoint.stream_url(Config(), path=self.path).path.strip("/")
        token = self.token_provider(app)
        if inspect.isawaitable(token):
            token = await token
        if not token or not isinstance(token, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise CredentialsError(
                f"token_provider gave {type(token).__name__} instead of a token: return a non-empty string",
                endpoint=self.endpoint.id,
            )
        return SecretStr(token)


def stream(call: StreamCall, output: Any = None) -> Stream[Any]:
    """The Stream of a call's events, decoded."""
    decode = payload_decoder(output, endpoint=call.endpoint.id)

    async def read(sink: Sink[Any]) -> None:
        async with call.open() as response:
            if response.content_type == "text/event-stream":
                await _read_events(call, response, sink, decode)
            elif response.content_type == "application/json" or response.content_type.endswith("+json"):
                with call.limit(response) as limit:
                    sink.on_next(decode(await limit.wait(response.read)))
            else:
                await _read_binary(call, response, sink)

    return create(read, name=call.endpoint.id)


def stream_events(call: StreamCall) -> Stream[ServerSentEvent]:
    """The Stream of a call's events as they are on the wire."""

    async def read(sink: Sink[ServerSentEvent]) -> None:
        async with call.open() as response:
            if response.content_type != "text/event-stream":
                raise DecodeError(
                    f"the answer is {response.content_type}, not an event stream: stream() takes both",
                    data=b"",
                    endpoint=call.endpoint.id,
                )
            decoder = SSEDecoder(call.http.config.max_event_size)
            with call.limit(response) as limit:
                while True:
                    chunk = await limit.wait(response.read_chunk)
                    for event in decoder.feed(chunk) if chunk else _last(decoder.close()):
                        sink.on_next(event)
                        if sink.gate.closed:
                            await sink.gate.wait()
                    if not chunk:
                        return

    return create(read, name=call.endpoint.id)


async def _read_events(call: StreamCall, response: Response, sink: Sink[Any], decode: Callable[[bytes], Any]) -> None:
    decoder = SSEDecoder(call.http.config.max_event_size)
    on_next, gate = sink.on_next, sink.gate
    with call.limit(response) as limit:
        while True:
            chunk = await limit.wait(response.read_chunk)
            for data, name in decoder.feed_raw(chunk) if chunk else _last(decoder.close_raw()):
                if name == "error":
                    raise _event_error(data, response, call.endpoint.id)
                if data == b"[DONE]":
                    return
                on_next(decode(data))
                if gate.closed:
                    await gate.wait()
            if not chunk:
                return


async def _read_binary(call: StreamCall, response: Response, sink: Sink[Any]) -> None:
    with call.limit(response) as limit:
        while chunk := await limit.wait(response.read_chunk):
            sink.on_next(chunk)
            if sink.gate.closed:
                await sink.gate.wait()


def _event_error(data: bytes, response: Response, endpoint: str) -> ApiError:
    """The error that an event named `error` stands for: its data reads like the body of an error response."""
    try:
        body: Any = from_json(data)
    except ValueError:
        body = None
    status = cast("dict[str, Any]", body).get("status") if isinstance(body, dict) else None
    if not isinstance(status, int) or not 400 <= status < 600:
        status = 500
    return error_from_response(status, response.headers, data, endpoint=endpoint, had_key=True)


def _last(event: _T | None) -> tuple[_T, ...]:
    return () if event is None else (event,)
