"""JSON in and out: what a user passes becomes bytes, and what a model sends becomes values.

One engine, pydantic's, serves typed and untyped values: `pydantic_core.from_json` was the fastest of those measured on
real payloads of models.
"""

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from pydantic_core import PydanticSerializationError, ValidationError, from_json, to_json

from rxfal.errors import DecodeError
from rxfal.wire.masking import without_queries

if TYPE_CHECKING:
    from pydantic import BaseModel, TypeAdapter

__all__ = ["PayloadDecoder", "encode_json", "is_model"]


class PayloadDecoder:
    """Turns the bytes of one event, or of one answer, into a value.

    What pydantic's parser refuses gets a second reading by the standard library, after decoding with replacement. Other
    clients accept that much: lone surrogate escapes, invalid UTF-8, deep nesting.

    A call does both. To decode many events, call `parse`, which is pydantic's own function in Rust and saves a call
    or two per event, and then `recover` with the ValueError that it raised.

    Args:
        output: A pydantic model, or any type that `TypeAdapter` accepts. If left out: plain JSON values.
        endpoint: Where the bytes come from, for messages.
        called: What users call `output`, for messages.

    Attributes:
        parse: The first reading; raises ValueError for what it refuses.

    Raises:
        TypeError: At creation, for an `output` that is not a type, or a type that refers to unknown names.
        DecodeError: In a call or in `recover`: the bytes are not JSON, or do not fit `output`. It has the raw bytes.

    Examples:
        >>> PayloadDecoder()(b'{"output": "hi"}')
        {'output': 'hi'}
        >>> PayloadDecoder(list[int])(b'[1, "2"]')
        [1, 2]
    """

    def __init__(self, output: Any = None, *, endpoint: str | None = None, called: str = "output") -> None:
        self._output = output
        self._endpoint = endpoint
        self._adapter = adapter = None if output is None else _adapter(output, called)
        self.parse: Callable[[bytes], Any] = from_json if adapter is None else adapter.validator.validate_json

    def __call__(self, data: bytes) -> Any:
        """Decode one value.

        Args:
            data: One whole JSON text.
        """
        try:
            return self.parse(data)
        except ValueError as error:
            return self.recover(data, error)

    def recover(self, data: bytes, error: ValueError) -> Any:
        """Read what `parse` refused a second time.

        Args:
            data: What `parse` refused.
            error: What it raised.
        """
        adapter = self._adapter
        if adapter is None or not isinstance(error, ValidationError):
            return _second_reading(data, self._endpoint, error)
        if not _is_no_json(error):
            raise _misfit(error, self._output, data, self._endpoint) from error
        value = _second_reading(data, self._endpoint, error)
        try:
            return _validated(adapter, value)
        except ValidationError as misfit:
            raise _misfit(misfit, self._output, data, self._endpoint) from misfit


def _adapter(output: Any, called: str) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter  # a fifth of the time that it takes to import rxfal, and mostly not needed

    wrong = f"{called} is a pydantic model or another type, not {output!r:.80}"
    if isinstance(output, str):  # which pydantic would look up, later and elsewhere
        raise TypeError(wrong)
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(output)
        if not adapter.pydantic_complete:
            adapter.rebuild(raise_errors=True)
    except NameError as error:
        raise TypeError(f"{called} is {output!r:.80}, in which the type {error.name!r} is not defined yet") from error
    except Exception as error:  # pydantic has several for what is no type
        raise TypeError(wrong) from error
    return adapter


def _second_reading(data: bytes, endpoint: str | None, first: ValueError) -> Any:
    try:
        return json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise DecodeError(f"not JSON: {_short(data)}", data=data, endpoint=endpoint) from first


def _validated(adapter: "TypeAdapter[Any]", value: Any) -> Any:
    """Validate values of the second reading by the rules for JSON, where text may be a date and a list a tuple."""
    try:
        text = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return adapter.validate_json(text)
    except ValidationError as error:
        if not _is_no_json(error):
            raise
    except RecursionError:
        pass
    return adapter.validate_python(value)  # too deep for the parser


def _is_no_json(error: ValidationError) -> bool:
    return error.errors(include_url=False, include_context=False, include_input=False)[0]["type"] == "json_invalid"


