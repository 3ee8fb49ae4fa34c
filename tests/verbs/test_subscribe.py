"""`subscribe`: what is submitted, the updates, the result and its failures, and that nothing is paid for twice."""

import asyncio
import inspect
import pickle
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina
from pydantic import BaseModel

import rxfal
from rxfal import Completed, InProgress, Queued, RequestHandle
from rxfal import operators as ops
from rxfal.testing import FalServer
from tests.verbs.queue_server import (
    Job,
    QueueServer,
    all_logs,
    drop,
    entry,
    half,
    hang,
    nginx,
    says,
    streams,
    submit,
    take_and_drop,
    take_then,
)

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


class Watched:
    """A subscription that is awaited, and the updates so far."""

    def __init__(self, stream: Any) -> None:
        self.updates: list[Any] = []
        self._more = asyncio.Event()
        self.task = asyncio.ensure_future(stream.do_action(self._take).wait())

    def _take(self, update: Any) -> None:
        self.updates.append(update)
        self._more.set()

    async def until(self, count: int) -> list[Any]:
        """Wait for so many updates."""
        async with asyncio.timeout(5):
            while len(self.updates) < count:
                self._more.clear()
                await self._more.wait()
        return self.updates

    async def failure(self) -> Any:
        async with asyncio.timeout(5):
            with pytest.raises(rxfal.FalError) as caught:
                await self.task
        return caught.value


def completes(server: QueueServer, body: Any = None, status: int = 200, **more: Any) -> None:
    """Let every job be done at once."""

    async def act(server: QueueServer, request: Any, job: Job | None) -> Any:
        response = await submit(server, request, job)
        server.jobs[-1].complete(body, status, **more)
        return response

    server.always("submit", act)


# The updates


async def test_from_the_submit_to_the_result(server: QueueServer, client: rxfal.Client):
    watched = Watched(client.subscribe("me/app/fast", {"prompt": "hi"}))
    job = await server.received("stream")
    assert (job.path, job.input) == ("me/app/fast", {"prompt": "hi"})
    job.set(position=2)
    await watched.until(2)
    job.set("IN_PROGRESS")
    await watched.until(3)
    job.set(log="one")
    await watched.until(4)
    job.complete({"answer": 42}, metrics={"inference_time": 0.5}, headers={"X-Fal-Billable-Units": "1.5"})
    done = await watched.task
    logs = tuple(rxfal.RequestLog(**entry(name)) for name in ("one",))
    assert watched.updates[:-1] == [
        Queued("r-1", 0),
        Queued("r-1", 2),
        InProgress("r-1", ()),
        InProgress("r-1", logs),
    ]
    assert watched.updates[-1] is done
    assert (done.request_id, done.output, done.logs) == ("r-1", {"answer": 42}, logs)
    assert (done.metrics, done.billable_units) == ({"inference_time": 0.5}, 1.5)
    assert (done.headers["x-fal-request-id"], done.error, done.error_type) == ("r-1", None, None)
    assert [name for name, _ in server.calls] == ["submit", "stream", "result"]


async def test_nothing_is_sent_before_a_subscription_and_each_submits_one(server: QueueServer, client: rxfal.Client):
    completes(server)
    stream = client.subscribe("me/app")
    await asyncio.sleep(0)
    assert server.calls == []
    assert [(await stream).request_id, (await stream).request_id] == ["r-1", "r-2"]


async def test_what_is_absent_is_empty(server: QueueServer, client: rxfal.Client):
    completes(server)
    done = await client.subscribe("me/app")
    assert (done.logs, done.metrics, done.billable_units) == ((), {}, None)
    assert isinstance(done, Completed)


@pytest.mark.parametrize("position", [None, "first", True, 1.5])
async def test_a_position_that_is_no_number_is_none(server: QueueServer, client: rxfal.Client, position: Any):
    async def act(server: QueueServer, request: Any, job: Job | None) -> Any:
        server.take(request).position = position
        return server.accepted(server.job)

    server.next("submit", act)
    watched = Watched(client.subscribe("me/app"))
    assert await watched.until(1) == [Queued("r-1", None)]
    (await server.received("stream")).complete()
    await watched.task
    assert len(watched.updates) == 2


