"""`Config(max_concurrent=...)`: how many direct calls are open at once, and how places are given back."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

import rxfal
from rxfal import operators as ops
from rxfal.testing import Bytes, Disconnect, FalServer, Pause, Status


@pytest.fixture
async def server() -> AsyncIterator[FalServer]:
    async with FalServer() as server:
        yield server


class Gate:
    """An app whose calls stay open until they are let go, one by one."""

    def __init__(self, server: FalServer) -> None:
        self.open = 0
        self.most = 0
        self.order: list[Any] = []
        self.begun = asyncio.Semaphore(0)
        self._go_on = asyncio.Semaphore(0)

        @server.app("me/slow")
        async def slow(input: Any) -> AsyncIterator[Any]:
            self.order.append(input.get("n"))
            self.open += 1
            self.most = max(self.most, self.open)
            self.begun.release()
            try:
                yield {"n": input.get("n")}
                await self._go_on.acquire()
                yield {"done": True}
            finally:
                self.open -= 1

    def let_go(self, count: int = 1) -> None:
        for _ in range(count):
            self._go_on.release()

    async def reached(self, count: int = 1) -> None:
        async with asyncio.timeout(10):
            for _ in range(count):
                await self.begun.acquire()


async def turns() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.mark.parametrize("verb", ["stream", "stream_events", "run"])
async def test_so_many_calls_run_at_once_and_the_others_wait_in_order(server: FalServer, verb: str) -> None:
    gate = Gate(server)
    async with server.client(max_concurrent=2) as client:
        calls = [asyncio.create_task(getattr(client, verb)("me/slow", {"n": n}).wait()) for n in range(6)]
        await gate.reached(2)
        for _ in range(4):
            await turns()
            assert gate.open == 2
            gate.let_go()
            await gate.reached()
        gate.let_go(2)
        await asyncio.gather(*calls)
        assert gate.most == 2
        assert gate.order == list(range(6))


async def test_without_a_limit_all_run(server: FalServer) -> None:
    gate = Gate(server)
    async with server.client() as client:
        calls = [asyncio.create_task(client.stream("me/slow").wait()) for _ in range(8)]
        await gate.reached(8)
        gate.let_go(8)
        await asyncio.gather(*calls)


@pytest.mark.parametrize("how", ["end", "dispose", "cancel", "break", "error", "cut", "silence", "callback", "take"])
async def test_a_place_is_given_back_however_the_call_ends(server: FalServer, how: str) -> None:
    gate = Gate(server)
    server.script("me/error", [Status(500, json={"detail": "no"})])
    server.script("me/cut", [Bytes(b"data: 1\n\n"), Disconnect("cut")])
    server.script("me/silent", [Bytes(b"data: 1\n\n"), Pause()])

    def fails(item: Any) -> None:
        raise RuntimeError("a bug")

    async with server.client(max_concurrent=1) as client:
        stream = client.stream("me/slow")
        match how:
            case "end":
                gate.let_go()
                await stream
            case "dispose":
                subscription = stream.subscribe(lambda item: None)
                await gate.reached()
                subscription.dispose()
            case "cancel":
                task = asyncio.create_task(stream.wait())
                await gate.reached()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            case "break":
                async for _ in stream:
                    break
            case "take":
                await stream.pipe(ops.take(1))
            case "callback":
                reported = asyncio.Event()
                asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.set())
                stream.subscribe(fails)
                await reported.wait()
            case _:
                apps = {"error": "me/error", "cut": "me/cut", "silence": "me/silent"}
                with pytest.raises(rxfal.FalError):
                    await client.stream(apps[how], timeout=0.05 if how == "silence" else 60)
        gate.let_go(10)
        async with asyncio.timeout(10):
            await client.stream("me/slow")
            await client.run("me/slow")


async def test_one_who_is_disposed_in_the_line_sends_nothing(server: FalServer) -> None:
    gate = Gate(server)
    async with server.client(max_concurrent=1) as client:
        first = asyncio.create_task(client.stream("me/slow", {"n": 0}).wait())
        await gate.reached()
        waiting = client.stream("me/slow", {"n": 1}).subscribe(lambda item: None)
        third = asyncio.create_task(client.stream("me/slow", {"n": 2}).wait())
        await turns()
        waiting.dispose()
        gate.let_go(2)
        async with asyncio.timeout(10):
            await asyncio.gather(first, third)
        assert gate.order == [0, 2]


async def test_the_wait_counts_in_response_timeout_and_its_error_says_why(server: FalServer) -> None:
    gate = Gate(server)
    async with server.client(max_concurrent=1) as client:
        first = asyncio.create_task(client.stream("me/slow").wait())
        await gate.reached()
        with pytest.raises(rxfal.StreamTimeoutError, match=r"max_concurrent allows at once \(1\)") as caught:
            await client.stream("me/slow", response_timeout=0.02)
        assert (caught.value.endpoint, caught.value.outcome_unknown) == ("me/slow", False)
        gate.let_go(2)
        async with asyncio.timeout(10):
            await first
            await client.stream("me/slow")
        assert len(server.requests) == 2


async def test_uploads_and_tokens_of_a_call_need_no_place_of_their_own(server: FalServer) -> None:
    gate = Gate(server)
    async with server.client(max_concurrent=1) as client:
        gate.let_go(3)
        async with asyncio.timeout(10):
            await asyncio.gather(
                *(client.stream("me/slow", {"n": n, "file": b"GIF89a"}, auth="token").wait() for n in range(3))
            )
            await client.upload(b"x", name="x.txt")
        assert gate.most == 1
        assert [request.path for request in server.requests][:3] == [
            "/rest/storage/upload/initiate",
            server.requests[1].path,
            "/rest/tokens/",
        ], "a call in the line uploads nothing"


async def test_places_are_the_clients_on_all_its_loops(server: FalServer) -> None:
    gate = Gate(server)
    async with server.client(max_concurrent=1) as client:
        here = asyncio.create_task(client.stream("me/slow", {"n": 0}).wait())
        await gate.reached()
        done: list[Any] = []
        thread = threading.Thread(target=lambda: done.append(client.stream("me/slow", {"n": 1}).run()))
        thread.start()
        await turns()
        assert gate.open == 1
        gate.let_go(2)
        await here
        await asyncio.to_thread(thread.join, 10)
        assert done == [{"done": True}]
        assert gate.most == 1


@pytest.mark.parametrize("how", ["aclose", "close"])
async def test_those_in_the_line_end_when_the_client_is_closed(server: FalServer, how: str) -> None:
    gate = Gate(server)
    client = server.client(max_concurrent=1)
    calls = [asyncio.create_task(client.stream("me/slow", {"n": n}).wait()) for n in range(3)]
    await gate.reached()
    if how == "aclose":
        await client.aclose()
    else:
        client.close()
    async with asyncio.timeout(10):
        ends = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(end) for end in ends] == [rxfal.TransportError] * 3
    assert all("closed" in str(end) for end in ends)
    assert len(server.requests) == 1
    gate.let_go(2)
    async with asyncio.timeout(10):
        await client.stream("me/slow")  # it opens again when it is used again
        await client.aclose()


async def test_calls_in_the_queue_need_no_place(server: FalServer) -> None:
    gate = Gate(server)
    async with server.client(max_concurrent=1) as client, asyncio.timeout(20):
        direct = asyncio.create_task(client.stream("me/slow").wait())
        await gate.reached()
        queued = [asyncio.create_task(client.subscribe("me/slow").wait()) for _ in range(3)]
        await gate.reached(3)
        assert gate.open == 4
        gate.let_go(4)
        await asyncio.gather(direct, *queued)


async def test_another_client_has_places_of_its_own(server: FalServer) -> None:
    gate = Gate(server)
    async with server.client(max_concurrent=1) as one, server.client(max_concurrent=1) as other:
        calls = [asyncio.create_task(client.stream("me/slow").wait()) for client in (one, other)]
        await gate.reached(2)
        gate.let_go(2)
        await asyncio.gather(*calls)


async def test_a_retry_keeps_its_place(server: FalServer) -> None:
    gate = Gate(server)
    server.script("me/slow", [Status(429, json={}, headers={"Retry-After": "0"})], times=2)
    gate.let_go(2)
    async with server.client(max_concurrent=1) as client, asyncio.timeout(10):
        await asyncio.gather(client.run("me/slow").wait(), client.run("me/slow").wait())
    assert gate.most == 1
    assert len(server.requests) == 4


async def test_many_inputs_share_the_places(server: FalServer) -> None:
    gate = Gate(server)
    async with server.client(max_concurrent=3) as client, asyncio.timeout(20):
        results = client.map_concurrent([{"n": n} for n in range(20)], "me/slow", 10).pipe(ops.to_list())
        done = asyncio.create_task(results.wait())
        await gate.reached(3)
        await turns()
        gate.let_go(20)
        assert len(await done) == 20
    assert gate.most == 3


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "two"])
def test_max_concurrent_is_a_count(wrong: Any) -> None:
    with pytest.raises(ValueError, match="max_concurrent"):
        rxfal.Config(max_concurrent=wrong)
