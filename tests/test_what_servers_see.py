"""What servers see of operators that end requests: who lost a race is hung up on, and so is what nobody hears."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from reactivex.subject import Subject

import rxfal
from rxfal import operators as ops
from rxfal.client import Client
from rxfal.testing import Bytes, Disconnect, FalServer, Pause, RecordedRequest, Status, Step

GOING = b'data: {"output": "going"}\n\n'


@pytest.fixture
def server() -> Iterator[FalServer]:
    with FalServer() as server:
        yield server


@pytest.fixture
def client(server: FalServer) -> Iterator[Client]:
    with server.client() as client:
        yield client


def silent(server: FalServer, endpoint: str, *, head: bool = True) -> Pause:
    """An endpoint that answers with nothing, or with a head alone, until it is released."""
    pause = Pause()
    server.script(endpoint, [*([Status()] if head else []), pause, Bytes(GOING), Pause()])
    return pause


def request_of(server: FalServer, endpoint: str, number: int = 0) -> RecordedRequest:
    return [request for request in server.requests if endpoint in request.path][number]


@pytest.mark.parametrize("head", [True, False], ids=["after its head", "without an answer"])
async def test_who_lost_a_race_is_hung_up_on_before_the_first_item_is_seen(server: FalServer, head: bool):
    async with server.client() as client:
        silent(server, "owner/slow", head=head)
        quick = silent(server, "owner/quick")
        race = rxfal.race(slow=client.stream("owner/slow"), quick=client.stream("owner/quick"))
        items = aiter(race)
        first = asyncio.ensure_future(anext(items))
        await server.received(2)
        await quick.reached()
        assert not any(request.is_closed for request in server.requests)
        quick.release()
        assert await first == ("quick", {"output": "going"})
        await request_of(server, "slow").closed()
        assert request_of(server, "slow").dropped
        assert not request_of(server, "quick").is_closed
        await items.aclose()
        await request_of(server, "quick").closed()


def test_in_a_plain_script_too(server: FalServer, client: Client):
    silent(server, "owner/slow")
    silent(server, "owner/quick").release()
    for item in rxfal.race(slow=client.stream("owner/slow"), quick=client.stream("owner/quick")):
        assert item.tag == "quick"
        request_of(server, "slow").wait_closed()
        assert not request_of(server, "quick").is_closed
        break
    request_of(server, "quick").wait_closed()


async def test_a_model_that_fails_loses_and_the_last_error_is_raised_if_all_fail(server: FalServer):
    async with server.client(max_attempts=1) as client:
        server.script("owner/broken", [Status(500, json={"detail": "broken"})])
        server.script("owner/late", [Status(422, json={"detail": "late"})])
        server.script("owner/well", [Bytes(GOING), Disconnect()])
        streams = {name: client.stream(f"owner/{name}") for name in ("broken", "well", "late")}
        assert await rxfal.race(streams) == ("well", {"output": "going"})
        with pytest.raises(rxfal.ApiError) as caught:
            await rxfal.race(streams["broken"], streams["late"])
        assert caught.value.status in (500, 422)


async def test_a_hedged_request_is_sent_twice_and_the_silent_one_is_hung_up_on(server: FalServer):
    async with server.client() as client:
        server.script("owner/model", [Status(), Pause()], times=1)
        server.script("owner/model", [Bytes(GOING), Pause()])
        items = aiter(rxfal.hedge(client.stream("owner/model"), after=0.05))
        assert await anext(items) == {"output": "going"}
        await request_of(server, "model", 0).closed()
        assert not request_of(server, "model", 1).is_closed
        assert len(server.requests) == 2
        await items.aclose()


async def test_a_hedged_request_that_is_answered_in_time_is_sent_once(server: FalServer):
    async with server.client() as client:
        server.script("owner/model", [Bytes(GOING), Disconnect()])
        assert await rxfal.hedge(client.stream("owner/model"), after=5) == {"output": "going"}
        assert len(server.requests) == 1


async def test_one_that_fails_is_sent_again_at_once(server: FalServer):
    async with server.client(max_attempts=1) as client:
        server.script("owner/model", [Status(500, json={"detail": "broken"})], times=1)
        server.script("owner/model", [Bytes(GOING), Disconnect()])
        async with asyncio.timeout(5):
            assert await rxfal.hedge(client.stream("owner/model"), after=600) == {"output": "going"}
        assert len(server.requests) == 2


async def test_a_memoized_request_is_one_and_ends_with_its_last_listener(server: FalServer):
    async with server.client() as client:
        more = Pause()
        server.script("owner/model", [Bytes(GOING), more, Bytes(GOING), Disconnect()])
        memoized = client.stream("owner/model").pipe(ops.memoize())
        one, other = aiter(memoized), aiter(memoized)
        await anext(one)
        await anext(other)
        await one.aclose()
        assert not server.requests[0].is_closed
        await other.aclose()
        await server.requests[0].closed()
        more.release()
        assert len(await memoized.to_list()) == len(await memoized.to_list()) == 2
        assert len(server.requests) == 2


async def test_a_click_while_an_answer_streams_asks_nothing(server: FalServer):
    async with server.client() as client:
        more = Pause()
        server.script("owner/model", [Bytes(GOING), more, Disconnect()])
        clicks = rxfal.from_observable(click := Subject[int]())
        answers = clicks.pipe(ops.exhaust_map(lambda _: client.stream("owner/model")))
        heard: list[Any] = []
        came = asyncio.Event()
        subscription = answers.subscribe(lambda event: (heard.append(event), came.set()))
        click.on_next(1)
        await more.reached()
        await came.wait()
        click.on_next(2)
        more.release()
        await server.requests[0].closed()
        assert (len(server.requests), len(heard)) == (1, 1)
        subscription.dispose()


async def test_a_slow_reader_of_conflated_events_lets_the_server_send_them_all(server: FalServer):
    total = 20_000
    sent = threading.Event()

    async def flood(request: RecordedRequest) -> AsyncIterator[Step]:
        for start in range(0, total, 1_000):
            events = (b'data: {"n": %d, "pad": "%s"}\n\n' % (n, b"x" * 1_000) for n in range(start, start + 1_000))
            yield Bytes(b"".join(events))
        sent.set()
        yield Disconnect()

    server.script("owner/flood", flood)
    async with server.client() as client:
        numbers = client.stream("owner/flood").pipe(ops.conflate(), ops.map(lambda event: event["n"]))
        items = aiter(numbers)
        first = await anext(items)
        await asyncio.to_thread(sent.wait, 20)  # 20 MB, which no buffer on the way would take
        assert sent.is_set()
        await server.requests[0].closed()
        rest = [item async for item in items]
        assert first < rest[-1] == total - 1
        assert len(rest) < total // 10
