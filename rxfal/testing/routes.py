"""From a request to its answer: the journal first, then scripts; then models, tokens, storage, the queue and apps."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web
from multidict import CIMultiDict

from .access import Access, app_of
from .apps import ApiFailure, App, error_response, input_of, json_response, respond
from .job import Job
from .journal import Journal, RecordedRequest
from .platform import Platform
from .queue import Queue
from .queue_routes import QueueRoutes
from .rest import Rest
from .steps import Step, hang_up, play

__all__ = ["Routes", "Script"]

Script = Iterable[Step] | Callable[[RecordedRequest], AsyncIterable[Step]]

_RESERVED = ("api", "rest", "queue")

_log = logging.getLogger("rxfal.testing")


@dataclass(slots=True)
class _ScriptEntry:
    """A script, for which path, and how many more requests it answers; None for all."""

    path: list[str]
    steps: Script
    left: int | None

    def is_for(self, path: list[str]) -> bool:
        """Whether it answers a path; `*` stands for any one segment."""
        return len(path) == len(self.path) and all(
            wanted in ("*", segment) for wanted, segment in zip(self.path, path, strict=True)
        )


class Routes:
    """What is registered, and the handler that finds the right one.

    Args:
        access: Checks credentials.
        rest: Answers under `/rest`.
        queue: Holds the requests for the queue.
        journal: Records every request.
        url: Gives the server's address.
    """

    def __init__(self, access: Access, rest: Rest, queue: Queue, journal: Journal, url: Callable[[], str]) -> None:
        self._access = access
        self._rest = rest
        self._queue = QueueRoutes(queue, access, self._queued_app, url)
        self._journal = journal
        self._apps: dict[str, App] = {}
        self._platform = Platform(access, lambda: self._apps, url)
        self._scripts: list[_ScriptEntry] = []
        self.running: set[asyncio.Task[Any]] = set()

    def add_app(self, endpoint: str, app: App) -> None:
        segments = endpoint.split("/")
        if len(segments) < 2 or not all(segments) or segments[0] in _RESERVED:
            raise ValueError(
                f"{endpoint!r} can't be an app's endpoint; write 'owner/alias', with an owner other than {_RESERVED}"
            )
        self._apps[endpoint] = app

    def add_script(self, path: str, steps: Script, times: int | None) -> None:
        segments = path.strip("/").split("/")
        self._scripts.append(_ScriptEntry(segments, steps if callable(steps) else list(steps), times))

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one request, and records how it ended."""
        record = _record_of(request)
        self._journal.add(record)
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self.running.add(task)
        response = web.StreamResponse()
        try:
            response = await self._answer(request, record)
            if not record.dropped:
                record.status = response.status
                if not response.prepared:
                    response.headers.setdefault("x-fal-request-id", record.request_id)
                    await response.prepare(request)
                await response.write_eof()
        except ConnectionError:
            record.dropped = True
        except asyncio.CancelledError:
            record.dropped = True
            raise
        finally:
            self.running.discard(task)
            record.finish()
        return response

    async def _answer(self, request: web.BaseRequest, record: RecordedRequest) -> web.StreamResponse:
        path = record.path.strip("/")
        steps = self._next_script(path)
        if steps is not None or not Rest.takes_upload(record):
            record.body = await request.content.read()
        try:
            if steps is None:
                return await self._own_answer(path, request, record)
            script = steps(record) if callable(steps) else _each(steps)
            return await play(script, request, record, lambda: self._own_answer(path, request, record))
        except ConnectionError:
            raise
        except Exception as error:
            _log.error("the embedded server failed at %s %s", record.method, record.path, exc_info=error)
            if record.status is not None:  # a response has begun: no other can follow
                hang_up(request, record)
            return error_response(ApiFailure(500, f"{type(error).__name__}: {error}"))

    async def _own_answer(self, path: str, request: web.BaseRequest, record: RecordedRequest) -> web.StreamResponse:
        """What the server says without a script."""
        try:
            match path.split("/")[0]:
                case "":
                    return json_response({"server": "rxfal", "apps": sorted(self._apps)})
                case "api":
                    return self._platform.respond(request, record)
                case "rest":
                    return await self._rest.respond(request, record)
                case "queue":
                    return await self._queue.respond(request, record)
                case _:
                    return await self._call(path, request, record)
        except ApiFailure as failure:
            return error_response(failure)

    async def _call(self, path: str, request: web.BaseRequest, record: RecordedRequest) -> web.StreamResponse:
        self._access.check(record, path)
        endpoint = path.removesuffix("/stream")
        app = self._apps.get(path) or self._apps.get(endpoint)
        if app is None:
            raise ApiFailure(404, f"Application {endpoint!r} not found")
        streaming = path != endpoint or "text/event-stream" in record.headers.get("Accept", "")
        job = Job(record.request_id, record.headers)
        return await respond(app, input_of(record), job, streaming=streaming, request=request, record=record)

    def _queued_app(self, endpoint: str) -> App:
        """The app that answers a request from the queue; an unknown path of a known app fails when its turn comes."""
        found = self._apps.get(endpoint) or self._apps.get(endpoint.removesuffix("/stream"))
        if found is not None:
            return found
        if not any(app_of(known) == app_of(endpoint) for known in self._apps):
            raise ApiFailure(404, f"Application {app_of(endpoint)!r} not found")

        async def missing(input: Any) -> Any:
            raise ApiFailure(404, f"Path {endpoint.removeprefix(app_of(endpoint)) or '/'} not found")

        return App(missing)

    def _next_script(self, path: str) -> Script | None:
        # Only an endpoint's own path may have `/stream` behind what the script names: a queue's status may not.
        names = (path,) if path.startswith("queue/") else (path, path.removesuffix("/stream"))
        for name in names:
            segments = name.split("/")
            for entry in self._scripts:
                if entry.left != 0 and entry.is_for(segments):
                    if entry.left is not None:
                        entry.left -= 1
                    return entry.steps
        return None


async def _each(steps: Iterable[Step]) -> AsyncIterator[Step]:
    for step in steps:
        yield step


def _record_of(request: web.BaseRequest) -> RecordedRequest:
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return RecordedRequest(
        method=request.method,
        path=request.path,
        query=dict(request.query),
        headers=CIMultiDict(request.headers),
        request_id=str(uuid.uuid4()),
        connection=peer[1] if peer else 0,
    )
