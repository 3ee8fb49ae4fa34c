"""Following a request in the queue through a hostile network: what is asked again, how often, and until when."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

import rxfal
from rxfal import Completed, InProgress, Queued
from tests.verbs.queue_server import (
    DEFAULTS,
    Job,
    QueueServer,
    all_logs,
    drop,
    entry,
    hang,
    nginx,
    says,
    status,
    streams,
)

COMPLETED = {"status": "COMPLETED"}


@pytest.fixture
async def server() -> AsyncIterator[QueueServer]:
    async with QueueServer() as server:
        yield server


@pytest.fixture
async def client(server: QueueServer) -> AsyncIterator[rxfal.Client]:
    async with server.client() as client:
        yield client


class Clock:
    """The running loop's clock, which a test can set forward."""

    def __init__(self, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead = 0.0
        real_time = loop.time
        self._start = real_time()
        self.now = lambda: self._start + self._ahead  # real time stands still
        monkeypatch.setattr(loop, "time", self.now)

    async def advance(self, seconds: float, step: float = 0.01) -> None:
        """Let so many seconds pass, a little at a time, and everything run that was waiting for them."""
        for _ in range(round(seconds / step)):
            await self.settle()
            self._ahead += step
        await self.settle(60)

    async def settle(self, turns: int = 6) -> None:
        """Let what is under way be done; client and server are on this loop, so a few turns do."""
        for _ in range(turns):
            await asyncio.sleep(0)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(asyncio.get_running_loop(), monkeypatch)


def gaps(server: QueueServer, *operations: str) -> list[float]:
    """The seconds from one such request to the next."""
    times = [time for (name, _), time in zip(server.calls, server.times, strict=True) if name in operations]
    return [round(later - earlier, 2) for earlier, later in itertools.pairwise(times)]


def follow(stream: Any) -> tuple[list[Any], "asyncio.Task[Any]"]:
    updates: list[Any] = []
    return updates, asyncio.ensure_future(stream.do_action(updates.append).wait())


async def done(task: "asyncio.Task[Any]") -> Any:
    async with asyncio.timeout(5):
        return await task


# Pauses


async def test_a_poll_backs_off_while_nothing_changes(server: QueueServer, client: rxfal.Client, clock: Clock):
    _, task = follow(client.subscribe("me/app", follow="poll", poll_interval=1.0))
    await clock.advance(50)
    assert gaps(server, "status") == pytest.approx([1, 1.5, 2.25, 3.38, 5.06, 7.6, 10, 10], abs=0.03)
    assert server.count("stream") == 0
    server.job.set("IN_PROGRESS")
    await clock.advance(30)
    after = gaps(server, "status")[9:]
    assert after[:4] == pytest.approx([1, 1.5, 2.25, 3.38], abs=0.03), "a change resets the pause"
    server.job.complete()
    await clock.advance(10)
    assert (await done(task)).output == {"ok": True}


async def test_a_status_stream_that_always_ends_at_once_is_no_busy_loop(
    server: QueueServer, client: rxfal.Client, clock: Clock
):
    server.always("stream", streams())
    updates, task = follow(client.subscribe("me/app", poll_interval=1.0))
    await clock.advance(20)
    assert server.count("stream") == 3, "three in a row that said nothing new"
    assert gaps(server, "stream", "status")[:4] == pytest.approx([1, 1.5, 2.25, 3.38], abs=0.03)
    server.job.complete()
    await clock.advance(10)
    await done(task)
    assert [type(update) for update in updates] == [Queued, Completed]


async def test_a_status_stream_that_says_something_new_each_time_is_opened_again(
    server: QueueServer, client: rxfal.Client, clock: Clock
):
    def so_far(job: Job) -> Any:
        job.logs.append(entry(str(len(job.logs))))
        return {"status": "IN_PROGRESS", "logs": list(job.logs)}

    server.always("stream", streams(so_far, then="drop"))
    updates, task = follow(client.subscribe("me/app", poll_interval=1.0))
    await clock.advance(7.5)
    assert server.count("stream") == 8
    assert gaps(server, "stream") == pytest.approx([1] * 7, abs=0.03)
    assert server.count("status") == 0
    server.always("stream", DEFAULTS["stream"])
    server.job.complete()
    await clock.advance(2)
    await done(task)
    assert all_logs(updates) == [str(n) for n in range(8)]


async def test_a_long_stream_is_opened_again_at_once(server: QueueServer, client: rxfal.Client, clock: Clock):
    _, task = follow(client.subscribe("me/app", poll_interval=1.0))
    await clock.advance(30)
    server.job.state = "IN_PROGRESS"  # while nobody listens
    server.next("stream", DEFAULTS["stream"])
    await kill_connections(server)
    await clock.advance(0.1)
    assert server.count("stream") == 2
    server.job.complete()
    await clock.advance(1)
    await done(task)


async def kill_connections(server: QueueServer) -> None:
    runner: Any = server._runner  # pyright: ignore[reportPrivateUsage]
    for protocol in runner.server.connections:
        protocol.transport.abort()
    await asyncio.sleep(0)


async def test_retry_after_is_heeded(server: QueueServer, client: rxfal.Client, clock: Clock):
    server.next("status", says(429, {}, Retry_After="7"), status)
    _, task = follow(client.subscribe("me/app", follow="poll", poll_interval=1.0))
    await clock.advance(7.5)
    assert gaps(server, "status") == pytest.approx([7], abs=0.03)
    server.job.complete()
    await clock.advance(10)
    await done(task)


async def test_the_result_is_asked_for_at_once_and_then_with_growing_pauses(
    server: QueueServer, client: rxfal.Client, clock: Clock
):
    server.next("stream", streams(COMPLETED))
    server.next("result", says(502, {}), nginx(503), drop, says(429, {}))
    _, task = follow(client.subscribe("me/app", poll_interval=1.0))
    await clock.advance(0.2)
    server.job.complete()
    await clock.advance(20)
    await done(task)
    assert gaps(server, "stream", "result") == pytest.approx([0, 1.5, 2.25, 3.38, 5.06], abs=0.03)


# Silence


async def test_a_silent_status_stream_is_opened_again_after_a_minute(
    server: QueueServer, client: rxfal.Client, clock: Clock
):
    server.always("stream", streams({"status": "IN_QUEUE", "queue_position": 0}, then="wait"))
    _, task = follow(client.subscribe("me/app"))
    await clock.advance(59, step=0.5)
    assert server.count("stream") == 1
    await clock.advance(4, step=0.5)
    assert server.count("stream") == 2
    await clock.advance(128, step=0.5)
    assert server.count("stream") == 3
    assert server.count("status") > 0, "polled after three that said nothing new"
    server.job.complete()
    await clock.advance(10, step=0.5)
    await done(task)


async def test_keep_alives_end_a_silence(server: QueueServer, client: rxfal.Client, clock: Clock):
    ticking = asyncio.Event()

    async def stream(server: QueueServer, request: Any, job: Job | None) -> Any:
        from tests.verbs.queue_server import begin

        response = await begin(request)
        while not ticking.is_set():
            await response.write(b": keep-alive\n\n")
            await asyncio.sleep(15)
        await response.write(b'data: {"status": "COMPLETED"}\n\n')
        return response

    server.next("stream", stream)
    _, task = follow(client.subscribe("me/app"))
    await clock.advance(200, step=0.5)
    assert server.count("stream") == 1
    server.job.complete()
    ticking.set()
    await clock.advance(16, step=0.5)
    await done(task)


async def test_a_status_without_an_answer_is_asked_for_again(server: QueueServer, client: rxfal.Client, clock: Clock):
    server.next("status", hang)
    _, task = follow(client.subscribe("me/app", follow="poll"))
    await clock.advance(61, step=0.5)
    assert server.count("status") == 2
    server.job.complete()
    await clock.advance(10, step=0.5)
    await done(task)


async def test_a_status_stream_without_an_answer_is_opened_again(
    server: QueueServer, client: rxfal.Client, clock: Clock
):
    server.next("stream", hang)
    _, task = follow(client.subscribe("me/app"))
    await clock.advance(61, step=0.5)
    assert server.count("stream") == 2
    server.job.complete()
    await clock.advance(1, step=0.1)
    await done(task)


async def test_following_has_no_limit_of_its_own(server: QueueServer, client: rxfal.Client, clock: Clock):
    server.always("stream", drop)
    server.always("status", drop)
    _, task = follow(client.subscribe("me/app", poll_interval=60.0))
    await clock.advance(24 * 3600, step=30)
    assert not task.done()
    assert 140 < server.count("status") < 160, "every ten minutes"
    server.always("status", status)
    server.job.complete()
    await clock.advance(601, step=30)
    await done(task)


async def test_timeout_is_counted_from_the_subscription(server: QueueServer, client: rxfal.Client, clock: Clock):
    _, task = follow(client.subscribe("me/app", timeout=100))
    await clock.advance(99.5, step=0.5)
    assert not task.done()
    await clock.advance(1, step=0.5)
    with pytest.raises(rxfal.StreamTimeoutError, match="not complete within 100 seconds"):
        await done(task)
    assert server.job.cancels == 1


async def test_a_submit_may_take_two_minutes(server: QueueServer, client: rxfal.Client, clock: Clock):
    server.next("submit", hang)
    _, task = follow(client.subscribe("me/app"))
    await clock.advance(119, step=0.5)
    assert not task.done()
    await clock.advance(2, step=0.5)
    with pytest.raises(rxfal.StreamTimeoutError, match="no whole answer came within 120 seconds") as caught:
        await done(task)
    assert (caught.value.outcome_unknown, caught.value.retryable) == (True, False)
    assert server.count("submit") == 1


# What goes by, and what does not


FAST: dict[str, Any] = {"poll_interval": 0.001}
_GOES_BY = [drop, says(429, {}), says(500, {}), says(502, "<html>"), nginx(503), says(504, {}, X_Fal_Request_Id="x")]


@pytest.mark.every_loop
@pytest.mark.parametrize("operation", ["status", "stream"])
async def test_a_status_is_asked_for_until_there_is_one(server: QueueServer, client: rxfal.Client, operation: Any):
    server.next(operation, *_GOES_BY, says(200, "<html>no JSON</html>"), *_GOES_BY)
    updates, task = follow(client.subscribe("me/app", follow="poll" if operation == "status" else "stream", **FAST))
    await server.received("submit")
    server.job.complete()
    assert (await done(task)).output == {"ok": True}
    assert [type(update) for update in updates] == [Queued, Completed]


@pytest.mark.every_loop
@pytest.mark.parametrize("code", [404, 405, 501])
async def test_a_status_stream_that_is_refused_is_not_asked_for_again(
    server: QueueServer, client: rxfal.Client, code: int
):
    server.always("stream", says(code, {}))
    updates, task = follow(client.subscribe("me/app", **FAST))
    await server.received("status", 3)
    server.job.set("IN_PROGRESS", log="a")
    await server.received("status", 6)
    server.job.complete()
    assert (await done(task)).output == {"ok": True}
    assert server.count("stream") == 1
    assert [type(update) for update in updates] == [Queued, InProgress, Completed]


@pytest.mark.every_loop
async def test_what_is_no_event_stream_is_polled(server: QueueServer, client: rxfal.Client):
    server.always("stream", says(200, {"status": "IN_QUEUE"}))
    _, task = follow(client.subscribe("me/app", **FAST))
    await server.received("status", 2)
    server.job.complete()
    await done(task)
    assert server.count("stream") == 1


@pytest.mark.parametrize("operation", ["status", "stream", "result"])
@pytest.mark.parametrize("code", [400, 401, 403, 408, 410, 422])
async def test_another_refusal_ends_it_and_leaves_the_request_as_it_is(
    server: QueueServer, client: rxfal.Client, operation: Any, code: int
):
    server.always(operation, says(code, {"detail": "no"}, X_Fal_Request_Id="another"))
    _, task = follow(client.subscribe("me/app", follow="poll" if operation == "status" else "stream", **FAST))
    if operation == "result":
        (await server.received("stream")).complete()
    with pytest.raises(rxfal.ApiError) as caught:
        await done(task)
    assert (caught.value.status, caught.value.request_id, caught.value.retryable) == (code, "r-1", False)
    assert server.count("cancel") == 0


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
async def test_a_result_with_an_id_is_the_models_own(server: QueueServer, client: rxfal.Client, code: int):
    server.always("result", says(code, {"detail": "busy"}, X_Fal_Request_Id="another", Retry_After="0"))
    _, task = follow(client.subscribe("me/app", **FAST))
    (await server.received("stream")).complete()
    with pytest.raises(rxfal.ApiError) as caught:
        await done(task)
    assert (caught.value.status, caught.value.request_id, caught.value.retryable) == (code, "r-1", False)
    assert server.count("result") == 1


async def test_a_404_of_the_status_ends_it(server: QueueServer, client: rxfal.Client):
    server.always("status", says(404, {"status": "NOT_FOUND"}))
    _, task = follow(client.subscribe("me/app", follow="poll", **FAST))
    with pytest.raises(rxfal.ApiError) as caught:
        await done(task)
    assert (caught.value.status, caught.value.request_id) == (404, "r-1")
    assert "fal does not know this request" in str(caught.value)


async def test_a_redirect_ends_it(server: QueueServer, client: rxfal.Client):
    server.always("status", says(302, {}, Location="https://evil.example/"))
    _, task = follow(client.subscribe("me/app", follow="poll", **FAST))
    with pytest.raises(rxfal.ApiError, match="redirects to evil"):
        await done(task)


@pytest.mark.every_loop
async def test_a_stream_that_ends_early_is_no_success(server: QueueServer, client: rxfal.Client):
    working = {"status": "IN_PROGRESS", "logs": [entry("a")]}
    server.next("stream", streams(working), streams(working, then="drop"), streams(working))
    updates, task = follow(client.subscribe("me/app", **FAST))
    await server.received("submit")
    server.job.state = "IN_PROGRESS"
    await server.received("stream", 4)
    assert server.count("result") == 0
    server.job.logs = [entry("a"), entry("b")]
    server.job.complete()
    assert [log.message for log in (await done(task)).logs] == ["a", "b"]
    assert [type(update) for update in updates] == [Queued, InProgress, InProgress, Completed]
    assert all_logs(updates) == ["a", "b"]


@pytest.mark.every_loop
async def test_an_event_that_is_cut_in_the_middle_counts_for_nothing(server: QueueServer, client: rxfal.Client):
    async def cut(server: QueueServer, request: Any, job: Job | None) -> Any:
        from tests.verbs.queue_server import begin

        response = await begin(request)
        await response.write(b'data: {"status": "COMPLETED"')
        return await drop(server, request, job)

    server.next("stream", cut)
    _, task = follow(client.subscribe("me/app", **FAST))
    await server.received("stream", 2)
    assert server.count("result") == 0
    server.job.complete()
    await done(task)


async def test_a_stream_that_tells_only_new_logs_loses_none_when_it_breaks(server: QueueServer, client: rxfal.Client):
    first = {"status": "IN_PROGRESS", "logs": [entry("a")]}
    last = {"status": "COMPLETED", "logs": [entry("c")]}
    server.next("stream", streams(first, then="drop"), streams(last))
    updates, task = follow(client.subscribe("me/app", **FAST))
    await server.received("submit")
    server.job.logs = [entry("a"), entry("b"), entry("c")]
    server.job.complete()
    result = await done(task)
    assert sorted(all_logs(updates)) == ["a", "b", "c"]
    assert sorted(log.message for log in result.logs) == ["a", "b", "c"]
    assert (server.count("stream"), server.count("status")) == (2, 1)


async def test_without_a_break_no_status_is_asked_for(server: QueueServer, client: rxfal.Client):
    server.next("stream", streams({"status": "IN_PROGRESS"}, COMPLETED))
    _, task = follow(client.subscribe("me/app", **FAST))
    await server.received("submit")
    server.job.complete()
    await done(task)
    assert [name for name, _ in server.calls] == ["submit", "stream", "result"]


async def test_logs_of_a_queued_request_come_with_its_next_update(server: QueueServer, client: rxfal.Client):
    queued = {"status": "IN_QUEUE", "queue_position": 1, "logs": [entry("early")]}
    server.next("stream", streams(queued, {"status": "IN_PROGRESS", "logs": [entry("late")]}, COMPLETED))
    updates, task = follow(client.subscribe("me/app", **FAST))
    await server.received("submit")
    server.job.complete()
    await done(task)
    assert [type(update) for update in updates] == [Queued, Queued, InProgress, Completed]
    assert all_logs(updates) == ["early", "late"]


# The subscriber


async def test_a_full_subscriber_pauses_the_following(server: QueueServer, client: rxfal.Client):
    async def flood(server: QueueServer, request: Any, job: Job | None) -> Any:
        from tests.verbs.queue_server import begin, event

        response = await begin(request)
        for n in range(600):
            await response.write(event({"status": "IN_QUEUE", "queue_position": n}))
        await response.write(event(COMPLETED))
        return response

    server.next("stream", flood)
    items = aiter(rxfal.iterate(client.subscribe("me/app"), buffer_size=4))
    seen = [await anext(items)]
    await server.received("stream")
    server.job.complete()
    async for item in items:
        seen.append(item)
        await asyncio.sleep(0)
    assert [item.position for item in seen[1:-1]] == [*range(1, 600)]
    assert isinstance(seen[-1], Completed)


async def test_a_closed_client_ends_it(server: QueueServer):
    client = server.client()
    _, polling = follow(client.subscribe("me/a", follow="poll", poll_interval=30.0))
    _, streaming = follow(client.subscribe("me/b"))
    await server.received("status")
    await server.received("stream")
    await asyncio.sleep(0.01)
    await client.aclose()
    for task in (polling, streaming):
        with pytest.raises(rxfal.TransportError, match="client was closed") as caught:
            await done(task)
        assert caught.value.request_id in ("r-1", "r-2")
        assert caught.value.retryable is False
    assert server.count("cancel") == 0


async def test_a_client_that_was_closed_while_the_subscriber_was_full_ends_it_too(server: QueueServer):
    client = server.client()
    items = aiter(rxfal.iterate(client.subscribe("me/app", follow="poll", poll_interval=0.001), buffer_size=1))
    assert await anext(items) == Queued("r-1", 0)
    server.job.set(position=1)
    await server.received("status")
    await asyncio.sleep(0.02)
    await client.aclose()
    with pytest.raises(rxfal.TransportError, match="client was closed"):
        async with asyncio.timeout(5):
            async for _ in items:
                pass


async def test_log_lines_carry_the_id(server: QueueServer, client: rxfal.Client, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", "rxfal")
    server.next("status", drop, says(500, {}))
    _, task = follow(client.subscribe("me/app", follow="poll", **FAST))
    await server.received("status", 3)
    server.job.complete()
    await done(task)
    lines = [record.getMessage() for record in caplog.records if "asking again" in record.getMessage()]
    assert len(lines) == 2
    assert all("r-1" in line and "me/app" in line for line in lines)
