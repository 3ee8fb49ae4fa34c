"""The way of a file from a URL or a data URI into memory or onto the disk.

How it comes over HTTP is in `rxfal.wire.receiving`, what is downloaded in `sources`, and where it goes in `targets`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rxfal.errors import BodyTooLargeError, DecodeError, FalError
from rxfal.reactive.progress import ProgressStream
from rxfal.reactive.reader import Sink
from rxfal.wire.http import Http
from rxfal.wire.receiving import Head, receive, request_for

from .data_uris import DataUri
from .part_file import PartFile, check_that_it_is_free
from .sources import Source, label_of
from .targets import Target, Template, numbered

__all__ = ["DownloadProgress", "DownloadStream", "Downloaded", "Downloads"]

_WRITE_SIZE = 2**20  # bytes that are collected before a thread writes them


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """How far the download of a file is.

    Attributes:
        received: Bytes of the file so far. It goes back to 0 if the file has to be started over.
        total: Bytes in the whole file; None if the server does not say.
    """

    received: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that was downloaded.

    Attributes:
        url: The URL or data URI that it came from.
        path: Where it is; None if it was not saved.
        data: Its bytes; None if it was saved.
        content_type: Its media type, without parameters.
        size: Its size in bytes.
    """

    url: str
    path: Path | None
    data: bytes | None = field(repr=False)
    content_type: str
    size: int

    def __repr__(self) -> str:
        url = self.url if len(self.url) <= 200 else f"{self.url[:199]}…"  # a data URI is as long as its file
        return f"Downloaded({url!r}, path={self.path!r}, content_type={self.content_type!r}, size={self.size})"


class DownloadStream(ProgressStream[DownloadProgress, Downloaded]):
    """The progress of a download, and each file when it is there; `await` and `run()` return the last one."""


class Downloads:
    """The files of one call of `download`, checked when it is made.

    Args:
        http: Sends the requests.
        sources: What to download.
        template: Where to; None for into memory.
        overwrite: Whether a file may take the place of another.

    Raises:
        FileExistsError: A place that is known already is taken.
    """

    def __init__(self, http: Http, sources: list[Source], template: Template | None, *, overwrite: bool) -> None:
        self._http = http
        self._sources = sources
        self._template = template
        self._overwrite = overwrite
        self._check_known_places()

    def _check_known_places(self) -> None:
        template, places = self._template, _Places()
        if template is None:
            return
        for index, source in enumerate(self._sources):
            if template.needs_name and not isinstance(source, DataUri):
                return  # its name, and so the numbers of later ones, are in the answer
            place = places.take(template.path(index, Target(source)))
            if not self._overwrite:
                check_that_it_is_free(place)

    async def read(self, sink: Sink[Any]) -> None:
        """Download one file after the other."""
        places = _Places()
        for index, source in enumerate(self._sources):
            if sink.gate.closed:
                await sink.gate.wait()
            sink.on_next(await self._one(index, source, places, sink))

    async def _one(self, index: int, source: Source, places: _Places, sink: Sink[Any]) -> Downloaded:
        def tell(received: int, total: int | None, *, last: bool) -> None:
            if last or not sink.gate.closed:
                sink.on_next(DownloadProgress(received, total))

        label = label_of(source)
        if self._template is None:
            into: _Into = _Memory(tell, label, self._http.config.max_body_size)
        else:
            template = self._template

            def place_for(target: Target) -> PartFile:
                path = places.take(template.path(index, target))
                return PartFile(path, overwrite=self._overwrite)

            into = _Disk(tell, label, source, place_for)
        try:
            if isinstance(source, DataUri):
                await _decode(source, into, label)
            else:
                await receive(self._http, request_for(source.url, label), into)
            await into.flush()
            into.tell(last=True)
            await asyncio.sleep(0)  # a subscriber that disposed just now is not left with a file
            return await into.finish(source)
        finally:
            into.close()


