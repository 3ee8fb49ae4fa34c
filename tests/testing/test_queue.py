"""The queue: submit, states, positions, logs, results, failures, cancellation, and what a test can see and do."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import aiohttp
import pytest

from rxfal.testing import ApiFailure, Bytes, FalServer, Job, Status


async def submit(session: aiohttp.ClientSession, endpoint: str = "owner/app", input: Any = None, **options: Any) -> Any:
    async with session.post(f"/queue/{endpoint}", json=input or {}, **options) as response:
        assert response.status == 200, await response.text()
        answer = await response.json()
        assert response.headers["x-fal-request-id"] == answer["request_id"]
        return answer


async def ask(session: aiohttp.ClientSession, url: str, method: str = "GET") -> tuple[int, Any]:
    async with session.request(method, url) as response:
        return response.status, await response.json()


async def status_events(response: aiohttp.ClientResponse) -> AsyncIterator[Any]:
    async for line in response.content:
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))


@pytest.mark.every_loop
async def test_a_request_goes_through_the_queue(server: FalServer, session: aiohttp.ClientSession):
    begun, go_on = asyncio.Event(), asyncio.Event()

    @server.app("owner/app")
    async def app(input, job: Job):
        job.log("begun")
        begun.set()
        await go_on.wait()
        job.log("watch out", level="WARN")
        job.billable_units = 2.5
        return {"doubled": input["n"] * 2}

    server.pause_queue()
    answer = await submit(session, input={"n": 4})
    base = f"{server.url}/queue/owner/app/requests/{answer['request_id']}"
    assert answer == {
        "status": "IN_QUEUE",
        "request_id": answer["request_id"],
        "gateway_request_id": answer["request_id"],
        "response_url": base,
        "status_url": f"{base}/status",
        "cancel_url": f"{base}/cancel",
        "queue_position": 0,
    }
    links = {key: answer[key] for key in ("request_id", "response_url", "status_url", "cancel_url")}
    (request,) = server.queue
    assert await ask(session, f"{base}/status?logs=1") == (
        202,
        {"status": "IN_QUEUE", **links, "logs": [], "queue_position": 0},
    )
    assert await ask(session, base) == (400, {"detail": "Request is still in progress"})

    server.resume_queue()
    await request.reached("IN_PROGRESS")
    await begun.wait()
    status, body = await ask(session, f"{base}/status?logs=true")
    (log,) = body["logs"]
    assert (status, body) == (202, {"status": "IN_PROGRESS", **links, "logs": [log]})
    assert (log["message"], log["level"], set(log)) == ("begun", "INFO", {"message", "level", "source", "timestamp"})
    assert await ask(session, base) == (400, {"detail": "Request is still in progress"})

    go_on.set()
    await request.reached("COMPLETED")
    status, body = await ask(session, f"{base}/status?logs=1")
    assert (status, body["status"]) == (200, "COMPLETED")
    assert [(log["message"], log["level"]) for log in body["logs"]] == [("begun", "INFO"), ("watch out", "WARN")]
    assert body["metrics"]["inference_time"] >= 0
    assert "error" not in body
    async with session.get(base) as response:
        assert (response.status, await response.json()) == (200, {"doubled": 8})
        assert response.headers["X-Fal-Billable-Units"] == "2.5"
        assert response.headers["x-fal-request-id"] == answer["request_id"]


@pytest.mark.parametrize("logs", ["", "?logs=0", "?logs=false", "?logs=False"])
async def test_without_logs_their_key_is_null(server: FalServer, session: aiohttp.ClientSession, logs: str):
    @server.app("owner/app")
    async def app(input, job):
        job.log("here")

    answer = await submit(session)
    await server.queue[0].reached("COMPLETED")
    assert (await ask(session, answer["status_url"] + logs))[1]["logs"] is None


@pytest.mark.parametrize("endpoint", ["owner/app", "owner/app/some/path", "workflows/owner/app/path"])
async def test_full_and_short_paths_and_slashes_at_the_end_mean_the_same(
    server: FalServer, session: aiohttp.ClientSession, endpoint: str
):
    @server.app(endpoint)
    async def app(input):
        return "here"

    answer = await submit(session, f"{endpoint}/")
    app_only = endpoint.removesuffix("/path").removesuffix("/some")
    assert answer["response_url"] == f"{server.url}/queue/{app_only}/requests/{answer['request_id']}"
    await server.queue[0].reached("COMPLETED")
    for path in (app_only, endpoint):
        base = f"/queue/{path}/requests/{answer['request_id']}"
        for slash in ("", "/"):
            assert (await ask(session, f"{base}/status{slash}"))[0] == 200
            assert await ask(session, f"{base}{slash}") == (200, "here")
            assert await ask(session, f"{base}/response{slash}") == (200, "here")
            assert await ask(session, f"{base}/cancel{slash}", "PUT") == (400, {"status": "ALREADY_COMPLETED"})


async def test_what_is_unknown_is_404(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/app")
    async def app(input):
        return 1

    @server.app("owner/other")
    async def other(input):
        return 1

    assert (await ask(session, "/queue/owner/nowhere", "POST"))[0] == 404
    answer = await submit(session)
    for path in ("owner/app/requests/nothing", f"owner/other/requests/{answer['request_id']}"):
        for action, method in (("", "GET"), ("/status", "GET"), ("/status/stream", "GET"), ("/cancel", "PUT")):
            status, body = await ask(session, f"/queue/{path}{action}", method)
            assert (status, body["status"]) == (404, "NOT_FOUND")
    assert (await ask(session, f"/queue/owner/app/requests/{answer['request_id']}/nothing"))[0] == 404


async def test_an_unknown_path_of_an_app_fails_in_the_queue(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/app")
    async def app(input):
        return 1

    answer = await submit(session, "owner/app/nowhere")
    await server.queue[0].reached("COMPLETED")
    assert await ask(session, answer["response_url"]) == (404, {"detail": "Path /nowhere not found"})


async def test_other_methods_are_405(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/app")
    async def app(input):
        return 1

    answer = await submit(session)
    for url, method in (
        ("/queue/owner/app", "GET"),
        ("/queue/owner/app/requests", "GET"),
        (answer["status_url"], "PUT"),
        (answer["cancel_url"], "GET"),
        (answer["cancel_url"], "POST"),
        (answer["response_url"], "POST"),
    ):
        assert (await ask(session, url, method))[0] == 405
    assert len(server.queue) == 1


async def test_it_wants_the_key(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/app")
    async def app(input):
        return 1

    answer = await submit(session)
    async with aiohttp.ClientSession(server.url) as stranger:
        assert (await ask(stranger, "/queue/owner/app", "POST"))[0] == 401
        assert (await ask(stranger, answer["status_url"]))[0] == 401
        assert (await ask(stranger, answer["cancel_url"], "PUT"))[0] == 401
    assert len(server.queue) == 1


async def test_positions_are_those_of_the_waiting_requests(server: FalServer, session: aiohttp.ClientSession):
    turns = [asyncio.Event() for _ in range(3)]

    @server.app("owner/app", concurrency=1)
    async def app(input):
        await turns[input["n"]].wait()

    answers = [await submit(session, input={"n": n}) for n in range(3)]
    assert [answer["queue_position"] for answer in answers] == [0, 0, 1]
    first, second, third = server.queue
    assert [(request.state, request.position) for request in server.queue] == [
        ("IN_PROGRESS", 0),
        ("IN_QUEUE", 0),
        ("IN_QUEUE", 1),
    ]
    assert (await ask(session, answers[2]["status_url"]))[1]["queue_position"] == 1
    turns[0].set()
    await second.reached("IN_PROGRESS")
    assert (first.state, third.state, third.position) == ("COMPLETED", "IN_QUEUE", 0)
    turns[1].set()
    turns[2].set()
    await third.reached("COMPLETED")


async def test_the_same_function_at_two_endpoints_is_two_apps(server: FalServer, session: aiohttp.ClientSession):
    go_on = asyncio.Event()

    @server.app("owner/other", concurrency=1)
    @server.app("owner/app", concurrency=1)
    async def app(input):
        await go_on.wait()

    for endpoint in ("owner/app", "owner/other", "owner/app"):
        await submit(session, endpoint)
    assert [(request.state, request.position) for request in server.queue] == [
        ("IN_PROGRESS", 0),
        ("IN_PROGRESS", 0),
        ("IN_QUEUE", 0),
    ]
    go_on.set()


async def test_low_priority_waits_behind_all_others(server: FalServer, session: aiohttp.ClientSession):
    order: list[str] = []

    @server.app("owner/app", concurrency=1)
    async def app(input):
        order.append(input["name"])

    server.pause_queue()
    for name, priority in (("a", "low"), ("b", "normal"), ("c", "low"), ("d", None)):
        headers = {"X-Fal-Queue-Priority": priority} if priority else {}
        await submit(session, input={"name": name}, headers=headers)
    assert [(request.priority, request.position) for request in server.queue] == [
        ("low", 2),
        ("normal", 0),
        ("low", 3),
        ("normal", 1),
    ]
    server.resume_queue()
    for request in server.queue:
        await request.reached("COMPLETED")
    assert order == ["b", "d", "a", "c"]


@pytest.mark.every_loop
async def test_requests_stay_queued_for_the_delay():
    async with FalServer(require_key=False, queue_delay=0.05) as server, aiohttp.ClientSession(server.url) as session:

        @server.app("owner/app")
        async def app(input):
            return 1

        begun = asyncio.get_running_loop().time()
        await submit(session)
        (request,) = server.queue
        assert request.state == "IN_QUEUE"
        await request.reached("COMPLETED")
        assert asyncio.get_running_loop().time() - begun >= 0.05


async def test_a_full_queue_is_429_for_whoever_wants_to_know(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/app")
    async def app(input):
        return 1

    server.pause_queue()
    for _ in range(2):
        await submit(session, "owner/app?fal_max_queue_length=1")
    status, body = await ask(session, "/queue/owner/app?fal_max_queue_length=1", "POST")
    assert (status, len(server.queue)) == (429, 2)
    assert "more than 1" in body["detail"]
    assert (await ask(session, "/queue/owner/app?fal_max_queue_length=x", "POST"))[0] == 400
    await submit(session)


async def test_a_failure_is_the_models_own_status_and_body(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/app")
    async def app(input, job):
        job.log("oh no", level="ERROR")
        raise ApiFailure(503, {"detail": "gone", "error_type": "runner_disconnected"}, headers={"X-Mine": "yes"})

    answer = await submit(session)
    (request,) = server.queue
    await request.reached("COMPLETED")
    status, body = await ask(session, answer["status_url"] + "?logs=1")
    assert (status, body["status"], body["error"], body["error_type"]) == (
        200,
        "COMPLETED",
        "gone",
        "runner_disconnected",
    )
    assert body["logs"][0]["message"] == "oh no"
    async with session.get(answer["response_url"]) as response:
        assert (response.status, response.headers["X-Mine"]) == (503, "yes")
        assert response.headers["X-Fal-Error-Type"] == "runner_disconnected"
        assert await response.json() == {"detail": "gone", "error_type": "runner_disconnected"}
    assert (request.status, request.error, request.error_type) == (503, "gone", "runner_disconnected")


async def test_a_refused_input_is_422_and_free(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/app")
    async def app(input, job):
        job.billable_units = 1.0
        raise ApiFailure(422, {"detail": [{"loc": ["body", "prompt"], "msg": "Field required", "type": "missing"}]})

    answer = await submit(session)
    await server.queue[0].reached("COMPLETED")
    assert (await ask(session, answer["status_url"]))[1]["error"] == "Invalid status code: 422"
    async with session.get(answer["response_url"]) as response:
        assert (response.status, response.headers["X-Fal-Billable-Units"]) == (422, "0")
        assert (await response.json())["detail"][0]["loc"] == ["body", "prompt"]


async def test_what_an_app_can_not_have_meant_is_500(
    server: FalServer, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
):
    @server.app("owner/output")
    async def output(input):
        return object()

    @server.app("owner/error")
    async def error(input):
        raise ApiFailure(503, {"detail": object()})

    @server.app("owner/cancels")
    async def cancels(input):
        raise asyncio.CancelledError

    for n, (app, status) in enumerate((("output", 500), ("error", 500), ("cancels", 503))):
        answer = await submit(session, f"owner/{app}")
        await server.queue[n].reached("COMPLETED")
        assert (await ask(session, answer["response_url"]))[0] == status
    assert "owner/error" in caplog.text


async def test_an_app_that_changes_its_input_leaves_the_tests_view_of_it_alone(
    server: FalServer, session: aiohttp.ClientSession
):
    @server.app("owner/app")
    async def app(input):
        return input["deep"].pop("n")

    await submit(session, input={"deep": {"n": 1}})
    await server.queue[0].reached("COMPLETED")
    assert server.queue[0].input == {"deep": {"n": 1}}


async def test_a_queued_request_is_cancelled_at_once(server: FalServer, session: aiohttp.ClientSession):
    begun = False

    @server.app("owner/app")
    async def app(input):
        nonlocal begun
        begun = True

    server.pause_queue()
    answer = await submit(session)
    assert await ask(session, answer["cancel_url"], "PUT") == (200, {"status": "OK"})
    (request,) = server.queue
    assert (request.state, request.cancelled) == ("COMPLETED", True)
    assert await ask(session, answer["cancel_url"], "PUT") == (400, {"status": "ALREADY_COMPLETED"})
    status, body = await ask(session, answer["status_url"])
    assert (status, body["status"], body["error_type"]) == (200, "COMPLETED", "client_cancelled")
    status, body = await ask(session, answer["response_url"])
    assert (status, body["error_type"]) == (499, "client_cancelled")
    server.resume_queue()
    await submit(session)
    await server.queue[1].reached("COMPLETED")
    assert begun


@pytest.mark.every_loop
async def test_cancelling_reaches_the_app_once(server: FalServer, session: aiohttp.ClientSession):
    begun, told, let_go = asyncio.Event(), 0, asyncio.Event()

    @server.app("owner/app")
    async def app(input, job):
        nonlocal told
        try:
            begun.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told += 1
            job.log("cleaning up")
            await let_go.wait()
            raise

    answer = await submit(session)
    (request,) = server.queue
    await begun.wait()
    for _ in range(2):
        assert await ask(session, answer["cancel_url"], "PUT") == (202, {"status": "CANCELLATION_REQUESTED"})
    assert (request.state, request.cancelled, told) == ("IN_PROGRESS", True, 1)
    let_go.set()
    await request.reached("COMPLETED")
    status, body = await ask(session, answer["response_url"])
    assert (status, body["error_type"]) == (499, "client_cancelled")
    assert [log["message"] for log in request.logs] == ["cleaning up"]


async def test_an_app_may_finish_though_it_was_cancelled(server: FalServer, session: aiohttp.ClientSession):
    begun = asyncio.Event()

    @server.app("owner/app")
    async def app(input):
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "done all the same"

    answer = await submit(session)
    await begun.wait()
    await ask(session, answer["cancel_url"], "PUT")
    (request,) = server.queue
    await request.reached("COMPLETED")
    assert (request.cancelled, request.status, request.error) == (True, 200, None)
    assert await ask(session, answer["response_url"]) == (200, "done all the same")


async def test_a_generator_is_cancelled_too(server: FalServer, session: aiohttp.ClientSession):
    begun, ended = asyncio.Event(), asyncio.Event()

    @server.app("owner/app")
    async def app(input, job):
        try:
            yield job.request_id
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    answer = await submit(session)
    await begun.wait()
    await ask(session, answer["cancel_url"], "PUT")
    await server.queue[0].reached("COMPLETED")
    assert ended.is_set()


async def test_a_request_that_does_not_start_in_time_is_504(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/app")
    async def app(input):
        return 1

    server.pause_queue()
    answer = await submit(session, headers={"X-Fal-Request-Timeout": "0.02"})
    await server.queue[0].reached("COMPLETED")
    async with session.get(answer["response_url"]) as response:
        assert (response.status, response.headers["X-Fal-Request-Timeout-Type"]) == (504, "user")
        assert (await response.json())["error_type"] == "request_timeout"
    for wrong in ("soon", "nan", "-1"):
        async with session.post("/queue/owner/app", headers={"X-Fal-Request-Timeout": wrong}) as response:
            assert response.status == 400


async def test_a_test_can_see_what_was_submitted(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/app/path")
    async def app(input):
        return 1

    await submit(
        session,
        "owner/app/path?fal_webhook=https://example.com/hook",
        {"n": 1},
        headers={"X-Fal-Tags": "team=red,Run=7", "X-Fal-Runner-Hint": "near"},
    )
    await server.submitted(1)
    (request,) = server.queue
    assert (request.endpoint, request.input) == ("owner/app/path", {"n": 1})
    assert (request.tags, request.headers["x-fal-runner-hint"]) == ({"team": "red", "run": "7"}, "near")
    assert request.webhook_url == "https://example.com/hook"
    await request.reached("COMPLETED")
    assert request.status == 200
    assert repr(request) == f"<QueuedRequest owner/app/path {request.request_id} COMPLETED>"


async def test_what_is_forgotten_is_404(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/app")
    async def app(input):
        return 1

    answer = await submit(session)
    await server.queue[0].reached("COMPLETED")
    server.forget(answer["request_id"])
    for url in (answer["status_url"], answer["response_url"]):
        assert (await ask(session, url))[0] == 404
    assert server.queue == []
    with pytest.raises(ValueError, match="no request"):
        server.forget(answer["request_id"])


async def test_results_are_forgotten_after_a_while_large_ones_sooner(
    server: FalServer, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
):
    kept: list[tuple[float, Callable[[], object]]] = []
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def keep(delay: float, call: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        if delay > 100:
            kept.append((delay, partial(call, *args)))
        return call_later(delay, call, *args)

    monkeypatch.setattr(loop, "call_later", keep)

    @server.app("owner/app")
    async def app(input):
        return "x" * input["size"]

    for size, seconds in ((100, 3600.0), (10_000, 360.0)):
        answer = await submit(session, input={"size": size})
        (request,) = server.queue
        await request.reached("COMPLETED")
        delay, forget = kept.pop()
        assert delay == seconds
        forget()
        assert (await ask(session, answer["response_url"]))[0] == 404


async def test_a_binary_result_has_its_type(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/audio", content_type="audio/wav")
    async def audio(input):
        yield b"RIFF"
        yield b"...."

    answer = await submit(session, "owner/audio")
    await server.queue[0].reached("COMPLETED")
    async with session.get(answer["response_url"]) as response:
        assert (response.content_type, await response.read()) == ("audio/wav", b"RIFF....")


# The status stream


@pytest.mark.every_loop
async def test_the_status_stream_tells_each_change_and_each_log_once(server: FalServer, session: aiohttp.ClientSession):
    go_on = asyncio.Event()

    @server.app("owner/app")
    async def app(input, job):
        job.log("one")
        await go_on.wait()
        job.log("two")
        job.log("three")

    server.pause_queue()
    answer = await submit(session)
    async with session.get(f"{answer['status_url']}/stream?logs=1") as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        assert response.headers["x-fal-request-id"] == answer["request_id"]
        events = status_events(response)
        first = await anext(events)
        assert (first["status"], first["queue_position"], first["logs"]) == ("IN_QUEUE", 0, [])
        server.resume_queue()
        seen: list[tuple[str, str]] = []
        async for event in events:
            seen += [(event["status"], log["message"]) for log in event["logs"]]
            if seen == [("IN_PROGRESS", "one")]:
                go_on.set()
        assert [message for _, message in seen] == ["one", "two", "three"]
        assert event["status"] == "COMPLETED"
        assert event["metrics"]["inference_time"] >= 0
    async with session.get(f"{answer['status_url']}/stream") as response:
        (event,) = [event async for event in status_events(response)]
        assert (event["status"], event["logs"]) == ("COMPLETED", None)


async def test_a_silent_status_stream_is_kept_alive(
    server: FalServer, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("rxfal.testing.queue_routes._KEEP_ALIVE_SECONDS", 0.01)

    @server.app("owner/app")
    async def app(input):
        return 1

    server.pause_queue()
    answer = await submit(session)
    async with session.get(f"{answer['status_url']}/stream/") as response:
        lines = [await response.content.readline() for _ in range(4)]
        assert lines[2:] == [b": keep-alive\n", b"\n"]
        server.resume_queue()
        assert b"COMPLETED" in await response.read()


# The job


async def test_every_kind_of_call_has_a_job(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/one")
    async def one(input, job: Job):
        job.log("here")
        job.billable_units = 3
        return [job.request_id, job.headers["x-mine"]]

    @server.app("owner/many")
    async def many(input, job: Job):
        job.billable_units = 0.5
        yield [job.request_id, job.headers["x-mine"]]

    headers = {"X-Mine": "yes"}
    for path, units in (("/owner/one", "3"), ("/owner/one/stream", "3"), ("/owner/many", "0.5")):
        async with session.post(path, headers=headers) as response:
            assert await response.json() == [response.headers["x-fal-request-id"], "yes"]
            assert response.headers["X-Fal-Billable-Units"] == units
    async with session.post("/owner/many/stream", headers=headers) as response:
        assert response.headers["X-Fal-Billable-Units"] == "0.5"
        assert json.loads((await response.read())[6:]) == [response.headers["x-fal-request-id"], "yes"]
    answer = await submit(session, "owner/many", headers=headers)
    await server.queue[0].reached("COMPLETED")
    assert await ask(session, answer["response_url"]) == (200, [answer["request_id"], "yes"])


async def test_a_second_parameter_with_a_default_is_the_handlers_own(server: FalServer, session: aiohttp.ClientSession):
    for n in (1, 2):

        @server.app(f"owner/app{n}")
        async def app(input, n=n):
            return n

    @server.app("owner/job")
    async def with_job(input, job=None):
        return job is not None

    @server.app("owner/named")
    async def named(input, *, n=3):
        return n

    for path, value in (("app1", 1), ("app2", 2), ("job", True), ("named", 3)):
        assert await ask(session, f"/owner/{path}", "POST") == (200, value)


async def test_a_handler_may_log_from_another_thread(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/app")
    async def app(input, job: Job):
        await asyncio.to_thread(job.log, "from afar")
        await asyncio.Event().wait()

    answer = await submit(session)
    async with session.get(f"{answer['status_url']}/stream?logs=1") as response:
        async for event in status_events(response):
            if event["logs"]:
                break
    assert event["logs"][0]["message"] == "from afar"


def test_a_concurrency_of_none_at_all_is_refused():
    async def app(input):
        return 1

    with pytest.raises(ValueError, match="1 or more"):
        FalServer().app("owner/app", concurrency=0)(app)


# Scripts, and the end


async def test_each_queue_url_can_be_scripted(server: FalServer, session: aiohttp.ClientSession):
    @server.app("owner/app")
    async def app(input):
        return 1

    server.script("queue/owner/app", [Status(503, json={"detail": "submit"})], times=1)
    server.script("queue/owner/app/requests/*", [Status(500, json={"detail": "result"})], times=1)
    server.script("queue/owner/app/requests/*/status", [Status(500, json={"detail": "status"})], times=1)
    server.script("queue/owner/app/requests/*/status/stream", [Bytes(b"data: 7\n\n")], times=1)
    server.script("queue/owner/app/requests/*/cancel", [Status(500, json={"detail": "cancel"})], times=1)

    assert await ask(session, "/queue/owner/app", "POST") == (503, {"detail": "submit"})
    answer = await submit(session)
    await server.queue[0].reached("COMPLETED")
    async with session.get(f"{answer['status_url']}/stream") as response:
        assert await response.read() == b"data: 7\n\n"
    assert await ask(session, answer["status_url"]) == (500, {"detail": "status"})
    assert await ask(session, answer["response_url"]) == (500, {"detail": "result"})
    assert await ask(session, answer["cancel_url"], "PUT") == (500, {"detail": "cancel"})

    assert (await ask(session, answer["status_url"]))[0] == 200
    assert (await ask(session, answer["response_url"])) == (200, 1)


@pytest.mark.every_loop
async def test_the_servers_end_ends_what_is_queued_and_what_runs():
    ended = False
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        async with FalServer(require_key=False) as server:

            @server.app("owner/app", concurrency=1)
            async def app(input):
                nonlocal ended
                try:
                    await asyncio.Event().wait()
                finally:
                    ended = True

            for _ in range(2):
                await session.post(f"{server.url}/queue/owner/app")
            stream = await session.get(
                f"{server.url}/queue/owner/app/requests/{server.queue[1].request_id}/status/stream"
            )
            running, waiting = server.queue
            assert (running.state, waiting.state) == ("IN_PROGRESS", "IN_QUEUE")
        assert ended
        assert (running.state, running.status) == ("COMPLETED", 503)
        assert (waiting.state, waiting.status) == ("COMPLETED", 503)
        stream.close()
    assert {task for task in asyncio.all_tasks() if task is not asyncio.current_task()} == set()


async def test_the_servers_end_leaves_no_timer_on_the_loop(monkeypatch: pytest.MonkeyPatch):
    loop, timers = asyncio.get_running_loop(), list[asyncio.TimerHandle]()
    call_later = loop.call_later

    def keep(*args: Any, **options: Any) -> asyncio.TimerHandle:
        timers.append(call_later(*args, **options))
        return timers[-1]

    monkeypatch.setattr(loop, "call_later", keep)
    async with FalServer(require_key=False, queue_delay=60) as server, aiohttp.ClientSession(server.url) as session:

        @server.app("owner/app")
        async def app(input):
            return 1

        await submit(session, headers={"X-Fal-Request-Timeout": "50"})
        answer = await submit(session)
        await ask(session, answer["cancel_url"], "PUT")
        begun = [timer for timer in timers if timer.when() - loop.time() > 45 and "Queue" in repr(timer)]
        assert len(begun) >= 3
    assert all(timer.cancelled() for timer in begun)


async def test_an_entered_again_server_still_has_its_results(session: aiohttp.ClientSession):
    server = FalServer(require_key=False)

    @server.app("owner/app")
    async def app(input):
        return input

    for n in range(2):
        async with server, aiohttp.ClientSession(server.url) as session:
            await submit(session, input={"n": n})
            await server.queue[n].reached("COMPLETED")
            for request in server.queue:
                async with session.get(f"/queue/owner/app/requests/{request.request_id}") as response:
                    assert await response.json() == request.input
