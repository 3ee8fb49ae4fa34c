"""Client: credentials, configuration and the verbs; and the default client behind the module's functions."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from rxfal.verbs.concurrent import ConcurrentVerbs
from rxfal.verbs.connected import Connections
from rxfal.verbs.storage import StorageVerbs
from rxfal.verbs.stream import StreamVerbs
from rxfal.wire.config import Config
from rxfal.wire.credentials import Credentials, KeySource, hidden
from rxfal.wire.http import Http
from rxfal.wire.tokens import TokenCache


class Verbs(StreamVerbs, StorageVerbs, ConcurrentVerbs):
    """All verbs. Each has its signature and its docstring in `rxfal.verbs`, in a group with those of its kind."""


class Client(Verbs):
    """A connection pool per event loop, credentials, and the verbs.

    Use it as it is, or as `async with` or `with`, which closes it. Its connections open at the first request, and
    close with it or when their event loop ends.

    Args:
        credentials: fal's key; or a callable, sync or async, that gives one, asked for every request. Left out, the
            key in `config`, else the environment's `FAL_KEY`, else what [the guide](../guides/credentials.md) lists;
            an empty text is none.
        access_token: A token that is sent as `Bearer` in the place of a key; or a callable that gives one, as above.
        config: Hosts, limits and retries. Left out, `Config.from_env()`.

    Raises:
        CredentialsError: For a key or token that no request can carry.
        ValueError: For both `credentials` and `access_token`.

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
        connections = Connections(self._http, TokenCache(self._http))
        super().__init__(lambda: connections)

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


def configure(credentials: KeySource = None, *, access_token: KeySource = None, config: Config | None = None) -> Client:
    """Replace the default client; the connections of the one before are closed.

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


# The module's functions: the verbs of whatever client is the default when they are called.
_verbs = Verbs(lambda: default_client()._connections())  # pyright: ignore[reportPrivateUsage]
stream = _verbs.stream
stream_events = _verbs.stream_events
upload = _verbs.upload
map_concurrent = _verbs.map_concurrent