async def test_updates_that_say_nothing_new_are_not_emitted(server: QueueServer, client: rxfal.Client):
    queued = {"status": "IN_QUEUE", "queue_position": 0, "request_id": "r-1"}
    working = {"status": "IN_PROGRESS", "logs": [entry("a")]}
    server.next("stream", streams(queued, queued, working, working, {"status": "COMPLETED", "logs": [entry("a")]}))
    completes(server)
    updates = await client.subscribe("me/app").to_list()
    assert [type(update) for update in updates] == [Queued, InProgress, Completed]


async def test_words_that_are_not_known_and_events_that_are_not_json_are_passed_over(
    server: QueueServer, client: rxfal.Client
):
    server.next(
        "stream", streams({"status": "THINKING"}, b"<html>", [1], 1, None, {"status": 3}, {"status": "COMPLETED"})
    )
    completes(server)
    updates = await client.subscribe("me/app").to_list()
    assert [type(update) for update in updates] == [Queued, Completed]
    assert server.count("stream") == 1


async def test_going_back_to_the_queue_is_told(server: QueueServer, client: rxfal.Client):
    watched = Watched(client.subscribe("me/app"))
    job = await server.received("stream")
    job.set("IN_PROGRESS", log="a")
    await watched.until(2)
    job.set("IN_QUEUE", position=4)  # fal tries again on another runner
    await watched.until(3)
    job.set("IN_PROGRESS")
    await watched.until(4)
    job.complete()
    await watched.task
    assert [type(each) for each in watched.updates] == [Queued, InProgress, Queued, InProgress, Completed]
    assert all_logs(watched.updates) == ["a"]


@pytest.mark.parametrize("follow", ["stream", "poll"])
async def test_logs_that_come_with_the_end_come_before_it(server: QueueServer, client: rxfal.Client, follow: Any):
    watched = Watched(client.subscribe("me/app", follow=follow, poll_interval=0.01))
    job = await server.received("stream" if follow == "stream" else "status")
    job.logs += [entry("a"), entry("b")]
    job.complete()
    done = await watched.task
    assert all_logs(watched.updates) == ["a", "b"]
    assert [log.message for log in done.logs] == ["a", "b"]
    assert isinstance(watched.updates[-2], InProgress)


async def test_each_log_is_there_once_whatever_the_server_repeats(server: QueueServer, client: rxfal.Client):
    def working(*names: str) -> Any:
        return {"status": "IN_PROGRESS", "logs": [entry(name) for name in names]}

    server.next(
        "stream",
        streams(
            working("a"),
            working("a", "b"),  # all so far
            working("c"),  # only the new one
            working("a", "tick", "tick"),  # equal ones in one answer are so many
            working("tick"),
            working("tick", "tick", "tick"),
            working(),
            {"status": "COMPLETED", "logs": [entry("a"), entry("tick"), entry("d")]},
        ),
    )
    completes(server)
    updates = await client.subscribe("me/app").to_list()
    assert all_logs(updates) == ["a", "b", "c", "tick", "tick", "tick", "d"]
    assert [log.message for log in updates[-1].logs] == all_logs(updates)
    assert all(update.logs for update in updates if isinstance(update, InProgress))


async def test_logs_of_any_form_are_logs(server: QueueServer, client: rxfal.Client):
    odd = [
        entry("plain") | {"labels": {"gpu": 1}},
        {"message": None, "level": 3},
        {"text": "no message"},
        "a text",
        7,
        None,
        {"message": "m", "self": 1, "model_config": 2, "timestamp": 1.5},
        {"message": "half \ud800", "source": ["\ud800"], "labels": {"\ud800": 1}},
    ]
    server.next("stream", streams({"status": "COMPLETED", "logs": odd}))
    completes(server)
    logs = (await client.subscribe("me/app")).logs
    assert [log.message for log in logs] == ["plain", "", "", "a text", "7", "m", "half ?"]
    assert (logs[0].model_extra, logs[0].level, logs[0].source) == ({"labels": {"gpu": 1}}, "INFO", "USER")
    assert getattr(logs[0], "labels") == {"gpu": 1}  # noqa: B009 (a type checker does not know it)
    assert (logs[1].level, logs[2].model_extra, logs[5].timestamp) == ("3", {"text": "no message"}, "1.5")


