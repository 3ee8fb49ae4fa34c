"""Uploads in parts: against the embedded server with real sizes, and against a storage of our own with small ones."""

import asyncio
import gc
import io
import os
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import stamina
from aiohttp import web

from rxfal.client import Client
from rxfal.errors import ApiError, DecodeError, StreamTimeoutError, TransportError
from rxfal.testing import Answer, Disconnect, FalServer, Status
from rxfal.verbs import uploading
from rxfal.verbs.inputs import Uploaded
from rxfal.verbs.storage import UploadProgress
from rxfal.wire.config import Config
from tests.hidden import assert_hidden

LARGEST_WHOLE = 90 * 2**20
PART = 10 * 2**20
SIGNATURE = "a/long+signature=0123456789"


@pytest.fixture
async def server() -> AsyncIterator[FalServer]:
    async with FalServer() as server:
        yield server


@pytest.fixture
async def client(server: FalServer) -> AsyncIterator[Client]:
    async with server.client() as client:
        yield client


class Storage:
    """A storage for parts whose PUTs are answered by the test; it remembers what came."""

    def __init__(self) -> None:
        self.url = ""
        self.query = "sig=a%2Flong%2Bsignature%3D0123456789&x=%7E"
        self.targets: list[str] = []
        self.headers: list[Any] = []
        self.parts: dict[int, bytes] = {}
        self.tries: Counter[int] = Counter()
        self.under_way = self.most = 0
        self.listed: Any = None
        self.put: Callable[[int, web.BaseRequest], Awaitable[web.StreamResponse]] = self.take
        self.completions = 0
        self.lose = 0
        self.refusal = ""

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.targets.append(f"{request.method} {request.raw_path}")
        self.headers.append(request.headers)
        if "/storage/upload/" in request.path:
            return web.json_response({"file_url": "https://files/1", "upload_url": f"{self.url}/put%20me?{self.query}"})
        name = request.path.rpartition("/")[2]
        if name == "complete":
            self.completions += 1
            self.listed = (await request.json())["parts"]
            if self.completions <= self.lose:
                assert request.transport is not None
                request.transport.abort()
            return web.json_response({"detail": self.refusal}, status=400 if self.refusal else 200)
        self.tries[int(name)] += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return await self.put(int(name), request)
        finally:
            self.under_way -= 1

    async def take(self, number: int, request: web.BaseRequest) -> web.StreamResponse:
        self.parts[number] = await request.content.read()
        return web.json_response({"partNumber": number, "etag": f'"{number}"'})


