"""What the embedded server remembers of each request. Knows HTTP, but not fal's protocol."""

import json
import threading
from collections import deque
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from .handshake import Arrivals, Handshake

__all__ = ["Journal", "RecordedRequest"]

_REMEMBERED = 20_000
"""How many requests the journal keeps: enough for any test, and a limit for a server that runs for days."""


class RecordedRequest:
    """One request as it reached the embedded server; refused requests are recorded too.

    The attributes are filled in while the request is served: `body` when it has been read, `status` when the response
    has begun, and `dropped` when the exchange has ended.

    Attributes:
        method: `POST`, `GET` and so on.
        path: The path, decoded, such as `/owner/alias/stream`.
        query: The query; if a name came twice, its last value.
        headers: The request's headers; looking one up ignores case.
        body: The bytes of the body. Empty for a file upload: its bytes are in `FalServer.files`.
        request_id: The `x-fal-request-id` of the response.
        connection: A number for the connection; two requests with the same number shared one.
        status: The status of the response; None until there is one.
        dropped: True if the connection ended before the response was complete, no matter which side ended it.
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
        """The body as a JSON value, or None if it is not JSON. Read it after the body has arrived."""
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
        """Wakes everyone who waits for the end of the exchange; the server calls it."""
        self._over.set()


class Journal:
    """The requests in the order in which they came. The server's thread writes it; any thread may read it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: deque[RecordedRequest] = deque(maxlen=_REMEMBERED)
        self._arrivals = Arrivals("request number {} to arrive")

    def add(self, request: RecordedRequest) -> None:
        with self._lock:
            self._requests.append(request)
            self._arrivals.set(len(self._requests))

    def arrival(self, count: int) -> Handshake:
        """A flag that goes up when the journal has `count` requests."""
        return self._arrivals.flag(count)

    def snapshot(self) -> list[RecordedRequest]:
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        with self._lock:
            self._requests.clear()
            self._arrivals.set(0)
