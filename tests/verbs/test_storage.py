"""`upload` against the embedded server, and against a small one of our own where the storage misbehaves."""

import asyncio
import gc
import io
import os
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import stamina
from aiohttp import web
from yarl import URL

from rxfal.errors import ApiError, DecodeError, FalError, StreamTimeoutError, TransportError
from rxfal.reactive.iterate import iterate
from rxfal.testing import FalServer
from rxfal.verbs import uploading
from rxfal.verbs.connected import Connections
from rxfal.verbs.inputs import PreparedInput, Uploaded, transform_input
from rxfal.verbs.lifecycle import Access, Lifecycle
from rxfal.verbs.reading import BLOCK_SIZE
from rxfal.verbs.storage import StorageVerbs, UploadProgress, UploadStream
from rxfal.verbs.uploading import uploader
from rxfal.wire.config import Config
from rxfal.wire.credentials import Credentials
from rxfal.wire.http import Http
from tests.hidden import assert_hidden

KEY = "key-id:key-secret"


@pytest.fixture
async def server() -> AsyncIterator[FalServer]:
    async with FalServer(key=KEY) as server:
        yield server


@asynccontextmanager
async def connections(base_url: str, **settings: Any) -> AsyncIterator[Http]:
    config = Config(base_url=base_url, **settings)
    http = Http(config, Credentials(KEY, config))
    try:
        yield http
    finally:
        await http.aclose()


@pytest.fixture
async def http(server: FalServer) -> AsyncIterator[Http]:
    async with connections(server.url) as http:
        yield http


def upload(http: Http, file: Any, **options: Any) -> UploadStream:
    return StorageVerbs(lambda: Connections(http)).upload(file, **options)


class Storage:
    """A storage whose PUT is answered by the test, and whose `initiate` says what the test wants."""

    def __init__(self) -> None:
        self.url = ""
        self.initiated = 0
        self.puts = 0
        self.answer: Any = None
        self.query = "sig=a%2Fb"
        self.put: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]] = self.take

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "POST":
            self.initiated += 1
            return web.json_response(
                self.answer or {"file_url": "https://files/1", "upload_url": f"{self.url}/put?{self.query}"}
            )
        assert request.rel_url.raw_query_string == self.query
        self.puts += 1
        return await self.put(request)

    async def take(self, request: web.BaseRequest) -> web.StreamResponse:
        await discard(request)
        return web.Response()


async def discard(request: web.BaseRequest) -> int:
    size = 0
    while block := await request.content.readany():
        size += len(block)
    return size


