"""Uploads in parts, uploads by a token, and the serving of files, as the protocol has them."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from yarl import URL

from rxfal.testing import Answer, Disconnect, FalServer, Status


@pytest.fixture
async def stranger() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as stranger:
        yield stranger


async def initiate(session: aiohttp.ClientSession, way: str = "initiate-multipart", **headers: str) -> dict[str, str]:
    body = {"file_name": "a b.bin", "content_type": "video/mp4"}
    address = f"/rest/storage/upload/{way}?storage_type=fal-cdn-v3"
    async with session.post(address, json=body, headers=headers) as response:
        assert response.status == 200
        return await response.json()


def part_of(upload_url: str, part: int | str) -> URL:
    path, _, query = upload_url.partition("?")
    return URL(f"{path}/{part}?{query}", encoded=True)


async def put(session: aiohttp.ClientSession, url: URL | str, data: bytes, **headers: str) -> dict[str, Any]:
    async with session.put(url, data=data, headers=headers) as response:
        assert response.status == 200
        answer = await response.json()
        assert response.headers["ETag"] == answer["etag"]
        return answer


async def complete(
    session: aiohttp.ClientSession, url: URL | str, parts: Any, status: int = 200, **headers: str
) -> Any:
    async with session.post(url, json={"parts": parts}, headers=headers) as response:
        assert response.status == status
        return await response.json()


# In parts, by a signed address


async def test_a_file_goes_up_in_parts_in_any_order_and_is_whole(
    server: FalServer, session: aiohttp.ClientSession, stranger: aiohttp.ClientSession
):
    urls = await initiate(session)
    parts = {n: await put(stranger, part_of(urls["upload_url"], n), data) for n, data in ((2, b"two"), (1, b"one"))}
    assert parts[1]["partNumber"] == 1
    assert not server.files
    await complete(stranger, part_of(urls["upload_url"], "complete"), [parts[1], parts[2]])
    stored = server.files[urls["file_url"]]
    assert (stored.data, stored.size, stored.content_type, stored.file_name) == (b"onetwo", 6, "video/mp4", "a b.bin")


async def test_a_part_that_is_sent_again_counts_once(
    server: FalServer, session: aiohttp.ClientSession, stranger: aiohttp.ClientSession
):
    urls = await initiate(session)
    lost = await put(stranger, part_of(urls["upload_url"], 1), b"lost")
    kept = await put(stranger, part_of(urls["upload_url"], 1), b"kept")
    done = part_of(urls["upload_url"], "complete")
    assert "another etag" in (await complete(stranger, done, [lost], 400))["detail"]
    await complete(stranger, done, [kept])
    assert server.files[urls["file_url"]].data == b"kept"


async def test_a_completion_that_is_asked_for_again_is_the_same(
    server: FalServer, session: aiohttp.ClientSession, stranger: aiohttp.ClientSession
):
    urls = await initiate(session)
    part = await put(stranger, part_of(urls["upload_url"], 1), b"one")
    for _ in range(2):
        await complete(stranger, part_of(urls["upload_url"], "complete"), [part])
    assert server.files[urls["file_url"]].data == b"one"


async def test_parts_that_are_missing_or_out_of_order_are_400(
    server: FalServer, session: aiohttp.ClientSession, stranger: aiohttp.ClientSession
):
    urls = await initiate(session)
    one, two = [await put(stranger, part_of(urls["upload_url"], n), b"x") for n in (1, 2)]
    done = part_of(urls["upload_url"], "complete")
    assert "ascending" in (await complete(stranger, done, [two, one], 400))["detail"]
    assert "Part 3" in (await complete(stranger, done, [one, {"partNumber": 3, "etag": "x"}], 400))["detail"]
    await complete(stranger, done, [], 400)
    await complete(stranger, done, "parts", 422)
    assert not server.files


@pytest.mark.parametrize("part", ["0", "x", "10001"])
async def test_a_number_that_no_part_can_have_is_400(
    session: aiohttp.ClientSession, stranger: aiohttp.ClientSession, part: str
):
    urls = await initiate(session)
    async with stranger.put(part_of(urls["upload_url"], part), data=b"x") as response:
        assert response.status == 400


async def test_parts_need_the_signature(session: aiohttp.ClientSession, stranger: aiohttp.ClientSession):
    urls = await initiate(session)
    for method, part in (("PUT", "1"), ("POST", "complete")):
        async with stranger.request(method, str(part_of(urls["upload_url"], part)) + "x", data=b"{}") as response:
            assert response.status == 403


async def test_a_storage_that_fails_is_scripted_like_any_other(server: FalServer, session: aiohttp.ClientSession):
    server.script("rest/storage/upload/initiate-multipart", [Status(503, json={})], times=1)
    server.script("rest/storage/auth/token", [Disconnect("reset")], times=1)
    async with session.post("/rest/storage/upload/initiate-multipart", json={}) as response:
        assert response.status == 503
    with pytest.raises(aiohttp.ClientError):
        await session.post("/rest/storage/auth/token", json={})


@pytest.mark.parametrize("part", ["1", "complete"])
async def test_a_part_that_fails_is_scripted_though_its_address_is_not_known_before(
    server: FalServer, session: aiohttp.ClientSession, stranger: aiohttp.ClientSession, part: str
):
    server.script(f"rest/uploads/*/{part}", [Status(500, json={"detail": "no"})], times=1)
    urls = await initiate(session)
    method = "POST" if part == "complete" else "PUT"
    for status in (500, 422 if part == "complete" else 200):
        async with stranger.request(method, part_of(urls["upload_url"], part), data=b"x") as response:
            assert response.status == status


async def test_an_upload_whose_answer_was_lost_was_taken(
    server: FalServer, session: aiohttp.ClientSession, stranger: aiohttp.ClientSession
):
    for path in ("rest/uploads/*", "rest/uploads/*/1"):
        server.script(path, [Answer(), Disconnect("reset")], times=2)  # aiohttp may repeat a PUT by itself, once
    whole, in_parts = await initiate(session, "initiate"), await initiate(session)
    for url, data in ((URL(whole["upload_url"]), b"whole"), (part_of(in_parts["upload_url"], 1), b"part")):
        with pytest.raises(aiohttp.ClientError):
            await stranger.put(url, data=data)
        with contextlib.suppress(aiohttp.ClientError):
            await stranger.put(url, data=data)
    assert server.files[whole["file_url"]].data == b"whole"
    part = await put(stranger, part_of(in_parts["upload_url"], 1), b"part again")
    await complete(stranger, part_of(in_parts["upload_url"], "complete"), [part])
    assert server.files[in_parts["file_url"]].data == b"part again"


# By a token


async def token(server: FalServer, session: aiohttp.ClientSession) -> dict[str, str]:
    async with session.post("/rest/storage/auth/token?storage_type=fal-cdn-v3", json={}) as response:
        answer = await response.json()
    assert answer.keys() == {"token", "token_type", "base_url", "expires_at"}
    assert answer["base_url"] == f"{server.url}/rest"
    return {"Authorization": f"{answer['token_type']} {answer['token']}"}


async def test_a_file_goes_up_by_a_token(
    server: FalServer, session: aiohttp.ClientSession, stranger: aiohttp.ClientSession
):
    headers = {**await token(server, session), "X-Fal-File-Name": "a.txt", "Content-Type": "text/plain"}
    async with stranger.post(f"{server.url}/rest/files/upload", data=b"hello", headers=headers) as response:
        url = (await response.json())["access_url"]
    stored = server.files[url]
    assert (stored.data, stored.content_type, stored.file_name) == (b"hello", "text/plain", "a.txt")
    assert server.requests[-1].body == b""


async def test_a_file_goes_up_in_parts_by_a_token_listed_in_any_order(
    server: FalServer, session: aiohttp.ClientSession, stranger: aiohttp.ClientSession
):
    headers = await token(server, session)
    about = {**headers, "X-Fal-File-Name": "a.bin", "Content-Type": "video/mp4"}
    async with stranger.post(f"{server.url}/rest/files/upload/multipart", headers=about) as response:
        answer = await response.json()
    base = f"{answer['access_url']}/multipart/{answer['uploadId']}"
    parts = [await put(stranger, f"{base}/{n}", data, **headers) for n, data in ((2, b"two"), (1, b"one"))]
    await complete(stranger, f"{base}/complete", parts, **headers)
    assert server.files[answer["access_url"]].data == b"onetwo"
    assert server.files[answer["access_url"]].content_type == "video/mp4"


async def test_uploads_by_a_token_need_one_that_is_for_uploads(
    server: FalServer, session: aiohttp.ClientSession, stranger: aiohttp.ClientSession
):
    @server.app("owner/app")
    async def app(input: Any) -> str:
        return "in"

    async with session.post("/rest/tokens/", json={"allowed_apps": ["app"]}) as response:
        for_an_app = await response.json()
    good = await token(server, session)
    for headers in ({}, {"Authorization": f"Bearer {for_an_app}"}, {"Authorization": f"Key {server.key}"}):
        async with stranger.post(f"{server.url}/rest/files/upload", data=b"x", headers=headers) as response:
            assert response.status == 401
    secret = good["Authorization"].removeprefix("Bearer ")
    async with stranger.post(f"{server.url}/owner/app", params={"fal_jwt_token": secret}) as response:
        assert response.status == 401
    server.expire_tokens()
    async with stranger.post(f"{server.url}/rest/files/upload", data=b"x", headers=good) as response:
        assert response.status == 401
    async with stranger.post(f"{server.url}/rest/storage/auth/token", json={}) as response:
        assert response.status == 401


# What is kept


@pytest.mark.parametrize("name", ["X-Fal-Object-Lifecycle", "X-Fal-Object-Lifecycle-Preference"])
async def test_the_lifecycle_is_kept_with_the_file(
    server: FalServer, session: aiohttp.ClientSession, stranger: aiohttp.ClientSession, name: str
):
    lifecycle = {"expiration_duration_seconds": 60, "initial_acl": {"default": "hide"}}
    urls = await initiate(session, "initiate", **{name: json.dumps(lifecycle)})
    async with stranger.put(urls["upload_url"], data=b"x"):
        assert server.files[urls["file_url"]].lifecycle == lifecycle
    async with session.post("/rest/storage/upload/initiate", json={}, headers={name: "[]"}) as response:
        assert response.status == 422  # the body is looked at first
    body = {"file_name": "x", "content_type": "a/b"}
    async with session.post("/rest/storage/upload/initiate", json=body, headers={name: "[]"}) as response:
        assert response.status == 400


# Serving


@pytest.fixture
async def url(session: aiohttp.ClientSession, stranger: aiohttp.ClientSession) -> str:
    """Where a file of ten digits is served."""
    urls = await initiate(session, "initiate")
    async with stranger.put(urls["upload_url"], data=b"0123456789", headers={"Content-Type": "image/png"}):
        return urls["file_url"]


@pytest.mark.parametrize(
    ("asked", "status", "data", "content_range"),
    [
        ("bytes=3-", 206, b"3456789", "bytes 3-9/10"),
        ("bytes=3-5", 206, b"345", "bytes 3-5/10"),
        ("bytes=3-99", 206, b"3456789", "bytes 3-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=5-3", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("bytes=1-2,4-5", 200, b"0123456789", None),
        ("lines=1-", 200, b"0123456789", None),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
    ],
)
async def test_a_range_is_served(
    url: str, stranger: aiohttp.ClientSession, asked: str, status: int, data: bytes | None, content_range: str | None
):
    async with stranger.get(url, headers={"Range": asked}) as response:
        assert response.status == status
        assert response.headers.get("Content-Range") == content_range
        assert data is None or (await response.read(), response.content_type) == (data, "image/png")


async def test_a_range_of_a_file_that_changed_is_the_whole_new_file(
    server: FalServer, url: str, stranger: aiohttp.ClientSession
):
    etag = server.files[url].etag
    async with stranger.get(url, headers={"Range": "bytes=8-", "If-Range": etag}) as response:
        assert (response.status, await response.read(), response.headers["ETag"]) == (206, b"89", etag)
    upload = next(request for request in server.requests if request.method == "PUT")
    async with stranger.put(URL(server.url).with_path(upload.path).with_query(upload.query), data=b"abcdefghij"):
        pass
    async with stranger.get(url, headers={"Range": "bytes=8-", "If-Range": etag}) as response:
        assert (response.status, await response.read()) == (200, b"abcdefghij")
        assert response.headers["ETag"] == server.files[url].etag != etag


async def test_head_says_what_get_would(url: str, stranger: aiohttp.ClientSession):
    async with stranger.head(url) as response:
        assert (response.content_length, response.content_type, await response.read()) == (10, "image/png", b"")
        assert response.headers["Accept-Ranges"] == "bytes"