async def test_without_logs_none_are_asked_for(server: QueueServer, client: rxfal.Client):
    watched = Watched(client.subscribe("me/app", logs=False))
    job = await server.received("stream")
    job.set("IN_PROGRESS", log="a")
    await watched.until(2)
    job.complete()
    assert (await watched.task).logs == ()
    assert all_logs(watched.updates) == []
    assert [dict(each.query)["logs"] for each in server.requests if "status" in each.path] == ["0"]


async def test_updates_are_frozen_and_survive_pickling(server: QueueServer, client: rxfal.Client):
    server.next("stream", streams({"status": "IN_PROGRESS", "logs": [entry("a")]}, {"status": "COMPLETED"}))
    completes(server)
    for update in await client.subscribe("me/app").to_list():
        assert pickle.loads(pickle.dumps(update)) == update
        with pytest.raises(AttributeError):
            update.request_id = "other"


# Results


async def test_output_validates_the_result(server: QueueServer, client: rxfal.Client):
    class Answer(BaseModel):
        n: int

    completes(server, {"n": 1})
    assert (await client.subscribe("me/app", output=Answer)).output == Answer(n=1)
    completes(server, {"n": "x"})
    error = await Watched(client.subscribe("me/app", output=Answer)).failure()
    assert isinstance(error, rxfal.DecodeError)
    assert error.data == b'{"n": "x"}'
    assert (error.request_id, error.retryable, error.endpoint) == ("r-2", False, "me/app")
    assert server.count("cancel") == 0


async def test_a_result_that_is_not_json_is_bytes(server: QueueServer, client: rxfal.Client):
    completes(server, b"RIFF....")
    assert (await client.subscribe("me/app")).output == b"RIFF...."


async def test_a_failed_request_ends_with_the_models_error_and_its_logs(server: QueueServer, client: rxfal.Client):
    watched = Watched(client.subscribe("me/app"))
    job = await server.received("stream")
    job.set("IN_PROGRESS", log="one")
    await watched.until(2)
    job.logs.append(entry("last words", "ERROR"))
    detail = [{"loc": ["body", "prompt"], "msg": "too long", "type": "value_error"}]
    job.complete({"detail": detail}, 422, error="Invalid status code: 422", error_type="bad_request")
    error = await watched.failure()
    assert isinstance(error, rxfal.ValidationError)
    assert (error.status, error.body, error.request_id) == (422, {"detail": detail}, "r-1")
    assert [log.message for log in error.logs] == ["one", "last words"]
    assert (error.retryable, error.outcome_unknown) == (False, False)
    assert all_logs(watched.updates) == ["one", "last words"]
    assert not any(isinstance(update, Completed) for update in watched.updates)
    assert server.count("cancel") == 0


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_failure_of_the_model_is_asked_for_once_and_not_retryable(
    server: QueueServer, client: rxfal.Client, status: int
):
    completes(server, {"detail": "runner_disconnected"}, status, headers={"Retry-After": "0"})
    watched = Watched(client.subscribe("me/app").pipe(ops.retry_backoff(attempts=3)))
    error = await watched.failure()
    assert (error.status, error.request_id, error.retryable) == (status, "r-1", False)
    assert (server.count("submit"), server.count("result")) == (1, 1)


async def test_a_result_that_fal_forgot_says_so(server: QueueServer, client: rxfal.Client):
    server.next("result", says(404, {"detail": "Request not found"}, X_Fal_Request_Id="another"))
    completes(server)
    error = await Watched(client.subscribe("me/app")).failure()
    assert (error.status, error.request_id) == (404, "r-1")
    assert "fal keeps results only for a while" in str(error)
    assert "r-1" in str(error)


