"""The limit on a socket's silence by itself, on a loop whose clock the test sets forward."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rxfal.errors import StreamTimeoutError
from rxfal.reactive import watchdog
from rxfal.verbs.silence import SilenceLimit
from tests.reactive.sources import spin


async def test_a_silence_that_begins_after_the_check_has_its_whole_time(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)
    last_look: list[Callable[[], Any]] = []
    monkeypatch.setattr(watchdog, "call_after_poll", lambda loop, callback: last_look.append(callback))
    reads = [loop.create_future(), loop.create_future()]

    async def read_twice() -> list[str]:
        with SilenceLimit(60, endpoint="me/app") as limit:
            return [await limit.wait(lambda read=read: read) for read in reads]

    reading = asyncio.ensure_future(read_twice())
    await asyncio.sleep(0)
    now += 61
    for _ in range(10):
        await asyncio.sleep(0)
    reads[0].set_result("just in time")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    now += 1000  # and then the loop was blocked, so that nobody could look at the socket
    last_look.pop()()
    reads[1].set_result("in time as well")
    assert await reading == ["just in time", "in time as well"]


async def test_after_data_that_came_at_the_last_moment_the_next_silence_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)
    last_look: list[Callable[[], Any]] = []
    monkeypatch.setattr(watchdog, "call_after_poll", lambda loop, callback: last_look.append(callback))
    first, never = loop.create_future(), loop.create_future()
    got: list[str] = []

    async def read_twice() -> None:
        with SilenceLimit(60, endpoint="me/app") as limit:
            got.append(await limit.wait(lambda: first))
            await limit.wait(lambda: never)

    reading = asyncio.ensure_future(read_twice())
    await asyncio.sleep(0)
    now += 61  # the loop was busy
    await spin()
    first.set_result("was in the socket all the time")
    await spin()
    assert len(got) == 1
    last_look.pop()()
    now += 61
    await spin()
    last_look.pop()()
    await spin()
    with pytest.raises(StreamTimeoutError):
        reading.result()
