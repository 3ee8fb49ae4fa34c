"""Many requests through a queue that fails at random: nothing is submitted twice, lost, or left running unsaid."""

import asyncio
import logging
import random
from collections import defaultdict
from typing import Any

import pytest
import stamina

import rxfal
from tests.verbs.queue_server import DEFAULTS, Job, Operation, QueueServer, drop, nginx, says, streams, take_and_drop


class Chance:
    """How the server behaves, by a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def set(self, server: QueueServer) -> None:
        server.always("submit", self.submit)
        operations: list[Operation] = ["status", "stream", "result"]
        for operation in operations:
            server.always(operation, self.flaky(operation))

    async def submit(self, server: QueueServer, request: Any, job: Job | None) -> Any:
        chance = self.random.random()
        for until, behaviour in (
            (0.1, says(429, {}, Retry_After="0")),
            (0.15, nginx(502)),
            (0.2, says(422, {"detail": "no"})),
            (0.3, take_and_drop),
            (0.35, drop),
        ):
            if chance < until:
                return await behaviour(server, request, job)
        await asyncio.sleep(self.random.random() * 0.02)
        taken = server.take(request)
        self.work(taken, self.random.random() * 0.1)
        return server.accepted(taken)

    def work(self, job: Job, seconds: float) -> None:
        def begin() -> None:
            if job.state == "IN_QUEUE":
                job.set("IN_PROGRESS", log="working")

        def end() -> None:
            if job.state != "COMPLETED" and self.random.random() < 0.8:
                job.complete(job.input)
            elif job.state != "COMPLETED":
                job.complete({"detail": "broken"}, 500)

        loop = asyncio.get_running_loop()
        loop.call_later(seconds / 2, begin)
        loop.call_later(seconds, end)

    def flaky(self, operation: Operation) -> Any:
        async def act(server: QueueServer, request: Any, job: Job | None) -> Any:
            chance = self.random.random()
            if chance < 0.15:
                return await drop(server, request, job)
            if chance < 0.25:
                return await says(self.random.choice([429, 500, 502, 503]), {})(server, request, job)
            if operation == "stream" and chance < 0.4:
                once = streams(Job.status, then=self.random.choice(["end", "drop"]))
                return await once(server, request, job)
            if operation == "stream" and chance < 0.45:
                return await says(self.random.choice([404, 405, 501]), {})(server, request, job)
            return await DEFAULTS[operation](server, request, job)

        return act


async def use(client: rxfal.Client, number: int, chance: random.Random) -> tuple[str, Any]:
    """One subscription, and how it ended."""
    follow: Any = chance.choice(["stream", "poll"])
    timeout = chance.choice([None, None, 0.08])
    stream = client.subscribe("me/app", {"n": number}, poll_interval=0.002, follow=follow, timeout=timeout)
    try:
        async with asyncio.timeout(chance.random() * 0.1 if chance.random() < 0.4 else None):
            done = await stream
    except rxfal.FalError as error:
        return "timeout" if isinstance(error, rxfal.StreamTimeoutError) else "error", error
    except TimeoutError:
        return "left", None
    assert done.output == {"n": number}
    return "done", done


@pytest.mark.every_loop
@pytest.mark.parametrize("seed", [1])
async def test_the_accounts_are_right(seed: int, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING, "rxfal")
    chance = Chance(seed)
    async with QueueServer() as server:
        chance.set(server)
        with stamina.set_testing(True, attempts=4, cap=True):
            async with server.client() as client:
                ends = await asyncio.gather(*(use(client, number, chance.random) for number in range(60)))
        jobs: defaultdict[int, list[Job]] = defaultdict(list)
        for job in server.jobs:
            jobs[job.input["n"]].append(job)
    assert all(len(taken) == 1 for taken in jobs.values()), "paid for twice"
    assert server.count("cancel") == sum(job.cancels for job in server.jobs), "cancelled twice"
    assert {end for end, _ in ends} == {"done", "error", "left", "timeout"}
    for number, (end, what) in enumerate(ends):
        if not jobs[number]:
            assert end != "done"
            continue
        (job,) = jobs[number]
        assert job.cancels <= 1
        match end:
            case "done":
                assert (job.cancels, what.request_id) == (0, job.id)
            case "timeout":
                assert job.cancels or job.state == "COMPLETED" or what.outcome_unknown
            case "error" if what.request_id is None:
                assert what.outcome_unknown
                assert not what.retryable
            case "error":
                assert (job.cancels, what.request_id) == (0, job.id)
            case _:  # the log says so where nobody could be told, or the server was not asked in vain
                said = f"request {job.id} may" in caplog.text or "whose id is not known may" in caplog.text
                assert job.cancels or job.state == "COMPLETED" or said
    assert [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
