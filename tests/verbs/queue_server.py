"""A queue that is strict and, when told to be, hostile: it drops answers, repeats and cuts streams, forgets results.

Each request that it takes is a `Job`, which a test moves on by hand. It answers as fal documents it, unless a test has
put another behaviour before the next calls of an operation. Everything is counted.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self, cast

from aiohttp import web
from multidict import CIMultiDict

import rxfal

Operation = Literal["submit", "status", "stream", "result", "cancel"]

NGINX = (
    "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr><center>nginx</center></body></html>"
)


@dataclass
class Job:
    """One request in the queue.

    Attributes:
        id: Its id.
        input: What was submitted.
        headers: The headers of the submit.
        query: The query of the submit.
        state: fal's word for where it is.
        position: How many are before it.
        logs: What it has logged.
        answer: The result: a status, a body and headers.
        cancels: How often it was cancelled.
    """

    id: str
    path: str
    input: Any
    headers: CIMultiDict[str]
    query: dict[str, str]
    state: str = "IN_QUEUE"
    position: int | None = 0
    logs: list[Any] = field(default_factory=list[Any])
    answer: tuple[int, Any, dict[str, str]] = (200, {"ok": True}, {})
    more: dict[str, Any] = field(default_factory=dict[str, Any])
    cancels: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def status(self, *, logs: bool = True) -> dict[str, Any]:
        found: dict[str, Any] = {"status": self.state, "request_id": self.id}
        if self.state == "IN_QUEUE":
            found["queue_position"] = self.position
        else:
            found["logs"] = list(self.logs) if logs else None
        return found | self.more

    def set(self, state: str | None = None, *, position: int | None = None, log: str | None = None) -> None:
        """Let something change."""
        self.state = state or self.state
        self.position = self.position if position is None else position
        if log is not None:
            self.logs.append(entry(log))
        self.changed.set()
        self.changed = asyncio.Event()

    def complete(self, body: Any = None, status: int = 200, headers: dict[str, str] | None = None, **more: Any) -> None:
        """Let it be done."""
        self.answer = (status, {"ok": True} if body is None else body, headers or {})
        self.more |= more
        self.set("COMPLETED")


def entry(message: str, level: str = "INFO") -> dict[str, Any]:
    """A log as fal writes it."""
    return {"message": message, "level": level, "source": "USER", "timestamp": "2026-01-01T00:00:00Z"}


Behaviour = Callable[["QueueServer", web.BaseRequest, "Job | None"], Awaitable[web.StreamResponse]]


class QueueServer:
    """The server; `async with` runs it on the current loop."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.calls: list[tuple[Operation, str]] = []
        self.requests: list[web.BaseRequest] = []
        self.times: list[float] = []
        self.arrived = asyncio.Condition()
        self.taken_ids = iter(f"r-{n}" for n in range(1, 10_000))
        self.gives_urls = True
        self._next: defaultdict[Operation, deque[Behaviour]] = defaultdict(deque)
        self._always: dict[Operation, Behaviour] = {}

    # What a test asks

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def job(self) -> Job:
        """The only job."""
        (job,) = self.jobs
        return job

    def count(self, operation: Operation) -> int:
        """How many calls of an operation have come."""
        return Counter(name for name, _ in self.calls)[operation]

    def client(self, **settings: Any) -> rxfal.Client:
        return rxfal.Client("id:secret-of-the-key", config=rxfal.Config(queue_url=self.url, **settings))

    async def received(self, operation: Operation, count: int = 1) -> Job:
        """Wait until so many calls of an operation have come; the newest job."""
        async with asyncio.timeout(5), self.arrived:
            await self.arrived.wait_for(lambda: self.count(operation) >= count)
        return self.jobs[-1] if self.jobs else Job("none", "", None, CIMultiDict(), {})

    # What a test tells it

    def next(self, operation: Operation, *behaviours: Behaviour) -> None:
        """How to answer the next calls of an operation."""
        self._next[operation].extend(behaviours)

    def always(self, operation: Operation, behaviour: Behaviour) -> None:
        """How to answer all others."""
        self._always[operation] = behaviour

    # Answering

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        operation, job = self._what(request)
        await request.read()
        self.calls.append((operation, job.id if job else ""))
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        if operation == "submit":
            assert request.content_type == "application/json"
        assert request.headers.get("Authorization") == "Key id:secret-of-the-key"
        own = self._next[operation]
        behaviour = own.popleft() if own else self._always.get(operation)
        try:
            return await (behaviour or DEFAULTS[operation])(self, request, job)
        finally:
            async with self.arrived:
                self.arrived.notify_all()

    def _what(self, request: web.BaseRequest) -> tuple[Operation, Job | None]:
        path = request.path.strip("/")
        if "/requests/" not in path:
            assert request.method == "POST", request.method
            return "submit", None
        _, _, rest = path.partition("/requests/")
        request_id, _, operation = rest.partition("/")
        job = next((job for job in self.jobs if job.id == request_id), None)
        name = {"": "result", "status": "status", "status/stream": "stream", "cancel": "cancel"}[operation]
        assert request.method == ("PUT" if name == "cancel" else "GET"), (request.method, path)
        return name, job  # pyright: ignore[reportReturnType]

    def take(self, request: web.BaseRequest) -> Job:
        """Take a request into the queue: from now on it costs money."""
        body: Any = request._read_bytes  # pyright: ignore[reportPrivateUsage]
        job = Job(
            next(self.taken_ids),
            request.path.strip("/"),
            json.loads(body),
            CIMultiDict(request.headers),
            dict(request.query),
        )
        self.jobs.append(job)
        return job

    def accepted(self, job: Job) -> web.Response:
        app = "/".join(job.path.split("/")[:2])
        base = f"{self.url}/{app}/requests/{job.id}"
        urls = {"response_url": base, "status_url": f"{base}/status", "cancel_url": f"{base}/cancel"}
        answer = {"status": "IN_QUEUE", "request_id": job.id, "queue_position": job.position}
        return web.json_response(answer | (urls if self.gives_urls else {}))

    # Life

    async def __aenter__(self) -> Self:
        server = web.Server(self._handle, access_log=None, handler_cancellation=True)  # pyright: ignore[reportArgumentType]
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        listening: Any = site._server  # pyright: ignore[reportPrivateUsage]
        self.port = listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()


