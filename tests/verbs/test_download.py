"""`download` against the embedded server, and against one of scripted bytes where the connection breaks."""

import asyncio
import gc
import os
import re
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import stamina

from rxfal.client import Client
from rxfal.errors import ApiError, BodyTooLargeError, DecodeError, FalError, StreamTimeoutError, TransportError
from rxfal.reactive.iterate import iterate
from rxfal.testing import Bytes, Disconnect, FalServer, Status
from rxfal.verbs import part_file
from rxfal.verbs.downloading import Downloaded, DownloadProgress
from rxfal.verbs.updates import Completed
from rxfal.wire import receiving
from rxfal.wire.config import Config
from tests.hidden import assert_hidden
from tests.wire.servers import answer, replies, scripted

PNG = "data:image/png;base64,iVBORw=="
MIB = 2**20


@pytest.fixture
async def server() -> AsyncIterator[FalServer]:
    async with FalServer() as server:
        yield server


@pytest.fixture
async def client(server: FalServer) -> AsyncIterator[Client]:
    async with server.client() as client:
        yield client


@asynccontextmanager
async def client_of(**settings: Any) -> AsyncIterator[Client]:
    async with Client("key-id:key-secret", config=Config(**settings)) as client:
        yield client


@pytest.fixture
async def alone() -> AsyncIterator[Client]:
    """A client that is configured for no server of the tests."""
    async with client_of() as client:
        yield client


@pytest.fixture(autouse=True)
def no_waiting() -> Any:
    """Retries as they are, without their pauses."""
    with stamina.set_testing(True, attempts=4):
        yield


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


async def stored(client: Client, data: bytes, name: str = "cat.png") -> str:
    return (await client.upload(data, name=name)).url


@dataclass
class Flaky:
    """Serves `content`, and closes the connection after so many bytes of each answer, as `breaks` says."""

    content: bytes
    breaks: list[int] = field(default_factory=list[int])
    ranges: bool = True
    headers: tuple[str, ...] = ('ETag: "one"',)
    chunked: bool = False
    reset: bool = False
    asked: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        lines = head.decode().split("\r\n")[1:-2]
        asked = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        self.asked.append(asked)
        found = re.fullmatch(r"bytes=(\d+)-", asked.get("range", ""))
        start = int(found[1]) if found and self.ranges and f"ETag: {asked.get('if-range')}" in self.headers else 0
        body = self.content[start:]
        status = f"206 Partial\r\nContent-Range: bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        length = "Transfer-Encoding: chunked" if self.chunked else f"Content-Length: {len(body)}"
        extra = "".join(f"{line}\r\n" for line in self.headers)
        writer.write(f"HTTP/1.1 {status if start else '200 OK'}\r\n{length}\r\n{extra}\r\n".encode())
        cut = self.breaks.pop(0) if self.breaks else None
        part = body if cut is None else body[:cut]
        writer.write(b"%x\r\n%b\r\n" % (len(part), part) if self.chunked and part else part)
        if cut is None:
            writer.write(b"0\r\n\r\n" if self.chunked else b"")
        await writer.drain()
        if cut is not None:
            writer.close()


# Into memory and onto the disk


async def test_a_url_is_downloaded_into_memory(server: FalServer, client: Client) -> None:
    content = os.urandom(300_000)
    url = await stored(client, content)
    *progress, downloaded = [item async for item in client.download(url)]
    assert isinstance(downloaded, Downloaded)
    assert (downloaded.url, downloaded.path, downloaded.content_type) == (url, None, "image/png")
    assert (downloaded.data, downloaded.size) == (content, 300_000)
    received = [item.received for item in progress if isinstance(item, DownloadProgress) and item.total == 300_000]
    assert len(received) == len(progress)
    assert received == sorted(set(received))
    assert (received[0], received[-1]) == (0, 300_000)


async def test_no_credential_is_sent_and_nothing_before_someone_subscribes(server: FalServer, client: Client) -> None:
    url = await stored(client, b"x")
    server.clear()
    stream = client.download(url)
    assert not server.requests
    await stream
    await stream
    assert [request.method for request in server.requests] == ["GET", "GET"]
    assert not {"Authorization", "x-fal-target-url", "Cookie"} & set(server.requests[0].headers)
    assert server.requests[0].headers["Accept-Encoding"] == "identity"


