"""The way of one file into fal's storage: where it goes, and then its bytes, whole or in parts.

It takes these steps, as in fal's JavaScript client: `initiate` names the place, and a PUT without the key sends the
bytes there. A large file goes by `initiate-multipart`, a PUT for each part, and `complete`.
"""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from pydantic import BaseModel, Field
from yarl import URL

from rxfal.errors import DecodeError, TransportError
from rxfal.reactive.concurrent import FirstErrorTaskGroup
from rxfal.wire.config import Config
from rxfal.wire.endpoints import may_take_upload
from rxfal.wire.http import Http, Request
from rxfal.wire.masking import SecretStr, signatures_in
from rxfal.wire.payload import encode_json

from .inputs import Uploaded
from .reading import BLOCK_SIZE, Contents, Upload

__all__ = ["send", "uploader"]

STALL_LIMIT = 60.0
"""After this many seconds without a byte taken, or without an answer after the last one, an upload counts as dead."""

LARGEST_WHOLE = 90 * 2**20  # bytes; fal's JavaScript client sends larger files in parts too
PART_SIZE = 10 * 2**20
CONCURRENT_PARTS = 8

_Answer = TypeVar("_Answer", bound=BaseModel)


def uploader(http: Http) -> Callable[[Upload], Awaitable[str]]:
    """The `upload` of `transform_input` and `PreparedInput.resolve`: over the client's connections."""

    async def upload(file: Upload) -> str:
        return (await send(http, file, {}, lambda sent, total: None)).url

    return upload


async def send(http: Http, file: Upload, headers: Mapping[str, str], tell: Callable[[int, int], None]) -> Uploaded:
    """Upload a file.

    Args:
        http: Sends the requests.
        file: The file.
        headers: More headers for the first request.
        tell: Called with the bytes that have been sent and with all there are, whenever there are more.

    Returns:
        Where the file is.
    """
    label = f"upload of {file.name}"
    async with file.open() as contents:
        in_parts = contents.size > LARGEST_WHOLE
        initiate = Request(
            method="POST",
            url=URL(f"{http.config.rest_url}/storage/upload/initiate{'-multipart' if in_parts else ''}").with_query(
                storage_type="fal-cdn-v3"
            ),
            endpoint=label,
            headers={"Content-Type": "application/json", "Accept": "application/json", **headers},
            body=encode_json({"file_name": file.name, "content_type": file.content_type}),
            retry="idempotent",
        )
        place = await _answer(
            http,
            initiate,
            _Place,
            "the storage did not say where the file goes; check rest_url in Config, or try again",
        )
        sending = _Sending(http, file, contents, place, label, tell)
        await (sending.parts() if in_parts else sending.whole())
    return Uploaded(place.file_url, file.name, file.content_type, contents.size)


class _Place(BaseModel):
    """The answer to `initiate`: where the bytes go, and where to find them afterwards."""

    file_url: str = Field(min_length=1)
    upload_url: str = Field(pattern="^https?://", repr=False)  # signed

    def request(self, config: Config, label: str, method: str = "PUT", below: str = "") -> Request:
        """A request for that address, or for one below it, still without a body.

        Raises:
            DecodeError: No file may go there.
        """
        where = "nowhere"
        try:
            url = self._address(below)
            where = f"at {url.scheme}://{url.raw_host}"
            if may_take_upload(url, config) and re.fullmatch("[!-~]+", self.upload_url):
                return Request(
                    method=method,
                    url=url,
                    endpoint=label,
                    auth=False,
                    secrets=tuple(map(SecretStr, signatures_in(url))),
                    retry="5xx",
                )
            del url  # the frames of the error would show it
        except ValueError:
            pass
        raise DecodeError(
            f"the storage wants the file {where}, where no file may go: files go over https to a host with a name, or "
            "to a host that is named in Config",
            data=b"",  # the address may be signed
            endpoint=label,
        )

    def _address(self, below: str) -> URL:
        path, mark, query = self.upload_url.partition("#")[0].partition("?")
        return URL(f"{path}{below}{mark}{query}", encoded=True)  # quoting it again would break its signature


class _Part(BaseModel):
    """The answer to a part: how the completion names it."""

    etag: str = Field(min_length=1)


