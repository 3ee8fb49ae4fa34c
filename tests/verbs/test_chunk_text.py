"""`chunk_text`: whole words, sentences and lines, which joined are the text, each as soon as the next one begins."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex.subject import Subject

from rxfal import operators as ops
from rxfal.reactive.iterate import iterate
from rxfal.reactive.stream import from_observable
from tests.reactive.sources import Counter, Log
from tests.reactive.virtual_time import cold, hot, on_completed, on_error, on_next, play

BY: Any = pytest.mark.parametrize("by", ["word", "sentence", "line"])


def chunks(by: Any, *pieces: str) -> list[str]:
    log = Log()
    rx.of(*pieces).pipe(ops.chunk_text(by)).subscribe(*log.callbacks)
    assert log.ends == ["completed"]
    return log.items


WORDS = {
    "Hello": ["Hello"],
    "Hello there": ["Hello ", "there"],
    "  two  words\n\t": ["  two  ", "words\n\t"],
    "a\u00a0b": ["a\u00a0", "b"],
    "don't stop-gap": ["don't ", "stop-gap"],
    "   ": ["   "],
    "": [],
}

SENTENCES = {
    "One. Two! Three? Four… Five": ["One. ", "Two! ", "Three? ", "Four… ", "Five"],
    "It is 3.14, says v1.2.": ["It is 3.14, says v1.2."],
    "Wait... what?! Yes.": ["Wait... ", "what?! ", "Yes."],
    "“Yes.” (No.) 'So!' [End.]\nNext": ["“Yes.” ", "(No.) ", "'So!' ", "[End.]\n", "Next"],
    "„Hallo.“ Er ging. »Ja.« «Oui.» Fin": ["„Hallo.“ ", "Er ging. ", "»Ja.« ", "«Oui.» ", "Fin"],
    "Go to a.b/c. Then": ["Go to a.b/c. ", "Then"],
    'She said "no." again': ['She said "no." ', "again"],
    "你好。世界！怎么？完": ["你好。", "世界！", "怎么？", "完"],
    "他说：「走。」然后走了！？ 好": ["他说：「走。」", "然后走了！？ ", "好"],
    "他走了。「好」": ["他走了。", "「好」"],
    "走。...好": ["走。...", "好"],
    "Title\nText. More": ["Title\n", "Text. ", "More"],
    "A list:\r\n- one\r- two\n\n  three": ["A list:\r\n", "- one\r", "- two\n\n  ", "three"],
    "\n\n  Begin. ": ["\n\n  Begin. "],
    "One. ...and two.": ["One. ", "...and two."],
    "One.\u00a0 Two": ["One.\u00a0 ", "Two"],
    "a . b": ["a . ", "b"],
    " \n ": [" \n "],
    "": [],
}

LINES = {
    "one\ntwo": ["one\n", "two"],
    "one\n\n two \n": ["one\n", "\n", " two \n"],
    "a\r\nb\rc\r": ["a\r\n", "b\r", "c\r"],
    "\r\r\n\n": ["\r", "\r\n", "\n"],
    "no break": ["no break"],
    "": [],
}

CASES = [
    (by, text, units)
    for by, texts in zip(("word", "sentence", "line"), (WORDS, SENTENCES, LINES))
    for text, units in texts.items()
]


@pytest.mark.parametrize(("by", "text", "units"), CASES)
def test_a_text_is_cut_into_units(by: Any, text: str, units: list[str]):
    assert chunks(by, text) == units


@pytest.mark.parametrize(("by", "text", "units"), CASES)
def test_it_is_cut_the_same_way_however_it_comes(by: Any, text: str, units: list[str]):
    assert chunks(by, *text) == units
    for size in (2, 3):
        assert chunks(by, *(text[at : at + size] for at in range(0, len(text), size))) == units


TEXTS = st.text(st.sampled_from('ab 1.!?…。！"”“)」\n\r\t\u00a0é'), max_size=30)


@BY
@given(TEXTS, st.lists(st.integers(0, 30)))
def test_the_units_joined_are_the_text_and_cuts_change_nothing(by: Any, text: str, cuts: list[int]):
    at = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[begin:end] for begin, end in pairwise(at)]
    units = chunks(by, *pieces)
    assert "".join(units) == text
    assert units == chunks(by, text)
    assert "" not in units
    spaced = [unit.strip() for unit in units]
    if by == "word" and text.strip():
        assert spaced == text.split()
    if by == "line":
        assert [unit.rstrip("\r\n") for unit in units] == text.replace("\r\n", "\n").replace("\r", "\n").removesuffix(
            "\n"
        ).split("\n") or not text
    if by == "sentence" and text.strip():
        assert all(spaced)
        assert all(unit == unit.lstrip() for unit in units[1:])


@BY
@given(st.lists(TEXTS, max_size=8))
def test_a_unit_comes_as_soon_as_the_next_begins(by: Any, pieces: list[str]):
    subject, seen = Subject[str](), list[str]()
    subject.pipe(ops.chunk_text(by)).subscribe(seen.append)
    text = ""
    for piece in pieces:
        subject.on_next(piece)
        text += piece
        whole = chunks(by, text)
        is_over = by == "line" and text.endswith("\n")
        assert seen == (whole if is_over else whole[:-1])


def test_it_comes_with_the_piece_in_which_the_next_one_begins():
    source = hot(
        on_next(210, "One"),
        on_next(220, ". "),
        on_next(230, " "),
        on_next(240, "Two. Th"),
        on_next(250, ""),
        on_next(260, "ree"),
        on_completed(270),
    )
    seen = play(lambda ops, s, x: x.pipe(ops.chunk_text()), source, streams=True)
    assert seen.messages == [
        (240, "next", "One.  "),
        (240, "next", "Two. "),
        (270, "next", "Three"),
        (270, "completed", None),
    ]


def test_a_line_comes_with_its_break():
    source = hot(
        on_next(210, "one"),
        on_next(220, "\n"),
        on_next(230, "two\r"),
        on_next(240, "\n"),
        on_next(250, "x\r"),
        on_next(260, "y"),
    )
    seen = play(lambda ops, s, x: x.pipe(ops.chunk_text("line")), source)
    assert seen.items == [(220, "one\n"), (240, "two\r\n"), (260, "x\r")]


def test_what_is_left_comes_before_an_error():
    seen = play(lambda ops, s, x: x.pipe(ops.chunk_text("word")), cold(on_next(10, "one tw"), on_error(20, "broken")))
    assert seen.messages == [(210, "next", "one "), (220, "next", "tw"), (220, "error", "broken")]


def test_disposed_it_says_nothing_of_what_is_left():
    seen = play(lambda ops, s, x: x.pipe(ops.chunk_text("word")), cold(on_next(10, "one two")), disposed=300)
    assert seen.messages == [(210, "next", "one ")]


@BY
def test_nothing_gives_nothing(by: Any):
    assert chunks(by) == chunks(by, "", "") == []


@pytest.mark.parametrize("streams", [False, True])
def test_a_dispose_inside_on_next_is_the_end_of_the_piece(streams: bool):
    seen: list[str] = []
    subject = Subject[str]()
    source = from_observable(subject) if streams else subject
    source.pipe(ops.chunk_text("word"), ops.do_action(seen.append), ops.take(1)).subscribe()
    subject.on_next("one two three four")
    subject.on_completed()
    assert seen == ["one "]


async def test_a_slow_consumer_pauses_the_source():
    counter = Counter(10**9)
    items = iterate(counter.stream.pipe(ops.map(lambda n: f"{n} "), ops.chunk_text("word")), buffer_size=4)
    assert await anext(items) == "0 "
    await asyncio.sleep(0)
    assert counter.produced <= 7
    assert [await anext(items) for _ in range(100)] == [f"{n} " for n in range(1, 101)]
    await items.aclose()


def test_a_long_unit_in_many_pieces_takes_linear_time():
    """A hundred thousand pieces, each added to the text so far, would be 30 GB to copy."""
    pieces = ["words"] * 100_000
    assert chunks("word", *pieces) == ["words" * 100_000]


@pytest.mark.parametrize("streams", [False, True])
def test_what_is_no_text_is_an_error_that_says_what_to_do(streams: bool):
    log = Log()
    source = Subject[Any]()
    (from_observable(source) if streams else source).pipe(ops.chunk_text()).subscribe(*log.callbacks)
    source.on_next("one")
    source.on_next({"output": "two"})
    assert log.items == ["one"]
    (error,) = log.ends
    assert isinstance(error, TypeError)
    assert str(error) == "chunk_text takes the pieces of a text, not dict: put ops.deltas() before it"


def test_a_bad_subscriber_is_not_mistaken_for_a_failing_source():
    for streams in (False, True):
        subject, reports = Subject[str](), Log()
        source = from_observable(subject) if streams else subject
        source.pipe(ops.chunk_text("word"), ops.map(lambda _: 1 / 0)).subscribe(*reports.callbacks)
        subject.on_next("one two")
        assert [type(end) for end in reports.ends] == [ZeroDivisionError]


def test_there_are_three_units():
    for wrong in ("words", "", None, 1):
        with pytest.raises(ValueError, match="by is 'word', 'sentence' or 'line', not"):
            ops.chunk_text(wrong)  # pyright: ignore[reportArgumentType]
