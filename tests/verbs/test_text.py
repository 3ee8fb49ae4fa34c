"""`text` and `deltas`: whatever shape a language model sends, the text so far or what is new, or its error."""

import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import pytest
import reactivex as rx
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict
from reactivex import Observable
from reactivex.subject import Subject

import rxfal
from rxfal import operators as ops
from rxfal.reactive.stream import from_observable
from rxfal.testing import Bytes, FalServer, Status
from rxfal.wire.sse import ServerSentEvent
from tests.reactive.virtual_time import hot, on_completed, on_error, on_next, play

from .model_streams import FAILURES, STREAMS, WHOLE, Event, Events, Failure, chat, completion, delta, gemini, token

Operator = Callable[[Observable[Any]], Observable[str]]


class Outcome(NamedTuple):
    items: list[str]
    error: Any  # None for a stream that completed


def outcome(operator: Operator, *events: Event) -> Outcome:
    """What a subscriber sees of an operator over these events, which is all of it: items and then one end."""
    items: list[str] = []
    ends: list[Exception | None] = []
    rx.from_iterable(events).pipe(operator).subscribe(items.append, ends.append, lambda: ends.append(None))
    (error,) = ends
    return Outcome(items, error)


def run(operator: Operator, *events: Event) -> list[str]:
    items, error = outcome(operator, *events)
    assert error is None
    return items


def failure(*events: Event, operator: Operator | None = None) -> Outcome:
    found = outcome(operator or ops.deltas(), *events)
    assert found.error is not None
    return found


def as_server_sent(events: Iterable[Event]) -> list[ServerSentEvent]:
    """The events as `stream_events` gives them; those with a type are named after it, as most of these APIs do."""
    return [
        ServerSentEvent(
            data=json.dumps(event), event=event.get("type", "message") if isinstance(event, dict) else "message"
        )
        for event in events
    ]


streams = pytest.mark.parametrize(("events", "pieces"), STREAMS.values(), ids=STREAMS)
failures = pytest.mark.parametrize("given_failure", FAILURES.values(), ids=FAILURES)
wholes = pytest.mark.parametrize(("answer", "whole"), WHOLE.values(), ids=WHOLE)


# What the APIs send.


@streams
def test_of_every_shape_the_pieces_of_the_answer_are_the_deltas(events: Events, pieces: list[str]):
    assert run(ops.deltas(), *events) == pieces


@streams
def test_of_every_shape_the_text_grows_by_the_pieces(events: Events, pieces: list[str]):
    grown = list(accumulate(pieces))
    seen = run(ops.text(), *events)
    assert list(dict.fromkeys(seen)) == grown  # an event of fal's that adds nothing has the text so far again
    assert seen[-1] == grown[-1]


@streams
def test_events_of_stream_events_are_read_as_well(events: Events, pieces: list[str]):
    done = ServerSentEvent(data="[DONE]")
    assert run(ops.deltas(), *as_server_sent(events), done) == pieces


NAMELESS = ("Bedrock, as it is sent", "parts of messages, sent alone")


@pytest.mark.parametrize("events", [events for name, (events, _) in STREAMS.items() if name not in NAMELESS])
def test_each_of_their_events_is_known_by_itself(events: Events):
    assert [outcome(ops.text(), event).error for event in events] == [None] * len(events)


@wholes
def test_a_whole_answer_is_the_text(answer: Event, whole: str):
    assert "".join(run(ops.deltas(), answer)) == whole
    assert run(ops.text(), answer)[-1] == whole


@failures
def test_an_error_in_the_data_ends_the_text_after_what_had_come(given_failure: Failure):
    events, pieces, words, status = given_failure
    for operator, items in ((ops.deltas(), pieces), (ops.text(), list(accumulate(pieces)))):
        seen, error = failure(*events, operator=operator)
        assert seen == items
        assert isinstance(error, rxfal.ApiError)
        assert (error.status, error.body) == (status, events[-1])
        assert words in error.message


