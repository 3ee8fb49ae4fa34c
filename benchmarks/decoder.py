"""How fast event streams are decoded: rxfal's two ways in beside httpx-sse and, on Node, eventsource-parser.

Every peer gets the same bytes in the same chunks and hands out events; the two that take text decode the bytes first,
as their users must. The pass with the least processor time counts. `python -m benchmarks.decoder`
"""

import codecs
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from httpx_sse._decoders import SSEDecoder as HttpxDecoder
from httpx_sse._decoders import SSELineDecoder

from benchmarks import _node
from benchmarks._report import report
from rxfal.wire.sse import SSEDecoder

SECONDS = 1.5  # to spend on the passes of each peer


class Case(NamedTuple):
    name: str
    body: bytes
    chunk_size: int
    events: int

    def chunks(self) -> list[bytes]:
        return [self.body[at : at + self.chunk_size] for at in range(0, len(self.body), self.chunk_size)]


def cases() -> list[Case]:
    def token(n: int) -> bytes:
        fields = {"output": f"{n:06} " + "x" * 46, "partial": True, "reasoning": None, "error": None}
        return b"data: " + json.dumps(fields).encode() + b"\n\n"

    tokens = b"".join(map(token, range(40_000)))
    a_token = len(token(0))
    lines = b"event: update\n" + b"data: {\n" + b'data:   "output": "some twenty characters",\n' * 8 + b"data: }\n\n"
    image = b'data: {"images": [{"url": "data:image/jpeg;base64,' + b"QUJD" * 50_000 + b'"}]}\n\n'
    return [
        Case("LF, 130-byte tokens, 100 a chunk", tokens, 100 * a_token, 40_000),
        Case("LF, 130-byte tokens, 1 a chunk", tokens, a_token, 40_000),
        Case("LF, 130-byte tokens, 16 KiB chunks", tokens, 2**14, 40_000),
        Case("CRLF, 130-byte tokens, 16 KiB chunks", tokens.replace(b"\n", b"\r\n"), 2**14, 40_000),
        Case("10 data lines an event, 16 KiB chunks", lines * 8_000, 2**14, 8_000),
        Case("200 kB images, 64 KiB chunks", image * 100, 2**16, 100),
        Case("one 32 MiB event, 1 KiB chunks", b"data: " + b"x" * 2**25 + b"\n\n", 2**10, 1),
    ]


def rxfal_raw(chunks: list[bytes]) -> int:
    feed = SSEDecoder().feed_raw
    events = 0
    for chunk in chunks:
        for _event in feed(chunk):
            events += 1
    return events


def rxfal_feed(chunks: list[bytes]) -> int:
    feed = SSEDecoder().feed
    events = 0
    for chunk in chunks:
        for _event in feed(chunk):
            events += 1
    return events


def httpx_sse(chunks: list[bytes]) -> int:
    def lines() -> Iterator[str]:
        text, decoder = codecs.getincrementaldecoder("utf-8")("replace"), SSELineDecoder()
        for chunk in chunks:
            yield from decoder.decode(text.decode(chunk))
        yield from decoder.flush()

    decode = HttpxDecoder().decode
    events = 0
    for line in lines():
        if decode(line.rstrip("\n")) is not None:
            events += 1
    return events


PEERS: dict[str, Callable[[list[bytes]], int]] = {
    "rxfal feed_raw": rxfal_raw,
    "rxfal feed": rxfal_feed,
    "httpx-sse": httpx_sse,
}


def best_times(case: Case) -> dict[str, float]:
    """The least processor time of each peer, in seconds. They take turns, in an order of its own in each round."""
    chunks, best = case.chunks(), dict.fromkeys(PEERS, float("inf"))
    until, rounds = time.perf_counter() + SECONDS * len(PEERS), 0
    while rounds < 3 or time.perf_counter() < until:
        rounds += 1
        for name in random.sample([*PEERS], len(PEERS)):
            begin = time.process_time()
            events = PEERS[name](chunks)
            best[name] = min(best[name], time.process_time() - begin)
            if events != case.events:
                raise AssertionError(f"{case.name}: {events} events instead of {case.events}")
    return best


def eventsource_parser(case: Case) -> float:
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body"
        body.write_bytes(case.body)
        result = _node.run("decoder.mjs", str(body), str(case.chunk_size), str(SECONDS))
    if result["events"] != case.events:
        raise AssertionError(f"{case.name}: {result['events']} events instead of {case.events}")
    return result["seconds"]


def rows_of(case: Case, times: dict[str, float]) -> Iterator[dict[str, Any]]:
    for peer, seconds in times.items():
        yield {
            "case": case.name,
            "peer": peer,
            "mb_per_s": len(case.body) / seconds / 1e6,
            "events_per_s": case.events / seconds,
            "ratio": seconds / times["rxfal feed_raw"],
        }


def run() -> list[dict[str, Any]]:
    """Rows of case, peer, MB/s, events/s and how many times as long as rxfal's `feed_raw` it took."""
    rows: list[dict[str, Any]] = []
    for case in cases():
        times = best_times(case)
        if _node.available():
            times["eventsource-parser"] = eventsource_parser(case)
        rows += rows_of(case, times)
    return rows


def main() -> None:
    """Run, print and write the results."""
    rows = run()
    versions = {"eventsource-parser": _node.version("eventsource-parser")} if _node.available() else {}
    report("decoder", rows, title="decoder (ratio: time taken, rxfal feed_raw = 1)", versions=versions)


if __name__ == "__main__":
    main()
