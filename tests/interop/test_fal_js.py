"""@fal-ai/client, fal's own client for JavaScript, against the embedded server."""

import asyncio

import pytest

from rxfal.testing import ApiFailure, FalServer, Job, Pause
from tests.interop.clients import Run

WRONG = {"detail": [{"loc": ["body", "prompt"], "msg": "Field required", "type": "missing"}]}


@pytest.fixture
def echo(server: FalServer) -> None:
    @server.app("owner/app")
    async def app(input, job: Job):
        job.log("begun")
        job.log("careful", level="WARN")
        return {"said": input.get("say")}

    @server.app("owner/refuses")
    async def refuses(input):
        raise ApiFailure(422, WRONG)

    @server.app("owner/breaks")
    async def breaks(input):
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
async def test_run(js: Run, server: FalServer):
    (result, by_query) = await js("""
        report(await fal.run("owner/app", {input: {say: "hi"}}));
        report(await fal.run("owner/app", {input: {say: "hi"}, method: "get"}));
    """)
    first, second = server.requests
    assert result == {"data": {"said": "hi"}, "requestId": first.request_id}
    assert by_query == {"data": {"said": "hi"}, "requestId": second.request_id}
    assert (second.method, second.query) == ("GET", {"say": "hi"})


@pytest.mark.usefixtures("echo")
async def test_failures(js: Run, server: FalServer):
    refused, broken, refused_in_queue, broken_in_queue, broken_stream = await js("""
        report(await failure(fal.run("owner/refuses", {input: {}})));
        report(await failure(fal.run("owner/breaks", {input: {}})));
        report(await failure(fal.subscribe("owner/refuses", {input: {}})));
        report(await failure(fal.subscribe("owner/breaks", {input: {}, mode: "streaming"})));
        const stream = await fal.stream("owner/breaks", {input: {}});
        report(await failure(stream.done()));
    """)
    for error in (refused, refused_in_queue):
        assert (error["name"], error["status"], error["fieldErrors"]) == ("ValidationError", 422, WRONG["detail"])
    for error in (broken, broken_in_queue, broken_stream):
        assert (error["name"], error["status"], error["body"]["detail"]) == ("ApiError", 500, "broken")
    assert [error["requestId"] for error in (refused_in_queue, broken_in_queue)] == [
        request.request_id for request in server.queue
    ]


@pytest.mark.parametrize("mode", ["server", "client"])
async def test_stream(js: Run, server: FalServer, mode: str):
    @server.app("owner/counter")
    async def counter(input):
        for n in range(input["up_to"]):
            yield {"n": n}

    *events, last, request_id = await js(f"""
        const options = {{input: {{up_to: 3}}, connectionMode: "{mode}"}};
        options.tokenProvider = async () => {{
            const answer = await fetch(process.env.FAL_SERVER + "/rest/tokens/", {{
                method: "POST",
                headers: {{authorization: `Key ${{process.env.FAL_KEY}}`}},
                body: JSON.stringify({{allowed_apps: ["counter"], token_expiration: 120}}),
            }});
            return await answer.json();
        }};
        const stream = await fal.stream("owner/counter", options);
        for await (const event of stream) report(event);
        report(await stream.done());
        report(stream.requestId);
    """)
    assert events == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert last == {"n": 2}
    assert request_id == server.requests[-1].request_id


@pytest.mark.usefixtures("echo")
@pytest.mark.parametrize("mode", ["polling", "streaming"])
async def test_subscribe(js: Run, server: FalServer, mode: str):
    *updates, result = await js(f"""
        report(await fal.subscribe("owner/app", {{
            input: {{say: "hi"}}, mode: "{mode}", logs: true, pollInterval: 10, priority: "low", hint: "near",
            headers: {{"x-fal-tags": "team=red"}}, webhookUrl: "https://example.com/hook",
            onEnqueue: (id) => report({{id}}), onQueueUpdate: (update) => report(update),
        }}));
    """)
    (request,) = server.queue
    assert result == {"data": {"said": "hi"}, "requestId": request.request_id}
    assert updates[0] == {"id": request.request_id}
    assert updates[-1]["status"] == "COMPLETED"
    assert [(log["message"], log["level"]) for log in updates[-1]["logs"]] == [("begun", "INFO"), ("careful", "WARN")]
    assert (request.priority, request.tags, request.headers["X-Fal-Runner-Hint"]) == ("low", {"team": "red"}, "near")
    assert request.webhook_url == "https://example.com/hook"


