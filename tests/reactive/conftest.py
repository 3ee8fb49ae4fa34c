"""Every test of the reactive wing ends with no source left running, on any loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from rxfal.reactive.background import background_loop, open_streams, readers_of
from tests.loops import LOOPS, LoopFactory


@pytest.fixture(autouse=True)
def no_reader_left() -> Iterator[None]:
    yield
    background = background_loop().loop
    for _ in range(20):  # what was disposed at the end of the test has a few turns to close
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), background).result(10)
    left = open_streams(background)
    readers_of(background).clear()
    assert not left


@pytest.fixture(params=LOOPS.values(), ids=LOOPS)
def new_loop(request: pytest.FixtureRequest) -> LoopFactory:
    """Makes an event loop, for tests that run and end one themselves; of each kind that is here."""
    return request.param


@pytest.fixture
async def reports() -> list[dict[str, Any]]:
    """What the running loop's exception handler is told."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    return told


@pytest.fixture
def background_reports() -> Iterator[list[dict[str, Any]]]:
    """What the background loop's exception handler is told."""
    told: list[dict[str, Any]] = []
    loop = background_loop().loop
    on_loop(loop, lambda: loop.set_exception_handler(lambda loop, context: told.append(context)))
    yield told
    on_loop(loop, lambda: loop.set_exception_handler(None))


@pytest.fixture
async def clock() -> AsyncIterator[list[float]]:
    """The time of the running loop, one of asyncio's own, to be set."""
    loop: Any = asyncio.get_running_loop()
    now = [1000.0]
    loop.time = lambda: now[0]
    yield now
    del loop.time


def on_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], Any]) -> Any:
    async def call_it() -> Any:
        return call()

    return asyncio.run_coroutine_threadsafe(call_it(), loop).result(10)
