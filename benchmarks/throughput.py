"""How many events reach a user in a second of his processor: rxfal's ways of listening beside its peers.

They are compared by the processor time of the client, because the fastest wait for the server. The peers take turns, in
an order of its own in each round, and the best of the rounds counts; what a peer does not receive is listed as lost.
`python -m benchmarks.throughput`
"""

import asyncio
import json
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import aiohttp
import fal_client
import fal_client.client
import httpx
import httpx_sse
from pydantic import BaseModel

import rxfal
from benchmarks import _node, server
from benchmarks._report import report
from rxfal import operators as ops

KEY = "a-key-for-benchmarks"
NODE_PACKAGE = "@fal-ai/client"
JS_EVENTS = {"listener": 3_000, "iterator": 100}  # a listener takes some 0.2 ms an event, the iterator 16 ms


class Case(NamedTuple):
    shape: str
    per_chunk: int
    events: int

    @property
    def name(self) -> str:
        return f"{self.shape}, {self.per_chunk} a chunk"

    @property
    def app(self) -> str:
        return f"bench/{self.shape}-{self.per_chunk}-{self.events}"


CASES = (
    Case("tokens", 100, 60_000),
    Case("tokens", 1, 60_000),
    Case("cumulative", 100, 20_000),
    Case("cumulative", 1, 20_000),
    Case("images", 100, 1_000),
    Case("images", 1, 1_000),
)


class Token(BaseModel):
    """The events `tokens` and `cumulative`."""

    output: str
    partial: bool
    reasoning: str | None
    error: str | None


class Image(BaseModel):
    url: str
    content_type: str


class Images(BaseModel):
    """The events `images`."""

    images: list[Image]


class Peers:
    """Each method takes a case's stream to its end and gives the number of events that it saw."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rxfal = rxfal.Client(KEY, config=rxfal.Config(base_url=url))
        self.aiohttp = aiohttp.ClientSession()
        self.httpx = httpx.AsyncClient()
        fal_client.client.RUN_URL_FORMAT = url + "/"
        self.fal = fal_client.AsyncClient(key=KEY)

    async def aclose(self) -> None:
        await self.rxfal.aclose()
        await self.aiohttp.close()
        await self.httpx.aclose()

    async def floor(self, case: Case) -> int:
        """No events, only their bytes: what a client on aiohttp can not be faster than."""
        size = 0
        async with self.aiohttp.post(f"{self.url}/{case.app}/stream", json={}) as response:
            async for chunk in response.content.iter_any():
                size += len(chunk)
        return case.events if size == server.size(case.shape, case.events) else 0

    async def fal_client(self, case: Case) -> int:
        count = 0
        async for _event in self.fal.stream(case.app, {}):
            count += 1
        return count

    async def httpx_sse(self, case: Case) -> int:
        count = 0
        url = f"{self.url}/{case.app}/stream"
        async with httpx_sse.aconnect_sse(self.httpx, "POST", url, json={}, timeout=None) as source:
            async for event in source.aiter_sse():
                json.loads(event.data)
                count += 1
        return count

    async def bare(self, case: Case, output: Any = None) -> int:
        count = 0
        ended = asyncio.get_running_loop().create_future()

        def on_next(_event: Any) -> None:
            nonlocal count
            count += 1

        self.rxfal.stream(case.app, {}, output=output).subscribe(
            on_next, ended.set_exception, lambda: ended.set_result(None)
        )
        await ended
        return count

    async def typed(self, case: Case) -> int:
        return await self.bare(case, output=Images if case.shape == "images" else Token)

    async def async_for(self, case: Case) -> int:
        count = 0
        async for _event in self.rxfal.stream(case.app, {}):
            count += 1
        return count

    async def pipeline(self, case: Case) -> int:
        count = 0

        def add(batch: list[Any]) -> int:
            nonlocal count
            count += len(batch)
            return count

        value: Callable[[Any], Any] = (
            (lambda event: event["images"]) if case.shape == "images" else (lambda event: event["output"])
        )
        return await self.rxfal.stream(case.app, {}).pipe(
            ops.timeout(5), ops.map(value), ops.buffer(count=10), ops.map(add), ops.last()
        )

    def all(self) -> dict[str, Callable[[Case], Awaitable[int]]]:
        return {
            "aiohttp, bytes only": self.floor,
            "rxfal subscribe": self.bare,
            "rxfal typed": self.typed,
            "rxfal async for": self.async_for,
            "rxfal pipeline": self.pipeline,
            "fal-client": self.fal_client,
            "httpx-sse": self.httpx_sse,
        }


class Best(NamedTuple):
    """The best of several runs, for one event."""

    seconds: float = math.inf
    cpu: float = math.inf  # seconds of this process
    lost: int = 0  # events, and here the worst

    def or_better(self, other: "Best") -> "Best":
        return Best(min(self.seconds, other.seconds), min(self.cpu, other.cpu), max(self.lost, other.lost))


async def timed(peer: Callable[[Case], Awaitable[int]], case: Case) -> Best:
    cpu, begin = time.process_time(), time.perf_counter()
    events = await peer(case)
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    return Best(seconds / case.events, cpu / case.events, case.events - events)


def timed_on_node(url: str, case: Case, way: str, passes: int) -> Best:
    case = case._replace(events=min(case.events, JS_EVENTS[way]))
    result = _node.run("throughput.mjs", f"{url}/{case.app}/stream", way, str(passes))
    return Best(result["seconds"] / case.events, result["cpu"] / case.events, case.events - result["events"])


async def measure(url: str, case: Case, rounds: int) -> dict[str, Best]:
    peers = Peers(url)
    best = dict.fromkeys(peers.all(), Best())
    try:
        for number in range(rounds):
            for name, peer in random.Random(number).sample([*peers.all().items()], len(peers.all())):
                best[name] = best[name].or_better(await timed(peer, case))
            if _node.available():
                name = f"{NODE_PACKAGE}, listener"
                run = await asyncio.to_thread(timed_on_node, url, case, "listener", passes=2)
                best[name] = best.get(name, Best()).or_better(run)
    finally:
        await peers.aclose()
    return best


def rows_of(case: Case, best: dict[str, Best]) -> list[dict[str, Any]]:
    return [
        {
            "case": case.name,
            "peer": name,
            "events_per_s": 1 / run.seconds,
            "cpu_us_per_event": run.cpu * 1e6,
            "x_fal_client": best["fal-client"].cpu / run.cpu,
            "x_bare": best["rxfal subscribe"].cpu / run.cpu,
            "lost": run.lost,
        }
        for name, run in best.items()
    ]


def main(*, quick: bool = False) -> None:
    """Run, print and write the results."""
    rows: list[dict[str, Any]] = []
    with server.running() as url:
        for case in CASES:
            if quick:
                case = case._replace(events=max(case.events // 20, server.PERIOD))
            best = asyncio.run(measure(url, case, rounds=2 if quick else 7))
            if _node.available():
                best[f"{NODE_PACKAGE}, iterator"] = timed_on_node(url, case, "iterator", passes=1)
            rows += rows_of(case, best)
    versions = {NODE_PACKAGE: _node.version(NODE_PACKAGE)} if _node.available() else {}
    report("throughput", rows, title="throughput (x: times as many events a second of cpu)", versions=versions)


if __name__ == "__main__":
    main()
