"""What the embedded server remembers of each request; knows HTTP's vocabulary and nothing of fal's protocol."""

import json
import threading
from collections import deque
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from .handshake import Handshake

__all__ = ["Journal", "RecordedRequest"]

_REMEMBERED = 20_000
"""Requests that the journal keeps: enough for any test, and a bound for a server that runs for days."""


class RecordedRequest:
    """One request as it reached the embedded server, the refused ones included.

    The attributes are filled while the request is served: `body` once it was read, `status` once the response began,
    `dropped` once it is known how the exchange ended.

    Attributes:
        method: `POST`, `GET` and so on.
        path: The path, decoded, such as `/owner/alias/stream`.
        query: The query; of a name that came twice, the last value.
        headers: The request's headers; looking one up ignores case.
        body: The body's bytes. Empty for a file upload: its bytes are in `FalServer.files`.
        request_id: What the response carries as `x-fal-request-id`.
        connection: A number for the connection; two requests with the same number shared one.
        status: The response's status; None while there is none.
        dropped: True when the connection ended before the response was complete, whoever ended it.
    """

    def __init__(
        self,
        *,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        request_id: str,
        connection: int,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = b""
        self.request_id = request_id
        self.connection = connection
        self.status: int | None = None
        self.dropped = False
        self._over = Handshake(f"the end of {method} {path}")

    def __repr__(self) -> str:
        return f"<RecordedRequest {self.method} {self.path} {self.status or '...'}>"

    @cached_property
    def json(self) -> Any:
        """The body as a JSON value, None when it is none; to be asked once the body was read."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def is_closed(self) -> bool:
        """Whether the exchange is over: answered in full, or cut off."""
        return self._over.is_set

    async def closed(self, timeout: float = 5.0) -> None:
        """Waits until the exchange is over; TimeoutError after `timeout` seconds."""
        await self._over.wait(timeout)

    def wait_closed(self, timeout: float = 5.0) -> None:
        """Waits like `closed`, from a thread without an event loop."""
        self._over.wait_blocking(timeout)

    def finish(self) -> None:
        """The server's: wakes who waits for the end of the exchange."""
        self._over.set()


class Journal:
    """The requests in the order in which they came; written by the server's thread and read from any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: deque[RecordedRequest] = deque(maxlen=_REMEMBERED)
        self._awaited: list[tuple[int, Handshake]] = []

    def add(self, request: RecordedRequest) -> None:
        with self._lock:
            self._requests.append(request)
            self._tell()

    def arrival(self, count: int) -> Handshake:
        """What goes up once the journal has `count` requests."""
        handshake = Handshake(f"request number {count} to arrive")
        with self._lock:
            self._awaited.append((count, handshake))
            self._tell()
        return handshake

    def snapshot(self) -> list[RecordedRequest]:
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        with self._lock:
            self._requests.clear()

    def _tell(self) -> None:
        there = len(self._requests)
        for count, handshake in self._awaited:
            if count <= there:
                handshake.set()
        self._awaited = [(count, handshake) for count, handshake in self._awaited if count > there]
