"""`stream` and `stream_events`: one request, and its body handed on as it arrives.

The path of a byte: `Response.read_chunk` (socket) to `SSEDecoder.feed_raw` (payloads) to the payload decoder (values)
to `sink.on_next` (the subscriber). Between two events the reader looks at the demand gate, and reads no further while
it is closed; every few of them it looks at the clock, and leaves the loop to others after 10 ms.
"""

from __future__ import annotations

from time import monotonic
from typing import Any, TypeVar, Unpack, cast, overload

from pydantic_core import from_json

from rxfal.errors import ApiError, DecodeError
from rxfal.reactive.reader import LOOK_EVERY, Sink, Turn
from rxfal.reactive.stream import Stream, create
from rxfal.wire.failures import error_from_response, status_in
from rxfal.wire.http import Response
from rxfal.wire.payload import PayloadDecoder
from rxfal.wire.sse import ServerSentEvent, SSEDecoder

from .call import StreamCall, StreamOptions
from .connected import Connected
from .options import show_options

_T = TypeVar("_T")


class StreamVerbs(Connected):
    """The verbs that read a model's answer as it comes."""

    @overload
    def stream(
        self, app: str, input: Any = None, *, output: type[_T], **options: Unpack[StreamOptions]
    ) -> Stream[_T]: ...
    @overload
    def stream(
        self, app: str, input: Any = None, *, output: Any = None, **options: Unpack[StreamOptions]
    ) -> Stream[Any]: ...
    @show_options
    def stream(
        self, app: str, input: Any = None, *, output: Any = None, **options: Unpack[StreamOptions]
    ) -> Stream[Any]:
        """The events of a model, as they arrive. Each subscription sends one request; nothing is sent before that.

        JSON events are decoded. An event whose data is `[DONE]` completes the stream, and one named `error` ends it. An
        answer that is not an event stream is emitted too: JSON as one value, anything else (such as audio) as `bytes`,
        chunk by chunk. The stream ends with a `FalError` if the request fails, the connection breaks or an event can't
        be decoded. The request is never sent again after its response has begun.

        Args:
            app: The endpoint's id, such as `fal-ai/any-llm`, or its full https URL on one of fal's hosts.
            input: The model's input: dicts, pydantic models or dataclasses with anything that JSON can represent, and
                files (see `auto_upload`).
            path: What follows the id. If left out, `/stream`, unless the id already ends with that. If given, it is
                used as it is; `""` is the endpoint itself.
            method: The HTTP method. With GET, the input becomes the query.
            query: Query parameters. Booleans, None and nested values are sent as JSON.
            headers: More request headers, but not those that say how the request is sent, such as `Content-Length`.
            output: A pydantic model, or any type that `TypeAdapter` accepts, to validate each event with.
            timeout: Seconds of silence on the socket after the response has begun; None for no limit.
            response_timeout: Seconds from subscription until the response headers are in, including the upload of
                files, retries and their pauses; None for no limit.
            auto_upload: Whether to upload files in the input (paths, open files, bytes, images) first, and to send
                their URLs.
            auth: `"key"` sends the key in a header; `"token"` sends a short-lived token in the query instead.
            token_provider: A function, sync or async, that returns that token for an app such as `owner/alias/stream`.
                It is called for each subscription. If left out, rxfal asks fal, and keeps the token until shortly
                before it expires.
            on_open: Called once with the response's status, headers and request id, before the first event. If it
                raises, the stream ends with `CallbackError`.

        Returns:
            A cold Stream of decoded events.

        Raises:
            EndpointError: rxfal may not call this id or URL.
            TypeError, ValueError: An option makes no sense.

        Examples:
            >>> from rxfal.testing import FalServer
            >>> with FalServer(models=True, pace=0) as server, server.client() as client:
            ...     final = client.stream("fal-ai/any-llm", {"prompt": "a haiku"}).run()
            >>> final["partial"]
            False
        """
        return decoded(StreamCall(self._connections(), app, input, options), output)

    @show_options
    def stream_events(self, app: str, input: Any = None, **options: Unpack[StreamOptions]) -> Stream[ServerSentEvent]:
        """The same request as `stream`, with its events as they are on the wire: name, data, id and retry.

        Nothing is decoded or interpreted, so malformed data, `[DONE]` and `error` events arrive like any other.

        Args:
            app: As for `stream`.
            input: As for `stream`.
            options: As for `stream`, except `output`.

        Returns:
            A cold Stream of `ServerSentEvent`. An answer that is not an event stream ends it with `DecodeError`.

        Raises:
            EndpointError: rxfal may not call this id or URL.
            TypeError, ValueError: An option makes no sense.

        Examples:
            >>> from rxfal.testing import FalServer
            >>> with FalServer(models=True, pace=0) as server, server.client() as client:
            ...     event = client.stream_events("fal-ai/any-llm", {"prompt": "a haiku"}).first().run()
            >>> event.event
            'message'
        """
        return undecoded(StreamCall(self._connections(), app, input, options))


