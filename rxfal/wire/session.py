"""One aiohttp session per event loop: opened at first use, closed with the client or with its loop.

It knows nothing about fal. It only knows which responses are open, to end them with the session.
"""

import asyncio
import contextlib
import os
import ssl
import threading
import urllib.request
import weakref
from collections.abc import AsyncGenerator, Callable
from types import AsyncGeneratorType
from typing import Any, Protocol, cast

import aiohttp
from yarl import URL

from rxfal.errors import TransportError
from rxfal.wire.connector import connector_of_this_loop

__all__ = ["Attempt", "LoopSession", "Sessions"]

_PATIENCE = 2.0  # seconds that close() waits for the loop of another thread, which may be busy
_LAST_PATIENCE = 5.0  # seconds that closing a session waits for the tasks that have something to finish with it


class _Closes(Protocol):
    """A response; a session only knows how to end it."""

    def close(self) -> None: ...


class Attempt:
    """One attempt at a request, while it goes on. It has no repr, because tracebacks can show it.

    Attributes:
        server: Gives the host and port of the server, which only messages need.
        was_sent: Whether the request, or some of it, was sent.
    """

    __slots__ = ("server", "was_sent")

    def __init__(self) -> None:
        self.server: Callable[[], str] = lambda: "the server"
        self.was_sent = False

    @property
    def address(self) -> str:
        """Host and port of the server, or words for them."""
        return self.server()


def _noting_what_was_sent() -> aiohttp.TraceConfig:
    """Sets `was_sent` on the `Attempt` that is the request's `trace_request_ctx`."""

    async def note(session: object, context: Any, params: object) -> None:
        if isinstance(context.trace_request_ctx, Attempt):
            context.trace_request_ctx.was_sent = True

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(note)
    return trace


class LoopSession:
    """The session of one loop, with what is open on it.

    Attributes:
        responses: The open responses, and whatever else ends with the session.
        finishing: The tasks that whoever closes the session waits for, a little.
    """

    def __init__(self, connect_timeout: float, ssl_context: ssl.SSLContext | None) -> None:
        self.loop = asyncio.get_running_loop()
        self.pid = os.getpid()
        self.keeper: AsyncGeneratorType[None, None] | None = None
        self.ended: asyncio.Event | None = None  # there once someone closes it
        self.responses: set[_Closes] = set()
        self.finishing: set[asyncio.Task[Any]] = set()
        self._is_closing = False
        self._proxies: dict[tuple[str, str | None, int | None], URL | None] = {}
        self.client = aiohttp.ClientSession(
            connector=connector_of_this_loop(ssl_context),
            trace_configs=[_noting_what_was_sent()],
            cookie_jar=aiohttp.DummyCookieJar(),
            # The caller limits silence and the whole duration; `connect` includes DNS and TLS.
            timeout=aiohttp.ClientTimeout(total=None, connect=connect_timeout, sock_read=None),
            # Not trust_env: with it, aiohttp also reads netrc and would send a password from there. See proxy_for.
            trust_env=False,
            auto_decompress=False,  # see `compressed`
        )
        if hasattr(self.client, "_retry_connection"):
            # aiohttp repeats a GET or PUT whose connection broke, whatever the caller says about retries.
            self.client._retry_connection = False  # pyright: ignore[reportPrivateUsage]

    def timeout(self, connect: float | None) -> aiohttp.ClientTimeout:
        """The session's limits, with a lower one for opening a connection if it is given."""
        usual = self.client.timeout
        if connect is None or (usual.connect is not None and usual.connect <= connect):
            return usual
        return aiohttp.ClientTimeout(total=None, connect=connect, sock_read=None)

    def proxy_for(self, url: URL) -> URL | None:
        """The proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for an address; looked up once per host.

        Raises:
            TransportError: What they name is not a URL.
        """
        origin = (url.scheme, url.raw_host, url.port)
        if origin not in self._proxies:
            bypassed = urllib.request.proxy_bypass(f"{url.raw_host}:{url.port}")
            self._proxies[origin] = None if bypassed else _proxy_of_the_environment(url.scheme)
        return self._proxies[origin]

    @property
    def is_closing(self) -> bool:
        """Whether it is being closed, or is closed."""
        return self._is_closing or self.client.closed

    def hold(self, response: _Closes) -> None:
        """Close a response when the session is closed, unless its task is one that is waited for."""
        if self.finishing and asyncio.current_task() in self.finishing:
            return
        if self.is_closing:
            response.close()
        else:
            self.responses.add(response)

    async def close(self) -> None:
        """Close it, on its own loop. Whoever still reads a response gets an error."""
        self._is_closing = True
        self._end_responses()
        await asyncio.sleep(0)  # a task that was cancelled right before this may have something to finish
        if self.finishing:
            await asyncio.wait(self.finishing, timeout=_LAST_PATIENCE)
        await self.client.close()

    def abandon(self) -> None:
        """Close it after its loop was closed. Nobody is left to run callbacks, so the sockets are closed directly.

        Neither aiohttp nor asyncio has a public way to do this, and without it the interpreter warns about every idle
        connection. If the private names differ (in another kind of loop), only the session is closed.
        """
        self.responses.clear()
        connector: Any = self.client.connector
        protocols = [*getattr(connector, "_acquired", ())]
        protocols += [entry[0] for kept in getattr(connector, "_conns", {}).values() for entry in kept]
        for protocol in protocols:
            transport: Any = protocol.transport
            tls = getattr(transport, "_ssl_protocol", None)
            if tls is not None:
                transport._closed = True
                transport = tls._transport
            if (sock := getattr(transport, "_sock", None)) is not None:
                transport._sock = None
                sock.close()
        with contextlib.suppress(StopIteration):  # on a closed loop it has nothing to wait for and runs to its end
            self.client.close().send(None)

    def _end_responses(self) -> None:
        # A session that closes drops its connections, and does not tell those who wait for the next byte.
        for response in [*self.responses]:
            response.close()
        self.responses.clear()


