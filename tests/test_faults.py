"""A matrix of faults over raw sockets: every verb, with each of its requests broken in every way.

Whatever a server does, a call ends soon, well or with a `FalError` that shows no secret, and leaves nothing open.
"""

import asyncio
import gzip
import itertools
import json
import re
import socket
import struct
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

import rxfal
from tests.hidden import assert_hidden
from tests.wire.servers import Scripted, answer, scripted

KEY, TOKEN, SIGNATURE = "key-of-the-id:key-of-the-secret", "a-short-lived-token", "a-signature-of-the-address"
EVENTS = b"".join(b'data: {"n": %d}\n\n' % n for n in range(40))
SOUND = bytes(range(256))

BODIES = {
    "token": ("application/json", json.dumps(TOKEN).encode()),
    "stream": ("text/event-stream", EVENTS),
    "stream_events": ("text/event-stream", EVENTS),
    "json": ("application/json", json.dumps(list(range(100))).encode()),
    "bytes": ("audio/wav", SOUND),
    "put": ("text/plain", b"thanks"),
}
WANTED = {"token": 40, "stream": 40, "stream_events": 40, "json": 1}  # items
STATUSES = ["101 X", "204 X", "300 X", "302 X", "304 X", "401 X", "422 X", "429 X", "500 X", "503 X"]
CODINGS = ["gzip", "no gzip", "half a gzip", "unknown"]
FRAMINGS = ["length", "chunks", "close"]
WHOLE = ["kept", "closed", "followed by junk", "followed by an answer"]
BROKEN = ["nothing", "half a head", "no body", "half a body", "half a chunk", "no chunk", "reset", "stalled", "mute"]


@dataclass(frozen=True)
class Fault:
    """How the answer to a request is broken.

    Attributes:
        where: Which request.
        status: Its status, and reason.
        coding: How its body is encoded.
        framing: How the end of its body can be known.
        end: What becomes of it.
    """

    where: str
    status: str = "200 OK"
    coding: str = "plain"
    framing: str = "length"
    end: str = "kept"

    def head_and_body(self, url: str) -> tuple[bytes, bytes]:
        kind, body = BODIES.get(self.where) or ("application/json", place(url))
        lines = [f"HTTP/1.1 {self.status}", "X-Fal-Request-Id: r-1", f"Content-Type: {kind}"]
        if self.status > "299":
            sent = SIGNATURE if self.where == "put" else KEY
            body = json.dumps({"detail": f"no {sent}\n\x1b[31m{'x' * 5000}"}).encode()
            lines += ["Retry-After: 0", *(["Location: https://elsewhere.test/"] if "302" in self.status else [])]
        if self.coding != "plain":
            lines.append(f"Content-Encoding: {'gzip' if 'gzip' in self.coding else 'compress'}")
            body = {"gzip": gzip.compress(body), "half a gzip": gzip.compress(body)[:-9]}.get(self.coding, body)
        match self.framing:
            case "length":
                lines.append(f"Content-Length: {len(body)}")
            case "chunks":
                lines.append("Transfer-Encoding: chunked")
            case _:
                lines.append("Connection: close")
        return "\r\n".join(lines).encode() + b"\r\n\r\n", body

    async def play(self, reader: Reader, writer: Writer, url: str) -> None:
        head, body = self.head_and_body(url)
        half = len(body) // 2
        begun, whole = head + self.framed(body[:half]), head + self.framed(body[:half], body[half:], b"")
        writer.write(
            {
                "nothing": b"",
                "mute": b"",
                "half a head": head[:30],
                "no body": head,
                "half a chunk": head + (b"fff\r\n" if self.framing == "chunks" else b"") + body[:half],
                "no chunk": begun + b"zz\r\n",
                "kept": whole,
                "closed": whole,
                "followed by junk": whole + b"junk\r\n\r\n",
                "followed by an answer": whole + answer(b'"another\'s"'),
            }.get(self.end, begun)
        )
        if self.end in ("stalled", "no chunk", "mute"):
            await reader.read()
        if self.end == "reset":
            await writer.drain()
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        elif self.end not in WHOLE[:1] + WHOLE[2:] or self.framing == "close":
            writer.close()

    def framed(self, *pieces: bytes) -> bytes:
        if self.framing != "chunks":
            return b"".join(pieces)
        return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)

    def outcomes(self) -> set[str]:
        """How a call may end, as "well" or "badly"."""
        if self.status[:3] in ("101", "204", "304") and self.where != "put":
            return {"badly"}
        if self.status != "200 OK":
            return {"well", "badly"} if "204" in self.status else {"badly"}
        if self.coding not in ("plain", "gzip"):
            return {"badly"}
        if self.framing == "close" and self.end not in (
            "kept",
            "closed",
            "nothing",
            "half a head",
            "reset",
            "stalled",
            "mute",
        ):
            return {"well", "badly"}  # such a body is whole wherever it ends
        if self.end == "no chunk" and self.framing != "chunks":
            return {"well", "badly"}  # there it is some of the body
        return {"well" if self.end in WHOLE else "badly"}


