"""FalServer: a real HTTP server on loopback that speaks fal's protocol, for tests and development.

What a test can ask and register. It imports nothing from the rest of rxfal but the wire's configuration; only
`client()` imports the client, when it is called.
"""

import inspect
from collections.abc import AsyncIterable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from rxfal.wire.config import Config

from .access import Access
from .apps import App, Handler
from .journal import Journal, RecordedRequest
from .listener import SHUTDOWN_SECONDS, Listener, LoopThread
from .models import built_in
from .queue import Queue, QueuedRequest
from .rest import Rest, StoredFile
from .routes import Routes, Script
from .steps import Step

if TYPE_CHECKING:
    from rxfal.client import Client

__all__ = ["FalServer"]

_H = TypeVar("_H", bound=Handler)
_S = TypeVar("_S", bound=Callable[[RecordedRequest], AsyncIterable[Step]])


class FalServer:
    """An embedded server that speaks fal's protocol: streams, single answers, errors, the queue, tokens and storage.

    `async with` runs it on the current event loop, `with` in its own thread with its own loop. You can call everything
    here from any thread. Leaving the block ends all requests and closes all connections at once; you can enter the
    server again afterwards. Its address is the `base_url` of a `Config`: direct calls go to `{url}/{endpoint}`, the
    queue is under `{url}/queue`, tokens and storage are under `{url}/rest` (for fal-client, as its `REST_URL` and its
    `CDN_URL`).

    Args:
        port: The port; 0 picks a free one.
        host: The address to listen on.
        key: The key that callers must send; without it they get a 401, as from fal.
        require_key: False accepts callers without a key.
        models: Whether to register the built-in models, as `add_models` does.
        pace: Multiplies the time that the built-in models take; 0 is as fast as possible.
        queue_delay: How long a request stays in the queue before it starts, in seconds.

    Examples:
        >>> server = FalServer()
        >>> @server.app("owner/counter")
        ... async def counter(input):
        ...     for n in range(input["up_to"]):
        ...         yield {"n": n}
        >>> with server, server.client() as client:
        ...     client.stream("owner/counter", {"up_to": 3}).run()
        {'n': 2}
        >>> [(request.method, request.path, request.json) for request in server.requests]
        [('POST', '/owner/counter/stream', {'up_to': 3})]
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        key: str = "test-key-id:test-key-secret",
        require_key: bool = True,
        models: bool = False,
        pace: float = 1.0,
        queue_delay: float = 0.0,
    ) -> None:
        self.host = host
        self.key = key
        self.pace = pace
        self._journal = Journal()
        self._access = Access(key, required=require_key)
        self._rest = Rest(self._access, lambda: self.url)
        self._queue = Queue(queue_delay)
        self._routes = Routes(self._access, self._rest, self._queue, self._journal, lambda: self.url)
        self._listener = Listener(self._routes.handle, host, port)
        self._thread = LoopThread(self._listener.start, self._stop)
        if models:
            self.add_models()

    def __repr__(self) -> str:
        return f"<FalServer {f'at {self.url}' if self._listener.port else 'not running'}>"

    # What a test asks

    @property
    def url(self) -> str:
        """The address, such as `http://127.0.0.1:8600`; RuntimeError while the server is not running."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def port(self) -> int:
        """The port; RuntimeError while the server is not running."""
        port = self._listener.port
        if port is None:
            raise RuntimeError("the server is not running; enter it first: `with FalServer() as server:`")
        return port

    @property
    def requests(self) -> list[RecordedRequest]:
        """The journal: every request so far, refused ones included, in the order in which they came."""
        return self._journal.snapshot()

    async def received(self, count: int = 1, timeout: float = 5.0) -> None:
        """Waits until the journal has `count` requests, answered or not; TimeoutError after `timeout` seconds."""
        await self._journal.arrival(count).wait(timeout)

    def wait_received(self, count: int = 1, timeout: float = 5.0) -> None:
        """Waits like `received`, from a thread without an event loop."""
        self._journal.arrival(count).wait_blocking(timeout)

    @property
    def queue(self) -> list[QueuedRequest]:
        """The requests that were submitted to the queue, in the order in which they came; each is kept current.

        A finished one is forgotten after an hour, as fal does, after six minutes if its result has 10,000 bytes or
        more, or when you `forget` it.
        """
        return list(self._queue.requests.values())

    async def submitted(self, count: int = 1, timeout: float = 5.0) -> None:
        """Waits until `count` requests in all were submitted to the queue; TimeoutError after `timeout` seconds."""
        await self._queue.arrival(count).wait(timeout)

    def wait_submitted(self, count: int = 1, timeout: float = 5.0) -> None:
        """Waits like `submitted`, from a thread without an event loop."""
        self._queue.arrival(count).wait_blocking(timeout)

    def pause_queue(self) -> None:
        """Lets no further request of the queue start until `resume_queue`; what runs goes on.

        Examples:
            >>> import rxfal
            >>> with FalServer(models=True, pace=0) as server, server.client() as client:
            ...     server.pause_queue()
            ...     handle = client.queue.submit("fal-ai/any-llm", {"prompt": "the sea"}).run()
            ...     client.queue.status(handle).run() == rxfal.Queued(handle.request_id, position=0)
            True
        """
        self._queue.pause()

    def resume_queue(self) -> None:
        """Lets requests of the queue start again."""
        self._queue.resume()

    def forget(self, request_id: str) -> None:
        """Forgets a request of the queue and its result now, as fal does after a while: it is a 404 from here on.

        Raises:
            ValueError: There is no such request, or it is forgotten already.
        """
        self._queue.forget(request_id)

    @property
    def files(self) -> dict[str, StoredFile]:
        """The uploaded files by their URL."""
        return dict(self._rest.files)

    @property
    def open_connections(self) -> int:
        """How many connections are open now, idle ones included."""
        return len(self._listener.connections)

    def config(self, **settings: Any) -> Config:
        """A `Config` that points at this server; `settings` are further fields of it."""
        return Config(base_url=self.url, **settings)

    def client(self, **settings: Any) -> "Client":
        """A `Client` for this server, with the right key. The caller closes it. `settings` are fields of `Config`."""
        from rxfal.client import Client

        return Client(self.key, config=self.config(**settings))

    def clear(self) -> None:
        """Empties the journal."""
        self._journal.clear()

    def expire_tokens(self) -> None:
        """Makes every short-lived token issued so far expire now."""
        self._access.expire_tokens()

    # What a test registers

    def app(
        self,
        endpoint: str,
        *,
        content_type: str | None = None,
        concurrency: int | None = None,
        category: str | None = None,
        price: float | None = None,
        unit: str = "request",
    ) -> Callable[[_H], _H]:
        """Registers a handler for an endpoint, as a decorator. The newest handler of an endpoint wins.

        The handler takes the input, a dict. The items of an async generator are the events of a stream at
        `{endpoint}/stream` (or at the endpoint itself, for callers that accept event streams). Each is sent as `data:`
        with its JSON as soon as it is yielded; `bytes` are sent as they are, for events that are already encoded. A
        plain call of the endpoint is answered with the last event. A coroutine function gives one JSON answer at both.

        A second parameter (without a default, or called `job`) gets the `Job`, which has the request's id and headers,
        takes logs and says what the call costs. A request from the queue is answered as a plain call is.

        If the first parameter is annotated with a pydantic model, the handler gets an instance of it, and an input that
        does not fit is answered with fal's 422. The annotations of the input, and of what is returned or yielded, are
        the app's schema, which `models.schema` asks for.

        With GET, the input is the query, and JSON values in it are decoded. A pydantic `ValidationError` from a handler
        becomes the 422 that fal would answer, an `ApiFailure` any other error, and any other exception a 500. After the
        first event, each of them becomes an event named `error`.

        Args:
            endpoint: `owner/alias`, optionally with more path behind it.
            content_type: If given, the generator's items are `bytes` of a body of this type, and not events.
            concurrency: How many requests from the queue it works on at once; the others wait. None: all of them.
            category: For `models.search`: what kind of model it is, such as `text-to-image`. Its description there is
                the handler's docstring.
            price: For `models.price`: what a unit costs, in US dollars. None: it has no price.
            unit: What is counted, such as `images`.

        Returns:
            The decorator, which returns the handler.

        Raises:
            ValueError: The server can't have such an endpoint, or `concurrency` is less than 1.
            TypeError: The handler is neither an async generator function nor a coroutine function.

        Examples:
            >>> server = FalServer()
            >>> @server.app("owner/echo")
            ... async def echo(input):
            ...     return input
        """

        def register(handler: _H) -> _H:
            here = inspect.currentframe()  # called where the handler is defined, and often its models
            names = here.f_back.f_locals if here and here.f_back else {}
            app = App(handler, content_type, concurrency, category=category, price=price, unit=unit, namespace=names)
            self._routes.add_app(endpoint, app)
            return handler

        return register

    def script(self, path: str, steps: Script, *, times: int | None = None) -> None:
        r"""Answers requests for a path with scripted bytes, pauses and faults instead of an app; no key is checked.

        Scripts come before apps, the queue, tokens and storage (`"rest/tokens"`). If a path has several, they are used
        in the order of registration, each until its `times` are used up.

        Args:
            path: An endpoint, which matches with and without `/stream`, or any other path, such as
                `"queue/owner/app"` for its submits. `*` is any one segment: `"queue/owner/app/requests/*/status"`.
            steps: The steps, or an async generator function that takes the `RecordedRequest` and yields them.
            times: How many requests it answers; None for all.

        Examples:
            >>> from rxfal.testing import Bytes, Disconnect, Status
            >>> server = FalServer()
            >>> server.script("owner/busy", [Status(503, headers={"Retry-After": "1"})], times=1)
            >>> server.script("owner/busy", [Bytes(b"data: 1\n\n"), Disconnect("reset")])
        """
        self._routes.add_script(path, steps, times)

    def raw(self, path: str, *, times: int | None = None) -> Callable[[_S], _S]:
        r"""Registers an async generator function as a script, as a decorator; see `script`.

        Examples:
            >>> from rxfal.testing import Bytes
            >>> server = FalServer()
            >>> @server.raw("owner/odd")
            ... async def odd(request):
            ...     yield Bytes(b"data: not json\n\n")
        """

        def register(steps: _S) -> _S:
            self.script(path, steps, times=times)
            return steps

        return register

    def add_models(self) -> None:
        """Registers the built-in models: two language models, an image model and a speech model."""
        for endpoint, app in built_in(lambda: self.pace).items():
            self._routes.add_app(endpoint, app)

    # Life

    async def __aenter__(self) -> Self:
        await self._listener.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    def __enter__(self) -> Self:
        if self._listener.is_running:
            raise RuntimeError("the server is already running")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.stop()

    async def _stop(self) -> None:
        await self._listener.stop(self._routes.running)
        await self._queue.stop(SHUTDOWN_SECONDS)  # behind it: nothing more can be submitted now
        self._rest.close()
