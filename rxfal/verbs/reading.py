"""How the bytes of a file are read: a path, an open file, bytes or an image, checked, named and typed.

It never loads a whole file into memory that was not there already (but images are encoded in memory).
"""

from __future__ import annotations

import asyncio
import errno
import inspect
import mimetypes
import os
import stat
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from rxfal.errors import FalError

from .files import File, is_image, is_open
from .locks import lock_of
from .pictures import Picture

__all__ = ["BLOCK_SIZE", "Contents", "Upload"]

BLOCK_SIZE = 256 * 1024
"""Bytes read at a time: enough that the thread hop costs little, and few enough for progress worth showing."""

_HEAD_SIZE = 16


@dataclass(frozen=True, slots=True)
class Contents:
    """An opened file: how many bytes it holds, and a coroutine function `read(offset, count)`."""

    size: int
    read: Callable[[int, int], Awaitable[bytes]]


class Upload:
    """One file, checked at the call, that can be read any number of times.

    Args:
        source: A path, an open binary file, bytes, a PIL image, or a `File` around one of them.
        name: Its name; takes precedence over a `File`'s.
        content_type: Its media type; takes precedence over a `File`'s.
        place: Where the value is, for messages.

    Attributes:
        source: The value it was made from.
        name: The file's name.
        content_type: Its media type.
        read: Reads the whole file; it blocks, and raises what reading a file raises.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: A path that can't be read.
        ValueError: The file is empty, closed or can't be read twice, or the content type is not one.
        TypeError: The file is open in text mode, or it is not a file.

    Examples:
        >>> upload = Upload(b"%PDF-1.7 ...")
        >>> upload.name, upload.content_type
        ('file.pdf', 'application/pdf')
    """

    def __init__(
        self, source: Any, *, name: str | None = None, content_type: str | None = None, place: str = "file"
    ) -> None:
        self.source = source
        if isinstance(source, File):
            name = source.name if name is None else name
            content_type = source.content_type if content_type is None else content_type
            source = source.data
        found = _find(source, place)
        own_name = _base_name(name or found.name or "")
        self.content_type = (
            _checked_type(content_type, place) or found.content_type or _guess_type(own_name, found.head)
        )
        self.name = own_name or "file" + (mimetypes.guess_extension(self.content_type, strict=False) or ".bin")
        self._open = found.open
        self.read = found.read

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Contents]:
        """Open the file for the block. Its size is taken now.

        Raises:
            FalError: It can no longer be opened.
        """
        with self.explained():
            opening = self._open()
            contents = await opening.__aenter__()
            if contents.size <= 0:
                await opening.__aexit__(None, None, None)
                raise ValueError("it has become empty in the meantime")
        try:
            yield contents
        finally:
            await opening.__aexit__(None, None, None)

    @contextmanager
    def explained(self) -> Generator[None]:
        """A failure while the file is opened or read becomes a `FalError` that names the file."""
        try:
            yield
        except FalError:
            raise
        except Exception as error:  # OSError mostly, ValueError from a closed file, anything from an image's codec
            raise FalError(f"{self.name} could not be read for the upload: {error}") from error


@dataclass(frozen=True, slots=True)
class _Found:
    """What rxfal found out about a file: its name, its first bytes, how to open it, how to read it, and its type."""

    name: str | None
    head: bytes
    open: Callable[[], AbstractAsyncContextManager[Contents]]
    read: Callable[[], bytes]
    content_type: str | None = None


def _find(source: Any, place: str) -> _Found:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _find_bytes(cast(Any, source), place)
    if isinstance(source, os.PathLike):
        return _find_path(Path(os.fsdecode(cast(os.PathLike[Any], source))), place)
    if is_open(source):
        return _find_open_file(source, place)
    if isinstance(source, Picture):
        return _find_image(source)
    if is_image(source):
        return _find_image(Picture.of(source))
    raise TypeError(
        f"{place} is {type(source).__name__}, not a file: pass a path, a file open in mode 'rb', bytes or a PIL image"
    )


def _find_bytes(data: bytes | bytearray | memoryview[Any], place: str) -> _Found:
    view = memoryview(data)
    if not view.nbytes:
        raise ValueError(f"{place} is empty: there is nothing to upload")
    if not view.c_contiguous:
        view = memoryview(view.tobytes())
    head = bytes(view.cast("B")[:_HEAD_SIZE])
    view.release()  # as long as a view exists, its owner can't resize a bytearray

    @asynccontextmanager
    async def open_bytes() -> AsyncGenerator[Contents]:
        with memoryview(data) as given:
            owned = given if given.c_contiguous else memoryview(given.tobytes())
            with owned.cast("B") as content:

                async def read(offset: int, count: int) -> bytes:
                    return bytes(content[offset : offset + count])

                yield Contents(content.nbytes, read)

    return _Found(None, head, open_bytes, lambda: memoryview(data).tobytes())


