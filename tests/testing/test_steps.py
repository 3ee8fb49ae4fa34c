"""Scripts: what stands in them is what happens on the wire, looked at through a plain socket where it matters."""

import asyncio
import contextlib

import aiohttp
import pytest

from rxfal.testing import Answer, Bytes, Disconnect, FalServer, Pause, Status
from rxfal.testing.steps import Step


async def wire(server: FalServer, path: str) -> bytes:
    """The bytes of the response as they come from the socket, up to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_each_bytes_step_is_one_chunk(server: FalServer):
    server.script("owner/app", [Bytes(b"data: 1\n"), Bytes(b"\r"), Disconnect("clean")])
    head, _, body = (await wire(server, "/owner/app/stream")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"Content-Type: text/event-stream" in head
    assert body == b"8\r\ndata: 1\n\r\n1\r\n\r\r\n0\r\n\r\n"


async def test_a_cut_ends_between_two_chunks(server: FalServer):
    server.script("owner/app", [Bytes(b"data"), Disconnect("cut"), Bytes(b"never")])
    assert (await wire(server, "/owner/app")).endswith(b"\r\n\r\n4\r\ndata\r\n")


async def test_mid_chunk_announces_more_than_it_sends(server: FalServer):
    server.script("owner/app", [Bytes(b"data"), Disconnect("mid-chunk", b'data: {"n"')])
    assert (await wire(server, "/owner/app")).endswith(b'4\r\ndata\r\n4a\r\ndata: {"n"')


@pytest.mark.parametrize("how", ["cut", "clean"])
async def test_a_disconnect_that_comes_first(server: FalServer, how):
    server.script("owner/app", [Disconnect(how)])
    answer = await wire(server, "/owner/app")
    assert answer == b"" if how == "cut" else answer.startswith(b"HTTP/1.1 200")


async def test_a_reset_is_a_tcp_reset_after_all_that_was_sent(server: FalServer):
    pause = Pause()
    server.script("owner/app", [Bytes(b"data"), pause, Disconnect("reset")])
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /owner/app HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert (await reader.readuntil(b"4\r\ndata\r\n")).startswith(b"HTTP/1.1 200")
    pause.release()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    with pytest.raises(ConnectionResetError):
        await writer.wait_closed()


async def test_a_body_shorter_than_its_content_length_is_cut(server: FalServer, session: aiohttp.ClientSession):
    server.script("owner/app", [Status(content_length=10, content_type="audio/wav"), Bytes(b"RIFF")])
    async with session.post("/owner/app") as response:
        assert response.content_length == 10
        assert response.content_type == "audio/wav"
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert server.requests[0].dropped


async def test_a_body_as_long_as_its_content_length_keeps_the_connection(
    server: FalServer, session: aiohttp.ClientSession
):
    server.script("owner/app", [Status(content_length=4), Bytes(b"RI"), Bytes(b"FF")])
    for _ in range(2):
        async with session.post("/owner/app") as response:
            assert await response.read() == b"RIFF"
    first, second = server.requests
    assert first.connection == second.connection
    assert not first.dropped


async def test_a_status_with_json_and_headers(server: FalServer, session: aiohttp.ClientSession):
    server.script("owner/app", [Status(429, json={"detail": "slow down"}, headers={"Retry-After": "2"})])
    async with session.post("/owner/app") as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "2")
        assert await response.json() == {"detail": "slow down"}
    assert server.requests[0].status == 429


async def test_an_error_page_like_nginx_sends(server: FalServer, session: aiohttp.ClientSession):
    server.script("owner/app", [Status(502, content_type="text/html"), Bytes(b"<html>Bad Gateway</html>")])
    async with session.post("/owner/app") as response:
        assert (response.status, response.content_type) == (502, "text/html")
        assert "x-fal-request-id" not in response.headers


async def test_204_has_no_body(server: FalServer, session: aiohttp.ClientSession):
    server.script("owner/app", [Status(204)])
    for _ in range(2):
        async with session.post("/owner/app") as response:
            assert (response.status, await response.read()) == (204, b"")
    assert server.requests[0].connection == server.requests[1].connection


async def test_a_pause_before_the_head_holds_back_the_headers(server: FalServer, session: aiohttp.ClientSession):
    pause = Pause()
    server.script("owner/app", [pause, Status(200, json=1)])
    asking = asyncio.ensure_future(session.post("/owner/app"))
    await pause.reached()
    assert not asking.done()
    assert server.requests[0].status is None
    pause.release()
    async with await asking as response:
        assert await response.json() == 1


async def test_a_client_that_leaves_during_a_pause_is_noticed(server: FalServer, session: aiohttp.ClientSession):
    pause = Pause()
    server.script("owner/app", [Bytes(b"data: 1\n\n"), pause])
    async with session.post("/owner/app") as response:
        await pause.reached()
        assert not server.requests[0].is_closed
        response.close()
    await server.requests[0].closed()
    assert server.requests[0].dropped


async def test_scripts_with_times_take_turns_and_then_the_app_answers(
    server: FalServer, session: aiohttp.ClientSession
):
    @server.app("owner/app")
    async def app(input):
        return "fine"

    server.script("owner/app", [Status(503, json=1)], times=2)
    server.script("owner/app/stream", [Status(500, json=1)], times=1)
    statuses = []
    for _ in range(4):
        async with session.post("/owner/app/stream") as response:
            statuses.append(response.status)
    assert statuses == [500, 503, 503, 200]


async def test_a_generator_makes_its_script_from_the_request(server: FalServer, session: aiohttp.ClientSession):
    @server.raw("owner/app")
    async def steps(request):
        yield Bytes(request.body)

    async with session.post("/owner/app", json=[1]) as response:
        assert await response.read() == b"[1]"


async def test_a_script_for_tokens_comes_before_the_servers_own(server: FalServer, session: aiohttp.ClientSession):
    server.script("rest/tokens", [Status(json={"detail": "old-token"})])
    async with session.post("/rest/tokens/", json={"allowed_apps": ["app"]}) as response:
        assert await response.json() == {"detail": "old-token"}


async def test_a_status_in_the_middle_of_a_script_is_the_scripts_mistake(
    server: FalServer, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
):
    steps: list[Step] = [Bytes(b"x"), Status(500)]
    server.script("owner/app", steps)
    async with session.post("/owner/app") as response:
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert "a Status must be the first step" in caplog.text


async def test_an_answer_is_the_servers_own(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/app")
    async def app(input):
        yield 1
        yield 2

    server.script("owner/app", [Answer()], times=3)
    async with session.post("/owner/app") as response:
        assert (response.status, await response.json()) == (200, 2)
        assert response.headers["x-fal-request-id"] == server.requests[0].request_id
    async with session.post("/owner/app/stream") as response:
        assert await response.read() == b"data: 1\n\ndata: 2\n\n"
    async with session.post("/owner/app", headers={"Authorization": "Key wrong"}) as response:
        assert response.status == 401
    assert [request.status for request in server.requests] == [200, 200, 401]


async def test_an_answer_can_be_held_back(server: FalServer, session: aiohttp.ClientSession):
    worked, before, behind = asyncio.Event(), Pause(), Pause()

    @server.app("owner/app")
    async def app(input):
        worked.set()
        return "here"

    server.script("owner/app", [before, Answer(), behind])
    answer = asyncio.ensure_future(session.post("/owner/app"))
    await before.reached()
    assert not worked.is_set()
    before.release()
    await behind.reached()
    assert worked.is_set()
    assert server.requests[0].status is None
    behind.release()
    async with await answer as response:
        assert await response.json() == "here"


@pytest.mark.parametrize("how", ["cut", "reset"])
async def test_an_answer_can_be_lost_though_the_request_was_taken(
    server: FalServer, session: aiohttp.ClientSession, how
):
    @server.app("owner/app")
    async def app(input):
        return input["n"]

    server.script("queue/owner/app", [Answer(), Disconnect(how)], times=1)
    with pytest.raises(aiohttp.ClientConnectionError):
        await session.post("/queue/owner/app", json={"n": 1})
    (request,) = server.queue
    await request.reached("COMPLETED")
    (recorded,) = server.requests
    assert (recorded.dropped, recorded.status) == (True, None)
    async with session.get(f"/queue/owner/app/requests/{request.request_id}") as response:
        assert await response.json() == 1


async def test_a_clean_disconnect_behind_an_answer_closes_the_connection(
    server: FalServer, session: aiohttp.ClientSession
):
    @server.app("owner/app")
    async def app(input):
        return 1

    server.script("owner/app", [Answer(), Disconnect("clean")])
    for _ in range(2):
        async with session.post("/owner/app") as response:
            assert await response.json() == 1
    first, second = server.requests
    assert first.connection != second.connection


@pytest.mark.parametrize(
    "steps", [[Status(), Answer()], [Answer(), Bytes(b"1")], [Answer(), Answer()], [Answer(), Disconnect("mid-chunk")]]
)
async def test_an_answer_is_a_whole_response(
    server: FalServer, session: aiohttp.ClientSession, steps: list[Step], caplog: pytest.LogCaptureFixture
):
    @server.app("owner/app")
    async def app(input):
        return 1

    server.script("owner/app", steps)
    with contextlib.suppress(aiohttp.ClientPayloadError):  # after a Status the body is cut
        async with session.post("/owner/app") as response:
            assert response.status == (200 if isinstance(steps[0], Status) else 500)
            await response.read()
    assert "an Answer" in caplog.text
