"""`partial_json`: growing values of a growing text, twins of models on the way, and the model itself at the end."""

from __future__ import annotations

import dataclasses
import enum
import gc
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any, Generic, Literal, NewType, Optional, TypeVar

import pydantic.dataclasses
import pytest
import reactivex as rx
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from reactivex.subject import Subject
from typing_extensions import TypedDict

from rxfal import operators as ops
from rxfal.errors import DecodeError
from rxfal.reactive.iterate import iterate
from rxfal.reactive.stream import create, from_observable
from tests.reactive.sources import Counter, Log, spin
from tests.reactive.virtual_time import cold, on_completed, on_error, on_next, play


def shown(texts: Sequence[Any], model: Any = None) -> list[Any]:
    log = Log()
    rx.from_iterable(texts).pipe(ops.partial_json(model)).subscribe(*log.callbacks)
    (end,) = log.ends
    return log.items if end == "completed" else [*log.items, end]


def typed(text: str, model: Any = None) -> list[Any]:
    """What is shown of a text that comes character by character."""
    return shown([text[:end] for end in range(1, len(text) + 1)], model)


def plain(values: list[Any]) -> list[Any]:
    """Without the fields that are None, to be read."""
    return [value.model_dump(exclude_none=True) if isinstance(value, BaseModel) else value for value in values]


# Without a model.


def test_values_grow_and_each_comes_once():
    assert typed('Sure: {"a": "bc", "n": 12}!') == [
        {},
        {"a": ""},
        {"a": "b"},
        {"a": "bc"},
        {"a": "bc", "n": 12},
    ]


def test_a_value_comes_when_it_has_changed():
    source = cold(
        on_next(10, "Here"),
        on_next(20, 'Here: {"a"'),
        on_next(30, 'Here: {"a": 1'),
        on_next(40, 'Here: {"a": 1}'),
        on_next(50, 'Here: {"a": 1} ok'),
        on_completed(60),
    )
    seen = play(lambda ops, s, x: x.pipe(ops.partial_json()), source, streams=True)
    assert seen.messages == [(220, "next", {}), (240, "next", {"a": 1}), (260, "completed", None)]


def test_the_whole_text_in_one_item():
    assert shown(['```json\n{"a": [1, 2]}\n```']) == [{"a": [1, 2]}]


def test_an_error_of_the_source_goes_on():
    seen = play(lambda ops, s, x: x.pipe(ops.partial_json()), cold(on_next(10, '["a'), on_error(20, "broken")))
    assert seen.messages == [(210, "next", ["a"]), (220, "error", "broken")]


def test_a_text_that_does_not_begin_with_the_one_before_is_read_anew():
    assert shown(['{"a": "x', '{"b": ', '{"b": 1}']) == [{"a": "x"}, {}, {"b": 1}]
    assert shown(["[1]", "none", '{"b": 1}']) == [[1], {"b": 1}]


@pytest.mark.parametrize("model", [None, dict[str, Any]], ids=["plain", "with a model"])
@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "no JSON object or array in the text: there is none"),
        ([""], "no JSON object or array in the text: there is none"),
        (["Sorry, I can't."], 'no JSON object or array in the text: "Sorry, I can\'t."'),
        (["x" * 100], f"no JSON object or array in the text: '{'x' * 80}' and 20 characters more"),
        (["{not json}"], "no JSON object or array in the text: '{not json}'"),
        (["well {"], "no JSON object or array in the text: 'well {'"),
        (['so: {"a": "b'], "the JSON in the text is cut off after 8 characters. If the model reached its limit of"),
        (['{"a": 1}', "none"], "no JSON object or array in the text: 'none'"),
    ],
)
def test_a_text_without_a_whole_value_is_an_error_at_the_end(model: Any, texts: list[str], message: str):
    *_, error = shown(texts, model)
    assert isinstance(error, DecodeError)
    assert str(error).startswith(message)
    assert error.data == (texts or [""])[-1].encode()
    assert error.endpoint is None


def test_the_error_names_the_endpoint_of_the_stream():
    async def read(sink: Any) -> None:
        sink.on_next('{"output": "')

    stream = create(read, name="fal-ai/any-llm")
    for model in (None, dict[str, Any]):
        with pytest.raises(DecodeError, match=r"^fal-ai/any-llm: the JSON"):
            stream.pipe(ops.partial_json(model)).run()
    with pytest.raises(DecodeError, match=r"^fal-ai/any-llm: does not fit list"):
        stream.map(lambda _: "[[]]").pipe(ops.partial_json(list[int])).run()


