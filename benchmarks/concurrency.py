"""Many paced streams at once: what they cost in cpu and memory, and how late their events are.

The server writes evenly, one stream after the other over the interval, so that nearly every event wakes the client; or
in step, to all streams at the same moment, as an inference server does that decodes its requests as one batch.

Each peer runs in a fresh process, all against one server in its own, without TLS and with it. An event carries the time
of its writing, by a clock that all processes share. `python -m benchmarks.concurrency`
"""

import argparse
import asyncio
import gc
import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import fal_client
import fal_client.client

from benchmarks import server
from benchmarks._report import report
from rxfal import Client, Config  # loaded now: what they load is not the memory of a stream

PER_SECOND = 10  # events of one stream: a language model that takes its time
PACINGS = {"even": "evenly spread", "step": "in step"}


class Case(NamedTuple):
    streams: int
    pacing: str
    tls: bool = False

    @property
    def name(self) -> str:
        return f"{self.streams} streams, {PACINGS[self.pacing]}" + (", over TLS" if self.tls else "")


CASES = (
    *(Case(streams, pacing) for pacing in PACINGS for streams in (100, 400, 500, 1_000)),
    *(Case(200, pacing, tls=True) for pacing in PACINGS),
)
SECONDS = 4
ROUNDS = 2
KEY = "a-key-for-benchmarks"
FAL_CLIENT_CONNECTIONS = 100  # httpx lets no more through at once, and the next stream would wait in silence

OnEvent = Callable[[Any], None]
Peer = Callable[[str, str, int, OnEvent], Awaitable[None]]


async def rxfal_subscribe(url: str, app: str, streams: int, on_event: OnEvent) -> None:
    loop = asyncio.get_running_loop()
    async with Client(KEY, config=Config(base_url=url)) as client:
        ends: list[asyncio.Future[None]] = []
        for _ in range(streams):
            end: asyncio.Future[None] = loop.create_future()
            ends.append(end)
            client.stream(app, {}).subscribe(on_event, end.set_exception, lambda end=end: end.set_result(None))
        await asyncio.gather(*ends)


async def rxfal_async_for(url: str, app: str, streams: int, on_event: OnEvent) -> None:
    async with Client(KEY, config=Config(base_url=url)) as client:

        async def listen() -> None:
            async for event in client.stream(app, {}):
                on_event(event)

        await asyncio.gather(*(listen() for _ in range(streams)))


