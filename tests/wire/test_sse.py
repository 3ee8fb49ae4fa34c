"""The decoder: the web platform's vectors, and each behaviour that the standard or the design names."""

import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable
from itertools import islice

import pytest

from rxfal.errors import EventTooLargeError
from rxfal.wire.sse import ServerSentEvent, SSEDecoder
from tests.wire.reference_sse import decode
from tests.wire.wpt_vectors import VECTORS, Vector


def brief(events: list[ServerSentEvent]) -> list[tuple[str, str, str]]:
    return [(event.data, event.event, event.id) for event in events]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10**6])
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name.partition(":")[0])
def test_web_platform_vectors(vector: Vector, size: int):
    decoder, raw = SSEDecoder(), SSEDecoder()
    pieces = [vector.body[start : start + size] for start in range(0, len(vector.body), size)]
    assert brief([event for piece in pieces for event in decoder.feed(piece)]) == vector.events
    assert [(data.decode(), name) for piece in pieces for data, name, _, _ in raw.feed_raw(piece)] == [
        event[:2] for event in vector.events
    ]
    last = decoder.close()
    assert brief([last] if last else []) == ([vector.closing] if vector.closing else [])
    assert brief(decode(vector.body).events) == vector.events


@pytest.mark.parametrize(
    ("lines", "retry"),
    [
        (b"retry:3000", 3000),
        (b"retry: 007", 7),
        (b"retry:0", 0),
        (b"retry:1000x", None),
        (b"retry:-1", None),
        (b"retry:1.5", None),
        (b"retry:  1", None),
        (b"retry:", None),
        (b"retry", None),
        ("retry:٣".encode(), None),
        (b"retry:" + b"0" * 10_000 + b"9", 9),
        (b"retry:" + b"9" * 10_000, None),
    ],
)
def test_retry_takes_ascii_digits_only(lines: bytes, retry: int | None):
    decoder = SSEDecoder()
    assert [event.retry for event in decoder.feed(lines + b"\ndata:x\n\ndata:y\n\n")] == [retry, None]
    assert decoder.retry == retry


def test_retry_counts_before_its_block_ends_and_without_an_event():
    decoder = SSEDecoder()
    assert list(decoder.feed(b"retry: 10\n")) == []
    assert decoder.retry == 10
    assert list(decoder.feed(b"\ndata: x\n\n")) == [ServerSentEvent(data="x")]
    assert decoder.retry == 10


def test_id_counts_when_its_block_ends_also_without_an_event():
    decoder = SSEDecoder()
    list(decoder.feed_raw(b"id: 1\n"))
    assert decoder.last_event_id == ""
    list(decoder.feed_raw(b"\n"))
    assert decoder.last_event_id == "1"


def test_event_name_of_a_block_without_data_is_forgotten():
    assert list(SSEDecoder().feed(b"event: lost\n\ndata: x\n\n")) == [ServerSentEvent(data="x")]


def test_cr_at_the_end_of_a_chunk_dispatches_at_once_and_its_lf_is_dropped():
    decoder = SSEDecoder()
    assert list(decoder.feed_raw(b"data: a\r\n\r")) == [(b"a", "message", "", None)]
    assert list(decoder.feed_raw(b"\ndata: b\n")) == []
    assert list(decoder.feed_raw(b"\n")) == [(b"b", "message", "", None)]


@pytest.mark.parametrize("body", [b"data: a\r\r\ndata: b\r\n\r\n", b"data: a\r\n\r\ndata: b\r\n\r\n"])
@pytest.mark.parametrize("cut", range(20))
def test_lone_crs_among_crlfs_end_lines_of_their_own(body: bytes, cut: int):
    decoder = SSEDecoder()
    assert [*decoder.feed_raw(body[:cut]), *decoder.feed_raw(body[cut:])] == [
        (b"a", "message", "", None),
        (b"b", "message", "", None),
    ]


def test_a_crlf_after_a_cr_at_the_end_of_a_chunk_is_a_blank_line():
    decoder = SSEDecoder()
    assert list(decoder.feed_raw(b"data: a\r")) == []
    assert list(decoder.feed_raw(b"\r\ndata: b\r\n\r\n")) == [(b"a", "message", "", None), (b"b", "message", "", None)]


def test_lf_after_a_swallowed_one_is_a_line_end_of_its_own():
    decoder = SSEDecoder()
    assert list(decoder.feed(b"data: a\r")) == []
    assert list(decoder.feed(b"")) == []
    assert list(decoder.feed(b"\n")) == []
    assert list(decoder.feed(b"\n")) == [ServerSentEvent(data="a")]


def test_a_character_cut_in_two_is_whole_again_and_a_broken_one_is_replaced():
    decoder = SSEDecoder()
    assert list(decoder.feed(b"data: \xf0\x9f")) == []
    assert [event.data for event in decoder.feed(b"\x98\x80\n\ndata: \xf0\x9f\n\n")] == ["😀", "\ufffd"]