@pytest.fixture
async def own() -> AsyncIterator[Storage]:
    own = Storage()
    runner = web.ServerRunner(web.Server(own), shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    own.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield own
    await runner.cleanup()


@pytest.fixture
async def own_http(own: Storage) -> AsyncIterator[Http]:
    async with connections(own.url) as http:
        yield http


def sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


# The way of a file


async def test_an_upload_is_progress_and_then_where_the_file_is(server: FalServer, http: Http, tmp_path: Path) -> None:
    content = os.urandom(2 * BLOCK_SIZE + 1)
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    *progress, uploaded = [item async for item in upload(http, path)]
    assert progress == [UploadProgress(n, len(content)) for n in (0, BLOCK_SIZE, 2 * BLOCK_SIZE, len(content))]
    assert isinstance(uploaded, Uploaded)
    assert (uploaded.name, uploaded.content_type, uploaded.size) == ("photo.png", "image/png", len(content))
    stored = server.files[uploaded.url]
    assert (stored.file_name, stored.content_type, stored.data) == ("photo.png", "image/png", content)


async def test_the_key_goes_with_initiate_and_not_with_the_bytes(server: FalServer, http: Http) -> None:
    await upload(http, b"hello", name="a.txt")
    initiate, put = server.requests
    assert initiate.query == {"storage_type": "fal-cdn-v3"}
    assert initiate.json == {"file_name": "a.txt", "content_type": "text/plain"}
    assert initiate.headers["Authorization"] == f"Key {KEY}"
    assert "Authorization" not in put.headers
    assert put.headers["Content-Type"] == "text/plain"
    assert put.headers["Content-Length"] == "5"
    assert "Transfer-Encoding" not in put.headers


async def test_nothing_is_sent_before_someone_subscribes_and_each_subscription_uploads_anew(
    server: FalServer, http: Http
) -> None:
    file = io.BytesIO(b"skipped, sent")
    file.seek(9)
    stream = upload(http, file)
    assert server.requests == []
    first, second = await stream, await stream
    assert isinstance(first, Uploaded)
    assert isinstance(second, Uploaded)
    assert first.url != second.url
    assert [stored.data for stored in server.files.values()] == [b"sent", b"sent"]


def test_a_script_without_a_loop_uploads_by_run(tmp_path: Path) -> None:
    path = sparse(tmp_path / "zeros", 3 * BLOCK_SIZE)
    with FalServer() as server:
        config = server.config()
        http = Http(config, Credentials(server.key, config))
        uploaded = upload(http, str(path)).run()  # here a string is a path
        assert isinstance(uploaded, Uploaded)
        assert server.files[uploaded.url].size == uploaded.size == 3 * BLOCK_SIZE
        http.close()


async def test_an_input_with_files_is_prepared_at_the_call_and_uploaded_at_the_subscription(
    server: FalServer, http: Http
) -> None:
    prepared = PreparedInput({"prompt": "a cat", "images": [b"GIF89a", b"GIF87a"]})
    assert server.requests == []
    got = await prepared.resolve(uploader(http))
    assert [server.files[url].data for url in got["images"]] == [b"GIF89a", b"GIF87a"]
    again = await transform_input({"image": b"GIF89a"}, uploader(http))
    assert server.files[again["image"]].content_type == "image/gif"


# Lifecycle


@pytest.mark.parametrize(
    ("lifecycle", "text"),
    [
        ("immediate", '{"expiration_duration_seconds":60}'),
        ("1h", '{"expiration_duration_seconds":3600}'),
        ("1d", '{"expiration_duration_seconds":86400}'),
        ("7d", '{"expiration_duration_seconds":604800}'),
        ("30d", '{"expiration_duration_seconds":2592000}'),
        ("1y", '{"expiration_duration_seconds":31536000}'),
        (90, '{"expiration_duration_seconds":90}'),
        ({"expiration_duration_seconds": 5}, '{"expiration_duration_seconds":5}'),
        (
            Lifecycle.of({"initial_acl": {"default": "hide", "rules": [{"user": "me", "decision": "allow"}]}}),
            '{"initial_acl":{"default":"hide","rules":[{"user":"me","decision":"allow"}]}}',
        ),
        (Lifecycle(initial_acl=Access(default="forbid")), '{"initial_acl":{"default":"forbid"}}'),
        ({"initial_acl": {"default": "hide", "rules": []}}, '{"initial_acl":{"default":"hide"}}'),
        ({"initial_acl": {}}, None),
        ({"initial_acl": {"rules": []}}, None),
        (Lifecycle(initial_acl=Access()), None),
        ({"expires_in": "never", "initial_acl": None}, None),
        *(
            (
                {name: "1h", "initial_acl": {"default": "hide"}},
                '{"expiration_duration_seconds":3600,"initial_acl":{"default":"hide"}}',
            )
            for name in ("expires_in", "expiration_duration_seconds")
        ),
        ("never", None),
        (None, None),
    ],
)
async def test_a_lifecycle_is_asked_for_under_both_names(
    server: FalServer, http: Http, lifecycle: Any, text: str | None
) -> None:
    await upload(http, b"x", lifecycle=lifecycle)
    initiate, put = server.requests
    assert initiate.headers.get("X-Fal-Object-Lifecycle") == text
    assert initiate.headers.get("X-Fal-Object-Lifecycle-Preference") == text
    assert "X-Fal-Object-Lifecycle" not in put.headers


@pytest.mark.parametrize(
    "lifecycle",
    [
        "2h",
        "",
        0,
        -1,
        True,
        {"expires": 1},
        {"expires_in": "2h"},
        {"expires_in": 0},
        {"expires_in": True},
        {"initial_acl": {"default": "maybe"}},
        1.5,
    ],
)
async def test_a_lifecycle_that_there_is_not_is_an_error_at_the_call(own_http: Http, lifecycle: Any) -> None:
    with pytest.raises(ValueError):
        upload(own_http, b"x", lifecycle=lifecycle)


@dataclass(frozen=True)
class Rule:
    user: str
    decision: str


@dataclass(frozen=True)
class Acl:
    default: str | None = None
    rules: list[Rule] | None = None


@dataclass(frozen=True)
class Settings:
    """As fal-client's `StorageSettings`."""

    expires_in: str | int | None = None
    initial_acl: Acl | None = None


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (Settings(), None),
        (Settings("never"), None),
        (Settings("1h"), '{"expiration_duration_seconds":3600}'),
        (Settings(90, Acl("hide")), '{"expiration_duration_seconds":90,"initial_acl":{"default":"hide"}}'),
        (
            Settings(None, Acl(None, [Rule("me", "allow")])),
            '{"initial_acl":{"rules":[{"user":"me","decision":"allow"}]}}',
        ),
    ],
)
async def test_fal_clients_own_settings_are_a_lifecycle_too(
    server: FalServer, http: Http, settings: Settings, text: str | None
) -> None:
    await upload(http, b"x", lifecycle=settings)
    assert server.requests[0].headers.get("X-Fal-Object-Lifecycle") == text
    with pytest.raises(ValueError):
        upload(http, b"x", lifecycle=Settings("2h"))
    with pytest.raises(ValueError):
        upload(http, b"x", lifecycle=Rule("me", "allow"))