@failures
def test_an_error_in_the_data_of_a_server_sent_event_is_the_same(given_failure: Failure):
    seen, error = failure(*as_server_sent(given_failure.events))
    assert (seen, error.status, error.body) == (given_failure.pieces, given_failure.status, given_failure.events[-1])
    assert given_failure.words in error.message


@failures
def test_nothing_follows_the_error(given_failure: Failure):
    assert failure(*given_failure.events, *given_failure.events).items == given_failure.pieces


@pytest.mark.parametrize(
    "event",
    [
        {"output": None, "error": None},
        completion(delta("", role="assistant")),
        completion(delta(refusal="I can't help with that.")),
        completion(delta(tool_calls=[{"index": 0, "function": {"arguments": "{}"}}])),
        completion(delta(reasoning_content="Which birds?")),
        completion(delta(finish_reason="content_filter")),
        completion(usage={"total_tokens": 5}),
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": None, "tool_calls": []}}]},
        {"type": "response.created", "response": {}},
        {"type": "response.in_progress", "response": {}},
        {"type": "response.refusal.delta", "delta": "I can't help with that."},
        {"type": "response.reasoning_text.delta", "delta": "Which birds?"},
        {"type": "response.output_text.done", "text": "Two geese"},
        {"type": "response.incomplete", "response": {"incomplete_details": {"reason": "max_output_tokens"}}},
        {"type": "message_start", "message": {"content": []}},
        {"type": "message_delta", "delta": {"stop_reason": "refusal"}, "usage": {"output_tokens": 1}},
        {"type": "ping"},
        {"usageMetadata": {"totalTokenCount": 3}},
        {"candidates": [{"finishReason": "SAFETY", "index": 0}]},
        chat("", done=True),
        {"model": "m", "response": "", "done": True},
        token("</s>", special=True),
        {"messageStart": {"role": "assistant"}},
        {"metadata": {"usage": {"totalTokens": 9}}},
        {"type": "message-end", "delta": {"finish_reason": "MAX_TOKENS"}},
        {"type": "reasoning-delta", "id": "0", "delta": "Which birds?"},
        {"type": "finish"},
        {"type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": "{}"},
        {"type": "RUN_STARTED", "runId": "r"},
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"contentBlockIndex": 0},
        ServerSentEvent(data='{"role": "assistant"}', event="messageStart"),
        ServerSentEvent(data='{"stopReason": "end_turn"}', event="messageStop"),
        ServerSentEvent(data='{"usage": {"totalTokens": 9}}', event="metadata"),
        ServerSentEvent(data=""),
    ],
    ids=repr,
)
def test_a_known_event_without_text_adds_nothing_and_is_no_error(event: Event):
    assert outcome(ops.text(), event) == outcome(ops.deltas(), event) == ([], None)


@pytest.mark.parametrize(
    "event",
    [
        {"delta": "x"},
        {"delta": {"content": "x", "text": "x"}},
        {"type": "custom.delta", "delta": "x"},
        {"type": "custom", "text": 7},
        {"type": "text-delta", "id": "1", "text": "x"},
        {"type": ["text-delta"], "delta": "x"},
        {"text": "x"},
        {"content": "x"},
        {"message": "x"},
        {"message": {"text": "x"}},
        {"response": "x"},
        {"token": "x"},
        {"output": 7},
        {"object": "response", "output": 7},
        {"output": ["x"]},
        {"choices": "x"},
        {"choices": ["x"]},
        {"candidates": [{"name": "x"}]},
        {"candidates": {"x": {"content": {"parts": [{"text": "x"}]}}}},
        {"error": None},
        {"error": ""},
        {},
        [],
        None,
        0,
        False,
        7,
        b"x",
        ServerSentEvent(data='{"n": 1}', event="progress"),
    ],
    ids=repr,
)
def test_of_an_event_that_only_looks_like_one_nothing_is_taken(event: Event):
    for operator in (ops.text(), ops.deltas()):
        seen, error = failure(event, operator=operator)
        assert (seen, type(error)) == ([], rxfal.DecodeError)
        assert run(operator, event, {"output": "a"}, event) == ["a"]


