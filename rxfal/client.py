"""Client: credentials, configuration and the verbs; and the default client behind the module's functions."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, Unpack, overload

from reactivex import Observable

from rxfal.reactive import concurrent as _concurrent
from rxfal.reactive.concurrent import Mapped
from rxfal.reactive.stream import Stream
from rxfal.verbs import storage as _storage
from rxfal.verbs import stream as _stream
from rxfal.verbs.call import ResponseInfo, StreamCall, StreamOptions, TokenProvider
from rxfal.verbs.files import File, FileSource
from rxfal.verbs.storage import Keep, Lifecycle, UploadStream
from rxfal.wire.config import Config, key_from_env
from rxfal.wire.credentials import Credentials, KeySource
from rxfal.wire.http import Http
from rxfal.wire.sse import ServerSentEvent
from rxfal.wire.tokens import TokenCache

_T = TypeVar("_T")
_In = TypeVar("_In")


class Verbs:
    """fal's verbs over the connections of one client."""

    def _connections(self) -> tuple[Http, TokenCache]:
        raise NotImplementedError

    @overload
    def stream(
        self, app: str, input: Any = None, *, output: type[_T], **options: Unpack[StreamOptions]
    ) -> Stream[_T]: ...
    @overload
    def stream(
        self, app: str, input: Any = None, *, output: Any = None, **options: Unpack[StreamOptions]
    ) -> Stream[Any]: ...
    def stream(
        self,
        app: str,
        input: Any = None,
        *,
        path: str | None = None,
        method: str = "POST",
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        output: Any = None,
        timeout: float | None = 60.0,
        response_timeout: float | None = 600.0,
        auto_upload: bool = True,
        auth: Literal["key", "token"] = "key",
        token_provider: TokenProvider | None = None,
        on_open: Callable[[ResponseInfo], None] | None = None,
    ) -> Stream[Any]:
        """The events of a model, as they arrive: one request per subscription, nothing is sent before.

        JSON events are decoded; an event whose data is `[DONE]` completes the stream, one named `error` ends it. An
        answer that is no event stream is emitted too: JSON as one value, anything else (audio) as `bytes`, chunk by
        chunk. Ends with a `FalError` when the request fails, the connection breaks or an event can't be decoded; a
        stream is never sent again once its response began.

        Args:
            app: The endpoint's id, such as `fal-ai/any-llm`, or its full https URL on one of fal's hosts.
            input: The model's input: anything JSON can carry, and files (see `auto_upload`).
            path: What follows the id. Left out, `/stream` unless the id ends so; `""` is the endpoint itself.
            method: The HTTP method; with GET the input becomes the query.
            query: Query parameters; booleans, None and nested values are JSON-encoded.
            headers: More request headers.
            output: A pydantic model, or any type that `TypeAdapter` takes, that each event is validated as.
            timeout: Seconds of silence on the socket once the response has begun; None for no limit.
            response_timeout: Seconds from sending until the response headers are in; None for no limit.
            auto_upload: Whether files in the input (paths, open files, bytes, images) are uploaded first, and their
                URLs sent.
            auth: `"key"` sends the key in a header, `"token"` a short-lived token in the query instead.
            token_provider: Gives that token, sync or async, for an app such as `owner/alias/stream`; asked per
                subscription. Left out, fal is asked, and the token kept until shortly before it expires.
            on_open: Called once with the response's status, headers and request id, before the first event.

        Returns:
            A cold Stream of decoded events.

        Raises:
            EndpointError: For an id or URL that no request may go to.
            TypeError, ValueError: For an option that makes no sense.

        Examples:
            >>> from rxfal.testing import FalServer
            >>> with FalServer(models=True, pace=0) as server, server.client() as client:
            ...     final = client.stream("fal-ai/any-llm", {"prompt": "a haiku"}).run()
            >>> final["partial"]
            False
        """
        call = StreamCall(
            *self._connections(),
            app,
            input,
            path=path,
            method=method,
            query=query,
            headers=headers,
            timeout=timeout,
            response_timeout=response_timeout,
            auto_upload=auto_upload,
            auth=auth,
            token_provider=token_provider,
            on_open=on_open,
        )
        return _stream.stream(call, output)

    def stream_events(self, app: str, input: Any = None, **options: Unpack[StreamOptions]) -> Stream[ServerSentEvent]:
        """The same request as `stream`, with its events as they are on the wire: name, data, id and retry.

        Nothing is decoded or interpreted, so that malformed data, `[DONE]` and `error` events arrive like any other.

        Args:
            app: As for `stream`.
            input: As for `stream`.
            options: As for `stream`, all but `output`.

        Returns:
            A cold Stream of `ServerSentEvent`. An answer that is no event stream ends it with `DecodeError`.

        Raises:
            EndpointError: For an id or URL that no request may go to.
            TypeError, ValueError: For an option that makes no sense.

        Examples:
            >>> from rxfal.testing import FalServer
            >>> with FalServer(models=True, pace=0) as server, server.client() as client:
            ...     event = client.stream_events("fal-ai/any-llm", {"prompt": "a haiku"}).first().run()
            >>> event.event
            'message'
        """
        return _stream.stream_events(StreamCall(*self._connections(), app, input, **options))

    def upload(
        self,
        file: FileSource | File | str,
        *,
        name: str | None = None,
        content_type: str | None = None,
        lifecycle: Keep | int | Mapping[str, Any] | Lifecycle | None = None,
    ) -> UploadStream:
        """Upload a file to fal's storage, streamed from disk: progress, and at the end where it is.

        Args:
            file: A path, an open binary file, bytes, a PIL image or a `rxfal.File`.
            name: The file's name. Left out, its own, or one made from its content type.
            content_type: Its media type. Left out, guessed from name and content.
            lifecycle: How long it is kept: seconds, or one of `immediate`, `1h`, `1d`, `7d`, `30d`, `1y`, `never`; or a
                mapping with `expiration_duration_seconds` and `initial_acl`.

        Returns:
            A cold Stream of `UploadProgress(sent, total)` in bytes that ends with `Uploaded(url=...)`, which is what
            awaiting it gives.

        Raises:
            FileNotFoundError, IsADirectoryError: For a path that is no file.
            ValueError: For an empty file, or a lifecycle that there is not.

        Examples:
            >>> from rxfal.testing import FalServer
            >>> with FalServer() as server, server.client() as client:
            ...     uploaded = client.upload(b"hello", name="hello.txt").run()
            >>> uploaded.url.endswith("hello.txt")
            True
        """
        http, _ = self._connections()
        return _storage.upload(http, file, name=name, content_type=content_type, lifecycle=lifecycle)

    @overload
    def map_concurrent(
        self,
        inputs: Iterable[_In] | AsyncIterable[_In] | Observable[_In],
        app: str,
        concurrency: int = 8,
        ordered: bool = False,
        *,
        errors: Literal["end", "items"] = "end",
        output: type[_T],
        **options: Unpack[StreamOptions],
    ) -> Stream[Mapped[_In, _T]]: ...
    @overload
    def map_concurrent(
        self,
        inputs: Iterable[_In] | AsyncIterable[_In] | Observable[_In],
        app: str,
        concurrency: int = 8,
        ordered: bool = False,
        *,
        errors: Literal["end", "items"] = "end",
        output: Any = None,
        **options: Unpack[StreamOptions],
    ) -> Stream[Mapped[_In, Any]]: ...
    def map_concurrent(
        self,
        inputs: Iterable[Any] | AsyncIterable[Any] | Observable[Any],
        app: str,
        concurrency: int = 8,
        ordered: bool = False,
        *,
        errors: Literal["end", "items"] = "end",
        output: Any = None,
        **options: Unpack[StreamOptions],
    ) -> Stream[Mapped[Any, Any]]:
        """Many inputs through one endpoint, `concurrency` of them at once: the last event for each.

        An input is read when a place is free and the consumer has room, not before: a file of 100,000 prompts runs in
        bounded memory.

        Args:
            inputs: An iterable, an async iterable or an Observable of the model's inputs. An iterator (a generator, a
                file) can be read by one subscription only.
            app: As for `stream`.
            concurrency: How many requests are under way at once.
            ordered: Whether results keep the order of their inputs; else each comes when it is there.
            errors: `"end"`: the first error ends the stream and the other requests; `"items"`: an error is a result.
            output: As for `stream`.
            options: As for `stream`.

        Returns:
            A cold Stream of `Mapped(input, value, error)`.

        Raises:
            EndpointError: For an id or URL that no request may go to.
            TypeError, ValueError: For inputs or an option that make no sense.

        Examples:
            >>> from rxfal.testing import FalServer
            >>> with FalServer(models=True, pace=0) as server, server.client() as client:
            ...     prompts = ({"prompt": f"a haiku about {subject}"} for subject in ("rain", "tea"))
            ...     results = list(client.map_concurrent(prompts, "fal-ai/any-llm", ordered=True))
            >>> [result.input["prompt"] for result in results]
            ['a haiku about rain', 'a haiku about tea']
        """
        self.stream(app, output=output, **options)  # so that what is wrong with them is said at the call
        return _concurrent.map_concurrent(
            inputs,
            lambda item: self.stream(app, item, output=output, **options),
            concurrency,
            ordered,
            errors=errors,
            name=f"map_concurrent {app}",
        )


