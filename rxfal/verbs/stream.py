"""`stream` and `stream_events`: one request, and its body handed on as it arrives.

The way of a byte: `Response.read_chunk` (socket) to `SSEDecoder.feed_raw` (payloads) to the payload decoder (values)
to `sink.on_next` (the subscriber). Between two events the reader looks at the demand gate, and reads no further while
it is closed.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

from pydantic_core import from_json

from rxfal.errors import ApiError, DecodeError
from rxfal.reactive.reader import Sink
from rxfal.reactive.stream import Stream, create
from rxfal.wire.failures import error_from_response, status_in
from rxfal.wire.http import Response
from rxfal.wire.payload import PayloadDecoder
from rxfal.wire.sse import ServerSentEvent, SSEDecoder

from .call import StreamCall

_T = TypeVar("_T")


def stream(call: StreamCall, output: Any = None) -> Stream[Any]:
    """The Stream of a call's events, decoded."""
    decode = PayloadDecoder(output, endpoint=call.endpoint.id)

    async def read(sink: Sink[Any]) -> None:
        async with call.open() as response:
            if response.content_type == "text/event-stream":
                await _read_events(call, response, sink, decode)
            elif response.content_type == "application/json" or response.content_type.endswith("+json"):
                sink.on_next(decode(await _read_whole(call, response)))
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


async def _read_events(call: StreamCall, response: Response, sink: Sink[Any], decode: PayloadDecoder) -> None:
    decoder = SSEDecoder(call.http.config.max_event_size)
    parse, on_next, gate = decode.parse, sink.on_next, sink.gate
    with call.limit(response) as limit:
        while True:
            chunk = await limit.wait(response.read_chunk)
            for data, event, _, _ in decoder.feed_raw(chunk) if chunk else _last(decoder.close_raw()):
                if event == "error":
                    raise _event_error(data, response, call.endpoint.id)
                try:
                    value = parse(data)
                except ValueError as error:
                    if data == b"[DONE]":
                        return
                    value = decode.recover(data, error)
                on_next(value)
                if gate.closed:
                    await gate.wait()
            if not chunk:
                return


async def _read_whole(call: StreamCall, response: Response) -> bytes:
    chunks: list[bytes] = []
    with call.limit(response) as limit:
        while chunk := await limit.wait(response.read_chunk):
            chunks.append(chunk)
    return b"".join(chunks)


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
    inner = cast("dict[str, Any]", body).get("error") if isinstance(body, dict) else None
    return error_from_response(
        status_in(body, inner), response.headers, data, endpoint=endpoint, sent=response.sent, secrets=response.secrets
    )


def _last(event: _T | None) -> tuple[_T, ...]:
    return () if event is None else (event,)
