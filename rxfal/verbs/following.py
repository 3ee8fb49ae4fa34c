"""Following a request in the queue until it is complete, whatever happens on the way.

    stream --broken, ended early or silent--> stream --three in a row that said nothing new--> poll
      |                                                                                          |
      +--refused--> poll --COMPLETED--> result <-----------------COMPLETED-----------------------+

Nothing of this ends because of the network: connections that fail, 429 and 5xx only make the pauses longer. A status
says that the request is complete, and its result may still be an error; there is no other word for a failure.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from rxfal.errors import (
    ApiError,
    DecodeError,
    EventTooLargeError,
    FalError,
    StreamTimeoutError,
    TransportError,
    one_sentence,
)
from rxfal.wire.deadline import Deadline
from rxfal.wire.failures import what_happened
from rxfal.wire.http import Response
from rxfal.wire.payload import PayloadDecoder
from rxfal.wire.queue import Addresses, Status, status_in_queue, with_logs
from rxfal.wire.sse import SSEDecoder

from .log_book import LogBook
from .silence import SilenceLimit
from .updates import Completed, InProgress, Queued, RequestLog
from .work import Work, ask

__all__ = ["Follow", "Following", "Update", "explain_result", "explain_status", "value_of"]

logger = logging.getLogger("rxfal")

Follow = Literal["stream", "poll"]
Update = Queued | InProgress | Completed[Any]

_SILENCE = 60.0  # seconds after which a status stream counts as dead; fal sends a comment every 15
_MOST_USELESS = 3  # status streams in a row that said nothing new
_GROWTH, _MOST_GROWTH = 1.5, 10.0
_LONGEST_RETRY_AFTER = 60.0
_REFUSALS = frozenset({404, 405, 501})


class Following:
    """Follows one request.

    Args:
        work: The request; its `is_complete` is set as soon as that is known.
        addresses: Where to ask.
        emit: Takes the updates, and waits while the subscriber is full.
        follow: Whether to begin with the status stream.
        poll_interval: The least seconds from one request for the status to the next.
        logs: Whether to ask for logs.

    Attributes:
        logs: All logs so far.
    """

    def __init__(
        self,
        work: Work,
        addresses: Addresses,
        emit: Callable[[Update], Awaitable[None]],
        *,
        follow: Follow = "stream",
        poll_interval: float = 0.5,
        logs: bool = True,
    ) -> None:
        assert work.handle is not None
        self._work = work
        self._http = work.http
        self._name = work.name
        self._request_id = work.handle.request_id
        self._addresses = addresses
        self._emit = emit
        self._polls = follow == "poll"
        self._wants_logs = logs
        self._pace = _Pace(work, poll_interval)
        self._log_book = LogBook()
        self._unseen: list[RequestLog] = []  # logs that came while the request was queued
        self._state: tuple[str, int | None] | None = None
        self._final: Status | None = None
        self._news = 0
        self._was_answered = False

    @property
    def logs(self) -> tuple[RequestLog, ...]:
        return tuple(self._log_book.all)

    async def begin(self, position: int | None) -> None:
        """Emit what fal said when it took the request."""
        await self._say(Queued(self._request_id, position), ("IN_QUEUE", position))

    async def completed(self, decode: PayloadDecoder) -> Completed[Any]:
        """Follow the request until it is complete, and get its result.

        Args:
            decode: Decodes the result.

        Raises:
            FalError: The request failed, or can't be followed, or its result does not fit.
        """
        await self._until_complete()
        assert self._final is not None
        body, response = await self._result()
        return Completed(
            self._request_id,
            value_of(body, response, decode),
            self.logs,
            self._final.metrics,
            response.billable_units,
            response.headers.copy(),
            self._final.error,
            self._final.error_type,
        )

    async def _until_complete(self) -> None:
        useless, was_cut = 0, False
        while self._final is None:
            await self._pace.turn()
            before = self._news
            if self._polls:
                await self._poll()
            elif await self._read_stream() and self._final is None:
                was_cut = True
                useless = 0 if self._news > before else useless + 1
                self._polls = useless >= _MOST_USELESS
            self._pace.went_by(changed=self._news > before)
        if was_cut and self._wants_logs and not self._polls:
            await self._catch_up()

    async def _poll(self) -> None:
        try:
            await self._hear(await self._ask_status())
        except DecodeError:  # as an event that is not JSON
            self._was_answered = True
        except FalError as error:
            explain_status(error)
            self._bear(error)

    async def _ask_status(self) -> Any:
        url = with_logs(self._addresses.status, self._wants_logs)
        return await self._http.fetch_json(ask(self._http, url, self._name))

    async def _catch_up(self) -> None:
        """Ask for the logs that came while no status stream was open; a stream may give only what is new to it."""
        try:
            status = status_in_queue(await self._ask_status())
        except FalError:
            return
        if status is not None and (new := self._log_book.new_in(status.logs)):
            await self._say(InProgress(self._request_id, new))

    async def _read_stream(self) -> bool:
        """Read the status stream; whether it was one. It ends at `COMPLETED`, or early."""
        url = with_logs(self._addresses.status, self._wants_logs, streamed=True)
        request = ask(self._http, url, self._name)
        request.headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity", "Cache-Control": "no-store"}
        try:
            async with self._http.exchange(request, Deadline(self._http.config.request_timeout)) as response:
                if response.content_type != "text/event-stream":
                    self._polls = True
                    return False
                await self._read_events(response)
        except (DecodeError, EventTooLargeError) as error:
            self._note(error)
        except ApiError as error:
            if error.status in _REFUSALS and not isinstance(error, StreamTimeoutError):
                self._polls = True
                return False
            self._bear(error)
        except FalError as error:
            self._bear(error)
        return True

    async def _read_events(self, response: Response) -> None:
        decoder, decode = SSEDecoder(self._http.config.max_event_size), PayloadDecoder()
        with SilenceLimit(_SILENCE, endpoint=self._name) as limit:
            while chunk := await limit.wait(response.read_chunk):
                for event in decoder.feed_raw(chunk):
                    if await self._hear_event(event[0], decode):
                        return
            if (last := decoder.close_raw()) is not None:
                await self._hear_event(last[0], decode)

    async def _hear_event(self, data: bytes, decode: PayloadDecoder) -> bool:
        """Take an event; whether it was the last that counts. One that is not JSON is passed over."""
        try:
            value = decode(data)
        except DecodeError:
            return False
        await self._hear(value)
        return self._final is not None

    async def _hear(self, value: Any) -> None:
        """Take what the server said. A status that is not known is passed over."""
        self._was_answered = True
        status = status_in_queue(value)
        if status is None:
            return
        new = self._log_book.new_in(status.logs) if self._wants_logs else ()
        state = (status.word, status.position if status.word == "IN_QUEUE" else None)
        if status.word == "IN_QUEUE":
            self._unseen += new
            if state != self._state:
                await self._say(Queued(self._request_id, status.position), state)
            return
        new = (*self._unseen, *new)
        self._unseen.clear()
        if status.word == "COMPLETED":
            self._work.is_complete = True
            self._final = status
            self._news += 1
            if new:
                await self._say(InProgress(self._request_id, new))
        elif new or state != self._state:
            await self._say(InProgress(self._request_id, new), state)

    async def _say(self, update: Update, state: tuple[str, int | None] | None = None) -> None:
        self._state = state or self._state
        self._news += 1
        await self._emit(update)

    async def _result(self) -> tuple[bytes, Response]:
        request = ask(self._http, self._addresses.result, self._name)
        self._pace.begin()
        while True:
            try:
                return await self._http.answer(request)
            except FalError as error:
                explain_result(error)
                if isinstance(error, ApiError) and error.request_id is not None:
                    raise  # the model's own, whatever its status
                self._bear(error)
            self._pace.went_by(changed=False)
            await self._pace.turn()

    def _bear(self, error: FalError) -> None:
        """Go on after a failure that says nothing about the request.

        Raises:
            FalError: It does.
        """
        if isinstance(error, ApiError) and not isinstance(error, StreamTimeoutError):
            goes_by = error.status == 429 or error.status >= 500
        elif isinstance(error, TransportError):
            # A certificate that is not trusted will not be later; but it was, if there has been an answer.
            goes_by = error.retryable or (error.kind == "tls" and self._was_answered)
        else:
            goes_by = isinstance(error, StreamTimeoutError)
        if not goes_by:
            raise error
        if isinstance(error, ApiError) and error.retry_after is not None:
            self._pace.hold_off(error.retry_after)
        self._note(error)

    def _note(self, error: FalError) -> None:
        reason = str(error).removeprefix(f"{self._name}: ")
        logger.info("%s: asking again for request %s, after: %s", self._name, self._request_id, reason)


class _Pace:
    """Keeps requests apart: `least` seconds from one to the next, and more while nothing changes."""

    def __init__(self, work: Work, least: float) -> None:
        assert work.session is not None
        self._http = work.http
        self._name = work.name
        self._session = work.session
        self._least = least
        self._gap: float | None = None
        self._due: float | None = None
        self._loop = asyncio.get_running_loop()
        self._last = 0.0

    async def turn(self) -> None:
        """Wait until the next request may be sent."""
        if self._due is not None:
            await self._http.pause(max(0.0, self._due - self._loop.time()), self._name, self._session)
        self.begin()

    def begin(self) -> None:
        """Note that a request is sent now."""
        self._last = self._loop.time()
        self._due = self._last

    def went_by(self, *, changed: bool) -> None:
        """Set the time of the next request by what the last one told."""
        if changed or self._gap is None:
            self._gap = self._least
        else:
            self._gap = min(self._gap * _GROWTH, self._least * _MOST_GROWTH)
        self._due = max(self._due or 0.0, self._last + self._gap)

    def hold_off(self, seconds: float) -> None:
        """Send nothing for so many seconds, because the server asked for that."""
        now = self._loop.time()
        self._due = max(self._due or 0.0, now + min(seconds, _LONGEST_RETRY_AFTER))


def value_of(body: bytes, response: Response, decode: PayloadDecoder) -> Any:
    """The value of a result: decoded JSON, or bytes.

    Raises:
        DecodeError: It does not fit. The bytes are in its `data`, since they were paid for.
    """
    return response.decoded(body, decode) if response.is_json else body


def explain_result(error: FalError) -> None:
    """Say why a result may not be there."""
    if isinstance(error, ApiError) and error.status == 404:
        why = (
            "fal keeps results only for a while, about an hour after the request is complete, and large ones for "
            "minutes; see https://fal.ai/dashboard/requests, or check the id"
        )
        error.reword(one_sentence(what_happened(error), why))
    elif isinstance(error, ApiError) and error.status == 400 and "in progress" in error.message:
        error.reword(one_sentence(what_happened(error), "queue.updates(handle) waits for the result"))


def explain_status(error: FalError) -> None:
    """Say why a request may not be known."""
    if isinstance(error, ApiError) and error.status == 404:
        why = "fal does not know this request, or not any more; check its id and the app that it was submitted to"
        error.reword(one_sentence(what_happened(error), why))
