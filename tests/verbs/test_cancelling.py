"""Who leaves cancels: once, whatever is under way, and not what is done; and ends that wait for the answer."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

import rxfal
from rxfal import Completed, InProgress, Queued
from rxfal import operators as ops
from tests.verbs.queue_server import (
    QueueServer,
    cancel,
    drop,
    hang,
    late,
    nginx,
    says,
    streams,
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


async def quiet() -> None:
    """Long enough that a cancel which should not be sent would have come."""
    for _ in range(20):
        await asyncio.sleep(0.001)


# Every way to leave


async def test_dispose_cancels_once(server: QueueServer, client: rxfal.Client):
    seen: list[Any] = []
    subscription = client.subscribe("me/app").subscribe(seen.append, seen.append, lambda: seen.append("end"))
    await server.received("stream")
    subscription.dispose()
    subscription.dispose()
    await server.received("cancel")
    await quiet()
    assert (server.job.cancels, server.count("cancel")) == (1, 1)
    assert seen == [Queued("r-1", 0)]


async def test_dispose_is_not_held_up(server: QueueServer, client: rxfal.Client):
    gate = asyncio.Event()
    server.next("cancel", late(gate, "cancel"))
    subscription = client.subscribe("me/app").subscribe()
    await server.received("stream")
    began = time.monotonic()
    subscription.dispose()
    assert time.monotonic() - began < 0.5
    await server.received("cancel")
    gate.set()


async def test_take_first_and_break_cancel(server: QueueServer, client: rxfal.Client):
    assert await client.subscribe("me/app").pipe(ops.take(1)) == Queued("r-1", 0)
    await server.received("cancel", 1)
    assert await client.subscribe("me/app").first() == Queued("r-2", 0)
    await server.received("cancel", 2)
    async for update in client.subscribe("me/app"):
        assert update == Queued("r-3", 0)
        break
    await server.received("cancel", 3)
    await quiet()
    assert [job.cancels for job in server.jobs] == [1, 1, 1]


async def test_cancelling_the_task_that_awaits_cancels_and_is_not_held_up(server: QueueServer, client: rxfal.Client):
    gate = asyncio.Event()
    server.next("cancel", late(gate, "cancel"))
    task = asyncio.ensure_future(client.subscribe("me/app").wait())
    await server.received("stream")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(1):
            await task
    await server.received("cancel")
    gate.set()


async def test_cancelling_the_task_that_iterates_cancels(server: QueueServer, client: rxfal.Client):
    async def iterate() -> None:
        async for _ in client.subscribe("me/app"):
            pass

    task = asyncio.ensure_future(iterate())
    await server.received("stream")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.received("cancel")


async def test_a_timeout_of_asyncio_cancels(server: QueueServer, client: rxfal.Client):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await client.subscribe("me/app")
    await server.received("cancel")
    assert server.job.cancels == 1


async def test_an_operator_that_ends_the_stream_cancels(server: QueueServer, client: rxfal.Client):
    with pytest.raises(rxfal.StreamTimeoutError):
        await client.subscribe("me/app").timeout(0.05)
    await server.received("cancel")
    with pytest.raises(ZeroDivisionError):
        await client.subscribe("me/app").map(lambda update: 1 / 0)
    await server.received("cancel", 2)


async def test_a_callback_that_raises_cancels(server: QueueServer, client: rxfal.Client):
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    client.subscribe("me/app").subscribe(lambda update: 1 / 0)
    await server.received("cancel")
    assert server.job.cancels == 1


async def test_from_another_thread(server: QueueServer, client: rxfal.Client):
    subscription = client.subscribe("me/app").subscribe()
    await server.received("stream")
    thread = threading.Thread(target=subscription.dispose)
    thread.start()
    await server.received("cancel")
    thread.join()


async def test_in_a_thread_of_its_own_loop(server: QueueServer):
    """What runs on the background loop is cancelled there."""

    def plain() -> None:
        with server.client() as client:
            for _ in client.subscribe("me/app"):
                break

    await asyncio.to_thread(plain)
    await server.received("cancel")
    assert server.job.cancels == 1


# While it is submitted


async def test_a_submit_under_way_is_waited_for_and_then_cancelled(server: QueueServer, client: rxfal.Client):
    gate = asyncio.Event()
    server.next("submit", take_then(gate))
    seen: list[Any] = []
    subscription = client.subscribe("me/app", on_enqueue=seen.append).subscribe(seen.append)
    await server.received("submit")
    subscription.dispose()
    await quiet()
    assert server.count("cancel") == 0
    gate.set()
    await server.received("cancel")
    await quiet()
    assert (server.job.cancels, server.count("submit"), server.count("cancel")) == (1, 1, 1)
    assert seen == []


async def test_a_submit_that_is_refused_then_needs_no_cancel(server: QueueServer, client: rxfal.Client):
    gate = asyncio.Event()

    async def refuse(server: QueueServer, request: Any, job: Any) -> Any:
        await gate.wait()
        return await says(422, {"detail": "no"})(server, request, job)

    server.next("submit", refuse)
    subscription = client.subscribe("me/app").subscribe()
    await asyncio.sleep(0.02)
    subscription.dispose()
    gate.set()
    await server.received("submit")
    await quiet()
    assert server.count("cancel") == 0


async def test_a_submit_that_is_dropped_then_is_named(
    server: QueueServer, client: rxfal.Client, caplog: pytest.LogCaptureFixture
):
    gate = asyncio.Event()
    server.next("submit", take_then(gate, drop))
    subscription = client.subscribe("me/app").subscribe()
    await server.received("submit")
    subscription.dispose()
    gate.set()
    await logged(caplog, "may still run")
    assert server.count("submit") == 1
    assert "me/app: a request whose id is not known may still run" in caplog.text


async def test_leaving_in_the_pause_between_two_attempts_ends_it(server: QueueServer, client: rxfal.Client):
    server.next("submit", says(429, {}, Retry_After="30"))
    subscription = client.subscribe("me/app").subscribe()
    await server.received("submit")
    await quiet()
    subscription.dispose()
    await quiet()
    assert [task.get_name() for task in asyncio.all_tasks() if "me/app" in task.get_name()] == []
    assert (server.count("submit"), server.count("cancel")) == (1, 0)


async def test_leaving_before_anything_was_sent_sends_nothing(server: QueueServer, client: rxfal.Client):
    client.subscribe("me/app").subscribe().dispose()
    await quiet()
    assert server.calls == []


async def logged(caplog: pytest.LogCaptureFixture, words: str) -> None:
    async with asyncio.timeout(5):
        while words not in caplog.text:  # noqa: ASYNC110 (a log has no event)
            await asyncio.sleep(0.001)


# What is known to be complete


async def test_what_is_complete_is_not_cancelled(server: QueueServer, client: rxfal.Client):
    server.next("stream", streams({"status": "COMPLETED"}))
    server.next("result", hang)
    subscription = client.subscribe("me/app").subscribe()
    await server.received("result")
    subscription.dispose()
    await quiet()
    assert server.count("cancel") == 0


async def test_leaving_at_the_last_logs_or_the_result_cancels_nothing(server: QueueServer, client: rxfal.Client):
    log = {"message": "done"}
    server.always("stream", streams({"status": "COMPLETED", "logs": [log]}))
    await client.subscribe("me/app").pipe(ops.filter(lambda update: isinstance(update, InProgress)), ops.take(1))
    server.next("result", says(200, {"n": 1}))
    await client.subscribe("me/app").pipe(ops.filter(lambda update: isinstance(update, Completed)), ops.take(1))
    await quiet()
    assert server.count("cancel") == 0


async def test_timeout_while_the_result_is_awaited_cancels_nothing(server: QueueServer, client: rxfal.Client):
    server.next("stream", streams({"status": "COMPLETED"}))
    server.next("result", hang)
    with pytest.raises(rxfal.StreamTimeoutError) as caught:
        await client.subscribe("me/app", timeout=0.1)
    assert caught.value.request_id == "r-1"
    await quiet()
    assert server.count("cancel") == 0


# Answers to the cancelling


async def test_the_error_of_timeout_comes_after_the_answer(server: QueueServer, client: rxfal.Client):
    gate = asyncio.Event()
    server.next("cancel", late(gate, "cancel"))
    task = asyncio.ensure_future(client.subscribe("me/app", timeout=0.05).wait())
    await server.received("cancel")
    await quiet()
    assert not task.done()
    gate.set()
    with pytest.raises(rxfal.StreamTimeoutError):
        await task
    assert server.job.cancels == 1


async def test_a_cancel_without_an_answer_is_given_up_and_named(
    server: QueueServer, client: rxfal.Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("rxfal.verbs.work.PATIENCE", 0.05)
    server.next("cancel", hang)
    with pytest.raises(rxfal.StreamTimeoutError) as caught:
        await client.subscribe("me/app", timeout=0.05)
    assert caught.value.request_id == "r-1"
    await logged(caplog, "request r-1 may still run")
    assert server.count("cancel") == 1


@pytest.mark.parametrize("behaviour", [drop, says(500, {}), nginx(504), says(403, {"detail": "no"})])
async def test_a_cancel_that_fails_is_not_repeated_but_named(
    server: QueueServer, client: rxfal.Client, caplog: pytest.LogCaptureFixture, behaviour: Any
):
    server.always("cancel", behaviour)
    client.subscribe("me/app").subscribe().dispose()
    subscription = client.subscribe("me/app").subscribe()
    await server.received("stream")
    subscription.dispose()
    await logged(caplog, "me/app: request r-1 may still run")
    assert server.count("cancel") == 1
    assert [record.levelno for record in caplog.records if "may still run" in record.getMessage()] == [logging.WARNING]


@pytest.mark.parametrize(
    "behaviour", [cancel, says(400, {"status": "ALREADY_COMPLETED"}), says(404, {"status": "NOT_FOUND"})]
)
async def test_every_word_of_fals_is_an_answer(
    server: QueueServer, client: rxfal.Client, caplog: pytest.LogCaptureFixture, behaviour: Any
):
    server.always("cancel", behaviour)
    with pytest.raises(rxfal.StreamTimeoutError):
        await client.subscribe("me/app", timeout=0.05)
    assert "may still run" not in caplog.text


# Not to cancel


async def test_with_cancel_on_dispose_false_nothing_is_cancelled(server: QueueServer, client: rxfal.Client):
    handles: list[rxfal.RequestHandle] = []
    options: dict[str, Any] = {"cancel_on_dispose": False, "on_enqueue": handles.append}
    await client.subscribe("me/app", **options).first()
    with pytest.raises(rxfal.StreamTimeoutError) as caught:
        await client.subscribe("me/app", timeout=0.05, **options)
    assert caught.value.request_id == "r-2"
    gate = asyncio.Event()
    server.next("submit", take_then(gate))
    subscription = client.subscribe("me/app", **options).subscribe()
    await server.received("submit", 3)
    subscription.dispose()
    gate.set()
    await quiet()
    assert server.count("cancel") == 0
    assert [handle.request_id for handle in handles] == ["r-1", "r-2"]


async def test_a_handle_that_comes_after_the_timeout_is_given_to_who_lets_the_request_go_on(
    server: QueueServer, client: rxfal.Client
):
    gate, handles = asyncio.Event(), list[rxfal.RequestHandle]()
    server.next("submit", take_then(gate))
    asyncio.get_running_loop().call_later(0.1, gate.set)
    with pytest.raises(rxfal.StreamTimeoutError) as caught:
        await client.subscribe("me/app", timeout=0.05, cancel_on_dispose=False, on_enqueue=handles.append)
    assert [handle.request_id for handle in handles] == [caught.value.request_id] == ["r-1"]
    assert server.count("cancel") == 0


async def test_updates_cancel_only_if_they_are_told_to(server: QueueServer, client: rxfal.Client):
    handle = await client.queue.submit("me/app")
    await client.queue.updates(handle).first()
    with pytest.raises(rxfal.StreamTimeoutError) as caught:
        await client.queue.updates(handle, timeout=0.05)
    assert caught.value.request_id == "r-1"
    await quiet()
    assert server.count("cancel") == 0
    await client.queue.updates(handle, cancel_on_dispose=True).first()
    await server.received("cancel")
    assert server.job.cancels == 1


async def test_a_submit_that_is_disposed_before_its_answer_cancels(server: QueueServer, client: rxfal.Client):
    gate = asyncio.Event()
    server.next("submit", take_then(gate))
    seen: list[Any] = []
    subscription = client.queue.submit("me/app").subscribe(seen.append)
    await server.received("submit")
    subscription.dispose()
    gate.set()
    await server.received("cancel")
    assert (seen, server.job.cancels) == ([], 1)


async def test_a_submit_whose_handle_was_handed_over_cancels_nothing(server: QueueServer, client: rxfal.Client):
    handle = await client.queue.submit("me/app").first()
    await quiet()
    assert (handle.request_id, server.count("cancel")) == ("r-1", 0)


async def test_an_unknown_submit_cancels_nothing(server: QueueServer, client: rxfal.Client):
    server.next("submit", take_and_drop)
    with pytest.raises(rxfal.TransportError):
        await client.subscribe("me/app")
    await quiet()
    assert server.count("cancel") == 0


# Closing the client meanwhile


async def test_closing_the_client_waits_for_the_cancel(server: QueueServer):
    gate = asyncio.Event()
    server.next("cancel", late(gate, "cancel"))
    async with server.client() as client:
        subscription = client.subscribe("me/app").subscribe()
        await server.received("stream")
        subscription.dispose()
        asyncio.get_running_loop().call_later(0.05, gate.set)
        await asyncio.sleep(0)
    assert server.job.cancels == 1


@pytest.mark.parametrize("verb", ["subscribe", "run"])
async def test_nothing_is_sent_again_after_the_client_was_closed(
    server: QueueServer, verb: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    pausing = asyncio.Event()  # set when the log says that it will be tried again
    caplog.set_level(logging.INFO, "rxfal")
    monkeypatch.setattr(caplog.handler, "emit", lambda record: pausing.set())
    server.always("submit", says(429, {}, Retry_After="0.2"))
    client = server.client(run_url=server.url)
    waiting = asyncio.ensure_future(getattr(client, verb)("me/app").wait())
    async with asyncio.timeout(5):
        await pausing.wait()
    await client.aclose()
    with pytest.raises(rxfal.TransportError, match="the client was closed") as caught:
        await waiting
    assert (caught.value.outcome_unknown, caught.value.retryable, server.count("submit")) == (False, False, 1)


async def test_what_was_taken_is_not_called_unknown_when_the_client_is_closed(server: QueueServer):
    server.next("stream", hang)
    client = server.client()
    other = asyncio.ensure_future(client.subscribe("me/app").wait())
    await server.received("stream")
    await client.aclose()
    with pytest.raises(rxfal.TransportError, match="client was closed") as caught:
        await other
    assert (caught.value.request_id, caught.value.outcome_unknown) == ("r-1", False)


async def test_closing_the_client_ends_the_other_streams_at_once(server: QueueServer):
    gate = asyncio.Event()
    server.next("cancel", late(gate, "cancel"))
    client = server.client()
    other = asyncio.ensure_future(client.subscribe("me/other").wait())
    await server.received("stream")
    subscription = client.subscribe("me/app").subscribe()
    await server.received("stream", 2)
    subscription.dispose()
    await server.received("cancel")
    closing = asyncio.ensure_future(client.aclose())
    with pytest.raises(rxfal.TransportError, match="client was closed") as caught:
        await asyncio.wait_for(other, 1)
    assert (caught.value.request_id, caught.value.outcome_unknown) == ("r-1", False)  # it was taken, and is known
    assert not closing.done()
    gate.set()
    await closing
    assert server.jobs[1].cancels == 1


def test_closing_the_client_from_a_plain_script_waits_too():
    async def serve(started: "threading.Event", stopped: "threading.Event", found: list[QueueServer]) -> None:
        async with QueueServer() as server:
            found.append(server)
            started.set()
            await asyncio.to_thread(stopped.wait)

    started, stopped, found = threading.Event(), threading.Event(), list[QueueServer]()
    thread = threading.Thread(target=lambda: asyncio.run(serve(started, stopped, found)))
    thread.start()
    started.wait()
    try:
        with found[0].client() as client:
            subscription = client.subscribe("me/app").subscribe()
            while not found[0].count("stream"):
                time.sleep(0.001)
            subscription.dispose()
        assert found[0].job.cancels == 1
    finally:
        stopped.set()
        thread.join()


# Many at once


async def test_a_storm_of_leavers_loses_and_doubles_nothing(server: QueueServer, client: rxfal.Client):
    async def one(number: int) -> str:
        stream = client.subscribe("me/app", {"n": number}, poll_interval=0.001)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.002 * (number % 20)):
                return (await stream).request_id
        return "left"

    async def works(server: QueueServer, request: Any, job: Any) -> Any:
        job = server.take(request)
        asyncio.get_running_loop().call_later(0.02, lambda: job.cancels or job.complete())
        await asyncio.sleep(0.001 * (len(server.jobs) % 7))
        return server.accepted(job)

    server.always("submit", works)
    ends = await asyncio.gather(*(one(number) for number in range(100)))
    async with asyncio.timeout(5):
        while any(job.state != "COMPLETED" for job in server.jobs):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await quiet()
    assert len({end for end in ends if end != "left"}) == len([end for end in ends if end != "left"])
    assert all(job.cancels <= 1 for job in server.jobs)
    assert server.count("cancel") == sum(job.cancels for job in server.jobs)
    finished = {end for end in ends if end != "left"}
    assert not any(job.cancels for job in server.jobs if job.id in finished)
