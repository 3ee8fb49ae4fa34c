# pyright: strict
"""What a type checker must know of `run`, `subscribe` and the queue. Checked, never run: see test_types.py."""

from typing import Any, assert_type

from pydantic import BaseModel

import rxfal
from rxfal import Cancellation, Completed, InProgress, Queued, QueueStream, RequestHandle, RequestLog, Stream


class Answer(BaseModel):
    output: str


async def whole_answers() -> None:
    assert_type(rxfal.run("a/b", output=Answer), Stream[Answer])
    assert_type(rxfal.run("a/b", {"n": 1}, output=list[int], tags={"a": "b"}), Stream[list[int]])
    assert_type(rxfal.run("a/b"), Stream[Any])
    assert_type(await rxfal.run("a/b", output=Answer), Answer)
    assert_type(rxfal.run("a/b", output=Answer).run(), Answer)


async def updates(handle: RequestHandle) -> None:
    stream = rxfal.subscribe("a/b", {"prompt": "hi"}, output=Answer, follow="poll", priority="low")
    assert_type(stream, QueueStream[Answer])
    assert_type(await stream, Completed[Answer])
    assert_type(await stream.wait(), Completed[Answer])
    assert_type(stream.run(), Completed[Answer])
    assert_type((await stream).output, Answer)
    assert_type((await rxfal.subscribe("a/b")).output, Any)
    async for update in stream:
        assert_type(update, Queued | InProgress | Completed[Answer])
        match update:
            case Queued(position=position):
                assert_type(position, int | None)
            case InProgress(logs=logs):
                assert_type(logs, tuple[RequestLog, ...])
            case Completed():
                assert_type(update.output, Answer)
                assert_type(update.billable_units, float | None)
    assert_type(rxfal.queue.updates(handle, output=Answer, timeout=5), QueueStream[Answer])
    assert_type(rxfal.queue.updates(handle), QueueStream[Any])


async def steps() -> None:
    handle = await rxfal.queue.submit("a/b", {"prompt": "hi"}, max_queue_length=3)
    assert_type(handle, RequestHandle)
    assert_type(RequestHandle.of("a/b", "r-1"), RequestHandle)
    assert_type(rxfal.queue.status(handle), Stream[Queued | InProgress | Completed[None]])
    assert_type(await rxfal.queue.result(handle, output=Answer), Answer)
    assert_type(rxfal.queue.result(handle), Stream[Any])
    assert_type(await rxfal.queue.cancel(handle), Cancellation)
    async with rxfal.Client() as client:
        assert_type(await client.queue.cancel(handle), Cancellation)
        assert_type(client.subscribe("a/b", output=Answer), QueueStream[Answer])


def callbacks() -> None:
    def keep(handle: RequestHandle) -> None: ...

    rxfal.subscribe("a/b", on_enqueue=keep)
    rxfal.subscribe("a/b", on_enqueue=lambda handle: print(handle.request_id))
    rxfal.subscribe("a/b", follow="push")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    rxfal.queue.submit("a/b", timeout=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
