"""Apps: events, single answers, input, failures."""

import asyncio
import json

import aiohttp
import pytest
from pydantic import BaseModel

from rxfal.testing import ApiFailure, Bytes, FalServer


async def read_events(response: aiohttp.ClientResponse) -> list[object]:
    body = await response.read()
    return [json.loads(event.removeprefix(b"data: ")) for event in body.split(b"\n\n") if event]


async def test_events_arrive_one_by_one_while_the_app_still_runs(server: FalServer, session: aiohttp.ClientSession):
    go_on = asyncio.Event()

    @server.app("owner/two")
    async def two(input):
        yield {"n": 1}
        await go_on.wait()
        yield {"n": 2}

    async with session.post("/owner/two/stream", json={}) as response:
        assert response.content_type == "text/event-stream"
        assert response.headers["x-fal-request-id"] == server.requests[0].request_id
        assert await response.content.readany() == b'data: {"n":1}\n\n'
        go_on.set()
        assert await response.content.readany() == b'data: {"n":2}\n\n'


async def test_falsy_events_are_events(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/falsy")
    async def falsy(input):
        for value in (0, "", False, None, [], {}):
            yield value

    async with session.post("/owner/falsy/stream") as response:
        assert await read_events(response) == [0, "", False, None, [], {}]


async def test_bytes_are_sent_as_they_are(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/raw")
    async def raw(input):
        yield b": hello\n\ndata: [DONE]\n\n"

    async with session.post("/owner/raw/stream") as response:
        assert await response.read() == b": hello\n\ndata: [DONE]\n\n"


async def test_a_step_of_a_script_is_no_event(server: FalServer, session: aiohttp.ClientSession):
    @server.app("my/app")
    async def app(input):
        yield Bytes(b"data: 1\n\n")

    async with session.post("/my/app/stream", json={}) as response:
        assert response.status == 500
        assert "Bytes is a step of a script: server.script(...)" in await response.text()


async def test_an_app_without_events_is_an_empty_stream(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/silent")
    async def silent(input):
        return
        yield

    async with session.post("/owner/silent/stream") as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        assert await response.read() == b""
    async with session.post("/owner/silent") as response:
        assert await response.json() is None


async def test_the_plain_path_answers_the_last_event(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/counter")
    async def counter(input):
        for n in range(3):
            yield n

    async with session.post("/owner/counter") as response:
        assert (response.content_type, await response.json()) == ("application/json", 2)


async def test_a_caller_that_accepts_event_streams_gets_one_at_the_endpoint_itself(
    server: FalServer, session: aiohttp.ClientSession
):
    @server.app("owner/counter")
    async def counter(input):
        for n in range(3):
            yield n

    async with session.post("/owner/counter", headers={"Accept": "text/event-stream"}) as response:
        assert await read_events(response) == [0, 1, 2]


@pytest.mark.parametrize("path", ["/owner/echo", "/owner/echo/stream"])
async def test_a_coroutine_gives_one_json_answer(server: FalServer, session: aiohttp.ClientSession, path: str):
    @server.app("owner/echo")
    async def echo(input):
        return {"echo": input}

    async with session.post(path, json={"a": [1]}) as response:
        assert response.content_type == "application/json"
        assert await response.json() == {"echo": {"a": [1]}}


async def test_get_takes_the_input_from_the_query(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/echo")
    async def echo(input):
        return input

    query = {"text": "hi there", "flag": "true", "none": "null", "nested": '{"a":[1]}', "fal_jwt_token": "x"}
    async with session.get("/owner/echo/stream", params=query) as response:
        assert await response.json() == {"text": "hi there", "flag": True, "none": None, "nested": {"a": [1]}}


async def test_a_handler_of_a_longer_path_comes_before_its_app(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/app")
    async def app(input):
        return "app"

    @server.app("owner/app/sub")
    async def sub(input):
        return "sub"

    for path, answer in (("/owner/app", "app"), ("/owner/app/sub", "sub"), ("/owner/app/sub/stream", "sub")):
        async with session.post(path) as response:
            assert await response.json() == answer


async def test_an_unknown_app_is_404(session: aiohttp.ClientSession):
    async with session.post("/owner/nowhere/stream") as response:
        assert (response.status, await response.json()) == (404, {"detail": "Application 'owner/nowhere' not found"})


@pytest.mark.parametrize(("body", "kind"), [(b"{not json", "json_invalid"), (b"[1]", "dict_type")])
async def test_a_body_that_is_no_object_is_422(
    server: FalServer, session: aiohttp.ClientSession, body: bytes, kind: str
):
    @server.app("owner/echo")
    async def echo(input):
        return input

    async with session.post("/owner/echo", data=body) as response:
        assert response.status == 422
        assert (await response.json())["detail"][0]["type"] == kind


async def test_another_method_is_405(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/echo")
    async def echo(input):
        return input

    async with session.put("/owner/echo") as response:
        assert response.status == 405


async def test_a_failure_before_the_first_event_is_the_response(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/busy")
    async def busy(input):
        raise ApiFailure(503, {"detail": "busy", "error_type": "runner_disconnected"}, headers={"Retry-After": "3"})
        yield

    async with session.post("/owner/busy/stream") as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "3")
        assert await response.json() == {"detail": "busy", "error_type": "runner_disconnected"}


async def test_a_failure_after_the_first_event_is_an_event_named_error(
    server: FalServer, session: aiohttp.ClientSession
):
    @server.app("owner/breaks")
    async def breaks(input):
        yield 1
        raise ApiFailure(500, "out of memory")

    async with session.post("/owner/breaks/stream") as response:
        assert await response.read() == b'data: 1\n\nevent: error\ndata: {"detail":"out of memory"}\n\n'


async def test_a_models_validation_error_is_fals_422(server: FalServer, session: aiohttp.ClientSession):
    class Wanted(BaseModel):
        prompt: str

    @server.app("owner/strict")
    async def strict(input):
        return Wanted.model_validate(input).prompt

    async with session.post("/owner/strict", json={}) as response:
        assert response.status == 422
        (detail,) = (await response.json())["detail"]
        assert (detail["loc"], detail["type"], detail["msg"]) == (["body", "prompt"], "missing", "Field required")


async def test_any_other_exception_is_500_and_logged(
    server: FalServer, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
):
    @server.app("owner/broken")
    async def broken(input):
        return input["nothing"]

    async with session.post("/owner/broken") as response:
        assert (response.status, await response.json()) == (500, {"detail": "KeyError: 'nothing'"})
    assert "KeyError" in caplog.text


async def test_a_binary_app_sends_its_bytes_with_its_type(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/audio", content_type="audio/wav")
    async def audio(input):
        yield b"RIFF"
        yield b"...."

    for path in ("/owner/audio", "/owner/audio/stream"):
        async with session.post(path) as response:
            assert (response.content_type, await response.read()) == ("audio/wav", b"RIFF....")


async def test_a_binary_app_that_fails_midway_cuts_the_body(
    server: FalServer, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
):
    @server.app("owner/audio", content_type="audio/wav")
    async def audio(input):
        yield b"RIFF"
        raise RuntimeError("no voice")

    async with session.post("/owner/audio") as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_dropping_the_connection_cancels_the_app(server: FalServer, session: aiohttp.ClientSession):
    ended = asyncio.Event()

    @server.app("owner/endless")
    async def endless(input):
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with session.post("/owner/endless/stream") as response:
        await response.content.readany()
        response.close()
    async with asyncio.timeout(5):
        await ended.wait()
    (request,) = server.requests
    await request.closed()
    assert request.dropped


async def test_a_reader_that_stands_still_holds_up_the_app(server: FalServer, session: aiohttp.ClientSession):
    sent = 0

    @server.app("owner/flood")
    async def flood(input):
        nonlocal sent
        while True:
            sent += 1
            yield b"data: " + b"x" * 65_536 + b"\n\n"

    async with session.post("/owner/flood/stream") as response:
        before = -1
        while sent != before:  # goes on while the buffers of both sides fill up
            before = sent
            for _ in range(50):
                await asyncio.sleep(0)
        assert sent * 65_536 < 32 * 2**20
        await response.content.readexactly(65_536)
        response.close()


async def test_an_app_that_never_waits_lets_others_run(server: FalServer, session: aiohttp.ClientSession):
    sent = 0

    @server.app("owner/greedy")
    async def greedy(input):
        nonlocal sent
        while True:
            sent += 1
            yield 1

    @server.app("owner/polite")
    async def polite(input):
        return "here"

    async with session.post("/owner/greedy/stream") as response:
        async with session.post("/owner/polite") as other:
            assert await other.json() == "here"
        assert sent < 20_000  # without turns: all that the buffers between server and client hold
        response.close()


def test_only_async_functions_are_apps():
    with pytest.raises(TypeError, match="async generator"):
        FalServer().app("owner/plain")(print)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("endpoint", ["owner", "owner/", "/owner/app", "rest/app", "queue/app", ""])
def test_an_endpoint_that_could_not_be_called_is_refused(endpoint: str):
    async def app(input):
        return input

    with pytest.raises(ValueError, match="owner/alias"):
        FalServer().app(endpoint)(app)
