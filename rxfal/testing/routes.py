"""From a request to its answer: the journal first, then scripts, then tokens and storage, then apps."""

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web
from multidict import CIMultiDict

from .access import Access
from .apps import ApiFailure, App, error_response, json_response, respond
from .journal import Journal, RecordedRequest
from .rest import Rest
from .steps import Step, hang_up, play

__all__ = ["Routes", "Script"]

Script = Iterable[Step] | Callable[[RecordedRequest], AsyncIterable[Step]]

_RESERVED = ("rest", "queue")

_log = logging.getLogger("rxfal.testing")


@dataclass(slots=True)
class _ScriptEntry:
    """A script, and how many more requests it answers; None for all."""

    steps: Script
    left: int | None


class Routes:
    """What is registered, and the handler that finds the right one.

    Args:
        access: Checks credentials.
        rest: Answers under `/rest`.
        journal: Records every request.
    """

    def __init__(self, access: Access, rest: Rest, journal: Journal) -> None:
        self._access = access
        self._rest = rest
        self._journal = journal
        self._apps: dict[str, App] = {}
        self._scripts: dict[str, list[_ScriptEntry]] = {}
        self.running: set[asyncio.Task[Any]] = set()

    def add_app(self, endpoint: str, app: App) -> None:
        segments = endpoint.split("/")
        if len(segments) < 2 or not all(segments) or segments[0] in _RESERVED:
            raise ValueError(
                f"{endpoint!r} can't be an app's endpoint; write 'owner/alias', with an owner other than {_RESERVED}"
            )
        self._apps[endpoint] = app

    def add_script(self, path: str, steps: Script, times: int | None) -> None:
        entry = _ScriptEntry(steps if callable(steps) else list(steps), times)
        self._scripts.setdefault(path.strip("/"), []).append(entry)

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
            if steps is not None:
                return await play(steps(record) if callable(steps) else _each(steps), request, record)
            match path.split("/")[0]:
                case "":
                    return json_response({"server": "rxfal", "apps": sorted(self._apps)})
                case "rest":
                    return await self._rest.respond(request, record)
                case "queue":
                    raise ApiFailure(501, "The embedded server does not speak the queue protocol yet.")
                case _:
                    return await self._call(path, request, record)
        except ApiFailure as failure:
            return error_response(failure)
        except ConnectionError:
            raise
        except Exception as error:
            _log.error("the embedded server failed at %s %s", record.method, record.path, exc_info=error)
            if record.status is not None:  # a response has begun: no other can follow
                hang_up(request, record)
            return error_response(ApiFailure(500, f"{type(error).__name__}: {error}"))

    async def _call(self, path: str, request: web.BaseRequest, record: RecordedRequest) -> web.StreamResponse:
        self._access.check(record, path)
        endpoint = path.removesuffix("/stream")
        app = self._apps.get(path) or self._apps.get(endpoint)
        if app is None:
            raise ApiFailure(404, f"Application {endpoint!r} not found")
        streaming = path != endpoint or "text/event-stream" in record.headers.get("Accept", "")
        return await respond(app, _input_of(record), streaming=streaming, request=request, record=record)

    def _next_script(self, path: str) -> Script | None:
        for name in (path, path.removesuffix("/stream")):
            for entry in self._scripts.get(name, ()):
                if entry.left is None:
                    return entry.steps
                if entry.left > 0:
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


def _input_of(record: RecordedRequest) -> dict[str, Any]:
    """The caller's input; a 422 in fal's words if it is not valid."""
    if record.method == "GET":
        return {name: _decoded(text) for name, text in record.query.items() if name != "fal_jwt_token"}
    if record.method != "POST":
        raise ApiFailure(405, "Method Not Allowed", headers={"Allow": "GET, POST"})
    try:
        value = json.loads(record.body or b"{}")
    except ValueError as error:
        detail = {"loc": ["body", 0], "msg": "JSON decode error", "type": "json_invalid", "ctx": {"error": str(error)}}
        raise ApiFailure(422, {"detail": [detail]}) from None
    if not isinstance(value, dict | None):
        detail = {"loc": ["body"], "msg": "Input should be a valid dictionary", "type": "dict_type", "input": value}
        raise ApiFailure(422, {"detail": [detail]})
    return cast(dict[str, Any], value or {})


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
