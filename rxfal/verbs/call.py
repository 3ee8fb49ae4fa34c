"""One call of a verb that sends a model's input: its options are checked at the call, its request is opened at each
subscription.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
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

from .checks import check_callable, check_word, checked_headers, checked_mapping, checked_method, checked_seconds
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


class ResponseInfo(NamedTuple):
    """What `on_open` gets when the response has begun.

    Attributes:
        status: The HTTP status.
        headers: The response's headers; looking one up ignores case.
        request_id: fal's id for the request (`x-fal-request-id`), if it sent one.
        billable_units: What the request is billed for (`x-fal-billable-units`), if fal says so by now. Its price is
            this, multiplied by the unit price of the model.
    """

    status: int
    headers: Mapping[str, str]
    request_id: str | None
    billable_units: float | None = None


class InputRequest:
    """A request with a model's input, checked when it is made. Its files are uploaded each time that it is sent.

    Args:
        connections: The client's.
        request: The request, still without the input.
        input: The model's input.
        find_files: Whether to look for files in it.
    """

    def __init__(self, connections: Connections, request: Request, input: Any, *, find_files: bool) -> None:
        self._connections = connections
        self._request = request
        self._input = PreparedInput(input, find_files=find_files)
        # With text in place of its files, so that whatever else is wrong with the input is reported now.
        value = self._input.value(dict.fromkeys(self._input.uploads, ""))
        self._request = self._with(value)
        self._given = _names_in(value, self._request)

    async def ready(self, deadline: Deadline, late: Callable[[float], FalError]) -> Request:
        """The request as it can be sent, once its input is known to have what the model requires, and its files are
        uploaded.

        Args:
            deadline: When they must be.
            late: Makes the error if they are not.
        """
        http = self._connections.http
        if http.config.validation != "off" and self._given is not None:
            check = self._connections.input_check
            await check.check(self._request, self._given, deadline.left(check.patience))
        if not self._input.uploads:
            return self._request
        from .uploading import uploader  # loaded only for files

        return self._with(await deadline.limit(self._input.resolve(uploader(http)), late))

    def _with(self, value: Any) -> Request:
        request = self._request
        if request.method != "GET":
            headers = CIMultiDict({"Content-Type": "application/json"})
            headers.update(request.headers)
            return replace(request, headers=headers, body=encode_json({} if value is None else value))
        if not isinstance(value, Mapping | None):
            raise TypeError(f"with method GET the input becomes the query: a mapping, not {type(value).__name__}")
        given = encode_query(cast("Mapping[str, Any]", value or {}), what="input")
        return replace(request, url=request.url.with_query({**given, **request.url.query}))


def _names_in(value: Any, request: Request) -> Collection[str] | None:
    """The names of the arguments in an input; None if it can't have any."""
    if request.method == "GET":
        return {*request.url.query}
    if not isinstance(value, Mapping | None):
        return None
    return {str(name) for name in cast("Mapping[Any, Any]", value or {})}