async def test_a_file_is_saved_at_its_path(client: Client, tmp_path: Path) -> None:
    content = os.urandom(3 * MIB + 7)
    url = await stored(client, content)
    to = tmp_path / "new" / "folder" / "it.png"
    downloaded = await client.download(url, to)
    assert downloaded == Downloaded(url, to, None, "image/png", len(content))
    assert to.read_bytes() == content
    assert everything(tmp_path) == ["new", "new/folder", "new/folder/it.png"]
    assert to.stat().st_mode & 0o777 == 0o666 & ~umask()


def umask() -> int:
    old = os.umask(0)
    os.umask(old)
    return old


async def test_a_place_stays_where_it_was_when_the_working_directory_changes(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    url = await stored(client, b"x")
    downloaded = await client.download(url, "new/cat.png").do_action(lambda item: os.chdir(tmp_path / "there"))
    assert downloaded.path == Path("new/cat.png")
    assert everything(tmp_path) == ["here", "here/new", "here/new/cat.png", "there"]


async def test_a_file_in_a_folder_has_the_name_of_its_url(client: Client, tmp_path: Path) -> None:
    url = await stored(client, b"x", "a cat.png")
    for to in (tmp_path, f"{tmp_path}/deep/er/"):
        assert (await client.download(url, to)).path == Path(to) / "a cat.png"


async def test_the_files_of_a_result_come_in_order_and_awaiting_gives_the_last(client: Client, tmp_path: Path) -> None:
    first, second = await stored(client, b"one"), await stored(client, b"two", "dog.jpg")
    result = {"images": [{"url": first}, {"url": PNG}], "video": {"url": second}}
    files = [item async for item in client.download(result) if isinstance(item, Downloaded)]
    assert [(file.url, file.data) for file in files] == [(first, b"one"), (PNG, b"\x89PNG"), (second, b"two")]
    template = f"{tmp_path}/{{index}}-{{name}}{{ext}}"
    last = await client.download(result, template)
    assert last.path == tmp_path / "2-dog.jpg"
    assert everything(tmp_path) == ["0-cat.png", "1-file.png", "2-dog.jpg"]
    assert (tmp_path / "1-file.png").read_bytes() == b"\x89PNG"


async def test_files_with_the_same_name_are_numbered(client: Client, tmp_path: Path) -> None:
    one, two = await stored(client, b"one"), await stored(client, b"two")
    result = [{"url": one}, {"url": two}, {"url": PNG}, {"x": PNG}]
    for _ in range(2):  # with overwrite=True too, no file of a download writes over another of it
        await client.download(result, tmp_path, overwrite=True)
        assert everything(tmp_path) == ["cat-2.png", "cat.png", "file-2.png", "file.png"]
    assert (tmp_path / "cat-2.png").read_bytes() == b"two"


async def test_names_that_differ_in_case_alone_are_the_same_to_some_file_systems(
    client: Client, tmp_path: Path
) -> None:
    result = [{"url": await stored(client, b"x", "Cat.png")}, {"url": await stored(client, b"x", "cat.PNG")}]
    await client.download(result, tmp_path)
    assert everything(tmp_path) == ["Cat.png", "cat-2.PNG"]


async def test_a_completed_gives_its_id_to_the_template(client: Client, tmp_path: Path) -> None:
    done = Completed("abc-123", {"images": [{"url": await stored(client, b"x")}]})
    downloaded = await client.download(done, f"{tmp_path}/{{request_id}}/{{index}}{{ext}}")
    assert downloaded.path == tmp_path / "abc-123" / "0.png"


async def test_a_data_uri_needs_no_request(tmp_path: Path, alone: Client) -> None:
    items = [item async for item in alone.download(PNG)]
    assert items == [DownloadProgress(0, 4), DownloadProgress(4, 4), Downloaded(PNG, None, b"\x89PNG", "image/png", 4)]
    assert (await alone.download(PNG, tmp_path)).path == tmp_path / "file.png"
    with pytest.raises(DecodeError, match=r"^download of a data: URI \(image/png\): its data can't be decoded"):
        await alone.download("data:image/png;base64,?", f"{tmp_path}/x/")
    assert everything(tmp_path) == ["file.png"]


def test_a_script_without_a_loop_downloads_by_run(tmp_path: Path) -> None:
    with FalServer() as server, server.client() as client:
        uploaded = client.upload(b"hello", name="a.txt").run()
        assert client.download(uploaded, f"{tmp_path}/").run().path == tmp_path / "a.txt"


async def test_an_empty_file_is_a_file(tmp_path: Path, alone: Client) -> None:
    async with scripted(replies(answer(b""))) as server:
        assert (await alone.download(server.url)).data == b""
        assert (await alone.download(server.url, tmp_path / "x")).size == 0
    assert (tmp_path / "x").read_bytes() == b""


async def test_a_size_that_the_server_does_not_say_is_none(alone: Client) -> None:
    async with scripted(Flaky(b"hello", chunked=True)) as server:
        *_, last, downloaded = [item async for item in alone.download(server.url)]
    assert last == DownloadProgress(5, None)
    assert isinstance(downloaded, Downloaded)
    assert downloaded.data == b"hello"


async def test_signed_addresses_are_asked_for_as_they_are(alone: Client) -> None:
    async with scripted(replies(answer(b"x"))) as server:
        await alone.download(f"{server.url}/a%2fb%20c?sig=a%2Bb+c~%7E&x#part")
        assert server.heads[0].startswith(b"GET /a%2fb%20c?sig=a%2Bb+c~%7E&x HTTP/1.1\r\n")


async def test_a_body_that_is_compressed_all_the_same_is_unpacked(alone: Client) -> None:
    import gzip

    async with scripted(replies(answer(gzip.compress(b"hello"), "200 OK", "Content-Encoding: gzip"))) as server:
        *_, last, downloaded = [item async for item in alone.download(server.url)]
    assert isinstance(downloaded, Downloaded)
    assert (downloaded.data, last) == (b"hello", DownloadProgress(5, None))


# What exists


async def test_a_file_that_exists_is_an_error_at_the_call(client: Client, server: FalServer, tmp_path: Path) -> None:
    url = await stored(client, b"new")
    to = tmp_path / "0.png"
    to.write_bytes(b"old")
    (tmp_path / "1").symlink_to("nowhere")
    for source, where in (
        (url, to),
        (PNG, to),
        (PNG, f"{tmp_path}/{{index}}{{ext}}"),
        ({"url": url}, f"{tmp_path}/{{index}}.png"),
        ([{"url": url}, {"url": url}], f"{tmp_path}/{{index}}"),
    ):
        with pytest.raises(FileExistsError, match="overwrite=True"):
            client.download(source, where)
    assert to.read_bytes() == b"old"
    assert (await client.download(url, to, overwrite=True)).path == to
    assert to.read_bytes() == b"new"


async def test_a_file_that_was_to_be_written_over_stays_if_the_download_fails(tmp_path: Path, alone: Client) -> None:
    to = tmp_path / "x"
    to.write_bytes(b"old")
    async with scripted(Flaky(b"x" * 100, breaks=[10] + [0] * 20)) as server:
        with pytest.raises(TransportError):
            await alone.download(server.url, to, overwrite=True)
    assert to.read_bytes() == b"old"
    assert everything(tmp_path) == ["x"]


async def test_a_file_that_exists_under_the_name_that_the_server_gives_is_an_error_of_the_stream(
    client: Client, tmp_path: Path
) -> None:
    url = await stored(client, b"new")
    (tmp_path / "cat.png").write_bytes(b"old")
    stream = client.download(url, tmp_path)
    with pytest.raises(FileExistsError, match=r"cat\.png"):
        await stream
    assert (tmp_path / "cat.png").read_bytes() == b"old"
    assert everything(tmp_path) == ["cat.png"]
    assert (await client.download(url, tmp_path, overwrite=True)).path == tmp_path / "cat.png"


@pytest.mark.parametrize("links", [True, False])
async def test_a_file_that_comes_into_being_meanwhile_is_not_written_over(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:

        def link(*paths: Any) -> None:
            raise PermissionError("a file system without links")

        monkeypatch.setattr(part_file.os, "link", link)
    url = await stored(client, b"new")
    to = tmp_path / "cat.png"

    def meanwhile(item: object) -> None:
        to.write_bytes(b"theirs")

    with pytest.raises(FileExistsError):
        await client.download(url, to).do_action(meanwhile)
    assert to.read_bytes() == b"theirs"
    assert everything(tmp_path) == ["cat.png"]
    to.unlink()
    assert (await client.download(url, to)).path == to
    assert everything(tmp_path) == ["cat.png"]


async def test_what_is_no_regular_file_is_never_replaced(client: Client, tmp_path: Path) -> None:
    url = await stored(client, b"new")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(FileExistsError, match="not a regular file"):
        await client.download(url, pipe, overwrite=True)
    assert everything(tmp_path) == ["pipe"]


# Errors leave nothing behind


async def test_an_error_leaves_nothing_behind(server: FalServer, client: Client, tmp_path: Path) -> None:
    with pytest.raises(ApiError, match=f"^download of {server.url}/rest/files/none: ") as caught:
        await client.download(f"{server.url}/rest/files/none", f"{tmp_path}/new/{{index}}")
    assert caught.value.status == 404
    assert everything(tmp_path) == []


async def test_a_download_that_breaks_off_for_good_leaves_nothing_behind(tmp_path: Path, alone: Client) -> None:
    flaky = Flaky(b"x" * 100, breaks=[10, *[0] * 20])
    async with scripted(flaky) as server:
        with pytest.raises(TransportError):
            await alone.download(server.url, f"{tmp_path}/new/er/{{index}}")
    assert everything(tmp_path) == []
    assert len(flaky.asked) == 8  # the first four brought something; the other four nothing more


async def test_files_that_were_whole_before_an_error_stay(client: Client, server: FalServer, tmp_path: Path) -> None:
    url = await stored(client, b"one")
    with pytest.raises(ApiError):
        await client.download([{"url": url}, {"url": f"{server.url}/rest/files/none"}], f"{tmp_path}/new/{{index}}")
    assert everything(tmp_path) == ["new", "new/0"]


async def test_a_disk_that_is_full_is_a_fal_error(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(self: object, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    url = await stored(client, b"x")
    monkeypatch.setattr(part_file.PartFile, "write", write)
    with pytest.raises(FalError, match=r"^download of http.*cat\.png: it could not be saved: .*No space left"):
        await client.download(url, tmp_path / "sub" / "x")
    assert everything(tmp_path) == []


async def test_a_place_that_can_not_be_written_is_a_fal_error(client: Client, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(FalError, match=r"it could not be saved: .*Not a directory"):
        await client.download(await stored(client, b"x"), tmp_path / "file" / "x")


async def test_what_is_kept_in_memory_has_a_limit_and_what_is_saved_has_none(server: FalServer, tmp_path: Path) -> None:
    async with server.client(max_body_size=1000) as client:
        url = await stored(client, b"x" * 1001)
        with pytest.raises(BodyTooLargeError, match="1000 bytes"):
            await client.download(url)
        assert (await client.download(url, tmp_path / "x")).size == 1001
        with pytest.raises(BodyTooLargeError):
            async with scripted(Flaky(b"x" * 1001, chunked=True)) as other:
                await client.download(other.url)


# Going on


async def test_what_breaks_off_goes_on_where_it_stopped(tmp_path: Path, alone: Client) -> None:
    content = os.urandom(3000)
    flaky = Flaky(content, breaks=[1000, 0, 1500, 1])
    async with scripted(flaky) as server:
        items = [item async for item in alone.download(server.url, tmp_path / "x")]
    assert (tmp_path / "x").read_bytes() == content
    assert [asked.get("range") for asked in flaky.asked] == [
        *(None, "bytes=1000-", "bytes=1000-", "bytes=2500-", "bytes=2501-")
    ]
    assert {asked.get("if-range") for asked in flaky.asked[1:]} == {'"one"'}
    received = [item.received for item in items if isinstance(item, DownloadProgress)]
    assert received == sorted(received)
    assert received[-1] == 3000


async def test_a_download_goes_on_as_long_as_it_gets_further(alone: Client) -> None:
    content = os.urandom(30)
    flaky = Flaky(content, breaks=[1] * 29)
    async with scripted(flaky) as server:
        assert (await alone.download(server.url)).data == content
    assert len(flaky.asked) == 30


async def test_with_one_attempt_nothing_goes_on(alone: Client) -> None:
    flaky = Flaky(b"x" * 100, breaks=[50])
    stamina.set_testing(False)
    async with scripted(flaky) as server, client_of(max_attempts=1) as client:
        with pytest.raises(TransportError):
            await client.download(server.url)
    assert len(flaky.asked) == 1


@pytest.mark.parametrize("headers", [(), ('ETag: W/"weak"',), ("Last-Modified: Wed, 25 Nov 2026 02:00:00 GMT",)])
async def test_without_a_proof_that_the_file_is_the_same_it_begins_again(
    tmp_path: Path, alone: Client, headers: tuple[str, ...]
) -> None:
    content = os.urandom(3000)
    flaky = Flaky(content, breaks=[1000], headers=headers)
    async with scripted(flaky) as server:
        items = [item async for item in alone.download(server.url, tmp_path / "x")]
    assert (tmp_path / "x").read_bytes() == content
    assert ["range" in asked for asked in flaky.asked] == [False, False]
    assert [item.received for item in items if isinstance(item, DownloadProgress)].count(0) == 2


async def test_a_date_that_was_over_proves_it_too(alone: Client) -> None:
    modified = "Wed, 25 Nov 2026 02:00:00 GMT"
    flaky = Flaky(b"x" * 3000, [1000], headers=(f"Last-Modified: {modified}", "Date: Wed, 25 Nov 2026 02:00:01 GMT"))
    async with scripted(flaky) as server:
        assert (await alone.download(server.url)).size == 3000
    assert flaky.asked[1]["if-range"] == modified


async def test_a_server_without_ranges_is_asked_for_the_whole_file_again(tmp_path: Path, alone: Client) -> None:
    content = os.urandom(3000)
    flaky = Flaky(content, breaks=[1000, 2000], ranges=False)
    async with scripted(flaky) as server:
        await alone.download(server.url, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == content


async def test_a_server_without_ranges_that_always_breaks_at_the_same_place_is_given_up(alone: Client) -> None:
    flaky = Flaky(b"x" * 3000, breaks=[1000] * 50, ranges=False)
    async with scripted(flaky) as server:
        with pytest.raises(TransportError):
            await alone.download(server.url)
    assert len(flaky.asked) == 8


async def test_a_file_that_changed_meanwhile_begins_again(server: FalServer, client: Client, tmp_path: Path) -> None:
    old, new = b"old" * 1000, b"new" * 900
    flaky = Flaky(old, breaks=[1000])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        await flaky(reader, writer, head)
        flaky.content, flaky.headers = new, ('ETag: "two"',)

    async with scripted(serve) as other:
        downloaded = await client.download(other.url, tmp_path / "x")
    assert flaky.asked[1]["if-range"] == '"one"'
    assert (tmp_path / "x").read_bytes() == new
    assert downloaded.size == 2700


PARTIAL = b"HTTP/1.1 206 P\r\nContent-Length: 2\r\n"


@pytest.mark.parametrize(
    "wrong",
    [
        answer(b"", "416 Range Not Satisfiable", "Content-Range: bytes */2"),
        PARTIAL + b'Content-Range: bytes 0-1/4\r\nETag: "one"\r\n\r\nab',
        PARTIAL + b'Content-Range: bytes 2-3/5\r\nETag: "one"\r\n\r\ncd',
        PARTIAL + b'Content-Range: bytes 2-3/4\r\nETag: "two"\r\n\r\ncd',
        PARTIAL + b"\r\ncd",
        PARTIAL + b"Content-Type: multipart/byteranges; boundary=x\r\n\r\ncd",
    ],
)
async def test_an_answer_that_does_not_go_on_where_it_stopped_is_not_used(alone: Client, wrong: bytes) -> None:
    cut = b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nETag: "one"\r\n\r\nab'
    answers = [cut, wrong, answer(b"abcd", "200 OK", 'ETag: "one"')]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        reply = answers.pop(0)
        writer.write(reply)
        if reply is cut:
            writer.close()

    async with scripted(serve) as server:
        assert (await alone.download(server.url)).data == b"abcd"
    assert [b"Range: bytes=2-" in head for head in server.heads] == [False, True, False]


async def test_a_server_that_gives_less_than_the_rest_is_asked_for_more(alone: Client) -> None:
    cut = b'HTTP/1.1 200 OK\r\nContent-Length: 6\r\nETag: "one"\r\n\r\nab'
    answers = [
        cut,
        PARTIAL + b"Content-Range: bytes 2-3/6\r\n\r\ncd",
        PARTIAL + b"Content-Range: bytes 4-5/*\r\n\r\nef",
    ]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        reply = answers.pop(0)
        writer.write(reply)
        if reply is cut:
            writer.close()

    async with scripted(serve) as server:
        assert (await alone.download(server.url)).data == b"abcdef"
    assert b"Range: bytes=4-" in server.heads[2]


@pytest.mark.parametrize(("total", "asked"), [(b"4", 2), (b"*", 3)])
async def test_a_file_of_unknown_size_goes_on_only_if_its_size_is_known_by_then(
    alone: Client, total: bytes, asked: int
) -> None:
    """A server may give less than the rest, and then nothing else would say that more is to come."""
    cut = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: "one"\r\n\r\n2\r\nab\r\n'
    rest = b"HTTP/1.1 206 P\r\nContent-Range: bytes 2-3/%b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ncd\r\n0\r\n\r\n"
    answers = [cut, rest % total, answer(b"abcd")]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        reply = answers.pop(0)
        writer.write(reply)
        if reply is cut:
            writer.close()

    async with scripted(serve) as server:
        assert (await alone.download(server.url)).data == b"abcd"
    assert len(server.heads) == asked


async def test_a_part_that_nobody_asked_for_is_an_error(alone: Client) -> None:
    async with scripted(replies(PARTIAL + b"Content-Range: bytes 2-3/4\r\n\r\ncd")) as server:
        with pytest.raises(DecodeError, match="a part of the file, though the whole was asked for"):
            await alone.download(server.url)
    assert len(server.heads) == 1


@pytest.mark.parametrize("status", ["500 X", "502 X", "503 X", "504 X", "429 X", "408 X"])
async def test_what_may_pass_is_tried_again(alone: Client, status: str) -> None:
    async with scripted(replies(answer(b"", status), answer(b"", status), answer(b"there"))) as server:
        assert (await alone.download(server.url)).data == b"there"
    assert len(server.heads) == 3


async def test_what_does_not_pass_is_tried_so_often(alone: Client) -> None:
    async with scripted(replies(answer(b"", "503 X"))) as server:
        with pytest.raises(ApiError):
            await alone.download(server.url)
    assert len(server.heads) == 4


@pytest.mark.parametrize("status", ["403 X", "404 X", "410 X", "416 X"])
async def test_what_does_not_help_is_not_tried_again(alone: Client, status: str) -> None:
    async with scripted(replies(answer(b"", status))) as server:
        with pytest.raises(ApiError):
            await alone.download(server.url)
    assert len(server.heads) == 1


async def test_the_embedded_server_goes_on_too(server: FalServer, client: Client, tmp_path: Path) -> None:
    """Its `Range`, `If-Range` and `ETag` are what a download that breaks off needs."""
    content = os.urandom(5000)
    url = await stored(client, content)
    head = Status(headers={"ETag": server.files[url].etag}, content_type="image/png", content_length=5000)
    server.script("rest/files/*/*", [head, Bytes(content[:2000]), Disconnect("cut")], times=1)
    await client.download(url, tmp_path)
    assert (tmp_path / "cat.png").read_bytes() == content
    assert server.requests[-1].headers["Range"] == "bytes=2000-"
    assert server.requests[-1].status == 206


# Redirects


async def test_redirects_are_followed_as_they_are_written(server: FalServer, client: Client) -> None:
    url = await stored(client, b"there")

    def to(place: str, status: str = "302 Found") -> bytes:
        return answer(b"", status, f"Location: {place}")

    first, second = to("/b%2Fc?sig=a%2Bb+c"), to("//HOST/d", "307 X")
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        line = head.partition(b"\r\n")[0]
        seen.append(line)
        host = f"127.0.0.1:{other.port}".encode()
        writer.write(
            first if line.startswith(b"GET /a ") else to(url) if b"/d " in line else second.replace(b"HOST", host)
        )

    async with scripted(serve) as other:
        downloaded = await client.download(f"{other.url}/a")
    assert downloaded.data == b"there"
    assert downloaded.url == f"{other.url}/a"
    assert seen == [b"GET /a HTTP/1.1", b"GET /b%2Fc?sig=a%2Bb+c HTTP/1.1", b"GET /d HTTP/1.1"]
    assert "Authorization" not in server.requests[-1].headers


async def test_redirects_have_an_end(alone: Client) -> None:
    async with scripted(replies(answer(b"", "302 Found", "Location: /again"))) as server:
        with pytest.raises(ApiError, match="redirects to another path of the same host, which rxfal does not follow"):
            await alone.download(server.url)
    assert len(server.heads) == receiving.MOST_REDIRECTS + 1


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://h/x", "http://u:p@127.0.0.1/x", "http://[::1"])
async def test_redirects_lead_nowhere_else(alone: Client, place: str) -> None:
    async with scripted(replies(answer(b"", "302 Found", f"Location: {place}"))) as server:
        with pytest.raises(ApiError) as caught:
            await alone.download(server.url)
    assert caught.value.status == 302
    assert len(server.heads) == 1


async def test_what_breaks_off_behind_a_redirect_goes_on_behind_it(alone: Client) -> None:
    flaky = Flaky(b"x" * 3000, breaks=[1000])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        if head.startswith(b"GET /a "):
            writer.write(answer(b"", "302 Found", "Location: /b"))
        else:
            await flaky(reader, writer, head)

    async with scripted(serve) as server:
        assert (await alone.download(f"{server.url}/a")).size == 3000
    assert [head.split(b" ")[1] for head in server.heads] == [b"/a", b"/b", b"/a", b"/b"]
    assert flaky.asked[1]["range"] == "bytes=1000-"


SIGNATURE = "a/long+signature-0123456789"
SIGNED = "sig=a%2Flong%2Bsignature-0123456789"


@pytest.mark.parametrize(
    "broken",
    {
        "an error that repeats it": answer(
            f'{{"detail": "not {SIGNATURE}"}}'.encode(), "403 X", "Content-Type: a/json"
        ),
        "a page that repeats it": answer(f"<title>{SIGNED}</title>".encode(), "500 X"),
        "a redirect to nowhere": answer(b"", "302 X", f"Location: ftp://h/x?{SIGNED}"),
        "a redirect without an end": answer(b"", "302 X", f"Location: /?{SIGNED}"),
        "no answer": b"",
        "half of one": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "no HTTP": f"HTTP/9 {SIGNATURE}\r\n\r\n".encode(),
        "a part": b"HTTP/1.1 206 P\r\nContent-Length: 1\r\n\r\nx",
        "what is not compressed": answer(SIGNATURE.encode(), "200 OK", "Content-Encoding: gzip"),
    }.items(),
    ids=lambda given: given[0],
)
@pytest.mark.parametrize("redirected", [False, True])
async def test_a_signature_is_shown_by_no_error(
    alone: Client, broken: tuple[str, bytes], redirected: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "rxfal")
    onward = answer(b"", "302 X", f"Location: /signed?{SIGNED}")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(onward if head.startswith(b"GET /a ") else broken[1])
        await writer.drain()
        writer.close()

    async with scripted(serve) as server:
        with pytest.raises(FalError) as caught:
            await alone.download(f"{server.url}/a" if redirected else f"{server.url}/signed?{SIGNED}", "cat.png")
    assert_hidden(caught.value, SIGNATURE, SIGNED)
    assert SIGNATURE not in caplog.text
    assert SIGNED not in caplog.text


# Never subscribed


@pytest.mark.parametrize("verb", ["upload", "download"])
def test_in_development_mode_a_file_that_nobody_subscribed_to_is_warned_of(verb: str) -> None:
    program = """
import rxfal, sys
client = rxfal.Client("key")
getattr(client, sys.argv[1])({"upload": b"x", "download": "https://h/cat.png?sig=secret"}[sys.argv[1]])
"""
    warned, quiet = (
        subprocess.run([sys.executable, *mode, "-c", program, verb], capture_output=True, text=True, timeout=60).stderr
        for mode in (["-X", "dev"], [])
    )
    what = {"upload": "upload file.bin", "download": "download of https://h/cat.png"}[verb]
    assert f"RuntimeWarning: {what} was never subscribed, so nothing was sent" in warned
    assert quiet == ""


# Silence and the subscriber


@pytest.mark.parametrize("begun", [False, True])
async def test_a_server_that_falls_silent_ends_the_download(
    tmp_path: Path, alone: Client, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    monkeypatch.setattr(receiving, "SILENCE_LIMIT", 0.05)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"
    async with scripted(replies(head if begun else b"")) as server:
        with pytest.raises(StreamTimeoutError, match=r"^download of .*: nothing came for 0\.05 seconds; "):
            await alone.download(server.url, tmp_path / "x")
    assert everything(tmp_path) == []


async def test_disposing_ends_the_connection_and_leaves_nothing_behind(tmp_path: Path, alone: Client) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + bytes(2 * MIB)
    arrived = asyncio.Event()
    items: list[Any] = []

    def on_next(item: Any) -> None:
        items.append(item)
        if item.received:
            arrived.set()

    async with scripted(replies(head)) as server:
        subscription = alone.download(server.url, tmp_path / "new" / "x").subscribe(on_next, items.append)
        await arrived.wait()
        assert len(everything(tmp_path / "new")) == 1
        subscription.dispose()
        seen = len(items)
        await server.gone.wait()
    assert everything(tmp_path) == []
    await asyncio.get_running_loop().shutdown_default_executor()
    gc.collect()  # a file that was left open would warn here
    assert len(items) == seen


@pytest.mark.parametrize("overwrite", [True, False])
async def test_disposing_at_the_last_step_leaves_nothing_behind(
    client: Client, tmp_path: Path, overwrite: bool
) -> None:
    url = await stored(client, b"x" * 100)
    ended = asyncio.Event()
    items: list[Any] = []

    def on_next(item: Any) -> None:
        items.append(item)
        if item.received == 100:
            subscription.dispose()
            ended.set()

    subscription = client.download(url, tmp_path / "x", overwrite=overwrite).subscribe(on_next, items.append)
    await ended.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    assert everything(tmp_path) == []
    assert items[-1] == DownloadProgress(100, 100)


async def test_an_operator_that_fails_at_the_last_step_leaves_nothing_behind(client: Client, tmp_path: Path) -> None:
    def fail(item: Any) -> None:
        if item == DownloadProgress(1, 1):
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await client.download(await stored(client, b"x"), tmp_path / "x").do_action(fail)
    for _ in range(5):
        await asyncio.sleep(0)
    assert everything(tmp_path) == []


async def test_disposing_while_the_disk_is_written_leaves_nothing_behind(
    tmp_path: Path, alone: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = part_file.PartFile.write
    writing, loop = asyncio.Event(), asyncio.get_running_loop()
    go_on, written = threading.Event(), list[bool]()

    def write(self: part_file.PartFile, data: bytes) -> None:
        loop.call_soon_threadsafe(writing.set)
        go_on.wait(5)
        real(self, data)
        written.append(not self._is_wanted)

    monkeypatch.setattr(part_file.PartFile, "write", write)
    async with scripted(replies(answer(bytes(3 * MIB)))) as server:
        task = asyncio.ensure_future(alone.download(server.url, tmp_path / "x").wait())
        await writing.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(5):
            await asyncio.sleep(0)
        assert everything(tmp_path) == []
        go_on.set()  # the thread finds that nobody wants the rest
    await loop.shutdown_default_executor()
    assert everything(tmp_path) == []
    assert written == [True]


async def test_the_disk_is_not_written_by_the_loops_thread(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, threads = part_file.PartFile.write, set[int]()

    def write(self: part_file.PartFile, data: bytes) -> None:
        threads.add(threading.get_ident())
        real(self, data)

    monkeypatch.setattr(part_file.PartFile, "write", write)
    await client.download(await stored(client, bytes(3 * MIB)), tmp_path / "x")
    assert threads
    assert threading.get_ident() not in threads


async def test_a_full_subscriber_misses_steps_and_gets_every_file(client: Client) -> None:
    url = await stored(client, bytes(8 * MIB))
    items: list[Any] = []
    async for item in iterate(client.download([{"url": url}, {"url": PNG}, {"url": url}]), buffer_size=2):
        items.append(item)
        for _ in range(100):
            await asyncio.sleep(0)
    assert [item.size for item in items if isinstance(item, Downloaded)] == [8 * MIB, 4, 8 * MIB]
    assert DownloadProgress(8 * MIB, 8 * MIB) in items


async def test_a_large_file_is_never_held(server: FalServer, client: Client, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(64 * MIB)
    url = (await client.upload(path)).url
    tracemalloc.start()
    try:
        assert (await client.download(url, tmp_path / "got")).size == 64 * MIB
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MIB  # the server's side included