def test_half_a_byte_order_mark_is_no_mark():
    assert list(SSEDecoder().feed(b"\xef\xbbdata: a\n\ndata: b\n\n")) == [ServerSentEvent(data="b")]


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b"data: a", "a"),
        (b"data: a\n", "a"),
        (b"data: a\r", "a"),
        (b"data: a\ndata", "a\n"),
        (b"data: a\n\n", None),
        (b"event: x", None),
        (b": bye", None),
        (b"", None),
        (b"\xef\xbb", None),
    ],
)
def test_close_gives_the_event_that_lacks_its_blank_line_once(body: bytes, data: str | None):
    decoder, raw = SSEDecoder(), SSEDecoder()
    list(decoder.feed(body))
    list(raw.feed_raw(body))
    assert decoder.close() == (None if data is None else ServerSentEvent(data=data))
    assert raw.close_raw() == (None if data is None else (data.encode(), "message", "", None))
    assert decoder.close() is None


@pytest.mark.parametrize("feed", [SSEDecoder.feed, SSEDecoder.feed_raw])
def test_stopping_in_the_middle_of_a_chunk_does_no_harm(feed: Callable[..., Iterable[tuple[object, ...]]]):
    decoder = SSEDecoder()
    body = b"data: 1\n\ndata: 2\n\ndata: 3\ndata: 4\n\ndata: 5"
    assert len(list(islice(feed(decoder, body), 1))) == 1
    (last,) = feed(decoder, b"6\n\n")
    assert "56" in last or b"56" in last


@pytest.mark.parametrize("ends", [b"\n\n", b"\r\n\r\n"])
def test_an_error_comes_after_the_events_before_it_and_stays(ends: bytes):
    decoder = SSEDecoder(max_event_size=20)
    taken: list[tuple[bytes, str]] = []
    chunk = b"data: 1" + ends + b"data: 2" + ends + b"data: " + b"x" * 15 + ends + b"data: never" + ends
    with pytest.raises(EventTooLargeError, match="20 bytes"):
        taken.extend(decoder.feed_raw(chunk))
    assert taken == [(b"1", "message", "", None), (b"2", "message", "", None)]
    with pytest.raises(EventTooLargeError):
        decoder.feed_raw(b"data: 3\n\n")
    with pytest.raises(EventTooLargeError):
        decoder.feed(b"data: 3\n\n")
    assert decoder.close() is None
    assert decoder.close_raw() is None


def test_an_event_cut_from_the_chunk_before_may_be_the_one_that_is_too_large():
    decoder = SSEDecoder(max_event_size=20)
    list(decoder.feed_raw(b"data: 1234567890"))
    taken: list[tuple[bytes, str]] = []
    with pytest.raises(EventTooLargeError):
        taken.extend(decoder.feed_raw(b"12345\n\ndata: x\n\n"))
    assert taken == []


@pytest.mark.parametrize("line", [b"data: ", b": ", b"x", b"event: ", b"id:"])
def test_an_endless_line_is_stopped_when_it_exceeds_the_limit(line: bytes):
    decoder = SSEDecoder(max_event_size=1000)
    list(decoder.feed_raw(line + b"x" * (1000 - len(line))))
    with pytest.raises(EventTooLargeError):
        list(decoder.feed_raw(b"x"))


@pytest.mark.parametrize("lines", [b"event: e\n", b"id: 1\n", b": c\n", b"data: 0\n", b"\r", b"\xef\xbb\xbf"])
def test_what_a_chunk_left_pending_bears_on_the_plain_chunk_after_it(lines: bytes):
    body = lines + b"data: a\n\ndata: b\n\n"
    decoder = SSEDecoder()
    pairs = [*decoder.feed_raw(lines), *decoder.feed_raw(body.removeprefix(lines))]
    expected = decode(body)
    assert [(data.decode(), name) for data, name, _, _ in pairs] == [
        (event.data, event.event) for event in expected.events
    ]
    assert decoder.last_event_id == expected.last_event_id


def test_many_lines_of_one_event_are_stopped_but_many_events_and_comments_are_not():
    decoder = SSEDecoder(max_event_size=1000)
    assert len(list(decoder.feed_raw(b"data: 123456789\n\n" * 1000))) == 1000
    list(decoder.feed_raw(b": keep-alive\n" * 1000))
    with pytest.raises(EventTooLargeError):
        list(decoder.feed_raw(b"data: 123456789\n" * 101))


@pytest.mark.parametrize("size", [10, 600, 5000])
def test_plain_chunks_and_events_cut_between_them_never_go_line_by_line(size: int, monkeypatch: pytest.MonkeyPatch):
    fed: list[int] = []
    pairs = SSEDecoder._events
    monkeypatch.setattr(SSEDecoder, "_events", lambda self, chunk: fed.append(len(chunk)) or pairs(self, chunk))
    decoder = SSEDecoder()
    event = b"data: " + b"x" * size + b"\n\n"
    assert len(list(decoder.feed_raw(event * 50))) == 50
    fed.clear()
    assert len(list(decoder.feed_raw(event * 50))) == 50
    assert len(list(decoder.feed_raw(event))) == 1
    assert len(list(decoder.feed_raw(event * 50 + event[:8]))) == 50
    assert len(list(decoder.feed_raw(event[8:9]))) == 0
    assert len(list(decoder.feed_raw(event[9:] + event * 50))) == 51
    assert fed == []


