"""One request: session, headers, credentials and retries; then a response to read, or the error for it.

It knows how to talk to fal's servers, but not what the bytes mean. No error of aiohttp leaves it.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode

from multidict import CIMultiDict
from yarl import URL

from rxfal._version import __version__
from rxfal.errors import FalError, StreamTimeoutError, TransportError, in_seconds
from rxfal.wire import compressed
from rxfal.wire.config import Config, address_of
from rxfal.wire.credentials import Credentials
from rxfal.wire.deadline import Deadline
from rxfal.wire.endpoints import backup_of, may_see_credential
from rxfal.wire.failures import error_from_response
from rxfal.wire.masking import SecretStr
from rxfal.wire.payload import PayloadDecoder
from rxfal.wire.request import TARGET, Outgoing, Request, redirected, text_of
from rxfal.wire.response import Response
from rxfal.wire.retries import retried
from rxfal.wire.session import Attempt, LoopSession, Sessions
from rxfal.wire.transport import transport_error

__all__ = ["Http", "Request", "Response"]

logger = logging.getLogger("rxfal")

_T = TypeVar("_T")

_OWN_HEADERS = {"User-Agent": f"rxfal/{__version__}", "Accept-Encoding": compressed.ACCEPTED}
_FORM_PATIENCE = 30.0  # seconds until the answer to a form must be whole
_BACKUP_AFTER = 5.0  # seconds for connecting to a host of fal that has a backup


class Http:
    """The requests of one client.

    Args:
        config: Where fal is and the limits that apply.
        credentials: Where the key comes from.

    Attributes:
        closings: How many times it has been closed.
    """

    def __init__(self, config: Config, credentials: Credentials) -> None:
        self.config = config
        self.credentials = credentials
        self.closings = 0
        self._sessions = Sessions(config.connect_timeout, config.ssl_context)
        self._finishing: dict[asyncio.Task[Any] | None, LoopSession] = {}

    def __repr__(self) -> str:
        return f"Http({self.config!r}, {self.credentials!r})"

    @asynccontextmanager
    async def exchange(self, request: Request, deadline: Deadline | None = None) -> AsyncGenerator[Response]:
        """Send a request and leave its response open for the block.

        Failures are retried as `request.retry` says, after growing pauses or the server's `Retry-After`, until the
        response has begun; never after that. Leaving the block early closes the connection at once, which cancels the
        work on the server. After a body that was read whole, the connection is kept for the next request.

        Args:
            request: What to send.
            deadline: When the response headers must be in, if that is not `request.timeout` from now.

        Raises:
            ApiError: The server answered with an error or a redirect, or asked for a pause that would last beyond the
                deadline.
            StreamTimeoutError: The response headers did not come in time.
            TransportError: No server answered.
            CredentialsError: There is no usable key.
        """
        deadline = deadline or Deadline(request.timeout)
        attempt = Attempt()

        def late(seconds: float) -> StreamTimeoutError:
            message = (
                f"no response headers came within {in_seconds(seconds)} from {attempt.address}; wait longer with "
                "response_timeout=..., or for ever with response_timeout=None"
            )
            return _timeout(seconds, message, request, attempt)

        once = self.while_open(partial(self._send, request, deadline, attempt), request.endpoint)
        sending = retried(once, request, deadline, self.config.max_attempts)
        session, response = await deadline.limit(sending, late)
        try:
            yield response
        finally:
            session.responses.discard(response)
            response.let_go()

    async def fetch(self, request: Request) -> bytes:
        """Send a request and read its whole answer; a retry repeats both.

        Raises what `exchange` does, and `BodyTooLargeError`.
        """
        return (await self.answer(request))[0]

    async def answer(self, request: Request) -> tuple[bytes, Response]:
        """The same, with the response, for a caller who wants its head too."""
        seconds = request.timeout or (None if request.stall_timeout else self.config.request_timeout)
        deadline, attempt = Deadline(seconds), Attempt()

        def late(seconds: float) -> StreamTimeoutError:
            message = (
                f"no whole answer came within {in_seconds(seconds)} from {attempt.address}; wait longer with "
                "request_timeout in Config"
            )
            return _timeout(seconds, message, request, attempt)

        once = self.while_open(partial(self._fetch_once, request, deadline, attempt), request.endpoint)
        return await deadline.limit(retried(once, request, deadline, self.config.max_attempts), late)

    async def fetch_json(self, request: Request, output: Any = None) -> Any:
        """Send a request and decode its answer as JSON; raises what `fetch` does, and `DecodeError`.

        Args:
            request: What to send.
            output: As for `PayloadDecoder`.
        """
        body, response = await self.answer(request)
        try:
            return response.decoded(body, PayloadDecoder(output, endpoint=request.endpoint))
        finally:
            del body

    async def post_form(self, url: str, form: Mapping[str, str | SecretStr]) -> Any:
        """Send a form without a credential, and decode the answer; raises what `fetch_json` does.

        Args:
            url: Where to send it.
            form: Its fields. No error shows the value of a `SecretStr`.
        """
        return await self.fetch_json(
            Request(
                method="POST",
                url=URL(url),
                endpoint=url,
                headers={"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"},
                body=urlencode({name: text_of(value) for name, value in form.items()}).encode(),
                auth=False,
                timeout=_FORM_PATIENCE,
                secrets=tuple(value for value in form.values() if isinstance(value, SecretStr)),
            )
        )

    async def _fetch_once(self, request: Request, deadline: Deadline, attempt: Attempt) -> tuple[bytes, Response]:
        loop, stall = asyncio.get_running_loop(), request.stall_timeout
        limit = asyncio.timeout(stall)

        def moved() -> None:
            if stall is not None and not limit.expired():
                limit.reschedule(loop.time() + stall)

        try:
            async with limit:
                session, response = await self._send(request, deadline, attempt, moved)
                try:
                    return await response.read(), response
                except FalError as error:
                    # It did what it was asked to, or not: the answer that says so can't be read.
                    error.outcome_unknown = request.method != "GET"
                    raise
                finally:
                    session.responses.discard(response)
                    response.let_go()
        except TimeoutError:
            if stall is None or not limit.expired():
                raise
        assert stall is not None
        message = f"{attempt.address} took no bytes, or gave no answer, for {in_seconds(stall)}; try again"
        raise _timeout(stall, message, request, attempt)

    async def session(self) -> LoopSession:
        """The connections of the running loop, for `let_finish`."""
        return await self._sessions.get()

    def let_finish(self, task: asyncio.Task[Any], session: LoopSession) -> None:
        """Let whoever closes the client, or its loop, wait for a task a little.

        Args:
            task: The task. Its requests go through the given connections, though others were opened since.
            session: The connections. If they are closed already, nobody waits.
        """
        if session.client.closed:
            return
        self._finishing[task] = session
        session.finishing.add(task)

        def forget(task: asyncio.Task[Any]) -> None:
            del self._finishing[task]
            session.finishing.discard(task)

        task.add_done_callback(forget)

    def while_open(self, once: Callable[[], Awaitable[_T]], endpoint: str) -> Callable[[], Awaitable[_T]]:
        """An attempt that fails if the client was closed since now, and would be opened again by it.

        The tasks that `let_finish` was told of may go on.

        Args:
            once: The attempt.
            endpoint: Which endpoint the error names.
        """
        closings = self.closings

        async def attempt() -> _T:
            if self.closings != closings and asyncio.current_task() not in self._finishing:
                raise self.error_of_closing(endpoint)
            return await once()

        return attempt

    async def pause(self, seconds: float, endpoint: str, session: LoopSession) -> None:
        """Wait, as a request would that takes so long.

        Args:
            seconds: How long.
            endpoint: Where the next request goes, for the error.
            session: The connections of the one before.

        Raises:
            TransportError: The client was closed meanwhile.
        """
        pause = _Pause()
        session.hold(pause)
        try:
            async with asyncio.timeout(seconds):
                await pause.closed.wait()
        except TimeoutError:
            return
        finally:
            session.responses.discard(pause)
        raise self.error_of_closing(endpoint)

    @staticmethod
    def error_of_closing(endpoint: str) -> TransportError:
        """The error for what was under way, or waited for its turn, when the client was closed."""
        return transport_error(OSError(), endpoint=endpoint, client_closed=True)[0]

    async def _session(self) -> LoopSession:
        if self._finishing and (session := self._finishing.get(asyncio.current_task())):
            return session
        return await self._sessions.get()

    async def aclose(self) -> None:
        """Close all connections. Requests under way end with a `TransportError`."""
        self.closings += 1
        await self._sessions.aclose()

    def close(self) -> None:
        """The same for code that can't await; call it from any thread."""
        self.closings += 1
        self._sessions.close()

    async def _send(
        self, request: Request, deadline: Deadline, attempt: Attempt, moved: Callable[[], None] = lambda: None
    ) -> tuple[LoopSession, Response]:
        """One attempt: the response, when its headers are in and say that it succeeded.

        If no connection to fal could be made, so nothing was sent, the attempt goes on at fal's backup host. If that
        can't be reached either, the error of fal's own host is raised.

        Args:
            request: What to send.
            deadline: When its headers must be in.
            attempt: Learns whether the request was sent.
            moved: Called when a piece of the body has been taken.
        """
        backup = backup_of(request.url, self.config)
        if backup is None or self._proxy_for(request) is not None:
            return await self._send_to(request, deadline, attempt, moved)
        try:
            return await self._send_to(request, deadline, attempt, moved, _BACKUP_AFTER)
        except TransportError as error:
            if not _was_unreachable(error, attempt):
                raise
            failure = error
        logger.warning("%s: %s; trying %s", request.endpoint, failure.message.partition(";")[0], backup.host)
        try:
            return await self._send_to(replace(request, url=backup), deadline, attempt, moved)
        except TransportError as error:
            if not _was_unreachable(error, attempt):
                raise
        try:
            raise failure
        finally:
            del failure  # its traceback holds this frame

    async def _send_to(
        self,
        request: Request,
        deadline: Deadline,
        attempt: Attempt,
        moved: Callable[[], None],
        connect_timeout: float | None = None,
    ) -> tuple[LoopSession, Response]:
        attempt.was_sent = False
        session = await self._session()
        outgoing = await self._outgoing(request, session, moved)
        attempt.server = partial(address_of, (outgoing.proxy or outgoing.url).origin(), self.config)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s %s", request.method, request.url.with_query(None))
        try:
            response = Response(
                await session.client.request(
                    outgoing.method,
                    outgoing.url,
                    headers=outgoing.headers,
                    # The type of a part of a file is none, and a signature may cover that.
                    skip_auto_headers=("Content-Type",) if callable(request.body) else None,
                    data=outgoing.body,
                    proxy=outgoing.proxy,
                    allow_redirects=False,
                    timeout=session.timeout(connect_timeout),
                    trace_request_ctx=attempt,
                ),
                request.endpoint,
                server=attempt.server,
                sent=outgoing.sent,
                secrets=outgoing.secrets,
                max_body_size=self.config.max_body_size,
                client_is_closed=lambda: session.is_closing,
            )
        except Exception as error:
            if outgoing.body_errors:
                failure, cause = outgoing.body_errors[0], outgoing.body_errors[0].__cause__
            else:
                failure, cause = transport_error(
                    error,
                    endpoint=request.endpoint,
                    address=attempt.address,
                    secrets=outgoing.secrets,
                    client_closed=session.is_closing,
                )
                failure.outcome_unknown = attempt.was_sent
        else:
            if 200 <= response.status < 300:
                session.hold(response)
                return session, response
            onward = redirected(request, response.status, response.headers)
            if onward is not None:
                response.let_go()
                return await self._send_to(onward, deadline, attempt, moved)
            if response.status == 401 and outgoing.sent == "access token":
                self.credentials.refused()
            raise error_from_response(
                response.status,
                response.headers,
                # It has no name here: it may repeat a secret, and the error holds this frame. It gets half of the time
                # that is left, so that the status is not lost because of it.
                await response.beginning(deadline.left(60.0) / 2),
                endpoint=request.endpoint,
                sent=outgoing.sent,
                secrets=outgoing.secrets,
                address=attempt.address,
            )
        # Outside the except clause, where the original would become its context, with a URL that may hold a token.
        try:
            raise failure from cause
        finally:
            del failure, cause  # its traceback holds this frame

    async def _changed(self, request: Request) -> Request:
        """The request as the middleware wants it, if there is one; it sees rxfal's own headers too."""
        if self.config.middleware is None:
            return request
        from rxfal.wire.middleware import changed  # loaded only if there is one

        whole = replace(request, headers=_completed(request.headers))
        return await changed(self.config.middleware, whole, self.config)

    def _proxy_for(self, request: Request) -> URL | None:
        """The server-side proxy that the request goes through: one that is to carry the key, which the proxy has."""
        proxy = self.config.proxy_url
        carries_key = request.auth and request.token is None and request.through_proxy
        if proxy is None or not carries_key or not may_see_credential(request.url, self.config):
            return None
        return URL(proxy)

    async def _outgoing(self, request: Request, session: LoopSession, moved: Callable[[], None]) -> Outgoing:
        config = self.config
        request = await self._changed(request)
        server_side = self._proxy_for(request)
        url = request.url if server_side is None else server_side
        proxy = session.proxy_for(url)  # which can fail, and then shows this frame, while it knows no secret
        credential = None
        if request.token is None and server_side is None and request.auth and may_see_credential(url, config):
            credential = request.credential or await self.credentials.current(self.post_form)
        # From here on nothing fails, so that no traceback shows what this frame knows.
        headers = _completed(request.headers) if config.middleware is None else CIMultiDict(request.headers)
        if credential is not None:
            headers.setdefault("Authorization", credential.header())
        elif request.token is not None and may_see_credential(url, config):
            url = url.update_query(fal_jwt_token=request.token.get_secret_value())
        elif server_side is not None:
            # A server-side proxy adds the key itself. This header tells it where the request should go.
            headers[TARGET] = str(request.url)
        if request.content_length is not None:
            headers["Content-Length"] = str(request.content_length)
        return Outgoing.of(request, url, headers, proxy, moved)


def _completed(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """The headers of a request with those that every request has."""
    completed = CIMultiDict(_OWN_HEADERS)
    completed.update(headers)
    return completed


class _Pause:
    """A pause between two requests, which ends with the session."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    def close(self) -> None:
        self.closed.set()


def _timeout(seconds: float, message: str, request: Request, attempt: Attempt) -> StreamTimeoutError:
    error = StreamTimeoutError(seconds, message=message, endpoint=request.endpoint)
    error.outcome_unknown = attempt.was_sent
    return error


def _was_unreachable(error: TransportError, attempt: Attempt) -> bool:
    """Whether no connection could be made. TLS and this process's own limits don't count."""
    return not attempt.was_sent and error.kind in ("refused", "dns", "timeout")