def decoded(call: StreamCall, output: Any = None) -> Stream[Any]:
    """The Stream of a call's events, decoded."""
    decode = PayloadDecoder(output, endpoint=call.name)

    async def read(sink: Sink[Any]) -> None:
        async with call.open() as response:
            if response.content_type == "text/event-stream":
                await _read_events(call, response, sink, decode)
            elif response.is_json:
                sink.on_next(decode(await _read_whole(call, response)))
            else:
                await _read_binary(call, response, sink)

    return create(read, name=call.name)


def undecoded(call: StreamCall) -> Stream[ServerSentEvent]:
    """The Stream of a call's events as they are on the wire."""

    async def read(sink: Sink[ServerSentEvent]) -> None:
        async with call.open() as response:
            if response.content_type != "text/event-stream":
                raise DecodeError(
                    f"the answer is {response.content_type}, not an event stream: stream() takes both",
                    data=b"",
                    endpoint=call.name,
                )
            decoder = SSEDecoder(call.http.config.max_event_size)
            turn, left = Turn(), LOOK_EVERY
            with call.limit() as limit:
                while True:
                    chunk = await limit.wait(response.read_chunk)
                    for event in decoder.feed(chunk) if chunk else _last(decoder.close()):
                        sink.on_next(event)
                        if sink.gate.closed:
                            await sink.gate.wait()
                        left -= 1
                        if not left:
                            left = LOOK_EVERY
                            await turn.look()
                    if not chunk:
                        return

    return create(read, name=call.name)


async def _read_events(call: StreamCall, response: Response, sink: Sink[Any], decode: PayloadDecoder) -> None:
    decoder = SSEDecoder(call.http.config.max_event_size)
    parse, on_next, gate = decode.parse, sink.on_next, sink.gate
    turn, left = Turn(), LOOK_EVERY
    with call.limit() as limit:
        while True:
            chunk = await limit.wait(response.read_chunk)
            for data, event, _, _ in decoder.feed_raw(chunk) if chunk else _last(decoder.close_raw()):
                if event == "error":
                    failure = _event_error(data, response, call.name)
                    del data, chunk  # which may repeat a secret, and the error has this frame
                    raise failure
                try:
                    value = parse(data)
                except ValueError as error:
                    if data.strip() == b"[DONE]":
                        return
                    value = decode.recover(data, error)
                on_next(value)
                if gate.closed:
                    await gate.wait()
                left -= 1
                if not left:
                    left = LOOK_EVERY
                    if monotonic() >= turn.until:  # as `look` does; a call costs as much as all the rest of it
                        await turn.look()
            if not chunk:
                return
            chunk = data = value = None  # they may be large, and the next chunk may be long in coming


async def _read_whole(call: StreamCall, response: Response) -> bytes:
    with call.limit() as limit:
        return await response.read(lambda: limit.wait(response.read_chunk))


async def _read_binary(call: StreamCall, response: Response, sink: Sink[Any]) -> None:
    turn, left = Turn(), LOOK_EVERY
    with call.limit() as limit:
        while chunk := await limit.wait(response.read_chunk):
            sink.on_next(chunk)
            if sink.gate.closed:
                await sink.gate.wait()
            left -= 1
            if not left:
                left = LOOK_EVERY
                await turn.look()


def _event_error(data: bytes, response: Response, endpoint: str) -> ApiError:
    """The error for an event named `error`: its data reads like the body of an error response."""
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