# Never paid for twice


@pytest.mark.parametrize(
    ("behaviour"),
    [
        says(429, {}),
        says(503, {}, Retry_After="0"),
        says(503, {}, X_Fal_Needs_Retry="1"),
        nginx(502),
        nginx(503),
    ],
    ids=["429", "503 with Retry-After", "503 with a hint", "nginx 502", "nginx 503"],
)
async def test_what_was_not_taken_is_submitted_again(
    server: QueueServer, client: rxfal.Client, no_waiting: None, behaviour: Any
):
    server.next("submit", behaviour, behaviour)
    completes(server)
    assert (await client.subscribe("me/app")).request_id == "r-1"
    assert (server.count("submit"), len(server.jobs)) == (3, 1)


@pytest.mark.parametrize(
    "behaviour",
    [
        take_and_drop,
        half("end"),
        half("drop"),
        says(200, {"request_id": "r-1"}, Content_Encoding="gzip"),
        nginx(504),
        says(502, "<html>another gateway</html>"),
        says(500, {"detail": "oops"}),
        says(503, {"detail": "no hint"}),
        says(502, {"detail": "with an id"}, X_Fal_Request_Id="r-9"),
        says(200, {"status": "IN_QUEUE"}),
        says(200, "<html>"),
        says(200, {"status": "IN_QUEUE", "request_id": "../r-1"}),
        says(200, [1]),
    ],
    ids=[
        "dropped",
        "cut short",
        "reset midway",
        "no gzip",
        "nginx 504",
        "502",
        "500",
        "503",
        "id",
        "no id",
        "html",
        "odd id",
        "list",
    ],
)
async def test_what_may_have_been_taken_is_not_submitted_again(
    server: QueueServer, client: rxfal.Client, no_waiting: None, behaviour: Any
):
    server.always("submit", behaviour)
    error = await Watched(client.subscribe("me/app").pipe(ops.retry_backoff(attempts=3))).failure()
    assert (error.outcome_unknown, error.retryable, error.endpoint) == (True, False, "me/app")
    assert "nobody knows" in str(error) or "took the request" in str(error)
    assert server.count("submit") == 1
    assert server.count("cancel") == 0


async def test_an_answer_to_a_submit_that_is_too_large_is_unknown(server: QueueServer, no_waiting: None):
    server.always("submit", says(200, {"request_id": "r-1", "more": "x" * 2000}))
    async with server.client(max_body_size=1000) as client:
        error = await Watched(client.subscribe("me/app").pipe(ops.retry_backoff(attempts=3))).failure()
    assert (type(error), error.outcome_unknown, server.count("submit")) == (rxfal.BodyTooLargeError, True, 1)
    assert "nobody knows" in str(error)


async def test_a_refusal_is_known(server: QueueServer, client: rxfal.Client):
    for status in (400, 401, 403, 404, 409, 422):
        server.next("submit", says(status, {"detail": "no"}))
        error = await Watched(client.subscribe("me/app")).failure()
        assert (error.status, error.outcome_unknown, error.retryable) == (status, False, False)
        assert error.request_id is None
    assert server.count("submit") == 6


async def test_with_a_limit_on_the_queue_a_429_is_the_answer(
    server: QueueServer, client: rxfal.Client, no_waiting: None
):
    server.always("submit", says(429, {"detail": "queue is full"}))
    error = await Watched(client.subscribe("me/app", max_queue_length=3)).failure()
    assert (error.status, error.outcome_unknown) == (429, False)
    assert server.count("submit") == 1
    assert server.requests[0].query["fal_max_queue_length"] == "3"


async def test_without_a_connection_nothing_was_taken(no_waiting: None):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    async with rxfal.Client("key", config=rxfal.Config(queue_url=url, max_attempts=2)) as client:
        error = await Watched(client.subscribe("me/app")).failure()
    assert (error.outcome_unknown, error.retryable, error.kind) == (False, True, "refused")


