"""The queue of the embedded server: which requests wait, which run, and what came of them. Knows no URLs."""

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Literal, cast
from weakref import WeakSet

from aiohttp import web
from pydantic_core import from_json

from .apps import ApiFailure, App, answer, error_response
from .handshake import Arrivals, Handshake
from .job import Job

__all__ = ["Queue", "QueuedRequest", "State"]

State = Literal["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]

_STATES: tuple[State, ...] = ("IN_QUEUE", "IN_PROGRESS", "COMPLETED")

_KEPT_SECONDS = 3600.0
"""How long a result is kept, as at fal."""
_KEPT_SECONDS_IF_LARGE = 360.0
_LARGE = 10_000
"""From how many bytes of its body on a result is large."""

_CANCELLED = ApiFailure(499, {"detail": "Request was cancelled by the client.", "error_type": "client_cancelled"})
_STOPPED = ApiFailure(503, {"detail": "The runner was stopped.", "error_type": "runner_disconnected"})
_TOO_LATE = ApiFailure(
    504,
    {"detail": "The request did not start within its start timeout.", "error_type": "request_timeout"},
    headers={"X-Fal-Request-Timeout-Type": "user"},
)

_log = logging.getLogger("rxfal.testing")


class QueuedRequest:
    """One request in the queue of the embedded server, from its submit on. Read it from any thread; it is kept current.

    Attributes:
        request_id: Its id.
        endpoint: The endpoint it was submitted to, with the path behind the id.
        input: The input.
        headers: The headers of the submit; looking one up ignores case.
        webhook_url: The address for the result, if the caller gave one.
        state: `"IN_QUEUE"`, `"IN_PROGRESS"` or `"COMPLETED"`; as at fal, a request that failed or was cancelled is
            completed.
        position: While it is queued, how many requests of its endpoint are ahead of it; 0 otherwise.
        cancelled: Whether the caller cancelled it. One in progress is still in progress until its app has ended.
        status: The HTTP status of its result; None until it is completed.
        error: What went wrong, in words; None if nothing has.
        error_type: fal's word for what went wrong, such as `"client_cancelled"`; None if there is none.

    Examples:
        >>> from rxfal.testing import FalServer
        >>> with FalServer(models=True, pace=0) as server, server.client() as client:
        ...     done = client.subscribe("fal-ai/any-llm", {"prompt": "the sea"}).run()
        ...     (request,) = server.queue
        >>> request.state, request.status, request.input
        ('COMPLETED', 200, {'prompt': 'the sea'})
    """

    def __init__(
        self, request_id: str, endpoint: str, input: dict[str, Any], headers: Mapping[str, str], webhook_url: str | None
    ) -> None:
        self.request_id = request_id
        self.endpoint = endpoint
        self.input = input
        self.headers = headers
        self.webhook_url = webhook_url
        self.state: State = "IN_QUEUE"
        self.position = 0
        self.cancelled = False
        self.job = Job(request_id, headers, self.tell)
        self.status: int | None = None
        self.error: str | None = None
        self.error_type: str | None = None
        self.result: web.Response | None = None
        self.seconds: float | None = None
        self._lock = threading.Lock()
        self.changed = Handshake(f"news of the queued request {request_id}")
        self._reached = {state: Handshake(f"the queued request {request_id} to be {state}") for state in _STATES}

    def __repr__(self) -> str:
        return f"<QueuedRequest {self.endpoint} {self.request_id} {self.state}>"

    @property
    def logs(self) -> tuple[Mapping[str, Any], ...]:
        """The logs so far, in fal's form: `message`, `level`, `source` and `timestamp`."""
        return tuple(self.job.logs)

    @property
    def priority(self) -> str:
        """`"low"`, or else `"normal"`: the `X-Fal-Queue-Priority` of the submit."""
        return "low" if self.headers.get("X-Fal-Queue-Priority", "").lower() == "low" else "normal"

    @property
    def tags(self) -> dict[str, str]:
        """The `X-Fal-Tags` of the submit."""
        pairs = (pair.partition("=") for pair in self.headers.get("X-Fal-Tags", "").split(",") if "=" in pair)
        return {key.strip().lower(): value.strip() for key, _, value in pairs}

    async def reached(self, state: State, timeout: float = 5.0) -> None:
        """Waits until the request is in this state or past it; TimeoutError after `timeout` seconds."""
        await self._reached[state].wait(timeout)

    def wait_reached(self, state: State, timeout: float = 5.0) -> None:
        """Waits like `reached`, from a thread without an event loop."""
        self._reached[state].wait_blocking(timeout)

    def complete(self, result: web.Response) -> None:
        """Takes the result, which is the model's own answer also if it failed; the server calls it."""
        self.result, self.status = result, result.status
        if result.status >= 400:
            body = from_json(cast(bytes, result.body))
            detail = cast("dict[str, Any]", body).get("detail") if isinstance(body, dict) else None
            self.error = detail if isinstance(detail, str) else f"Invalid status code: {result.status}"
            self.error_type = result.headers.get("X-Fal-Error-Type")
        self.state, self.position = "COMPLETED", 0
        self.tell()

    def tell(self) -> None:
        """Wakes everyone who follows the request; the server calls it."""
        with self._lock:  # an app may log from any thread
            changed, self.changed = self.changed, Handshake(f"news of the queued request {self.request_id}")
        for state in _STATES[: _STATES.index(self.state) + 1]:
            self._reached[state].set()
        changed.set()


class Queue:
    """Starts each request when its turn comes, and keeps what came of it. It lives on the server's loop.

    Args:
        delay: How long a request is queued at least, in seconds.
    """

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.requests: dict[str, QueuedRequest] = {}
        self._waiting: list[tuple[QueuedRequest, App]] = []
        self._delayed: set[QueuedRequest] = set()
        self._busy: Counter[App] = Counter()
        self._tasks: dict[QueuedRequest, asyncio.Task[web.Response]] = {}
        self._paused = False
        self._arrivals = Arrivals("request number {} to be submitted to the queue")
        self._count = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timers: WeakSet[asyncio.TimerHandle] = WeakSet()  # those that have not fired: the loop holds them

    # From any thread

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._go_on)

    def forget(self, request_id: str) -> None:
        if self.requests.pop(request_id, None) is None:
            raise ValueError(f"there is no request {request_id!r} in the queue")

    def arrival(self, count: int) -> Handshake:
        """A flag that goes up when `count` requests were submitted in all."""
        return self._arrivals.flag(count)

    # On the server's loop

    def submit(self, request: QueuedRequest, app: App, start_timeout: float | None) -> None:
        """Takes a request; with a `start_timeout`, in seconds, it fails if it has not started by then."""
        self._loop = asyncio.get_running_loop()
        self.requests[request.request_id] = request
        self._waiting.append((request, app))
        self._waiting.sort(key=lambda entry: entry[0].priority == "low")  # stable: else in the order of submission
        if self.delay > 0:
            self._delayed.add(request)
            self._later(self.delay, self._end_delay, request)
        if start_timeout is not None:
            self._later(start_timeout, self._drop, request, _TOO_LATE)
        request.tell()
        self._go_on()
        self._count += 1
        self._arrivals.set(self._count)

    def length(self, app: App) -> int:
        """How many requests for an app wait."""
        return sum(waiting is app for _, waiting in self._waiting)

    def cancel(self, request: QueuedRequest) -> str:
        """Cancels a request; returns fal's word for what became of it."""
        match request.state:
            case "COMPLETED":
                return "ALREADY_COMPLETED"
            case "IN_QUEUE":
                request.cancelled = True
                self._drop(request, _CANCELLED)
                return "OK"
            case "IN_PROGRESS":
                if not request.cancelled:  # the app hears of it once
                    request.cancelled = True
                    self._tasks[request].cancel()
                return "CANCELLATION_REQUESTED"

    async def stop(self, timeout: float) -> None:
        """Ends everything that waits or runs; from here on results are kept as long as the server.

        Args:
            timeout: How long the apps may take to end, in seconds.
        """
        waiting, self._waiting = self._waiting, []
        self._delayed.clear()
        for request, _ in waiting:
            self._complete(request, error_response(_STOPPED))
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)
            await asyncio.sleep(0)  # their callbacks run in the loop's next turn
        for timer in list(self._timers):
            timer.cancel()
        self._loop = None

    def _go_on(self) -> None:
        """Starts what may start, and tells the others how many are ahead of them."""
        waiting, self._waiting = self._waiting, []
        ahead: Counter[App] = Counter()
        for request, app in waiting:
            busy = app.concurrency is not None and self._busy[app] >= app.concurrency
            if self._paused or busy or ahead[app] or request in self._delayed:
                self._waiting.append((request, app))
                if request.position != ahead[app]:
                    request.position = ahead[app]
                    request.tell()
                ahead[app] += 1
            else:
                self._start(request, app)

    def _start(self, request: QueuedRequest, app: App) -> None:
        assert self._loop is not None
        begun = self._loop.time()
        self._busy[app] += 1
        request.state, request.position = "IN_PROGRESS", 0
        task = self._tasks[request] = self._loop.create_task(answer(app, deepcopy(request.input), request.job))
        task.add_done_callback(lambda task: self._end(request, app, task, begun))
        request.tell()

    def _end(self, request: QueuedRequest, app: App, task: asyncio.Task[web.Response], begun: float) -> None:
        self._busy[app] -= 1
        del self._tasks[request]
        request.seconds = task.get_loop().time() - begun
        if task.cancelled():
            result = error_response(_CANCELLED if request.cancelled else _STOPPED)
        elif error := task.exception():  # the answer itself could not be made, such as an error's body that is no JSON
            _log.error("the embedded server failed at a request for %s", request.endpoint, exc_info=error)
            result = error_response(ApiFailure(500, f"{type(error).__name__}: {error}"))
        else:
            result = task.result()
        self._complete(request, result)
        self._go_on()

    def _end_delay(self, request: QueuedRequest) -> None:
        self._delayed.discard(request)
        self._go_on()

    def _drop(self, request: QueuedRequest, failure: ApiFailure) -> None:
        """Completes a request that has not started with a failure; does nothing to another."""
        if request.state == "IN_QUEUE":
            self._waiting = [entry for entry in self._waiting if entry[0] is not request]
            self._delayed.discard(request)
            self._complete(request, error_response(failure))
            self._go_on()

    def _complete(self, request: QueuedRequest, result: web.Response) -> None:
        request.complete(result)
        large = isinstance(result.body, bytes) and len(result.body) >= _LARGE
        kept = _KEPT_SECONDS_IF_LARGE if large else _KEPT_SECONDS
        self._later(kept, self.requests.pop, request.request_id, None)

    def _later(self, delay: float, call: Callable[..., object], *args: Any) -> None:
        self._timers.add(asyncio.get_running_loop().call_later(delay, call, *args))
