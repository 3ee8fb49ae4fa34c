"""One connection: aiohttp's, mended where that waits for ever, loses an answer, or gives it to the wrong request.

It knows one TCP connection and the responses on it, but no session, nothing about fal, and not what the bytes mean. It
is aiohttp's class with a few methods overridden, and so is the body of a response. Some of them are private, so
`use_for` first checks that they exist.
"""

import asyncio
import functools
import select
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

__all__ = ["Connection", "use_for"]

_USED_OF_CONNECTIONS = (
    *("_exception", "_parser", "_payload", "_reading_paused", "_upgraded"),
    *("abort", "feed_data", "resume_reading", "set_response_params"),
)
_USED_OF_BODIES = (
    *("_buffer", "_high_water", "_protocol", "_read_nowait", "_size", "_waiter"),
    *("begin_http_chunk_receiving", "end_http_chunk_receiving", "feed_data"),
)
_END_OF_HEAD = b"\r\n\r\n"


def use_for(connector: aiohttp.BaseConnector) -> None:
    """Let a connector make connections of this kind, unless its aiohttp is not the one this was written for."""
    loop = asyncio.get_running_loop()
    theirs = ResponseHandler(loop)
    if (
        hasattr(connector, "_factory")
        and all(hasattr(theirs, name) for name in _USED_OF_CONNECTIONS)
        and all(hasattr(aiohttp.StreamReader, name) for name in _USED_OF_BODIES)
    ):
        setattr(connector, "_factory", functools.partial(Connection, loop))  # noqa: B010 (a private name)


class Connection(ResponseHandler):
    """aiohttp's connection with a few differences, each explained where it is made."""

    _answered = False  # the head of the response to the request in hand has come

    def set_response_params(self, **params: Any) -> None:
        """Begin a request; aiohttp calls this for each one."""
        self._answered = False
        super().set_response_params(**params)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take the head of a response that the parser has read; its body is still to come."""
        message, body = data
        self._answered = message.code >= 200
        if type(body) is aiohttp.StreamReader:  # and not the one that stands for no body
            body.__class__ = Body  # the parser has made it, and can't be told to make another kind
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the socket; no bytes at all mean that the parser may go on.

        If the bytes are not HTTP, aiohttp closes the connection and leaves whoever reads the body waiting for ever.
        Here that body fails. A response that was already whole is kept; for that its head goes to the parser
        separately, because a call of the parser that fails returns nothing. Bytes after a whole response answer no
        request, so the connection is closed. aiohttp would keep it, and take those bytes for the answer to the next
        request.
        """
        body = self._payload
        if self._upgraded:
            super().data_received(data)
        elif not self._answered:
            self._head_received(data)
        elif body is None or body.is_eof():
            if data:
                self.close()
        else:
            super().data_received(data)
            if body.is_eof():
                if self._payload is not body or self._has_begun_another():
                    self.close()
            elif isinstance(self._exception, HttpProcessingError):
                _fail(body, self._exception)

    def _head_received(self, data: bytes) -> None:
        start = 0
        while not self._answered and (end := data.find(_END_OF_HEAD, start)) >= 0:
            super().data_received(data[start : end + len(_END_OF_HEAD)])
            start = end + len(_END_OF_HEAD)
        rest = data[start:]
        if self._answered:
            self.data_received(rest)
        else:
            super().data_received(rest)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Go on where `pause_reading` stopped. aiohttp asks for it after every chunk of a body, mostly in vain."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def _has_begun_another(self) -> bool:
        """Whether the parser holds the beginning of another response, after the end of the last one."""
        try:
            return self._parser is not None and self._parser.feed_eof() is not None
        except Exception:
            return True

    def connection_lost(self, exc: BaseException | None) -> None:
        """Take the end of the connection.

        aiohttp takes a body without a length for whole when its connection ends, even if that was a reset. And it drops
        what its parser held back while the body was full: TLS tells of the end together with the last bytes, so that it
        can come before they are read.
        """
        body = self._payload
        while self._reading_paused and body is not None and not body.is_eof() and body.exception() is None:
            self.resume_reading()  # the body takes it all; it is in memory already
        if exc is not None and body is not None and not body.is_eof():
            _fail(body, exc)
        super().connection_lost(exc)

    def close(self) -> None:
        """Close at once. aiohttp would first wait until the other side has read what was written, maybe for ever."""
        self.abort()

    def is_connected(self) -> bool:
        """Whether it can be used. It can't if something came between two requests that the event loop has not seen.

        Usually that is the end of the connection. A request sent now would be lost, and nobody could say whether the
        server took it.
        """
        between = self._answered and self._payload is not None and self._payload.is_eof()
        return super().is_connected() and not (between and _has_news(self.transport))


class Body(aiohttp.StreamReader):
    """aiohttp's reader of a body, for a caller who always takes all that has come.

    aiohttp keeps a ledger of where each HTTP chunk ends, which nobody reads here. With an event in each chunk, that is
    half of the cost of a stream.
    """

    __slots__ = ()

    def feed_data(self, data: bytes, size: int = 0) -> bool:
        """Take bytes from the parser. It goes on at once, unless the connection was paused, and is told so by False."""
        self._buffer.append(data)
        self._size += len(data)
        if self._size > self._high_water:
            self._protocol.pause_reading()
        if (waiter := self._waiter) is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
        return False

    def begin_http_chunk_receiving(self) -> None:
        """Note nothing."""

    def end_http_chunk_receiving(self) -> None:
        """Note nothing."""

    def _read_nowait(self, n: int) -> bytes:
        data = b"".join(self._buffer)
        self._buffer.clear()
        self._size = 0
        self._protocol.resume_reading()
        return data


def _fail(body: aiohttp.StreamReader, cause: BaseException | None) -> None:
    if body.exception() is None:
        failure = aiohttp.ClientPayloadError(f"the body did not end: {cause!r}")
        failure.__cause__ = cause
        body.set_exception(failure)


def _has_news(transport: asyncio.BaseTransport | None) -> bool:
    connection: Any = None if transport is None else transport.get_extra_info("socket")
    if connection is None or connection.fileno() < 0:
        return False
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([connection], [], [], 0)[0])