async def test_an_upload_that_fails_submits_nothing(server: QueueServer, no_waiting: None, tmp_path: Path):
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"\x89PNG....")
    async with FalServer() as storage, server.client(rest_url=f"{storage.url}/rest", max_attempts=1) as client:
        storage.script("rest/storage/upload/initiate", [*_status(500)], times=1)
        storage.script("rest/storage/upload/initiate", [*_status(403)])
        error = await Watched(client.subscribe("me/app", {"image": picture})).failure()
        assert error.outcome_unknown is False
    assert server.calls == []


def _status(status: int) -> list[Any]:
    from rxfal.testing import Status

    return [Status(status, json={"detail": "no"})]


# What is sent


async def test_options_go_where_fal_reads_them(server: QueueServer, client: rxfal.Client):
    completes(server)
    await client.subscribe(
        "me/app/fast",
        {"n": 1},
        path="v2",
        query={"debug": True},
        headers={"X-Fal-Store-IO": "0"},
        priority="low",
        hint="runner-1",
        start_timeout=30,
        lifecycle={"expires_in": "1d"},
        tags={"Team": "red"},
        webhook_url="https://example.com/fal?token=a b".replace(" ", "%20"),
        max_queue_length=5,
    )
    job = server.job
    assert job.path == "me/app/fast/v2"
    assert job.query == {
        "debug": "true",
        "fal_webhook": "https://example.com/fal?token=a%20b",
        "fal_max_queue_length": "5",
    }
    assert job.headers["X-Fal-Store-IO"] == "0"
    assert job.headers["X-Fal-Queue-Priority"] == "low"
    assert job.headers["X-Fal-Runner-Hint"] == "runner-1"
    assert job.headers["X-Fal-Request-Timeout"] == "30"
    assert job.headers["X-Fal-Object-Lifecycle-Preference"] == '{"expiration_duration_seconds":86400}'
    assert job.headers["X-Fal-Tags"] == "team=red"


async def test_the_patience_of_the_client_is_not_the_servers(server: QueueServer, client: rxfal.Client):
    completes(server)
    await client.subscribe("me/app", timeout=30)
    assert "X-Fal-Request-Timeout" not in server.job.headers
    assert server.job.headers["X-Fal-Queue-Priority"] == "normal"


async def test_the_urls_that_submit_returned_are_used_as_they_are(server: QueueServer, client: rxfal.Client):
    base = f"{server.url}/other/requests/r-1"
    urls = {
        "status_url": f"{base}/status?sig=a%2Fb%20c",
        "response_url": f"{base}?sig=a%2Fb",
        "cancel_url": f"{base}/cancel?sig=1",
    }

    async def act(server: QueueServer, request: Any, job: Job | None) -> Any:
        server.take(request).complete()
        return await says(200, {"status": "IN_QUEUE", "request_id": "r-1", **urls})(server, request, job)

    server.next("submit", act)
    handles: list[RequestHandle] = []
    await client.subscribe("me/app", on_enqueue=handles.append)
    assert handles[0].model_dump() == {"app": "me/app", "request_id": "r-1", **urls}
    asked = [each.raw_path for each in server.requests[1:]]
    assert asked == ["/other/requests/r-1/status/stream?sig=a%2Fb%20c&logs=1", "/other/requests/r-1?sig=a%2Fb"]


async def test_without_urls_they_are_built_for_the_app(server: QueueServer, client: rxfal.Client):
    server.gives_urls = False
    completes(server)
    await client.subscribe("workflows/me/app/deep/path")
    assert [each.path for each in server.requests[1:]] == [
        "/workflows/me/app/requests/r-1/status/stream",
        "/workflows/me/app/requests/r-1",
    ]


