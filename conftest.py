"""What holds for every test and every doctest: an environment of their own, and nothing left behind."""

import asyncio
import concurrent.futures.thread
import os
import sys
import threading
from collections.abc import Iterator

import hypothesis
import pytest

from tests.loops import LOOPS, LoopFactory

hypothesis.settings.register_profile("rxfal", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("rxfal")

collect_ignore = ["tests/site_in_chromium.py"]  # a program, which a test runs where a browser is

_VARIABLES = (
    "FAL_API_KEY",
    "FAL_FORCE_AUTH_BY_USER",
    "FAL_KEY",
    "FAL_KEY_ID",
    "FAL_KEY_SECRET",
    "FAL_QUEUE_RUN_HOST",
    "FAL_RUN_HOST",
    "RXFAL_BASE_URL",
    *(f"{scheme}_proxy" for scheme in ("http", "https", "all", "no")),
)


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, LoopFactory]:
    """Tests marked `every_loop` run on each kind of event loop that is here; the others on asyncio's own."""
    return LOOPS if item.get_closest_marker("every_loop") else {"asyncio": LOOPS["asyncio"]}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, login, host or proxy of the machine reaches a test."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("FAL_HOME_DIR", os.devnull)


@pytest.fixture(autouse=True)
def nothing_left_behind(environment: None) -> Iterator[None]:
    """A test leaves no thread that would hold up the interpreter's exit, and no stream that still reads."""
    before = set(threading.enumerate())
    yield
    for thread in _lasting_threads() - before:
        thread.join(timeout=2.0)
    assert not _lasting_threads() - before, "threads left behind"
    assert not _readers(), "streams left open"


def _lasting_threads() -> set[threading.Thread]:
    pooled = set(concurrent.futures.thread._threads_queues)  # an executor keeps its threads, and ends them at exit
    return {thread for thread in threading.enumerate() if not thread.daemon} - pooled


def _readers() -> list[str]:
    """The readers that are still there after a disposal on its way has had a second to reach the background loop."""
    module = sys.modules.get("rxfal.reactive.background")
    if module is None or module._background is None:
        return []
    loop = module._background.loop
    asyncio.run_coroutine_threadsafe(_ended(module.readers_of(loop).copy()), loop).result(2.0)
    return [task.get_name() for task in module.readers_of(loop)]


async def _ended(tasks: set[asyncio.Task[None]]) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=1.0)
