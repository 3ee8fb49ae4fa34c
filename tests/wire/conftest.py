"""An `Http` for each test, closed after it, and a clock that a test can set forward."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from rxfal.wire.http import Http
from tests.wire.servers import http_for


@pytest.fixture
async def make_http() -> AsyncIterator[Callable[..., Http]]:
    """`http_for`, closed after the test."""
    made: list[Http] = []

    def make(*args: Any, **settings: Any) -> Http:
        made.append(http_for(*args, **settings))
        return made[-1]

    yield make
    for http in made:
        await http.aclose()


class Clock:
    """The running loop's clock, which a test can set forward."""

    def __init__(self, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead = 0.0
        real_time = loop.time
        monkeypatch.setattr(loop, "time", lambda: real_time() + self._ahead)

    async def advance(self, seconds: float) -> None:
        """Let what is under way be done, then so many seconds pass."""
        for _ in range(10):
            await asyncio.sleep(0)
        self._ahead += seconds


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(asyncio.get_running_loop(), monkeypatch)