def _misfit(error: ValidationError, output: Any, data: bytes, endpoint: str | None) -> DecodeError:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"])) or "the value"
    name = output.__name__ if isinstance(output, type) else str(output)
    return DecodeError(f"does not fit {name}: {place}: {first['msg']}", data=data, endpoint=endpoint)


def _short(data: bytes) -> str:
    return without_queries(repr(data[:80])) + (f" and {len(data) - 80} bytes more" if len(data) > 80 else "")


def is_model(value: Any) -> "TypeGuard[BaseModel]":
    """Whether a value is a pydantic model. Whoever has one has loaded what models are made of; others need not."""
    models = sys.modules.get("pydantic.main")
    return models is not None and isinstance(value, models.BaseModel)


def encode_json(value: Any, *, what: str = "input") -> bytes:
    """A value as JSON. Pydantic models in it are written by alias, and without the fields that were left unset.

    Dates, UUIDs, enums, sets and the like are written as pydantic writes them. Values that would arrive as something
    else (bytes, files, paths, NaN and the infinities) are refused, and so are iterators, which can be read only once.

    Args:
        value: What to send.
        what: What to call it in messages.

    Raises:
        TypeError: A value that JSON can't carry; the message names its place.

    Examples:
        >>> encode_json({"prompt": "a cat", "steps": 4})
        b'{"prompt":"a cat","steps":4}'
        >>> encode_json({"images": [{"url": b"..."}]})
        Traceback (most recent call last):
        ...
        TypeError: input.images[0].url is bytes, which JSON can't carry; ...
    """
    try:
        return to_json(_plain(value, what, ()))
    except (PydanticSerializationError, UnicodeEncodeError, RecursionError) as error:
        # Half a character (a lone surrogate) in a text, or thousands of levels.
        raise TypeError(f"{what} can't be written as JSON: {error}") from error


_SCALARS = (str, int, bool, type(None))


def _plain(value: Any, place: str, parents: tuple[int, ...]) -> Any:
    """The value with every leaf checked and every model dumped. `place` says where it is; `parents` finds circles."""
    if type(value) in _SCALARS:
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"{place} is {value}, which JSON can't carry; send a finite number or None")
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise _file(cast(Any, value), place)
    if id(value) in parents:
        raise TypeError(f"{place} contains itself, which JSON can't carry")
    inside = (*parents, id(value))
    if is_model(value):
        dumped: dict[str, Any] = value.model_dump(by_alias=True, exclude_unset=True)
        return {name: _plain(item, f"{place}.{name}", inside) for name, item in dumped.items()}
    if is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, Mapping):
        items = cast(Mapping[Any, Any], value).items()
        return {_name(name, place): _plain(item, f"{place}.{name}", inside) for name, item in items}
    if isinstance(value, (Sequence, set, frozenset)) and not isinstance(value, str):
        members = cast(Sequence[Any], value)
        return [_plain(item, f"{place}[{index}]", inside) for index, item in enumerate(members)]
    return _leaf(value, place)


def _name(name: Any, place: str) -> str:
    if isinstance(name, str):
        return name
    if isinstance(name, int) and not isinstance(name, bool):
        return str(name)
    raise TypeError(f"{place} has the key {name!r}, which JSON can't carry; keys are text")


def _leaf(value: Any, place: str) -> Any:
    name = type(value).__name__
    if hasattr(value, "read") or hasattr(value, "__fspath__"):
        raise _file(value, place)
    if hasattr(value, "__next__"):  # reading it for a check would leave nothing to send
        raise TypeError(f"{place} is {name}, which can be read only once; pass a list of its items: list(...)")
    try:
        return from_json(to_json(value, by_alias=True, inf_nan_mode="constants"), allow_inf_nan=False)
    except (ValueError, TypeError):
        raise TypeError(f"{place} is {name}, which JSON can't carry; send text, numbers, lists or dicts") from None


def _file(value: Any, place: str) -> TypeError:
    return TypeError(
        f"{place} is {type(value).__name__}, which JSON can't carry; upload it (auto_upload=True does so with files in "
        "the input) or send a URL"
    )