def test_a_text_of_half_characters_is_an_error_that_can_be_written():
    *_, error = shown(["\ud83d no \ud83d"])
    assert isinstance(error, DecodeError)
    assert error.data == "\ufffd no ".encode()


@pytest.mark.parametrize("streams", [False, True])
def test_what_is_no_text_is_an_error_that_says_what_to_do(streams: bool):
    source, log = Subject[Any](), Log()
    (from_observable(source) if streams else source).pipe(ops.partial_json()).subscribe(*log.callbacks)
    source.on_next('{"a')
    source.on_next({"output": "two"})
    assert log.items == [{}]
    assert [type(end) for end in log.ends] == [TypeError]
    assert str(log.ends[0]) == "partial_json takes texts so far, not dict: put ops.text() before it"


def test_a_dispose_inside_on_next_is_the_end():
    source, seen = Subject[str](), list[Any]()
    from_observable(source).pipe(ops.partial_json(), ops.do_action(seen.append), ops.take(1)).subscribe()
    source.on_next('["a')
    source.on_next('["ab"]')
    source.on_completed()
    assert seen == [["a"]]


async def test_a_slow_consumer_pauses_the_source():
    counter = Counter(10**9)
    stream = counter.stream.pipe(ops.map(lambda n: f"[{n}]"), ops.partial_json())
    items = iterate(stream, buffer_size=4)
    assert await anext(items) == [0]
    await spin()
    assert counter.produced <= 6
    assert [await anext(items) for _ in range(50)] == [[n] for n in range(1, 51)]
    await items.aclose()


def test_behind_the_text_of_a_model():
    events = [{"output": '{"city'}, {"output": '{"city": "Par'}, {"output": '{"city": "Paris"}'}]
    stream = from_observable(rx.from_iterable(events))
    assert list(stream.pipe(ops.text(), ops.partial_json())) == [{}, {"city": "Par"}, {"city": "Paris"}]


def test_a_model_is_loaded_by_those_alone_who_name_one():
    code = "from rxfal import operators as ops; ops.partial_json(); import sys; print('pydantic.main' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"


# With a model.


class Item(BaseModel):
    name: Annotated[str, Field(min_length=3)]
    due: date
    kind: Literal["new", "newer"]
    count: int = Field(gt=3, alias="howMany")


class Invoice(BaseModel):
    id: int
    items: list[Item]
    note: str | None = "none given"


INVOICE = """{
  "id": 12,
  "items": [
    {"name": "Ada", "due": "2024-01-10", "kind": "newer", "howMany": 45},
    {"name": "Bob", "due": "2024-01-11", "kind": "new", "howMany": 5}
  ],
  "note": "ok"
}"""
ADA = {"name": "Ada", "due": date(2024, 1, 10), "kind": "newer", "count": 45}
BOB = {"name": "Bob", "due": date(2024, 1, 11), "kind": "new", "count": 5}


def test_a_twin_grows_and_the_model_comes_last():
    *twins, last = typed(f"Here it is:\n{INVOICE}\nBye.", Invoice)
    assert type(last) is Invoice
    assert not any(isinstance(twin, Invoice) for twin in twins)
    assert plain(twins) == [
        {},
        {"id": 12},
        {"id": 12, "items": []},
        {"id": 12, "items": [{}]},
        *({"id": 12, "items": [{"name": "Ada"[:end]}]} for end in range(4)),
        {"id": 12, "items": [{"name": "Ada", "due": date(2024, 1, 10)}]},
        {"id": 12, "items": [{"name": "Ada", "due": date(2024, 1, 10), "kind": "newer"}]},
        {"id": 12, "items": [ADA]},
        {"id": 12, "items": [ADA, {}]},
        *({"id": 12, "items": [ADA, {"name": "Bob"[:end]}]} for end in range(4)),
        {"id": 12, "items": [ADA, {"name": "Bob", "due": date(2024, 1, 11)}]},
        {"id": 12, "items": [ADA, {"name": "Bob", "due": date(2024, 1, 11), "kind": "new"}]},
        {"id": 12, "items": [ADA, BOB]},
        *({"id": 12, "items": [ADA, BOB], "note": "ok"[:end]} for end in range(3)),
    ]
    assert last.model_dump() == twins[-1].model_dump()


