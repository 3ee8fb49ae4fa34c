"""The bodies of the web platform tests for EventSource (`eventsource/format-*`), as bytes and the events they mean.

Each is (name, body, events by the standard as (data, event name, last event id), what closing adds or None). The
tests' server ends most bodies with a blank line; that is written out here.
"""

from typing import NamedTuple


class Vector(NamedTuple):
    name: str
    body: bytes
    events: list[tuple[str, str, str]]
    closing: tuple[str, str, str] | None = None


def message(data: str, event_id: str = "") -> tuple[str, str, str]:
    return data, "message", event_id


LONG = b"x" * 2048
BOM = b"\xef\xbb\xbf"

VECTORS = [
    Vector(
        "format-bom: only the first is a mark, a later one belongs to a field name that nobody knows",
        BOM + b"data:1\n\n" + BOM + b"data:2\n\ndata:3\n\n",
        [message("1"), message("3")],
    ),
    Vector(
        "format-bom-2: the second of two marks is no mark",
        BOM + BOM + b"data:1\n\ndata:2\n\ndata:3\n\n",
        [message("2"), message("3")],
    ),
    Vector(
        "format-comments",
        b"data:1\r:\0\n:\r\ndata:2\n:" + LONG + b"\rdata:3\n:data:fail\r:" + LONG + b"\ndata:4\n\n",
        [message("1\n2\n3\n4")],
    ),
    Vector(
        "format-data-before-final-empty-line: the standard drops the last, closing gives it",
        b"retry:1000\ndata:test1\n\nid:test\ndata:test2",
        [message("test1")],
        message("test2", "test"),
    ),
    Vector("format-field-data", b"data:\n\ndata\ndata\n\ndata:test\n\n", [message(""), message("\n"), message("test")]),
    Vector("format-field-event", b"event:test\ndata:x\n\ndata:x\n\n", [("x", "test", ""), message("x")]),
    Vector("format-field-event-empty", b"event: \ndata:data\n\n", [message("data")]),
    Vector(
        "format-field-id: it persists, as any character",
        "id:\u2026\ndata:hello\n\ndata:\u2026\n\n".encode(),
        [message("hello", "\u2026"), message("\u2026", "\u2026")],
    ),
    Vector(
        "format-field-id-2: over more than one event",
        "id:\u2026\ndata:hello\n\ndata:a\n\ndata:b\n\n".encode(),
        [message("hello", "\u2026"), message("a", "\u2026"), message("b", "\u2026")],
    ),
    Vector(
        "format-field-id-3: an empty one, with a colon or without, resets it",
        b"id:1\ndata:a\n\nid\ndata:b\n\nid:2\ndata:c\n\nid:\ndata:d\n\n",
        [message("a", "1"), message("b"), message("c", "2"), message("d")],
    ),
    Vector(
        "format-field-id-null: one with U+0000 is no id",
        b"id:1\n\nid:a\0b\ndata:hello\n\n",
        [message("hello", "1")],
    ),
    Vector(
        "format-field-parsing",
        b"data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\n"
        b"data:3\rdata:\r\n data:32\ndata:4\n\n",
        [message("\0\n 2\n1\n3\n\n4")],
    ),
    Vector("format-field-retry", b"retry:03000\ndata:x\n\n", [message("x")]),
    Vector("format-field-retry-bogus", b"retry:3000\nretry:1000x\ndata:x\n\n", [message("x")]),
    Vector("format-field-retry-empty", b"retry\ndata:test\n\n", [message("test")]),
    Vector(
        "format-field-unknown",
        b"data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n",
        [message("test\n\ntest")],
    ),
    Vector(
        "format-leading-space: one space goes, a tab stays",
        b"data:\ttest\rdata: \ndata:test\n\n",
        [message("\ttest\n\ntest")],
    ),
    Vector("format-newlines", b"data:test\r\ndata\ndata:test\r\n\r", [message("test\n\ntest")]),
    Vector("format-null-character", b"data:\0\n\n\n\n", [message("\0")]),
    Vector("format-utf-8", "data:ok\u2026\n\n".encode(), [message("ok\u2026")]),
    Vector(
        "event-data: lines, an empty event, a block that is no event",
        b"data:msg\ndata: msg\n\n:\nfalsefield:msg\n\nfalsefield:msg\nData:data\n\ndata\n\ndata:end\n\n",
        [message("msg\nmsg"), message(""), message("end")],
    ),
]