async def fal_client_stream(url: str, app: str, streams: int, on_event: OnEvent) -> None:
    fal_client.client.RUN_URL_FORMAT = url + "/"

    async def listen(client: fal_client.AsyncClient) -> None:
        async for event in client.stream(app, {}):
            on_event(event)

    clients = [fal_client.AsyncClient(key=KEY) for _ in range(-(-streams // FAL_CLIENT_CONNECTIONS))]
    await asyncio.gather(*(listen(clients[number // FAL_CLIENT_CONNECTIONS]) for number in range(streams)))


async def aiohttp_by_hand(url: str, app: str, streams: int, on_event: OnEvent) -> None:
    """As little as one can write: no errors, no event cut in two, nothing but `data: ` lines."""

    async def listen() -> None:
        async with session.post(f"{url}/{app}/stream", json={}) as response:
            async for chunk in response.content.iter_any():
                for line in chunk.splitlines():
                    if line.startswith(b"data: "):
                        on_event(json.loads(line[6:]))

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
    ) as session:
        await asyncio.gather(*(listen() for _ in range(streams)))


class _Protocol(asyncio.Protocol):
    def __init__(self, request: bytes, on_event: OnEvent) -> None:
        self._request = request
        self._on_event = on_event
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        for line in data.splitlines():
            if line.startswith(b"data: "):
                self._on_event(json.loads(line[6:]))

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set_result(None)


async def asyncio_only(url: str, app: str, streams: int, on_event: OnEvent) -> None:
    """The floor: what the event loop and `json` cost. It does not even parse the response."""
    address = urlsplit(url)
    request = f"POST /{app}/stream HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 0\r\n\r\n".encode()
    loop = asyncio.get_running_loop()

    async def listen() -> None:
        _, protocol = await loop.create_connection(
            lambda: _Protocol(request, on_event), address.hostname, address.port, ssl=address.scheme == "https" or None
        )
        await protocol.ended

    await asyncio.gather(*(listen() for _ in range(streams)))


PEERS: dict[str, Peer] = {
    "asyncio, without HTTP": asyncio_only,
    "aiohttp by hand": aiohttp_by_hand,
    "rxfal subscribe": rxfal_subscribe,
    "rxfal async for": rxfal_async_for,
    "fal-client": fal_client_stream,
}
ON_UVLOOP = "rxfal subscribe, uvloop"
if importlib.util.find_spec("uvloop"):  # it is not there for every system
    PEERS[ON_UVLOOP] = rxfal_subscribe


async def listen(peer: Peer, url: str, streams: int, events: int, pacing: str) -> dict[str, float]:
    """Open the streams, wait until each has had its first event, let the server begin, and listen to the end."""
    await peer(url, "bench/once-close", 1, lambda _: None)  # what is loaded with the first stream is not the stream's
    opened = asyncio.Event()
    delays = array("q")
    clock, waiting = time.monotonic_ns, streams

    def on_event(event: dict[str, Any]) -> None:
        nonlocal waiting
        sent = event["sent"]
        if sent:
            delays.append(clock() - sent)
        else:
            waiting -= 1
            if not waiting:
                opened.set()

    gc.collect()
    memory = _memory()
    app = f"bench/paced-{1000 // PER_SECOND}-{events}-{pacing}"
    listening = asyncio.ensure_future(peer(url, app, streams, on_event))
    opening = asyncio.ensure_future(opened.wait())
    await asyncio.wait((listening, opening), return_when=asyncio.FIRST_COMPLETED)
    if not opened.is_set():
        await listening  # it failed
    gc.collect()
    memory = _memory() - memory
    async with _cpu_seconds() as cpu:
        async with aiohttp.ClientSession() as session, session.post(f"{url}/go"):
            pass
        await listening
    if len(delays) != streams * events:
        raise AssertionError(f"{len(delays)} events instead of {streams * events}")
    percentiles = statistics.quantiles(delays, n=100)
    return {
        "cpu_us_per_event": cpu[0] / len(delays) * 1e6,
        "kb_per_stream": memory / streams / 1000,
        "p50_ms": percentiles[49] / 1e6,
        "p99_ms": percentiles[98] / 1e6,
    }


@asynccontextmanager
async def _cpu_seconds() -> AsyncIterator[list[float]]:
    spent: list[float] = []
    begin = time.process_time()
    yield spent
    spent.append(time.process_time() - begin)


def _memory() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def in_fresh_process(peer: str, url: str, case: Case, events: int, certificate: str | None) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.concurrency", peer, url, str(case.streams), str(events), case.pacing]
    # OpenSSL looks into this file, whoever uses it.
    env = {**os.environ, **({"SSL_CERT_FILE": certificate} if certificate else {})}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=300, env=env)
    return json.loads(done.stdout)


def best(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: min(run[name] for run in runs) for name in runs[0]}


def main(*, quick: bool = False) -> None:
    """Run, print and write the results."""
    rows: list[dict[str, Any]] = []
    events = PER_SECOND * (1 if quick else SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        for case in (case for case in CASES if not quick or case.streams <= 200):
            certificate = str(Path(folder) / "certificate.pem") if case.tls else None
            runs: dict[str, list[dict[str, float]]] = {peer: [] for peer in PEERS}
            for _ in range(1 if quick else ROUNDS):
                with server.running(certificate) as url:
                    for peer in random.sample([*PEERS], len(PEERS)):
                        runs[peer].append(in_fresh_process(peer, url, case, events, certificate))
            fal = best(runs["fal-client"])["cpu_us_per_event"]
            for peer, results in runs.items():
                figures = best(results)
                ratio = figures["cpu_us_per_event"] / fal
                rows.append({"case": case.name, "peer": peer, **figures, "cpu_of_fal_client": ratio})
    report("concurrency", rows, title=f"concurrency ({PER_SECOND} events a second and stream)", pace=PER_SECOND)


def child() -> None:
    """One peer in this process; prints its figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("url")
    parser.add_argument("streams", type=int)
    parser.add_argument("events", type=int)
    parser.add_argument("pacing", choices=PACINGS)
    given = parser.parse_args()
    server.raise_descriptor_limit()
    new_loop = importlib.import_module("uvloop").new_event_loop if given.peer == ON_UVLOOP else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=new_loop) as runner:
        print(json.dumps(runner.run(listen(PEERS[given.peer], given.url, given.streams, given.events, given.pacing))))


if __name__ == "__main__":
    child() if len(sys.argv) > 1 else main()
