"""Server-sent events: bytes in, events out, to the letter of the WHATWG HTML standard, section 9.2.6.

A sans-IO state machine: it awaits nothing and knows no sockets, HTTP, JSON or fal. The standard decodes the whole
stream as UTF-8 and then cuts it into lines. Here the bytes are cut first, and only what a user sees is decoded. The
result is the same, because no byte of a multi-byte character can be a CR, an LF, a colon or a space.

There are two ways through a chunk. Any chunk can go the general way, `_events`, line by line. Nearly every model server
sends chunks of whole events with one `data: ...` line each and LF line ends. Those are cut by `_cut_plain`, with a few
calls for the whole chunk, which is several times as fast for events of 130 bytes.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from typing import NamedTuple, Never

from rxfal.errors import EventTooLargeError

_BOM = b"\xef\xbb\xbf"
_MESSAGES, _NO_RETRY = repeat("message"), repeat(None)

# `bytes.find` of one byte runs at some 50 GB/s but costs a call; `split` and `splitlines` need no call per line but go
# byte by byte, at 1 to 2 GB/s. They break even when lines are about this long.
_LONG_LINE = 512

# More digits than this can't be a waiting time, and `int` refuses very many, or takes quadratic time for them.
_RETRY_DIGITS = 18


class ServerSentEvent(NamedTuple):
    """One event of an event stream.

    It is a NamedTuple because one is made per event: it is immutable, compares by value, and costs a third of a frozen
    dataclass.

    Attributes:
        event: The event's name; "message" if the server gave none.
        data: The `data` lines, joined with line feeds. Bytes that are not UTF-8 are replaced by U+FFFD.
        id: The last event id at the end of this event. It persists: an event without an `id` line has the id of the one
            before.
        retry: The reconnection time, in milliseconds, that came with this event, or None.

    Examples:
        >>> ServerSentEvent(data="hello")
        ServerSentEvent(event='message', data='hello', id='', retry=None)
    """

    event: str = "message"
    data: str = ""
    id: str = ""
    retry: int | None = None


RawEvent = tuple[bytes, str, str, int | None]
"""An event as (data, event, id, retry), with the data not decoded."""


class SSEDecoder:
    r"""Decodes one event stream, fed in chunks that may be cut anywhere.

    Use either `feed` and `close`, or `feed_raw` and `close_raw`. Feeding is eager: the whole chunk has been taken in
    when the call returns, so stopping in the middle of its events does no harm. An event is given out as soon as its
    blank line is known: a CR at the end of a chunk ends its line at once, and an LF that follows is dropped.

    Time and memory are linear in the bytes fed, however they are cut.

    Args:
        max_event_size: The most bytes in one event: the data of its finished lines, plus the line that is being
            received, field name included. This also catches an endless line or comment.

    Attributes:
        max_event_size: The limit given.
        last_event_id: The standard's "last event ID string", as of the last finished block of lines.
        retry: The last reconnection time that the server named, in milliseconds, or None.

    Examples:
        >>> decoder = SSEDecoder()
        >>> list(decoder.feed(b"data: 1\n\nid: 7\nda"))
        [ServerSentEvent(event='message', data='1', id='', retry=None)]
        >>> list(decoder.feed(b"ta: 2\r\n\r"))
        [ServerSentEvent(event='message', data='2', id='7', retry=None)]
        >>> decoder.last_event_id
        '7'

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
    """

    __slots__ = (
        "_after_cr",
        "_bare",
        "_data",
        "_event",
        "_event_retry",
        "_failed",
        "_head",
        "_id",
        "_line",
        "last_event_id",
        "max_event_size",
        "retry",
    )

    def __init__(self, max_event_size: int = 64 * 2**20) -> None:
        self.max_event_size = max_event_size
        self.last_event_id = ""
        self.retry: int | None = None
        self._head: bytes | None = b""  # what may yet become a byte order mark; None once that is decided
        self._after_cr = False  # the last byte was a CR: an LF that follows belongs to it
        self._line: bytes | bytearray = b""  # a line whose end has not come
        self._data: bytes | bytearray | None = None  # the standard's data buffer; None is "no data line yet"
        self._event = ""
        self._event_retry: int | None = None
        self._id = ""  # the standard's "last event ID buffer": becomes last_event_id at the blank line
        self._bare = False  # nothing bears on the next event but, perhaps, the beginning of its first line
        self._failed = False

    def feed(self, chunk: bytes) -> Iterable[ServerSentEvent]:
        """Take in a chunk and return the events that it completes.

        Args:
            chunk: The next bytes of the stream, however many there are.

        Returns:
            The events, in order.

        Raises:
            EventTooLargeError: Raised after the events before it have been taken from the result, and at every later
                call.
        """
        return map(_decoded, self.feed_raw(chunk))

    def feed_raw(self, chunk: bytes) -> Iterable[RawEvent]:
        r"""Take in a chunk and return the events that it completes as (data, event, id, retry). This is the fast way.

        The data is not decoded, because a JSON parser wants bytes.

        Args:
            chunk: The next bytes of the stream, however many there are.

        Returns:
            The events, in order.

        Raises:
            EventTooLargeError: Raised after the events before it have been taken from the result, and at every later
                call.

        Examples:
            >>> decoder = SSEDecoder()
            >>> list(decoder.feed_raw(b'data: {"n": 1}\n\nevent: error\ndata: no\n\n'))
            [(b'{"n": 1}', 'message', '', None), (b'no', 'error', '', None)]
        """
        if (
            (self._bare and not self._line and chunk.startswith(b"data: "))
            and (chunk.find(b"\n") == len(chunk) - 2 and chunk.endswith(b"\n") and b"\r" not in chunk)
            and len(chunk) <= self.max_event_size
        ):
            # One whole event alone is what a live stream usually reads.
            return ((chunk[6:-2], "message", self.last_event_id, None),)
        if b"\r" in chunk and not self._after_cr and chunk.find(b"\n") < _LONG_LINE:
            # Whole CRLFs (some servers send them) become LFs, unless there is a CR that ends a line by itself.
            with_lf = chunk.replace(b"\r\n", b"\n")
            chunk = chunk if b"\r" in with_lf else with_lf
        if len(self._line) + len(chunk) > self.max_event_size or b"\r" in chunk:
            return self._eager(self._events(chunk))
        begun: Iterable[RawEvent] = ()
        payloads: list[bytes] = []
        start = 0
        if self._line or not self._bare:
            # The end of the last chunk cut an event: finish it, and what follows may be plain again.
            end = chunk.find(b"\n")
            if end < 0 and self._line:
                self._hold(chunk)
                return ()
            if self._bare and self._line.startswith(b"data: ") and chunk.startswith(b"\n", end + 1):
                payloads.append(b"".join((memoryview(self._line)[6:], memoryview(chunk)[:end])))
                self._line = b""
                start = end + 2
            else:
                start = end + 1 + chunk.startswith(b"\n", end + 1) if end >= 0 else len(chunk)
                begun = self._eager(self._events(chunk[:start]))
        if self._bare and chunk.startswith(b"data: ", start):
            start = _cut_plain(chunk, start, payloads)
        messages = zip(payloads, _MESSAGES, repeat(self.last_event_id), _NO_RETRY, strict=False)
        ended: Iterable[RawEvent] = ()
        if rest := chunk[start:]:
            if self._bare and b"\n" not in rest:
                self._hold(rest)
            else:
                ended = self._eager(self._events(rest))
        return chain(begun, messages, ended)

    def close(self) -> ServerSentEvent | None:
        """End the stream, and return the event that lacks only its blank line, if there is one.

        Here rxfal departs from the standard on purpose. The standard drops that event. But a body that ended cleanly
        (with its last chunk, or all of its content-length) was not cut, and the last event of a model is its result. An
        unfinished line counts as a line. Do not call this if the connection broke.

        Returns:
            The event, or None.

        Examples:
            >>> decoder = SSEDecoder()
            >>> list(decoder.feed(b"data: the end"))
            []
            >>> decoder.close().data
            'the end'
        """
        raw = self.close_raw()
        return None if raw is None else _decoded(raw)

    def close_raw(self) -> RawEvent | None:
        """End the stream like `close`, if you used `feed_raw`.

        Returns:
            The event as `feed_raw` returns it, or None.
        """
        return None if self._failed else next(iter(self.feed_raw(b"\n\n")), None)

    def _events(self, chunk: bytes) -> Iterator[RawEvent]:
        """The general way, line by line."""
        if self._failed:
            raise EventTooLargeError(self.max_event_size)
        if self._head is not None:
            # "The UTF-8 decode algorithm strips one leading UTF-8 Byte Order Mark (BOM), if any."
            chunk = self._head + chunk
            if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
                self._head = chunk
                return
            self._head = None
            chunk = chunk.removeprefix(_BOM)
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if not chunk:
            return
        self._after_cr = chunk.endswith(b"\r")
        data, limit = self._data, self.max_event_size
        tight = len(chunk) + len(self._line) + len(data or b"") > limit  # else no line of this chunk can exceed it
        *lines, rest = _split_lines(chunk)
        if lines and self._line:
            lines[0] = b"".join((self._line, lines[0]))
            self._line = b""
        for line in lines:
            if tight and len(line) + len(data or b"") > limit:
                raise self._too_large()
            if line.startswith(b"data: "):
                value = line[6:]
            elif not line:
                # "If the line is empty (a blank line): dispatch the event."
                self.last_event_id = self._id
                if data is not None:
                    yield bytes(data), self._event or "message", self._id, self._event_retry
                    data = None
                self._event = ""
                self._event_retry = None
                continue
            else:
                name, _, value = line.partition(b":")
                if value.startswith(b" "):
                    value = value[1:]  # "If value starts with a U+0020 SPACE character, remove it from value."
                if name != b"data":
                    self._set(name, value)
                    continue
            if data is None:
                data = value
            else:
                # Only an event of several lines pays for a buffer; it grows in place, so many lines stay linear.
                data = data if isinstance(data, bytearray) else bytearray(data)
                data += b"\n"
                data += value
        self._data = data
        self._hold(rest)
        pending = self._after_cr or data is not None or self._event or self._event_retry is not None
        self._bare = not pending and self._id is self.last_event_id

    def _set(self, name: bytes, value: bytes) -> None:
        """Process a field other than `data`; a comment is a field without a name, and unknown ones are ignored."""
        if name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id":
            # "If the field value does not contain U+0000 NULL, then set the last event ID buffer to the field value."
            if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit():
            # "If the field value consists of only ASCII digits": just those, `bytes.isdigit` knows no others.
            digits = value.lstrip(b"0")
            if len(digits) <= _RETRY_DIGITS:
                self.retry = self._event_retry = int(digits or b"0")

    def _hold(self, rest: bytes) -> None:
        """Keep the beginning, or more, of a line whose end has not come yet."""
        if not self._line:
            self._line = rest
        else:
            # Only a line of three chunks and more pays for a buffer; it grows in place, so many chunks stay linear.
            self._line = self._line if isinstance(self._line, bytearray) else bytearray(self._line)
            self._line += rest
        if len(self._line) + len(self._data or b"") > self.max_event_size:
            raise self._too_large()

    def _too_large(self) -> EventTooLargeError:
        self._failed, self._bare = True, False
        self._data, self._line = None, b""
        return EventTooLargeError(self.max_event_size)

    def _eager(self, events: Iterator[RawEvent]) -> Iterable[RawEvent]:
        """Take all events now. An error among them is raised when the reader has taken those before it."""
        taken: list[RawEvent] = []
        again = self._failed
        try:
            for event in events:
                taken.append(event)  # noqa: PERF402 (a comprehension would lose the events before an error)
        except EventTooLargeError as error:
            if again:
                raise
            return chain(taken, _raising(error))
        return taken


def _decoded(raw: RawEvent) -> ServerSentEvent:
    data, event, last_id, retry = raw
    return ServerSentEvent(event, data.decode("utf-8", "replace"), last_id, retry)


def _raising(error: Exception) -> Iterator[Never]:
    raise error
    yield  # makes it a generator: the error is raised when it is reached


def _split_lines(chunk: bytes) -> list[bytes]:
    """Cut at CR, LF and CRLF. The last item is the unfinished line; it is empty if the chunk ends with a line end."""
    if b"\r" in chunk or 0 <= chunk.find(b"\n") < _LONG_LINE:
        lines = chunk.splitlines()  # of bytes: at just those three
        if chunk.endswith((b"\n", b"\r")):
            lines.append(b"")
        return lines
    lines: list[bytes] = []
    start = 0
    while (end := chunk.find(b"\n", start)) >= 0:
        lines.append(chunk[start:end])
        start = end + 1
    lines.append(chunk[start:])
    return lines


def _cut_plain(chunk: bytes, start: int, payloads: list[bytes]) -> int:
    """Cut plain events, one `data: ` line each, from a chunk without a CR that has the beginning of one at `start`.

    Appends their payloads, and returns where the rest begins, which goes the general way. It may cut nothing although
    there are plain events.
    """
    middle = chunk.find(b"\n", (start + len(chunk)) // 2)
    if 0 <= chunk.find(b"\n", middle + 2) - middle < _LONG_LINE:
        # If a block between blank lines were not plain, an LF would be left in a payload. (The inner rfind, of a single
        # byte, is far faster than the outer one and leaves it almost nothing to search.)
        end = chunk.rfind(b"\n\n", start, chunk.rfind(b"\n") + 1)
        found = chunk[start + 6 : max(end, start + 6)].split(b"\n\ndata: ")
        if end < 0 or b"\n" in b"".join(found):
            return start
        payloads += found
        return end + 2
    value = start + 6
    end = chunk.find(b"\n", value)
    while chunk.startswith(b"\n\ndata: ", end):
        payloads.append(chunk[value:end])
        value = end + 8
        end = chunk.find(b"\n", value)
    if end >= 0 and chunk.startswith(b"\n", end + 1):
        payloads.append(chunk[value:end])
        return end + 2
    return value - 6
