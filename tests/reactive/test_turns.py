"""How long a source keeps its loop: a slice of time, after which the loop's other work has its turn."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from rxfal.reactive import reader
from rxfal.reactive.reader import LOOK_EVERY, SLICE, Sink, Turn
from rxfal.reactive.stream import create

pytestmark = pytest.mark.every_loop


class Clock:
    now = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(reader, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


async def test_within_its_slice_a_source_keeps_the_loop_and_then_leaves_it_once(clock: Clock):
    others: list[float] = []
    turn = Turn()
    asyncio.get_running_loop().call_soon(lambda: others.append(clock.now))
    clock.now += SLICE * 0.9
    await turn.look()
    assert others == []
    clock.now += SLICE * 0.2
    await turn.look()
    assert others == [clock.now]


async def test_the_next_slice_begins_when_the_source_is_back(clock: Clock):
    others: list[str] = []
    turn = Turn()
    loop = asyncio.get_running_loop()

    def take_long() -> None:
        clock.now += 100.0
        loop.call_soon(others.append, "later")

    loop.call_soon(take_long)
    clock.now += SLICE
    await turn.look()
    clock.now += SLICE * 0.9
    await turn.look()
    assert others == []


async def test_a_source_that_looks_now_and_then_shares_the_loop(clock: Clock):
    """The example in `Turn`'s docstring, at a cost of 50 µs an item."""

    async def flood(sink: Sink[int]) -> None:
        turn, left = Turn(), LOOK_EVERY
        for number in range(10_000):
            sink.on_next(number)
            left -= 1
            if not left:
                left = LOOK_EVERY
                await turn.look()

    count, turns = 0, 0

    def on_next(_: int) -> None:
        nonlocal count
        count += 1
        clock.now += 50e-6

    reading = asyncio.ensure_future(create(flood, name="flood").do_action(on_next).count())
    while not reading.done():
        turns += 1
        await asyncio.sleep(0)
    assert await reading == count == 10_000
    assert turns >= 10_000 * 50e-6 / (SLICE + LOOK_EVERY * 50e-6)