# Errors at the call


async def test_what_is_no_file_is_an_error_at_the_call(own_http: Http, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="file: No such file"):
        upload(own_http, "missing.png")
    with pytest.raises(IsADirectoryError, match="file: is a directory"):
        upload(own_http, tmp_path)
    with pytest.raises(ValueError, match="file is empty"):
        upload(own_http, b"")
    with pytest.raises(TypeError, match="file is dict, not a file"):
        upload(own_http, {})  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="content_type is a media type"):
        upload(own_http, b"x", content_type="image/png\r\nX-Evil: 1")


# A file that changes while it is uploaded


async def test_a_file_that_shrinks_meanwhile_is_a_fal_error_at_once(
    own: Storage, own_http: Http, tmp_path: Path
) -> None:
    path = sparse(tmp_path / "shrinking", 4 * BLOCK_SIZE)

    def shrink(item: object) -> None:
        if item == UploadProgress(BLOCK_SIZE, 4 * BLOCK_SIZE):
            os.truncate(path, BLOCK_SIZE + 10)

    with pytest.raises(
        FalError, match=f"shrinking could not be read .*shrank from {4 * BLOCK_SIZE} to {BLOCK_SIZE + 10}"
    ):
        await upload(own_http, path).do_action(shrink)
    assert own.puts <= 1  # it is not repeated as a broken connection would be


async def test_of_a_file_that_grows_the_announced_size_is_sent(server: FalServer, http: Http, tmp_path: Path) -> None:
    path = sparse(tmp_path / "growing", 2 * BLOCK_SIZE - 1)

    def grow(item: object) -> None:
        os.truncate(path, 9 * BLOCK_SIZE)

    *_, last, uploaded = [item async for item in upload(http, path).do_action(grow)]
    assert last == UploadProgress(2 * BLOCK_SIZE - 1, 2 * BLOCK_SIZE - 1)
    assert isinstance(uploaded, Uploaded)
    assert uploaded.size == server.files[uploaded.url].size == 2 * BLOCK_SIZE - 1


async def test_a_file_that_is_closed_meanwhile_is_a_fal_error(own_http: Http, tmp_path: Path) -> None:
    file = sparse(tmp_path / "closing", 4 * BLOCK_SIZE).open("rb")

    def close(item: object) -> None:
        if item == UploadProgress(BLOCK_SIZE, 4 * BLOCK_SIZE):
            file.close()

    with pytest.raises(FalError, match=r"closing could not be read for the upload: .*closed file"):
        await upload(own_http, file).do_action(close)


async def test_an_error_in_an_operator_over_the_progress_stays_that_error(own: Storage, own_http: Http) -> None:
    def fail(item: object) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await upload(own_http, bytes(4 * BLOCK_SIZE)).map(fail)
    assert own.puts <= 1


# A storage that misbehaves


async def test_a_failed_put_is_repeated_from_the_beginning(own: Storage, own_http: Http) -> None:
    sizes: list[int] = []

    async def put(request: web.BaseRequest) -> web.StreamResponse:
        sizes.append(await discard(request))
        return web.Response(status=503 if len(sizes) == 1 else 200)

    own.put = put
    with stamina.set_testing(True, attempts=3):
        items = [item async for item in upload(own_http, bytes(BLOCK_SIZE + 1))]
    assert sizes == [BLOCK_SIZE + 1] * 2
    assert own.initiated == 1
    assert [item.sent for item in items[:-1] if isinstance(item, UploadProgress)] == [0, BLOCK_SIZE, BLOCK_SIZE + 1]
    assert isinstance(items[-1], Uploaded)