# Events of which none is known.


def test_events_of_which_none_is_known_end_with_an_error_that_names_the_keys_of_the_first():
    seen, error = failure({"caption": "a", "id": 7}, {"n": 2}, {"n": 3})
    assert seen == []
    assert isinstance(error, rxfal.DecodeError)
    assert "none of 3 events" in error.message
    assert "has the keys 'caption', 'id'." in error.message
    assert "key=" in error.message
    assert json.loads(error.data) == {"caption": "a", "id": 7}


def test_no_event_at_all_is_no_error():
    assert outcome(ops.text()) == outcome(ops.deltas()) == ([], None)


def test_the_key_that_was_given_is_named():
    assert "has it at 'transcript'" in failure({"output": "a"}, operator=ops.text("transcript")).error.message


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({}, "the first is empty"),
        (7, "the first is not an object but of type int"),
        (b"x", "the first is bytes, as of an answer that is neither JSON nor an event stream"),
        ([], "of type list"),
        ({"\x1b[2J": 1}, r"'\x1b[2J'"),
        ({"k" * 999: 1}, f"'{'k' * 49}."),
        ({f"k{n}": n for n in range(99)}, "'k11' and 87 more."),
        (ServerSentEvent(data='{"n": 1}'), "the first has the keys 'n'."),
        (ServerSentEvent(data='{"n": 1}', event="progress"), "the first, named 'progress', has the keys 'n'."),
        (ServerSentEvent(data="[1]"), "of type list"),
    ],
)
def test_the_error_describes_the_first_event_in_few_words(event: Event, said: str):
    assert said in failure(event).error.message


def test_the_error_names_the_fields_of_a_model():
    class Caption(BaseModel):
        model_config = ConfigDict(extra="allow")
        caption: str

    error = failure(Caption.model_validate({"caption": "a", "id": 7})).error
    assert "has the keys 'caption', 'id'." in error.message
    assert json.loads(error.data) == {"caption": "a", "id": 7}


def test_the_error_stands_what_json_does_not():
    assert failure({"half": "\ud800"}).error.data == rb"{'half': '\ud800'}"
    assert b"object object" in failure({"odd": object()}).error.data


# Several choices.


def test_of_several_choices_one_is_followed_by_its_index():
    events = [
        completion(delta("Two", index=0)),
        completion(delta("Three", index=1)),
        completion(delta(" ducks", index=1), delta(" geese", index=0)),
        completion(delta(index=1, finish_reason="stop")),
    ]
    assert run(ops.deltas(), *events) == ["Two", " geese"]
    assert run(ops.deltas(choice=1), *events) == ["Three", " ducks"]
    assert run(ops.text(choice=1), *events) == ["Three", "Three ducks"]
    assert outcome(ops.text(choice=2), *events) == ([], None)


def test_a_choice_that_names_no_index_has_that_of_its_place():
    event = {"choices": [{"delta": {"content": "Two"}}, {"delta": {"content": "Three"}}]}
    assert [run(ops.text(choice=choice), event) for choice in range(3)] == [["Two"], ["Three"], []]


def test_candidates_are_choices():
    events = [gemini({"text": "Two"}), gemini({"text": "Three"}, index=1), gemini({"text": " geese"}, index=0)]
    assert run(ops.deltas(), *events) == ["Two", " geese"]
    assert run(ops.deltas(choice=1), *events) == ["Three"]


def test_a_failed_choice_is_no_error_of_another():
    failed = completion(delta("", index=1, finish_reason="error"), delta("Two", index=0))
    assert run(ops.text(), failed) == ["Two"]
    assert failure(failed, operator=ops.text(choice=1)).error.status == 500


