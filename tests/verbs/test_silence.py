"""The limit on a socket's silence by itself, on a loop whose clock the test sets forward."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rxfal.reactive import watchdog
from rxfal.verbs.silence import SilenceLimit


async def test_a_silence_that_begins_after_the_check_has_its_whole_time(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)
    last_look: list[Callable[[], Any]] = []
    monkeypatch.setattr(watchdog, "call_after_poll", lambda loop, callback: last_look.append(callback))
    reads = [loop.create_future(), loop.create_future()]

    async def read_twice() -> list[str]:
        with SilenceLimit(60, endpoint="me/app", request_id=None) as limit:
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
