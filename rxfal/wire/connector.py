"""How connections are made: by aiohttp, with connections of our own kind, and TLS that needs less memory.

It knows neither sessions nor what is sent. It overrides private methods of aiohttp, if they are those that it was
written for; otherwise aiohttp's own connector is used.
"""

import asyncio
import inspect
import socket
import ssl
from typing import Any

import aiohttp
from aiohttp.abc import ResolveResult

from rxfal.wire import connection

__all__ = ["Connector", "Resolver", "connector_of_this_loop"]

_OVERRIDDEN = ("_wrap_create_connection", "_start_tls_connection")


def connector_of_this_loop(ssl_context: ssl.SSLContext | None = None) -> aiohttp.TCPConnector:
    """A connector for the running loop.

    Args:
        ssl_context: What TLS connections trust; if left out, what the system does.
    """
    is_asyncios = isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop)  # others have a TLS of their own
    kind = Connector if is_asyncios and _is_known() else aiohttp.TCPConnector
    resolver = Resolver() if aiohttp.DefaultResolver is aiohttp.ThreadedResolver else None
    # aiohttp's default of 100 connections would make the 101st stream wait in silence.
    connector = kind(limit=0, limit_per_host=0, ssl=ssl_context or True, resolver=resolver)
    connection.use_for(connector)
    return connector


def _is_known() -> bool:
    methods = [getattr(aiohttp.TCPConnector, name, None) for name in _OVERRIDDEN]
    return all(
        method and {"req", "timeout", "client_error"} <= {*inspect.signature(method).parameters} for method in methods
    )


class Resolver(aiohttp.ThreadedResolver):
    """Looks names up in threads, and without them at the exit of the program, where there are none any more.

    A request of that moment (to cancel what nobody wants now) may wait for the look-up.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host."""
        try:
            return await super().resolve(host, port, family)
        except RuntimeError:  # of the executor
            found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]


class Connector(aiohttp.TCPConnector):
    """A connector whose TLS connections receive into one buffer.

    asyncio gives each of them one of 256 KiB, and takes out what it has received before it does anything else. All
    connections of a connector are on one loop, so they can share it.
    """

    _buffer: bytearray | None = None

    async def _wrap_create_connection(
        self,
        *args: Any,
        req: Any,
        timeout: aiohttp.ClientTimeout,
        client_error: Any = aiohttp.ClientConnectorError,
        ssl: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        **more: Any,
    ) -> Any:
        connect: Any = getattr(super(), "_wrap_create_connection")  # noqa: B009 (its types are not whole)
        more |= {"req": req, "timeout": timeout, "client_error": client_error}
        if ssl is None or server_hostname != req.host:  # which is the only name that the second step knows
            return await connect(*args, ssl=ssl, server_hostname=server_hostname, **more)
        # In two steps, as through a proxy, because asyncio's own way shows its TLS only when the handshake is over.
        transport, _ = await connect(*args, **more)
        return await self._start_tls_connection(transport, req, timeout, client_error)

    async def _start_tls_connection(self, underlying_transport: Any, *args: Any, **more: Any) -> Any:
        set_protocol = underlying_transport.set_protocol

        def set_tls(tls: Any) -> None:
            if hasattr(tls, "_ssl_buffer_view"):
                buffer = self._buffer = self._buffer or tls._ssl_buffer
                tls._ssl_buffer, tls._ssl_buffer_view = buffer, memoryview(buffer)
            del underlying_transport.set_protocol
            set_protocol(tls)

        underlying_transport.set_protocol = set_tls
        return await super()._start_tls_connection(underlying_transport, *args, **more)
