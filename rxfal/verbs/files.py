"""What counts as a file in an input: paths, open files, bytes and images, and `File` around one of them.

How they are read is in `reading`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import IO, Any, Protocol, TypeAlias, TypeGuard

__all__ = ["File", "FileSource", "Image", "is_file", "is_image", "is_open"]


class Image(Protocol):
    """What rxfal uses of a PIL image; Pillow itself is not needed."""

    @property
    def format(self) -> str | None:
        """The file format that it was opened from, such as `JPEG`."""
        ...

    @property
    def mode(self) -> str:
        """Its kind of pixels, such as `RGB`."""
        ...

    def save(self, fp: Any, **params: Any) -> None:
        """Encode it into an open file."""
        ...


FileSource: TypeAlias = os.PathLike[str] | IO[bytes] | bytes | bytearray | memoryview | Image
"""The kinds of values that are files."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class File:
    """A file with a name and a content type of your choice.

    If you leave them out, rxfal takes the name from the path or the open file, and guesses the type from the name or
    from the first bytes.

    Args:
        data: A path, an open binary file, bytes or a PIL image.
        name: The file's name in the storage.
        content_type: Its media type, such as `image/png`.

    Examples:
        >>> File(b"RIFF....WAVE", name="hello.wav")
        File(bytes, name='hello.wav', content_type=None)
    """

    data: Any
    name: str | None = None
    content_type: str | None = None

    def __repr__(self) -> str:
        return f"File({type(self.data).__name__}, name={self.name!r}, content_type={self.content_type!r})"


def is_file(value: Any) -> TypeGuard[FileSource | File]:
    """Whether a value in an input is a file, to be replaced by its URL. Strings never are, not even paths."""
    return isinstance(value, (File, os.PathLike, bytes, bytearray, memoryview)) or is_open(value) or is_image(value)


def is_open(value: Any) -> TypeGuard[IO[bytes]]:
    """Whether a value is an open file, or can be read like one."""
    return callable(getattr(value, "read", None)) and not isinstance(value, type)


def is_image(value: Any) -> TypeGuard[Image]:
    """Whether a value is a PIL image, or can be saved like one."""
    return callable(getattr(value, "save", None)) and hasattr(value, "format") and hasattr(value, "mode")
