"""Scripted behaviour on the wire, step by step, and the player for it. Knows HTTP framing, but not fal's protocol."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

from aiohttp import web

from .handshake import Handshake
from .journal import RecordedRequest

__all__ = ["Answer", "Bytes", "Disconnect", "Pause", "Status", "Step", "hang_up", "play"]


@dataclass(frozen=True, slots=True)
class Status:
    """The head of the response. It must be the first step; without one it is `200` and `text/event-stream`.

    Args:
        status: The status code.
        json: A JSON body, sent right after the head.
        headers: More headers, such as `{"Retry-After": "1"}`.
        content_type: The content type; left out, `application/json` with `json` and `text/event-stream` otherwise.
        content_length: The number of bytes that the head announces, instead of a chunked body. A script that ends
            before it has sent them cuts the body short.

    Examples:
        >>> busy = Status(503, json={"detail": "busy"}, headers={"Retry-After": "1"})
        >>> cut_short = [Status(content_length=100, content_type="audio/wav"), Bytes(b"only this")]
    """

    status: int = 200
    _: KW_ONLY
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content_type: str | None = None
    content_length: int | None = None


@dataclass(frozen=True, slots=True)
class Bytes:
    r"""Bytes of the body: one HTTP chunk, handed to the transport in one write.

    Examples:
        >>> Bytes(b'data: {"n": 1}\n\n')
        Bytes(data=b'data: {"n": 1}\n\n')
    """

    data: bytes


class Pause:
    r"""The script stops here until the test releases it.

    You can wait for it and release it from any thread and any event loop. Both last: a pause that was released once
    does not stop a second request. An app's handler can stop there, too: `await pause.hold()`.

    Examples:
        >>> pause = Pause()
        >>> script = [Bytes(b"data: 1\n\n"), pause, Bytes(b"data: 2\n\n")]
        >>> pause.release()
    """

    __slots__ = ("_reached", "_released")

    def __init__(self) -> None:
        self._reached = Handshake("the script's arrival at this pause")
        self._released = Handshake("the release of this pause")

    async def reached(self, timeout: float = 5.0) -> None:
        """Waits until the script is here and everything before is on the wire; TimeoutError after `timeout` seconds."""
        await self._reached.wait(timeout)

    def wait_reached(self, timeout: float = 5.0) -> None:
        """Waits like `reached`, from a thread without an event loop."""
        self._reached.wait_blocking(timeout)

    def release(self) -> None:
        """Lets the script go on, even before it is here."""
        self._released.set()

    async def hold(self) -> None:
        """Says that the script or the app is here, and waits for the release as long as it takes."""
        self._reached.set()
        await self._released.wait(timeout=None)


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Ends the response and the connection; later steps are not played.

    As the first step, `"cut"` and `"reset"` leave the request without any answer.

    Args:
        how: `"clean"` ends the body properly before the connection closes. `"cut"` closes between two chunks, without
            the last chunk. `"mid-chunk"` announces a chunk, sends part of it and closes. `"reset"` sends a TCP reset.
        data: With `"mid-chunk"`, the part that is sent.

    Examples:
        >>> Disconnect("mid-chunk", b'data: {"n"').how
        'mid-chunk'
    """

    how: Literal["clean", "cut", "mid-chunk", "reset"] = "clean"
    data: bytes = b"data: "


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server itself does with the request: it is taken, worked on and answered as if there were no script.

    A `Pause` before it holds up the request; one behind it holds back the answer, while the work goes on or is done. A
    `Disconnect` behind it loses the answer of a request that was taken. Events are sent as they come, before the steps
    behind it. No other step goes with it.

    Examples:
        >>> server_takes_it_and_the_answer_is_lost = [Answer(), Disconnect("reset")]
    """


Step = Status | Bytes | Pause | Disconnect | Answer

_MISSING_BYTES = 64
"""How many bytes are missing from a cut chunk."""


async def play(
    steps: AsyncIterable[Step],
    request: web.BaseRequest,
    record: RecordedRequest,
    answer: Callable[[], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    """Plays a script as the response to one request.

    Args:
        steps: The script.
        request: The request to answer.
        record: Its entry in the journal.
        answer: What the server does without a script.

    Returns:
        The response: complete, not yet begun if it is the server's own, or with its connection closed.
    """
    response: web.StreamResponse | None = None
    own = False
    async for step in steps:
        match step:
            case Pause():
                await step.hold()
            case Answer():
                if response is not None:
                    raise ValueError("an Answer is the whole response of a script; here the response has already begun")
                response, own = await answer(), True
            case Status() | Bytes() | Disconnect("mid-chunk") if own:
                raise ValueError(f"after an Answer, a script has pauses and other disconnects, and not {step!r}")
            case Status():
                if response is not None:
                    raise ValueError("a Status must be the first step of a script; here the response has already begun")
                response = await _begin(step, request, record)
            case Bytes(data):
                response = response or await _begin(Status(), request, record)
                await response.write(data)
            case Disconnect("reset"):
                _reset(request, record)
                return response or web.StreamResponse()
            case Disconnect("clean"):
                response = response or await _begin(Status(), request, record)
                response.force_close()
                break
            case Disconnect(how, data):
                if how == "mid-chunk":
                    response = response or await _begin(Status(), request, record)
                    _write_partial_chunk(request, data)
                hang_up(request, record)
                return response or web.StreamResponse()
    if own and response is not None:
        return response
    response = response or await _begin(Status(), request, record)
    await _end(request, response, record)
    return response


async def _begin(head: Status, request: web.BaseRequest, record: RecordedRequest) -> web.StreamResponse:
    body = b"" if head.json is None else json.dumps(head.json).encode()
    content_type = head.content_type or ("application/json" if body else "text/event-stream")
    response = web.StreamResponse(status=head.status, headers={"Content-Type": content_type, **head.headers})
    if head.content_length is not None:
        response.content_length = head.content_length
    elif head.status not in (204, 304):
        response.enable_chunked_encoding()
    record.status = head.status
    await response.prepare(request)
    if body:
        await response.write(body)
    return response


async def _end(request: web.BaseRequest, response: web.StreamResponse, record: RecordedRequest) -> None:
    missing = getattr(request.writer, "length", None)
    if missing:
        hang_up(request, record)
    else:
        await response.write_eof()


def hang_up(request: web.BaseRequest, record: RecordedRequest) -> None:
    """Closes the connection under a response that is not complete."""
    record.dropped = True
    if request.transport is not None:
        request.transport.close()


def _write_partial_chunk(request: web.BaseRequest, data: bytes) -> None:
    transport = request.transport
    if transport is not None:
        transport.write(f"{len(data) + _MISSING_BYTES:x}\r\n".encode() + data)


def _reset(request: web.BaseRequest, record: RecordedRequest) -> None:
    record.dropped = True
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        # SO_LINGER with no time makes close() send RST instead of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert isinstance(transport, asyncio.WriteTransport)
        transport.abort()
