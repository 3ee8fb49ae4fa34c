"""`text` and `deltas`: whatever shape a language model sends, the text so far or what is new."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex as rx
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from rxfal import operators as ops
from rxfal.reactive.stream import from_observable
from tests.reactive.virtual_time import hot, on_completed, on_error, on_next, play


class Answer(BaseModel):
    output: str | None = None
    partial: bool = True


class Delta(BaseModel):
    content: str | None = None


class Choice(BaseModel):
    delta: Delta


class Completion(BaseModel):
    choices: list[Choice]


def chat(content: Any, **more: Any) -> dict[str, Any]:
    return {"id": "c1", "choices": [{"index": 0, "delta": {"content": content, **more}}]}


def run(operator: Any, *events: Any) -> list[Any]:
    return from_observable(rx.from_iterable(events)).pipe(operator, ops.to_list()).run()


SHAPES = {
    "any-llm": [{"output": "Hel", "partial": True}, {"output": "Hello", "partial": True}, {"output": "Hello!"}],
    "any-llm, typed": [Answer(output="Hel"), Answer(output="Hello"), Answer(output="Hello!", partial=False)],
    "chat completions": [chat("Hel"), chat("lo"), chat("!")],
    "chat completions, typed": [
        Completion(choices=[Choice(delta=Delta(content=piece))]) for piece in ("Hel", "lo", "!")
    ],
    "text completions": [{"choices": [{"text": piece}]} for piece in ("Hel", "lo", "!")],
    "typed events of responses": [
        {"type": "response.output_text.delta", "delta": piece} for piece in ("Hel", "lo", "!")
    ],
    "plain strings": ["Hel", "lo", "!"],
}


@pytest.mark.parametrize("events", SHAPES.values(), ids=SHAPES.keys())
def test_every_shape_becomes_the_text_so_far(events: list[Any]):
    assert run(ops.text(), *events) == ["Hel", "Hello", "Hello!"]


@pytest.mark.parametrize("events", SHAPES.values(), ids=SHAPES.keys())
def test_every_shape_becomes_what_is_new(events: list[Any]):
    assert run(ops.deltas(), *events) == ["Hel", "lo", "!"]


@pytest.mark.parametrize(
    "event",
    [
        chat(None, role="assistant"),
        {"choices": [{"delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"total_tokens": 7}},
        {"output": None, "error": None},
        {"delta": {"type": "other"}},
        {},
        [],
        None,
        0,
        False,
        7,
        b"bytes",
        Answer(),
    ],
    ids=repr,
)
def test_an_event_without_text_is_passed_over(event: Any):
    assert run(ops.text(), event, {"output": "a"}, event) == ["a"]
    assert run(ops.deltas(), event, {"output": "a"}, event) == ["a"]


def test_the_text_may_stand_at_another_key():
    events = [{"transcript": "a"}, {"transcript": "ab"}]
    assert run(ops.text("transcript"), *events) == ["a", "ab"]
    assert run(ops.deltas("transcript"), *events) == ["a", "b"]


@pytest.mark.parametrize("key", ["output", "title", "format", "join"])
def test_a_string_is_a_piece_though_strings_have_an_attribute_of_that_name(key: str):
    assert run(ops.text(key), "a", "b") == ["a", "ab"]


def test_an_event_that_adds_nothing_has_no_delta():
    assert run(ops.deltas(), {"output": "a"}, {"output": "a"}, {"output": "a", "partial": False}) == ["a"]
    assert run(ops.deltas(), "", chat("")) == []


def test_an_event_that_adds_nothing_has_the_text_so_far_again():
    assert run(ops.text(), {"output": "a"}, {"output": "a"}) == ["a", "a"]


def test_a_model_that_takes_words_back_is_followed_from_the_first_difference():
    events = [{"output": text} for text in ("I think it is", "I think that", "I think", "I think so")]
    assert run(ops.text(), *events) == ["I think it is", "I think that", "I think", "I think so"]
    assert run(ops.deltas(), *events) == ["I think it is", "that", " so"]


def test_a_whole_text_after_deltas_adds_only_what_was_missing():
    assert run(ops.deltas(), chat("Hel"), chat("lo"), {"output": "Hello!"}) == ["Hel", "lo", "!"]


def test_only_the_first_choice_is_read():
    event = {"choices": [{"delta": {"content": "first"}}, {"delta": {"content": "second"}}]}
    assert run(ops.text(), event) == ["first"]


def test_each_subscription_has_a_text_of_its_own():
    stream = from_observable(rx.of("a", "b")).pipe(ops.text(), ops.to_list())
    assert stream.run() == stream.run() == ["a", "ab"]


def test_items_keep_their_times_and_the_end_passes():
    source = hot(on_next(210, "a"), on_next(220, {}), on_next(230, "b"), on_completed(240))
    seen = play(lambda ops, s, x: x.pipe(ops.text()), source)
    assert seen.messages == [(210, "next", "a"), (230, "next", "ab"), (240, "completed", None)]
    assert seen.subscriptions == [[(200, 240)]]


def test_an_error_passes():
    source = hot(on_next(210, "a"), on_error(220, "broken"))
    assert play(lambda ops, s, x: x.pipe(ops.deltas()), source).end == (220, "error", "broken")


def test_disposed_it_leaves_the_source():
    seen = play(lambda ops, s, x: x.pipe(ops.deltas()), hot(on_next(210, "a"), on_next(300, "b")), disposed=250)
    assert (seen.items, seen.subscriptions) == ([(210, "a")], [[(200, 250)]])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=6), max_size=12))
def test_the_deltas_of_any_pieces_join_to_the_text(pieces: list[str]):
    whole = "".join(pieces)
    cumulative = [{"output": "".join(pieces[: n + 1])} for n in range(len(pieces))]
    for events in (pieces, [chat(piece) for piece in pieces], cumulative):
        assert "".join(run(ops.deltas(), *events)) == whole
        assert ["", *run(ops.text(), *events)][-1] == whole


def test_a_delta_that_adds_nothing_is_passed_over():
    def openai(**delta: str):
        return {"choices": [{"delta": delta}]}

    events = [openai(role="assistant", content=""), openai(content="a"), openai(content=""), openai(content="b"), ""]
    assert from_observable(rx.from_iterable(events)).pipe(ops.text(), ops.to_list()).run() == ["a", "ab"]
    assert from_observable(rx.from_iterable(events)).pipe(ops.deltas(), ops.to_list()).run() == ["a", "b"]


def test_deltas_inside_typed_events_are_followed():
    events = [
        {"type": "response.output_text.delta", "delta": "a"},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "b"}},
        {"type": "text", "text": "c"},
        {"type": "message_stop"},
    ]
    assert from_observable(rx.from_iterable(events)).pipe(ops.text(), ops.to_list()).run() == ["a", "ab", "abc"]


def test_of_the_responses_api_only_the_deltas_of_the_answer_count():
    events = [
        {"type": "response.created", "response": {"id": "r1"}},
        {"type": "response.reasoning_summary_text.delta", "delta": "thinking"},
        {"type": "response.output_text.delta", "delta": "Hel"},
        {"type": "response.output_text.delta", "delta": "lo"},
        {"type": "response.output_text.done", "text": "Hello"},
        {"type": "response.completed"},
    ]
    assert run(ops.deltas(), *events) == ["Hel", "lo"]
    assert run(ops.text(), *events)[-1] == "Hello"
