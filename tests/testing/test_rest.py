"""Keys, tokens and storage, as the protocol has them."""

import asyncio

import aiohttp
import pytest

from rxfal.testing import FalServer
from rxfal.testing.access import alias_of


@pytest.fixture
async def stranger(server: FalServer):
    """A session without a key, on a server with one app."""

    @server.app("owner/app")
    async def app(input):
        return "in"

    async with aiohttp.ClientSession(server.url) as session:
        yield session


async def issue(server: FalServer, session: aiohttp.ClientSession, **body: object) -> aiohttp.ClientResponse:
    headers = {"Authorization": f"Key {server.key}"}
    response = await session.post("/rest/tokens/", json={"allowed_apps": ["app"], **body}, headers=headers)
    await response.read()
    return response


@pytest.mark.parametrize("authorization", [None, "Key wrong", "Bearer {key}", "Key {key}x", "Key"])
async def test_a_call_without_the_right_key_is_401_and_in_the_journal(
    server: FalServer, stranger: aiohttp.ClientSession, authorization: str | None
):
    headers = {"Authorization": authorization.format(key=server.key)} if authorization else {}
    async with stranger.post("/owner/app", headers=headers) as response:
        assert response.status == 401
        assert "detail" in await response.json()
    (request,) = server.requests
    assert request.status == 401
    assert request.headers.get("authorization") == headers.get("Authorization")


async def test_the_key_is_checked_before_the_app_is_looked_up(stranger: aiohttp.ClientSession):
    async with stranger.post("/owner/unknown") as response:
        assert response.status == 401


async def test_a_server_that_requires_no_key_lets_everyone_in():
    async with FalServer(require_key=False) as server, aiohttp.ClientSession(server.url) as session:

        @server.app("owner/app")
        async def app(input):
            return "in"

        async with session.post("/owner/app") as response:
            assert await response.json() == "in"


async def test_a_token_opens_its_own_app_only(server: FalServer, stranger: aiohttp.ClientSession):
    issued = await issue(server, stranger, token_expiration=120)
    token = await issued.json()
    assert isinstance(token, str)
    for path, status in (("/owner/app/stream", 200), ("/owner/other/stream", 401)):
        async with stranger.post(path, params={"fal_jwt_token": token}) as response:
            assert response.status == status


async def test_expired_and_made_up_tokens_are_401(server: FalServer, stranger: aiohttp.ClientSession):
    token = await (await issue(server, stranger)).json()
    server.expire_tokens()
    for text in (token, "made-up"):
        async with stranger.post("/owner/app", params={"fal_jwt_token": text}) as response:
            assert response.status == 401


async def test_a_token_needs_the_key_and_a_list_of_apps(server: FalServer, stranger: aiohttp.ClientSession):
    async with stranger.post("/rest/tokens/", json={"allowed_apps": ["app"]}) as response:
        assert response.status == 401
    assert (await issue(server, stranger, allowed_apps="app")).status == 422
    assert (await issue(server, stranger, token_expiration=0)).status == 422


def test_the_alias_follows_the_owner_and_the_namespace():
    assert [alias_of(path) for path in ("a/b", "a/b/stream", "workflows/a/b", "comfy/a/b/c", "a")] == [
        *("b", "b", "b", "b", ""),
    ]


async def initiate(session: aiohttp.ClientSession, **body: str) -> dict[str, str]:
    body = {"file_name": "a b.png", "content_type": "image/png", **body}
    async with session.post("/rest/storage/upload/initiate?storage_type=fal-cdn-v3", json=body) as response:
        assert response.status == 200
        return await response.json()


async def test_a_file_goes_up_in_two_steps_and_comes_down_again(server: FalServer, session: aiohttp.ClientSession):
    urls = await initiate(session)
    async with aiohttp.ClientSession() as stranger:
        async with stranger.put(urls["upload_url"], data=b"PNG", headers={"Content-Type": "image/x"}) as response:
            assert response.status == 200
        async with stranger.get(urls["file_url"]) as response:
            assert (response.content_type, await response.read()) == ("image/x", b"PNG")
    stored = server.files[urls["file_url"]]
    assert (stored.data, stored.size, stored.file_name, stored.content_type) == (b"PNG", 3, "a b.png", "image/x")
    put = next(request for request in server.requests if request.method == "PUT")
    assert put.body == b""
    assert "Authorization" not in put.headers


async def test_an_upload_is_written_down_as_it_comes(server: FalServer, session: aiohttp.ClientSession):
    urls = await initiate(session)
    go_on = asyncio.Event()

    async def body():
        yield b"x" * 1000
        await go_on.wait()
        yield b"y"

    uploading = asyncio.ensure_future(session.put(urls["upload_url"], data=body()))
    await server.received(2)
    assert not server.files
    go_on.set()
    async with await uploading:
        assert server.files[urls["file_url"]].size == 1001


async def test_a_wrong_upload_url_is_403_and_a_wrong_file_url_404(server: FalServer, session: aiohttp.ClientSession):
    urls = await initiate(session)
    async with session.put(urls["upload_url"] + "x", data=b"PNG") as response:
        assert response.status == 403
    async with session.get(urls["file_url"]) as response:
        assert response.status == 404


async def test_initiate_needs_the_key_and_both_names(server: FalServer, session: aiohttp.ClientSession):
    path = "/rest/storage/upload/initiate"
    async with aiohttp.ClientSession(server.url) as stranger, stranger.post(path, json={}) as response:
        assert response.status == 401
    async with session.post(path, json={"file_name": "x"}) as response:
        assert (await response.json())["detail"][0]["loc"] == ["body", "content_type"]
    async with session.post(path, data=b"[]") as response:
        assert response.status == 422


async def test_an_upload_that_breaks_off_stores_nothing(server: FalServer, session: aiohttp.ClientSession):
    urls = await initiate(session)
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    target = urls["upload_url"].removeprefix(server.url)
    writer.write(f"PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly this".encode())
    await server.received(2)
    writer.close()
    await writer.wait_closed()
    put = server.requests[-1]
    await put.closed()
    assert put.dropped
    assert not server.files


async def test_unknown_paths_are_404_and_the_root_lists_the_apps(server: FalServer, stranger: aiohttp.ClientSession):
    async with stranger.get("/rest/nothing") as response:
        assert response.status == 404
    async with stranger.get("/") as response:
        assert await response.json() == {"server": "rxfal", "apps": ["owner/app"]}
