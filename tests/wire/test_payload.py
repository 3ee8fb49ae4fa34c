"""JSON in and out."""

import enum
import io
import math
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, Field

from rxfal.errors import DecodeError
from rxfal.wire.payload import PayloadDecoder, encode_json


class Image(BaseModel):
    url: str
    width: int = Field(default=8, alias="imageWidth")
    note: str | None = None


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"0", 0),
        (b'""', ""),
        (b"false", False),
        (b"null", None),
        (b"[]", []),
        (b' {"a": [1, 2.5, "\xc3\xbc"]} ', {"a": [1, 2.5, "ü"]}),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"half \\ud83d"', "half \ud83d"),
        (b'"\xff"', "\ufffd"),
        (b"Infinity", math.inf),
    ],
)
def test_json_is_decoded_and_what_others_accept_too(data: bytes, value: Any):
    assert PayloadDecoder()(data) == value


def test_deep_nesting_gets_a_second_reading():
    data = b"[" * 400 + b"]" * 400
    value = PayloadDecoder()(data)
    assert PayloadDecoder(Any)(data) == value
    assert isinstance(value, list)


class Unfinished(BaseModel):
    later: "Later"  # noqa: F821  # pyright: ignore[reportUndefinedVariable]


@pytest.mark.parametrize("output", ["Image", "int", 5, [int], {"url": str}, print])
def test_what_is_no_type_is_refused_when_the_decoder_is_made(output: Any):
    with pytest.raises(TypeError, match="output is a pydantic model or another type, not "):
        PayloadDecoder(output)


@pytest.mark.parametrize("output", [list["Later"], Unfinished])  # noqa: F821  # pyright: ignore[reportUndefinedVariable]
def test_a_type_with_a_name_that_is_not_known_is_refused_when_the_decoder_is_made(output: Any):
    with pytest.raises(TypeError, match="the type 'Later' is not defined yet"):
        PayloadDecoder(output)


@pytest.mark.parametrize("data", [b"", b"{", b"[DONE]", b"nope", b"{'a': 1}", b"1 2", b"[" * 100_000, b"\xff\xfe"])
@pytest.mark.parametrize("output", [None, Any, Image])
def test_what_is_no_json_is_a_decode_error_with_the_data(data: bytes, output: Any):
    with pytest.raises(DecodeError, match=r"^owner/alias: not JSON") as caught:
        PayloadDecoder(output, endpoint="owner/alias")(data)
    assert caught.value.data == data
    assert isinstance(caught.value.__cause__, ValueError)
    assert len(str(caught.value)) < 500


def test_a_type_is_validated_from_the_bytes():
    assert PayloadDecoder(Image)(b'{"url": "u", "imageWidth": "9"}') == Image(url="u", imageWidth=9)
    assert PayloadDecoder(tuple[int, datetime])(b'[1, "2024-01-01T00:00:00Z"]') == (
        1,
        datetime(2024, 1, 1, tzinfo=UTC),
    )


def test_a_second_reading_follows_the_same_rules():
    decode = PayloadDecoder(tuple[str, datetime])
    assert decode(b'["a\\ud83d\xff", "2024-01-01T00:00:00Z"]') == ("a\ufffd\ufffd", datetime(2024, 1, 1, tzinfo=UTC))
    with pytest.raises(DecodeError, match="does not fit"):
        decode(b'["\xff", "no date"]')


def test_what_does_not_fit_says_where():
    with pytest.raises(DecodeError, match="does not fit Image: url: Field required") as caught:
        PayloadDecoder(Image)(b'{"x": 1}')
    assert caught.value.data == b'{"x": 1}'
    assert caught.value.__cause__ is not None
    with pytest.raises(DecodeError, match=r"does not fit list\[int\]: 1: "):
        PayloadDecoder(list[int])(b'[1, "x"]')


class Colour(enum.Enum):
    RED = "red"


class Name(enum.StrEnum):
    A = "a"


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Box:
    corner: Point
    image: Any = None


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (None, b"null"),
        ({"a": [1, 2.5, "ü", True, None]}, '{"a":[1,2.5,"ü",true,null]}'.encode()),
        ((1, 2), b"[1,2]"),
        ({1: "x"}, b'{"1":"x"}'),
        (Colour.RED, b'"red"'),
        ([Name.A], b'["a"]'),
        (Point(1, 2), b"[1,2]"),
        (Box(Point(1, 2)), b'{"corner":[1,2],"image":null}'),
        (uuid.UUID(int=0), b'"00000000-0000-0000-0000-000000000000"'),
        (datetime(2024, 1, 1, tzinfo=UTC), b'"2024-01-01T00:00:00Z"'),
        (Decimal("1.50"), b'"1.50"'),
        ({"s": {3}}, b'{"s":[3]}'),
        (2**70, b"1180591620717411303424"),
    ],
)
def test_values_are_written(value: Any, data: bytes):
    assert encode_json(value) == data


def test_models_are_written_by_alias_without_what_was_left_unset():
    assert encode_json({"image": Image(url="u", imageWidth=9)}) == b'{"image":{"url":"u","imageWidth":9}}'
    assert encode_json([Image(url="u")]) == b'[{"url":"u"}]'


class Holder(BaseModel):
    image: Any


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"images": [{"url": b"x"}]}, "input.images[0].url is bytes"),
        ({"a": bytearray(b"x")}, "input.a is bytearray"),
        ({"a": (1, memoryview(b"x"))}, "input.a[1] is memoryview"),
        (Path("x"), "input is PosixPath"),
        ({"a": io.BytesIO()}, "input.a is BytesIO"),
        (Holder(image=[b"x"]), "input.image[0] is bytes"),
        (Box(Point(0, 0), image=b"x"), "input.image is bytes"),
        ({"a": math.nan}, "input.a is nan"),
        ([math.inf], "input[0] is inf"),
        ({"a": object()}, "input.a is object"),
        ({"a": [lambda: 1]}, "input.a[0] is function"),
        ({("a",): 1}, "input has the key ('a',)"),
        ({True: 1}, "input has the key True"),
        ({"a": "\ud83d"}, "input can't be written"),
        ({"a": [(n for n in (1, 2))]}, "input.a[0] is generator, which can be read only once; pass a list"),
        ({"a": iter([1])}, "input.a is list_iterator, which can be read only once; pass a list"),
        ({"a": map(str, [1])}, "input.a is map, which can be read only once; pass a list"),
        (Holder(image=(n for n in (1, 2))), "input.image is SerializationIterator, which can be read only once"),
    ],
)
def test_what_json_can_not_carry_names_its_place(value: Any, place: str):
    with pytest.raises(TypeError) as caught:
        encode_json(value)
    assert str(caught.value).startswith(place)


def test_a_refused_iterator_is_left_unread():
    numbers = (n for n in (1, 2))
    with pytest.raises(TypeError):
        encode_json({"numbers": numbers})
    assert list(numbers) == [1, 2]


def test_a_circle_is_named():
    circle: list[Any] = []
    circle.append({"again": circle})
    with pytest.raises(TypeError, match=r"input\[0\]\.again contains itself"):
        encode_json(circle)
    shared = [1]
    assert encode_json([shared, shared]) == b"[[1],[1]]"


def test_thousands_of_levels_are_a_type_error():
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(TypeError):
        encode_json(deep)
