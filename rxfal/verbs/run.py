"""`run`: one request to a model, and its answer as one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypedDict, TypeVar, Unpack, overload

from rxfal.errors import FalError
from rxfal.reactive.reader import Sink
from rxfal.reactive.stream import Stream, create
from rxfal.wire.endpoints import Endpoint
from rxfal.wire.http import Request, Response
from rxfal.wire.outcome import judge
from rxfal.wire.payload import PayloadDecoder

from .call import Call, ResponseInfo
from .checks import checked_headers, checked_mapping, checked_method
from .connected import Connected, Connections
from .fal_headers import Kept, fal_headers
from .options import Default, complete, show_options

_T = TypeVar("_T")


class RunOptions(TypedDict, total=False):
    """The options of `run`, which explains them."""

    path: Annotated[str, Default("")]
    method: Annotated[str, Default("POST")]
    query: Annotated[Mapping[str, Any] | None, Default(None)]
    headers: Annotated[Mapping[str, str] | None, Default(None)]
    timeout: Annotated[float | None, Default(60.0)]
    response_timeout: Annotated[float | None, Default(600.0)]
    auto_upload: Annotated[bool, Default(True)]
    start_timeout: Annotated[float | None, Default(None)]
    hint: Annotated[str | None, Default(None)]
    lifecycle: Annotated[Kept | None, Default(None)]
    tags: Annotated[Mapping[str, str] | None, Default(None)]
    on_open: Annotated[Callable[[ResponseInfo], object] | None, Default(None)]


class RunVerbs(Connected):
    """The verbs for one whole answer."""

    @overload
    def run(self, app: str, input: Any = None, *, output: type[_T], **options: Unpack[RunOptions]) -> Stream[_T]: ...
    @overload
    def run(self, app: str, input: Any = None, *, output: Any = None, **options: Unpack[RunOptions]) -> Stream[Any]: ...
    @show_options
    def run(self, app: str, input: Any = None, *, output: Any = None, **options: Unpack[RunOptions]) -> Stream[Any]:
        """The answer of a model, as one value. Each subscription sends one request; nothing is sent before that.

        The request is open while the model works. Disposing the subscription closes it, which cancels the work. For
        work that takes minutes, or that should outlive its reader, see `subscribe` and `queue.submit`.

        JSON is decoded. Any other answer is one `bytes`.

        No request is paid for twice: it is sent again only if it surely was not taken (there was no connection, or the
        server said so with 429, or 503 and a hint to come back). If the connection breaks after it was sent, nobody
        knows what became of it: the error says so, its `outcome_unknown` is True, and it is not `retryable`.

        Args:
            app: The endpoint's id, such as `fal-ai/flux/dev`, or its full https URL on one of fal's hosts.
            input: The model's input: dicts, pydantic models or dataclasses with anything that JSON can represent, and
                files (see `auto_upload`).
            path: What follows the id.
            method: The HTTP method. With GET, the input becomes the query.
            query: Query parameters. Booleans, None and nested values are sent as JSON.
            headers: More request headers, but not those that say how the request is sent, such as `Content-Length`.
            output: A pydantic model, or any type that `TypeAdapter` accepts, to validate the answer with.
            timeout: Seconds of silence on the socket after the response has begun; None for no limit.
            response_timeout: Seconds from subscription until the response headers are in, including the upload of
                files, retries and their pauses; None for no limit.
            auto_upload: Whether to upload files in the input (paths, open files, bytes, images) first, and to send
                their URLs.
            start_timeout: Seconds within which fal must start the work; otherwise the request fails with a 504.
            hint: Requests with the same hint go to the same runner if possible.
            lifecycle: How long files that the model makes are kept; as for `upload`.
            tags: Names and values to show in fal's usage reports: ten at most. Names have up to 64 letters, digits,
                dots, hyphens and underscores, and values up to 256 printable ASCII characters, but no comma.
            on_open: Called once with the response's status, headers, request id and billable units, before the value.
                If it raises, the stream ends with `CallbackError`.

        Returns:
            A cold Stream of one value.

        Raises:
            EndpointError: rxfal may not call this id or URL.
            TypeError, ValueError: An option makes no sense.

        Examples:
            >>> from rxfal.testing import FalServer
            >>> with FalServer(models=True, pace=0) as server, server.client() as client:
            ...     answer = client.run("fal-ai/any-llm", {"prompt": "a haiku"}).run()
            >>> answer["partial"]
            False
        """
        return answered(RunCall(self._connections(), app, input, options), output)


class RunCall(Call):
    """One call of `run`.

    Args:
        connections: The client's.
        app: As for `run`, like the others.
        input: The model's input.
        options: The options that were given.
    """

    def __init__(self, connections: Connections, app: str, input: Any, options: RunOptions) -> None:
        given = complete(RunOptions, options)
        http = connections.http
        endpoint = Endpoint.parse(app, http.config)
        own = fal_headers(**{name: given[name] for name in ("start_timeout", "hint", "lifecycle", "tags")})
        query = checked_mapping("query", given["query"])
        request = Request(
            method=checked_method(given["method"]),
            url=endpoint.url(http.config, path=given["path"], query=query),
            endpoint=endpoint.id,
            headers=checked_headers(given["headers"], {"Accept": "application/json, */*;q=0.8", **own}),
        )
        super().__init__(connections, request, input, given)

    def _failed(self, error: FalError, request: Request, opened: Response | None) -> None:
        judge(error, has_begun=opened is not None, answers_failures=True)


def answered(call: Call, output: Any = None) -> Stream[Any]:
    """The Stream of a call's one answer."""
    decode = PayloadDecoder(output, endpoint=call.name)

    async def read(sink: Sink[Any]) -> None:
        async with call.open() as response:
            with call.limit() as limit:
                body = await response.read(lambda: limit.wait(response.read_chunk))
            value = decode(body) if response.is_json else body
        sink.on_next(value)

    return create(read, name=call.name, unused=f"run {call.name}")
