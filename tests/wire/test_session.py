"""Sessions: one a loop, closed with the client or with its loop, from anywhere, leaving nothing."""

import asyncio
import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rxfal.errors import TransportError
from rxfal.wire.http import Http
from rxfal.wire.session import LoopSession, Sessions
from tests.wire.servers import answer, http_for, replies, request_to, scripted

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"


@contextmanager
def server_in_a_thread(reply: bytes = answer(b"body")) -> Iterator[str]:
    """A server whose loop is not the tests'."""
    ready, stop, url = threading.Event(), asyncio.Event(), ""

    async def main() -> None:
        nonlocal url
        async with scripted(replies(reply)) as server:
            url = server.url
            ready.set()
            await stop.wait()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    ready.wait()
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def session_of(http: Http) -> LoopSession:
    return await http._sessions.get()


async def test_one_session_for_all_requests_of_a_loop(make_http):
    http = make_http("http://127.0.0.1:1")
    one, other = await asyncio.gather(session_of(http), session_of(http))
    assert one is other
    assert one is await session_of(http)


async def test_a_session_has_no_limit_of_connections_and_keeps_no_cookies(make_http):
    http = make_http("http://127.0.0.1:1")
    session = await session_of(http)
    assert session.client.connector is not None
    assert session.client.connector.limit == 0
    assert session.client.connector.limit_per_host == 0
    async with scripted(replies(answer(b"", "200 OK", "Set-Cookie: a=b"))) as server:
        url = f"http://localhost:{server.port}"  # from bare addresses aiohttp takes no cookies anyway
        http = make_http(url)
        await http.fetch(request_to(url))
        await http.fetch(request_to(url))
    assert b"Cookie" not in server.heads[1]


def test_each_loop_has_its_own_session_and_an_ended_one_leaves_nothing():
    with server_in_a_thread() as url:
        http = http_for(url)
        seen: list[weakref.ref[object]] = []

        async def use() -> LoopSession:
            assert await http.fetch(request_to(url)) == b"body"
            session = await session_of(http)
            seen.extend([weakref.ref(session), weakref.ref(session.client), weakref.ref(asyncio.get_running_loop())])
            return session

        for _ in range(2):
            session = asyncio.run(use())
            assert session.client.closed
            del session
        gc.collect()
        assert [ref() for ref in seen] == [None] * 6
        assert not http._sessions._held.sessions
        assert not http._sessions._held._keepers


async def test_a_closed_client_opens_again_when_it_is_used_again(make_http):
    async with scripted(replies(answer(b"body"))) as server:
        http = make_http(server.url)
        for _ in range(2):
            assert await http.fetch(request_to(server.url)) == b"body"
            session = await session_of(http)
            await http.aclose()
            assert session.client.closed
        await http.aclose()


async def test_a_session_closed_by_someone_else_is_replaced(make_http):
    http = make_http("http://127.0.0.1:1")
    first = await session_of(http)
    await first.client.close()
    second = await session_of(http)
    assert second is not first
    assert not second.client.closed


@pytest.mark.parametrize("way", ["close", "aclose"])
async def test_closing_ends_who_still_reads(make_http, way: str):
    async with scripted(replies(CHUNKED)) as server:
        http = make_http(server.url)
        async with http.exchange(request_to(server.url)) as response:
            assert await response.read_chunk() == b"one"
            reading = asyncio.ensure_future(response.read_chunk())
            await asyncio.sleep(0)
            if way == "close":
                http.close()
            else:
                await http.aclose()
            with pytest.raises(TransportError, match=r"the client was closed.*keep it open") as caught:
                await asyncio.wait_for(reading, 2)
            assert (caught.value.kind, caught.value.retryable) == ("connection", False)
        await asyncio.wait_for(server.gone.wait(), 2)


async def test_closing_ends_who_waits_for_headers(make_http):
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        asked.set()
        await reader.read()

    asked = asyncio.Event()
    async with scripted(silent) as server:
        http = make_http(server.url)
        waiting = asyncio.ensure_future(http.fetch(request_to(server.url)))
        await asked.wait()
        await http.aclose()
        with pytest.raises(TransportError, match=r"the client was closed.*keep it open"):
            await asyncio.wait_for(waiting, 2)


def test_close_reaches_a_loop_that_runs_in_another_thread():
    with server_in_a_thread() as url:
        http = http_for(url)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(http.fetch(request_to(url)), loop).result(5)
            session = asyncio.run_coroutine_threadsafe(session_of(http), loop).result(5)
            http.close()
            assert session.client.closed
            asyncio.run_coroutine_threadsafe(http.fetch(request_to(url)), loop).result(5)
            again = asyncio.run_coroutine_threadsafe(session_of(http), loop).result(5)
            asyncio.run(http.aclose())
            assert again.client.closed
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()


def test_close_runs_a_loop_that_rests():
    with server_in_a_thread() as url:
        http = http_for(url)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(http.fetch(request_to(url)))
        session = loop.run_until_complete(session_of(http))
        http.close()
        assert session.client.closed
        loop.close()


