"""`queue.submit`, `status`, `updates`, `result` and `cancel`: a request in the queue, step by step."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Annotated, Any, Unpack, overload

from typing_extensions import TypeVar

from rxfal.errors import DecodeError, FalError, TransportError
from rxfal.reactive.reader import Sink
from rxfal.reactive.stream import Stream, create
from rxfal.wire.failures import what_happened
from rxfal.wire.payload import PayloadDecoder
from rxfal.wire.queue import status_in_queue, with_logs

from .connected import Connected
from .following import Update, explain_result, explain_status, value_of
from .log_book import logs_in
from .options import Default, complete, show_options
from .submission import Submission, SubmitOptions
from .subscribe import Followed, FollowOptions, QueueStream
from .updates import Cancellation, Completed, InProgress, Queued, RequestHandle, addresses_of
from .work import Work, ask, ask_to_cancel

__all__ = ["Queue"]

_T = TypeVar("_T")


class UpdatesOptions(FollowOptions, total=False):
    """The options of `updates`, which explains them."""

    cancel_on_dispose: Annotated[bool, Default(False)]


class Queue(Connected):
    """The steps of a request through the queue, for work that outlives the program that submits it.

    It is `rxfal.queue`, and `queue` of a `Client`.

    Examples:
        >>> from rxfal.testing import FalServer
        >>> with FalServer(models=True, pace=0) as server, server.client() as client:
        ...     stored = client.queue.submit("fal-ai/any-llm", {"prompt": "a haiku"}).run().model_dump_json()
        ...     handle = RequestHandle.model_validate_json(stored)  # in another process, maybe
        ...     done = client.queue.updates(handle).run()
        ...     client.queue.status(handle).run().request_id == handle.request_id
        ...     client.queue.result(handle).run() == done.output
        ...     client.queue.cancel(handle).run()
        True
        True
        <Cancellation.ALREADY_COMPLETED: 'ALREADY_COMPLETED'>
    """

    @show_options
    def submit(self, app: str, input: Any = None, **options: Unpack[SubmitOptions]) -> Stream[RequestHandle]:
        """Submit a request, and leave it to fal. Each subscription submits one; nothing is sent before that.

        It is sent again only if it surely was not taken, as for `subscribe`. Disposing before the answer waits for it,
        and cancels the request: nobody has the handle. After that, nothing cancels it but `cancel`.

        Args:
            app: As for `subscribe`, like all others.
            input: The model's input.
            options: Those of `subscribe` from `path` to `max_queue_length`.

        Returns:
            A cold Stream of one `RequestHandle`.

        Raises:
            EndpointError: rxfal may not call this id or URL.
            TypeError, ValueError: An option makes no sense.
        """
        given = complete(SubmitOptions, options)
        connections = self._connections()
        submission = Submission(connections, app, input, given)
        name = submission.endpoint.id

        async def read(sink: Sink[RequestHandle]) -> None:
            work = Work(connections.http, name)
            try:
                handle = await work.submit(await submission.ready(), submission.endpoint)
            except FalError as error:
                error.endpoint = error.endpoint or name
                raise
            except GeneratorExit:
                work.drop()
                raise
            except BaseException:
                work.leave()
                raise
            sink.on_next(handle)

        return create(read, name=name, unused=f"queue.submit {name}")

    def status(self, handle: RequestHandle, *, logs: bool = False) -> Stream[Queued | InProgress | Completed[None]]:
        """Where a request is now, as one value. `Completed` has no `output`; see `result`.

        Args:
            handle: The request's handle.
            logs: Whether to ask for all logs so far, also of a failed request.

        Returns:
            A cold Stream of one update.

        Raises:
            EndpointError: An address in the handle is at a host that must not see the key.
        """
        http = self._connections().http
        addresses, name = addresses_of(handle, http.config), handle.app
        request = ask(http, with_logs(addresses.status, logs), name, retry="idempotent")

        async def read(sink: Sink[Queued | InProgress | Completed[None]]) -> None:
            with _about(handle):
                body, response = await http.answer(request)
                status = status_in_queue(response.decoded(body, PayloadDecoder(endpoint=name)))
                if status is None:
                    raise DecodeError("the answer is no status that is known", data=body, endpoint=name)
            request_id, found = handle.request_id, logs_in(status) if logs else ()
            match status.word:
                case "IN_QUEUE":
                    sink.on_next(Queued(request_id, status.position))
                case "IN_PROGRESS":
                    sink.on_next(InProgress(request_id, found))
                case "COMPLETED":
                    error, error_type = status.error, status.error_type
                    done = Completed(request_id, None, found, status.metrics, error=error, error_type=error_type)
                    sink.on_next(done)

        return create(read, name=name)

    @overload
    def updates(
        self, handle: RequestHandle, *, output: type[_T], **options: Unpack[UpdatesOptions]
    ) -> QueueStream[_T]: ...
    @overload
    def updates(
        self, handle: RequestHandle, *, output: Any = None, **options: Unpack[UpdatesOptions]
    ) -> QueueStream[Any]: ...
    @show_options
    def updates(
        self, handle: RequestHandle, *, output: Any = None, **options: Unpack[UpdatesOptions]
    ) -> QueueStream[Any]:
        """Follow a request from wherever it is until its result is there, as `subscribe` does after it submitted.

        Args:
            handle: The request's handle. Logs that were written before are new to it.
            output: As for `subscribe`.
            options: Those of `subscribe` from `timeout` to `cancel_on_dispose`, which is False here.

        Returns:
            A cold Stream of `Queued`, `InProgress` and, last, `Completed`, which is what you get by awaiting it.

        Raises:
            EndpointError: An address in the handle is at a host that must not see the key.
            TypeError, ValueError: An option makes no sense.
        """
        given = complete(UpdatesOptions, options)
        http = self._connections().http
        addresses_of(handle, http.config)
        name = handle.app
        how = Followed(http, name, output, given)

        async def read(sink: Sink[Update]) -> None:
            await how.read(sink, Work(http, name, handle))

        return QueueStream[Any].fed_by(read, name=name)

    @overload
    def result(self, handle: RequestHandle, *, output: type[_T]) -> Stream[_T]: ...
    @overload
    def result(self, handle: RequestHandle, *, output: Any = None) -> Stream[Any]: ...
    def result(self, handle: RequestHandle, *, output: Any = None) -> Stream[Any]:
        """The result of a request, as one value. It does not wait: while the request is in progress, fal answers 400.

        JSON is decoded. Any other result is one `bytes`.

        Args:
            handle: The request's handle.
            output: As for `subscribe`.

        Returns:
            A cold Stream of one value. If the request failed, it ends with the `ApiError` of the model. A 404 says that
            fal keeps results only for a while.

        Raises:
            EndpointError: An address in the handle is at a host that must not see the key.
        """
        http = self._connections().http
        addresses, name = addresses_of(handle, http.config), handle.app
        request, decode = ask(http, addresses.result, name, retry="unanswered"), PayloadDecoder(output, endpoint=name)

        async def read(sink: Sink[Any]) -> None:
            with _about(handle, explain_result):
                body, response = await http.answer(request)
                value = value_of(body, response, decode)
            sink.on_next(value)

        return create(read, name=name)

    def cancel(self, handle: RequestHandle) -> Stream[Cancellation]:
        """Cancel a request. Each subscription asks once; nothing is sent before that.

        Args:
            handle: The request's handle.

        Returns:
            A cold Stream of what fal says to it: `OK` (it was still waiting), `CANCELLATION_REQUESTED` (the model works
            on it), `ALREADY_COMPLETED` or `NOT_FOUND`. All four are values, and no errors.

        Raises:
            EndpointError: An address in the handle is at a host that must not see the key.
        """
        http = self._connections().http
        addresses, name = addresses_of(handle, http.config), handle.app

        async def read(sink: Sink[Cancellation]) -> None:
            with _about(handle):
                word = await ask_to_cancel(http, addresses, name)
            sink.on_next(word)

        return create(read, name=name, unused=f"queue.cancel {name}")


@contextmanager
def _about(handle: RequestHandle, explain: Callable[[FalError], None] = explain_status) -> Generator[None]:
    """An error in the block says which request it is about, and that asking again does not submit it again."""
    try:
        yield
    except FalError as error:
        explain(error)
        if isinstance(error, TransportError) and error.kind in ("reset", "cut short"):
            error.reword(f"{what_happened(error)}; ask again, which costs nothing")
        error.endpoint = error.endpoint or handle.app
        error.request_id = handle.request_id
        raise