def _find_path(path: Path, place: str) -> _Found:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "is a directory, not a file", str(path))
        if not stat.S_ISREG(mode):  # opening a pipe would wait for its writer
            raise ValueError(f"{place}: {str(path)!r} is not a regular file; read it and pass its bytes")
        with path.open("rb") as file:
            head = file.read(_HEAD_SIZE)
    except OSError as error:
        raise type(error)(error.errno, f"{place}: {error.strerror}", str(path)) from None
    if not head:
        raise ValueError(f"{place}: {str(path)!r} is empty: there is nothing to upload")

    @asynccontextmanager
    async def open_path() -> AsyncGenerator[Contents]:
        with path.open("rb") as file:
            yield _seeking(file, 0)

    return _Found(path.name, head, open_path, path.read_bytes)


def _find_open_file(file: IO[bytes], place: str) -> _Found:
    if getattr(file, "closed", False):
        raise ValueError(f"{place} is a closed file")
    if inspect.iscoroutinefunction(file.read):
        raise TypeError(f"{place} is an async file ({type(file).__name__}); pass the plain file or the bytes in it")
    try:
        with _unmoved(file):
            start = file.tell()
            head: Any = file.read(_HEAD_SIZE)
    except (OSError, AttributeError) as error:  # io.UnsupportedOperation is an OSError
        raise ValueError(
            f"{place} is a file that can't be read or that can't seek, such as a pipe ({error}); "
            "pass the bytes that it holds"
        ) from error
    if not isinstance(head, bytes):
        raise TypeError(f"{place} is a file that reads {type(head).__name__}, not bytes; open it with mode 'rb'")
    if not head:
        raise ValueError(f"{place} is a file with nothing left to read from its position (byte {start}); try seek(0)")

    @asynccontextmanager
    async def open_file() -> AsyncGenerator[Contents]:
        yield _seeking(file, start)

    def read() -> bytes:
        with _unmoved(file):
            file.seek(start)
            return file.read()

    name = getattr(file, "name", None)
    return _Found(name if isinstance(name, str) else None, head, open_file, read)


def _find_image(picture: Picture) -> _Found:
    @asynccontextmanager
    async def open_image() -> AsyncGenerator[Contents]:
        async with _find_bytes(await asyncio.to_thread(picture.encode), "the image").open() as contents:
            yield contents

    ending = ".jpg" if picture.format == "JPEG" else mimetypes.guess_extension(picture.content_type, strict=False)
    return _Found(f"image{ending or '.bin'}", b"", open_image, picture.encode, picture.content_type)


def _seeking(file: IO[bytes], start: int) -> Contents:
    with _unmoved(file):
        size = file.seek(0, os.SEEK_END) - start

    def read(offset: int, count: int) -> bytes:
        with _unmoved(file):
            file.seek(start + offset)
            return file.read(count)

    async def read_in_thread(offset: int, count: int) -> bytes:
        return await asyncio.to_thread(read, offset, count)

    return Contents(size, read_in_thread)


@contextmanager
def _unmoved(file: IO[bytes]) -> Generator[None]:
    """The file for us alone, and then back at its position: its owner and other uploads see no difference."""
    with lock_of(file):
        position = file.tell()
        try:
            yield
        finally:
            file.seek(position)


def _base_name(name: str) -> str:
    base = PurePosixPath(name.replace("\\", "/")).name
    return "".join(c for c in base if c.isprintable()).encode("utf-8", "replace").decode()


def _checked_type(content_type: str | None, place: str) -> str | None:
    if content_type is None:
        return None
    kind, slash, rest = content_type.partition("/")
    if not (kind and slash and rest and content_type.isascii() and content_type.isprintable()) or " " in kind:
        raise ValueError(f"{place}: content_type is a media type such as 'image/png', not {content_type!r}")
    return content_type


def _guess_type(name: str, head: bytes) -> str:
    guessed, encoding = mimetypes.guess_type(name, strict=False)
    if encoding is not None:  # `notes.txt.gz` is not text
        return "application/gzip" if encoding == "gzip" else "application/octet-stream"
    return guessed or _sniff_type(head) or "application/octet-stream"


_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
)
_RIFF_KINDS = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}


def _sniff_type(head: bytes) -> str | None:
    if head[:4] == b"RIFF":
        return _RIFF_KINDS.get(head[8:12])
    if head[4:8] == b"ftyp":
        return "video/mp4"
    return next((kind for beginning, kind in _BEGINNINGS if head.startswith(beginning)), None)
