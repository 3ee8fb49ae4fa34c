"""What a TLS connection weighs.

asyncio gives each TLS connection a receive buffer of 256 KiB. It is in use only inside one call, which reads from the
socket and hands on what it read. So all connections of an event loop can have one buffer together.
"""

import asyncio
import weakref
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from aiohttp import ClientTimeout
    from aiohttp.client_proto import ResponseHandler

__all__ = ["Connector", "share_buffer"]

_HANDSHAKES = 16
"""TLS handshakes with one host that are under way at once.

Each has a buffer of its own until it is done, and memory that was once in use stays with the process. More at once
would not be faster, because the CPU does them one after the other.
"""

_buffers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, bytearray] = weakref.WeakKeyDictionary()


def share_buffer(loop: asyncio.AbstractEventLoop, transport: asyncio.BaseTransport) -> None:
    """Let a connection receive into its loop's buffer. Does nothing without TLS, or if the private names differ."""
    tls: Any = getattr(transport, "_ssl_protocol", None)
    if hasattr(tls, "_ssl_buffer") and hasattr(tls, "_ssl_buffer_view"):
        buffer = _buffers.setdefault(loop, tls._ssl_buffer)
        tls._ssl_buffer, tls._ssl_buffer_view = buffer, memoryview(buffer)


class Connector(aiohttp.TCPConnector):
    """aiohttp's connector, with a limit on the TLS handshakes under way. Waiting for one counts as connecting."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # pyright: ignore[reportUnknownMemberType]
        self._handshakes: defaultdict[Any, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_HANDSHAKES))

    async def _create_connection(self, req: Any, traces: Any, timeout: "ClientTimeout") -> "ResponseHandler":
        key = req.connection_key
        if not key.is_ssl:
            return await super()._create_connection(req, traces, timeout)
        async with self._handshakes[key.host, key.port]:
            return await super()._create_connection(req, traces, timeout)
