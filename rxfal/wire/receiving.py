"""A file as it comes over HTTP. What breaks off goes on where it stopped, or from the start where that can't be.

It knows ranges and validators (RFC 9110, sections 8.8, 13.1.5 and 14), and not where the bytes go.
"""

import asyncio
import email.utils
import re
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import NamedTuple, Protocol, TypeVar

from yarl import URL

from rxfal.errors import ApiError, DecodeError, FalError, StreamTimeoutError, TransportError, in_seconds
from rxfal.wire.deadline import Deadline
from rxfal.wire.http import Http, Request, Response
from rxfal.wire.masking import SecretStr, signatures_in
from rxfal.wire.retries import retried

__all__ = ["Head", "Receiver", "receive", "request_for"]

SILENCE_LIMIT = 60.0
"""After this many seconds without a byte a download counts as dead."""

MOST_REDIRECTS = 10

_T = TypeVar("_T")


class Head(NamedTuple):
    """What a response says of the file.

    Attributes:
        headers: All that it says.
        content_type: The media type, without parameters.
        total: Its size in bytes; None if the server does not say.
    """

    headers: Mapping[str, str]
    content_type: str
    total: int | None


class Receiver(Protocol):
    """Where the bytes go."""

    async def begin(self, head: Head) -> None:
        """The file begins at its first byte. What came before is void: the file changed, or could not be continued."""
        ...

    async def take(self, chunk: bytes) -> None:
        """The next bytes."""
        ...


def request_for(url: URL, label: str) -> Request:
    """The request for a whole file. It carries no credential, and follows redirects, but not from https to http.

    Args:
        url: Where the file is.
        label: What to call the download in messages.
    """
    return Request(
        method="GET",
        url=url,
        endpoint=label,
        headers={"Accept": "*/*", "Accept-Encoding": "identity"},  # what is compressed can't be continued
        auth=False,
        retry="5xx",
        secrets=tuple(map(SecretStr, signatures_in(url))),
        redirects=MOST_REDIRECTS,
    )


async def receive(http: Http, request: Request, receiver: Receiver) -> None:
    """Receive a whole file.

    Failures that may pass are tried again after growing pauses, at most `Config.max_attempts` times in all; but as long
    as that brings more of the file than there had been before, it begins to count anew.

    Args:
        http: Sends the requests.
        request: Asks for the file; see `request_for`.
        receiver: Where the bytes go.

    Raises:
        ApiError: The server answered with an error.
        StreamTimeoutError: Nothing came for a minute.
        TransportError: No server answered, or it broke off too often.
        DecodeError: The answer is not the file that was asked for.
        Exception: What the receiver raises.
    """
    attempts = http.config.max_attempts
    transfer = _Transfer(http, request, receiver)
    while True:
        before = transfer.furthest
        try:
            return await retried(transfer.go_on, request, Deadline(None), attempts)
        except FalError as error:
            may_pass = error.retryable and not isinstance(error, StreamTimeoutError)
            if not may_pass or attempts == 1 or transfer.furthest == before:
                raise


class _CanNotGoOnError(Exception):
    """The file that has begun can't be continued: it is another one now, or the server answers with another part."""


class _Transfer:
    """One file on its way.

    Attributes:
        furthest: The most bytes of it that were ever there.
    """

    def __init__(self, http: Http, request: Request, receiver: Receiver) -> None:
        self._http = http
        self._request = request
        self._receiver = receiver
        self.furthest = 0
        self._received = 0
        self._total: int | None = None
        self._validator: str | None = None  # proves that what goes on is the same file

    async def go_on(self) -> None:
        """One attempt, from where the last one stopped."""
        try:
            await self._read(self._received if self._validator else 0)
        except _CanNotGoOnError:
            self._validator = None
            await self._read(0)

    async def _read(self, start: int) -> None:
        # The attempts are counted by `retried`, and not by the request.
        request = replace(self._request, retry="never", headers={**self._request.headers, **self._from(start)})
        async with AsyncExitStack() as stack:
            try:
                response = await self._in_time(stack.enter_async_context(self._http.exchange(request)))
            except ApiError as error:
                if error.status == 416 and start:
                    raise _CanNotGoOnError from None
                raise
            if response.status == 206:
                self._check_that_it_goes_on(response, start)
            else:
                await self._begin(response)
            while chunk := await self._in_time(response.read_chunk()):
                await self._receiver.take(chunk)
                self._received += len(chunk)
                self.furthest = max(self.furthest, self._received)
        if self._total is not None and self._received != self._total:
            message = f"{self._received} of {self._total} bytes of the file came; download it again"
            raise TransportError(message, kind="cut short", endpoint=request.endpoint)

    def _from(self, start: int) -> dict[str, str]:
        if not start or self._validator is None:
            return {}
        return {"Range": f"bytes={start}-", "If-Range": self._validator}

    def _check_that_it_goes_on(self, response: Response, start: int) -> None:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""), re.ASCII)
        if not start:
            message = "the server sent a part of the file, though the whole was asked for"
            raise DecodeError(message, data=b"", endpoint=self._request.endpoint)
        tag = _strong_tag(response)
        if found is None or int(found[1]) != start or (tag is not None and tag != self._validator):
            raise _CanNotGoOnError
        total = self._total if found[2] == "*" else int(found[2])
        if total is None or self._total not in (None, total):  # without a size, no one could tell that it is whole
            raise _CanNotGoOnError
        self._total = total

    async def _begin(self, response: Response) -> None:
        is_plain = response.headers.get("Content-Encoding", "identity").strip().lower() in ("", "identity")
        length = response.headers.get("Content-Length", "").strip()
        self._received = 0
        self._total = int(length) if is_plain and re.fullmatch(r"\d{1,18}", length, re.ASCII) else None
        self._validator = _validator_of(response) if is_plain else None
        await self._receiver.begin(Head(response.headers, response.content_type, self._total))

    async def _in_time(self, work: Awaitable[_T]) -> _T:
        limit = asyncio.timeout(SILENCE_LIMIT)
        try:
            async with limit:
                return await work
        except TimeoutError:
            if not limit.expired():
                raise
        message = f"nothing came for {in_seconds(SILENCE_LIMIT)}; download it again"
        raise StreamTimeoutError(SILENCE_LIMIT, message=message, endpoint=self._request.endpoint)


def _strong_tag(response: Response) -> str | None:
    tag = response.headers.get("ETag", "").strip()
    return tag if re.fullmatch(r'"[\x21\x23-\x7e]*"', tag) else None


def _validator_of(response: Response) -> str | None:
    """What `If-Range` may carry: a strong `ETag`, or a `Last-Modified` that was over when the response was made."""
    if (tag := _strong_tag(response)) is not None:
        return tag
    modified, date = (response.headers.get(name, "") for name in ("Last-Modified", "Date"))
    try:
        age = email.utils.parsedate_to_datetime(date) - email.utils.parsedate_to_datetime(modified)
    except (ValueError, TypeError):  # TypeError: only one of them names a time zone
        return None
    return modified if age.total_seconds() >= 1 else None
