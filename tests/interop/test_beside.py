"""README's table of what rxfal has beside fal's own clients: each row with each of the three, on the same server."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import rxfal
from rxfal.testing import Answer, Bytes, Disconnect, FalServer, Job, Pause
from tests.interop.clients import Either, Run, value_of
from tests.pages import ROOT

# The sync client closes none of its connections for uploads.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

_ROWS = {
    "the answer to a submit is lost": "lost_submit",
    "you stop waiting": "leaving",
    "the status stream ends too early": "early_end",
    "logs": "logs",
    "what the call cost": "cost",
    "what became of a cancellation": "cancellation",
    "an input lacks what is required": "validation",
    "downloads": "downloads",
}


def test_each_row_is_tried_with_each_client() -> None:
    table = (ROOT / "README.md").read_text().partition("## Beside fal's own clients")[2].partition("\nA test runs")[0]
    assert re.findall(r"^\| (\w[^|]*?) \|", table, re.MULTILINE) == list(_ROWS)
    for row in _ROWS.values():
        for client in ("rxfal", "fal_client", "fal_js"):
            assert f"test_{row}_with_{client}" in globals()


class Input(BaseModel):
    prompt: str


@pytest.fixture
def client(server: FalServer) -> Iterator[rxfal.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def app(server: FalServer) -> str:
    @server.app("owner/app")
    async def app(input: Any, job: Job) -> Any:
        job.billable_units = 2.0
        return {"done": True}

    return "owner/app"


@pytest.fixture
def strict(server: FalServer) -> str:
    @server.app("owner/strict")
    async def strict(input: Input) -> Any:
        return {}

    return "owner/strict"


@pytest.fixture
def held(server: FalServer) -> Iterator[Pause]:
    """Works until the pause is released."""
    pause = Pause()

    @server.app("owner/held")
    async def held(input: Any, job: Job) -> Any:
        job.log("begun")
        await pause.hold()
        job.log("done")
        return {"done": True}

    yield pause
    pause.release()


def _lose_the_first_answer(server: FalServer, app: str) -> None:
    server.script(f"queue/{app}", [Answer(), Disconnect("reset")], times=1)


async def test_lost_submit_with_rxfal(server: FalServer, client: rxfal.Client, app: str) -> None:
    _lose_the_first_answer(server, app)
    with pytest.raises(rxfal.FalError) as caught:
        await client.subscribe(app)
    assert (caught.value.outcome_unknown, caught.value.retryable) == (True, False)
    assert len(server.queue) == 1


async def test_lost_submit_with_fal_client(server: FalServer, fal: Either, app: str) -> None:
    _lose_the_first_answer(server, app)
    assert await fal.call("subscribe", app, {}) == {"done": True}
    assert len(server.queue) == 2


async def test_lost_submit_with_fal_js(server: FalServer, js: Run, app: str) -> None:
    _lose_the_first_answer(server, app)
    (result,) = await js(f'report((await fal.subscribe("{app}", {{input: {{}}}})).data)')
    assert result == {"done": True}
    assert len(server.queue) == 2


def _was_cancelled(server: FalServer) -> bool:
    return server.queue[0].cancelled or any(request.method == "PUT" for request in server.requests)


async def test_leaving_with_rxfal(server: FalServer, client: rxfal.Client, held: Pause) -> None:
    async for _ in client.subscribe("owner/held"):
        break
    await server.queue[0].reached("COMPLETED")
    assert server.queue[0].cancelled


async def test_leaving_with_fal_client(server: FalServer, fal: Either, held: Pause) -> None:
    def leave(update: Any) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        await fal.call("subscribe", "owner/held", {}, on_queue_update=leave)
    assert not _was_cancelled(server)


async def test_leaving_with_fal_js(server: FalServer, js: Run, held: Pause) -> None:
    (failure,) = await js("""
        const leaving = new AbortController();
        const options = {input: {}, abortSignal: leaving.signal, onQueueUpdate: () => leaving.abort()};
        report(await failure(fal.subscribe("owner/held", options)));
    """)
    assert failure is not None
    assert not _was_cancelled(server)


def _end_the_status_stream_early(server: FalServer) -> None:
    event = b'data: {"status": "IN_PROGRESS", "logs": []}\n\n'
    server.script("queue/owner/held/requests/*/status/stream", [Bytes(event)], times=1)


async def test_early_end_with_rxfal(server: FalServer, client: rxfal.Client, held: Pause) -> None:
    _end_the_status_stream_early(server)
    updates = client.subscribe("owner/held").do_action(lambda update: held.release())
    assert (await updates).output == {"done": True}
    assert sum(request.path.endswith("/status/stream") for request in server.requests) == 2


async def test_early_end_with_fal_client(server: FalServer, fal: Either, held: Pause) -> None:
    _end_the_status_stream_early(server)
    await fal.call("subscribe", "owner/held", {}, on_queue_update=lambda update: held.release())
    assert not any(request.path.endswith("/status/stream") for request in server.requests)


async def test_early_end_with_fal_js(server: FalServer, js: Run, held: Pause) -> None:
    _end_the_status_stream_early(server)
    (failure,) = await js('report(await failure(fal.subscribe("owner/held", {input: {}, mode: "streaming"})))')
    assert (failure["status"], failure["body"]["detail"]) == (400, "Request is still in progress")


async def test_logs_with_rxfal(client: rxfal.Client, held: Pause) -> None:
    logs: list[str] = []
    async for update in client.subscribe("owner/held"):
        held.release()
        if isinstance(update, rxfal.InProgress):
            logs += [log.message for log in update.logs]
    assert logs == ["begun", "done"]


async def test_logs_with_fal_client(fal: Either, held: Pause) -> None:
    logs: list[str] = []

    def keep(update: Any) -> None:
        held.release()
        logs.extend(log["message"] for log in getattr(update, "logs", None) or ())

    await fal.call("subscribe", "owner/held", {}, with_logs=True, on_queue_update=keep, interval=0.01)
    assert logs.count("begun") > 1


async def test_logs_with_fal_js(server: FalServer, js: Run, held: Pause) -> None:
    following = asyncio.create_task(
        js("""
        const options = {input: {}, logs: true, pollInterval: 10};
        options.onQueueUpdate = ({logs}) => report((logs ?? []).map((log) => log.message));
        await fal.subscribe("owner/held", options);
    """)
    )
    await held.reached(timeout=20.0)
    await server.received(len(server.requests) + 3)
    held.release()
    updates = await following
    assert sum("begun" in logs for logs in updates) > 1


async def test_cost_with_rxfal(server: FalServer, client: rxfal.Client) -> None:
    server.add_models()
    server.pace = 0
    app, fern = "fal-ai/fast-julia", {"prompt": "a fern", "size": 500}
    assert (await client.subscribe(app, fern)).billable_units == 0.25
    infos: list[rxfal.ResponseInfo] = []
    await client.run(app, fern, on_open=infos.append)
    assert infos[0].billable_units == 0.25
    assert (await client.models.price(app)).cost(0.25) == 0.00075


async def test_cost_with_fal_client(server: FalServer, fal: Either, app: str) -> None:
    handle = await fal.call("submit", app, {})
    await server.queue[0].reached("COMPLETED")
    done = await value_of(handle.status(with_logs=True))
    for said in (await fal.call("run", app, {}), await value_of(handle.get()), vars(done)):
        assert not any("units" in name or "cost" in name for name in said)


async def test_cost_with_fal_js(js: Run, app: str) -> None:
    (names,) = await js(f'report(Object.keys(await fal.subscribe("{app}", {{input: {{}}}})))')
    assert names == ["data", "requestId"]


async def test_cancellation_with_rxfal(client: rxfal.Client, held: Pause) -> None:
    handle = await client.queue.submit("owner/held")
    assert await client.queue.cancel(handle) is rxfal.Cancellation.CANCELLATION_REQUESTED


async def test_cancellation_with_fal_client(fal: Either, held: Pause) -> None:
    handle = await fal.call("submit", "owner/held", {})
    assert await value_of(handle.cancel()) is None


async def test_cancellation_with_fal_js(js: Run, held: Pause) -> None:
    (said,) = await js("""
        const {request_id: requestId} = await fal.queue.submit("owner/held", {input: {}});
        report((await fal.queue.cancel("owner/held", {requestId})) ?? "nothing");
    """)
    assert said == "nothing"


async def test_validation_with_rxfal(server: FalServer, strict: str) -> None:
    with server.client(validation="require") as client, pytest.raises(rxfal.ValidationError, match="prompt"):
        await client.run(strict, {})
    assert [request.path for request in server.requests] == ["/api/openapi/queue/openapi.json"]


async def test_validation_with_fal_client(server: FalServer, fal: Either, strict: str) -> None:
    import fal_client

    with pytest.raises(fal_client.FalClientHTTPError):
        await fal.call("run", strict, {})
    assert [request.status for request in server.requests] == [422]


async def test_validation_with_fal_js(server: FalServer, js: Run, strict: str) -> None:
    (failure,) = await js(f'report(await failure(fal.run("{strict}", {{input: {{}}}})))')
    assert failure["status"] == 422
    assert [request.status for request in server.requests] == [422]


async def test_downloads_with_rxfal(client: rxfal.Client, tmp_path: Path) -> None:
    uploaded = await client.upload(b"hello", name="note.txt")
    downloaded = await client.download({"file": {"url": uploaded.url}}, tmp_path)
    assert downloaded.path is not None
    assert downloaded.path.read_bytes() == b"hello"


async def test_downloads_with_fal_client(fal: Either) -> None:
    assert [name for name in dir(fal.client) if "download" in name] == []


async def test_downloads_with_fal_js(js: Run) -> None:
    (names,) = await js("report([...Object.keys(fal), ...Object.keys(fal.storage)])")
    assert "upload" in names
    assert [name for name in names if "download" in name] == []
