"""One request: session, headers, credentials and retries; then a response to read, or the error for it.

It knows how to talk to fal's servers, but not what the bytes mean. No error of aiohttp leaves it.
"""

import asyncio
import base64
import io
import logging
import random
import re
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import urlencode

import stamina
from multidict import CIMultiDict
from pydantic import SecretStr
from yarl import URL

from rxfal._version import __version__
from rxfal.errors import ApiError, DecodeError, StreamTimeoutError, TransportError, in_seconds
from rxfal.wire import compressed
from rxfal.wire.config import Config, address_of
from rxfal.wire.credentials import Credential, Credentials
from rxfal.wire.deadline import Deadline
from rxfal.wire.endpoints import backup_of, may_see_credential
from rxfal.wire.failures import Sent, error_from_response, transport_error, unshown
from rxfal.wire.masking import Secrets, without_queries
from rxfal.wire.payload import PayloadDecoder
from rxfal.wire.response import Response
from rxfal.wire.session import Attempt, LoopSession, Sessions

__all__ = ["Http", "Request", "Response"]

logger = logging.getLogger("rxfal")
_STAMINAS_NAME = "a request of rxfal"
# stamina's own log of a retry says neither where nor why; `again` logs a line that does.
logging.getLogger("stamina").addFilter(lambda record: record.__dict__.get("stamina.callable") != _STAMINAS_NAME)

_LARGE_BODY = 2**20  # bytes; aiohttp wants a file for more, and sends it piece by piece
_SECRET_HEADER = re.compile("auth|key|token|secret|cookie", re.IGNORECASE)
_TARGET = "x-fal-target-url"
_FORM_PATIENCE = 30.0  # seconds until the answer to a form must be whole
_BACKUP_AFTER = 5.0  # seconds for connecting to a host of fal that has a backup
_LONGEST_RETRY_AFTER = 60.0  # seconds; if a server asks for more, there is no retry and the caller decides
_FIRST_PAUSE, _LONGEST_PAUSE, _JITTER = 0.2, 5.0, 0.4  # seconds, if the server names none

Body = bytes | Callable[[], AsyncIterable[bytes]] | None


@dataclass(slots=True, kw_only=True, repr=False)
class Request:
    """What to send.

    Attributes:
        method: The HTTP method.
        url: Where to, without any credential.
        endpoint: What to call it in messages.
        headers: Headers; they win over those that rxfal adds.
        body: Bytes, or a function that yields them piece by piece and is called again for every attempt.
        content_length: The size in bytes of a body that comes in pieces; if left out, the body is sent chunked.
        auth: Whether to send the key. It goes only where a credential may go.
        token: A short-lived token to send in the query, instead of the key.
        credential: The credential to send; if left out, rxfal asks for it.
        timeout: Seconds that it may take, retries and their pauses included: for an `exchange` until the response
            headers are in, for a `fetch` until the answer is whole. None means no limit for an `exchange`, and the
            configuration's `request_timeout` for a `fetch`.
        stall_timeout: If given, a `fetch` may take as long as it likes in all, but not this many seconds in which no
            piece of the body is taken and no answer comes.
        retry: What may be sent again: only requests that surely "never-started", or every one that failed, because it
            is "idempotent".
        secrets: What else in it is secret, such as the signature in its address.
    """

    method: str
    url: URL
    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Body = None
    content_length: int | None = None
    auth: bool = True
    token: SecretStr | None = None
    credential: Credential | None = None
    timeout: float | None = None
    stall_timeout: float | None = None
    retry: Literal["never-started", "idempotent"] = "never-started"
    secrets: tuple[SecretStr, ...] = ()

    def __repr__(self) -> str:
        return f"Request({self.method} {without_queries(str(self.url))})"  # tracebacks can show it


@dataclass(slots=True, kw_only=True, repr=False)
class _Outgoing:
    """A request as it goes out, with its credential. It has no repr, because tracebacks can show it."""

    url: URL
    headers: CIMultiDict[str]
    body: bytes | io.BytesIO | AsyncIterable[bytes] | None
    proxy: URL | None
    sent: Sent
    secrets: Secrets


