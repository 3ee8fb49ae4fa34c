"""What a server may take of time and memory: each wait has its end, and each answer its size."""

import asyncio
import gzip
import logging
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import stamina

from rxfal.errors import ApiError, BodyTooLargeError, FalError, StreamTimeoutError, TransportError
from rxfal.wire.config import Config
from rxfal.wire.credentials import Credentials
from rxfal.wire.http import Http
from tests.wire.conftest import Clock
from tests.wire.servers import Handler, Scripted, answer, replies, request_to, scripted

MakeHttp = Callable[..., Http]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"


def stalls(*answers: bytes) -> Handler:
    """A handler that gives one answer after the other, and after the last one waits for the client to leave."""
    left = list(answers)

    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(left.pop(0))
        if not left:
            await reader.read()

    return handler


async def failure_of(http: Http, url: str, **settings: Any) -> FalError:
    """The error of a `fetch`, which has to come soon."""
    with pytest.raises(FalError) as caught:
        await asyncio.wait_for(http.fetch(request_to(url, **settings)), 5)
    return caught.value


async def late_failure_of(server: Scripted, clock: Clock, seconds: float, http: Http, **settings: Any) -> FalError:
    """The error of a `fetch` whose answer has not come so many seconds after the server was asked."""
    request = request_to(server.url, **settings)
    failing = asyncio.ensure_future(http.fetch(request))
    await server.asked.acquire()
    await clock.advance(seconds - 1)
    await clock.advance(0)
    assert not failing.done()
    await clock.advance(2)
    with pytest.raises(FalError) as caught:
        await asyncio.wait_for(failing, 5)
    return caught.value


# Time


@pytest.mark.parametrize(
    "begun", [b"", b"HTTP/1.1 200", HEAD, HEAD + b'"tok'], ids=["nothing", "half a head", "no body", "some of the body"]
)
async def test_a_fetch_ends_when_its_answer_is_not_whole_in_time(make_http: MakeHttp, clock: Clock, begun: bytes):
    async with scripted(stalls(begun)) as server:
        error = await late_failure_of(server, clock, 60, make_http(server.url), retry="idempotent")
        assert isinstance(error, StreamTimeoutError)
        assert "no whole answer came within 60 seconds" in str(error)
        assert "request_timeout in Config" in str(error)
        assert len(server.heads) == 1
        await asyncio.wait_for(server.gone.wait(), 2)


async def test_the_limit_is_configured_and_a_request_may_have_its_own(make_http: MakeHttp, clock: Clock):
    for settings, own in [({"request_timeout": 7}, {}), ({}, {"timeout": 7})]:
        async with scripted(stalls(b"")) as server:
            error = await late_failure_of(server, clock, 7, make_http(server.url, **settings), **own)
        assert isinstance(error, StreamTimeoutError)
        assert error.seconds == 7


async def test_the_limit_is_one_for_all_attempts(make_http: MakeHttp, clock: Clock):
    busy = answer(b"", "429 X", "Retry-After: 0")
    async with scripted(stalls(busy, busy, b"")) as server:
        failing = asyncio.ensure_future(make_http(server.url).fetch(request_to(server.url)))
        for _ in range(3):
            await server.asked.acquire()
            await clock.advance(25)
        with pytest.raises(StreamTimeoutError):
            await asyncio.wait_for(failing, 5)
        assert len(server.heads) == 3


async def test_a_pause_that_would_outlast_the_limit_is_not_begun(make_http: MakeHttp):
    async with scripted(replies(answer(b'{"detail": "busy"}', "429 X", "Retry-After: 50"))) as server:
        error = await failure_of(make_http(server.url), server.url, timeout=40)
        assert isinstance(error, ApiError)
        assert (error.status, error.retry_after) == (429, 50.0)
        assert len(server.heads) == 1


async def test_without_a_retry_after_neither(make_http: MakeHttp):
    async with scripted(replies(answer(b"", "503 X"))) as server:
        error = await failure_of(make_http(server.url), server.url, timeout=0.15, retry="idempotent")
        assert isinstance(error, ApiError)
        assert len(server.heads) == 1


@pytest.mark.parametrize(("timeout", "seconds"), [(12, 6), (None, 10)])  # half of what is left, and 10 at most
async def test_an_error_body_that_stalls_costs_neither_its_status_nor_much_time(
    make_http: MakeHttp, clock: Clock, timeout: float | None, seconds: float
):
    failed = b"HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nthe model burst"
    async with scripted(stalls(failed)) as server:
        error = await late_failure_of(server, clock, seconds, make_http(server.url), timeout=timeout)
    assert isinstance(error, ApiError)
    assert (error.status, error.body) == (500, "the model burst")


async def test_a_body_that_is_not_taken_ends_the_request(make_http: MakeHttp, clock: Clock):
    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield bytes(2**20)

    async with scripted(lambda *_: asyncio.Event().wait()) as server:
        settings = {"method": "PUT", "body": pieces, "stall_timeout": 60}
        error = await late_failure_of(server, clock, 60, make_http(server.url), **settings)
    assert isinstance(error, StreamTimeoutError)
    assert "took no bytes, or gave no answer, for 60 seconds" in str(error)


async def test_a_pause_between_attempts_is_no_stall(make_http: MakeHttp, clock: Clock):
    async with scripted(replies(answer(b"", "503 X", "Retry-After: 50"), answer(b"done"))) as server:
        request = request_to(server.url, stall_timeout=40, retry="idempotent")
        fetching = asyncio.ensure_future(make_http(server.url).fetch(request))
        await server.asked.acquire()
        await clock.advance(51)
        assert await asyncio.wait_for(fetching, 5) == b"done"


