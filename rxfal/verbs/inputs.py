"""Inputs with files in them: found at the call, uploaded at the subscription, replaced by their URLs.

Knows how a value is walked and rebuilt, not how a file is uploaded: that is handed in.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, is_dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import PydanticSerializationError

from rxfal.wire.payload import is_model

from .files import is_file

if TYPE_CHECKING:
    from pydantic import BaseModel

    from .reading import Upload

__all__ = ["PreparedInput", "Uploaded", "transform_input"]

MAX_CONCURRENT_UPLOADS = 8
"""Per input: more would only share the same line."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A file in the storage. In an input it stands for its URL.

    Attributes:
        url: Where it is.
        name: Its name.
        content_type: Its media type.
        size: Its size in bytes.
    """

    url: str
    name: str
    content_type: str
    size: int


async def transform_input(value: Any, upload: Callable[[Upload], Awaitable[str]]) -> Any:
    """The value with every file in it uploaded and replaced by its URL.

    Dicts, lists, tuples, sets, dataclasses and pydantic models are walked and rebuilt; the value itself does not
    change. Models become dicts, by alias and without the fields that were left unset. Strings stay as they are, even
    paths and `data:` URIs. An object that appears several times is uploaded once. At most eight uploads run at the same
    time; the first that fails cancels the others and is raised.

    Args:
        value: The input.
        upload: Uploads one file and returns its URL.

    Returns:
        The value to send.

    Raises:
        OSError, ValueError, TypeError: A file can't be uploaded; raised before any upload. The message names its place.

    Examples:
        >>> async def upload(file):
        ...     return f"https://example.com/{file.name}"
        >>> asyncio.run(transform_input({"images": [{"url": b"GIF89a..."}]}, upload))
        {'images': [{'url': 'https://example.com/file.gif'}]}
    """
    return await PreparedInput(value).resolve(upload)


class PreparedInput:
    """An input whose files have been checked: a copy that later changes to the original do not affect.

    Args:
        value: The input.
        what: What to call it in messages.
        find_files: Whether to look for files at all; if not, they stay where they are.

    Attributes:
        uploads: Its files, each once, in the order in which they appear.

    Raises:
        OSError, ValueError, TypeError: A file can't be uploaded. The message names its place.

    Examples:
        >>> prepared = PreparedInput({"image": b"GIF89a...", "prompt": "a cat"})
        >>> [upload.name for upload in prepared.uploads]
        ['file.gif']
        >>> PreparedInput({"image": b""})
        Traceback (most recent call last):
        ...
        ValueError: input.image is empty: there is nothing to upload
    """

    def __init__(self, value: Any, *, what: str = "input", find_files: bool = True) -> None:
        found: dict[int, Upload] = {}

        def prepare(value: Any, place: tuple[str | int, ...]) -> Any:
            if isinstance(value, Uploaded):
                return value.url
            if not find_files or not is_file(value):
                return value
            if id(value) not in found:  # an Upload keeps its source alive, so that no other object gets this id
                from .reading import Upload  # loaded only if there are files

                found[id(value)] = Upload(value, place=_format(what, place))
            return found[id(value)]

        try:
            self._value = _rebuild(value, prepare, ())
        except RecursionError:
            raise ValueError(f"{what} contains itself, or is nested too deeply") from None
        self.uploads = tuple(found.values())
        self._what = what

    async def resolve(self, upload: Callable[[Upload], Awaitable[str]]) -> Any:
        """Upload the files, and return the value with their URLs. Each call uploads them again.

        Args:
            upload: Uploads one file and returns its URL.

        Returns:
            The value to send.

        Raises:
            TypeError: A model can't be dumped with text in place of its files.
        """
        return self.value(await _gather(self.uploads, upload))

    def value(self, urls: Mapping[Upload, str] = MappingProxyType({})) -> Any:
        """The value to send, with these URLs in place of its files. An input without files needs none.

        Raises:
            TypeError: A model can't be dumped with text in place of its files.
        """
        if not self.uploads:
            return _dump(self._value, self._what)
        of_uploads = {id(upload): urls[upload] for upload in self.uploads}

        def replace(value: Any, place: tuple[str | int, ...]) -> Any:
            return of_uploads.get(id(value), value)

        return _dump(_rebuild(self._value, replace, ()), self._what)


async def _gather(uploads: tuple[Upload, ...], upload: Callable[[Upload], Awaitable[str]]) -> dict[Upload, str]:
    from rxfal.reactive.concurrent import FirstErrorTaskGroup  # loaded only if there are files

    urls: dict[Upload, str] = {}
    slots = asyncio.Semaphore(MAX_CONCURRENT_UPLOADS)

    async def one(file: Upload) -> None:
        async with slots:
            urls[file] = await upload(file)

    async with FirstErrorTaskGroup() as group:
        for file in uploads:
            group.create_task(one(file))
    return urls


_PLAIN = frozenset({str, int, float, bool, type(None)})


def _rebuild(value: Any, leaf: Callable[[Any, tuple[str | int, ...]], Any], place: tuple[str | int, ...]) -> Any:
    """A copy of the value, with `leaf(item, place)` for everything that holds no other values."""
    if type(value) in _PLAIN:
        return value
    if is_model(value):
        return value.model_copy(
            update={name: _rebuild(item, leaf, (*place, name)) for name, item in _fields_of(value).items()}
        )
    if isinstance(value, Mapping):
        items = cast(Mapping[Any, Any], value).items()
        return {key: _rebuild(item, leaf, (*place, str(key))) for key, item in items}
    if isinstance(value, (str, Uploaded)) or is_file(value):
        return leaf(value, place)
    if isinstance(value, (Sequence, AbstractSet)):
        members = [_rebuild(item, leaf, (*place, index)) for index, item in enumerate(cast(Sequence[Any], value))]
        return tuple(members) if isinstance(value, tuple) else members
    if is_dataclass(value) and not isinstance(value, type):
        copied = copy.copy(value)  # of the same type, because a model may hold it and dump it in its own way
        for field in fields(value):
            # This works for a frozen class too.
            object.__setattr__(copied, field.name, _rebuild(getattr(value, field.name), leaf, (*place, field.name)))
        return copied
    return leaf(value, place)


def _fields_of(model: BaseModel) -> dict[str, Any]:
    """The values that a dump of the model would show: extras, and fields that were set and are not excluded."""
    from pydantic import RootModel  # loaded only if there are models

    if isinstance(model, RootModel):
        return {"root": cast(RootModel[Any], model).root}
    fields = type(model).model_fields
    return {
        name: getattr(model, name)
        for name in (*fields, *(model.model_extra or ()))
        if name in model.model_fields_set and not (name in fields and fields[name].exclude)
    }


def _dump(value: Any, place: str) -> Any:
    """The rebuilt value with models and dataclasses as dicts. What JSON can't carry stays, to be named in an error."""
    if is_model(value):
        try:
            # Without warnings: a field declared as a path or as bytes now holds a URL, as intended.
            return value.model_dump(by_alias=True, exclude_unset=True, warnings=False)
        except PydanticSerializationError as error:
            raise TypeError(
                f"{place}: {type(value).__name__} can't be dumped with URLs in place of its files: {error}"
            ) from error
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, dict):
        return {key: _dump(item, f"{place}.{key}") for key, item in cast(dict[Any, Any], value).items()}
    if isinstance(value, (list, tuple)):
        members = [_dump(item, f"{place}[{index}]") for index, item in enumerate(cast(list[Any], value))]
        return members if isinstance(value, list) else tuple(members)
    return value


def _format(what: str, place: tuple[str | int, ...]) -> str:
    return what + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