def test_a_choice_below_zero_is_refused_at_the_call():
    for operator in (ops.text, ops.deltas):
        with pytest.raises(ValueError, match="choice=-1"):
            operator(choice=-1)


# The key.


def test_the_text_may_be_at_another_key():
    events = [{"transcript": "a"}, {"transcript": "ab"}]
    assert run(ops.text("transcript"), *events) == ["a", "ab"]
    assert run(ops.deltas("transcript"), *events) == ["a", "b"]


def test_the_key_that_was_given_comes_before_what_the_type_says():
    events = [{"type": "text", "text": "x", "so_far": "a"}, {"type": "finish", "so_far": "ab"}]
    assert run(ops.deltas("so_far"), *events) == ["a", "b"]


def test_with_another_key_the_known_shapes_are_read_all_the_same():
    assert run(ops.deltas("so_far"), *STREAMS["Anthropic"][0]) == STREAMS["Anthropic"][1]


def test_the_text_so_far_may_be_in_an_event_of_some_other_type():
    assert run(ops.text(), {"type": "progress", "output": "a"}, {"type": "progress", "output": "ab"}) == ["a", "ab"]


@pytest.mark.parametrize("key", ["output", "title", "format", "join"])
def test_a_string_is_a_piece_though_strings_have_an_attribute_of_that_name(key: str):
    assert run(ops.text(key), "a", "b") == ["a", "ab"]


# What the text so far does.


def test_an_event_that_adds_nothing_has_no_delta():
    assert run(ops.deltas(), {"output": "a"}, {"output": "a"}, {"output": "a", "partial": False}) == ["a"]
    assert run(ops.deltas(), "", completion(delta(""))) == []


def test_an_event_that_adds_nothing_has_the_text_so_far_again():
    assert run(ops.text(), {"output": "a"}, {"output": "a"}) == ["a", "a"]


def test_a_piece_that_adds_nothing_is_passed_over():
    assert run(ops.text(), "a", "", completion(delta("")), "b") == ["a", "ab"]


def test_a_model_that_takes_words_back_is_followed_from_the_first_difference():
    events = [{"output": text} for text in ("I think it is", "I think that", "I think", "I think so")]
    assert run(ops.text(), *events) == ["I think it is", "I think that", "I think", "I think so"]
    assert run(ops.deltas(), *events) == ["I think it is", "that", " so"]


def test_a_whole_text_after_pieces_adds_only_what_was_missing():
    assert run(ops.deltas(), completion(delta("Hel")), "lo", {"output": "Hello!"}) == ["Hel", "lo", "!"]


def test_pieces_after_a_whole_text_belong_to_it():
    events = ["He", {"output": "Hell"}, "o", "!", {"output": "Hello! Hi"}, {"output": "Hello! Hi."}]
    assert run(ops.deltas(), *events) == ["He", "ll", "o", "!", " Hi", "."]
    assert run(ops.text(), *events) == ["He", "Hell", "Hello", "Hello!", "Hello! Hi", "Hello! Hi."]


def test_a_second_whole_answer_takes_the_place_of_the_first():
    first, second = ({"choices": [{"message": {"content": text}}]} for text in ("Two geese", "Two ducks"))
    assert run(ops.text(), first, second) == ["Two geese", "Two ducks"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=6), max_size=12))
def test_the_deltas_of_any_pieces_join_to_the_text(pieces: list[str]):
    whole = "".join(pieces)
    cumulative = [{"output": "".join(pieces[: n + 1])} for n in range(len(pieces))]
    for events in (pieces, [completion(delta(piece)) for piece in pieces], cumulative):
        assert "".join(run(ops.deltas(), *events)) == whole
        assert ["", *run(ops.text(), *events)][-1] == whole


# Kinds of events: models, and server-sent events.


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Answer(Open):
    output: str | None = None
    partial: bool = True


class Delta(Open):
    content: str | None = None


class Choice(Open):
    delta: Delta
    index: int | None = None


class Completion(Open):
    choices: list[Choice]


