"""`rxfal.queue`: a request step by step, from a handle that may come from anywhere."""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pydantic
import pytest
import stamina
from aiohttp import web
from pydantic import BaseModel

import rxfal
from rxfal import Cancellation, Completed, InProgress, Queued, RequestHandle
from tests.verbs.queue_server import QueueServer, all_logs, drop, entry, nginx, says, streams, take_and_drop

pytestmark = pytest.mark.every_loop


@pytest.fixture
async def server() -> AsyncIterator[QueueServer]:
    async with QueueServer() as server:
        yield server


@pytest.fixture
async def client(server: QueueServer) -> AsyncIterator[rxfal.Client]:
    async with server.client() as client:
        yield client


@pytest.fixture
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


async def failure_of(stream: Any, kind: type[Exception] = rxfal.FalError) -> Any:
    with pytest.raises(kind) as caught:
        await stream
    return caught.value


# Handles


async def test_submit_gives_one_handle(server: QueueServer, client: rxfal.Client):
    submit = client.queue.submit("me/app/fast", {"n": 1}, tags={"a": "b"}, priority="low")
    assert server.calls == []
    (handle,) = await submit.to_list()
    base = f"{server.url}/me/app/requests/r-1"
    assert handle.model_dump() == {
        "app": "me/app/fast",
        "request_id": "r-1",
        "status_url": f"{base}/status",
        "response_url": base,
        "cancel_url": f"{base}/cancel",
    }
    assert (server.job.input, server.job.headers["X-Fal-Tags"]) == ({"n": 1}, "a=b")
    assert server.job.headers["X-Fal-Queue-Priority"] == "low"


async def test_a_handle_goes_through_json(server: QueueServer, client: rxfal.Client):
    handle = await client.queue.submit("me/app")
    text = handle.model_dump_json()
    assert RequestHandle.model_validate_json(text) == handle
    assert hash(handle) == hash(RequestHandle.model_validate_json(text))
    with pytest.raises(pydantic.ValidationError):
        handle.request_id = "other"  # pyright: ignore[reportAttributeAccessIssue]


def test_a_handle_from_two_ids_has_no_urls():
    handle = RequestHandle.of("me/app", "r-1")
    assert handle == RequestHandle(app="me/app", request_id="r-1")
    assert (handle.status_url, handle.response_url, handle.cancel_url) == (None, None, None)
    assert RequestHandle.of("https://fal.run/me/app/fast", "r-1").app == "me/app/fast"


@pytest.mark.parametrize(
    ("app", "request_id"),
    [
        ("flux", "r-1"),
        ("", "r-1"),
        ("me/../app", "r-1"),
        ("https://evil.example/me/app", "r-1"),
        ("me/app", ""),
        ("me/app", ".."),
        ("me/app", "a/b"),
        ("me/app", "a b"),
        ("me/app", "a?b"),
        ("me/app", "a%2fb"),
        ("me/app", "a\nb"),
        ("me/app", "r\u00e9"),
    ],
)
def test_ids_are_checked_when_a_handle_is_made(app: str, request_id: str):
    with pytest.raises(rxfal.EndpointError):
        RequestHandle.of(app, request_id)
    with pytest.raises(ValueError):
        RequestHandle(app=app, request_id=request_id)
    with pytest.raises(pydantic.ValidationError):
        RequestHandle.model_validate({"app": app, "request_id": request_id})


async def test_a_handle_without_urls_is_the_clients_own_queue(server: QueueServer, client: rxfal.Client):
    await client.queue.submit("workflows/me/app/deep")
    handle = RequestHandle.of("workflows/me/app/deep", "r-1")
    assert await client.queue.status(handle) == Queued("r-1", 0)
    server.job.complete()
    assert await client.queue.result(handle) == {"ok": True}
    assert await client.queue.cancel(handle) == Cancellation.ALREADY_COMPLETED
    assert [each.path for each in server.requests[1:]] == [
        "/workflows/me/app/requests/r-1/status",
        "/workflows/me/app/requests/r-1",
        "/workflows/me/app/requests/r-1/cancel",
    ]


@pytest.mark.parametrize("field", ["status_url", "response_url", "cancel_url"])
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x",
        "http://queue.fal.run/x",
        "https://evilfal.run/x",
        "https://fal.run.evil.com/x",
        "https://user@queue.fal.run/x",
        "https://queue.fal.run./x",
        "ftp://queue.fal.run/x",
        "queue.fal.run/x",
        "https://queue.fal.run/x y",
        "https://queue.fal.run/x\r\nHost: evil",
        "",
        "https://",
    ],
)
def test_a_url_that_must_not_see_the_key_is_refused_at_the_call(field: str, url: str):
    handle = RequestHandle(app="me/app", request_id="r-1").model_copy(update={field: url})
    with rxfal.Client("key") as client:
        for call in (client.queue.status, client.queue.updates, client.queue.result, client.queue.cancel):
            with pytest.raises(rxfal.EndpointError, match=field):
                call(handle)


