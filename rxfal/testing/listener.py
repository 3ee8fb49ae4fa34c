"""A handler of requests as an HTTP server, on the running event loop or in a thread with one of its own.

Knows HTTP and how all of it ends at once, but not fal's protocol.
"""

import asyncio
import concurrent.futures
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

__all__ = ["SHUTDOWN_SECONDS", "Listener", "LoopThread"]

_BACKLOG = 4096
"""Connections that may wait to be accepted, so that a thousand clients can start at once without retransmissions."""
SHUTDOWN_SECONDS = 2.0
"""How long cancelled handlers may take to end."""


class Listener:
    """Listens at an address, and hands each request to a handler.

    Args:
        handle: Answers one request.
        host: The address to listen on.
        port: The port; 0 picks a free one each time.
    """

    def __init__(
        self, handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], host: str, port: int
    ) -> None:
        self.port: int | None = None
        self._handle = handle
        self._host = host
        self._wanted_port = port
        self._runner: web.ServerRunner | None = None

    @property
    def is_running(self) -> bool:
        return self._runner is not None

    @property
    def connections(self) -> list[asyncio.Transport]:
        """The connections that are open now, idle ones included."""
        server = self._runner.server if self._runner else None
        return [protocol.transport for protocol in server.connections if protocol.transport] if server else []

    async def start(self) -> None:
        if self._runner is not None:
            raise RuntimeError("the server is already running")
        # Dropping the connection cancels the work on fal's servers, and so it does here.
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_SECONDS)
        try:
            await self._runner.setup()
            site = web.TCPSite(self._runner, self._host, self._wanted_port, backlog=_BACKLOG)
            await site.start()
            self.port = site.port
        except BaseException:
            await self._runner.cleanup()
            self._runner = None
            raise

    async def stop(self, handlers: set[asyncio.Task[Any]]) -> None:
        """Ends all requests and closes all connections; does nothing if it is not running.

        Args:
            handlers: The tasks that answer a request now.
        """
        connections = self.connections
        runner, self._runner, self.port = self._runner, None, None
        if runner is None:
            return
        for site in runner.sites:
            await site.stop()
        ending = list(handlers)
        for handler in ending:
            handler.cancel()
        if ending:
            await asyncio.wait(ending, timeout=SHUTDOWN_SECONDS)
        await runner.cleanup()
        for connection in connections:
            connection.abort()  # closing waits for a reader that may never read the rest
        await asyncio.sleep(0)  # they close their sockets in the loop's next turn


class LoopThread:
    """Something async that is started and stopped in a thread with an event loop of its own.

    Args:
        start: Starts it.
        stop: Stops it.
    """

    def __init__(self, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]) -> None:
        self._start = start
        self._stop = stop
        self._thread: threading.Thread | None = None
        self._tell: Callable[[], object] = lambda: None

    def start(self) -> None:
        """Returns when it has been started, or raises what starting raised."""
        if self._thread is not None:
            raise RuntimeError("the server is already running")
        started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._live(started)), name="rxfal-test-server", daemon=True
        )
        self._thread.start()
        try:
            started.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Returns when it has been stopped and the thread has ended."""
        thread, self._thread = self._thread, None
        self._tell()
        if thread is not None:
            thread.join()

    async def _live(self, started: concurrent.futures.Future[None]) -> None:
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        self._tell = lambda: None if loop.is_closed() else loop.call_soon_threadsafe(stopped.set)
        try:
            await self._start()
        except BaseException as error:
            started.set_exception(error)
            return
        started.set_result(None)
        try:
            await stopped.wait()
        finally:
            await self._stop()