# Behaviours


async def submit(server: QueueServer, request: web.BaseRequest, job: Job | None) -> web.StreamResponse:
    return server.accepted(server.take(request))


async def take_and_drop(server: QueueServer, request: web.BaseRequest, job: Job | None) -> web.StreamResponse:
    """Take it, and say nothing."""
    server.take(request)
    return await drop(server, request, job)


def take_then(gate: asyncio.Event, behaviour: Behaviour | None = None) -> Behaviour:
    """Take it, and answer when the gate opens."""

    async def act(server: QueueServer, request: web.BaseRequest, job: Job | None) -> web.StreamResponse:
        taken = server.take(request)
        async with server.arrived:
            server.arrived.notify_all()
        await gate.wait()
        return server.accepted(taken) if behaviour is None else await behaviour(server, request, taken)

    return act


def late(gate: asyncio.Event, operation: Operation) -> Behaviour:
    """Answer as always, when the gate opens."""

    async def act(server: QueueServer, request: web.BaseRequest, job: Job | None) -> web.StreamResponse:
        async with server.arrived:
            server.arrived.notify_all()
        await gate.wait()
        return await DEFAULTS[operation](server, request, job)

    return act


async def drop(server: QueueServer, request: web.BaseRequest, job: Job | None) -> web.StreamResponse:
    """Close the connection without an answer."""
    transport: Any = request.transport
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    return web.Response()