def test_a_twin_has_the_names_and_aliases_of_its_model():
    twin = shown(['{"items": [{"howMany": 7'], Invoice)[0]
    assert (type(twin).__name__, type(twin.items[0]).__name__) == ("PartialInvoice", "PartialItem")
    assert [*type(twin).model_fields] == [*Invoice.model_fields]
    twin = shown(['{"items": [{"howMany": 7}', "x"], Invoice)[0]
    assert twin.items[0].count == 7
    assert twin.items[0].model_dump(by_alias=True, exclude_none=True) == {"howMany": 7}
    assert (twin.id, twin.note) == (None, None)


def test_a_value_that_does_not_fit_its_type_is_none_and_the_last_item_an_error():
    *twins, error = typed('{"id": "twelve", "items": "none", "note": 5}', Invoice)
    assert [twin.model_dump() for twin in twins] == [{"id": None, "items": None, "note": None}]
    assert isinstance(error, DecodeError)
    assert str(error).startswith("does not fit Invoice: id: Input should be a valid integer")
    assert isinstance(error.__cause__, ValidationError)
    assert error.data == b'{"id": "twelve", "items": "none", "note": 5}'


def test_constraints_and_validators_wait_for_the_model():
    class Checked(BaseModel):
        model_config = ConfigDict(extra="forbid", str_max_length=4, str_to_upper=True, strict=True)
        code: Annotated[str, StringConstraints(pattern="^[a-z]+$", strip_whitespace=True)]
        many: Annotated[list[Annotated[int, Field(lt=3)]], Field(max_length=1)] = Field(default_factory=list)
        asked: list[str] = Field(default=["first", "second"], exclude=True, repr=False)

        @field_validator("code")
        @classmethod
        def check(cls, value: str) -> str:
            raise AssertionError("not of a half")

        @model_validator(mode="before")
        @classmethod
        def before(cls, value: Any) -> Any:
            raise AssertionError("not of a half")

    *twins, error = shown(
        ['{"code": "A B', '{"code": "A BCDE", "many": [4, 5', '{"code": "A BCDE", "many": [4, 5], "x": 1}'], Checked
    )
    assert plain(twins) == [{"code": "A B"}, {"code": "A BCDE", "many": [4]}, {"code": "A BCDE", "many": [4, 5]}]
    assert "asked" not in repr(twins[0])
    assert isinstance(error, DecodeError)
    assert "not of a half" in str(error)


class Color(enum.Enum):
    RED = "red"
    REDDISH = "reddish"


class Word(str):
    __slots__ = ()


Name = NewType("Name", str)