async def test_a_put_that_was_cut_off_is_repeated(own: Storage, own_http: Http) -> None:
    async def put(request: web.BaseRequest) -> web.StreamResponse:
        if own.puts == 1:
            await request.content.readany()
            assert request.transport is not None
            request.transport.abort()
        await discard(request)
        return web.Response()

    own.put = put
    with stamina.set_testing(True, attempts=3):
        uploaded = await upload(own_http, bytes(40 * BLOCK_SIZE))
    assert isinstance(uploaded, Uploaded)
    assert own.puts == 2


async def test_a_put_that_is_refused_before_its_end_is_the_servers_error(own: Storage, own_http: Http) -> None:
    async def put(request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"detail": "The upload URL has expired."}, status=403, headers={"Connection": "close"})

    own.put = put
    with pytest.raises(ApiError) as caught:
        await upload(own_http, b"x" * 100, name="a.txt")
    assert caught.value.message == "The upload URL has expired."  # and not that the key may be the cause: none was sent
    assert caught.value.status == 403
    assert own.puts == 1


async def test_a_put_that_is_accepted_before_its_end_has_failed(own: Storage, own_http: Http) -> None:
    async def put(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(headers={"Connection": "close"})

    own.put = put
    with pytest.raises(TransportError, match=r"the storage answered after \d+ of 50000000 bytes") as caught:
        await upload(own_http, bytes(50_000_000), name="a.txt")
    assert caught.value.kind == "cut short"


async def test_a_refused_initiate_sends_no_bytes(server: FalServer) -> None:
    config = server.config()
    http = Http(config, Credentials("wrong:key", config))
    with pytest.raises(ApiError) as caught:
        await upload(http, b"x")
    assert caught.value.status == 401
    assert [request.method for request in server.requests] == ["POST"]
    await http.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        ["https://files/1"],
        {"file_url": "https://files/1"},
        {"file_url": "", "upload_url": "https://files/put"},
        {"file_url": "https://files/1", "upload_url": "file:///etc/passwd"},
        {"file_url": "https://files/1", "upload_url": "http://[::1"},
    ],
)
async def test_an_answer_that_names_no_place_is_a_decode_error(own: Storage, own_http: Http, answer: Any) -> None:
    own.answer = answer
    with pytest.raises(DecodeError, match=r"^upload of file\.bin: the storage (did not say|wants)") as caught:
        await upload(own_http, b"x")
    assert "_Place" not in str(caught.value)
    assert own.puts == 0


@pytest.mark.parametrize(
    ("upload_url", "where"),
    [
        ("http://cdn.example/put?sig=a-long-signature-0123", "at http://cdn.example,"),
        ("https://10.0.0.1/put?sig=a-long-signature-0123", "at https://10.0.0.1,"),
        ("https://2130706433/put?sig=a-long-signature-0123", "at https://2130706433,"),
        ("https://the-secret@cdn.example/put?sig=a-long-signature-0123", "at https://cdn.example,"),
        ("https://cdn.example/put me?sig=a-long-signature-0123", "at https://cdn.example,"),
        ("https://cdn.example/put\r\nHost: evil?sig=a-long-signature-0123", "at https://cdn.example,"),
        ("https://cdn.example:99999/put?sig=a-long-signature-0123", "at "),
    ],
)
async def test_a_file_goes_to_no_address_that_it_may_not_go_to(
    own: Storage, own_http: Http, upload_url: str, where: str
) -> None:
    own.answer = {"file_url": "https://files/1", "upload_url": upload_url}
    with pytest.raises(DecodeError, match="where no file may go") as caught:
        await upload(own_http, b"x")
    assert where in str(caught.value)
    assert_hidden(caught.value, "the-secret", "a-long-signature")
    assert b"a-long-signature" not in caught.value.data
    assert own.puts == 0


