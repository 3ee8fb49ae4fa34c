"""A flood that the socket gives at once leaves the event loop to others every 10 ms, callbacks included."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

import rxfal
from rxfal.reactive import reader
from rxfal.reactive.reader import LOOK_EVERY, SLICE
from rxfal.testing import Bytes, FalServer, Status

COST = 50e-6
"""Seconds that a callback takes, by the readers' clock."""

IN_A_SLICE = round(SLICE / COST)
MANY = 30 * IN_A_SLICE


@pytest.fixture
async def server() -> AsyncIterator[FalServer]:
    async with FalServer() as server:
        events = b"".join(b"data: %d\n\n" % number for number in range(MANY))
        server.script("me/events", [Bytes(events)])
        body = gzip.compress(bytes(2**26), 1)  # in a few small chunks much comes, and in pieces
        headers = {"Content-Encoding": "gzip"}
        server.script("me/binary", [Status(content_type="audio/wav", headers=headers), Bytes(body)])
        yield server


@pytest.fixture
async def client(server: FalServer) -> AsyncIterator[rxfal.Client]:
    async with server.client() as client:
        yield client


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the readers' clock forward, which otherwise stands still."""
    now = 0.0

    def forward(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(reader, "time", SimpleNamespace(monotonic=lambda: now))
    return forward


async def most_between_turns(streams: list[rxfal.Stream[Any]], on_next: Callable[[Any], None]) -> tuple[int, int]:
    """How many items came in all, and how many at most between two turns of a task that has nothing to do with them."""
    total = before = most = 0

    def counted(item: Any) -> None:
        nonlocal total
        total += 1
        on_next(item)

    reading = asyncio.gather(*(stream.do_action(counted) for stream in streams))
    while not reading.done():
        most, before = max(most, total - before), total
        await asyncio.sleep(0)
    await reading
    return total, most


@pytest.mark.parametrize("verb", ["stream", "stream_events"])
@pytest.mark.parametrize("floods", [1, 4])
async def test_beside_a_flood_of_events_others_have_their_turns(
    client: rxfal.Client, pass_time: Callable[[float], None], verb: str, floods: int
) -> None:
    streams = [getattr(client, verb)("me/events") for _ in range(floods)]
    total, most = await most_between_turns(streams, lambda _: pass_time(COST))
    assert total == floods * MANY
    assert most <= floods * (IN_A_SLICE + LOOK_EVERY)


async def test_beside_a_flood_of_bytes_too(client: rxfal.Client, pass_time: Callable[[float], None]) -> None:
    total, most = await most_between_turns([client.stream("me/binary")], lambda _: pass_time(SLICE))
    assert total > 10 * LOOK_EVERY
    assert most <= LOOK_EVERY


async def test_callbacks_that_take_no_time_are_not_interrupted(
    client: rxfal.Client, pass_time: Callable[[float], None]
) -> None:
    total, most = await most_between_turns([client.stream("me/events")], lambda _: None)
    assert total == MANY
    assert most > 2 * IN_A_SLICE
