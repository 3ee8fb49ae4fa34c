"""fal-client, fal's own client for Python, sync and async, against the embedded server."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from rxfal.testing import ApiFailure, FalServer, Job, Pause
from tests.interop.clients import Either, value_of

# The sync client closes none of its connections for uploads.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

WRONG = {"detail": [{"loc": ["body", "prompt"], "msg": "Field required", "type": "missing"}]}


@pytest.fixture
def echo(server: FalServer) -> None:
    @server.app("owner/app")
    async def app(input, job: Job):
        job.log("begun")
        job.log("careful", level="WARN")
        return {"said": input.get("say")}

    @server.app("owner/app/path")
    async def path(input):
        return {"path": True}

    @server.app("owner/refuses")
    async def refuses(input):
        raise ApiFailure(422, WRONG)

    @server.app("owner/breaks")
    async def breaks(input, job):
        job.log("oh no", level="ERROR")
        raise ApiFailure(500, {"detail": "broken", "error_type": "internal_error"})


@pytest.fixture
def held(server: FalServer) -> Pause:
    """An app that works until the pause is released."""
    pause = Pause()

    @server.app("owner/held", concurrency=1)
    async def held(input, job: Job):
        job.log("begun")
        await pause.hold()
        job.log("done")
        return "at last"

    return pause


@pytest.mark.usefixtures("echo")
async def test_run(fal: Either, server: FalServer):
    assert await fal.call("run", "owner/app", {"say": "hi"}, headers={"X-Mine": "1"}) == {"said": "hi"}
    assert await fal.call("run", "owner/app", {}, path="/path") == {"path": True}
    assert server.requests[0].headers["x-mine"] == "1"


@pytest.mark.usefixtures("echo")
@pytest.mark.parametrize(
    ("app", "status", "says"), [("owner/refuses", 422, "Field required"), ("owner/breaks", 500, "broken")]
)
async def test_failures(fal: Either, app: str, status: int, says: str):
    import fal_client

    for verb in ("run", "subscribe"):
        with pytest.raises(fal_client.FalClientHTTPError) as caught:
            await fal.call(verb, app, {})
        assert (caught.value.status_code, says in str(caught.value)) == (status, True)
        assert caught.value.error_type == ("internal_error" if status == 500 else None)


async def test_stream(fal: Either, server: FalServer):
    @server.app("owner/counter")
    async def counter(input):
        for n in range(input["up_to"]):
            yield {"n": n}

    assert await fal.list(fal.client.stream("owner/counter", {"up_to": 3})) == [{"n": 0}, {"n": 1}, {"n": 2}]


@pytest.mark.usefixtures("echo")
async def test_subscribe(fal: Either, server: FalServer):
    import fal_client

    ids: list[str] = []
    updates: list[Any] = []
    result = await fal.call(
        "subscribe",
        "owner/app",
        {"say": "hi"},
        with_logs=True,
        on_enqueue=ids.append,
        on_queue_update=updates.append,
        priority="low",
        hint="near",
        headers={"X-Fal-Tags": "team=red"},
    )
    assert result == {"said": "hi"}
    (request,) = server.queue
    assert ids == [request.request_id]
    assert (request.priority, request.tags, request.headers["X-Fal-Runner-Hint"]) == ("low", {"team": "red"}, "near")
    last = updates[-1]
    assert isinstance(last, fal_client.Completed)
    assert [(log["message"], log["level"]) for log in last.logs or ()] == [("begun", "INFO"), ("careful", "WARN")]
    assert last.metrics["inference_time"] >= 0
    assert (last.error, last.error_type) == (None, None)


async def test_submit_and_follow(fal: Either, server: FalServer, held: Pause):
    import fal_client

    first = await fal.call("submit", "owner/held", {})
    handle = await fal.call("submit", "owner/held", {}, webhook_url="https://example.com/hook")
    last = await fal.call("submit", "owner/held", {})
    assert server.queue[1].webhook_url == "https://example.com/hook"
    held.wait_reached()
    assert await fal.call("status", "owner/held", last.request_id) == fal_client.Queued(position=1)
    status = await fal.call("status", "owner/held", first.request_id, with_logs=True)
    assert isinstance(status, fal_client.InProgress)
    assert [log["message"] for log in status.logs or ()] == ["begun"]
    assert await fal.call("status", "owner/held", first.request_id) == fal_client.InProgress(logs=None)
    held.release()
    events = await fal.list(handle.iter_events(with_logs=True, interval=0.01))
    assert isinstance(events[-1], fal_client.Completed)
    assert [log["message"] for log in events[-1].logs or ()] == ["begun", "done"]
    assert await fal.call("result", "owner/held", handle.request_id) == "at last"
    handle = await fal.call("get_handle", "owner/held/some/path", last.request_id)
    assert await value_of(handle.get()) == "at last"


async def test_cancel(fal: Either, server: FalServer, held: Pause):
    import fal_client

    running = await fal.call("submit", "owner/held", {})
    waiting = await fal.call("submit", "owner/held", {})
    await asyncio.to_thread(held.wait_reached)
    for handle in (waiting, running):
        await fal.call("cancel", "owner/held", handle.request_id)
    for request in server.queue:
        await request.reached("COMPLETED")
        assert (request.cancelled, request.status) == (True, 499)
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        await fal.call("result", "owner/held", running.request_id)
    assert (caught.value.status_code, caught.value.error_type) == (499, "client_cancelled")
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        await fal.call("cancel", "owner/held", running.request_id)
    assert caught.value.status_code == 400
    server.forget(running.request_id)
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        await fal.call("cancel", "owner/held", running.request_id)
    assert caught.value.status_code == 404


async def test_the_clients_own_timeout_cancels(fal: Either, server: FalServer, held: Pause):
    import fal_client

    with pytest.raises(fal_client.FalClientTimeoutError) as caught:
        await fal.call("subscribe", "owner/held", {}, client_timeout=1.01)  # it takes no less than a second
    (request,) = server.queue
    assert caught.value.request_id == request.request_id
    await request.reached("COMPLETED")
    assert request.cancelled


async def test_a_request_that_does_not_start_in_time(fal: Either, server: FalServer, held: Pause):
    import fal_client

    server.pause_queue()
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        await fal.call("subscribe", "owner/held", {}, start_timeout=1.01)
    assert (caught.value.status_code, caught.value.error_type) == (504, "request_timeout")


async def test_upload(fal: Either, server: FalServer, tmp_path: Path):
    path = tmp_path / "words.txt"
    path.write_text("some words")
    for url in (
        await fal.call("upload", b"some words", "text/plain", "words.txt"),
        await fal.call("upload_file", str(path)),
        await fal.call("upload", b"some words", "text/plain", "words.txt", repository="fal"),
    ):
        file = server.files[url]
        assert (file.data, file.content_type, file.file_name) == (b"some words", "text/plain", "words.txt")


async def test_upload_in_parts(fal: Either, server: FalServer, tmp_path: Path):
    path = tmp_path / "large.bin"
    block = bytes(range(256)) * 4096
    with path.open("wb") as file:
        for _ in range(101):
            file.write(block)
    url = await fal.call("upload_file", str(path))
    assert server.files[url].size == 101 * 2**20
    assert server.files[url].data == path.read_bytes()
    assert sum("/multipart/" in request.path for request in server.requests) >= 11