async def test_a_signed_address_is_shown_by_no_error_of_the_upload(own: Storage, own_http: Http) -> None:
    signature = "a/long+signature-0123456789"

    async def put(request: web.BaseRequest) -> web.StreamResponse:
        await discard(request)
        return web.json_response({"detail": f"not {request.rel_url}, nor {request.query['sig']}"}, status=403)

    own.put, own.query = put, URL.build(query={"sig": signature}).raw_query_string
    with pytest.raises(ApiError, match="not /put") as caught:
        await upload(own_http, b"x", name="a.txt")
    assert_hidden(caught.value, signature, own.query)


async def test_a_storage_that_stands_still_ends_the_upload(
    own: Storage, own_http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = asyncio.Event()

    async def put(request: web.BaseRequest) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    own.put = put
    monkeypatch.setattr(uploading, "STALL_LIMIT", 0.05)
    with pytest.raises(StreamTimeoutError, match=r"gave no answer, for 0\.05 seconds"):
        await upload(own_http, b"x" * 100)
    assert own.puts == 1
    never.set()


async def test_an_upload_may_take_as_long_as_it_likes_while_bytes_are_taken(
    own_http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    real, passed = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: real() + passed)

    def let_time_pass(item: object) -> None:
        nonlocal passed
        if isinstance(item, UploadProgress):
            passed += 0.7 * uploading.STALL_LIMIT

    uploaded = await upload(own_http, bytes(5 * BLOCK_SIZE)).do_action(let_time_pass)
    assert isinstance(uploaded, Uploaded)
    assert passed > 4 * uploading.STALL_LIMIT


# The subscriber


async def test_disposing_closes_the_connection_and_the_file(own: Storage, own_http: Http, tmp_path: Path) -> None:
    dropped = asyncio.Event()

    async def put(request: web.BaseRequest) -> web.StreamResponse:
        try:
            await discard(request)
        except (ConnectionError, web.RequestPayloadError, asyncio.CancelledError):
            dropped.set()
            raise
        return web.Response()

    own.put = put
    begun = asyncio.Event()
    path = sparse(tmp_path / "large", 2**34)  # more than could be sent before the dispose

    def on_next(item: object) -> None:
        if isinstance(item, UploadProgress) and item.sent:
            subscription.dispose()
            begun.set()

    errors: list[Exception] = []
    subscription = upload(own_http, path).subscribe(on_next, errors.append)
    await begun.wait()
    await dropped.wait()
    await asyncio.get_running_loop().shutdown_default_executor()  # a read may be under way in its thread
    gc.collect()  # a file that was left open would warn here
    assert errors == []


async def test_a_full_subscriber_misses_steps_and_does_not_hold_the_upload_up(own: Storage, own_http: Http) -> None:
    done = asyncio.Event()

    async def put(request: web.BaseRequest) -> web.StreamResponse:
        await discard(request)
        done.set()
        return web.Response()

    own.put = put
    size = 40 * BLOCK_SIZE
    items: list[UploadProgress | Uploaded] = []
    async for item in iterate(upload(own_http, bytes(size)), buffer_size=4):
        items.append(item)
        await done.wait()  # the whole upload happens while the first item is looked at
    assert len(items) < 20
    assert items[-2] == UploadProgress(size, size)
    assert isinstance(items[-1], Uploaded)


async def test_a_file_is_read_block_by_block_and_no_faster_than_it_is_sent(
    own: Storage, own_http: Http, tmp_path: Path
) -> None:
    go_on = asyncio.Event()
    received: list[int] = []

    async def put(request: web.BaseRequest) -> web.StreamResponse:
        await go_on.wait()
        received.append(await discard(request))
        return web.Response()

    own.put = put
    size = 256 * BLOCK_SIZE  # 64 MiB
    path = sparse(tmp_path / "large", size)
    sent = 0

    def look(item: object) -> None:
        nonlocal sent
        if isinstance(item, UploadProgress):
            sent = item.sent

    tracemalloc.start()
    try:
        task = asyncio.ensure_future(upload(own_http, path).do_action(look))
        await standstill(lambda: sent)
        assert 0 < sent < size // 2  # what the kernel's buffers hold, and no more
        go_on.set()
        await task
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert received == [size]
    assert peak < 8 * 2**20


async def standstill(value: Callable[[], int]) -> None:
    """Until a value that has begun to grow did not for a hundred rounds of the loop and its threads."""
    last, rounds = 0, 0
    while not last or rounds < 100:
        await asyncio.to_thread(lambda: None)
        last, rounds = value(), (rounds + 1 if value() == last else 0)