def calls_for(*chunks: bytes) -> int:
    """How many functions, Python's own among them, are called to decode these chunks in the middle of a stream."""
    decoder = SSEDecoder()
    list(decoder.feed_raw(b"data: the first\n\n"))
    calls = 0

    def count(frame: object, event: str, arg: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        for chunk in chunks:
            decoder.feed_raw(chunk)
    finally:
        sys.setprofile(None)
    return calls


SHORT, LONG = b'data: {"output": "a"}\n\n', b"data: " + b"x" * 2000 + b"\n\n"


def test_an_event_that_comes_alone_takes_a_handful_of_calls():
    assert calls_for(*[SHORT] * 100) <= 700
    assert calls_for(*[LONG] * 100) <= 700


@pytest.mark.parametrize("event", [SHORT, SHORT.replace(b"\n", b"\r\n")], ids=["LF", "CRLF"])
@pytest.mark.parametrize("cut", [0, 5], ids=["whole", "cut"])
def test_short_events_together_take_no_call_each(event: bytes, cut: int):
    def two_chunks(count: int) -> tuple[bytes, bytes]:
        body = event * count
        half = len(body) // 2 + cut
        return body[:half], body[half:]

    assert calls_for(*two_chunks(500)) == calls_for(*two_chunks(50))


def test_long_events_together_are_found_and_not_split():
    # Three calls for each, and no fewer: `split` would go through the bytes one by one.
    assert 300 <= calls_for(LONG * 100) <= 330
    assert 600 <= calls_for((LONG[:-1] + LONG) * 50) <= 660  # and so it is with events of two lines


def test_a_long_line_in_many_chunks_takes_a_few_calls_for_each():
    assert calls_for(b"data: ", *[b"x" * 1000] * 100) <= 1200


def test_events_with_names_take_a_few_calls_for_each():
    assert calls_for((b"event: a\n" + SHORT) * 100) <= 1000


def test_thirty_two_mib_in_one_kib_chunks_takes_linear_time():
    def seconds(mib: int) -> float:
        decoder, chunk = SSEDecoder(), b"x" * 1024
        begin = time.process_time()
        decoder.feed_raw(b"data: ")
        for _ in range(mib * 1024):
            decoder.feed_raw(chunk)
        ((data, *_),) = decoder.feed_raw(b"\n\n")
        assert len(data) == mib * 2**20
        return time.process_time() - begin

    # Eight times the bytes; quadratic work would take sixty-four times as long.
    small = min(seconds(4) for _ in range(3))
    assert seconds(32) < 30 * small


def test_a_line_in_single_bytes_takes_linear_time():
    def seconds(size: int) -> float:
        decoder, body = SSEDecoder(), b"data: " + b"x" * size + b"\n\n"
        begin = time.process_time()
        events = [event for at in range(len(body)) for event in decoder.feed_raw(body[at : at + 1])]
        assert [len(data) for data, *_ in events] == [size]
        return time.process_time() - begin

    small = min(seconds(2**17) for _ in range(3))
    assert seconds(2**20) < 30 * small


def test_an_event_of_very_many_lines_takes_linear_time():
    def seconds(chunks: int) -> float:
        decoder, lines = SSEDecoder(), b"data:xy\n" * 1000
        begin = time.process_time()
        for _ in range(chunks):
            decoder.feed_raw(lines)
        ((data, *_),) = decoder.feed_raw(b"\n")
        assert len(data) == chunks * 3000 - 1
        return time.process_time() - begin

    small = min(seconds(50) for _ in range(3))
    assert seconds(400) < 30 * small


def test_an_event_of_very_many_lines_takes_little_more_memory_than_its_bytes():
    decoder, lines = SSEDecoder(), b"data:xy\n" * 1000
    tracemalloc.start()
    try:
        for _ in range(50):
            decoder.feed_raw(lines)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * 50 * len(lines)
    ((data, *_),) = decoder.feed_raw(b"\n")
    assert data == b"\n".join([b"xy"] * 50_000)


def test_events_are_immutable_compare_by_value_and_show_themselves():
    event = ServerSentEvent("e", "d", "1", 5)
    assert event == ServerSentEvent(event="e", data="d", id="1", retry=5)
    assert repr(event) == "ServerSentEvent(event='e', data='d', id='1', retry=5)"
    with pytest.raises(AttributeError):
        event.data = "x"  # pyright: ignore[reportAttributeAccessIssue]
    assert not hasattr(event, "__dict__")