class Http:
    """The requests of one client.

    Args:
        config: Where fal is and the limits that apply.
        credentials: Where the key comes from.
    """

    def __init__(self, config: Config, credentials: Credentials) -> None:
        self.config = config
        self.credentials = credentials
        self._sessions = Sessions(config.connect_timeout, config.ssl_context)

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

        session, response = await deadline.limit(self._send_with_retries(request, deadline, attempt), late)
        try:
            yield response
        finally:
            session.responses.discard(response)
            response.let_go()

    async def fetch(self, request: Request) -> bytes:
        """Send a request and read its whole answer; a retry repeats both.

        Raises what `exchange` does, and `BodyTooLargeError`.
        """
        return (await self._fetch(request))[0]

    async def fetch_json(self, request: Request, output: Any = None) -> Any:
        """Send a request and decode its answer as JSON; raises what `fetch` does, and `DecodeError`.

        Args:
            request: What to send.
            output: As for `PayloadDecoder`.
        """
        body, secrets = await self._fetch(request)
        try:
            return PayloadDecoder(output, endpoint=request.endpoint)(body)
        except DecodeError as error:
            failure = unshown(error, secrets)
        finally:
            del body
        raise failure  # outside the clause, so that the original with its message does not become its context

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
                body=urlencode({name: _text(value) for name, value in form.items()}).encode(),
                auth=False,
                timeout=_FORM_PATIENCE,
                secrets=tuple(value for value in form.values() if isinstance(value, SecretStr)),
            )
        )

    async def _fetch(self, request: Request) -> tuple[bytes, Secrets]:
        """The answer, and the secrets that were in the request."""
        seconds = request.timeout or (None if request.stall_timeout else self.config.request_timeout)
        deadline, attempt = Deadline(seconds), Attempt()

        def late(seconds: float) -> StreamTimeoutError:
            message = (
                f"no whole answer came within {in_seconds(seconds)} from {attempt.address}; wait longer with "
                "request_timeout in Config"
            )
            return _timeout(seconds, message, request, attempt)

        return await deadline.limit(self._fetch_with_retries(request, deadline, attempt), late)

    async def _fetch_with_retries(
        self, request: Request, deadline: Deadline, attempt: Attempt
    ) -> tuple[bytes, Secrets]:
        async for each in self._attempts(request, deadline):
            with each:
                return await self._fetch_once(request, deadline, attempt)
        raise AssertionError("retries end with a result or an error")

    async def _fetch_once(self, request: Request, deadline: Deadline, attempt: Attempt) -> tuple[bytes, Secrets]:
        loop, stall = asyncio.get_running_loop(), request.stall_timeout
        limit = asyncio.timeout(stall)

        def moved() -> None:
            if stall is not None and not limit.expired():
                limit.reschedule(loop.time() + stall)

        try:
            async with limit:
                session, response = await self._send(request, deadline, attempt, moved)
                try:
                    return await response.read(), response.secrets
                finally:
                    session.responses.discard(response)
                    response.let_go()
        except TimeoutError:
            if stall is None or not limit.expired():
                raise
        assert stall is not None
        message = f"{attempt.address} took no bytes, or gave no answer, for {in_seconds(stall)}; try again"
        raise _timeout(stall, message, request, attempt)

    async def aclose(self) -> None:
        """Close all connections. Requests under way end with a `TransportError`."""
        await self._sessions.aclose()

    def close(self) -> None:
        """The same for code that can't await; call it from any thread."""
        self._sessions.close()

    async def _send_with_retries(
        self, request: Request, deadline: Deadline, attempt: Attempt
    ) -> tuple[LoopSession, Response]:
        async for each in self._attempts(request, deadline):
            with each:
                return await self._send(request, deadline, attempt)
        raise AssertionError("retries end with a result or an error")

    def _attempts(self, request: Request, deadline: Deadline) -> AsyncIterator[stamina.Attempt]:
        worth = _never_started if request.retry == "never-started" else _worth_another_try
        most = self.config.max_attempts
        failed = 0

        def again(error: Exception) -> bool | float:
            """The seconds until the next attempt, or False."""
            nonlocal failed
            failed += 1
            pause = worth(error)
            if pause is False:
                return False
            if pause is True:
                pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (failed - 1) + random.uniform(0, _JITTER))
            if deadline.left(pause) < pause:
                return False  # what the server said is more useful than a timeout
            if failed < most:
                reason = str(error).removeprefix(f"{request.endpoint}: ")
                logger.info("%s: trying again in %s, after: %s", request.endpoint, in_seconds(pause), reason)
            return pause

        # The context manager, because the decorator would log the arguments.
        return aiter(stamina.retry_context(on=again, attempts=most, timeout=None).with_name(_STAMINAS_NAME, (), {}))

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
        if backup is None or (request.auth and self.config.proxy_url):
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
        session = await self._sessions.get()
        body_errors: list[Exception] = []
        outgoing = await self._outgoing(request, session, body_errors, moved)
        attempt.address = address_of(outgoing.proxy or outgoing.url, self.config)
        logger.debug("%s %s", request.method, request.url.with_query(None))
        try:
            response = Response(
                await session.client.request(
                    request.method,
                    outgoing.url,
                    headers=outgoing.headers,
                    data=outgoing.body,
                    proxy=outgoing.proxy,
                    allow_redirects=False,
                    timeout=session.timeout(connect_timeout),
                    trace_request_ctx=attempt,
                ),
                request.endpoint,
                address=attempt.address,
                sent=outgoing.sent,
                secrets=outgoing.secrets,
                max_body_size=self.config.max_body_size,
                client_is_closed=lambda: session.client.closed,
            )
        except Exception as error:
            if body_errors:
                failure, cause = body_errors[0], body_errors[0].__cause__
            else:
                failure, cause = transport_error(
                    error,
                    endpoint=request.endpoint,
                    address=attempt.address,
                    secrets=outgoing.secrets,
                    client_closed=session.client.closed,
                )
                failure.outcome_unknown = attempt.was_sent
        else:
            if 200 <= response.status < 300:
                session.responses.add(response)
                return session, response
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

    async def _outgoing(
        self, request: Request, session: LoopSession, body_errors: list[Exception], moved: Callable[[], None]
    ) -> _Outgoing:
        url, config = request.url, self.config
        if request.token is None and request.auth and config.proxy_url is not None:
            url = URL(config.proxy_url)
        proxy = session.proxy_for(url)  # which can fail, and then shows this frame, while it knows no secret
        headers = CIMultiDict({"User-Agent": f"rxfal/{__version__}", "Accept-Encoding": compressed.ACCEPTED})
        if request.token is not None:
            if may_see_credential(url, config):
                url = url.update_query(fal_jwt_token=request.token.get_secret_value())
        elif request.auth and config.proxy_url is not None:
            # A server-side proxy adds the key itself. This header tells it where the request should go.
            headers[_TARGET] = str(request.url)
        elif request.auth and may_see_credential(url, config):
            credential = request.credential or await self.credentials.current(self.post_form)
            if credential is not None:
                headers["Authorization"] = credential.header()
        headers.update(request.headers)
        if request.content_length is not None:
            headers["Content-Length"] = str(request.content_length)
        return _Outgoing(
            url=url,
            headers=headers,
            body=_payload(request.body, body_errors, moved),
            proxy=proxy,
            sent=_sent(url, headers),
            secrets=Secrets([*map(_text, request.secrets), *_secrets_in(request.url, url, headers, proxy)]),
        )


