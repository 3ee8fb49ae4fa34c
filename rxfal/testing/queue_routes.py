"""The queue's URLs: submit, status, its stream, result and cancel, as fal's queue host has them."""

import math
import uuid
from collections.abc import Callable
from typing import Any

from aiohttp import web
from pydantic_core import to_json

from .access import Access, app_of
from .apps import ApiFailure, App, input_of, json_response
from .journal import RecordedRequest
from .queue import Queue, QueuedRequest

__all__ = ["QueueRoutes"]

_KEEP_ALIVE_SECONDS = 15.0
"""After so long without news a status stream sends a comment."""
_CANCEL_STATUS = {"OK": 200, "CANCELLATION_REQUESTED": 202, "ALREADY_COMPLETED": 400, "NOT_FOUND": 404}


class QueueRoutes:
    """Answers everything under `/queue`.

    Args:
        queue: The queue.
        access: Checks credentials.
        find: Returns the app for an endpoint; it raises a 404 if there is no such app.
        url: Gives the server's address.
    """

    def __init__(self, queue: Queue, access: Access, find: Callable[[str], App], url: Callable[[], str]) -> None:
        self._queue = queue
        self._access = access
        self._find = find
        self._url = url

    async def respond(self, request: web.BaseRequest, record: RecordedRequest) -> web.StreamResponse:
        segments = record.path.strip("/").split("/")[1:]
        endpoint = "/".join(segments)
        app = app_of(endpoint)
        self._access.check(record, app)
        behind = segments[segments.index("requests", 2) + 1 :] if "requests" in segments[2:] else []
        found = self._queue.requests.get(behind[0]) if behind else None
        if found is not None and app_of(found.endpoint) == app:
            record.request_id = found.request_id
            return await self._about(found, behind[1:], request, record)
        if record.method == "POST":
            return self._submit(endpoint, record)
        if not behind:
            raise _not_allowed(record, "POST")
        return json_response({"status": "NOT_FOUND", "detail": f"Request {behind[0]!r} not found"}, status=404)

    async def _about(
        self, found: QueuedRequest, action: list[str], request: web.BaseRequest, record: RecordedRequest
    ) -> web.StreamResponse:
        match action:
            case ["cancel"]:
                if record.method != "PUT":
                    raise _not_allowed(record, "PUT")
                word = self._queue.cancel(found)
                return json_response({"status": word}, status=_CANCEL_STATUS[word])
            case _ if record.method != "GET":
                raise _not_allowed(record, "GET")
            case ["status"]:
                status = 200 if found.state == "COMPLETED" else 202
                return json_response(self._status(found, found.logs if _wants_logs(record) else None), status=status)
            case ["status", "stream"]:
                return await self._follow(found, request, record)
            case [] | ["response"]:
                return _result(found)
            case _:
                raise ApiFailure(404, f"Path {record.path} not found")

    def _submit(self, endpoint: str, record: RecordedRequest) -> web.StreamResponse:
        app = self._find(endpoint)
        limit = record.query.get("fal_max_queue_length")
        if limit is not None and self._queue.length(app) > _number(limit, "fal_max_queue_length"):
            raise ApiFailure(429, f"The queue of {app_of(endpoint)} has more than {limit} requests already.")
        patience = record.headers.get("X-Fal-Request-Timeout") or record.headers.get("X-Fal-Request-Start-Timeout")
        found = QueuedRequest(
            str(uuid.uuid4()), endpoint, input_of(record), record.headers, record.query.get("fal_webhook")
        )
        record.request_id = found.request_id
        self._queue.submit(found, app, None if patience is None else _number(patience, "X-Fal-Request-Timeout"))
        # The answer of a submit always says IN_QUEUE, though the work may begin in this moment.
        return json_response(
            {
                "status": "IN_QUEUE",
                "gateway_request_id": found.request_id,
                **self._links(found),
                "queue_position": found.position,
            }
        )

    def _links(self, found: QueuedRequest) -> dict[str, str]:
        address = f"{self._url()}/queue/{app_of(found.endpoint)}/requests/{found.request_id}"
        return {
            "request_id": found.request_id,
            "response_url": address,
            "status_url": f"{address}/status",
            "cancel_url": f"{address}/cancel",
        }

    def _status(self, found: QueuedRequest, logs: Any) -> dict[str, Any]:
        """The status as fal writes it; its own clients need the keys of logs and position even without a value."""
        status: dict[str, Any] = {"status": found.state, **self._links(found), "logs": logs}
        match found.state:
            case "IN_QUEUE":
                status["queue_position"] = found.position
            case "IN_PROGRESS":
                pass
            case "COMPLETED":
                status["metrics"] = {} if found.seconds is None else {"inference_time": found.seconds}
                if found.error is not None:
                    status["error"] = found.error
                if found.error_type is not None:
                    status["error_type"] = found.error_type
        return status

    async def _follow(
        self, found: QueuedRequest, request: web.BaseRequest, record: RecordedRequest
    ) -> web.StreamResponse:
        """Sends the status at each change, with the logs that are new since the last one."""
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store"}
        )
        response.headers["x-fal-request-id"] = found.request_id
        record.status = response.status
        response.enable_chunked_encoding()
        await response.prepare(request)
        told = 0
        while True:
            changed = found.changed  # taken first: what changes while the event is written wakes the wait below
            state, logs = found.state, found.logs
            status = self._status(found, logs[told:] if _wants_logs(record) else None)
            told = len(logs)
            await response.write(b"data: " + to_json(status) + b"\n\n")
            if state == "COMPLETED":
                break
            while True:
                try:
                    await changed.wait(_KEEP_ALIVE_SECONDS)
                    break
                except TimeoutError:
                    await response.write(b": keep-alive\n\n")
        await response.write_eof()
        return response


def _result(found: QueuedRequest) -> web.StreamResponse:
    if found.result is None:
        raise ApiFailure(400, "Request is still in progress")
    return web.Response(body=found.result.body, status=found.result.status, headers=found.result.headers)


def _wants_logs(record: RecordedRequest) -> bool:
    return record.query.get("logs", "0").lower() in ("1", "true")


def _number(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value >= 0:
        detail = f"{name} must be a number of at least 0, not {text!r}"
        raise ApiFailure(400, {"detail": detail, "error_type": "bad_request"})
    return value


def _not_allowed(record: RecordedRequest, allowed: str) -> ApiFailure:
    return ApiFailure(405, f"Method {record.method} Not Allowed", headers={"Allow": allowed})