def _proxy_of_the_environment(scheme: str) -> URL | None:
    proxy = urllib.request.getproxies().get(scheme, "")
    if not proxy:
        return None
    with contextlib.suppress(ValueError):
        url = URL(proxy if "://" in proxy else f"http://{proxy}")
        if url.host and url.port and url.scheme in ("http", "https"):
            return url
        del url
    del proxy  # it may hold a password, which neither the message nor this frame should show
    message = (
        f"{scheme.upper()}_PROXY in the environment names no HTTP proxy; write it as http://host:port, or unset it"
    )
    failure = TransportError(message, kind="connection")
    failure.retryable = False
    raise failure


class Sessions:
    """The sessions of a client. You can close it from any thread; it opens again when it is used again.

    If it is dropped without being closed, its sessions are closed at once where their loops run, and else with those
    loops or at exit.
    """

    def __init__(self, connect_timeout: float, ssl_context: ssl.SSLContext | None = None) -> None:
        self._connect_timeout = connect_timeout
        self._ssl_context = ssl_context
        self._held = _Held()
        weakref.finalize(self, self._held.close, patience=0.0).atexit = False
        # At exit, a loop that still runs is left to whoever runs it: the background loop names the streams that are
        # still open before it closes them. For a loop that was simply closed, nobody else does it.
        weakref.finalize(self, self._held.abandon_closed)

    async def get(self) -> LoopSession:
        """The session of the running loop."""
        held, loop = self._held, asyncio.get_running_loop()
        with held.lock:
            known = held.sessions.get(loop)
            if known is not None and not known.is_closing:
                return known
            session = held.sessions[loop] = LoopSession(self._connect_timeout, self._ssl_context)
        held.abandon_closed()
        await held.keep(session)
        return session

    async def aclose(self) -> None:
        """Close every session; that of the running loop is closed before this returns."""
        own = self._held.take(asyncio.get_running_loop())
        if own is not None:
            await self._held.end(own)
        if self._held.sessions:
            await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Close every session, from any thread. It waits for the loops of other threads, but not for long."""
        self._held.close(patience=_PATIENCE)


class _Held:
    """What a `Sessions` holds, in an object of its own, so that it can be closed when the `Sessions` is dropped."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # re-entrant, because a garbage collection inside it may come back here
        self.sessions: dict[asyncio.AbstractEventLoop, LoopSession] = {}
        self._keepers: set[AsyncGenerator[None]] = set()  # a loop holds its generators weakly
        self._tasks: set[asyncio.Task[None]] = set()

    async def keep(self, session: LoopSession) -> None:
        session.keeper = keeper = cast("AsyncGeneratorType[None, None]", self._live(session))
        self._keepers.add(keeper)
        await anext(keeper)

    async def _live(self, session: LoopSession) -> AsyncGenerator[None]:
        """Lives as long as the session. A loop that shuts down closes the generators that began on it."""
        try:
            yield
        finally:
            with self.lock:
                if self.sessions.get(session.loop) is session:
                    del self.sessions[session.loop]
            await self.end(session)

    async def end(self, session: LoopSession) -> None:
        """Close a session and its keeper. Its loop may do so at the same time; the second one waits for the first."""
        if session.ended is not None:
            await session.ended.wait()
            return
        session.ended = asyncio.Event()
        keeper = session.keeper
        try:
            await session.close()
        finally:
            session.ended.set()
            self._forget(session)
            if keeper is not None and not keeper.ag_running:  # at its `yield`; the rest of it waits for nothing
                await keeper.aclose()

    def _forget(self, session: LoopSession) -> None:
        if session.keeper is not None:
            self._keepers.discard(session.keeper)
            session.keeper = None

    def take(self, loop: asyncio.AbstractEventLoop) -> LoopSession | None:
        with self.lock:
            return self.sessions.pop(loop, None)

    def abandon(self, session: LoopSession) -> None:
        session.abandon()
        self._forget(session)

    def abandon_closed(self) -> None:
        """Close the sessions whose loops were closed before them."""
        for session in [taken for loop in [*self.sessions] if loop.is_closed() and (taken := self.take(loop))]:
            self.abandon(session)

    def close(self, *, patience: float) -> None:
        here = asyncio._get_running_loop()
        for session in [taken for loop in [*self.sessions] if (taken := self.take(loop))]:
            if session.pid != os.getpid():
                continue  # it belongs to the process that this one was forked from
            loop = session.loop
            if loop.is_closed():
                self.abandon(session)
            elif patience and here is None and not loop.is_running():
                loop.run_until_complete(self.end(session))
            else:
                self._close_on_its_loop(session, patience if loop is not here and loop.is_running() else 0.0)

    def _close_on_its_loop(self, session: LoopSession, patience: float) -> None:
        closed = threading.Event()

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            closed.set()

        def start() -> None:
            task = session.loop.create_task(self.end(session))
            self._tasks.add(task)
            task.add_done_callback(done)

        try:
            session.loop.call_soon_threadsafe(start)
        except RuntimeError:  # it has just been closed
            self.abandon(session)
        else:
            closed.wait(patience)
