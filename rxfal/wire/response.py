"""A response that has begun: its head, and its body as it comes.

It knows aiohttp's response and what can go wrong in it, but not sessions, retries or what the bytes mean.
"""

import asyncio
import io
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import aiohttp
from multidict import CIMultiDictProxy

from rxfal.errors import BodyTooLargeError, DecodeError, FalError, one_line
from rxfal.wire.compressed import Decompressor
from rxfal.wire.failures import Sent
from rxfal.wire.masking import Secrets, unshown
from rxfal.wire.transport import transport_error

__all__ = ["Response"]

_ERROR_BODY_LIMIT = 2**20  # the most bytes of an error's body that are read
_ERROR_BODY_PATIENCE = 10.0  # the most seconds for them


class Response:
    """A response whose headers are in; its body is read inside the block of `Http.exchange`.

    aiohttp's own response stays inside, because its repr shows the address, which may hold a token.

    Attributes:
        status: The HTTP status.
        headers: The headers.
        content_type: The media type, without parameters.
        sent: The credential that the request carried; None if it was to carry none.
        secrets: The secrets of the request, in case the response repeats them.
    """

    __slots__ = (
        "_client_is_closed",
        "_content",
        "_decompressor",
        "_endpoint",
        "_max_body_size",
        "_raw",
        "_server",
        "content_type",
        "headers",
        "secrets",
        "sent",
        "status",
    )

    def __init__(
        self,
        raw: aiohttp.ClientResponse,
        endpoint: str,
        *,
        server: Callable[[], str],
        sent: Sent | None,
        secrets: Secrets,
        max_body_size: int,
        client_is_closed: Callable[[], bool],
    ) -> None:
        self._raw = raw
        self._content = raw.content
        self._endpoint = endpoint
        self._server = server
        self._max_body_size = max_body_size
        self._client_is_closed = client_is_closed
        self.sent: Sent | None = sent
        self.secrets = secrets
        self.status = raw.status
        self.headers: CIMultiDictProxy[str] = raw.headers
        # aiohttp also keeps them as bytes, as long as the stream is open, and nobody reads those.
        raw._raw_headers = ()  # pyright: ignore[reportPrivateUsage]
        # Not aiohttp's `content_type`: it also parses the parameters, and fails if they are odd.
        self.content_type = self._first_of("Content-Type") or "application/octet-stream"
        encoding = self._first_of("Content-Encoding")
        self._decompressor = None if encoding in ("", "identity") else Decompressor(encoding, endpoint=endpoint)

    @property
    def request_id(self) -> str | None:
        """The id that fal gave the request (`x-fal-request-id`), if it did.

        It is looked through for secrets each time: that takes as long as parsing a hundred events, and hardly anybody
        asks for it.
        """
        request_id = self.headers.get("x-fal-request-id")
        return None if request_id is None else one_line(self.secrets.mask(request_id), 200)

    @property
    def billable_units(self) -> float | None:
        """What fal bills the request for (`x-fal-billable-units`), if it says so."""
        return units_in(self.headers)

    @property
    def is_json(self) -> bool:
        """Whether the body is JSON."""
        return self.content_type == "application/json" or self.content_type.endswith("+json")

    @property
    def address(self) -> str:
        """Host and port of the server, for messages."""
        return self._server()

    def _first_of(self, name: str) -> str:
        """A header's value without parameters, in lower case."""
        return self.headers.get(name, "").partition(";")[0].strip().lower()

    async def read_chunk(self) -> bytes:
        """Everything that has come. It waits for at least one byte, and is empty at the clean end of the body.

        Raises:
            TransportError: The body was cut short; raised only after everything that had come has been returned.
            DecodeError: It is not compressed the way its `Content-Encoding` says.
        """
        if self._decompressor is not None:
            return await self._decompressed(self._decompressor)
        return await self._received()

    async def _received(self) -> bytes:
        try:
            return await self._content.readany()
        except Exception as error:
            # aiohttp raises at once, although bytes are left that came before the failure. This is the part of its
            # reading methods that returns them.
            left: bytes = self._content._read_nowait(-1)  # pyright: ignore[reportPrivateUsage]
            if left:
                return left
            failure, cause = transport_error(
                error,
                endpoint=self._endpoint,
                address=self.address,
                secrets=self.secrets,
                client_closed=self._client_is_closed(),
            )
        try:
            raise failure from cause
        finally:
            del failure, cause  # its traceback holds this frame

    async def _decompressed(self, decompressor: Decompressor) -> bytes:
        try:
            while not (data := decompressor.take()):
                if not (compressed := await self._received()):
                    decompressor.close()
                    break
                decompressor.feed(compressed)
                del compressed  # as in `read`
            return data
        except DecodeError as error:
            failure = unshown(error, self.secrets)
        raise failure  # outside the clause, so that the original with its message does not become its context

    async def read(self, next_chunk: Callable[[], Awaitable[bytes]] | None = None) -> bytes:
        """The rest of the body, whole.

        Args:
            next_chunk: Reads the next chunk instead of `read_chunk`; for a caller that limits how long that may take.

        Raises:
            BodyTooLargeError: It has more than `max_body_size` bytes.
            TransportError, DecodeError: As `read_chunk`.
        """
        next_chunk = next_chunk or self.read_chunk
        body = io.BytesIO()  # its repr shows nothing: tracebacks must not show half a token
        while body.write(await next_chunk()):
            if body.tell() > self._max_body_size:
                raise BodyTooLargeError(self._max_body_size, endpoint=self._endpoint)
        return body.getvalue()

    def decoded(self, body: bytes, decode: Callable[[bytes], Any]) -> Any:
        """The value of a body that was read whole.

        Args:
            body: The body.
            decode: A `PayloadDecoder`.

        Raises:
            DecodeError: It can't be decoded. No secret of the request is in the message.
        """
        try:
            return decode(body)
        except DecodeError as error:
            failure = unshown(error, self.secrets)
        finally:
            del body
        raise failure  # outside the clause, so that the original with its message does not become its context

    async def beginning(self, seconds: float) -> bytes:
        """As much of an error's body as comes within so many seconds; the status matters more."""
        body = bytearray()
        try:
            with suppress(FalError, TimeoutError):
                async with asyncio.timeout(min(seconds, _ERROR_BODY_PATIENCE)):
                    while len(body) < _ERROR_BODY_LIMIT and (chunk := await self.read_chunk()):
                        body += chunk
        finally:
            self.let_go()
        return bytes(body[:_ERROR_BODY_LIMIT])

    def let_go(self) -> None:
        """Keep the connection if the body was read whole; else close it at once."""
        if self._content.at_eof() and self._content.exception() is None:
            self._raw.release()
        else:
            self._raw.close()

    def close(self) -> None:
        """Close the connection. Whoever waits for the next byte gets an error."""
        self._raw.close()


def units_in(headers: Mapping[str, str]) -> float | None:
    """The billable units that a response's headers name; None if they name none, or something that is no number.

    Examples:
        >>> units_in({"x-fal-billable-units": "1.5"}), units_in({})
        (1.5, None)
    """
    try:
        units = float(headers.get("x-fal-billable-units", ""))
    except ValueError:
        return None
    return units if math.isfinite(units) else None