class _Sending:
    """The bytes of one file on their way to their place.

    Args:
        http: Sends the requests.
        file: The file.
        contents: Its bytes.
        place: Where they go.
        label: What to call the upload in messages.
        tell: As for `send`.
    """

    def __init__(
        self, http: Http, file: Upload, contents: Contents, place: _Place, label: str, tell: Callable[[int, int], None]
    ) -> None:
        self._http = http
        self._file = file
        self._contents = contents
        self._place = place
        self._label = label
        self._tell = tell
        self._sent = 0
        tell(0, contents.size)

    async def whole(self) -> None:
        put = self._place.request(self._http.config, self._label)
        body = _Range(0, self._contents.size)
        put.headers = {"Content-Type": self._file.content_type}
        await self._http.fetch(self._with_body(put, body))
        body.check_that_it_was_sent(self._label)

    async def parts(self) -> None:
        """All parts, several at once, and then their list, in their order."""
        count = math.ceil(self._contents.size / PART_SIZE)
        numbers = iter(range(1, count + 1))
        etags: dict[int, str] = {}

        async def work() -> None:
            for number in numbers:
                etags[number] = await self._part(number, count)

        async with FirstErrorTaskGroup() as group:
            for _ in range(min(CONCURRENT_PARTS, count)):
                group.create_task(work())
        complete = self._place.request(self._http.config, self._label, "POST", "/complete")
        parts = [{"partNumber": number, "etag": etags[number]} for number in sorted(etags)]
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        await self._http.fetch(replace(complete, headers=headers, body=encode_json({"parts": parts})))

    async def _part(self, number: int, count: int) -> str:
        label = f"{self._label}, part {number} of {count}"
        put = self._place.request(self._http.config, label, below=f"/{number}")
        start = (number - 1) * PART_SIZE
        body = _Range(start, min(PART_SIZE, self._contents.size - start))
        answer = await _answer(
            self._http,
            self._with_body(put, body),
            _Part,
            "the storage did not confirm the part; try again",
        )
        body.check_that_it_was_sent(label)
        return answer.etag

    def _with_body(self, request: Request, body: _Range) -> Request:
        def moved(gained: int) -> None:
            self._sent += gained
            self._tell(self._sent, self._contents.size)

        return replace(
            request,
            body=lambda: _Body(self._file, self._contents, body, moved),
            content_length=body.size,
            stall_timeout=STALL_LIMIT,
        )


class _Range:
    """Some bytes of a file, and how many of them have been sent.

    Attributes:
        sent: How many this attempt has sent.
        furthest: The most that any attempt has sent.
    """

    def __init__(self, start: int, size: int) -> None:
        self.start = start
        self.size = size
        self.sent = 0
        self.furthest = 0

    def check_that_it_was_sent(self, label: str) -> None:
        """No answer to bytes that are still being sent can mean that they are there."""
        if self.sent < self.size:
            message = f"the storage answered after {self.sent} of {self.size} bytes of the file; upload it again"
            raise TransportError(message, kind="cut short", endpoint=label)


class _Body:
    """The bytes of one attempt, block by block.

    It is not a generator, so an attempt that broke off leaves nothing to finalize.
    """

    def __init__(self, file: Upload, contents: Contents, part: _Range, moved: Callable[[int], None]) -> None:
        self._file = file
        self._contents = contents
        self._range = part
        self._moved = moved
        self._read = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        part = self._range
        part.sent = self._read  # a caller that comes back for more has passed on what came before
        if part.sent > part.furthest:
            gained, part.furthest = part.sent - part.furthest, part.sent
            self._moved(gained)
        if self._read >= part.size:
            raise StopAsyncIteration
        with self._file.explained():
            start = part.start + self._read
            block = await self._contents.read(start, min(BLOCK_SIZE, part.size - self._read))
            if not block:
                raise ValueError(f"it shrank from {self._contents.size} to {start} bytes in the meantime")
        self._read += len(block)
        return block


async def _answer(http: Http, request: Request, kind: type[_Answer], otherwise: str) -> _Answer:
    """The answer to a request; `otherwise` says what it means if it is not of this kind."""
    try:
        return await http.fetch_json(request, kind)
    except DecodeError as error:
        what = error.message.removeprefix(f"does not fit {kind.__name__}: ")
        fact, _, advice = otherwise.partition("; ")
        message = f"{fact}: {what}; {advice}"
    # A new error: the address in the answer may be signed, and the first error has it in its data, causes and frames.
    raise DecodeError(message, data=b"", endpoint=request.endpoint)
