"""`subscribe`: a request through the queue, submitted and followed until its result is there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Generic, TypedDict, Unpack, overload

from typing_extensions import TypeVar

from rxfal.errors import CallbackError, FalError, StreamTimeoutError, in_seconds
from rxfal.reactive.observer import check_callbacks
from rxfal.reactive.progress import ProgressStream
from rxfal.reactive.reader import Sink
from rxfal.wire.deadline import Deadline
from rxfal.wire.http import Http
from rxfal.wire.outcome import say_unknown
from rxfal.wire.payload import PayloadDecoder

from .checks import check_callable, check_word, checked_seconds
from .connected import Connected, Connections
from .following import Follow, Following, Update
from .options import Default, complete, show_options
from .submission import Submission, SubmitOptions
from .updates import Completed, InProgress, Queued, RequestHandle, addresses_given
from .work import Work

__all__ = ["FollowOptions", "Followed", "QueueStream", "SubscribeVerbs"]

_T = TypeVar("_T")
_Output = TypeVar("_Output", covariant=True, default=Any)


class QueueStream(ProgressStream[Queued | InProgress, Completed[_Output]], Generic[_Output]):
    """The updates of a request in the queue. The last one is `Completed`, which `await` and `run()` return."""


class FollowOptions(TypedDict, total=False):
    """How a request is followed; `subscribe` explains it."""

    timeout: Annotated[float | None, Default(None)]
    follow: Annotated[Follow, Default("stream")]
    poll_interval: Annotated[float, Default(0.5)]
    logs: Annotated[bool, Default(True)]
    cancel_on_dispose: Annotated[bool, Default(True)]


class SubscribeOptions(SubmitOptions, FollowOptions, total=False):
    """The options of `subscribe`, which explains them."""

    on_enqueue: Annotated[Callable[[RequestHandle], object] | None, Default(None)]


class SubscribeVerbs(Connected):
    """The verbs that go through the queue and wait."""

    @overload
    def subscribe(
        self, app: str, input: Any = None, *, output: type[_T], **options: Unpack[SubscribeOptions]
    ) -> QueueStream[_T]: ...
    @overload
    def subscribe(
        self, app: str, input: Any = None, *, output: Any = None, **options: Unpack[SubscribeOptions]
    ) -> QueueStream[Any]: ...
    @show_options
    def subscribe(
        self, app: str, input: Any = None, *, output: Any = None, **options: Unpack[SubscribeOptions]
    ) -> QueueStream[Any]:
        """Submit a request to a model's queue and follow it until its result is there.

        Each subscription submits one request; nothing is sent before that. The updates say where the request is in the
        queue, and what the model logs. An update that says nothing new is not emitted. Connections may fail on the way:
        following goes on until there is an answer.

        The request is never submitted twice: it is sent again only if it surely was not taken (there was no connection,
        or the server said so with 429, or 503 and a hint to come back). If the connection breaks after it was sent,
        nobody knows what became of it: the error says so, its `outcome_unknown` is True, and it is not `retryable`.

        Disposing the subscription cancels the request, unless it is known to be complete: so do `take(1)`, `first()`, a
        `break`, Ctrl-C, the end of the event loop and of the program. For work that should outlive its reader, see
        `queue.submit` and `queue.updates`, or `cancel_on_dispose`.

        A failed request ends with the `ApiError` of its result: the model's status and body, with the request's id and
        its `logs`. A result that does not fit `output` is a `DecodeError` with the bytes in `data`.

        Args:
            app: The endpoint's id, such as `fal-ai/flux/dev`, or its full https URL on one of fal's hosts.
            input: The model's input: dicts, pydantic models or dataclasses with anything that JSON can represent, and
                files (see `auto_upload`).
            path: What follows the id.
            query: Query parameters. Booleans, None and nested values are sent as JSON.
            headers: More request headers, but not those that say how the request is sent, such as `Content-Length`.
            output: A pydantic model, or any type that `TypeAdapter` accepts, to validate the result with.
            auto_upload: Whether to upload files in the input (paths, open files, bytes, images) first, and to send
                their URLs.
            priority: `"low"` lets the requests of all others go first.
            hint: Requests with the same hint go to the same runner if possible.
            start_timeout: Seconds within which fal must start the work; otherwise the request fails with a 504. It does
                not follow from `timeout`.
            lifecycle: How long files that the model makes are kept; as for `upload`.
            tags: Names and values to show in fal's usage reports: ten at most. Names have up to 64 letters, digits,
                dots, hyphens and underscores, and values up to 256 printable ASCII characters, but no comma.
            webhook_url: Where fal sends the result too.
            max_queue_length: If more requests than this wait already, fal answers 429, which is the error.
            timeout: Seconds from subscription until the result must be there; None for no limit. Then the request is
                cancelled, and the stream ends with `StreamTimeoutError`.
            follow: `"stream"` lets fal tell each change as it happens. If that does not work, or with `"poll"`, the
                status is asked for.
            poll_interval: The least seconds from one request for the status to the next. It grows by half while nothing
                changes, up to ten times.
            logs: Whether to ask for what the model logs.
            cancel_on_dispose: Whether disposing and `timeout` cancel the request.
            on_enqueue: Called once with the request's handle, as soon as fal has taken it. If it raises, that is a bug
                of the subscriber, as in `on_next`; and the request is cancelled.

        Returns:
            A cold Stream of `Queued(position)`, `InProgress(logs)` and, last, `Completed(output, logs, ...)`, which is
            what you get by awaiting it.

        Raises:
            EndpointError: rxfal may not call this id or URL.
            TypeError, ValueError: An option makes no sense.

        Examples:
            >>> from rxfal.testing import FalServer
            >>> with FalServer(models=True, pace=0) as server, server.client() as client:
            ...     stream = client.subscribe("fal-ai/fast-julia", {"prompt": "a fern", "size": 64})
            ...     *updates, done = stream
            >>> type(updates[0]).__name__, done.output["images"][0]["width"], len(done.logs) > 0
            ('Queued', 64, True)
        """
        given = complete(SubscribeOptions, options)
        connections = self._connections()
        return _subscribed(connections, app, input, output, given)


def _subscribed(
    connections: Connections, app: str, input: Any, output: Any, given: Mapping[str, Any]
) -> QueueStream[Any]:
    submission = Submission(connections, app, input, given)
    name, on_enqueue = submission.endpoint.id, given["on_enqueue"]
    check_callable("on_enqueue", on_enqueue)
    check_callbacks(on_enqueue=on_enqueue)
    how = Followed(connections.http, name, output, given)

    async def read(sink: Sink[Update]) -> None:
        work = Work(connections.http, name)
        untold = [on_enqueue] if on_enqueue is not None else []

        async def tell() -> None:
            if untold and work.handle is not None:
                await _tell(untold.pop(), work.handle, sink)

        async def submit() -> None:
            await work.submit(await submission.ready(), submission.endpoint)
            await tell()

        try:
            await how.read(sink, work, submit)
        except StreamTimeoutError:
            if not given["cancel_on_dispose"]:  # it goes on, and its handle may have come after the timeout
                await tell()
            raise

    return QueueStream[Any].fed_by(read, name=name, unused=f"subscribe {name}")


async def _tell(on_enqueue: Callable[[RequestHandle], object], handle: RequestHandle, sink: Sink[Update]) -> None:
    try:
        on_enqueue(handle)
    except Exception as error:
        if sink.blame("on_enqueue", error):
            await asyncio.get_running_loop().create_future()  # this task is being cancelled
        raise CallbackError(f"on_enqueue raised {type(error).__name__}: {error}") from error


class Followed:
    """How requests are followed, checked at the call.

    Args:
        http: The client's.
        name: What to call a request in messages: its endpoint.
        output: As for `subscribe`.
        given: All options; of them, those of `FollowOptions` are used here.
    """

    def __init__(self, http: Http, name: str, output: Any, given: Mapping[str, Any]) -> None:
        check_word("follow", given["follow"], "stream", "poll")
        self._http = http
        self._name = name
        self._decode = PayloadDecoder(output, endpoint=name)
        self._timeout = checked_seconds("timeout", given["timeout"])
        self._cancels = bool(given["cancel_on_dispose"])
        poll_interval = checked_seconds("poll_interval", given["poll_interval"])
        if poll_interval is None or poll_interval == float("inf"):
            raise ValueError(f"poll_interval is in seconds and above 0, not {poll_interval}")
        self._options: dict[str, Any] = {
            "follow": given["follow"],
            "poll_interval": poll_interval,
            "logs": bool(given["logs"]),
        }

    async def read(self, sink: Sink[Update], work: Work, submit: Callable[[], Awaitable[None]] | None = None) -> None:
        """Follow a request until its result is emitted, or the stream has to end without it.

        Args:
            sink: Takes the updates.
            work: The request.
            submit: Submits it, if it is not submitted yet.
        """
        following: Following | None = None
        expired: list[FalError] = []

        async def emit(update: Update) -> None:
            sink.on_next(update)
            if (task := asyncio.current_task()) is not None and task.cancelling():
                await asyncio.sleep(0)  # the subscriber left meanwhile: this ends here, and not after another request
            if sink.gate.closed:
                await sink.gate.wait()

        async def follow() -> None:
            nonlocal following
            if submit is None:
                await work.found()
            else:
                await submit()
            assert work.handle is not None
            addresses = addresses_given(work.handle, self._http.config)
            following = Following(work, addresses, emit, **self._options)
            if submit is not None:
                await following.begin(work.position)
            sink.on_next(await following.completed(self._decode))

        def late(seconds: float) -> FalError:
            expired.append(StreamTimeoutError(seconds, message=_too_late(seconds, work), endpoint=self._name))
            return expired[0]

        try:
            await Deadline(self._timeout).limit(follow(), late)
        except FalError as error:
            if error in expired:
                await self._end(work)
            elif isinstance(error, CallbackError) and self._cancels:
                work.leave()
            _complete(error, work, following)
            raise
        except GeneratorExit:
            if self._cancels:
                work.drop()
            raise
        except BaseException:  # disposed, mostly: the task is cancelled
            if self._cancels:
                work.leave()
            raise
        finally:
            expired.clear()  # its traceback holds this frame

    async def _end(self, work: Work) -> None:
        """Wait for what the server says, so that it is true what the error of `timeout` says."""
        if self._cancels:
            work.leave()
            await work.left()
        else:
            await work.submitted()


def _too_late(seconds: float, work: Work) -> str:
    state = "submitted" if work.handle is None else "complete"
    return f"the request was not {state} within {in_seconds(seconds)}; wait longer with timeout=..."


def _complete(error: FalError, work: Work, following: Following | None) -> None:
    """Let an error say which request it is about, and that to subscribe again is to submit again."""
    error.endpoint = error.endpoint or work.name
    if work.handle is not None:
        error.request_id = work.handle.request_id
        error.retryable = error.outcome_unknown = False
    elif isinstance(error, StreamTimeoutError) and work.may_be_taken:
        say_unknown(error)
    if following is not None:
        error.logs = following.logs
