"""How long from the call to the first event of a stream, on a connection that is there (warm) or not (cold).

The peers take turns, one stream at a time, each with one event. `auth="token"` has its short-lived token already: it
is fetched once and cached. `python -m benchmarks.latency`
"""

import asyncio
import json
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import aiohttp
import fal_client
import fal_client.client

import rxfal
from benchmarks import server
from benchmarks._report import report

KEY = "a-key-for-benchmarks"
SAMPLES = 1_000
CASES = {"warm": "once-keep", "cold": "once-close"}  # which connection, and what asks the server for it

Peer = Callable[[str], Awaitable[float]]


class Peers:
    """Each method takes one stream to its end, and gives the seconds until its event was there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = aiohttp.ClientSession()
        self.client = rxfal.Client(KEY, config=rxfal.Config(base_url=url))
        fal_client.client.RUN_URL_FORMAT = url + "/"
        self.fal = fal_client.AsyncClient(key=KEY)

    async def aclose(self) -> None:
        await self.session.close()
        await self.client.aclose()

    async def aiohttp(self, app: str) -> float:
        begin, first = time.perf_counter(), 0.0
        headers = {"Authorization": f"Key {KEY}", "Accept": "text/event-stream"}
        async with self.session.post(f"{self.url}/{app}/stream", json={}, headers=headers) as response:
            async for chunk in response.content.iter_any():
                json.loads(chunk[6:])
                first = first or time.perf_counter()
        return first - begin

    async def rxfal(self, app: str, auth: Literal["key", "token"] = "key") -> float:
        ended = asyncio.get_running_loop().create_future()
        first = 0.0

        def on_next(_event: Any) -> None:
            nonlocal first
            first = time.perf_counter()

        begin = time.perf_counter()
        self.client.stream(app, {}, auth=auth).subscribe(on_next, ended.set_exception, lambda: ended.set_result(None))
        await ended
        return first - begin

    async def rxfal_with_token(self, app: str) -> float:
        return await self.rxfal(app, "token")

    async def fal_client(self, app: str) -> float:
        begin, first = time.perf_counter(), 0.0
        async for _event in self.fal.stream(app, {}):
            first = first or time.perf_counter()
        return first - begin

    def all(self) -> dict[str, Peer]:
        return {
            "aiohttp": self.aiohttp,
            'rxfal, auth="key"': self.rxfal,
            'rxfal, auth="token"': self.rxfal_with_token,
            "fal-client": self.fal_client,
        }


async def measure(url: str, app: str, samples: int) -> dict[str, list[float]]:
    """Seconds of each peer, as many as samples; the first streams of all, which set up this and that, do not count."""
    peers = Peers(url)
    seconds: dict[str, list[float]] = {name: [] for name in peers.all()}
    try:
        for number in range(-10, samples):
            # In an order of its own each time: what came before a request leaves its traces in it.
            for name, peer in random.Random(number).sample([*peers.all().items()], len(seconds)):
                taken = await peer(app)
                if number >= 0:
                    seconds[name].append(taken)
    finally:
        await peers.aclose()
    return seconds


def rows_of(case: str, seconds: dict[str, list[float]]) -> list[dict[str, Any]]:
    percentiles = {name: statistics.quantiles(taken, n=100) for name, taken in seconds.items()}
    floor = percentiles["aiohttp"][49]
    return [
        {
            "case": f"{case} connection",
            "peer": name,
            "p50_us": of_peer[49] * 1e6,
            "p99_us": of_peer[98] * 1e6,
            "over_aiohttp_us": (of_peer[49] - floor) * 1e6,
            "x_aiohttp": of_peer[49] / floor,
        }
        for name, of_peer in percentiles.items()
    ]


def main(*, quick: bool = False) -> None:
    """Run, print and write the results."""
    rows: list[dict[str, Any]] = []
    with server.running() as url:
        for case, answer in CASES.items():
            rows += rows_of(case, asyncio.run(measure(url, f"bench/{answer}", 50 if quick else SAMPLES)))
    report("latency", rows, title="latency (from the call to the first event)")


if __name__ == "__main__":
    main()
