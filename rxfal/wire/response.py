"""A response that has begun: its head, and its body as it comes.

Knows aiohttp's response and what can break in it; nothing of sessions, retries or what the bytes mean.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp
from multidict import CIMultiDictProxy

from rxfal.wire.failures import Sent, transport_error
from rxfal.wire.masking import Secrets

__all__ = ["BROKEN", "Response"]

_ERROR_BODY_LIMIT = 2**20  # bytes of an error's body that are read
_ERROR_BODY_PATIENCE = 10.0  # seconds for them
# What can come out of aiohttp: its own errors, the system's (timeouts are among them), and the RuntimeError that it
# raises for a connection or a session that was closed meanwhile.
BROKEN = (aiohttp.ClientError, OSError, RuntimeError)


class Response:
    """A response whose headers are in; its body is read inside the block of `Http.exchange`.

    aiohttp's own response stays inside: its repr has the address, and with it a token, for every frame to show.

    Attributes:
        status: The HTTP status.
        headers: The headers.
        request_id: fal's id of the request (`x-fal-request-id`), if there is one.
        content_type: The media type, without parameters.
        sent: The credential that the request carried.
        secrets: The secrets of the request, should the response repeat them.
    """

    __slots__ = (
        "_client_is_closed",
        "_content",
        "_endpoint",
        "_lasts_as_the_connection",
        "_raw",
        "content_type",
        "headers",
        "request_id",
        "secrets",
        "sent",
        "status",
    )

    def __init__(
        self,
        raw: aiohttp.ClientResponse,
        endpoint: str,
        *,
        sent: Sent,
        secrets: Secrets,
        client_is_closed: Callable[[], bool],
    ) -> None:
        self._raw = raw
        self._content = raw.content
        self._endpoint = endpoint
        self._client_is_closed = client_is_closed
        self.sent: Sent = sent
        self.secrets = secrets
        self.status = raw.status
        self.headers: CIMultiDictProxy[str] = raw.headers
        request_id = raw.headers.get("x-fal-request-id")
        self.request_id = None if request_id is None else secrets.mask(request_id)
        self.content_type = raw.content_type
        self._lasts_as_the_connection = not ("Content-Length" in raw.headers or "Transfer-Encoding" in raw.headers)

    async def read_chunk(self) -> bytes:
        """All that has come: waits for at least one byte, and is empty at the clean end of the body.

        Raises:
            TransportError: The body was cut short; raised only after everything that had come was given out.
        """
        try:
            chunk = await self._content.readany()
            if not chunk and self._lasts_as_the_connection:
                self._check_end_of_connection()
            return chunk
        except BROKEN as error:
            # aiohttp raises at once, though bytes are left that came before the failure; this is the part of its
            # reading methods that takes them.
            left: bytes = self._content._read_nowait(-1)  # pyright: ignore[reportPrivateUsage]
            if left:
                return left
            failure, cause = transport_error(
                error, endpoint=self._endpoint, secrets=self.secrets, client_closed=self._client_is_closed()
            )
        try:
            raise failure from cause
        finally:
            del failure, cause  # its traceback holds this frame

    def _check_end_of_connection(self) -> None:
        # To aiohttp a body that ends with its connection is whole, also when the connection was reset.
        protocol: Any = self._content._protocol  # pyright: ignore[reportPrivateUsage]
        if isinstance(error := protocol.exception(), OSError):
            raise error

    async def read(self) -> bytes:
        """The rest of the body, whole.

        Raises:
            TransportError: The body was cut short.
        """
        chunks: list[bytes] = []
        while chunk := await self.read_chunk():
            chunks.append(chunk)
        return b"".join(chunks)

    async def beginning(self) -> bytes:
        """What the body of an error says, as far as it can be had: the status matters more than the rest of it."""
        body = bytearray()
        try:
            with suppress(*BROKEN):
                async with asyncio.timeout(_ERROR_BODY_PATIENCE):
                    while len(body) < _ERROR_BODY_LIMIT and (chunk := await self._content.readany()):
                        body += chunk
            body += self._content._read_nowait(-1)  # pyright: ignore[reportPrivateUsage] (as in read_chunk)
        finally:
            self.let_go()
        return bytes(body)

    def let_go(self) -> None:
        """Keep the connection when the body was read whole, or else close it at once."""
        if self._content.at_eof() and self._content.exception() is None:
            self._raw.release()
        else:
            self._raw.close()

    def close(self) -> None:
        """Close the connection; whoever waits for the next byte is told."""
        self._raw.close()
