"""The JSON value in a text that grows: where it begins and ends, and what of it is shown."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from rxfal.verbs.growing_json import NOTHING, GrowingJson


def shown(*texts: str, brackets: str = "{[") -> list[Any]:
    """What is shown of texts, each time that it changes."""
    growing, seen = GrowingJson(brackets), list[Any]()
    for text in texts:
        value = growing.read(text)
        if value is not NOTHING and (not seen or not same(seen[-1], value)):
            seen.append(value)
    return seen


def typed(text: str, **options: Any) -> list[Any]:
    """The same, of a text that comes character by character."""
    return shown(*(text[:end] for end in range(1, len(text) + 1)), **options)


def same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"name": "Ada"}', [{}, {"name": ""}, {"name": "A"}, {"name": "Ad"}, {"name": "Ada"}]),
        ("[1, 12, -3.5e2]", [[], [1], [1, 12], [1, 12, -350.0]]),
        ('[true, null, "x"]', [[True], [True, None], [True, None, ""], [True, None, "x"]]),
        ('{"a": {"b": []}}', [{}, {"a": {}}, {"a": {"b": []}}]),
        ("[[[]]]", [[[[]]]]),
        ("[NaN, -Infinity]", [[float("nan")], [float("nan"), float("-inf")]]),
    ],
)
def test_a_value_grows(text: str, values: list[Any]):
    assert same(typed(text), values)


def test_a_number_is_left_out_until_something_follows_it():
    assert shown('{"n": 1', '{"n": 12', '{"n": 12 ') == [{}, {"n": 12}]
    assert shown("[1", "[1,", "[1, 2.", "[1, 2.5", "[1, 2.5e", "[1, 2.5e-", "[1, 2.5e-1", "[1, 2.5e-1]") == [
        [],
        [1],
        [1, 0.25],
    ]
    assert shown('["12', '["12"') == [["12"]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{"a": "x\n', "x\n"),
        (r'{"a": "x\\', "x\\"),
        ('{"a": "x\\', "x"),
        ('{"a": "x\\\\\\', "x\\"),
        (r'{"a": "x\u', "x"),
        (r'{"a": "x\u00e', "x"),
        (r'{"a": "x\u00e9', "xé"),
        (r'{"a": "x\ud83d', "x"),
        ('{"a": "x\\ud83d\\', "x"),
        (r'{"a": "x\ud83d\ude0', "x"),
        (r'{"a": "x\ud83d\ude00', "x😀"),
        ('{"a": "x\ud83d', "x"),
        ('{"a": "x\ud83d\ude00', "x😀"),
        ('{"a": "\ud83dx', "\ufffdx"),
    ],
)
def test_a_string_is_shown_without_half_a_character(text: str, value: str):
    assert GrowingJson().read(text) == {"a": value}


def test_a_pair_of_surrogates_may_come_one_by_one():
    assert typed('["\ud83d\ude00é"]') == [[""], ["😀"], ["😀é"]]


@pytest.mark.parametrize(
    ("json", "values"),
    [
        (r'["a\ude00b"]', [[""], ["a"], ["a\ufffd"], ["a\ufffdb"]]),
        (r'["\ud83dx"]', [[""], ["\ufffdx"]]),
        (r'["\uD83D\n"]', [[""], ["\ufffd\n"]]),
        (r'["\ud83d\ud83d\ude00"]', [[""], ["\ufffd"], ["\ufffd😀"]]),
        (r'["\ud83d"]', [[""], ["\ufffd"]]),
        (r'["\ud83d\u0041"]', [[""], ["\ufffd"], ["\ufffdA"]]),
        (r'["\\ud83d"]', [[""], ["\\"], ["\\u"], ["\\ud"], ["\\ud8"], ["\\ud83"], ["\\ud83d"]]),
        (r'{"\ude00": 1.5}', [{}, {"\ufffd": 1.5}]),
    ],
)
def test_an_escape_for_half_a_character_does_not_spoil_the_rest(json: str, values: list[Any]):
    assert typed(json) == values


BEGINNINGS = {
    'Sure! Here: {"a": 1} Anything else?': {"a": 1},
    '```json\n{"a": 1}\n```': {"a": 1},
    'use {x}, [y] or {z: 1}, as in {"a": 1}': {"a": 1},
    '{not} [json] {"a": 1}': {"a": 1},
    "a list [1, 2] first": [1, 2],
    'a {"key" without a colon} and {"a": 1}': {"a": 1},
    'a [1 2] and [1; 2] and {"a": 1}': {"a": 1},
    'see [1 or {"a": 1}': {"a": 1},
    'see ["x" or {"a": 1}': {"a": 1},
    'see {"x": 1 or {"a": 1}': {"a": 1},
    'see {"x": {} or {"a": 1}': {},
    '[1st] [1.] [1.2.3] [01] [1"x"] {"a": 1}': {"a": 1},
    '[12:30] [12:30 {"a": 1}': {"a": 1},
    '{"x": 1:2 {"a": 1}': {"a": 1},
    '[nullx] [truex, ] [nul, ] {"a": 1}': {"a": 1},
    '{"a": 1, } [1,] {,} [,] {"a": 1}': {"a": 1},
    '[1} {"x": 1] {"a": 1}': {"a": 1},
    '["line\nbreak"] {"a": 1}': {"a": 1},
    '[{"a": 1}] and {"b": 2}': [{"a": 1}],
    '[[wiki]] {"a": 1}': {"a": 1},
    '} ] {"a": 1}': {"a": 1},
    '{"}": "]", "[": "{\\""}': {"}": "]", "[": '{"'},
}


@pytest.mark.parametrize(("text", "value"), BEGINNINGS.items())
def test_it_begins_where_json_follows_and_ends_where_that_ends(text: str, value: Any):
    growing = GrowingJson()
    assert growing.read(text) == value
    assert growing.end is not None
    assert from_json(growing.json) == value
    assert typed(text)[-1] == value


def test_prose_that_can_be_no_json_shows_nothing_on_its_way():
    assert typed('use {x} and [text] and [no] and [-] or {so on}: {"a": "b"}') == [{}, {"a": ""}, {"a": "b"}]


def test_only_the_brackets_that_are_asked_for_begin_it():
    assert typed('as in [1]: {"a": [2]}', brackets="{") == [{}, {"a": []}, {"a": [2]}]
    assert typed('as in {"a": 1}: [2]', brackets="[") == [[], [2]]


def test_what_comes_behind_the_end_changes_nothing():
    growing = GrowingJson()
    first = growing.read('{"a": 1} and')
    assert growing.read('{"a": 1} and {"b": 2}') is first


@pytest.mark.parametrize("text", ["", "no json", "{", "[", "[{", "{x}", "[tru", "-", "]"])
def test_there_may_be_nothing(text: str):
    growing = GrowingJson()
    assert growing.read(text) is NOTHING
    assert growing.end is None


def test_a_text_that_does_not_begin_with_the_one_before_is_read_anew():
    assert shown('{"a": "x', '{"a": "y"}', "", '[1, "z"]', '[1, "z"] ok', "[2]") == [
        {"a": "x"},
        {"a": "y"},
        [1, "z"],
        [2],
    ]


def test_without_a_string_that_is_cut():
    growing = GrowingJson()
    for text, value in [
        ('{"a": "x", "b": "y', {"a": "x"}),
        ('{"a": "x", "b": "y"', {"a": "x", "b": "y"}),
        ('{"a": "x", "b": "y", "c', {"a": "x", "b": "y"}),
        ('{"a": "x", "b": "y", "c": ["d", "e', {"a": "x", "b": "y", "c": ["d"]}),
    ]:
        growing.read(text)
        assert growing.without_cut_string() == value


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
OUTERMOST = st.lists(VALUES, max_size=4) | st.dictionaries(st.text(max_size=5), VALUES, max_size=4)
WRITTEN = st.builds(
    lambda value, escape, indent, separators: (
        json.dumps(value, ensure_ascii=escape, indent=indent, separators=separators)
        .encode("utf-16", "surrogatepass")
        .decode("utf-16", "replace")
    ),
    OUTERMOST,
    st.booleans(),
    st.sampled_from([None, 0, 2]),
    st.sampled_from([None, (",", ":"), (" , ", " : ")]),
).filter(lambda text: is_json(text))  # the halves of surrogate pairs that Python's json writes are none
PROSE = st.text(st.sampled_from('ab {[}]",:1-.e\n'), max_size=10)


def is_json(text: str) -> bool:
    try:
        from_json(text)
    except ValueError:
        return False
    return True


def is_beginning(part: Any, whole: Any) -> bool:
    """Whether a value is shown right as far as it goes: everything in it is there, and only the last may be longer."""
    if isinstance(part, str) and isinstance(whole, str):
        return whole.startswith(part)
    if isinstance(part, list) and isinstance(whole, list):
        return len(part) <= len(whole) and is_row_beginning(part, whole)
    if isinstance(part, dict) and isinstance(whole, dict):
        keys, all_keys = [*part], [*whole]
        return keys == all_keys[: len(keys)] and is_row_beginning([*part.values()], [*whole.values()])
    return same(part, whole)


def is_row_beginning(part: list[Any], whole: list[Any]) -> bool:
    complete = all(same(one, other) for one, other in zip(part[:-1], whole))
    return not part or (complete and is_beginning(part[-1], whole[len(part) - 1]))


@settings(max_examples=300)
@given(WRITTEN, st.lists(st.integers(0, 1000)))
def test_of_any_json_cut_anywhere_nothing_wrong_is_shown(text: str, cuts: list[int]):
    whole = from_json(text)
    ends = sorted({min(cut, len(text)) for cut in cuts} | {len(text)})
    seen = shown(*(text[:end] for end in ends))
    assert same(seen[-1], whole)
    for earlier, later in pairwise(seen):
        assert is_beginning(earlier, later)
    for value in seen:
        assert is_beginning(value, whole)


@settings(max_examples=300)
@given(PROSE, WRITTEN, PROSE, st.lists(st.integers(0, 1000)))
def test_a_text_is_read_the_same_way_however_it_comes(before: str, json: str, behind: str, cuts: list[int]):
    text = before + json + behind
    growing = GrowingJson()
    for end in sorted({min(cut, len(text)) for cut in cuts} | {len(text)}):
        value = growing.read(text[:end])
    at_once = GrowingJson()
    assert same(at_once.read(text), value)
    assert (growing.begin, growing.end, growing.json) == (at_once.begin, at_once.end, at_once.json)
    assert growing.begin == beginning(text)


def beginning(text: str) -> int | None:
    """The first bracket that JSON follows, or may, by the exact parser alone."""
    for begin, character in enumerate(text):
        if character in "{[":
            try:
                from_json(text[begin:])
            except ValueError as error:
                if not str(error).startswith(("EOF", "trailing characters")):
                    continue
            return begin
    return None


@pytest.mark.parametrize(
    "unit", ["[", "{", "[1,", '["', '{"', "[0,0,0,0,", "[[],", '{"a":', "[x", "1", '"', "\\", '["\\', "[true "]
)
def test_a_text_full_of_brackets_takes_linear_time(unit: str, monkeypatch: pytest.MonkeyPatch):
    work = 0

    def parse(text: str, **options: Any) -> Any:
        nonlocal work
        work += len(text)
        return from_json(text, **options)

    monkeypatch.setattr("rxfal.verbs.growing_json.from_json", parse)

    def work_for(count: int) -> int:
        nonlocal work
        work = 0
        GrowingJson().read(unit * count)
        return work

    assert work_for(40_000) <= 25 * work_for(4_000)  # a square would be a hundred times


def test_an_item_looks_only_at_what_is_new_to_find_the_value(monkeypatch: pytest.MonkeyPatch):
    looked = 0
    growing = GrowingJson()
    take = growing._take

    def counted(*args: Any) -> None:
        nonlocal looked
        looked += 1
        take(*args)

    monkeypatch.setattr(growing, "_take", counted)
    text = json.dumps({"items": [{"n": n, "text": "x" * 20} for n in range(300)]})
    for end in range(0, len(text), 4):
        growing.read(text[:end])
    tokens = sum(text.count(mark) for mark in '{}[],:"')
    assert looked <= 2 * tokens