async def test_a_url_of_another_host_gets_no_key(server: QueueServer, client: rxfal.Client):
    seen: list[str | None] = []
    async with FalServer(require_key=False) as other:

        @other.raw("status/stream")
        async def stream(request: Any) -> AsyncIterator[Any]:
            from rxfal.testing import Bytes

            seen.append(request.headers.get("Authorization"))
            yield Bytes(b'data: {"status": "COMPLETED"}\n\n')

        async def act(server: QueueServer, request: Any, job: Job | None) -> Any:
            server.take(request).complete()
            body = {"status": "IN_QUEUE", "request_id": "r-1", "status_url": f"{other.url}/status"}
            return await says(200, body)(server, request, job)

        server.next("submit", act)
        assert (await client.subscribe("me/app")).output == {"ok": True}
    assert seen == [None]


async def test_files_in_the_input_are_uploaded_first(server: QueueServer, tmp_path: Path):
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n....")
    completes(server)
    async with (
        FalServer(key="id:secret-of-the-key") as storage,
        server.client(rest_url=f"{storage.url}/rest") as client,
    ):
        await client.subscribe("me/app", {"image_url": picture})
    assert server.job.input["image_url"].endswith("cat.png")


async def test_a_url_of_the_run_server_means_its_queue(server: QueueServer):
    completes(server)
    async with server.client(run_url="http://127.0.0.1:1/prefix") as client:
        assert (await client.subscribe("http://127.0.0.1:1/prefix/me/app")).request_id == "r-1"
        handle = await client.queue.submit("http://127.0.0.1:1/prefix/me/app/x")
    assert handle.app == "me/app/x"


# on_enqueue


async def test_on_enqueue_is_called_once_before_the_first_update(server: QueueServer, client: rxfal.Client):
    completes(server)
    seen: list[Any] = []
    await client.subscribe("me/app", on_enqueue=seen.append).do_action(seen.append)
    assert [type(each) for each in seen] == [RequestHandle, Queued, Completed]
    assert seen[0].request_id == "r-1"
    assert seen[0].status_url == f"{server.url}/me/app/requests/r-1/status"


async def test_what_on_enqueue_raises_is_reported_and_cancels(
    server: QueueServer, client: rxfal.Client, caplog: pytest.LogCaptureFixture
):
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    bug = RuntimeError("a bug")

    def on_enqueue(handle: RequestHandle) -> None:
        raise bug

    seen: list[Any] = []
    client.subscribe("me/app", on_enqueue=on_enqueue).subscribe(seen.append, seen.append, lambda: seen.append("end"))
    await server.received("cancel")
    assert seen == []
    assert [context["exception"] for context in reported] == [bug]
    assert "on_enqueue raised" in reported[0]["message"]
    assert "me/app" in reported[0]["message"]
    await asyncio.sleep(0)
    assert (server.job.cancels, server.count("stream")) == (1, 0)


async def test_who_waits_is_told_what_on_enqueue_raised(server: QueueServer, client: rxfal.Client):
    def on_enqueue(handle: RequestHandle) -> None:
        raise RuntimeError("a bug")

    error = await Watched(client.subscribe("me/app", on_enqueue=on_enqueue)).failure()
    assert isinstance(error, rxfal.CallbackError)
    assert isinstance(error.__cause__, RuntimeError)
    assert error.request_id == "r-1"
    await server.received("cancel")
    assert server.job.cancels == 1