def _secrets_in(given: URL, url: URL, headers: CIMultiDict[str], proxy: URL | None) -> Iterator[str]:
    """The secrets in a request as it goes out, the user's own included."""
    for address in (given, url):  # they differ behind a server-side proxy
        yield from address.query.getall("fal_jwt_token", ())
    for name, value in headers.items():
        if _SECRET_HEADER.search(name):  # of "Key abc", abc
            yield from (value, value.partition(" ")[2].strip())
    if proxy is not None and proxy.password is not None:
        yield from (proxy.password, proxy.raw_password or "")
        yield base64.b64encode(f"{proxy.user or ''}:{proxy.password}".encode()).decode()


def _sent(url: URL, headers: Mapping[str, str]) -> Sent:
    if "fal_jwt_token" in url.query:
        return "token"
    if headers.get("Authorization", "").startswith("Bearer "):
        return "access token"
    return "key" if "Authorization" in headers or _TARGET in headers else "nothing"


def _text(value: str | SecretStr) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _timeout(seconds: float, message: str, request: Request, attempt: Attempt) -> StreamTimeoutError:
    error = StreamTimeoutError(seconds, message=message, endpoint=request.endpoint)
    error.outcome_unknown = attempt.was_sent
    return error


def _payload(
    body: Body, errors: list[Exception], moved: Callable[[], None]
) -> bytes | io.BytesIO | AsyncIterable[bytes] | None:
    """A body as aiohttp wants it. `errors` keeps what the caller's function raises; aiohttp keeps only its text."""
    if isinstance(body, bytes) and len(body) > _LARGE_BODY:
        return io.BytesIO(body)
    if body is None or isinstance(body, bytes):
        return body

    async def pieces() -> AsyncGenerator[bytes]:
        try:
            async for piece in body():
                yield piece
                moved()
            return
        except Exception as error:
            errors.append(error)
        raise OSError("the body of the request failed")  # not the error itself, which would come back with frames

    return pieces()


def _retry(error: ApiError) -> bool | float:
    """Whether to try again; or after how many seconds, if the server said so."""
    if error.retry_after is None:
        return True
    return error.retry_after if error.retry_after <= _LONGEST_RETRY_AFTER else False


def _was_unreachable(error: TransportError, attempt: Attempt) -> bool:
    """Whether no connection could be made. TLS and this process's own limits don't count."""
    return not attempt.was_sent and error.kind in ("refused", "dns", "timeout")


def _worth_another_try(error: Exception) -> bool | float:
    """For requests that may be repeated without harm."""
    if isinstance(error, ApiError):
        return error.retryable and not isinstance(error, StreamTimeoutError) and _retry(error)
    return isinstance(error, TransportError) and error.retryable and error.kind != "timeout"


def _never_started(error: Exception) -> bool | float:
    """For requests that must not run twice: no connection was made, or the server did not take the work."""
    if isinstance(error, TransportError):
        return error.kind in ("refused", "dns")
    if not isinstance(error, ApiError) or error.timeout_type is not None or not error.retryable:
        return False
    return (error.status == 429 or (error.status == 503 and error.retry_hint)) and _retry(error)