class Kinds(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    text: str
    name: Name
    anything: Any
    either: int | str
    maybe: Optional[str]  # noqa: UP045
    texts: list[str]
    pairs: dict[str, str]
    free: dict[str, Any]
    untyped: list  # pyright: ignore[reportMissingTypeArgument, reportUnknownVariableType]
    two: tuple[int, str]
    many: tuple[str, ...]
    color: Color
    moment: datetime
    amount: Decimal
    days: Sequence[date]
    by_day: Mapping[str, date]
    data: bytes
    flag: bool
    mixed: tuple[date, str]


@pytest.mark.parametrize(
    ("field", "json", "value"),
    [
        ("text", '"ha', "ha"),
        ("name", '"ha', "ha"),
        ("anything", '"ha', "ha"),
        ("anything", '{"a": ["b', {"a": ["b"]}),
        ("either", '"12', "12"),
        ("maybe", '"ha', "ha"),
        ("texts", '["a", "b', ["a", "b"]),
        ("pairs", '{"a": "b', {"a": "b"}),
        ("free", '{"a": {"b": "c', {"a": {"b": "c"}}),
        ("untyped", '["a', ["a"]),
        ("two", '[1, "a', (1, "a")),
        ("many", '["a", "b', ("a", "b")),
        ("color", '"red', None),
        ("color", '"red"', Color.RED),
        ("moment", '"2024-01-10', None),
        ("moment", '"2024-01-10T10:00:00"', datetime(2024, 1, 10, 10)),
        ("amount", '"1.5', None),
        ("amount", "1.5", None),
        ("amount", "1.5 ", Decimal("1.5")),
        ("days", '["2024-01-10", "2024-01-1', [date(2024, 1, 10)]),
        ("by_day", '{"a": "2024-01-10", "b": "2024-01-1', {"a": date(2024, 1, 10)}),
        ("data", '"ab', None),
        ("data", '"ab"', b"ab"),
        ("flag", '"tru', None),
        ("flag", "tru", None),
        ("flag", "true", True),
        ("mixed", '["2024-01-10", "a', (date(2024, 1, 10), "a")),
        ("mixed", '["2024-01-1', None),
        ("two", "[1", None),
    ],
)
def test_half_a_text_is_shown_where_any_text_fits(field: str, json: str, value: Any):
    twin, _ = shown([f'{{"{field}": {json}'], Kinds)
    assert getattr(twin, field) == value
    assert type(getattr(twin, field)) is type(value)


def test_of_a_list_what_fits_is_shown_while_the_last_is_growing():
    class Points(BaseModel):
        points: list[tuple[int, int]]
        by_name: dict[str, tuple[int, int]] = {}

    twins = plain(typed('{"points": [[1, 2], [3, 4]], "by_name": {"a": [5, 6], "b": [7, 8]}}', Points)[:-1])
    assert [*map(str, dict.fromkeys(map(str, twins)))] == [
        "{}",
        "{'points': []}",
        "{'points': [(1, 2)]}",
        "{'points': [(1, 2), (3, 4)]}",
        "{'points': [(1, 2), (3, 4)], 'by_name': {}}",
        "{'points': [(1, 2), (3, 4)], 'by_name': {'a': (5, 6)}}",
        "{'points': [(1, 2), (3, 4)], 'by_name': {'a': (5, 6), 'b': (7, 8)}}",
    ]


def test_aliases_of_every_kind_lead_to_their_fields():
    class Aliased(BaseModel):
        one: str = Field(validation_alias=AliasChoices("eins", "uno"))
        two: date = Field(validation_alias=AliasPath("inner", "two"))
        three: str = Field(validation_alias=AliasChoices("drei", AliasPath("inner", "three", 0)))
        four: str = Field(alias="vier", serialization_alias="quatre")

    assert plain(shown(['{"uno": "a'], Aliased)[:1]) == [{"one": "a"}]
    assert plain(shown(['{"inner": {"two": "2024-01-1'], Aliased)[:1]) == [{}]
    assert plain(shown(['{"inner": {"two": "2024-01-10"'], Aliased)[:1]) == [{"two": date(2024, 1, 10)}]
    assert plain(shown(['{"inner": {"three": ["c'], Aliased)[:1]) == [{"three": "c"}]
    assert plain(shown(['{"drei": "c'], Aliased)[:1]) == [{"three": "c"}]
    (twin, _) = shown(['{"vier": "d'], Aliased)
    assert twin.model_dump(exclude_none=True, by_alias=True) == {"quatre": "d"}


def test_names_count_as_the_model_has_it():
    class ByName(BaseModel):
        model_config = ConfigDict(populate_by_name=True, extra="allow", frozen=True)
        one: str = Field(alias="eins")
        when: date | None = None

    class ByAlias(BaseModel):
        one: str = Field(alias="eins")

    assert plain(shown(['{"one": "a'], ByName)[:1]) == [{"one": "a"}]
    assert plain(shown(['{"one": "a'], ByAlias)[:1]) == [{}]
    (twin, _) = shown(['{"eins": "a", "when": "2024-01-10", "extra": "b'], ByName)
    assert (twin.one, twin.when, twin.extra) == ("a", date(2024, 1, 10), "b")
    with pytest.raises(ValidationError, match="frozen"):
        twin.one = "c"
    (twin, _) = shown(['{"eins": "a", "extra": "b'], ByAlias)
    assert not hasattr(twin, "extra")


class Node(BaseModel):
    name: str
    children: list[Node] = []
    parent: Optional[Node] = None  # noqa: UP045


class Tree(RootModel[list["Tree"]]):
    pass


def test_models_of_themselves():
    *_, twin, last = typed('{"name": "a", "children": [{"name": "b", "children": []}], "parent": {"name": "c"}}', Node)
    assert type(last) is Node
    assert twin.model_dump(exclude_none=True) == {
        "name": "a",
        "children": [{"name": "b", "children": []}],
        "parent": {"name": "c"},
    }
    assert type(twin.children[0]) is type(twin) is type(twin.parent)
    trees = typed("[[], [[]]]", Tree)
    assert [tree.model_dump() for tree in trees] == [[[]], [[], []], [[], [[]]], [[], [[]]]]
    assert type(trees[-1]) is Tree


T = TypeVar("T")


class Box(BaseModel, Generic[T]):
    content: T
    notes: list[T] = []


def test_models_with_a_type_parameter():
    twins = typed('{"content": {"name": "abc"}}', Box[Node])[:-1]
    assert plain(twins)[-1] == {"content": {"name": "abc"}}
    assert typed('{"content": "2024-01-10"}', Box[date])[-2].content == date(2024, 1, 10)
    assert plain(typed('{"content": "ab"}', Box)[:-1]) == [{}, {"content": ""}, {"content": "a"}, {"content": "ab"}]


@pytest.mark.parametrize(
    ("model", "text", "values"),
    [
        (list[Node], 'as [x]: {"no": 1} [{"name": "a"}]', [[{}], [{"name": ""}], [{"name": "a"}], "Node"]),
        (RootModel[list[int]], "[1, 23]", [[], [1], [1, 23], "RootModel"]),
        (
            dict[str, Node],
            '[1] {"a": {"name": "b"}}',
            [{}, {"a": {}}, {"a": {"name": ""}}, {"a": {"name": "b"}}, "Node"],
        ),
        (Annotated[list[int], Field(min_length=2)], "[1, 2]", [[], [1], [1, 2], "list"]),
        (Node | None, '[1] {"name": "a"}', [{}, {"name": ""}, {"name": "a"}, "Node"]),
        (tuple[date, ...], '["2024-01-10"]', [(), (date(2024, 1, 10),), "tuple"]),
    ],
)
def test_types_that_are_made_of_models(model: Any, text: str, values: list[Any]):
    def dumped(value: Any) -> Any:
        if isinstance(value, BaseModel):
            return value.model_dump(exclude_none=True)
        if isinstance(value, list):
            return [dumped(each) for each in value]
        return {key: dumped(each) for key, each in value.items()} if isinstance(value, dict) else value

    *twins, last = typed(text, model)
    assert [dumped(twin) for twin in twins] == values[:-1]
    assert values[-1] in repr(type(last)) + repr(last)


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int
    name: str = ""


class Catfish(BaseModel):
    kind: Literal["catfish"] = "catfish"
    name: str


class Plain(BaseModel):
    first: str
    second: int


class Other(BaseModel):
    first: str
    third: int
    hint: str = ""


@pytest.mark.parametrize("tagged", [Cat | Catfish, Annotated[Cat | Catfish, Field(discriminator="kind")]])
def test_of_several_models_one_is_shown_when_its_tag_has_come(tagged: Any):
    class Zoo(BaseModel):
        pets: list[tagged]
        best: tagged | None = None

    pets = '[{"name": "Tom", "kind": "cat", "lives": 9}, {"kind": "catfish", "name": "Bo"}]'
    text = f'{{"pets": {pets}, "best": {{"kind": "catfish", "name": "X"}}}}'
    *twins, last = typed(text, Zoo)
    kinds = [[type(pet).__name__ for pet in twin.pets or ()] for twin in twins]
    assert [kinds[0], *(later for earlier, later in pairwise(kinds) if earlier != later)] == [
        [],
        ["PartialCat"],
        ["PartialCat", "PartialCatfish"],
    ]
    assert {type(twin.best).__name__ for twin in twins} == {"NoneType", "PartialCatfish"}
    assert twins[-1].model_dump(exclude_none=True) == last.model_dump(exclude_none=True)


def test_models_without_a_tag_are_told_by_what_they_need():
    class Either(BaseModel):
        one: Plain | Other

    names = [type(twin.one).__name__ for twin in typed('{"one": {"first": "a", "third": 5, "hint": "b"}}', Either)]
    assert [*dict.fromkeys(names)] == ["NoneType", "PartialOther", "Other"]


class Row(TypedDict):
    id: int
    when: date


def test_what_is_no_model_is_shown_when_it_fits():
    class Table(BaseModel):
        rows: list[Row]

    twins = typed('{"rows": [{"id": 1, "when": "2024-01-10"}, {"id": 2, "when": "2024-01-11"}]}', Table)[:-1]
    assert [len(twin.rows or ()) for twin in twins] == [0, 0, 1, 2]
    assert twins[2].rows == [{"id": 1, "when": date(2024, 1, 10)}]


@dataclasses.dataclass
class Step:
    name: str
    minutes: int = 5
    tools: list[str] = dataclasses.field(default_factory=list[str])
    then: Step | None = None


@pydantic.dataclasses.dataclass
class Dish:
    name: str = Field(alias="dish")
    serves: int = 4


def test_a_dataclass_shows_no_default_before_the_end():
    class Recipe(BaseModel):
        steps: list[Step]

    *twins, last = typed('{"name": "cut", "minutes": 12, "then": {"name": "fry"}}', Step)
    assert plain(twins[-1:]) == [{"name": "cut", "minutes": 12, "then": {"name": "fry"}}]
    assert {twin.minutes for twin in twins} == {None, 12}
    assert last == Step("cut", 12, then=Step("fry"))
    *twins, last = typed('{"steps": [{"name": "cut"}]}', Recipe)
    assert {step.minutes for twin in twins for step in twin.steps or ()} == {None}
    assert last.steps == [Step("cut", 5)]
    *twins, last = typed('{"dish": "pie", "serves": 12}', Dish)
    assert ({twin.serves for twin in twins}, twins[-1].name) == ({None, 12}, "pie")
    assert (last.name, last.serves) == ("pie", 12)


def test_twins_of_one_model_are_of_one_class_and_go_with_it():
    (one, _), (other, _) = (shown(['{"id": 1,'], Invoice) for _ in range(2))
    assert type(one) is type(other)
    assert one == other


def test_a_field_may_be_called_as_something_of_pydantics():
    with pytest.warns(UserWarning, match="shadows"):

        class Shadowing(BaseModel):
            schema: str  # pyright: ignore[reportIncompatibleMethodOverride]
            copy: str  # pyright: ignore[reportIncompatibleMethodOverride]

    assert shown(['{"schema": "a'], Shadowing)[0].schema == "a"


def test_an_exception_of_a_type_of_the_users_own_is_an_error():
    class Odd(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        value: int

        @model_validator(mode="after")
        def check(self) -> Any:
            raise ZeroDivisionError

    *_, error = shown(['{"value": 1}'], Odd)
    assert isinstance(error, ZeroDivisionError)


def test_what_is_no_type_is_refused_at_the_call():
    for wrong in (5, "Item", Item(name="abc", due=date(2024, 1, 1), kind="new", howMany=5)):
        with pytest.raises(TypeError, match="model is a pydantic model or another type, not"):
            ops.partial_json(wrong)

    class Unknown(BaseModel):
        inner: Nowhere  # noqa: F821  # pyright: ignore[reportUndefinedVariable]

    with pytest.raises(TypeError, match=r"model is .*, in which the type 'Nowhere' is not defined yet"):
        ops.partial_json(Unknown)


ITEMS = st.builds(
    Item,
    name=st.text(min_size=3, max_size=8),
    due=st.dates(),
    kind=st.sampled_from(["new", "newer"]),
    howMany=st.integers(4, 10**9),
)
INVOICES = st.builds(Invoice, id=st.integers(), items=st.lists(ITEMS, max_size=3), note=st.none() | st.text(max_size=8))


@settings(max_examples=200)
@given(INVOICES, st.lists(st.integers(0, 500)), st.sampled_from([None, 2]))
def test_of_any_model_cut_anywhere_nothing_wrong_is_shown(invoice: Invoice, cuts: list[int], indent: int | None):
    text = invoice.model_dump_json(by_alias=True, indent=indent)
    *twins, last = shown([text[:end] for end in sorted({min(cut, len(text)) for cut in cuts} | {len(text)})], Invoice)
    assert last == invoice
    for twin in twins:
        assert is_part(twin.model_dump(), invoice.model_dump())
    assert twins[-1].model_dump() == invoice.model_dump()


def is_part(part: Any, whole: Any) -> bool:
    if part is None:
        return True
    if isinstance(whole, dict):
        return all(is_part(part[key], whole[key]) for key in whole)
    if isinstance(whole, list):
        return len(part) <= len(whole) and all(map(is_part, part, whole))
    return whole.startswith(part) if isinstance(whole, str) else part == whole


def test_it_lets_go_of_its_texts():
    class Text(str):
        __slots__ = ("__weakref__",)

    text = Text('{"a": "b"}')
    held = weakref.ref(text)
    subject = Subject[Any]()
    subscription = subject.pipe(ops.partial_json(Invoice)).subscribe(on_error=print)
    subject.on_next(text)
    subscription.dispose()
    del text, subscription
    gc.collect()
    assert held() is None