def test_fals_own_urls_and_those_of_trusted_hosts_pass():
    handle = RequestHandle(app="me/app", request_id="r-1", status_url="https://queue.fal.run/x?sig=1")
    mine = RequestHandle(app="me/app", request_id="r-1", status_url="http://mine.example:81/x")
    config = rxfal.Config(trusted_hosts={"mine.example:81"})
    with rxfal.Client("key", config=config) as client:
        client.queue.status(handle)
        client.queue.status(mine)


@pytest.mark.parametrize("handle", ["r-1", None, {"app": "me/app", "request_id": "r-1"}])
def test_a_handle_is_a_handle(handle: Any):
    with rxfal.Client("key") as client:
        for call in (client.queue.status, client.queue.updates, client.queue.result, client.queue.cancel):
            with pytest.raises(TypeError, match="handle must be a RequestHandle"):
                call(handle)


async def test_a_request_of_another_process_is_followed(server: QueueServer):
    async with server.client() as first:
        text = (await first.queue.submit("me/app")).model_dump_json()
    job = server.job
    job.set("IN_PROGRESS", log="before")
    async with server.client() as second:
        handle = RequestHandle.model_validate_json(text)
        updates: list[Any] = []
        task = asyncio.ensure_future(second.queue.updates(handle).do_action(updates.append).wait())
        await server.received("stream")
        job.complete({"n": 1})
        done = await task
        assert updates[0] == InProgress("r-1", (rxfal.RequestLog(**entry("before")),))
        assert (done.output, [log.message for log in done.logs]) == ({"n": 1}, ["before"])
        assert await second.queue.result(handle) == {"n": 1}


# status


async def test_status_is_one_value(server: QueueServer, client: rxfal.Client):
    handle = await client.queue.submit("me/app")
    assert await client.queue.status(handle).to_list() == [Queued("r-1", 0)]
    job = server.job
    job.set("IN_PROGRESS", log="a")
    job.set(log="a")
    assert await client.queue.status(handle) == InProgress("r-1", ())
    log = rxfal.RequestLog(**entry("a"))
    assert await client.queue.status(handle, logs=True) == InProgress("r-1", (log, log))
    job.complete({"detail": "no"}, 500, metrics={"inference_time": 1}, error="it broke", error_type="internal_error")
    status = await client.queue.status(handle, logs=True)
    assert isinstance(status, Completed)
    assert (status.logs, status.metrics) == ((log, log), {"inference_time": 1})
    assert (status.output, status.error, status.error_type) == (None, "it broke", "internal_error")
    assert [dict(each.query)["logs"] for each in server.requests[1:]] == ["0", "0", "1", "1"]


async def test_status_is_asked_for_again_a_few_times(server: QueueServer, client: rxfal.Client, no_waiting: None):
    handle = await client.queue.submit("me/app")
    server.next("status", drop, nginx(502), says(429, {}))
    assert await client.queue.status(handle) == Queued("r-1", 0)
    assert server.count("status") == 4


@pytest.mark.parametrize("body", [{"status": "THINKING"}, [], "<html>"])
async def test_a_status_that_is_not_known_is_an_error(server: QueueServer, client: rxfal.Client, body: Any):
    server.next("status", says(200, body))
    error = await failure_of(client.queue.status(await client.queue.submit("me/app")))
    assert isinstance(error, rxfal.FalError)
    assert error.request_id == "r-1"


async def test_an_unknown_request_is_a_404(server: QueueServer, client: rxfal.Client):
    error = await failure_of(client.queue.status(RequestHandle.of("me/app", "r-9")), rxfal.ApiError)
    assert (error.status, error.request_id, error.endpoint) == (404, "r-9", "me/app")
    assert "fal does not know this request, or not any more; check its id" in str(error)


async def test_who_can_ask_again_is_not_told_to_send_the_request_again(
    server: QueueServer, client: rxfal.Client, no_waiting: None
):
    handle = await client.queue.submit("me/app")
    for operation in ("status", "result", "cancel"):
        server.always(operation, drop)
        error = await failure_of(getattr(client.queue, operation)(handle), rxfal.TransportError)
        assert "ask again, which costs nothing" in str(error)
        assert "send" not in str(error)


