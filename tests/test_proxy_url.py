"""Every verb but `models` goes through a server-side proxy, as with fal's own client for JavaScript."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

import rxfal
from rxfal.testing import FalServer, Job


class Proxy:
    """A server-side proxy: it adds the key, and sends each request where `x-fal-target-url` says."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.url = ""
        self.seen: list[tuple[str, str]] = []
        self.headers: list[Any] = []

    async def forward(self, request: web.Request) -> web.StreamResponse:
        target = request.headers["x-fal-target-url"]
        self.seen.append((request.method, target))
        self.headers.append(request.headers)
        passed = {name: value for name, value in request.headers.items() if name.lower() in ("accept", "content-type")}
        body = await request.read()
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, target, headers={**passed, "Authorization": f"Key {self.key}"}, data=body or None
            ) as answer,
        ):
            back = {
                name: value for name, value in answer.headers.items() if name.lower().startswith(("content-type", "x-"))
            }
            response = web.StreamResponse(status=answer.status, headers=back)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response


@pytest.fixture
async def server() -> AsyncIterator[FalServer]:
    async with FalServer(models=True, pace=0) as server:
        yield server


@pytest.fixture
async def proxy(server: FalServer) -> AsyncIterator[Proxy]:
    proxy = Proxy(server.key)
    app = web.Application()
    app.router.add_route("*", "/api/fal/proxy", proxy.forward)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    proxy.url = f"http://127.0.0.1:{site.port}/api/fal/proxy"
    yield proxy
    await runner.cleanup()


@pytest.fixture
async def client(server: FalServer, proxy: Proxy) -> AsyncIterator[rxfal.Client]:
    async with rxfal.Client("", config=server.config(proxy_url=proxy.url)) as client:
        yield client


async def test_calls_go_through_the_proxy(server: FalServer, proxy: Proxy, client: rxfal.Client) -> None:
    events = [event async for event in client.stream("fal-ai/any-llm", {"prompt": "hi"})]
    assert events[-1]["partial"] is False
    assert (await client.stream_events("fal-ai/any-llm", {"prompt": "hi"})).data
    assert (await client.run("fal-ai/any-llm", {"prompt": "hi"}, query={"logs": True}))["partial"] is False
    assert proxy.seen == [
        ("POST", f"{server.url}/fal-ai/any-llm/stream"),
        ("POST", f"{server.url}/fal-ai/any-llm/stream"),
        ("POST", f"{server.url}/fal-ai/any-llm?logs=true"),
    ]
    assert all("Authorization" not in headers for headers in proxy.headers), "the client has no key"


async def test_the_queue_goes_through_the_proxy(server: FalServer, proxy: Proxy, client: rxfal.Client) -> None:
    @server.app("me/painter")
    async def painter(input: Any, job: Job) -> Any:
        job.log("painting")
        job.billable_units = 2.0
        return {"ok": True}

    done = await client.subscribe("me/painter", {})
    assert (done.output, done.billable_units, [log.message for log in done.logs]) == ({"ok": True}, 2.0, ["painting"])
    server.pause_queue()
    handle = await client.queue.submit("me/painter", {})
    assert isinstance(await client.queue.status(handle), rxfal.Queued)
    assert await client.queue.cancel(handle) is not None
    server.resume_queue()
    methods = {(method, target.removeprefix(server.url).split("/requests/")[0]) for method, target in proxy.seen}
    assert methods == {(method, "/queue/me/painter") for method in ("POST", "GET", "PUT")}
    assert len(proxy.seen) == len(server.requests), "nothing went past it"


async def test_an_error_of_the_model_comes_back(client: rxfal.Client) -> None:
    with pytest.raises(rxfal.ValidationError) as caught:
        await client.run("fal-ai/any-llm", {})
    assert caught.value.get_field_errors("prompt")


async def test_disposing_reaches_the_model(server: FalServer, proxy: Proxy, client: rxfal.Client) -> None:
    ended = asyncio.Event()

    @server.app("me/endless")
    async def endless(input: Any) -> AsyncIterator[int]:
        try:
            number = 0
            while True:
                yield number
                number += 1
                await asyncio.sleep(0.001)
        finally:
            ended.set()

    async for number in client.stream("me/endless"):
        if number == 2:
            break
    async with asyncio.timeout(10):
        await ended.wait()


async def test_files_are_announced_through_the_proxy_and_sent_straight_to_their_place(
    server: FalServer, proxy: Proxy, client: rxfal.Client
) -> None:
    uploaded = await client.upload(b"hello", name="hello.txt")
    assert server.files[uploaded.url].data == b"hello"
    ((method, target),) = proxy.seen
    assert (method, target.partition("?")[0]) == ("POST", f"{server.url}/rest/storage/upload/initiate")


async def test_a_token_is_asked_for_through_the_proxy_and_used_without_it(
    server: FalServer, proxy: Proxy, client: rxfal.Client
) -> None:
    await client.stream("fal-ai/any-llm", {"prompt": "hi"}, auth="token")
    assert proxy.seen == [("POST", f"{server.url}/rest/tokens/")]
    assert "fal_jwt_token" in server.requests[-1].query


async def test_models_do_not(server: FalServer, proxy: Proxy, client: rxfal.Client) -> None:
    assert (await client.models.schema("fal-ai/any-llm")).endpoint_id == "fal-ai/any-llm"
    assert (await client.models.search("rhymes")).endpoint_id == "rxfal/bard"
    assert proxy.seen == []