def faults(where: str) -> list[Fault]:
    ends = [Fault(where, framing=framing, end=end) for framing in FRAMINGS for end in WHOLE + BROKEN]
    statuses = [Fault(where, status, end=end) for status in STATUSES for end in ("kept", "half a body")]
    codings = [Fault(where, coding=coding, framing=framing) for coding in CODINGS for framing in FRAMINGS]
    return [*ends, *statuses, *codings]


def place(url: str) -> bytes:
    return json.dumps({"file_url": "https://files.test/1", "upload_url": f"{url}/put?signature={SIGNATURE}"}).encode()


@asynccontextmanager
async def served(faults: list[Fault]) -> AsyncIterator[Scripted]:
    """A server whose first path segment is the number of a fault; what is not broken is answered well."""

    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        path = head.split(b" ")[1].decode()
        number, _, rest = path.removeprefix("/").partition("/")
        fault, url = faults[int(number)], f"{server.url}/{number}"
        if length := re.search(rb"content-length: (\d+)", head, re.IGNORECASE):
            await reader.readexactly(int(length[1]))
        names = {"rest/tokens/": "token", "rest/storage/upload/initiate": "initiate", "put": "put"}
        where = names.get(rest.partition("?")[0], "stream" if fault.where in names.values() else fault.where)
        if where == fault.where:
            await fault.play(reader, writer, url)
        else:
            kind, body = BODIES.get(where) or ("application/json", place(url))
            writer.write(answer(body, "200 OK", f"Content-Type: {kind}"))

    async with scripted(handler) as server:
        yield server


async def outcome(fault: Fault, url: str) -> list[str]:
    """What is wrong with how the call ends; nothing at best."""
    wrong: list[str] = []
    patience = 0.3 if fault.end in ("stalled", "no chunk", "mute") else 30.0
    config = rxfal.Config(base_url=url, request_timeout=patience, max_attempts=2)
    client = rxfal.Client(KEY, config=config)
    stream: rxfal.Stream[Any]
    if fault.where in ("initiate", "put"):
        stream = client.stream("o/a", {"file": b"GIF89a"}, timeout=patience, response_timeout=patience)
    else:
        verb = client.stream_events if fault.where == "stream_events" else client.stream
        auth = "token" if fault.where == "token" else "key"
        stream = verb("o/a", {}, timeout=patience, response_timeout=patience, auth=auth)
    items: list[Any] = []
    try:
        async with asyncio.timeout(10):
            async for item in stream:
                items.append(item)
    except rxfal.FalError as error:
        end = "badly"
        try:
            assert_hidden(error, *KEY.split(":"), TOKEN, SIGNATURE)
        except AssertionError as shown:
            wrong.append(f"it shows a secret: {shown}")
        if len(str(error)) > 2200 or not str(error).isprintable():
            wrong.append(f"its message is {error}")
    except BaseException as error:
        return [f"it ends with {error!r}"]
    else:
        end = "well"
        if fault.outcomes() == {"well"} and len(items) != WANTED.get(fault.where, len(items)):
            wrong.append(f"it gives {len(items)} items")
    if end not in fault.outcomes():
        wrong.append(f"it ends {end}")
    for session in client._connections().http._sessions._held.sessions.values():
        assert session.client.connector is not None
        if session.responses or session.client.connector._acquired:
            wrong.append("it leaves a connection")
    await client.aclose()
    return wrong


@pytest.mark.parametrize("where", [*BODIES, "initiate"])
async def test_whatever_breaks_a_call_ends_soon_and_as_it_should(where: str) -> None:
    some = faults(where)
    places = asyncio.Semaphore(16)

    async def one(number: int, fault: Fault) -> None:
        async with places:
            found = await outcome(fault, f"{server.url}/{number}")
        if found:
            wrong[fault] = found

    wrong: dict[Fault, list[str]] = {}
    async with served(some) as server:
        await asyncio.gather(*itertools.starmap(one, enumerate(some)))
    assert wrong == {}
