"""The server's life: on a loop, in a thread, its journal, its end."""

import asyncio
import concurrent.futures
import contextlib
import resource
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import aiohttp
import pytest

from rxfal.testing import Bytes, FalServer, Pause


def post(server: FalServer, path: str, body: bytes = b"{}") -> bytes:
    request = urllib.request.Request(server.url + path, data=body, headers={"Authorization": f"Key {server.key}"})
    with urllib.request.urlopen(request) as response:
        return response.read()


def test_in_a_thread_it_serves_plain_scripts():
    before = threading.active_count()
    with FalServer() as server:

        @server.app("owner/double")
        async def double(input):
            return input["n"] * 2

        assert post(server, "/owner/double", b'{"n": 21}') == b"42"
    assert threading.active_count() == before


def test_its_hand_shakes_are_for_plain_threads_too():
    pause = Pause()
    with FalServer() as server, concurrent.futures.ThreadPoolExecutor() as pool:
        server.script("owner/app", [Bytes(b"1"), pause, Bytes(b"2")])
        answer = pool.submit(post, server, "/owner/app")
        server.wait_received()
        pause.wait_reached()
        (request,) = server.requests
        assert not request.is_closed
        pause.release()
        assert answer.result() == b"12"
        request.wait_closed()
        assert not request.dropped


async def test_the_journal_has_what_was_asked(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/app")
    async def app(input):
        return 1

    async with session.post("/owner/app/stream?a=1&b=x%20y", json={"p": 1}, headers={"X-Mine": "yes"}):
        pass
    async with session.post("/owner/app", data=b"not json"):
        pass
    first, second = server.requests
    assert (first.method, first.path, first.query) == ("POST", "/owner/app/stream", {"a": "1", "b": "x y"})
    assert (first.headers["x-mine"], first.json, first.body, first.status) == ("yes", {"p": 1}, b'{"p": 1}', 200)
    assert (second.json, second.status) == (None, 422)
    assert repr(first) == "<RecordedRequest POST /owner/app/stream 200>"
    await first.closed()
    assert first.connection == second.connection
    server.clear()
    assert server.requests == []


async def test_config_and_client_point_at_the_server(server: FalServer):
    assert server.config().run_url == server.url
    assert server.config(max_attempts=1).max_attempts == 1
    async with server.client(max_attempts=1) as client:
        assert server.key not in repr(client)


async def test_it_ends_at_once_while_streams_are_open(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rxfal.testing.listener.SHUTDOWN_SECONDS", 3600.0)  # nothing may need the last resort
    ended = 0
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        async with FalServer(require_key=False) as server:

            @server.app("owner/waits")
            async def waits(input):
                nonlocal ended
                try:
                    yield 1
                    await asyncio.Event().wait()
                finally:
                    ended += 1

            @server.app("owner/flood")
            async def flood(input):
                nonlocal ended
                try:
                    while True:
                        yield b"x" * 100_000
                finally:
                    ended += 1

            server.script("owner/paused", [Pause()])
            paused = asyncio.ensure_future(session.post(f"{server.url}/owner/paused"))
            responses = [
                await session.post(f"{server.url}/owner/{name}/stream") for name in ("waits", "flood", "waits")
            ]
            await server.received(4)
            requests = server.requests
        assert ended == 3
        assert all(request.is_closed and request.dropped for request in requests)
        with pytest.raises(aiohttp.ClientError):
            await paused
        for response in responses:
            with pytest.raises(aiohttp.ClientError):
                await response.read()
    assert {task for task in asyncio.all_tasks() if task is not asyncio.current_task()} == set()


def test_it_ends_though_a_client_never_reads_what_it_asked_for():
    begun = threading.Event()
    with contextlib.ExitStack() as stack:
        with FalServer(require_key=False) as server:

            @server.app("owner/huge")
            async def huge(input):
                begun.set()
                yield bytes(32 * 2**20)

            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            client.sendall(b"POST /owner/huge/stream HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            assert begun.wait(5)
        client.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            while client.recv(2**20):
                pass


async def test_it_can_be_entered_again_but_not_twice_at_once():
    server = FalServer(models=True)
    async with server:
        with pytest.raises(RuntimeError, match="already running"):
            async with server:
                pass
        with pytest.raises(RuntimeError, match="already running"), server:
            pass
        assert str(server.port) in repr(server)
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.url
    async with server, aiohttp.ClientSession(server.url) as session, session.get("/") as response:
        assert (await response.json())["apps"]


def test_a_port_that_is_taken_is_the_errors_own_message():
    with FalServer() as server:
        other = FalServer(server.port)
        with pytest.raises(OSError, match="address"), other:
            pass
        assert "not running" in repr(other)
        post_port = server.port
    with FalServer(post_port) as server:
        assert server.port == post_port


@pytest.fixture
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
async def test_a_thousand_streams_at_once():
    everyone = asyncio.Event()
    present = 0
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        FalServer(require_key=False) as server,
        aiohttp.ClientSession(server.url, connector=connector) as session,
    ):

        @server.app("owner/crowd")
        async def crowd(input):
            nonlocal present
            present += 1
            if present == 1000:
                everyone.set()
            yield 1
            await everyone.wait()
            yield 2

        async def read() -> bytes:
            async with session.post("/owner/crowd/stream") as response:
                return await response.read()

        bodies = await asyncio.gather(*(read() for _ in range(1000)))
        assert server.open_connections <= 1000
    assert set(bodies) == {b"data: 1\n\ndata: 2\n\n"}


SCRIPT = """
import asyncio, aiohttp
from rxfal.testing import FalServer

server = FalServer(require_key=False)

@server.app("owner/endless")
async def endless(input):
    while True:
        yield b"data: 1\\n\\n" * 1000

@server.app("owner/job", concurrency=1)
async def job(input, job):
    job.log("begun")
    await asyncio.Event().wait()

async def leave_open(url):
    session = aiohttp.ClientSession()
    response = await session.post(url + "/owner/endless/stream")
    await response.content.readany()
    for _ in range(2):
        submitted = await session.post(url + "/queue/owner/job", headers={"X-Fal-Request-Timeout": "60"})
    status = await session.get((await submitted.json())["status_url"] + "/stream")
    await status.content.readany()
    return session, response, status

async def leave(session, *responses):
    for response in responses:
        response.close()
    await session.close()

async def on_the_loop():
    async with server:
        left = await leave_open(server.url)
    await leave(*left)

asyncio.run(on_the_loop())
with server:
    async def from_outside():
        await leave(*await leave_open(server.url))
    asyncio.run(from_outside())
assert [request.state for request in server.queue] == ["COMPLETED"] * 4
"""


def test_nothing_is_left_behind_under_the_interpreters_strictest_eyes():
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", SCRIPT], cwd=root, capture_output=True, text=True, timeout=60
    )
    # In development mode asyncio reports what takes 0.1 s, which on a busy machine may be anything.
    complaints = [text for text in done.stderr.splitlines() if not text.startswith("Executing <")]
    assert (done.returncode, complaints) == (0, [])
