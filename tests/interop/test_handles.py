"""A request that one client submitted and another follows: rxfal and fal's own, through the handle or the id."""

import json

import rxfal
from rxfal.testing import FalServer, Pause
from tests.interop.clients import Either, Run, value_of


def held(server: FalServer) -> Pause:
    pause = Pause()

    @server.app("owner/app/path")
    async def app(input, job):
        job.log("begun")
        await pause.hold()
        return input["n"]

    return pause


async def test_what_fal_client_submitted_rxfal_follows(fal: Either, server: FalServer):
    pause = held(server)
    submitted = await fal.call("submit", "owner/app/path", {"n": 1})
    handle = rxfal.RequestHandle(
        app="owner/app/path",
        request_id=submitted.request_id,
        status_url=submitted.status_url,
        response_url=submitted.response_url,
        cancel_url=submitted.cancel_url,
    )
    async with server.client() as client:
        for known in (handle, rxfal.RequestHandle.of("owner/app/path", submitted.request_id)):
            status = await client.queue.status(known)
            assert status.request_id == submitted.request_id
        pause.release()
        done = await client.queue.updates(handle)
        assert (done.output, [log.message for log in done.logs]) == (1, ["begun"])


async def test_what_rxfal_submitted_fal_client_follows(fal: Either, server: FalServer):
    pause = held(server)
    async with server.client() as client:
        handle = await client.queue.submit("owner/app/path", {"n": 2})
    pause.release()
    followed = await fal.call("get_handle", "owner/app/path", handle.request_id)
    assert await value_of(followed.get()) == 2
    assert await fal.call("result", "owner/app/path", handle.request_id) == 2


async def test_what_javascript_submitted_rxfal_cancels(js: Run, server: FalServer):
    pause = held(server)
    (submitted,) = await js("""report(await fal.queue.submit("owner/app/path", {input: {n: 3}}))""")
    await pause.reached()
    async with server.client() as client:
        handle = rxfal.RequestHandle.of("owner/app/path", submitted["request_id"])
        assert await client.queue.cancel(handle) == rxfal.Cancellation.CANCELLATION_REQUESTED
    (request,) = server.queue
    await request.reached("COMPLETED")
    assert request.cancelled


async def test_what_rxfal_submitted_javascript_follows(js: Run, server: FalServer):
    held(server).release()
    async with server.client() as client:
        handle = await client.queue.submit("owner/app/path", {"n": 4})
    options = json.dumps({"requestId": handle.request_id, "mode": "streaming", "logs": True})
    status, result = await js(f"""
        report((await fal.queue.subscribeToStatus("owner/app/path", {options})).status);
        report((await fal.queue.result("owner/app/path", {options})).data);
    """)
    assert (status, result) == ("COMPLETED", 4)