async def _decode(uri: DataUri, into: _Into, label: str) -> None:
    try:
        data = await asyncio.to_thread(uri.decode)
    except ValueError as error:
        raise DecodeError(f"its data can't be decoded: {error}", data=b"", endpoint=label) from None
    await into.begin(Head({}, uri.content_type, len(data)))
    await into.take(data)


class _Places:
    """The places of one subscription's files: no two files get the same."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, wished: Path) -> Path:
        path, number = wished, 1
        while str(path).casefold() in self._taken:  # some file systems take Cat.png and cat.png for one name
            number += 1
            path = numbered(wished, number)
        self._taken.add(str(path).casefold())
        return path


class _Into:
    """Where the bytes of one file go, and the telling of how many there are.

    Args:
        tell: Told the bytes so far and the bytes in all.
        label: What to call the download in messages.
    """

    def __init__(self, tell: Callable[..., None], label: str) -> None:
        self._tell = tell
        self.label = label
        self.content_type = ""
        self.size = 0
        self._total: int | None = None

    async def begin(self, head: Head) -> None:
        """The file begins; a second time if it had to be started over."""
        self.content_type, self._total, self.size = head.content_type, head.total, 0
        self.tell()

    async def take(self, chunk: bytes) -> None:
        """The next bytes."""
        self.size += len(chunk)
        if self.size != self._total:  # the last step is told when the file is whole
            self.tell()

    def tell(self, *, last: bool = False) -> None:
        self._tell(self.size, self._total, last=last)

    async def flush(self) -> None:
        """All bytes have come."""

    async def finish(self, source: Source) -> Downloaded:
        """The file is whole."""
        raise NotImplementedError

    def close(self) -> None:
        """Leave nothing behind that is not whole."""


class _Memory(_Into):
    def __init__(self, tell: Callable[..., None], label: str, most: int) -> None:
        super().__init__(tell, label)
        self._most = most
        self._data = bytearray()

    async def begin(self, head: Head) -> None:
        self._check(head.total or 0)
        self._data.clear()
        await super().begin(head)

    async def take(self, chunk: bytes) -> None:
        self._check(self.size + len(chunk))
        self._data += chunk
        await super().take(chunk)

    def _check(self, size: int) -> None:
        if size > self._most:
            raise BodyTooLargeError(self._most, endpoint=self.label)

    async def finish(self, source: Source) -> Downloaded:
        return Downloaded(source.text, None, bytes(self._data), self.content_type, self.size)


class _Disk(_Into):
    def __init__(
        self, tell: Callable[..., None], label: str, source: Source, place_for: Callable[[Target], PartFile]
    ) -> None:
        super().__init__(tell, label)
        self._source = source
        self._place_for = place_for
        self._file: PartFile | None = None
        self._waiting = bytearray()

    async def begin(self, head: Head) -> None:
        self._waiting.clear()
        with self._explained():
            if self._file is None:
                self._file = self._place_for(Target(self._source, head.content_type, head.headers))
            else:
                self._file.restart()
        await super().begin(head)

    async def take(self, chunk: bytes) -> None:
        self._waiting += chunk
        if len(self._waiting) >= _WRITE_SIZE:
            await self.flush()
        await super().take(chunk)

    async def flush(self) -> None:
        waiting, self._waiting = self._waiting, bytearray()
        assert self._file is not None
        with self._explained():
            await asyncio.to_thread(self._file.write, waiting)

    async def finish(self, source: Source) -> Downloaded:
        assert self._file is not None
        with self._explained():
            if self._file.overwrite:
                await asyncio.to_thread(self._file.finish)
            else:
                self._file.finish()
        return Downloaded(source.text, self._file.path, None, self.content_type, self.size)

    def close(self) -> None:
        if self._file is not None:
            self._file.discard()

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except FileExistsError:
            raise
        except (OSError, RuntimeError) as error:  # RuntimeError: the program ends, and starts no more threads
            raise FalError(f"it could not be saved: {error}", endpoint=self.label) from error
