"""One request in the queue as one subscription sees it: it is submitted once, and cancelled once if need be.

What must not be lost runs in tasks that outlive the subscription and hold up the loop's end (`Farewell`): the submit
that has been sent, because without its answer nobody could cancel the request, and the cancelling.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any, cast

from yarl import URL

from rxfal.errors import ApiError, DecodeError, EndpointError, FalError, in_seconds
from rxfal.reactive.farewell import PATIENCE, Farewell
from rxfal.wire.deadline import Deadline
from rxfal.wire.endpoints import Endpoint, may_see_credential
from rxfal.wire.failures import what_happened
from rxfal.wire.http import Http, Request
from rxfal.wire.outcome import judge, say_unknown
from rxfal.wire.payload import PayloadDecoder
from rxfal.wire.queue import Addresses
from rxfal.wire.request import Retry
from rxfal.wire.retries import retried
from rxfal.wire.session import LoopSession

from .submission import SUBMIT_SECONDS
from .updates import Cancellation, RequestHandle, addresses_given

__all__ = ["Work", "ask", "ask_to_cancel"]

logger = logging.getLogger("rxfal")


_LOOP_CLOSED = "its event loop was closed while it was followed; end a loop with asyncio.run or asyncio.Runner"


class Work:
    """One request in the queue, from its submission or from a handle on.

    Args:
        http: The client's.
        name: What to call it in messages: its endpoint.
        handle: Its handle, if it was submitted before.

    Attributes:
        handle: Its handle; None until it is submitted.
        position: Its place in the queue when it was submitted, if fal said so.
        session: The connections that it began with; None before.
        is_complete: Whether it is known to be complete, so that there is nothing left to cancel.
    """

    def __init__(self, http: Http, name: str, handle: RequestHandle | None = None) -> None:
        self.http = http
        self.name = name
        self.handle = handle
        self.position: int | None = None
        self.is_complete = False
        self.session: LoopSession | None = None
        self._posting: Farewell[RequestHandle] | None = None
        self._cancelling: Farewell[None] | None = None

    @property
    def may_be_taken(self) -> bool:
        """Whether nobody knows if the request was taken: it is being sent, or was sent and had no answer."""
        posting = self._posting
        if posting is None or not posting.done():
            return posting is not None
        error = None if posting.cancelled() else posting.exception()
        return posting.cancelled() or (isinstance(error, FalError) and error.outcome_unknown)

    async def found(self) -> None:
        """Begin with a request that was submitted before."""
        self.session = await self.http.session()

    async def submit(self, request: Request, endpoint: Endpoint) -> RequestHandle:
        """Submit it. An attempt that was begun goes on if the waiting for it is cancelled; a pause between two ends.

        Args:
            request: What to send.
            endpoint: Where to.

        Raises:
            FalError: It was not submitted; or nobody knows, and then `outcome_unknown` is True.
        """
        deadline = Deadline(SUBMIT_SECONDS)

        async def once() -> RequestHandle:
            one = replace(request, retry="never", timeout=deadline.left(SUBMIT_SECONDS))
            session = self.session = await self.http.session()
            self._posting = Farewell(self._post(one, endpoint), name=f"submit {self.name}")
            self.http.let_finish(self._posting, session)
            return await asyncio.shield(self._posting)

        attempt = self.http.while_open(once, self.name)
        return await retried(attempt, request, deadline, self.http.config.max_attempts)

    async def _post(self, request: Request, endpoint: Endpoint) -> RequestHandle:
        try:
            body, response = await self.http.answer(request)
        except FalError as error:
            judge(error)
            raise
        try:
            answer = response.decoded(body, PayloadDecoder(endpoint=self.name))
            self.handle = handle = _handle_from(answer, endpoint, self.http)
        except (DecodeError, EndpointError, TypeError) as error:
            failure = DecodeError(
                "the queue took the request, and its answer does not say under which id", data=body, endpoint=self.name
            )
            failure.request_id = response.request_id
            say_unknown(failure)
            raise failure from (error if isinstance(error, DecodeError) else None)
        position = answer.get("queue_position")
        self.position = position if isinstance(position, int) and not isinstance(position, bool) else None
        return handle

    async def submitted(self) -> None:
        """Wait, a little, for the answer to a submit under way."""
        if self._posting is not None:
            await asyncio.wait({self._posting}, timeout=PATIENCE)

    def leave(self) -> None:
        """Let the request be cancelled, since nobody wants it any more; once, and not if it is known to be complete."""
        if self._cancelling is not None or self.is_complete or (self.handle is None and self._posting is None):
            return
        self._cancelling = Farewell(self._cancel(), name=f"cancel {self.name}")
        if self.session is not None:
            self.http.let_finish(self._cancelling, self.session)

    def drop(self) -> None:
        """Say that the request was left behind: its event loop was closed, and nothing can be sent any more."""
        if not self.is_complete and (self.handle is not None or self.may_be_taken):
            self._warn(_LOOP_CLOSED)

    async def left(self) -> None:
        """Wait, a little, for the answer to a cancelling under way."""
        if self._cancelling is not None:
            await asyncio.wait({self._cancelling}, timeout=PATIENCE)

    async def _cancel(self) -> None:
        reason = "the submit had no answer before the event loop ended"
        try:
            handle = self.handle or await self._answer_to_submit()
            if handle is None:
                return
            reason = f"the cancelling had no answer within {in_seconds(PATIENCE)}"
            addresses = addresses_given(handle, self.http.config)
            async with asyncio.timeout(PATIENCE):
                word = await self._ask_to_cancel(addresses)
            logger.debug("%s: cancelled request %s: %s", self.name, handle.request_id, word)
        except FalError as error:
            self._warn(what_happened(error))
        except TimeoutError:
            self._warn(reason)
        except asyncio.CancelledError:
            self._warn(reason)
            raise
        except GeneratorExit:
            self._warn(_LOOP_CLOSED)
            raise

    async def _ask_to_cancel(self, addresses: Addresses) -> Cancellation:
        task = asyncio.current_task()
        try:
            return await ask_to_cancel(self.http, addresses, self.name)
        except asyncio.CancelledError:
            if task is None or task.cancelling():
                raise
        # The end of a loop also cancels the tasks with which aiohttp connects. Nothing was sent by then.
        return await ask_to_cancel(self.http, addresses, self.name)

    async def _answer_to_submit(self) -> RequestHandle | None:
        """The handle, once the submit under way is answered; None if there is nothing to cancel."""
        assert self._posting is not None
        try:
            return await asyncio.shield(self._posting)
        except FalError as error:
            if error.outcome_unknown:
                self._warn(what_happened(error))
            return None

    def _warn(self, reason: str) -> None:
        request = "a request whose id is not known" if self.handle is None else f"request {self.handle.request_id}"
        logger.warning("%s: %s may still run, and was to be cancelled: %s", self.name, request, reason)


def _handle_from(answer: Any, endpoint: Endpoint, http: Http) -> RequestHandle:
    """The handle in the queue's answer; the addresses that are not in it are built."""
    if not isinstance(answer, dict):
        raise TypeError("the answer is no object")
    found = cast("dict[str, Any]", answer)
    handle = RequestHandle.of(endpoint.full_id if endpoint.base else endpoint.id, found.get("request_id", ""))
    given = {name: url for name in _URLS if isinstance(url := found.get(name), str)}
    addresses = Addresses.of(endpoint, handle.request_id, http.config, **given)
    return handle.model_copy(update=dict(zip(_URLS, map(str, addresses), strict=True)))


