"""The whole of rxfal as its users run it: scripts without a warning, a thousand streams, bounded memory, no secrets."""

import asyncio
import dataclasses
import logging
import resource
import subprocess
import sys
import textwrap
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import reactivex as rx
from pydantic import SecretStr

import rxfal
from rxfal import operators as ops
from rxfal.testing import Bytes, Disconnect, FalServer, Pause, RecordedRequest, Status

pytestmark = pytest.mark.every_loop

ROOT = Path(__file__).parent.parent

SERVER = """
import asyncio, sys
from rxfal.testing import FalServer

async def main():
    async with FalServer(require_key=False) as server:
        @server.app("me/many")
        async def many(input):
            total, chunk = input["events"], input["chunk"]
            for start in range(0, total, chunk):
                numbers = range(start, min(start + chunk, total))
                yield b"".join(b'data: {"n": %d, "output": "%s"}\\n\\n' % (n, b"x" * 90) for n in numbers)

        @server.app("me/meeting")
        async def meeting(input):
            global present
            present += 1
            if present == input["wait_for"]:
                everybody.set()
            yield {"n": 0}
            await everybody.wait()
            yield {"n": 1}

        print(server.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)

present = 0
everybody = asyncio.Event()
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def server_process() -> Iterator[str]:
    """The URL of an embedded server in a process of its own, which leaves this one's memory and CPU to the client."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate("", timeout=10)


# Scripts


