"""The connection where it differs from aiohttp's: broken bytes, bytes that nobody asked for, and requests half sent."""

import asyncio
import socket
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import AsyncIterator, Callable, Iterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.client_proto import ResponseHandler

from rxfal.errors import ApiError, FalError, TransportError
from rxfal.wire import connection
from rxfal.wire.connection import Connection
from rxfal.wire.http import Http
from rxfal.wire.session import LoopSession, Sessions
from tests.wire.conftest import Clock
from tests.wire.servers import Handler, answer, request_to, scripted

MakeHttp = Callable[..., Http]
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OTHER = answer(b"another's")


@pytest.fixture
async def session() -> AsyncIterator[LoopSession]:
    sessions = Sessions(5.0)
    yield await sessions.get()
    await sessions.aclose()


async def test_this_aiohttp_is_one_that_the_connection_was_written_for(session: LoopSession) -> None:
    assert session.client.connector is not None
    factory = session.client.connector._factory
    assert isinstance(factory(), Connection)
    assert session.client._retry_connection is False


@pytest.mark.parametrize("names", ["_USED_OF_CONNECTIONS", "_USED_OF_BODIES"])
async def test_with_an_aiohttp_that_lacks_a_name_its_own_connection_stays(
    monkeypatch: pytest.MonkeyPatch, names: str
) -> None:
    monkeypatch.setattr(connection, names, ("_renamed_since",))
    sessions = Sessions(5.0)
    session = await sessions.get()
    assert session.client.connector is not None
    assert type(session.client.connector._factory()) is aiohttp.client_proto.ResponseHandler
    await sessions.aclose()


async def test_a_websocket_passes_through(session: LoopSession) -> None:
    async def echo(request: web.BaseRequest) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("hello")  # which comes along with the head
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    runner = web.ServerRunner(web.Server(echo))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with session.client.ws_connect(f"ws://127.0.0.1:{runner.addresses[0][1]}/") as talk:
        assert await talk.receive_str() == "hello"
        for word in ("one", "two" * 50_000):
            await talk.send_str(word)
            assert await talk.receive_str() == word
    await runner.cleanup()


# Bytes that are no HTTP


@pytest.mark.parametrize("junk", [b"zz\r\n", b"5\r\nsixsix\r\n", b"-1\r\n", b"fffffffffffffffff\r\n"])
async def test_broken_chunks_end_the_body_after_what_had_come(make_http: MakeHttp, junk: bytes) -> None:
    go_on = asyncio.Event()

    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(CHUNKED + b"5\r\nfirst\r\n")
        await go_on.wait()
        writer.write(junk)
        await reader.read()

    async with scripted(handler) as server, make_http(server.url).exchange(request_to(server.url)) as response:
        assert await response.read_chunk() == b"first"
        go_on.set()
        with pytest.raises(TransportError, match="not proper HTTP"):
            while await asyncio.wait_for(response.read_chunk(), 2):
                pass
    assert server.gone.is_set()


async def test_broken_chunks_that_come_with_the_head_are_an_error_too(make_http: MakeHttp) -> None:
    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(CHUNKED + b"5\r\nfirst\r\nzz\r\n")
        await reader.read()

    async with scripted(handler) as server, make_http(server.url).exchange(request_to(server.url)) as response:
        assert await response.read_chunk() == b"first"
        with pytest.raises(TransportError, match="not proper HTTP"):
            await asyncio.wait_for(response.read_chunk(), 2)


async def test_broken_chunks_end_the_body_while_the_request_is_still_being_sent(make_http: MakeHttp) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 2**20

    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(CHUNKED + b"5\r\nfirst\r\nzz\r\n")
        await asyncio.Event().wait()

    async with scripted(handler) as server:
        request = request_to(server.url, method="POST", body=pieces)
        async with make_http(server.url).exchange(request) as response:
            assert await response.read_chunk() == b"first"
            with pytest.raises(TransportError):
                await asyncio.wait_for(response.read_chunk(), 2)


