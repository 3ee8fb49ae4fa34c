"""A server of scripted bytes over a real socket, and requests to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from yarl import URL

from rxfal.wire.config import Config
from rxfal.wire.credentials import Credentials
from rxfal.wire.http import Http, Request

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[None]]


@dataclass
class Scripted:
    """A server on loopback that answers each request with what a handler writes."""

    port: int
    heads: list[bytes] = field(default_factory=list)  # the request lines and headers that came
    connections: int = 0  # how many were made
    gone: asyncio.Event = field(default_factory=asyncio.Event)  # set when a client closed its connection
    asked: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))  # released when a request has come

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def scripted(handler: Handler) -> AsyncIterator[Scripted]:
    connections: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        server.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                server.heads.append(head)
                server.asked.release()
                await handler(reader, writer, head)
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            server.gone.set()
        finally:
            connections.discard(task)
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    server = Scripted(listener.sockets[0].getsockname()[1])
    try:
        yield server
    finally:
        listener.close()
        for task in [*connections]:
            task.cancel()
        if connections:
            await asyncio.wait(connections)
        await listener.wait_closed()


def answer(body: bytes = b"", status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def replies(*answers: bytes) -> Handler:
    """A handler that gives one answer after the other, the last one for ever."""
    left = list(answers)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()

    return handler


def http_for(url: str, key: Any = "the-secret-key", **settings: Any) -> Http:
    config = Config(base_url=url, **settings)
    return Http(config, Credentials(key, config))


def request_to(url: str, path: str = "owner/alias", **settings: Any) -> Request:
    return Request(**{"method": "GET", "url": URL(url) / path, "endpoint": "owner/alias", **settings})
