"""Whole programs that use the queue: how they end, what they leave behind, and who picks up their work."""

import asyncio
import importlib.util
import os
import signal
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

import rxfal
from tests.verbs.queue_server import QueueServer, drop, hang, late, take_then

ROOT = Path(__file__).parent.parent.parent
RUNNERS = ["asyncio.run(main())"]
if importlib.util.find_spec("uvloop"):
    RUNNERS += ["import uvloop; uvloop.run(main())"]

posix = pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX systems")


@pytest.fixture
async def server() -> AsyncIterator[QueueServer]:
    async with QueueServer() as server:
        yield server
        for process in Program.started:
            if process.returncode is None:
                process.kill()
            await process.wait()
        Program.started.clear()


class Program:
    """A program of its own, against the server."""

    started: ClassVar[list[asyncio.subprocess.Process]] = []

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.started.append(process)

    @classmethod
    async def start(cls, server: QueueServer, code: str, *options: str) -> "Program":
        head = f"""
            import asyncio, logging, sys, time, rxfal
            logging.basicConfig(level="WARNING", stream=sys.stderr)
            config = rxfal.Config(queue_url={server.url!r})
            client = rxfal.Client("id:secret-of-the-key", config=config)
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *options,
            "-c",
            textwrap.dedent(head) + textwrap.dedent(code),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return cls(process)

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    async def line(self) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            return (await self.process.stdout.readline()).decode().strip()

    async def end(self) -> tuple[int | None, str, str]:
        """Its exit status, and the rest of what it wrote."""
        async with asyncio.timeout(30):
            out, err = await self.process.communicate()
        return self.process.returncode, out.decode(), err.decode()


async def received(server: QueueServer, operation: Any, count: int = 1) -> None:
    async with asyncio.timeout(30), server.arrived:
        await server.arrived.wait_for(lambda: server.count(operation) >= count)


def assert_tidy(err: str) -> None:
    for word in ("destroyed", "never retrieved", "Unclosed", "ResourceWarning", "Exception ignored"):
        assert word not in err, err


# The end of a program


async def test_a_program_that_ends_cancels_what_is_open(server: QueueServer):
    program = await Program.start(
        server,
        """
        import threading
        working = threading.Event()
        client.subscribe("me/app").subscribe(lambda update: working.set())
        working.wait()
        """,
        "-X",
        "dev",
    )
    status, _, err = await program.end()
    assert (status, server.job.cancels, server.count("cancel")) == (0, 1, 1)
    assert "1 stream(s) were still open: me/app" in err
    assert_tidy(err)


async def test_a_program_that_ends_waits_for_a_late_answer(server: QueueServer):
    gate = asyncio.Event()
    server.next("cancel", late(gate, "cancel"))
    program = await Program.start(
        server,
        """
        for update in client.subscribe("me/app"):
            break
        print("left", flush=True)
        """,
    )
    assert await program.line() == "left"
    await received(server, "cancel")
    await asyncio.sleep(1.5)  # longer than an exit takes without a farewell
    assert program.process.returncode is None
    gate.set()
    status, _, err = await program.end()
    assert (status, server.job.cancels, err) == (0, 1, "")


async def test_a_program_that_ends_gives_up_after_a_while_and_names_the_request(server: QueueServer):
    server.next("cancel", hang)
    program = await Program.start(
        server,
        """
        for update in client.subscribe("me/app"):
            break
        """,
    )
    await received(server, "cancel")
    began = time.monotonic()
    status, _, err = await program.end()
    assert 3 < time.monotonic() - began < 9
    assert (status, server.count("cancel")) == (0, 1)
    assert "me/app: request r-1 may still run" in err
    assert_tidy(err)


async def test_names_can_be_looked_up_at_the_end_of_a_program(server: QueueServer):
    program = await Program.start(
        server,
        f"""
        import threading
        from aiohttp import connector
        connector._DNSCacheTable.expired = lambda *_: True
        client = rxfal.Client(
            "id:secret-of-the-key", config=rxfal.Config(queue_url="http://localhost:{server.port}")
        )
        working = threading.Event()
        client.queue.updates(rxfal.RequestHandle.of("me/app", "r-1"), cancel_on_dispose=True).subscribe(
            lambda update: working.set()
        )
        working.wait()
        """,
    )
    async with server.client() as client:
        await client.queue.submit("me/app")
    status, _, err = await program.end()
    assert (status, server.job.cancels) == (0, 1), err


# Ctrl-C


@posix
async def test_ctrl_c_in_a_plain_script_cancels_once(server: QueueServer):
    program = await Program.start(server, 'client.subscribe("me/app").run()')
    await received(server, "stream")
    program.interrupt()
    status, _, err = await program.end()
    assert (status, server.job.cancels, server.count("cancel")) == (-signal.SIGINT, 1, 1)
    assert "KeyboardInterrupt" in err
    assert_tidy(err)


@posix
@pytest.mark.parametrize("runner", RUNNERS)
async def test_ctrl_c_in_an_event_loop_cancels_once(server: QueueServer, runner: str):
    code = f"""
        async def main():
            await client.subscribe("me/app")
        {runner}
    """
    program = await Program.start(server, code, "-X", "dev")
    await received(server, "stream")
    program.interrupt()
    _, _, err = await program.end()
    assert (server.job.cancels, server.count("cancel")) == (1, 1)
    assert "KeyboardInterrupt" in err
    assert_tidy(err)


@posix
async def test_ctrl_c_while_it_is_submitted_waits_for_the_answer_and_cancels(server: QueueServer):
    gate = asyncio.Event()
    server.next("submit", take_then(gate))
    program = await Program.start(server, 'client.subscribe("me/app").run()')
    await received(server, "submit")
    program.interrupt()
    await asyncio.sleep(1.2)
    gate.set()
    await program.end()
    assert (server.job.cancels, server.count("submit"), server.count("cancel")) == (1, 1, 1)


@posix
async def test_a_second_ctrl_c_leaves_at_once(server: QueueServer):
    server.next("cancel", hang)
    program = await Program.start(server, 'client.subscribe("me/app").run()')
    await received(server, "stream")
    program.interrupt()
    await received(server, "cancel")
    await asyncio.sleep(0.3)
    began = time.monotonic()
    program.interrupt()
    await program.end()
    assert time.monotonic() - began < 3


# The end of an event loop


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize(
    "ending",
    [
        "subscription.dispose()",
        "pass",
        "await client.aclose()",
        "subscription.dispose(); await client.aclose()",
    ],
)
async def test_a_loop_that_ends_right_after_cancels_first(server: QueueServer, runner: str, ending: str):
    gate = asyncio.Event()
    server.next("cancel", late(gate, "cancel"))
    code = f"""
        async def main():
            working = asyncio.Event()
            subscription = client.subscribe("me/app").subscribe(lambda update: working.set(), lambda error: None)
            await working.wait()
            {ending}
        {runner}
        print("ended", flush=True)
    """
    program = await Program.start(server, code, "-X", "dev")
    line = asyncio.ensure_future(program.line())
    if ending == "await client.aclose()":  # an error of the following leaves the request as it is
        assert await line == "ended"
        assert server.count("cancel") == 0
    else:
        await received(server, "cancel")
        await asyncio.sleep(0.2)
        assert not line.done(), "the loop's end waits for the answer"
        gate.set()
        assert await line == "ended"
        assert (server.job.cancels, server.count("cancel")) == (1, 1)
    status, _, err = await program.end()
    assert status == 0
    assert_tidy(err)


@pytest.mark.parametrize("runner", RUNNERS)
async def test_a_loop_that_ends_during_a_submit_waits_for_its_answer(server: QueueServer, runner: str):
    gate = asyncio.Event()
    server.next("submit", take_then(gate))
    code = f"""
        async def main():
            client.subscribe("me/app").subscribe()
            await asyncio.sleep(0.3)
        {runner}
        print("ended", flush=True)
    """
    program = await Program.start(server, code, "-X", "dev")
    await received(server, "submit")
    await asyncio.sleep(1.0)
    assert program.process.returncode is None
    gate.set()
    assert await program.line() == "ended"
    assert (server.job.cancels, server.count("submit"), server.count("cancel")) == (1, 1, 1)
    assert_tidy((await program.end())[2])


async def test_a_loop_that_ends_gives_up_after_a_while(server: QueueServer):
    server.next("submit", hang)
    code = """
        async def main():
            client.subscribe("me/app").subscribe()
            await asyncio.sleep(0.3)
        asyncio.run(main())
    """
    program = await Program.start(server, code, "-X", "dev")
    await received(server, "submit")
    began = time.monotonic()
    status, _, err = await program.end()
    assert 3 < time.monotonic() - began < 9
    assert status == 0
    assert "me/app: a request whose id is not known may still run" in err
    assert_tidy(err)


@pytest.mark.parametrize("ending", ["", "subscription.dispose()", "loop.run_until_complete(leave())"])
async def test_a_loop_that_is_closed_under_a_request_leaves_a_warning_that_names_it(server: QueueServer, ending: str):
    server.next("cancel", hang)
    code = f"""
        async def main():
            working = asyncio.Event()
            subscription = client.subscribe("me/app").subscribe(lambda update: working.set())
            await working.wait()
            return subscription
        async def leave():
            subscription.dispose()
            await asyncio.sleep(0.3)
        loop = asyncio.new_event_loop()
        subscription = loop.run_until_complete(main())
        {ending}
        loop.close()
        del loop, subscription
        import gc; gc.collect()
        print("collected", flush=True)
        client.close()
    """
    program = await Program.start(server, code)
    assert await program.line() == "collected"
    status, _, err = await program.end()
    assert status == 0
    assert err.count("me/app: request r-1 may still run") == 1
    assert "its event loop was closed" in err
    assert "never awaited" not in err
    assert "Exception ignored" not in err


async def test_what_is_complete_or_not_to_be_cancelled_holds_up_nothing(server: QueueServer):
    code = """
        async def main():
            working = asyncio.Event()
            client.subscribe("me/app", cancel_on_dispose=False).subscribe(lambda update: working.set())
            await working.wait()
        asyncio.run(main())
    """
    program = await Program.start(server, code, "-X", "dev")
    status, _, err = await program.end()
    assert (status, server.count("cancel")) == (0, 0)
    assert_tidy(err)


# Killed between any two steps


@posix
@pytest.mark.parametrize("step", ["on_enqueue", "Queued", "InProgress"])
async def test_a_killed_program_leaves_a_handle_that_another_follows(server: QueueServer, step: str):
    code = f"""
        import os
        def die(kind):
            if kind == {step!r}:
                os.kill(os.getpid(), 9)
        def keep(handle):
            print(handle.model_dump_json(), flush=True)
            die("on_enqueue")
        stream = client.subscribe("me/app", {{"n": 1}}, on_enqueue=keep)
        stream.do_action(lambda update: die(type(update).__name__)).run()
    """
    first = await Program.start(server, code)
    handle = await first.line()
    if step == "InProgress":
        await received(server, "stream")
        server.job.set("IN_PROGRESS", log="one")
    status, _, _ = await first.end()
    assert status == -signal.SIGKILL
    assert server.count("cancel") == 0
    code = f"""
        handle = rxfal.RequestHandle.model_validate_json({handle!r})
        updates = list(client.queue.updates(handle))
        print(updates[-1].output, [log.message for log in updates[-1].logs])
        print(client.queue.result(handle).run())
    """
    second = await Program.start(server, code)
    job = server.job
    job.logs[:] = []
    job.set("IN_PROGRESS", log="one")
    job.complete({"n": 1})
    status, out, err = await second.end()
    assert (status, out) == (0, "{'n': 1} ['one']\n{'n': 1}\n"), err
    assert (server.count("submit"), server.count("cancel"), len(server.jobs)) == (1, 0, 1)


@posix
async def test_a_killed_follower_costs_nothing(server: QueueServer):
    async with server.client() as client:
        handle = await client.queue.submit("me/app")
        for _ in range(3):
            code = f"client.queue.updates(rxfal.RequestHandle.model_validate_json({handle.model_dump_json()!r})).run()"
            follower = await Program.start(server, code)
            await received(server, "stream", server.count("stream") + 1)
            follower.process.kill()
            await follower.end()
        server.job.complete({"n": 1})
        assert (await client.queue.updates(handle)).output == {"n": 1}
    assert (server.count("submit"), server.count("cancel")) == (1, 0)


async def test_a_fork_of_a_submitting_program_does_not_cancel(server: QueueServer):
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork here")
    code = """
        import os, threading
        working = threading.Event()
        subscription = client.subscribe("me/app").subscribe(lambda update: working.set())
        working.wait()
        child = os.fork()
        if not child:
            sys.exit(0)
        os.waitpid(child, 0)
        print("forked", flush=True)
        time.sleep(60)
    """
    program = await Program.start(server, code)
    assert await program.line() == "forked"
    await asyncio.sleep(0.2)
    assert server.count("cancel") == 0
    program.process.kill()
    await program.end()


# The development mode


CALLS = {
    'client.run("me/app")': "run me/app",
    'client.subscribe("me/app")': "subscribe me/app",
    'client.subscribe("me/app").map(str)': "subscribe me/app",
    'client.queue.submit("me/app")': "queue.submit me/app",
    'client.queue.cancel(rxfal.RequestHandle.of("me/app", "r-1"))': "queue.cancel me/app",
    'client.upload(b"hello", name="hello.txt")': "upload hello.txt",
    'client.download("https://fal.media/a.png")': "download of https://fal.media/a.png",
}


@pytest.mark.parametrize("mode", ["dev", "plain", "subscribed"])
async def test_what_is_never_subscribed_warns_in_the_development_mode(server: QueueServer, mode: str):
    code = "".join(
        f"call = {call}\n"
        + ("call.subscribe(on_error=lambda error: None).dispose()\n" if mode == "subscribed" else "")
        + "del call\n"
        for call in CALLS
    )
    program = await Program.start(
        server, f"{code}import gc; gc.collect()\n", *([] if mode == "plain" else ["-X", "dev"])
    )
    _, _, err = await program.end()
    warnings = [line for line in err.splitlines() if "RuntimeWarning" in line]
    if mode == "dev":
        found = {warning.partition("RuntimeWarning: ")[2].partition(" was never subscribed")[0] for warning in warnings}
        assert (found, len(warnings)) == ({*CALLS.values()}, len(CALLS))
        lines = [int(warning.split(":")[1]) for warning in warnings]
        assert all(warning.startswith("<string>:") for warning in warnings)
        assert len({*lines}) == len(CALLS), "each names the line that made it"
    else:
        assert warnings == []


async def test_what_asks_or_follows_never_warns(server: QueueServer):
    code = """
        handle = rxfal.RequestHandle.of("me/app", "r-1")
        client.queue.status(handle), client.queue.updates(handle), client.queue.result(handle), client.stream("me/app")
        import gc; gc.collect()
    """
    program = await Program.start(server, code, "-X", "dev")
    assert (await program.end())[2] == ""


def test_outside_of_the_development_mode_it_costs_nothing():
    import rxfal.reactive.unused as unused

    assert sys.flags.dev_mode or unused.watch("run") is None


async def test_the_server_is_strict(server: QueueServer):
    """The tests above count on it."""
    server.next("submit", drop)
    async with server.client() as client:
        with pytest.raises(rxfal.TransportError):
            await client.queue.submit("me/app")
    assert server.jobs == []