# What a failure says of the request


@pytest.mark.parametrize("way", ["cut", "client closed"])
async def test_a_request_that_was_sent_and_not_answered_has_an_unknown_outcome(make_http: MakeHttp, way: str):
    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        if way == "cut":
            writer.close()
        else:
            http.close()

    async with scripted(handler) as server:
        http = make_http(server.url)
        error = await failure_of(http, server.url, method="POST", body=b"{}")
    assert error.outcome_unknown
    assert error.retryable == (way == "cut")


async def test_one_whose_answer_is_late_has_one_too(make_http: MakeHttp, clock: Clock):
    async with scripted(stalls(b"")) as server:
        error = await late_failure_of(server, clock, 60, make_http(server.url), method="POST", body=b"{}")
    assert (error.outcome_unknown, error.retryable) == (True, True)


async def test_a_request_that_was_not_sent_has_a_known_outcome(make_http: MakeHttp, unused_tcp_port: int):
    http = make_http(f"http://127.0.0.1:{unused_tcp_port}", max_attempts=1)
    assert not (await failure_of(http, f"http://127.0.0.1:{unused_tcp_port}")).outcome_unknown


async def test_one_that_is_late_before_it_is_sent_again_has_one_too(clock: Clock):
    asked, second = asyncio.Event(), asyncio.Event()

    async def slow_the_second_time() -> str:
        if asked.is_set():
            second.set()
            await asyncio.Event().wait()
        asked.set()
        return "the-secret-key"

    async with scripted(replies(answer(b"", "429 X", "Retry-After: 0"))) as server:
        config = Config(base_url=server.url)
        http = Http(config, Credentials(slow_the_second_time, config))
        failing = asyncio.ensure_future(http.fetch(request_to(server.url)))
        await second.wait()
        await clock.advance(61)
        with pytest.raises(StreamTimeoutError) as caught:
            await failing
        assert not caught.value.outcome_unknown
        await http.aclose()


async def test_an_answered_request_has_a_known_outcome(make_http: MakeHttp):
    async with scripted(replies(answer(b"", "500 X"))) as server:
        assert not (await failure_of(make_http(server.url), server.url)).outcome_unknown


# Size


@pytest.mark.parametrize("framing", ["length", "chunks", "close", "gzip"])
async def test_an_answer_that_is_read_whole_has_a_size(make_http: MakeHttp, framing: str):
    written = 0

    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        nonlocal written
        block = bytes(2**16)
        match framing:
            case "length":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 600000000\r\n\r\n")
            case "chunks":
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                block = b"10000\r\n" + block + b"\r\n"
            case "close":
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            case _:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
                block = gzip.compress(bytes(2**26))
        while True:
            writer.write(block)
            written += len(block)
            await writer.drain()

    async with scripted(handler) as server:
        error = await failure_of(make_http(server.url, max_body_size=2**20), server.url, retry="idempotent")
        assert isinstance(error, BodyTooLargeError)
        assert (error.size_limit, error.retryable) == (2**20, False)
        assert "max_body_size" in str(error)
        await asyncio.wait_for(server.gone.wait(), 2)
    assert written < 600_000_000 / 4


async def test_an_answer_of_just_the_limit_is_none_too_large(make_http: MakeHttp):
    async with scripted(replies(answer(bytes(1000)))) as server:
        assert len(await make_http(server.url, max_body_size=1000).fetch(request_to(server.url))) == 1000
        error = await failure_of(make_http(server.url, max_body_size=999), server.url)
        assert isinstance(error, BodyTooLargeError)


async def test_of_an_error_only_the_beginning_is_read(make_http: MakeHttp):
    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(b"HTTP/1.1 500 X\r\nContent-Length: 600000000\r\n\r\n")
        while True:
            writer.write(b"x" * 2**16)
            await writer.drain()

    async with scripted(handler) as server:
        error = await failure_of(make_http(server.url), server.url)
        assert isinstance(error, ApiError)
        assert len(error.body) == 2**20
        await asyncio.wait_for(server.gone.wait(), 2)


# What is said of retries


async def test_a_retry_is_logged_on_one_line_with_where_why_and_when(
    make_http: MakeHttp, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    busy = answer(b'{"detail": "the-secret-key\\nis busy"}', "503 X", "Retry-After: 0.01")
    async with scripted(replies(busy, busy, answer(b"done"))) as server:
        await make_http(server.url).fetch(request_to(server.url, retry="idempotent"))
        said = f"*** is busy: try again in a moment (status 503), from 127.0.0.1:{server.port}"
    line = f"owner/alias: trying again in 0.01 seconds, after: {said}"
    assert [(record.name, record.message) for record in caplog.records] == [("rxfal", line)] * 2


async def test_what_is_not_tried_again_logs_no_line(make_http: MakeHttp, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    with stamina.set_testing(True, attempts=10, cap=True):
        async with scripted(replies(answer(b"", "503 X"))) as server:
            await failure_of(make_http(server.url, max_attempts=2), server.url, retry="idempotent")
    assert len(caplog.records) == 1
    caplog.clear()
    async with scripted(replies(answer(b"", "500 X"))) as server:
        await failure_of(make_http(server.url), server.url, retry="idempotent")
    assert caplog.records == []


async def test_staminas_own_line_is_left_to_other_users_of_stamina(caplog: pytest.LogCaptureFixture):
    with stamina.set_testing(True, attempts=2):
        async for attempt in stamina.retry_context(on=TransportError):
            with attempt:
                if attempt.num == 1:
                    raise TransportError("theirs", kind="connection")
    assert [record.name for record in caplog.records] == ["stamina"]
