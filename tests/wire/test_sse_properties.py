"""Any bytes, cut anywhere, give what the reference gives: on both of the decoder's ways through a chunk."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rxfal.errors import EventTooLargeError
from rxfal.wire import sse
from rxfal.wire.sse import RawEvent, ServerSentEvent, SSEDecoder
from tests.wire.reference_sse import decode

PIECES = [
    *(b"\r", b"\n", b"\r\n", b"\n\n", b":", b" ", b"\0", b"\xef\xbb\xbf", b"\xef", b"\xbb", b"\xbf"),
    *(
        b"data",
        b"data:",
        b"data: ",
        b"event",
        b"event: x",
        b"id",
        b"id: 7",
        b"id:\0",
        b"retry",
        b"retry: 12",
        b"retry:1x",
    ),
    *(b": ping", b"data: plain\n\n", b"data: plain\n\n", b"data:bare\n\n", b"\n\ndata: ", b"data: [DONE]\n\n"),
    *("é€😀".encode(), "😀".encode()[:2], b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"x", b"{}"),
]
bodies = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=3)), max_size=30).map(b"".join)
plain_bodies = st.lists(
    st.sampled_from(
        [b"data: 1", b"data: 22", b"data: 333", b"data:4", b": c", b"id: 9", b"event: e", b"data: a\ndata: b"]
    ),
    max_size=12,
).map(lambda blocks: b"".join(block + b"\n\n" for block in blocks))
cuts = st.lists(st.integers(min_value=0, max_value=60), max_size=20)
LINES = [b"retry: 10\n", b"id: 9\n", b"event: e\n", b": c\n", b"data: a\n", b"data: plain\n\n", b"data:\n\n", b"\n"]


@pytest.fixture(params=[2, 2048], ids=["every line is long", "short lines"])
def _line_lengths(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short bodies also go the way that is meant for long lines."""
    monkeypatch.setattr(sse, "_LONG_LINE", request.param)


both_line_lengths = pytest.mark.usefixtures("_line_lengths")


def chunks_of(body: bytes, lengths: Iterable[int]) -> list[bytes]:
    chunks: list[bytes] = []
    for length in lengths:
        chunks.append(body[:length])
        body = body[length:]
    return [*chunks, body]


def parts_of(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[bytes]]:
    """Bodies cut anywhere."""
    return st.builds(chunks_of, bodies, cuts)


# Whole lines in chunks that end with them, as servers that flush each field send them.
whole_lines = st.lists(st.lists(st.sampled_from(LINES), min_size=1, max_size=3).map(b"".join), max_size=12)


def decoded(raw: RawEvent) -> ServerSentEvent:
    data, event, last_id, retry = raw
    return ServerSentEvent(event, data.decode("utf-8", "replace"), last_id, retry)


def take(feed: Callable[[bytes], Iterable[Any]], chunk: bytes, into: list[Any]) -> bool:
    """Feed, and say whether the limit was exceeded."""
    try:
        for event in feed(chunk):
            into.append(event)  # noqa: PERF402
    except EventTooLargeError:
        return True
    return False


@both_line_lengths
@settings(max_examples=400, deadline=None)
@given(st.one_of(parts_of(bodies), parts_of(plain_bodies), whole_lines))
@example([b"\xef", b"\xbb", b"\xbfdata: a\n\n"])
@example([b"data: a\r", b"\n", b"\r", b"\ndata: b\n\n"])
@example([b"id: 5\n", b"data: a\n\n"])
def test_any_cutting_of_any_bytes_gives_the_events_of_the_reference_at_every_chunk(chunks: list[bytes]):
    decoder, raw = SSEDecoder(), SSEDecoder()
    events: list[ServerSentEvent] = []
    raws: list[RawEvent] = []
    body = b"".join(chunks)
    fed = b""
    for chunk in chunks:
        fed += chunk
        events += decoder.feed(chunk)
        raws += raw.feed_raw(chunk)
        expected = decode(fed)
        assert events == expected.events
        assert [decoded(each) for each in raws] == events
        assert all(type(data) is bytes for data, *_ in raws)
        for one in (decoder, raw):
            assert (one.last_event_id, one.retry) == (expected.last_event_id, expected.retry)
    closed = decode(body + b"\n\n").events if not body.endswith(b"\r") else decode(body + b"\n\n\n").events
    last, last_raw = decoder.close(), raw.close_raw()
    assert events + ([last] if last else []) == closed
    assert (decoded(last_raw) if last_raw else None) == last


ascii_bodies = st.lists(
    st.sampled_from([piece for piece in PIECES if piece.isascii()] + [b"data: 0123456789", b"xxxxxxxx"]), max_size=20
).map(b"".join)


@both_line_lengths
@settings(max_examples=400, deadline=None)
@given(st.one_of(ascii_bodies, plain_bodies), cuts, st.integers(min_value=0, max_value=30))
def test_the_size_limit_strikes_at_the_same_byte_however_the_stream_is_cut(body: bytes, lengths: list[int], limit: int):
    for make in (lambda decoder: decoder.feed, lambda decoder: decoder.feed_raw):
        decoder = SSEDecoder(limit)
        taken: list[Any] = []
        fed = b""
        for chunk in chunks_of(body, lengths):
            fed += chunk
            failed = take(make(decoder), chunk, taken)
            expected = decode(fed, limit)
            assert failed == expected.too_large
            assert len(taken) == len(expected.events)
            if failed:
                break


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=20), min_size=1), cuts)
def test_plain_streams_agree_with_httpx_sse(texts: list[str], lengths: list[int]):
    httpx_sse = pytest.importorskip("httpx_sse")
    body = "".join(f"data: {text}\n\n" for text in texts)
    theirs = httpx_sse._decoders.SSEDecoder()
    expected = [event.data for line in body.split("\n") if (event := theirs.decode(line))]
    decoder = SSEDecoder()
    ours = [data.decode() for chunk in chunks_of(body.encode(), lengths) for data, *_ in decoder.feed_raw(chunk)]
    assert ours == expected == texts