def test_events_may_be_models():
    assert run(ops.deltas(), Answer(output="Two"), Answer(output="Two geese"), Answer()) == ["Two", " geese"]
    assert outcome(ops.deltas(), Answer()) == ([], None)
    pieces = [Completion(choices=[Choice(delta=Delta(content=piece))]) for piece in ("Two", " geese")]
    assert run(ops.deltas(), *pieces, Completion(choices=[Choice(delta=Delta())])) == ["Two", " geese"]


def test_of_several_choices_of_a_model_one_is_followed_by_its_index():
    event = Completion(choices=[Choice(delta=Delta(content=name), index=index) for name, index in (("b", 1), ("a", 0))])
    assert (run(ops.text(), event), run(ops.text(choice=1), event)) == (["a"], ["b"])


def test_an_error_is_found_in_a_model_and_in_what_it_has_beyond_its_fields():
    class Answered(BaseModel):
        output: str
        error: dict[str, Any] | None = None

    failed = Answered(output="", error={"message": "upstream failed", "code": 503})
    for event in (failed, Answer.model_validate(failed.model_dump())):
        seen, error = failure(Answer(output="Two"), event)
        assert (seen, error.status) == (["Two"], 503)
        assert error.body["error"] == {"message": "upstream failed", "code": 503}


def test_the_text_of_a_model_may_be_a_property():
    class Words(BaseModel):
        words: list[str]

        @property
        def output(self) -> str:
            return " ".join(self.words)

    assert run(ops.text(), Words(words=["Two"]), Words(words=["Two", "geese"])) == ["Two", "Two geese"]


def test_events_may_be_of_any_class_that_has_the_attributes():
    @dataclass(slots=True)
    class Event:
        output: str
        error: str | None = None

    assert run(ops.deltas(), Event("Two"), Event("Two geese")) == ["Two", " geese"]
    seen, error = failure(Event("Two"), Event("", "upstream failed"))
    assert (seen, error.body) == (["Two"], {"output": "", "error": "upstream failed"})


def test_the_name_of_a_server_sent_event_is_its_type_where_its_data_has_none():
    events = [
        ServerSentEvent(data='{"role": "assistant"}', event="messageStart"),
        ServerSentEvent(data='{"delta": {"text": "Two"}, "contentBlockIndex": 0}', event="contentBlockDelta"),
        ServerSentEvent(data='{"delta": {"text": " geese"}, "contentBlockIndex": 0}', event="contentBlockDelta"),
        ServerSentEvent(data='{"message": "too many"}', event="throttlingException"),
    ]
    seen, error = failure(*events)
    assert (seen, error.status, error.body) == (["Two", " geese"], 429, {"message": "too many"})


def test_the_end_mark_ends_the_text_and_leaves_the_source():
    source: Subject[ServerSentEvent] = Subject()
    seen: list[Any] = []
    source.pipe(ops.deltas()).subscribe(seen.append, seen.append, lambda: seen.append("end"))
    source.on_next(ServerSentEvent(data='{"output": "Two"}'))
    source.on_next(ServerSentEvent(data="[DONE]"))
    assert seen == ["Two", "end"]
    assert not source.observers


def test_the_end_mark_after_unknown_events_is_an_error():
    _, error = failure(ServerSentEvent(data='{"n": 1}'), ServerSentEvent(data="[DONE]"))
    assert "none of 1 events" in error.message


@pytest.mark.parametrize(
    ("data", "body", "status"),
    [
        ("busy", "busy", 500),
        ('"busy"', "busy", 500),
        ('{"detail": "busy"}', {"detail": "busy"}, 500),
        ('{"error": {"message": "busy", "code": 503}}', {"error": {"message": "busy", "code": 503}}, 503),
    ],
)
def test_a_server_sent_event_named_error_is_one_whatever_its_data(data: str, body: Any, status: int):
    seen, error = failure(ServerSentEvent(data='{"output": "a"}'), ServerSentEvent(event="error", data=data))
    assert (seen, error.status, error.body) == (["a"], status, body)
    assert "busy" in error.message