@pytest.mark.parametrize("way", ["close", "use elsewhere"])
def test_a_loop_closed_without_a_word_leaves_no_warning_after_close(way: str):
    with server_in_a_thread() as url:
        http = http_for(url)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(http.fetch(request_to(url)))  # its connection is kept, idle
        session = weakref.ref(loop.run_until_complete(session_of(http)).client)
        loop.close()
        if way == "close":
            http.close()
        else:
            asyncio.run(http.fetch(request_to(url)))
        del loop
        gc.collect()  # would warn of an unclosed socket, transport or session, which fails the test
        assert session() is None


async def test_a_dropped_client_closes_what_it_left():
    async with scripted(replies(answer(b"body"))) as server:
        http = http_for(server.url)
        await http.fetch(request_to(server.url))
        del http
        gc.collect()
        await asyncio.wait_for(server.gone.wait(), 2)


async def test_who_closes_a_session_that_is_being_closed_waits_until_it_is(monkeypatch: pytest.MonkeyPatch):
    sessions = Sessions(1.0)
    session = await sessions.get()
    keeper, close, closing, go_on = session.keeper, session.close, list[int](), asyncio.Event()

    async def slowly() -> None:
        closing.append(1)
        await go_on.wait()
        await close()

    monkeypatch.setattr(session, "close", slowly)
    assert keeper is not None
    first = asyncio.ensure_future(sessions.aclose())
    await asyncio.sleep(0)
    second = asyncio.ensure_future(keeper.aclose())  # as the loop does when it shuts down
    for _ in range(5):
        await asyncio.sleep(0)
    assert (closing, first.done(), second.done()) == ([1], False, False)
    go_on.set()
    await asyncio.wait_for(asyncio.gather(first, second), 2)
    assert session.client.closed


async def test_a_closed_session_leaves_the_loop_nothing_to_close():
    sessions = Sessions(1.0)
    keeper = (await sessions.get()).keeper
    assert keeper is not None
    await sessions.aclose()
    assert keeper.ag_frame is None


def test_close_does_not_wait_for_a_busy_loop_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rxfal.wire.session._PATIENCE", 0.05)
    sessions = Sessions(1.0)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    session = asyncio.run_coroutine_threadsafe(sessions.get(), loop).result(5)
    go_on = threading.Event()
    loop.call_soon_threadsafe(go_on.wait)
    sessions.close()
    assert not session.client.closed
    go_on.set()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    assert session.client.closed


EVERY_WAY_TO_END = """
import asyncio, sys, stamina
from rxfal.errors import TransportError
from tests.wire.servers import http_for, request_to

url = sys.argv[1]

async def use(http):
    assert await http.fetch(request_to(url)) == b"body"

async def leave_open(http):
    exchange = http.exchange(request_to(url))
    await exchange.__aenter__()
    kept.append(exchange)

async def close_inside(http):
    await use(http)
    http.close()

async def refused():
    try:
        await http_for("http://127.0.0.1:1").fetch(request_to("http://127.0.0.1:1"))
    except TransportError:
        return  # after retries, which are not reported on stderr

def by_hand(http):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(use(http))
    loop.close()

kept = []
stamina.set_testing(True, attempts=3)
asyncio.run(refused())
http = http_for(url)
asyncio.run(use(http))
asyncio.run(use(http))
asyncio.run(close_inside(http))
by_hand(http)
http.close()
asyncio.run(use(http_for(url)))  # a client that is dropped
asyncio.run(leave_open(http))  # a response that is left open
by_hand(http)  # a client that is still there at exit, with a loop that was closed without a word
"""


CLOSED_BY_HAND = """
import asyncio, sys
from tests.wire.servers import http_for, request_to

url = sys.argv[1]
http = http_for(url)
loop = asyncio.new_event_loop()
loop.run_until_complete(http.fetch(request_to(url)))
loop.close()
"""


@pytest.mark.parametrize("script", [EVERY_WAY_TO_END, CLOSED_BY_HAND], ids=["every way", "a loop closed by hand"])
def test_no_way_to_end_leaves_a_warning(script: str):
    with server_in_a_thread() as url:
        command = [sys.executable, "-X", "dev", "-W", "error", "-c", script, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


EXIT_WITH_A_RUNNING_LOOP = """
import asyncio, atexit, sys, threading
from tests.wire.servers import http_for, request_to

url = sys.argv[1]

async def open_one():
    exchange = http.exchange(request_to(url))
    response = await exchange.__aenter__()
    await response.read_chunk()
    kept.append(exchange)
    reading.append(asyncio.ensure_future(response.read_chunk()))

async def end():
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    print("reads on" if not reading[0].done() else reading[0].exception())
    reading[0].cancel()
    await kept[0].__aexit__(None, None, None)

def close_the_loop():  # as who runs a loop in a thread does at exit; registered first, so it runs last
    asyncio.run_coroutine_threadsafe(end(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()

kept, reading = [], []
atexit.register(close_the_loop)
loop = asyncio.new_event_loop()
thread = threading.Thread(target=loop.run_forever, daemon=True)
thread.start()
http = http_for(url)
asyncio.run_coroutine_threadsafe(open_one(), loop).result()
"""


def test_at_exit_a_loop_that_still_runs_is_left_to_who_runs_it():
    with server_in_a_thread(CHUNKED) as url:
        command = [sys.executable, "-X", "dev", "-W", "error", "-c", EXIT_WITH_A_RUNNING_LOOP, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "reads on\n", "")