_URLS = ("status_url", "response_url", "cancel_url")


def ask(http: Http, url: URL, name: str, *, method: str = "GET", retry: Retry = "never") -> Request:
    """A request about a request. It carries the key only if the address, which fal chose, may see it.

    Args:
        http: The client's.
        url: Where to.
        name: What to call it in messages.
        method: The HTTP method.
        retry: As for `Request`.
    """
    is_trusted = may_see_credential(url, http.config)
    return Request(
        method=method, url=url, endpoint=name, headers={"Accept": "application/json"}, auth=is_trusted, retry=retry
    )


async def ask_to_cancel(http: Http, addresses: Addresses, name: str) -> Cancellation:
    """Cancel a request, and return what fal says to it.

    Raises:
        FalError: It says nothing that is known.
    """
    request = ask(http, addresses.cancel, name, method="PUT", retry="never-started")
    try:
        body, response = await http.answer(request)
    except ApiError as error:
        if (word := _word_in(error.body)) is None:
            raise
        return word
    answer = response.decoded(body, PayloadDecoder(endpoint=name)) if response.is_json and body else None
    return _word_in(answer) or (Cancellation.CANCELLATION_REQUESTED if response.status == 202 else Cancellation.OK)


def _word_in(answer: Any) -> Cancellation | None:
    word: Any = cast("dict[str, Any]", answer).get("status") if isinstance(answer, dict) else None
    try:
        return Cancellation(word)
    except ValueError:
        return None