def test_a_server_sent_event_with_data_that_is_no_json_is_an_error():
    seen, error = failure(ServerSentEvent(data='{"output": "a"}'), ServerSentEvent(data="{oops"))
    assert (seen, type(error), error.data) == (["a"], rxfal.DecodeError, b"{oops")


def test_half_a_character_in_the_data_of_a_server_sent_event_is_replaced():
    (text,) = run(ops.text(), ServerSentEvent(data='{"output": "a\ud800"}'))
    assert text.startswith("a\ufffd")


# Whatever comes.

NAMES = (
    "choices index delta content text message type error finish_reason candidates parts promptFeedback output object "
    "response status token generated_text contentBlockDelta metadata code done role message_start text-delta "
    "RUN_ERROR response.failed content_block_delta message-end throttlingException"
)
names = st.sampled_from(NAMES.split())
values = st.none() | st.booleans() | st.integers(0, 600) | st.floats() | st.text(max_size=3) | names
json_values = st.recursive(
    values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5), max_leaves=12
)


@settings(max_examples=300, deadline=None)
@given(st.lists(json_values, max_size=3))
def test_whatever_the_events_are_the_end_is_a_good_one_or_an_error_of_ours(events: list[Any]):
    for operator in (ops.text(), ops.deltas("text", choice=1)):
        items, error = outcome(operator, *events)
        assert all(isinstance(item, str) for item in items)
        assert error is None or isinstance(error, rxfal.FalError)


# Errors.


def test_an_error_that_says_nothing_has_at_least_a_status():
    assert str(failure({"error": {"code": 503}}).error).startswith("Service Unavailable")
    assert failure({"error": True}).error.body == {"error": True}


def test_a_422_is_a_validation_error_with_its_fields():
    detail = [{"loc": ["body", "prompt"], "msg": "too long", "type": "value_error"}]
    error = failure({"error": {"detail": detail, "status": 422}, "detail": detail}).error
    assert isinstance(error, rxfal.ValidationError)
    assert [entry["msg"] for entry in error.get_field_errors("prompt")] == ["too long"]


def test_a_refused_key_of_the_model_is_not_taken_for_the_users():
    error = failure({"error": {"code": 401, "message": "no such user"}}).error
    assert (error.status, error.message) == (401, "no such user")


def test_the_type_of_an_error_is_kept():
    assert failure({"error": "no luck", "error_type": "generation"}).error.error_type == "generation"


# As an operator.


def test_each_subscription_has_a_text_of_its_own():
    stream = from_observable(rx.of("a", "b")).pipe(ops.text(), ops.to_list())
    assert stream.run() == stream.run() == ["a", "ab"]
    empty_or_not = [rx.of({"n": 1}), rx.empty()]
    unsure = rx.defer(lambda _: empty_or_not.pop(0)).pipe(ops.text())
    ends: list[Any] = []
    for _ in range(2):
        unsure.subscribe(on_error=lambda error: ends.append(type(error)), on_completed=lambda: ends.append(None))
    assert ends == [rxfal.DecodeError, None]


def test_items_keep_their_times_and_the_end_passes():
    source = hot(on_next(210, "a"), on_next(220, {}), on_next(230, "b"), on_completed(240))
    seen = play(lambda ops, s, x: x.pipe(ops.text()), source)
    assert seen.messages == [(210, "next", "a"), (230, "next", "ab"), (240, "completed", None)]
    assert seen.subscriptions == [[(200, 240)]]


def test_an_error_passes():
    source = hot(on_next(210, "a"), on_error(220, "broken"))
    assert play(lambda ops, s, x: x.pipe(ops.deltas()), source).end == (220, "error", "broken")


def test_an_error_of_the_source_comes_before_the_question_whether_any_event_was_known():
    source = hot(on_next(210, {"n": 1}), on_error(220, "broken"))
    assert play(lambda ops, s, x: x.pipe(ops.deltas()), source).end == (220, "error", "broken")


