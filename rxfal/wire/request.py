"""What is asked of a server: a request as the verbs write it, and its parts as they go out.

Knows neither connections nor answers.
"""

import base64
import io
import re
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from multidict import CIMultiDict
from yarl import URL

from rxfal.wire.credentials import Credential
from rxfal.wire.failures import Sent
from rxfal.wire.masking import Secrets, SecretStr, signatures_in, without_queries

__all__ = ["TARGET", "Body", "Outgoing", "Request", "exact_url", "redirected", "text_of"]

TARGET = "x-fal-target-url"
"""The header that tells a server-side proxy where a request should go."""

_LARGE_BODY = 2**20  # bytes; aiohttp wants a file for more, and sends it piece by piece
_SECRET_HEADER = re.compile("auth|key|token|secret|cookie", re.IGNORECASE)

Body = bytes | Callable[[], AsyncIterable[bytes]] | None
"""Bytes, or a function that yields them piece by piece."""


Retry = Literal["never-started", "idempotent", "5xx", "unanswered", "never"]
"""What may be sent again; see `Request`."""


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
        through_proxy: Whether it goes through a server-side proxy, if the configuration has one and it carries the key.
        token: A short-lived token to send in the query, instead of the key.
        credential: The credential to send; if left out, rxfal asks for it.
        timeout: Seconds that it may take, retries and their pauses included: for an `exchange` until the response
            headers are in, for a `fetch` until the answer is whole. None means no limit for an `exchange`, and the
            configuration's `request_timeout` for a `fetch`.
        stall_timeout: If given, a `fetch` may take as long as it likes in all, but not this many seconds in which no
            piece of the body is taken and no answer comes.
        retry: What may be sent again: only requests that surely "never-started"; every one that failed, because it is
            "idempotent"; with "5xx" those with any such status too, because there is no input that could be the cause;
            every one that failed "unanswered", where an error with an id is the model's own answer; or "never" any.
        final: Statuses that are an answer, and not a reason to send the request again.
        secrets: What else in it is secret, such as the signature in its address.
        redirects: How many redirects to follow. A request that carries a credential follows none.
    """

    method: str
    url: URL
    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Body = None
    content_length: int | None = None
    auth: bool = True
    through_proxy: bool = True
    token: SecretStr | None = None
    credential: Credential | None = None
    timeout: float | None = None
    stall_timeout: float | None = None
    retry: Retry = "never-started"
    final: frozenset[int] = frozenset()
    secrets: tuple[SecretStr, ...] = ()
    redirects: int = 0

    def __repr__(self) -> str:
        return f"Request({self.method} {without_queries(str(self.url))})"  # tracebacks can show it


@dataclass(slots=True, kw_only=True, repr=False)
class Outgoing:
    """A request as it goes out, with its credential. It has no repr, because tracebacks can show it.

    Attributes:
        method: The HTTP method.
        url: Where it goes.
        headers: All that rxfal sets.
        body: The body as aiohttp wants it.
        body_errors: What the caller's function for the body raised; aiohttp keeps only its text.
        proxy: The proxy that it goes through.
        sent: The credential that it carries; None if it was to carry none.
        secrets: Everything secret in it, the user's own included.
    """

    method: str
    url: URL
    headers: CIMultiDict[str]
    body: bytes | io.BytesIO | AsyncIterable[bytes] | None
    body_errors: list[Exception]
    proxy: URL | None
    sent: Sent | None
    secrets: Secrets

    @classmethod
    def of(
        cls, request: Request, url: URL, headers: CIMultiDict[str], proxy: URL | None, moved: Callable[[], None]
    ) -> Self:
        """A request with its address and headers as they were completed for one attempt.

        Args:
            request: What to send.
            url: Where it goes, with a token in the query if it carries one.
            headers: All headers.
            proxy: The proxy that it goes through.
            moved: Called when a piece of the body has been taken.
        """
        body, body_errors = request.body, list[Exception]()
        if isinstance(body, bytes) and len(body) > _LARGE_BODY:
            body = io.BytesIO(body)
        return cls(
            method=request.method,
            url=url,
            headers=headers,
            body=_pieces(body, body_errors, moved) if callable(body) else body,
            body_errors=body_errors,
            proxy=proxy,
            sent=_sent(url, headers) if request.auth or request.token is not None else None,
            secrets=Secrets([*map(text_of, request.secrets), *_secrets_in(request.url, url, headers, proxy)]),
        )


def exact_url(text: str) -> URL:
    """The URL that a text is, as it is, because quoting it again would break a signature; quoted if it has to be.

    Raises:
        ValueError: It is no URL.

    Examples:
        >>> exact_url("https://v3.fal.media/a%2fb?sig=a+b"), exact_url("https://v3.fal.media/a b")
        (URL('https://v3.fal.media/a%2fb?sig=a+b'), URL('https://v3.fal.media/a%20b'))
    """
    return URL(text, encoded=re.fullmatch("[!-~]+", text) is not None)


def redirected(request: Request, status: int, headers: Mapping[str, str]) -> Request | None:
    """The request that follows a redirect; None for any other response, and for a redirect that is not to be followed.

    It leads to http or https, but not from https back to http, and to no address with a user in it.
    """
    location = headers.get("Location")
    if (
        location is None
        or status not in (301, 302, 303, 307, 308)
        or request.redirects < 1
        or request.auth
        or request.token
    ):
        return None
    try:
        url = request.url.join(exact_url(location))
        known = url.scheme == "https" or url.scheme == request.url.scheme == "http"
        if not known or not url.raw_host or url.user is not None or url.port is None:
            return None
    except ValueError:
        return None
    secrets = (*request.secrets, *map(SecretStr, signatures_in(url)))
    return replace(request, url=url.with_fragment(None), secrets=secrets, redirects=request.redirects - 1)


def _secrets_in(given: URL, url: URL, headers: CIMultiDict[str], proxy: URL | None) -> Iterator[str]:
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
    return "key" if "Authorization" in headers or TARGET in headers else "nothing"


async def _pieces(
    body: Callable[[], AsyncIterable[bytes]], errors: list[Exception], moved: Callable[[], None]
) -> AsyncGenerator[bytes]:
    try:
        async for piece in body():
            yield piece
            moved()
        return
    except Exception as error:
        errors.append(error)
    raise OSError("the body of the request failed")  # not the error itself, which would come back with frames


def text_of(value: str | SecretStr) -> str:
    """A text, a secret one too."""
    return value.get_secret_value() if isinstance(value, SecretStr) else value