@pytest.fixture
async def own() -> AsyncIterator[Storage]:
    own = Storage()
    runner = web.ServerRunner(web.Server(own, handler_cancellation=True), shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    own.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield own
    await runner.cleanup()


@pytest.fixture
async def own_client(own: Storage, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """A client for which 40 bytes are much, and 10 a part."""
    monkeypatch.setattr(uploading, "LARGEST_WHOLE", 40)
    monkeypatch.setattr(uploading, "PART_SIZE", 10)
    async with Client("key-id:key-secret", config=Config(base_url=own.url)) as client:
        yield client


CONTENT = bytes(range(95))  # ten parts, the last one half as long


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


# What goes in parts, and how


async def test_a_file_above_90_mib_goes_in_parts_of_10(server: FalServer, client: Client, tmp_path: Path) -> None:
    path = sparse(tmp_path / "film.mp4", LARGEST_WHOLE + 1)
    with path.open("r+b") as file:
        for part in range(10):
            file.seek(part * PART)
            file.write(b"%d" % part)
    uploaded = await client.upload(path, lifecycle="1h")
    stored = server.files[uploaded.url]
    assert (stored.size, stored.content_type, stored.file_name) == (LARGEST_WHOLE + 1, "video/mp4", "film.mp4")
    assert stored.lifecycle == {"expiration_duration_seconds": 3600}
    with stored.path.open("rb") as got, path.open("rb") as sent:
        assert all(got.read(PART) == sent.read(PART) for _ in range(10))
    initiate, *parts, complete = server.requests
    assert initiate.path == "/rest/storage/upload/initiate-multipart"
    assert initiate.query == {"storage_type": "fal-cdn-v3"}
    assert initiate.json == {"file_name": "film.mp4", "content_type": "video/mp4"}
    assert sorted(int(part.headers["Content-Length"]) for part in parts) == [1, *[PART] * 9]
    assert [part["partNumber"] for part in complete.json["parts"]] == list(range(1, 11))


async def test_a_file_of_90_mib_goes_whole(server: FalServer, client: Client, tmp_path: Path) -> None:
    await client.upload(sparse(tmp_path / "film.mp4", LARGEST_WHOLE))
    assert [request.method for request in server.requests] == ["POST", "PUT"]


async def test_a_large_file_in_an_input_goes_in_parts_too(server: FalServer, client: Client, tmp_path: Path) -> None:
    @server.app("owner/echo")
    async def echo(input: Any) -> Any:
        return input

    answer = await client.stream("owner/echo", {"film": sparse(tmp_path / "film.mp4", LARGEST_WHOLE + 1)})
    assert server.files[answer["film"]].size == LARGEST_WHOLE + 1


@pytest.mark.parametrize("kind", ["bytes", "open file", "path"])
async def test_each_kind_of_file_is_whole_again(own: Storage, own_client: Client, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before" + CONTENT)
    with path.open("rb") as file:
        file.seek(6)
        source: Any = {"bytes": CONTENT, "open file": file, "path": path}[kind]
        await own_client.upload(source)
        assert file.tell() == 6
    content = b"".join(own.parts[number] for number in sorted(own.parts))
    assert content == (b"before" + CONTENT if kind == "path" else CONTENT)


async def test_addresses_are_used_as_they_are_and_the_key_goes_to_the_first_alone(
    own: Storage, own_client: Client
) -> None:
    await own_client.upload(CONTENT)
    initiate, *signed = own.targets
    assert initiate == "POST /rest/storage/upload/initiate-multipart?storage_type=fal-cdn-v3"
    assert sorted(signed[:-1]) == sorted(f"PUT /put%20me/{n}?{own.query}" for n in range(1, 11))
    assert signed[-1] == f"POST /put%20me/complete?{own.query}"
    assert ["Authorization" in headers for headers in own.headers] == [True, *[False] * 11]
    assert ["Content-Type" in headers for headers in own.headers] == [True, *[False] * 10, True]


async def test_parts_run_side_by_side_and_no_more_than_eight(own: Storage, own_client: Client) -> None:
    full = asyncio.Event()

    async def put(number: int, request: web.BaseRequest) -> web.StreamResponse:
        if own.under_way == 8:
            full.set()
        await full.wait()
        return await own.take(number, request)

    own.put = put
    await own_client.upload(CONTENT * 2)
    assert own.most == 8


async def test_parts_are_completed_in_their_order_though_they_were_done_in_another(
    own: Storage, own_client: Client
) -> None:
    first_may_end = asyncio.Event()

    async def put(number: int, request: web.BaseRequest) -> web.StreamResponse:
        if number == 1:
            await first_may_end.wait()
        if number == 10:
            first_may_end.set()
        return await own.take(number, request)

    own.put = put
    await own_client.upload(CONTENT)
    assert next(iter(own.parts)) != 1
    assert own.listed == [{"partNumber": n, "etag": f'"{n}"'} for n in range(1, 11)]


# Progress


async def test_the_progress_is_by_bytes_and_never_goes_back_though_parts_are_sent_again(
    own: Storage, own_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "BLOCK_SIZE", 4)

    async def put(number: int, request: web.BaseRequest) -> web.StreamResponse:
        await request.content.read()
        if own.tries[number] < 3 and number in (2, 10):
            return web.Response(status=500)
        return await own.take(number, request)

    own.put = put
    with stamina.set_testing(True, attempts=3):
        *progress, uploaded = [item async for item in own_client.upload(CONTENT)]
    assert isinstance(uploaded, Uploaded)
    sent = [item.sent for item in progress if isinstance(item, UploadProgress)]
    assert sent[0] == 0
    assert sent[-1] == 95
    assert sent == sorted(set(sent))
    assert {later - earlier for earlier, later in pairwise(sent)} <= {4, 2, 1}
    assert own.tries[2] == own.tries[10] == 3


# Failures


@pytest.mark.parametrize("fault", [500, 502, 503, 429, None])
async def test_a_part_that_fails_is_sent_again_and_the_others_are_not(
    own: Storage, own_client: Client, fault: int | None
) -> None:
    async def put(number: int, request: web.BaseRequest) -> web.StreamResponse:
        if number != 3 or own.tries[number] == 3:
            return await own.take(number, request)
        await request.content.read()
        if fault is None:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=fault or 200)

    own.put = put
    with stamina.set_testing(True, attempts=3):
        await own_client.upload(CONTENT)
    assert b"".join(own.parts[number] for number in sorted(own.parts)) == CONTENT
    assert own.tries == {**dict.fromkeys(range(1, 11), 1), 3: 3}


async def test_a_part_is_sent_again_after_a_pause(
    own: Storage, own_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float, result: Any = None) -> Any:
        pauses.append(seconds)
        return await real(0, result)

    async def put(number: int, request: web.BaseRequest) -> web.StreamResponse:
        await request.content.read()
        return web.Response(status=503) if own.tries[number] < 3 and number == 4 else await own.take(number, request)

    own.put = put
    monkeypatch.setattr(asyncio, "sleep", sleep)
    await own_client.upload(CONTENT)
    first, second = [seconds for seconds in pauses if seconds]
    assert 0.2 <= first <= 0.6
    assert 0.4 <= second <= 0.8


async def test_a_part_that_fails_for_good_is_named_and_ends_the_others(own: Storage, own_client: Client) -> None:
    dropped: list[int] = []
    all_dropped = asyncio.Event()

    async def put(number: int, request: web.BaseRequest) -> web.StreamResponse:
        if number != 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                dropped.append(number)
                if len(dropped) == 7:
                    all_dropped.set()
                raise
        await request.content.read()
        return web.json_response({"detail": f"no, {SIGNATURE}"}, status=403)

    own.put = put
    with pytest.raises(ApiError, match=r"^upload of a\.bin, part 3 of 10: no") as caught:
        await own_client.upload(CONTENT, name="a.bin")
    assert caught.value.status == 403
    assert_hidden(caught.value, SIGNATURE, own.query)
    await all_dropped.wait()
    assert sorted(dropped) == [1, 2, *range(4, 9)]
    assert own.tries[3] == 1
    assert not own.completions


async def test_a_part_that_never_comes_through_says_what_happened_last(own: Storage, own_client: Client) -> None:
    async def put(number: int, request: web.BaseRequest) -> web.StreamResponse:
        if number == 7:
            assert request.transport is not None
            request.transport.abort()
        return await own.take(number, request)

    own.put = put
    with stamina.set_testing(True, attempts=3), pytest.raises(TransportError, match="part 7 of 10"):
        await own_client.upload(CONTENT)
    assert own.tries[7] == 3


async def test_a_part_that_is_accepted_before_its_end_has_failed(own: Storage, own_client: Client) -> None:
    size = 10_000_000

    async def put(number: int, request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"partNumber": number, "etag": "early"}, headers={"Connection": "close"})

    own.put = put
    uploading.PART_SIZE = size  # the fixture puts it back
    with pytest.raises(TransportError, match=r"part \d of 2: the storage answered after \d+ of 10000000 bytes"):
        await own_client.upload(bytes(2 * size))


@pytest.mark.parametrize("answer", [{}, {"etag": ""}, {"partNumber": 1}, []])
async def test_an_answer_without_an_etag_is_an_error_that_names_the_part(
    own: Storage, own_client: Client, answer: Any
) -> None:
    async def put(number: int, request: web.BaseRequest) -> web.StreamResponse:
        await request.content.read()
        return web.json_response(answer if number == 2 else {"partNumber": number, "etag": "x"})

    own.put = put
    with pytest.raises(DecodeError, match="part 2 of 10: the storage did not confirm the part: ") as caught:
        await own_client.upload(CONTENT)
    assert "_Part" not in str(caught.value)


async def test_a_part_that_stands_still_ends_the_upload(
    own: Storage, own_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def put(number: int, request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    own.put = put
    monkeypatch.setattr(uploading, "STALL_LIMIT", 0.05)
    with pytest.raises(StreamTimeoutError, match=r"part \d of 10: .*for 0\.05 seconds"):
        await own_client.upload(CONTENT)


async def test_a_completion_that_was_lost_is_asked_for_again(own: Storage, own_client: Client) -> None:
    own.lose = 2
    with stamina.set_testing(True, attempts=3):
        uploaded = await own_client.upload(CONTENT)
    assert own.completions == 3
    assert uploaded.url == "https://files/1"


async def test_a_refused_completion_is_the_uploads_error(own: Storage, own_client: Client) -> None:
    own.refusal = "no such upload"
    with pytest.raises(ApiError, match=r"upload of a\.bin: no such upload"):
        await own_client.upload(CONTENT, name="a.bin")


async def test_the_embedded_servers_faults_are_scripted_part_by_part(
    server: FalServer, client: Client, tmp_path: Path
) -> None:
    server.script("rest/storage/upload/initiate-multipart", [Status(503, json={})], times=1)
    server.script("rest/uploads/*/3", [Status(500, json={})], times=1)
    server.script("rest/uploads/*/4", [Disconnect("reset")], times=1)
    server.script("rest/uploads/*/5", [Answer(), Disconnect("reset")], times=1)
    server.script("rest/uploads/*/complete", [Answer(), Disconnect("reset")], times=1)
    with stamina.set_testing(True, attempts=3):
        uploaded = await client.upload(sparse(tmp_path / "film.mp4", LARGEST_WHOLE + 1))
    assert server.files[uploaded.url].size == LARGEST_WHOLE + 1
    tries = Counter(request.path.rpartition("/")[2] for request in server.requests)
    twice = ("3", "4", "5", "complete", "initiate-multipart")
    assert tries == {**{str(n): 1 for n in range(1, 11)}, **dict.fromkeys(twice, 2)}


# The subscriber


async def test_disposing_ends_all_parts_at_once(own: Storage, own_client: Client, tmp_path: Path) -> None:
    dropped: list[int] = []
    begun, all_dropped = asyncio.Event(), asyncio.Event()

    async def put(number: int, request: web.BaseRequest) -> web.StreamResponse:
        if own.under_way == 8:
            begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            dropped.append(number)
            if len(dropped) == 8:
                all_dropped.set()
            raise
        return web.Response()

    own.put = put
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    items: list[Any] = []
    subscription = own_client.upload(path).subscribe(items.append, items.append)
    await begun.wait()
    subscription.dispose()
    before = len(items)
    await all_dropped.wait()
    await asyncio.get_running_loop().shutdown_default_executor()
    gc.collect()  # a file that was left open would warn here
    assert len(items) == before
    assert not own.completions


async def test_a_large_file_is_never_held(server: FalServer, client: Client, tmp_path: Path) -> None:
    path = sparse(tmp_path / "film.mp4", 20 * PART)
    tracemalloc.start()
    try:
        await client.upload(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * PART  # the server's side included


async def test_an_open_file_that_is_read_by_all_parts_keeps_its_position(own: Storage, own_client: Client) -> None:
    file = io.BytesIO(os.urandom(7) + CONTENT)
    file.seek(7)
    await asyncio.gather(own_client.upload(file), own_client.upload(file))
    assert file.tell() == 7
    assert b"".join(own.parts[number] for number in sorted(own.parts)) == CONTENT