def test_an_error_in_the_data_leaves_the_source_at_once():
    source = hot(on_next(210, "a"), on_next(220, {"error": "no luck"}), on_next(230, "b"), on_completed(240))
    seen = play(lambda ops, s, x: x.pipe(ops.deltas()), source)
    assert (seen.items, seen.end[:2], seen.subscriptions) == ([(210, "a")], (220, "error"), [[(200, 220)]])


def test_disposed_it_leaves_the_source():
    seen = play(lambda ops, s, x: x.pipe(ops.deltas()), hot(on_next(210, "a"), on_next(300, "b")), disposed=250)
    assert (seen.items, seen.subscriptions) == ([(210, "a")], [[(200, 250)]])


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [("me/model", "me/model"), ("merge(me/a, me/b)", None), ("stream", None), ("all of me/a", None)],
)
def test_an_error_names_the_endpoint_where_the_stream_is_one_of_an_endpoint(name: str, endpoint: str | None):
    for event in ({"error": "no luck"}, {"n": 1}):
        with pytest.raises(rxfal.FalError) as caught:
            from_observable(rx.of(event), name=name).pipe(ops.text()).run()
        assert caught.value.endpoint == endpoint


# Over the wire.


@pytest.fixture
async def server() -> AsyncIterator[FalServer]:
    async with FalServer() as server:
        yield server


@pytest.fixture
async def client(server: FalServer) -> AsyncIterator[rxfal.Client]:
    async with server.client() as client:
        yield client


def wire(events: Events, *, cut: int) -> list[Bytes]:
    """The events as an event stream, in chunks of so many bytes."""
    lines: list[str] = []
    for event in events:
        kind = event.get("type") if isinstance(event, dict) else None
        lines += [f"event: {kind}\n"] if kind else []
        lines.append(f"data: {json.dumps(event)}\n\n")
    body = "".join((*lines, "data: [DONE]\n\n")).encode()
    return [Bytes(body[at : at + cut]) for at in range(0, len(body), cut)]


@streams
async def test_over_the_wire_streams_are_the_same(
    server: FalServer, client: rxfal.Client, events: Events, pieces: list[str]
):
    server.script("me/model", wire(events, cut=7))
    assert await client.stream("me/model").pipe(ops.deltas(), ops.to_list()) == pieces
    assert await client.stream_events("me/model").pipe(ops.deltas(), ops.to_list()) == pieces


@failures
async def test_over_the_wire_failures_are_the_same(server: FalServer, client: rxfal.Client, given_failure: Failure):
    server.script("me/model", wire(given_failure.events, cut=11))
    for stream in (client.stream("me/model"), client.stream_events("me/model")):
        items: list[str] = []
        with pytest.raises(rxfal.ApiError, match=given_failure.words) as caught:
            await stream.pipe(ops.deltas(), ops.do_action(items.append), ops.default_if_empty())
        assert (items, caught.value.status) == (given_failure.pieces, given_failure.status)
        assert caught.value.endpoint == "me/model"


@wholes
async def test_over_the_wire_a_whole_answer_is_the_text(
    server: FalServer, client: rxfal.Client, answer: Event, whole: str
):
    server.script(
        "me/model", [Status(200, headers={"Content-Type": "application/json"}), Bytes(json.dumps(answer).encode())]
    )
    assert await client.stream("me/model").pipe(ops.text()) == whole


async def test_over_the_wire_events_without_a_known_shape_are_an_error(server: FalServer, client: rxfal.Client):
    server.script("me/model", wire([{"caption": "Two"}, {"caption": "Two geese"}], cut=1000))
    with pytest.raises(rxfal.DecodeError, match=r"^me/model: no text: none of 2 events .* 'caption'"):
        await client.stream("me/model").pipe(ops.text())
    assert await client.stream("me/model").pipe(ops.text("caption")) == "Two geese"
