"""One call of a verb that streams: its options are checked at the call, its request is opened at each subscription."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated, Any, Literal, NamedTuple, TypedDict, cast

from multidict import CIMultiDict

from rxfal.errors import (
    ApiError,
    CallbackError,
    CredentialsError,
    DecodeError,
    FalError,
    StreamTimeoutError,
    in_seconds,
)
from rxfal.reactive.observer import check_callbacks
from rxfal.wire.config import Config
from rxfal.wire.credentials import ask
from rxfal.wire.deadline import Deadline
from rxfal.wire.endpoints import Endpoint, encode_query
from rxfal.wire.http import Request, Response
from rxfal.wire.masking import SecretStr, unshown
from rxfal.wire.payload import encode_json

from .connected import Connections
from .inputs import PreparedInput
from .options import Default, complete
from .silence import SilenceLimit

TokenProvider = Callable[[str], str | Awaitable[str]]
"""Returns a short-lived token for an app such as `owner/alias/stream`."""

_STREAM_HEADERS = {
    "Accept": "text/event-stream",
    "Accept-Encoding": "identity",  # a compressing server or proxy would hold events back until a block is full
    "Cache-Control": "no-store",
}
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token, RFC 9110 5.6.2
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

# Headers that say how the request is sent and not what it says (RFC 9110 and 9112): a wrong one makes one request two,
# hands it to another host, or lets it wait for ever.
_OWN_HEADERS = {
    "content-length": "it is the length of the body, which rxfal knows",
    "transfer-encoding": "it is how the body is sent, which rxfal decides",
    "trailer": "it announces fields behind the body, which rxfal does not send",
    "te": "it concerns the connection, which is rxfal's",
    "expect": "the server would be waited for before the body is sent; leave it out",
    "host": "it is the host of the address; for another server set base_url or run_url in Config",
    "connection": "the connection is rxfal's, and is kept or closed as need be",
    "keep-alive": "the connection is rxfal's, and is kept or closed as need be",
    "proxy-connection": "the connection is rxfal's, and is kept or closed as need be",
    "upgrade": "the connection speaks HTTP, and no other protocol",
    "x-fal-target-url": "it tells a server-side proxy where to send the request, and is made from the endpoint",
}


class ResponseInfo(NamedTuple):
    """What `on_open` gets when the response has begun.

    Attributes:
        status: The HTTP status.
        headers: The response's headers; looking one up ignores case.
        request_id: fal's id for the request (`x-fal-request-id`), if it sent one.
    """

    status: int
    headers: Mapping[str, str]
    request_id: str | None


class StreamOptions(TypedDict, total=False):
    """The options of a request that streams; `rxfal.stream` explains them."""

    path: Annotated[str | None, Default(None)]
    method: Annotated[str, Default("POST")]
    query: Annotated[Mapping[str, Any] | None, Default(None)]
    headers: Annotated[Mapping[str, str] | None, Default(None)]
    timeout: Annotated[float | None, Default(60.0)]
    response_timeout: Annotated[float | None, Default(600.0)]
    auto_upload: Annotated[bool, Default(True)]
    auth: Annotated[Literal["key", "token"], Default("key")]
    token_provider: Annotated[TokenProvider | None, Default(None)]
    on_open: Annotated[Callable[[ResponseInfo], object] | None, Default(None)]


class StreamCall:
    """One call of a verb that streams, checked when it is made. Each subscription sends its own request.

    Args:
        connections: The client's.
        app: As for `rxfal.stream`, like the others.
        input: The model's input.
        options: The options that were given.
    """

    def __init__(self, connections: Connections, app: str, input: Any, options: StreamOptions) -> None:
        given = complete(StreamOptions, options)
        auth, token_provider, on_open = given["auth"], given["token_provider"], given["on_open"]
        if auth not in ("key", "token"):
            raise ValueError(f"auth is 'key' or 'token', not {auth!r}")
        if token_provider is not None and auth != "token":
            raise ValueError("token_provider goes with auth='token'")
        _check_callable("token_provider", token_provider)
        _check_callable("on_open", on_open)
        check_callbacks(on_open=on_open)
        http = connections.http
        self.endpoint = Endpoint.parse(app, http.config)
        self.http = http
        self._connections = connections
        self._response_timeout = _checked_seconds("response_timeout", given["response_timeout"])
        self._timeout = _checked_seconds("timeout", given["timeout"])
        self._path: str | None = given["path"]
        self._auth: Literal["key", "token"] = auth
        self._token_provider: TokenProvider | None = token_provider
        self._on_open: Callable[[ResponseInfo], object] | None = on_open
        self._input = PreparedInput(input, find_files=given["auto_upload"])
        self._request = Request(
            method=_checked_method(given["method"]),
            url=self.endpoint.stream_url(http.config, path=self._path, query=_checked_mapping("query", given["query"])),
            endpoint=self.endpoint.id,
            headers=_checked_headers(_checked_mapping("headers", given["headers"])),
        )
        # With text in place of its files, so that whatever else is wrong with the input is reported now.
        self._request = self._with_input(self._input.value(dict.fromkeys(self._input.uploads, "")))

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Response]:
        """Upload the files in the input, send the request, and leave the response open for the block."""
        deadline = Deadline(self._response_timeout)
        request, token = self._request, None
        if self._input.uploads:
            from .storage import uploader  # loaded only for files

            late = self._late("the files of the input were still being uploaded")
            request = self._with_input(await deadline.limit(self._input.resolve(uploader(self.http)), late))
        if self._auth == "token":
            token = await deadline.limit(self._token(), self._late("the short-lived token had not come"))
            request = replace(request, auth=False, token=token)
        opened: Response | None = None
        try:
            async with self.http.exchange(request, deadline) as response:
                opened = response
                if response.status == 204:
                    raise ApiError("the response body is empty (204)", status=400)
                self._tell_that_it_opened(response)
                try:
                    yield response
                except DecodeError as error:
                    if (shown := unshown(error, response.secrets)) is not error:
                        raise shown from None
                    raise
        except FalError as error:
            if error.__suppress_context__ and isinstance(error, DecodeError):
                error.__context__ = None  # that one quotes a secret
            error.endpoint = error.endpoint or self.endpoint.id
            if opened is not None:
                error.request_id = error.request_id or opened.request_id
                if isinstance(error, ApiError):
                    error.address = error.address or opened.address
            if token is not None and isinstance(error, ApiError) and error.status == 401:
                self._connections.tokens.forget(self.endpoint.alias, token)  # the next subscription gets a new one
            raise

    def _late(self, what: str) -> Callable[[float], StreamTimeoutError]:
        def late(seconds: float) -> StreamTimeoutError:
            message = (
                f"no response headers came within {in_seconds(seconds)}: {what}; wait longer with "
                "response_timeout=..., or for ever with response_timeout=None"
            )
            return StreamTimeoutError(seconds, message=message, endpoint=self.endpoint.id)

        return late

    def _tell_that_it_opened(self, response: Response) -> None:
        if self._on_open is None:
            return
        try:
            self._on_open(ResponseInfo(response.status, response.headers, response.request_id))
        except Exception as error:
            raise CallbackError(f"on_open raised {type(error).__name__}: {error}") from error

    def limit(self) -> SilenceLimit:
        """The limit on the silence of a response."""
        return SilenceLimit(self._timeout, endpoint=self.endpoint.id)

    def _with_input(self, value: Any) -> Request:
        request = self._request
        if request.method != "GET":
            headers = CIMultiDict({"Content-Type": "application/json"})
            headers.update(request.headers)
            return replace(request, headers=headers, body=encode_json({} if value is None else value))
        if not isinstance(value, Mapping | None):
            raise TypeError(f"with method GET the input becomes the query: a mapping, not {type(value).__name__}")
        given = encode_query(cast("Mapping[str, Any]", value or {}), what="input")
        return replace(request, url=request.url.with_query({**given, **request.url.query}))

    async def _token(self) -> SecretStr:
        if self._token_provider is None:
            return await self._connections.tokens.token(self.endpoint.alias)
        app = self.endpoint.stream_url(Config(), path=self._path).path.strip("/")
        token = await ask(self._token_provider, app, what="token_provider", endpoint=self.endpoint.id)
        if not token.get_secret_value():
            raise CredentialsError("token_provider gave an empty text instead of a token", endpoint=self.endpoint.id)
        return token


def _checked_seconds(name: str, seconds: float | None) -> float | None:
    if seconds is not None:
        if not isinstance(seconds, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"{name} is in seconds, a number, or None for no limit; got {seconds!r}")
        if not seconds > 0:
            raise ValueError(f"{name} is in seconds and above 0, or None for no limit; got {seconds!r}")
    return seconds


def _checked_method(method: Any) -> str:
    known = method.upper() if isinstance(method, str) else None
    if known not in _METHODS:
        raise ValueError(f"method is one of {', '.join(_METHODS)}, not {method!r}")
    return known


def _checked_mapping(name: str, given: Any) -> Mapping[Any, Any]:
    if not isinstance(given, Mapping | None):
        raise TypeError(f"{name} is a mapping of names to values, not {type(given).__name__}")
    return cast("Mapping[Any, Any] | None", given) or {}


def _checked_headers(headers: Mapping[Any, Any]) -> CIMultiDict[str]:
    checked = CIMultiDict(_STREAM_HEADERS)
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"headers are text; {name!r} is {type(value).__name__}")
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} can't be the name of a header; use letters, digits and hyphens")
        if _CONTROL.search(value):
            raise ValueError(f"the header {name!r} holds a line break or another control character")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"the header {name!r} can't be given: {_OWN_HEADERS[name.lower()]}")
        checked[name] = value
    return checked


def _check_callable(name: str, value: Any) -> None:
    if value is not None and not callable(value):
        raise TypeError(f"{name} is a function, not {type(value).__name__}")