SCRIPTS = {
    "module-level calls in one asyncio.run after the other": """
        async def success():
            assert await rxfal.stream("me/count") == 2
            assert [event async for event in rxfal.stream("me/count").map(str)] == ["0", "1", "2"]
            async for event in rxfal.stream("me/count"):
                break
            merged = [item async for item in rxfal.merge(a=rxfal.stream("me/count"), b=rxfal.stream("me/count"))]
            assert len(merged) == 6

        async def failure():
            for app, kind in (("me/broken", rxfal.ApiError), ("me/cut", rxfal.TransportError)):
                try:
                    await rxfal.stream(app)
                except kind:
                    continue
                raise AssertionError(app)

        async def silence():
            for stream in (rxfal.stream("me/open", timeout=0.05), rxfal.stream("me/open").timeout(0.05)):
                try:
                    await stream
                except rxfal.StreamTimeoutError:
                    continue
                raise AssertionError(stream)

        async def disposal():
            opened = asyncio.Event()
            subscription = rxfal.stream("me/open").subscribe(lambda _: opened.set())
            await opened.wait()
            subscription.dispose()

        async def end_of_loop():
            opened = asyncio.Event()
            rxfal.stream("me/open").subscribe(lambda _: opened.set(), lambda error: print("on_error", error))
            await opened.wait()

        for main in (success, failure, silence, disposal, end_of_loop, success):
            asyncio.run(main())
            gc.collect()
        assert threading.active_count() == before, threading.enumerate()
        """,
    "a plain script without an event loop": """
        assert rxfal.stream("me/count").run() == 2
        assert list(rxfal.stream("me/count")) == [0, 1, 2]
        for event in rxfal.stream("me/open"):
            break
        for app, kind in (("me/broken", rxfal.ApiError), ("me/cut", rxfal.TransportError)):
            try:
                rxfal.stream(app).run()
            except kind:
                continue
            raise AssertionError(app)
        try:
            rxfal.stream("me/open", timeout=0.05).run()
        except rxfal.StreamTimeoutError:
            pass
        opened = threading.Event()
        subscription = rxfal.stream("me/open").subscribe(lambda _: opened.set())
        opened.wait()
        subscription.dispose()
        done = threading.Event()
        chain = rxfal.stream("me/count").pipe(ops.retry(2), ops.start_with(-1), ops.delay(0.01))
        chain.subscribe(on_completed=done.set)
        done.wait()
        """,
    "a client of the program's own that is left open, with a stream that is left last": """
        async def left(how):
            stream = rxfal.Client("key", config=rxfal.Config(base_url=url)).stream("me/open")
            if how == "break":
                async for _ in stream:
                    break
            elif how == "return":
                async for _ in stream:
                    return
            elif how == "timeout":
                try:
                    async with asyncio.timeout(0.02):
                        await stream
                except TimeoutError:
                    pass
            else:
                opened = asyncio.Event()
                subscription = stream.subscribe(lambda _: opened.set())
                await opened.wait()
                subscription.dispose()

        for how in ("break", "return", "timeout", "dispose") * 3:
            asyncio.run(left(how))
        """,
    "a client closed by its block, on a loop and without one": """
        async def main():
            async with rxfal.Client("key", config=rxfal.Config(base_url=url)) as client:
                assert await client.stream("me/count") == 2
            with rxfal.Client("key", config=rxfal.Config(base_url=url)) as client:
                assert await client.stream("me/count") == 2

        asyncio.run(main())
        with rxfal.Client("key", config=rxfal.Config(base_url=url)) as client:
            assert client.stream("me/count").run() == 2
        """,
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_a_script_leaves_no_warning_task_socket_or_thread(script: str) -> None:
    preamble = """
        import asyncio, gc, logging, sys, threading
        import rxfal
        from rxfal import operators as ops
        url = sys.argv[1]
        # How long a callback takes is up to the machine.
        logging.getLogger("asyncio").addFilter(lambda record: not record.msg.startswith("Executing"))
        rxfal.configure("key", config=rxfal.Config(base_url=url))
        before = threading.active_count()
        """
    with FalServer() as server:
        server.script("me/count", [Bytes(b"data: 0\n\ndata: 1\n\ndata: 2\n\n")])
        server.script("me/open", [Bytes(b"data: 0\n\n"), Pause()])
        server.script("me/broken", [Status(500, json={"detail": "broken"})])
        server.script("me/cut", [Bytes(b"data: 0\n\n"), Disconnect("mid-chunk")])
        done = subprocess.run(
            [
                sys.executable,
                "-X",
                "dev",
                "-W",
                "error",
                "-c",
                textwrap.dedent(preamble) + textwrap.dedent(script),
                server.url,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=ROOT,
        )
        assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
        for request in server.requests:
            request.wait_closed()


# Many and much


async def test_a_thousand_streams_at_once(server_process: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    try:
        async with rxfal.Client(config=rxfal.Config(base_url=server_process)) as client:
            # Each stream's second event comes only when all of them are open.
            streams = [
                client.stream("me/meeting", {"wait_for": 1000}).map(lambda event: event["n"]) for _ in range(1000)
            ]
            assert await rxfal.merge(*streams).sum() == 1000
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident_mebibytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the process's memory from /proc")
@pytest.mark.parametrize(
    "through",
    [lambda s: s, lambda s: s.map(lambda e: e).filter(lambda _: True), lambda s: rxfal.iterate(rx.merge(s))],
    ids=["stream", "map and filter", "rx.merge"],
)
async def test_a_slow_loop_over_a_fast_stream_stays_small_and_loses_nothing(server_process: str, through: Any) -> None:
    total = 400_000
    async with rxfal.Client(config=rxfal.Config(base_url=server_process)) as client:
        await client.stream("me/many", {"events": 5000, "chunk": 100})
        before = largest = resident_mebibytes()
        expected = 0
        async for event in through(client.stream("me/many", {"events": total, "chunk": 100}, timeout=30)):
            assert event["n"] == expected
            expected += 1
            if expected % 8000 == 0:
                await asyncio.sleep(0.001)  # the server runs ahead of us here, as far as it is let
                largest = max(largest, resident_mebibytes())
    assert expected == total
    assert largest - before <= 8


async def test_a_busy_program_is_not_called_a_silent_server() -> None:
    with FalServer() as server:  # on a thread of its own: it goes on while this loop is blocked
        first, last = Pause(), Pause()
        server.script("me/fast", [Bytes(b"data: 1\n\n"), first, Bytes(b"data: 2\n\n"), last])
        got: list[int] = []

        def block() -> None:
            first.release()
            last.wait_reached()  # the second event is in the socket, unseen
            time.sleep(0.3)

        def on_next(event: int) -> None:
            got.append(event)
            asyncio.get_running_loop().call_soon(block) if event == 1 else last.release()

        async with server.client() as client:
            await client.stream("me/fast", timeout=0.2).do_action(on_next)
    assert got == [1, 2]


# Secrets


async def test_no_secret_is_shown_anywhere(caplog: pytest.LogCaptureFixture, unused_tcp_port: int) -> None:
    caplog.set_level(logging.DEBUG)
    key, token = "key-id-3141:key-secret-5926", "token-5358.97932"
    shown: list[str] = []
    async with FalServer() as server:

        @server.raw("me/denied")
        async def denied(request: RecordedRequest) -> AsyncIterator[Status]:  # a server that repeats what it was sent
            yield Status(403, json={"detail": f"not you, {request.headers.get('Authorization')} {request.query}"})

        def echo(request: RecordedRequest) -> bytes:
            return f"you sent {request.headers.get('Authorization')} {request.query.get('fal_jwt_token')}".encode()

        @server.raw("me/error")
        async def error_event(request: RecordedRequest) -> AsyncIterator[Bytes]:
            yield Bytes(b'event: error\ndata: {"detail": "' + echo(request) + b'"}\n\n')

        @server.raw("me/bad")
        async def bad(request: RecordedRequest) -> AsyncIterator[Bytes]:
            yield Bytes(b"data: " + echo(request) + b"\n\n")

        server.script("me/cut", [Bytes(b"data: 0\n\n"), Disconnect("cut")])
        server.script("me/reset", [Disconnect("reset")])
        server.script("me/moved", [Status(307, headers={"Location": f"https://evil.com/?t={token}"})])
        server.script("me/silent", [Bytes(b"data: 0\n\n"), Pause()])
        urls = (server.url, f"http://127.0.0.1:{unused_tcp_port}", "http://no-such-host.invalid")
        for base_url in urls:
            config = rxfal.Config(base_url=base_url, max_attempts=1, key=SecretStr(key))
            async with rxfal.Client(config=config) as by_config, rxfal.Client(key, config=config) as client:
                shown += map(repr, (by_config, client, config, client.__dict__, dataclasses.asdict(config)))
                for app in ("denied", "error", "bad", "cut", "reset", "moved", "silent", "unknown"):
                    for options in ({}, {"auth": "token", "token_provider": lambda _: token}):
                        stream = client.stream(f"me/{app}", timeout=0.05, **options)
                        with pytest.raises(rxfal.FalError) as caught:
                            await stream
                        error = caught.value
                        shown += [repr(error), str(error), repr(stream), repr(vars(error))]
                        shown += traceback.format_exception(error)
                        for other in (error.__cause__, error.__context__):
                            shown.append(repr(other) + repr(getattr(other, "__dict__", "")))
    shown += [record.getMessage() for record in caplog.records]
    assert len(shown) > 100
    everything = "\n".join(shown)
    for secret in (key, "key-secret-5926", token):
        assert secret not in everything


async def test_a_key_goes_to_no_other_host() -> None:
    config = rxfal.Config(key=SecretStr("secret"))
    for app in ("https://evilfal.run/x/y", "http://fal.run@evil.com/", "https://fal.run.evil.com/", "//evil.com/a/b"):
        with pytest.raises(rxfal.EndpointError):
            rxfal.Client(config=config).stream(app)


async def test_operators_of_the_readme_compose(server_process: str) -> None:
    async with rxfal.Client(config=rxfal.Config(base_url=server_process)) as client:
        stream = client.stream("me/many", {"events": 100, "chunk": 7})
        pipeline = stream.pipe(ops.timeout(5), ops.map(lambda e: e["n"]), ops.buffer(count=8), ops.map(len), ops.last())
        assert await pipeline == 100 % 8
