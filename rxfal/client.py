"""Client: credentials, configuration and the verbs; and the default client behind the module's functions."""

from __future__ import annotations

import threading
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rxfal.verbs.connected import Connections, loaded_at_use
from rxfal.verbs.stream import StreamVerbs
from rxfal.wire.config import Config
from rxfal.wire.credentials import Credentials, KeySource
from rxfal.wire.http import Http
from rxfal.wire.masking import hidden

if TYPE_CHECKING:
    from rxfal.verbs.concurrent import ConcurrentVerbs
    from rxfal.verbs.models import Models
    from rxfal.verbs.queue import Queue
    from rxfal.verbs.run import RunVerbs
    from rxfal.verbs.storage import StorageVerbs
    from rxfal.verbs.subscribe import SubscribeVerbs
else:  # most programs only stream
    ConcurrentVerbs = loaded_at_use("rxfal.verbs.concurrent", "ConcurrentVerbs", "map_concurrent")
    RunVerbs = loaded_at_use("rxfal.verbs.run", "RunVerbs", "run")
    StorageVerbs = loaded_at_use("rxfal.verbs.storage", "StorageVerbs", "upload", "upload_image", "download", "encode")
    SubscribeVerbs = loaded_at_use("rxfal.verbs.subscribe", "SubscribeVerbs", "subscribe")


class Verbs(StreamVerbs, RunVerbs, SubscribeVerbs, StorageVerbs, ConcurrentVerbs):
    """All verbs. Each has its signature and docstring in `rxfal.verbs`, grouped with similar ones."""

    @cached_property
    def queue(self) -> Queue:
        """Requests in the queue, step by step, for work that outlives the program that submits it."""
        from rxfal.verbs.queue import Queue  # as above

        return Queue(self._connections)

    @cached_property
    def models(self) -> Models:
        """Which models there are, what they take and give, and what they cost."""
        from rxfal.verbs.models import Models  # as above

        return Models(self._connections)


class Client(Verbs):
    """A connection pool per event loop, credentials, and the verbs.

    Use it as it is, or in a `with` or `async with` block, which closes it. It opens its connections at the first
    request, and closes them when it is closed or when their event loop ends.

    Args:
        credentials: fal's key; or a function, sync or async, that returns one and is called for every request. If left
            out: the key in `config`, else `FAL_KEY` in the environment, else what
            [the guide](../guides/credentials.md) lists. An empty text means no key.
        access_token: A token to send as `Bearer` instead of a key; or a function that returns one, as above.
        config: Hosts, limits and retries. If left out, `Config.from_env()`.

    Raises:
        CredentialsError: A request can't carry this key or token.
        ValueError: Both `credentials` and `access_token` were given.

    Examples:
        >>> from rxfal.testing import FalServer
        >>> with FalServer(models=True, pace=0) as server:
        ...     with Client(server.key, config=server.config()) as client:
        ...         client.stream("fal-ai/any-llm", {"prompt": "hi"}).count().run() > 1
        True
    """

    def __init__(
        self, credentials: KeySource = None, *, access_token: KeySource = None, config: Config | None = None
    ) -> None:
        credentials, access_token = hidden(credentials), hidden(access_token)  # error trackers send the locals along
        if not isinstance(config, Config | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"config is a rxfal.Config, not {type(config).__name__}")
        self.config = Config.from_env() if config is None else config
        self._http = Http(self.config, Credentials(credentials, self.config, access_token=access_token))
        connections = Connections(self._http)
        super().__init__(lambda: connections)

    def __repr__(self) -> str:
        return f"Client({self.config.run_url})"

    def close(self) -> None:
        """Close the connections of every event loop. Call it from any thread. A later call opens new ones."""
        self._http.close()

    async def aclose(self) -> None:
        """Close the connections of every event loop, and wait until they are closed."""
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


_lock = threading.Lock()
_default: Client | None = None


def default_client() -> Client:
    """The client behind `rxfal.stream` and the other functions, made from the environment at first use."""
    global _default
    with _lock:
        if _default is None:
            _default = Client()
        return _default


def set_default(client: Client | None) -> Client | None:
    """Replace the default client, and return the old one. With None, the next use makes one from the environment."""
    global _default
    with _lock:
        before, _default = _default, client
    return before


def configure(credentials: KeySource = None, *, access_token: KeySource = None, config: Config | None = None) -> Client:
    """Replace the default client, and close the connections of the old one.

    Args:
        credentials: As for `Client`.
        access_token: As for `Client`.
        config: As for `Client`.

    Returns:
        The new default client.

    Examples:
        >>> client = configure("key-id:key-secret", config=Config(base_url="http://127.0.0.1:8600"))
        >>> client.close()
        >>> client = configure()  # from the environment again
    """
    credentials, access_token = hidden(credentials), hidden(access_token)
    client = Client(credentials, access_token=access_token, config=config)
    before = set_default(client)
    if before is not None:
        before.close()
    return client


verbs = Verbs(lambda: default_client()._connections())  # pyright: ignore[reportPrivateUsage]
"""The functions of `rxfal`: the verbs of the client that is the default when they are called."""