class Call:
    """One direct call of a model, checked when it is made. Each subscription sends its own request.

    Args:
        connections: The client's.
        request: The request, still without the input.
        input: The model's input.
        given: All options: of them `auto_upload`, `on_open`, `response_timeout` and `timeout` are used here.
    """

    def __init__(self, connections: Connections, request: Request, input: Any, given: Mapping[str, Any]) -> None:
        check_callable("on_open", given["on_open"])
        check_callbacks(on_open=given["on_open"])
        self.http = connections.http
        self._connections = connections
        self.name = request.endpoint
        self._response_timeout = checked_seconds("response_timeout", given["response_timeout"])
        self._timeout = checked_seconds("timeout", given["timeout"])
        self._on_open: Callable[[ResponseInfo], object] | None = given["on_open"]
        self._request = InputRequest(connections, request, input, find_files=given["auto_upload"])

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Response]:
        """Upload the files in the input, send the request, and leave the response open for the block.

        With `max_concurrent`, all of that waits for a place, which it has until the block is left.
        """
        deadline, places = Deadline(self._response_timeout), self._connections.places
        if places is None:
            async with self._open(deadline) as response:
                yield response
            return
        what = f"as many calls as max_concurrent allows at once ({places.count}) were still under way"
        closings = self.http.closings
        place = await deadline.limit(places.take(), self._late(what))
        try:
            if (
                self.http.closings != closings
            ):  # which ended those before it in the line; it would open the client again
                raise self.http.error_of_closing(self.name)
            async with self._open(deadline) as response:
                yield response
        finally:
            places.give_back(place)

    @asynccontextmanager
    async def _open(self, deadline: Deadline) -> AsyncGenerator[Response]:
        late = self._late("the files of the input were still being uploaded")
        request = await self._authorized(await self._request.ready(deadline, late), deadline)
        opened: Response | None = None
        try:
            async with self.http.exchange(request, deadline) as response:
                opened = response
                self._check(response)
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
            error.endpoint = error.endpoint or self.name
            if opened is not None:
                error.request_id = error.request_id or opened.request_id
                if isinstance(error, ApiError):
                    error.address = error.address or opened.address
            self._failed(error, request, opened)
            raise

    async def _authorized(self, request: Request, deadline: Deadline) -> Request:
        """The request with what it needs to be let in, apart from the key."""
        return request

    def _check(self, response: Response) -> None:
        """Refuse a response that can't be right."""

    def _failed(self, error: FalError, request: Request, opened: Response | None) -> None:
        """Complete the error of a request that was sent.

        Args:
            error: The error, which will be raised.
            request: The request.
            opened: Its response, if that had begun.
        """

    def _late(self, what: str) -> Callable[[float], StreamTimeoutError]:
        def late(seconds: float) -> StreamTimeoutError:
            message = (
                f"no response headers came within {in_seconds(seconds)}: {what}; wait longer with "
                "response_timeout=..., or for ever with response_timeout=None"
            )
            return StreamTimeoutError(seconds, message=message, endpoint=self.name)

        return late

    def _tell_that_it_opened(self, response: Response) -> None:
        if self._on_open is None:
            return
        try:
            self._on_open(ResponseInfo(response.status, response.headers, response.request_id, response.billable_units))
        except Exception as error:
            raise CallbackError(f"on_open raised {type(error).__name__}: {error}") from error

    def limit(self) -> SilenceLimit:
        """The limit on the silence of a response."""
        return SilenceLimit(self._timeout, endpoint=self.name)


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


class StreamCall(Call):
    """One call of a verb that streams.

    Args:
        connections: The client's.
        app: As for `rxfal.stream`, like the others.
        input: The model's input.
        options: The options that were given.
    """

    def __init__(self, connections: Connections, app: str, input: Any, options: StreamOptions) -> None:
        given = complete(StreamOptions, options)
        auth, token_provider = given["auth"], given["token_provider"]
        check_word("auth", auth, "key", "token")
        if token_provider is not None and auth != "token":
            raise ValueError("token_provider goes with auth='token'")
        check_callable("token_provider", token_provider)
        http = connections.http
        self._endpoint = endpoint = Endpoint.parse(app, http.config)
        self._path: str | None = given["path"]
        self._auth: Literal["key", "token"] = auth
        self._token_provider: TokenProvider | None = token_provider
        query = checked_mapping("query", given["query"])
        request = Request(
            method=checked_method(given["method"]),
            url=endpoint.stream_url(http.config, path=self._path, query=query),
            endpoint=endpoint.id,
            headers=checked_headers(given["headers"], _STREAM_HEADERS),
        )
        super().__init__(connections, request, input, given)

    async def _authorized(self, request: Request, deadline: Deadline) -> Request:
        if self._auth == "key":
            return request
        token = await deadline.limit(self._token(), self._late("the short-lived token had not come"))
        return replace(request, auth=False, token=token)

    async def _token(self) -> SecretStr:
        if self._token_provider is None:
            return await self._connections.tokens.token(self._endpoint.alias)
        app = self._endpoint.stream_url(Config(), path=self._path).path.strip("/")
        token = await ask(self._token_provider, app, what="token_provider", endpoint=self.name)
        if not token.get_secret_value():
            raise CredentialsError("token_provider gave an empty text instead of a token", endpoint=self.name)
        return token

    def _check(self, response: Response) -> None:
        if response.status == 204:
            raise ApiError("the response body is empty (204)", status=400)

    def _failed(self, error: FalError, request: Request, opened: Response | None) -> None:
        if request.token is not None and isinstance(error, ApiError) and error.status == 401:
            self._connections.tokens.forget(self._endpoint.alias, request.token)  # the next subscription gets a new one