# result


async def test_result_is_one_value(server: QueueServer, client: rxfal.Client):
    class Answer(BaseModel):
        n: int

    handle = await client.queue.submit("me/app")
    server.job.complete({"n": 1})
    assert await client.queue.result(handle).to_list() == [{"n": 1}]
    assert await client.queue.result(handle, output=Answer) == Answer(n=1)
    error = await failure_of(client.queue.result(handle, output=list[int]), rxfal.DecodeError)
    assert (error.data, error.request_id) == (b'{"n": 1}', "r-1")
    server.job.complete(b"RIFF")
    assert await client.queue.result(handle) == b"RIFF"


async def test_result_does_not_wait(server: QueueServer, client: rxfal.Client):
    error = await failure_of(client.queue.result(await client.queue.submit("me/app")), rxfal.ApiError)
    assert (error.status, error.body) == (400, {"detail": "Request is still in progress"})
    assert "Request is still in progress: queue.updates(handle) waits for the result" in str(error)
    assert server.count("result") == 1


async def test_a_result_that_fal_forgot_says_so(server: QueueServer, client: rxfal.Client):
    error = await failure_of(client.queue.result(RequestHandle.of("me/app", "r-9")), rxfal.ApiError)
    assert (error.status, error.request_id) == (404, "r-9")
    assert "fal keeps results only for a while" in str(error)


async def test_the_models_own_failure_is_not_asked_for_again(
    server: QueueServer, client: rxfal.Client, no_waiting: None
):
    handle = await client.queue.submit("me/app")
    server.job.complete({"detail": "runner_disconnected"}, 503)
    error = await failure_of(client.queue.result(handle), rxfal.ApiError)
    assert (error.status, server.count("result")) == (503, 1)
    server.next("result", says(503, {}), drop, nginx(502))
    server.job.complete({"n": 1})
    assert await client.queue.result(handle) == {"n": 1}


# cancel


async def test_all_four_words_are_values(server: QueueServer, client: rxfal.Client):
    first, second = await client.queue.submit("me/app"), await client.queue.submit("me/app")
    server.jobs[1].set("IN_PROGRESS")
    assert await client.queue.cancel(first).to_list() == [Cancellation.OK]
    assert await client.queue.cancel(second) == Cancellation.CANCELLATION_REQUESTED
    assert await client.queue.cancel(first) == Cancellation.ALREADY_COMPLETED
    assert await client.queue.cancel(RequestHandle.of("me/app", "r-9")) == Cancellation.NOT_FOUND
    assert [*Cancellation] == ["OK", "CANCELLATION_REQUESTED", "ALREADY_COMPLETED", "NOT_FOUND"]


@pytest.mark.parametrize("word", [*Cancellation])
@pytest.mark.parametrize("status", [200, 202, 400, 404, 409, 500])
async def test_whatever_their_status(server: QueueServer, client: rxfal.Client, word: str, status: int):
    server.next("cancel", says(status, {"status": word}))
    assert await client.queue.cancel(await client.queue.submit("me/app")) == word


async def test_a_cancel_without_a_word_goes_by_its_status(server: QueueServer, client: rxfal.Client):
    handle = await client.queue.submit("me/app")
    server.next("cancel", says(200, {}), says(202, {}), says(200, "<html>"), says(404, {"detail": "no such app"}))
    assert await client.queue.cancel(handle) == Cancellation.OK
    assert await client.queue.cancel(handle) == Cancellation.CANCELLATION_REQUESTED
    assert await client.queue.cancel(handle) == Cancellation.OK
    error = await failure_of(client.queue.cancel(handle), rxfal.ApiError)
    assert (error.status, error.request_id) == (404, "r-1")


async def test_a_cancel_is_sent_once(server: QueueServer, client: rxfal.Client, no_waiting: None):
    handle = await client.queue.submit("me/app")
    server.next("cancel", drop)
    error = await failure_of(client.queue.cancel(handle), rxfal.TransportError)
    assert (error.outcome_unknown, server.count("cancel")) == (True, 1)


# submit


async def test_a_submit_that_may_have_been_taken_is_not_sent_again(
    server: QueueServer, client: rxfal.Client, no_waiting: None
):
    server.next("submit", take_and_drop)
    error = await failure_of(client.queue.submit("me/app"))
    assert (error.outcome_unknown, error.retryable, server.count("submit")) == (True, False, 1)