async def test_informational_responses_come_before_the_answer(make_http: MakeHttp) -> None:
    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 3000 + b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        await writer.drain()
        writer.write(answer(b"body"))

    async with scripted(handler) as server:
        http = make_http(server.url)
        for _ in range(2):
            assert await http.fetch(request_to(server.url)) == b"body"
    assert server.connections == 1


async def test_the_parser_is_asked_to_go_on_only_where_it_was_stopped(
    make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed: list[int] = []
    received = ResponseHandler.data_received
    monkeypatch.setattr(
        ResponseHandler, "data_received", lambda self, data: fed.append(len(data)) or received(self, data)
    )

    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(CHUNKED + b"1\r\nx\r\n" * 10_000 + b"%x\r\n" % 2**21 + bytes(2**21) + b"\r\n0\r\n\r\n")

    async with scripted(handler) as server:
        assert len(await make_http(server.url).fetch(request_to(server.url))) == 10_000 + 2**21
    assert fed.count(0) < 100  # aiohttp asks after every chunk
    assert sum(1 for size in fed if size) < 1000


# Bodies


async def test_a_body_in_small_chunks_is_held_back_while_nobody_reads_and_is_whole_in_the_end(
    make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused, pause = asyncio.Event(), Connection.pause_reading
    monkeypatch.setattr(Connection, "pause_reading", lambda self: paused.set() or pause(self))
    pieces = [b"%7d" % number for number in range(300_000)]

    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(CHUNKED + b"".join(b"7\r\n%b\r\n" % piece for piece in pieces) + b"0\r\n\r\n")

    async with scripted(handler) as server, make_http(server.url).exchange(request_to(server.url)) as response:
        await asyncio.wait_for(paused.wait(), 5)
        assert response._content._size < 600_000
        assert await response.read() == b"".join(pieces)


@pytest.mark.parametrize("failure", [None, ConnectionResetError()], ids=["cleanly", "by a reset"])
async def test_a_full_body_is_whole_when_its_connection_ends_with_its_last_bytes(failure: Exception | None) -> None:
    connection = Connection(asyncio.get_running_loop())
    connection.connection_made(asyncio.Transport())
    connection.set_response_params(read_until_eof=True, auto_decompress=False)
    connection.data_received(CHUNKED + b"3e8\r\n%b\r\n" % (b"x" * 1000) * 1000 + b"0\r\n\r\n")
    _, body = await connection.read()
    assert connection._reading_paused  # with the larger part still in the parser
    connection.connection_lost(failure)  # as TLS does at once, when the end came with these bytes
    assert await body.read() == b"x" * 1_000_000


async def test_a_chunk_that_comes_in_two_reads_is_handed_on_as_it_comes(make_http: MakeHttp) -> None:
    go_on = asyncio.Event()

    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(CHUNKED + b"a\r\nfirst")
        await go_on.wait()
        writer.write(b" half\r\n0\r\n\r\n")

    async with scripted(handler) as server, make_http(server.url).exchange(request_to(server.url)) as response:
        assert await response.read_chunk() == b"first"
        go_on.set()
        assert await response.read_chunk() == b" half"
        assert await response.read_chunk() == b""
        assert type(response._content) is connection.Body


# Bytes that nobody asked for


def first_then_right(first: bytes, after: Callable[[Writer], object] = lambda writer: None) -> Handler:
    """A handler that answers the first request with these bytes, and all others rightly."""
    answers = [first]

    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(answers.pop() if answers else answer(b"mine"))
        after(writer)

    return handler


WHOLE = {
    "with a length": answer(b"mine"),
    "in chunks": CHUNKED + b"4\r\nmine\r\n0\r\n\r\n",
    "without a body": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "then closing": answer(b"mine", "200 OK", "Connection: close"),
}
MORE = {
    "another answer": OTHER,
    "half an answer": OTHER[:20],
    "a word of one": b"HTT",
    "junk": b"junk\r\n\r\n",
    "a bad head": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
    "half a bad head": b"HTTP/1.1 200 OK\r\nSec-WebSocket-Key1: x\r\nA: b\r\n",
}


@pytest.mark.parametrize("more", MORE.values(), ids=MORE)
@pytest.mark.parametrize("whole", WHOLE.values(), ids=WHOLE)
async def test_what_follows_a_whole_answer_leaves_it_alone_and_answers_no_other_request(
    make_http: MakeHttp, whole: bytes, more: bytes
) -> None:
    async with scripted(first_then_right(whole + more)) as server:
        http = make_http(server.url)
        first = await asyncio.wait_for(http.fetch(request_to(server.url)), 2)
        assert first == (b"mine" if b"mine" in whole else b"")
        assert await asyncio.wait_for(http.fetch(request_to(server.url)), 2) == b"mine"
    assert server.connections == 2


async def test_what_follows_a_change_of_protocol_answers_no_other_request(make_http: MakeHttp) -> None:
    async with scripted(first_then_right(b"HTTP/1.1 101 X\r\n\r\n" + OTHER)) as server:
        http = make_http(server.url)
        with pytest.raises(ApiError):
            await http.fetch(request_to(server.url))
        assert await http.fetch(request_to(server.url)) == b"mine"
    assert server.connections == 2


async def test_what_follows_the_end_of_a_body_answers_no_other_request(make_http: MakeHttp) -> None:
    end = asyncio.Event()

    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        if server.connections > 1:
            writer.write(answer(b"mine"))
            return
        writer.write(CHUNKED + b"2\r\nmi\r\n")
        await end.wait()
        writer.write(b"2\r\nne\r\n0\r\n\r\n" + OTHER)

    async with scripted(handler) as server:
        http = make_http(server.url)
        async with http.exchange(request_to(server.url)) as response:
            assert await response.read_chunk() == b"mi"
            end.set()
            assert await response.read() == b"ne"
        assert await http.fetch(request_to(server.url)) == b"mine"
    assert server.connections == 2


@pytest.mark.parametrize("seen", [True, False], ids=["the loop has seen it", "the loop has not seen it yet"])
@pytest.mark.parametrize("more", [OTHER, OTHER[:20], b""], ids=["an answer", "half of one", "the end"])
async def test_what_comes_while_a_connection_rests_answers_no_request(
    make_http: MakeHttp, seen: bool, more: bytes
) -> None:
    resting: list[Writer] = []
    async with scripted(first_then_right(answer(b"mine"), resting.append)) as server:
        http = make_http(server.url)
        assert await http.fetch(request_to(server.url)) == b"mine"
        raw = resting[0].get_extra_info("socket")._sock
        raw.send(more) if more else raw.shutdown(socket.SHUT_WR)  # on loopback it is there when this returns
        if seen:
            for _ in range(5):
                await asyncio.sleep(0)
        request = request_to(server.url, method="POST", body=b"{}")  # which is not sent twice
        assert await asyncio.wait_for(http.fetch(request), 2) == b"mine"
    assert server.connections == 2


# Requests half sent


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    """A server that reads nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


SIZE = 50 * 2**20


@pytest.mark.parametrize("way", ["cancel", "aclose", "timeout"])
@pytest.mark.parametrize("kind", ["bytes", "pieces"])
async def test_a_request_that_is_left_half_sent_is_dropped_at_once(
    make_http: MakeHttp, deaf: socket.socket, clock: Clock, way: str, kind: str
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(0, SIZE, 2**20):
            yield b"x" * 2**20

    url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
    http = make_http(url)
    body = bytes(SIZE) if kind == "bytes" else pieces
    request = request_to(url, method="POST", body=body, content_length=SIZE)
    sending = asyncio.ensure_future(http.fetch(request))
    while (transport := one_that_waits_to_send(await http._sessions.get())) is None:
        assert not sending.done()
        await asyncio.sleep(0)
    connection = transport.get_extra_info("socket")
    if way == "cancel":
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
    elif way == "aclose":
        await http.aclose()
        with pytest.raises(FalError):
            await sending
    else:
        await clock.advance(61)
        with pytest.raises(TimeoutError):
            await sending
    await asyncio.sleep(0)
    assert connection.fileno() == -1


def one_that_waits_to_send(session: LoopSession) -> asyncio.Transport | None:
    assert session.client.connector is not None
    transports = [connection.transport for connection in session.client.connector._acquired]
    return next((each for each in transports if each is not None and each.get_write_buffer_size()), None)