@pytest.mark.parametrize("mode", ["polling", "streaming"])
async def test_progress_arrives_while_the_work_goes_on(js: Run, server: FalServer, held: Pause, mode: str):
    server.pause_queue()
    running = asyncio.create_task(
        js(f"""
        report((await fal.subscribe("owner/held", {{
            input: {{}}, mode: "{mode}", logs: true, pollInterval: 10,
            onQueueUpdate: ({{status, logs}}) => report([status, (logs ?? []).map((log) => log.message)]),
        }})).data);
    """)
    )
    await server.submitted()
    await server.received(2)
    server.resume_queue()
    await held.reached(timeout=20)
    held.release()
    *updates, result = await running
    steps = [update for before, update in zip([None, *updates], updates, strict=False) if update != before]
    assert steps[0] == ["IN_QUEUE", []]
    assert steps[-1] == ["COMPLETED", ["begun", "done"]]
    assert [logs for _, logs in steps] == sorted(logs for _, logs in steps)
    assert result == "at last"


async def test_submit_status_result_and_cancel(js: Run, server: FalServer, held: Pause):
    queued, running, cancelled, waiting_result, too_late = await js("""
        const first = await fal.queue.submit("owner/held", {input: {}});
        const ids = [];
        for (let n = 0; n < 2; n++) ids.push((await fal.queue.submit("owner/held/", {input: {}})).request_id);
        report(await fal.queue.status("owner/held", {requestId: ids[1]}));
        report(await fal.queue.status("owner/held/any/path", {requestId: first.request_id, logs: true}));
        await fal.queue.cancel("owner/held", {requestId: ids[0]});
        report((await fal.queue.status("owner/held", {requestId: ids[0]})).error_type);
        report(await failure(fal.queue.result("owner/held", {requestId: ids[1]})));
        report(await failure(fal.queue.cancel("owner/held", {requestId: ids[0]})));
    """)
    assert (queued["status"], queued["queue_position"]) == ("IN_QUEUE", 1)
    assert (running["status"], [log["message"] for log in running["logs"]]) == ("IN_PROGRESS", ["begun"])
    assert cancelled == "client_cancelled"
    assert (waiting_result["status"], waiting_result["body"]["detail"]) == (400, "Request is still in progress")
    assert (too_late["status"], too_late["body"]["status"]) == (400, "ALREADY_COMPLETED")

    held.release()
    request = server.queue[2]
    await request.reached("COMPLETED")
    (result, gone) = await js(f"""
        report(await fal.queue.result("owner/held", {{requestId: "{request.request_id}"}}));
        report(await failure(fal.queue.status("owner/held", {{requestId: "nothing"}})));
    """)
    assert result == {"data": "at last", "requestId": request.request_id}
    assert (gone["status"], gone["body"]["status"]) == (404, "NOT_FOUND")


async def test_cancelling_work_in_progress(js: Run, server: FalServer, held: Pause):
    error, result = await js("""
        const {request_id: requestId} = await fal.queue.submit("owner/held", {input: {}});
        while ((await fal.queue.status("owner/held", {requestId})).status !== "IN_PROGRESS");
        await fal.queue.cancel("owner/held", {requestId});
        report((await fal.queue.subscribeToStatus("owner/held", {requestId, mode: "streaming"})).error_type);
        report((await failure(fal.queue.result("owner/held", {requestId}))).status);
    """)
    assert (error, result) == ("client_cancelled", 499)
    assert server.queue[0].cancelled


async def test_the_clients_own_timeout_cancels(js: Run, server: FalServer, held: Pause):
    (error,) = await js("""
        report(await failure(fal.subscribe("owner/held", {input: {}, timeout: 50, pollInterval: 10})));
    """)
    assert "timed out" in error["message"]
    (request,) = server.queue
    await request.reached("COMPLETED")
    assert request.cancelled


async def test_a_request_that_does_not_start_in_time(js: Run, server: FalServer, held: Pause):
    server.pause_queue()
    (error,) = await js("""
        report(await failure(fal.subscribe("owner/held", {input: {}, startTimeout: 1.01, pollInterval: 10})));
    """)
    assert (error["status"], error["timeoutType"], error["body"]["error_type"]) == (504, "user", "request_timeout")


async def test_upload(js: Run, server: FalServer):
    first, sent = await js("""
        const file = new File(["some words"], "words.txt", {type: "text/plain"});
        report(await fal.storage.upload(file, {lifecycle: {expiresIn: "1h"}}));
        report(await fal.storage.transformInput({deep: [{file}]}));
    """)
    for url in (first, sent["deep"][0]["file"]):
        file = server.files[url]
        assert (file.data, file.content_type, file.file_name) == (b"some words", "text/plain", "words.txt")


async def test_upload_in_parts(js: Run, server: FalServer):
    (url,) = await js("""
        const block = new Uint8Array(2 ** 20).map((_, n) => n % 251);
        report(await fal.storage.upload(new File(Array(91).fill(block), "large.bin", {type: "application/x-large"})));
    """)
    file = server.files[url]
    assert (file.size, file.content_type) == (91 * 2**20, "application/x-large")
    block = bytes(n % 251 for n in range(2**20))
    assert file.data == block * 91