# What is refused at the call


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"app": "flux"}, "Must be in the format"),
        ({"app": "https://evilfal.run/x/y"}, "not trusted"),
        ({"path": "../other"}, "'..' in it"),
        ({"input": {"a": object()}}, "input.a is object"),
        ({"query": [1]}, "query is a mapping"),
        ({"headers": {"Host": "x"}}, "can't be given"),
        ({"priority": "high"}, "priority is 'normal' or 'low'"),
        ({"priority": None}, "priority is 'normal' or 'low'"),
        ({"hint": "a\nb"}, "printable"),
        ({"start_timeout": 0}, "above 0.1"),
        ({"lifecycle": "2h"}, "lifecycle is one of"),
        ({"tags": {"a": ","}}, "without a comma"),
        ({"webhook_url": "example.com/fal"}, "an address of yours"),
        ({"webhook_url": "ftp://example.com/fal"}, "an address of yours"),
        ({"webhook_url": "https://exa mple.com/fal"}, "an address of yours"),
        ({"webhook_url": "https://"}, "an address of yours"),
        ({"webhook_url": 1}, "webhook_url is a text"),
        ({"max_queue_length": 0}, "1 or more"),
        ({"max_queue_length": -1}, "1 or more"),
        ({"max_queue_length": 1.5}, "whole number"),
        ({"max_queue_length": True}, "whole number"),
        ({"output": "Answer"}, "output is a pydantic model"),
        ({"timeout": 0}, "above 0"),
        ({"timeout": "1"}, "in seconds"),
        ({"follow": "push"}, "follow is 'stream' or 'poll'"),
        ({"poll_interval": 0}, "above 0"),
        ({"poll_interval": -1}, "above 0"),
        ({"poll_interval": None}, "above 0"),
        ({"poll_interval": float("inf")}, "above 0"),
        ({"on_enqueue": 1}, "on_enqueue is a function"),
        ({"method": "GET"}, "unexpected option 'method'"),
        ({"with_logs": True}, "unexpected option 'with_logs' .it is `logs` here.: there"),
        ({"on_queue_update": print}, "unexpected option 'on_queue_update' .each update is an item of the stream"),
    ],
)
def test_what_makes_no_sense_is_an_exception_at_the_call(wrong: dict[str, Any], words: str):
    with rxfal.Client("key") as client, pytest.raises((ValueError, TypeError), match=words):
        client.subscribe(**{"app": "me/app", **wrong})


def test_an_async_on_enqueue_is_refused():
    async def on_enqueue(handle: RequestHandle) -> None: ...

    with rxfal.Client("key") as client, pytest.raises(TypeError, match="on_enqueue is an async function"):
        client.subscribe("me/app", on_enqueue=on_enqueue)


def test_the_signature_shows_every_option():
    names = "app input output path query headers auto_upload priority hint start_timeout lifecycle tags webhook_url "
    names += "max_queue_length timeout follow poll_interval logs cancel_on_dispose on_enqueue"
    parameters = inspect.signature(rxfal.subscribe).parameters
    assert {*parameters} == {*names.split()}
    defaults = {name: parameters[name].default for name in ("timeout", "follow", "poll_interval", "cancel_on_dispose")}
    assert defaults == {"timeout": None, "follow": "stream", "poll_interval": 0.5, "cancel_on_dispose": True}


# Patience


async def test_timeout_is_for_the_whole_and_cancels_first(server: QueueServer, client: rxfal.Client):
    watched = Watched(client.subscribe("me/app", timeout=0.1))
    error = await watched.failure()
    assert isinstance(error, TimeoutError)
    assert (error.status, error.request_id, error.retryable, error.outcome_unknown) == (408, "r-1", False, False)
    assert "not complete within 0.1 seconds" in str(error)
    assert server.job.cancels == 1, "the error came after the answer"


async def test_a_submit_without_an_answer_within_the_timeout_is_unknown(
    server: QueueServer, client: rxfal.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr("rxfal.verbs.work.PATIENCE", 0.05)
    server.next("submit", hang)
    error = await Watched(client.subscribe("me/app", timeout=0.05)).failure()
    assert (error.request_id, error.retryable, error.outcome_unknown) == (None, False, True)
    assert "not submitted within" in str(error)


async def test_a_submit_that_is_dropped_after_the_timeout_is_unknown_too(server: QueueServer, client: rxfal.Client):
    gate = asyncio.Event()
    server.next("submit", take_then(gate, drop))
    asyncio.get_running_loop().call_later(0.1, gate.set)
    error = await Watched(client.subscribe("me/app", timeout=0.05)).failure()
    assert isinstance(error, rxfal.StreamTimeoutError)
    assert (error.request_id, error.retryable, error.outcome_unknown) == (None, False, True)


async def test_a_dropped_status_does_not_end_it(server: QueueServer, client: rxfal.Client):
    server.next("stream", drop)
    watched = Watched(client.subscribe("me/app", poll_interval=0.01))
    (await server.received("stream", 2)).complete()
    assert (await watched.task).output == {"ok": True}
