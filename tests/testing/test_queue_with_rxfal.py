"""rxfal's own verbs through the embedded server's queue: what a user's test would do."""

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import pytest

import rxfal
from rxfal.testing import Answer, ApiFailure, Disconnect, FalServer, Job, Pause, Status

Follow = Literal["stream", "poll"]


@pytest.fixture
async def client(server: FalServer) -> AsyncIterator[rxfal.Client]:
    async with server.client() as client:
        yield client


@pytest.fixture
def pause(server: FalServer) -> Pause:
    pause = Pause()

    @server.app("owner/app", concurrency=1)
    async def app(input, job: Job):
        job.log("one")
        await pause.hold()
        job.log("two", level="WARN")
        job.billable_units = 2.5
        return {"n": input["n"]}

    return pause


@pytest.mark.parametrize("follow", ["stream", "poll"])
async def test_a_request_from_its_submit_to_its_result(
    server: FalServer, client: rxfal.Client, pause: Pause, follow: Follow
):
    server.pause_queue()
    seen: list[object] = []
    steps = client.subscribe("owner/app", {"n": 1}, follow=follow, poll_interval=0.01, tags={"team": "red"})
    done = asyncio.ensure_future(steps.do_action(seen.append).wait())
    await server.submitted()
    (request,) = server.queue
    server.resume_queue()
    await pause.reached()
    pause.release()
    last = await done
    assert isinstance(last, rxfal.Completed)
    assert (last.output, last.billable_units, last.error) == ({"n": 1}, 2.5, None)
    assert [(log.message, log.level) for log in last.logs] == [("one", "INFO"), ("two", "WARN")]
    assert last.metrics["inference_time"] > 0
    assert seen[0] == rxfal.Queued(request.request_id, 0)
    assert request.tags == {"team": "red"}


@pytest.mark.parametrize("follow", ["stream", "poll"])
async def test_a_failure_is_the_models_own_with_its_logs(server: FalServer, client: rxfal.Client, follow: Follow):
    @server.app("owner/app")
    async def app(input, job: Job):
        job.log("oh no")
        raise ApiFailure(422, {"detail": [{"loc": ["body", "n"], "msg": "Field required", "type": "missing"}]})

    with pytest.raises(rxfal.ValidationError) as caught:
        await client.subscribe("owner/app", {}, follow=follow, poll_interval=0.01)
    assert caught.value.request_id == server.queue[0].request_id
    assert [log.message for log in caught.value.logs] == ["oh no"]
    assert caught.value.field_errors[0]["loc"] == ["body", "n"]


@pytest.mark.parametrize("state", ["IN_QUEUE", "IN_PROGRESS"])
async def test_dispose_cancels(server: FalServer, client: rxfal.Client, pause: Pause, state: str):
    if state == "IN_QUEUE":
        server.pause_queue()
    subscription = client.subscribe("owner/app", {"n": 1}).subscribe()
    await server.submitted()
    (request,) = server.queue
    if state == "IN_PROGRESS":
        await pause.reached()
    subscription.dispose()
    await request.reached("COMPLETED")
    assert request.cancelled


async def test_dispose_while_the_submit_is_under_way_cancels(server: FalServer, client: rxfal.Client, pause: Pause):
    answered = Pause()
    server.script("queue/owner/app", [Answer(), answered], times=1)
    subscription = client.subscribe("owner/app", {"n": 1}).subscribe()
    await answered.reached()
    subscription.dispose()
    (request,) = server.queue
    assert not request.cancelled
    answered.release()
    await request.reached("COMPLETED")
    assert request.cancelled


async def test_a_lost_answer_is_not_sent_again(server: FalServer, client: rxfal.Client, pause: Pause):
    server.script("queue/owner/app", [Answer(), Disconnect("reset")])
    with pytest.raises(rxfal.TransportError) as caught:
        await client.subscribe("owner/app", {"n": 1})
    assert (caught.value.outcome_unknown, caught.value.retryable) == (True, False)
    assert len(server.queue) == 1
    pause.release()


async def test_faults_of_the_following_are_survived(server: FalServer, client: rxfal.Client, pause: Pause):
    base = "queue/owner/app/requests/*"
    server.script(f"{base}/status/stream", [Disconnect("reset")], times=1)
    server.script(f"{base}/status/stream", [Answer(), Disconnect("cut")], times=1)
    server.script(f"{base}/status/stream", [Status(404)])
    server.script(f"{base}/status", [Status(503)], times=1)
    server.script(base, [Status(502, json={"detail": "no"})], times=1)
    pause.release()
    done = await client.subscribe("owner/app", {"n": 1}, poll_interval=0.01)
    assert done.output == {"n": 1}
    assert len(server.queue) == 1


async def test_a_full_queue_and_a_start_that_is_too_late(server: FalServer, client: rxfal.Client, pause: Pause):
    server.pause_queue()
    for n in range(2):
        await client.queue.submit("owner/app", {"n": n})
    with pytest.raises(rxfal.ApiError) as caught:
        await client.subscribe("owner/app", {"n": 2}, max_queue_length=1)
    assert caught.value.status == 429
    with pytest.raises(rxfal.ApiError) as caught:
        await client.subscribe("owner/app", {"n": 3}, start_timeout=1.01)
    assert (caught.value.status, caught.value.error_type, caught.value.retryable) == (504, "request_timeout", False)


async def test_what_the_queue_verbs_say_of_each_state(server: FalServer, client: rxfal.Client, pause: Pause):
    handles = [await client.queue.submit("owner/app", {"n": n}) for n in range(3)]
    first, second, third = handles
    await pause.reached()
    assert await client.queue.status(third) == rxfal.Queued(third.request_id, 1)
    working = await client.queue.status(first, logs=True)
    assert isinstance(working, rxfal.InProgress)
    assert [log.message for log in working.logs] == ["one"]
    with pytest.raises(rxfal.ApiError) as caught:
        await client.queue.result(first)
    assert caught.value.status == 400
    assert await client.queue.cancel(second) == rxfal.Cancellation.OK
    assert await client.queue.cancel(second) == rxfal.Cancellation.ALREADY_COMPLETED
    assert await client.queue.cancel(first) == rxfal.Cancellation.CANCELLATION_REQUESTED
    pause.release()
    assert (await client.queue.updates(third)).output == {"n": 2}
    assert await client.queue.result(third) == {"n": 2}
    with pytest.raises(rxfal.ApiError) as caught:
        await client.queue.result(first)
    assert (caught.value.status, caught.value.error_type) == (499, "client_cancelled")
    server.forget(third.request_id)
    assert await client.queue.cancel(third) == rxfal.Cancellation.NOT_FOUND
    with pytest.raises(rxfal.ApiError) as caught:
        await client.queue.result(third)
    assert caught.value.status == 404


async def test_many_at_once(server: FalServer, client: rxfal.Client):
    @server.app("owner/many")
    async def many(input, job: Job):
        job.log(str(input["n"]))
        return input["n"]

    done = await asyncio.gather(*(client.subscribe("owner/many", {"n": n}).wait() for n in range(200)))
    assert [one.output for one in done] == list(range(200))
    assert [[log.message for log in one.logs] for one in done] == [[str(n)] for n in range(200)]
    assert len(server.queue) == 200
