"""Where downloaded files go: a file, a folder or a template, and names that can't lead anywhere else.

Pure functions over texts; the only look at the disk is whether a path is a folder.
"""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Mapping
from email.message import Message
from pathlib import Path, PurePosixPath
from string import Formatter
from types import MappingProxyType
from urllib.parse import unquote

from .data_uris import DataUri
from .sources import Source

__all__ = ["Target", "Template", "numbered"]

_FIELDS = ("index", "name", "ext", "request_id")
_LONGEST = 150  # bytes of a name before its ending; file systems take 255 in all
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,10}")
_NOT_IN_A_NAME = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # on Windows
_ENDINGS = {
    "audio/aac": ".aac",
    "audio/flac": ".flac",
    "audio/mp4": ".m4a",
    "audio/ogg": ".ogg",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "image/avif": ".avif",
    "image/jpg": ".jpg",
    "image/webp": ".webp",
    "model/gltf-binary": ".glb",
    "text/plain": ".txt",
    "video/webm": ".webm",
}  # what the standard library does not know, or not on every system


class Target:
    """The name that a file would like to have.

    Attributes:
        name: Without its ending.
        ext: The ending, with its dot; empty if it has none.
    """

    def __init__(
        self, source: Source, content_type: str = "", headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        if isinstance(source, DataUri):
            wish, content_type = "", source.content_type
        else:
            wish = _safe(_disposition(headers) or unquote(PurePosixPath(source.url.raw_path).name))
        name, ext = _split(wish)
        self.name = name or "file"
        self.ext = ext or _ending_of(content_type)


class Template:
    """What `to` says, checked at the call.

    Args:
        to: A path; a folder, which is one or ends in a slash; or a template.
        count: How many files there are.
        request_id: The id of the request that made them, if it is known.

    Attributes:
        needs_name: Whether the place of a file depends on its name.

    Raises:
        TypeError, ValueError: It makes no sense, or does not suffice for so many files.

    Examples:
        >>> template = Template("out/{request_id}/{index}{ext}", 2, "abc")
        >>> from rxfal.verbs.sources import sources_in
        >>> (source,), _ = sources_in("https://v3.fal.media/files/cat.png")
        >>> str(template.path(1, Target(source)))
        'out/abc/1.png'
    """

    def __init__(self, to: str | os.PathLike[str], count: int, request_id: str | None) -> None:
        text = os.fspath(to)
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"to is a path, a text such as 'out/', not {type(text).__name__}")
        if not text or "\x00" in text:
            raise ValueError(f"to is a path, and {text!r} can't be one")
        if Path(text).is_dir():
            text = text.replace("{", "{{").replace("}", "}}").rstrip("/" + os.sep) + "/{name}{ext}"
        elif text.endswith(("/", os.sep)):
            text += "{name}{ext}"
        self._text = text
        self._request_id = None if request_id is None else _safe(request_id)
        fields = _fields_of(text)
        if "request_id" in fields and not self._request_id:
            raise ValueError(f"to is {text!r}, but the source has no request_id; a Completed has one")
        if count > 1 and not fields & {"index", "name"}:
            raise ValueError(
                f"there are {count} files, and {text!r} is one place; make it a folder, or a template with "
                "{index}, as 'out/{index}{ext}'"
            )
        self.needs_name = not fields.isdisjoint({"name", "ext"})

    def path(self, index: int, target: Target | None = None) -> Path:
        """The place of one file.

        Args:
            index: Its number, from 0.
            target: Its name; it can be left out if `needs_name` is false.
        """
        name, ext = ("", "") if target is None else (target.name, target.ext)
        return Path(self._text.format(index=index, name=name, ext=ext, request_id=self._request_id))


def numbered(path: Path, number: int) -> Path:
    """The path with a number in its name, for a second file of that name.

    Examples:
        >>> str(numbered(Path("out/cat.png"), 2))
        'out/cat-2.png'
    """
    return path.with_name(f"{path.stem}-{number}{path.suffix}")


def _fields_of(template: str) -> set[str]:
    try:
        fields = {field for _, field, _, _ in Formatter().parse(template) if field is not None}
        if strange := fields.difference(_FIELDS):
            raise ValueError(f"{{{min(strange)}}} is no field")
        template.format(index=0, name="", ext="", request_id="")
    except ValueError as error:
        raise ValueError(
            f"to is {template!r}, which is no template ({error}): its fields are {{index}}, {{name}}, {{ext}} and "
            "{request_id}; write a brace that is part of the name twice"
        ) from None
    return fields


def _safe(name: str) -> str:
    r"""A name that can be a file's on every system, and nothing but that; empty if nothing is left of it.

    Examples:
        >>> _safe("../../.bashrc"), _safe("a\\b:c.png"), _safe("NUL.txt"), _safe("..")
        ('bashrc', 'b_c.png', '_NUL.txt', '')
    """
    name = PurePosixPath(name.replace("\\", "/")).name
    name = "".join(c for c in _NOT_IN_A_NAME.sub("_", name) if c.isprintable())
    name = name.encode("utf-8", "ignore").decode().strip(" .")
    stem, ending = _split(name)
    name = stem.encode()[:_LONGEST].decode("utf-8", "ignore") + ending
    return f"_{name}" if _RESERVED.fullmatch(name) else name


def _split(name: str) -> tuple[str, str]:
    """A name before its ending, and the ending with its dot, if it has one that looks like one."""
    path = PurePosixPath(name)
    return (path.stem, path.suffix) if _ENDING.fullmatch(path.suffix) else (name, "")


def _disposition(headers: Mapping[str, str]) -> str:
    """The file's name in `Content-Disposition` (RFC 6266)."""
    message = Message()
    value = headers.get("Content-Disposition", "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    message["Content-Disposition"] = value
    try:
        return message.get_filename("")
    except (ValueError, LookupError):  # an encoding that there is not, or a broken escape
        return ""


def _ending_of(content_type: str) -> str:
    return _ENDINGS.get(content_type) or mimetypes.guess_extension(content_type, strict=False) or ""
