"""The tables of "Coming from fal-client": rxfal's column runs as it stands, and fal-client's too where it is installed.

Where a row is about a call, both give the same.
"""

import ast
import asyncio
import gc
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

import rxfal
import rxfal.client
from rxfal.testing import ApiFailure, FalServer, Job, Pause
from tests.needs import need_modules
from tests.pages import ROOT

_PAGE = ROOT / "docs/guides/from-fal-client.md"

# fal-client's sync client closes none of its connections.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


class Row(NamedTuple):
    theirs: str
    ours: str


ROWS = [Row(*found) for found in re.findall(r"^\| `(.+)` \| `(.+)` \|$", _PAGE.read_text(), re.MULTILINE)]


def test_every_row_of_the_tables_is_read() -> None:
    rows = [line for line in _PAGE.read_text().splitlines() if line.startswith("| `")]
    assert len(ROWS) == len(rows) > 50


def test_every_function_and_option_of_fal_client_is_on_the_page() -> None:
    need_modules("fal_client")
    import fal_client

    page = _PAGE.read_text()
    later = {"realtime", "realtime_async", "ws_connect", "ws_connect_async"}
    functions = {name for name in vars(fal_client) if inspect.isroutine(getattr(fal_client, name))} - later
    assert {name for name in functions if f"fal_client.{name}" not in page} == set()
    for name in ("run", "subscribe", "submit", "stream", "upload", "upload_file", "upload_image", "SyncClient"):
        options = set(inspect.signature(getattr(fal_client, name)).parameters) - {"application", "arguments", "data"}
        assert {option for option in options if option not in page} == set(), name


@pytest.fixture(scope="module")
def server() -> Iterator[FalServer]:
    with FalServer() as server:
        yield server


@pytest.fixture(scope="module")
def slow(server: FalServer) -> Iterator[str]:
    pause = Pause()

    @server.app("owner/slow")
    async def slow(input: Any) -> Any:
        await pause.hold()

    yield "owner/slow"
    pause.release()


@pytest.fixture(scope="module")
def app(server: FalServer) -> str:
    @server.app("owner/app")
    async def app(input: Any, job: Job) -> Any:
        job.log("begun")
        yield {"said": input.get("prompt")}

    @server.app("owner/app/sketch")
    async def sketch(input: Any) -> Any:
        return {"sketch": True}

    @server.app("owner/broken")
    async def broken(input: Any) -> Any:
        raise ApiFailure(500, {"detail": "broken", "error_type": "internal_error"})

    return "owner/app"


@pytest.fixture
def names(
    server: FalServer, app: str, slow: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[dict[str, Any]]:
    """What the rows name. Those that cancel have a request that runs, the others one that is done."""
    path = tmp_path / "note.txt"
    path.write_text("hello")
    with server.client() as client:
        before = rxfal.client.set_default(client)
        try:
            cancels = "cancel" in request.node.name
            handle = rxfal.queue.submit(slow if cancels else app, {"prompt": "hi"}).run()
            server.queue[-1].wait_reached("IN_PROGRESS" if cancels else "COMPLETED")
            with pytest.raises(rxfal.ApiError) as caught:
                rxfal.run("owner/broken").run()
            yield {
                "rxfal": rxfal,
                "RequestHandle": rxfal.RequestHandle,
                "app": handle.app,
                "arguments": {"prompt": "hi"},
                "request_id": handle.request_id,
                "handle": handle,
                "key": server.key,
                "url": "https://example.com/hook",
                "path": path,
                "data": b"hello",
                "image": Image.new("RGB", (8, 8), "red"),
                "error": caught.value,
            }
        finally:
            rxfal.client.set_default(before)


async def _value_of(code: str, names: dict[str, Any]) -> Any:
    """The value of a row's column: outside of any event loop, unless it awaits."""
    compiled = compile(code, "<row>", "eval", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if compiled.co_flags & inspect.CO_COROUTINE:
        return await eval(compiled, names)
    return await asyncio.to_thread(eval, compiled, names)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.ours)
async def test_a_row_runs(row: Row, names: dict[str, Any]) -> None:
    ours = await _value_of(row.ours, names)
    assert ours is not None
    if "cancel" in row.ours and "timeout" not in row.ours:
        assert ours is rxfal.Cancellation.CANCELLATION_REQUESTED
    if isinstance(ours, rxfal.Client):
        await ours.aclose()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.theirs)
async def test_a_row_does_what_fal_client_does(
    row: Row, server: FalServer, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    need_modules("fal_client")
    import fal_client
    import fal_client.auth
    import fal_client.client

    for constant, path in (
        ("RUN_URL_FORMAT", "/"),
        ("QUEUE_URL_FORMAT", "/queue/"),
        ("REST_URL", "/rest"),
        ("CDN_URL", "/rest"),
    ):
        monkeypatch.setattr(fal_client.client, constant, server.url + path)
    client, async_client = fal_client.SyncClient(names["key"]), fal_client.AsyncClient(names["key"])
    for name in (
        "run",
        "subscribe",
        "submit",
        "stream",
        "status",
        "result",
        "cancel",
        "upload",
        "upload_file",
        "upload_image",
    ):
        monkeypatch.setattr(fal_client, name, getattr(client, name))
        monkeypatch.setattr(fal_client, f"{name}_async", getattr(async_client, name))
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        client.run("owner/broken", {})
    names |= {name: getattr(fal_client, name) for name in ("StorageSettings", "StorageACL", "StorageACLRule")}
    names |= {"fal_client": fal_client, "client": client, "their_error": caught.value}
    names["their"] = client.get_handle(names["handle"].app, names["handle"].request_id)
    try:
        theirs = await _value_of(row.theirs, names)
    finally:
        client._client.close()
        await (await async_client._client).aclose()
    if _is_result(theirs):
        assert theirs == await _value_of(row.ours, names)
    gc.collect()  # what it left open is closed here, and not in a test that comes later


def _is_result(value: Any) -> bool:
    """Whether a row gives what a model gave, and not an object of the client."""
    return isinstance(value, int) or (isinstance(value, dict) and "said" in value) or value == [{"said": "hi"}]