def test_what_makes_no_sense_is_an_exception_at_the_call():
    with rxfal.Client("key") as client:
        wrong: list[dict[str, Any]] = [{"app": "flux"}, {"tags": {"": ""}}, {"max_queue_length": 0}, {"timeout": 3}]
        for options in wrong:
            with pytest.raises((ValueError, TypeError)):
                client.queue.submit(**{"app": "me/app", **options})
        handle = RequestHandle.of("me/app", "r-1")
        for options in [
            {"follow": "push"},
            {"poll_interval": 0},
            {"timeout": -1},
            {"output": "x"},
            {"priority": "low"},
        ]:
            with pytest.raises((ValueError, TypeError)):
                client.queue.updates(handle, **options)
        with pytest.raises(TypeError):
            client.queue.result(handle, output="x")


def test_the_namespace_is_there_on_the_module_and_follows_the_default_client():
    assert rxfal.queue.submit.__name__ == "submit"
    parameters = inspect.signature(rxfal.queue.updates).parameters
    names = ["handle", "output", "timeout", "follow", "poll_interval", "logs", "cancel_on_dispose"]
    assert [*parameters] == names
    assert parameters["cancel_on_dispose"].default is False
    assert "on_enqueue" not in inspect.signature(rxfal.queue.submit).parameters


async def test_updates_says_each_thing_once(server: QueueServer, client: rxfal.Client):
    handle = await client.queue.submit("me/app")
    server.job.logs = [entry("a"), entry("a")]
    server.job.complete()
    first = {"status": "IN_PROGRESS", "logs": [entry("a")]}
    server.next("stream", streams(first, {"status": "COMPLETED", "logs": [entry("a"), entry("a")]}))
    updates = await client.queue.updates(handle).to_list()
    assert [type(update) for update in updates] == [InProgress, InProgress, Completed]
    assert all_logs(updates) == ["a", "a"]


async def test_updates_of_a_failed_request_end_with_its_error(server: QueueServer, client: rxfal.Client):
    handle = await client.queue.submit("me/app")
    server.job.logs = [entry("why")]
    server.job.complete({"detail": "broken"}, 500)
    error = await failure_of(client.queue.updates(handle), rxfal.ApiError)
    assert (error.status, error.request_id, error.retryable) == (500, "r-1", False)
    assert [log.message for log in error.logs] == ["why"]


async def test_through_a_proxy_with_the_key_every_request_names_its_target(server: QueueServer):
    seen: list[tuple[str, str, bool]] = []

    async def proxy(request: web.BaseRequest) -> web.StreamResponse:
        """A server-side proxy: it adds the key, and sends the request on."""
        target = request.headers["x-fal-target-url"]
        path = target.partition("?")[0].removeprefix(server.url)
        seen.append((request.method, path, "Authorization" in request.headers))
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OF_ONE_HOP}
        async with aiohttp.ClientSession() as session:
            sent = session.request(
                request.method,
                target,
                data=await request.read(),
                headers={**headers, "Authorization": "Key id:secret-of-the-key"},
            )
            async with sent as answer:
                body = await answer.read()
                return web.Response(status=answer.status, body=body, content_type=answer.content_type)

    runner = web.ServerRunner(web.Server(proxy))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    listening: Any = site._server  # pyright: ignore[reportPrivateUsage]
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/api"
    async with server.client(proxy_url=url) as client:
        handle = await client.queue.submit("me/app", {"n": 1})
        assert await client.queue.status(handle) == Queued("r-1", 0)
        assert await client.queue.cancel(handle) == Cancellation.OK
        assert (await failure_of(client.queue.updates(handle), rxfal.ApiError)).status == 499
    await runner.cleanup()
    base = "/me/app/requests/r-1"
    assert seen == [
        ("POST", "/me/app", False),
        ("GET", f"{base}/status", False),
        ("PUT", f"{base}/cancel", False),
        ("GET", f"{base}/status/stream", False),
        ("GET", base, False),
    ]


_OF_ONE_HOP = {"host", "x-fal-target-url", "content-length", "transfer-encoding", "accept-encoding"}


def test_in_a_plain_script_too():
    started, stopped, found = threading.Event(), threading.Event(), list[QueueServer]()

    async def serve() -> None:
        async with QueueServer() as server:
            found.append(server)
            started.set()
            await asyncio.to_thread(stopped.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    started.wait()
    try:
        with found[0].client() as client:
            handle = client.queue.submit("me/app", {"n": 1}).run()
            assert client.queue.cancel(handle).run() == Cancellation.OK
            assert client.queue.status(handle).run() == Completed("r-1", None)
    finally:
        stopped.set()
        thread.join()