def half(then: Literal["end", "drop"]) -> Behaviour:
    """Take it, and break off in the middle of the answer: close the connection, or reset it."""

    async def act(server: QueueServer, request: web.BaseRequest, job: Job | None) -> web.StreamResponse:
        server.take(request)
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "500"})
        await response.prepare(request)
        await response.write(b'{"request_id": "r-')
        if then == "drop":
            return await drop(server, request, job)
        cast(Any, request.transport).close()
        return response

    return act


async def hang(server: QueueServer, request: web.BaseRequest, job: Job | None) -> web.StreamResponse:
    """Say nothing, for ever."""
    async with server.arrived:
        server.arrived.notify_all()
    await asyncio.Event().wait()
    raise AssertionError


def says(status: int, body: Any = None, **headers: str) -> Behaviour:
    """Answer so. A text is a page, everything else JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def act(server: QueueServer, request: web.BaseRequest, job: Job | None) -> web.StreamResponse:
        if isinstance(body, str):
            return web.Response(status=status, text=body, content_type="text/html", headers=named)
        return web.json_response(body, status=status, headers=named)

    return act


def nginx(status: int) -> Behaviour:
    return says(status, NGINX.format(f"{status} Bad Gateway"))


async def status(server: QueueServer, request: web.BaseRequest, job: Job | None) -> web.StreamResponse:
    if job is None:
        return web.json_response({"status": "NOT_FOUND"}, status=404)
    found = job.status(logs=request.query.get("logs") == "1")
    return web.json_response(found, status=200 if job.state == "COMPLETED" else 202)


async def stream(server: QueueServer, request: web.BaseRequest, job: Job | None) -> web.StreamResponse:
    """The state now, and whenever it changes, until it is complete."""
    if job is None:
        return web.json_response({"status": "NOT_FOUND"}, status=404)
    response = await begin(request)
    while True:
        changed = job.changed
        found = job.status(logs=request.query.get("logs") == "1")
        await response.write(event(found))
        async with server.arrived:
            server.arrived.notify_all()
        if found["status"] == "COMPLETED":
            return response
        await changed.wait()


async def begin(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    return response


def event(value: Any) -> bytes:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return b"data: " + data + b"\n\n"


def streams(*values: Any, then: Literal["end", "drop", "wait"] = "end") -> Behaviour:
    """A status stream of these events. Functions of the job give a value."""

    async def act(server: QueueServer, request: web.BaseRequest, job: Job | None) -> web.StreamResponse:
        response = await begin(request)
        for value in values:
            await response.write(event(value(job) if callable(value) else value))
        if then == "drop":
            return await drop(server, request, job)
        if then == "wait":
            await hang(server, request, job)
        return response

    return act


async def result(server: QueueServer, request: web.BaseRequest, job: Job | None) -> web.StreamResponse:
    if job is None:
        return web.json_response({"detail": "Request not found"}, status=404)
    if job.state != "COMPLETED":
        return web.json_response({"detail": "Request is still in progress"}, status=400)
    status, body, headers = job.answer
    headers = {"X-Fal-Request-Id": job.id, **headers}
    if isinstance(body, bytes):
        return web.Response(status=status, body=body, headers=headers)
    return web.json_response(body, status=status, headers=headers)


async def cancel(server: QueueServer, request: web.BaseRequest, job: Job | None) -> web.StreamResponse:
    if job is None:
        return web.json_response({"status": "NOT_FOUND"}, status=404)
    job.cancels += 1
    if job.state == "COMPLETED":
        return web.json_response({"status": "ALREADY_COMPLETED"}, status=400)
    was_queued = job.state == "IN_QUEUE"
    job.complete({"detail": "client_cancelled"}, 499)
    return web.json_response(
        {"status": "OK" if was_queued else "CANCELLATION_REQUESTED"}, status=200 if was_queued else 202
    )


DEFAULTS: dict[Operation, Behaviour] = {
    "submit": submit,
    "status": status,
    "stream": stream,
    "result": result,
    "cancel": cancel,
}


def all_logs(updates: Iterable[Any]) -> list[str]:
    """The messages in the `InProgress` updates, in order."""
    return [log.message for update in updates if isinstance(update, rxfal.InProgress) for log in update.logs]