class Client(Verbs):
    """A connection pool per event loop, credentials, and the verbs.

    Use it as it is, or as `async with` or `with`, which closes it. Its connections open at the first request, and
    close with it or when their event loop ends.

    Args:
        credentials: fal's key; or a callable, sync or async, that gives one. Left out, the key in `config`, else the
            environment's `FAL_KEY`; an empty text is none.
        config: Hosts, limits and retries. Left out, `Config.from_env()`.

    Examples:
        >>> from rxfal.testing import FalServer
        >>> with FalServer(models=True, pace=0) as server, Client(server.key, config=server.config()) as client:
        ...     client.stream("fal-ai/any-llm", {"prompt": "hi"}).count().run() > 1
        True
    """

    def __init__(self, credentials: KeySource = None, *, config: Config | None = None) -> None:
        if not isinstance(config, Config | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"config is a rxfal.Config, not {type(config).__name__}")
        self.config = Config.from_env() if config is None else config
        if credentials is None and self.config.key is None:
            credentials = key_from_env()
        self._http = Http(self.config, Credentials(credentials, self.config))
        self._tokens = TokenCache(self._http)

    def _connections(self) -> tuple[Http, TokenCache]:
        return self._http, self._tokens

    def __repr__(self) -> str:
        return f"Client({self.config.run_url})"

    def close(self) -> None:
        """Close the connections of every event loop; from any thread."""
        self._http.close()

    async def aclose(self) -> None:
        """Close the connections of every event loop, and wait for it."""
        await self._http.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class _DefaultVerbs(Verbs):
    """The module's functions: the verbs of whatever client is the default when they are called."""

    def _connections(self) -> tuple[Http, TokenCache]:
        return default_client()._connections()  # pyright: ignore[reportPrivateUsage]


_lock = threading.Lock()
_default: Client | None = None


def default_client() -> Client:
    """The client behind `rxfal.stream` and its kind, made from the environment at first use."""
    global _default
    with _lock:
        if _default is None:
            _default = Client()
        return _default


def set_default(client: Client | None) -> Client | None:
    """Replace the default client, and give the one before; None lets the next use make one from the environment."""
    global _default
    with _lock:
        before, _default = _default, client
    return before


def configure(credentials: KeySource = None, *, config: Config | None = None) -> Client:
    """Replace the default client; the connections of the one before are closed.

    Args:
        credentials: As for `Client`.
        config: As for `Client`.

    Returns:
        The new default client.

    Examples:
        >>> client = configure("key-id:key-secret", config=Config(base_url="http://127.0.0.1:8600"))
        >>> client.close()
        >>> client = configure()  # from the environment again
    """
    client = Client(credentials, config=config)
    before = set_default(client)
    if before is not None:
        before.close()
    return client


_verbs = _DefaultVerbs()
stream = _verbs.stream
stream_events = _verbs.stream_events
upload = _verbs.upload
map_concurrent = _verbs.map_concurrent
