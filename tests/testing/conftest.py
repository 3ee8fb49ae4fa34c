"""A server on the test's own loop and a bare HTTP session on it: the server is tested from outside, without rxfal."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from rxfal.testing import FalServer


@pytest.fixture
async def server() -> AsyncIterator[FalServer]:
    async with FalServer() as server:
        yield server


@pytest.fixture
async def session(server: FalServer) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Key {server.key}"}
    async with aiohttp.ClientSession(server.url, headers=headers) as session:
        yield session
