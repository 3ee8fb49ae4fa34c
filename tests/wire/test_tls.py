"""Over TLS: a company's own CA, and the backup hosts of fal, which only a certificate for their names can play."""

import asyncio
import errno
import logging
import socket
import ssl
import tracemalloc
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from asyncio import sslproto
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
import stamina
import trustme
from pydantic import SecretStr

from rxfal.errors import ApiError, TransportError
from rxfal.wire import connector
from rxfal.wire.config import Config
from rxfal.wire.connector import Connector, connector_of_this_loop
from rxfal.wire.credentials import Credentials
from rxfal.wire.http import Http
from tests.hidden import assert_hidden
from tests.loops import LOOPS, LoopFactory
from tests.wire.servers import answer, request_to

KEY = "the-secret-key"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


class Secure:
    """A TLS server on loopback that notes what it is sent, and gives one answer."""

    def __init__(self, port: int, reply: bytes) -> None:
        self.port = port
        self.reply = reply
        self.requests: list[bytes] = []


@asynccontextmanager
async def secure(authority: trustme.CA, *names: str, reply: bytes = b"") -> AsyncIterator[Secure]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)

    async def serve(reader: Reader, writer: Writer) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        server.requests.append(head + await reader.readexactly(int(length or b"0")))
        writer.write(server.reply)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as listener:
        server = Secure(listener.sockets[0].getsockname()[1], reply or answer(b"done"))
        yield server


@asynccontextmanager
async def connections(context: ssl.SSLContext | None, **settings: Any) -> AsyncIterator[Http]:
    config = Config(ssl_context=context, **settings)
    http = Http(config, Credentials(KEY, config))
    try:
        yield http
    finally:
        await http.aclose()


# A company's own CA


async def test_a_ca_of_ones_own_is_trusted_where_it_is_named(authority: trustme.CA, trusting: ssl.SSLContext):
    async with secure(authority, "127.0.0.1") as server:
        url = f"https://127.0.0.1:{server.port}"
        async with connections(trusting, base_url=url) as http:
            assert await http.fetch(request_to(url)) == b"done"
        assert f"Authorization: Key {KEY}\r\n".encode() in server.requests[0]


async def test_a_ca_that_is_not_named_is_a_tls_error_that_says_where_to_name_it(authority: trustme.CA):
    async with secure(authority, "127.0.0.1") as server:
        url = f"https://127.0.0.1:{server.port}"
        async with connections(None, base_url=url) as http:
            with pytest.raises(TransportError, match=r"Config\(ssl_context=") as caught:
                await http.fetch(request_to(url))
    assert caught.value.kind == "tls"
    assert server.requests == []
    assert_hidden(caught.value, KEY)


async def test_a_certificate_for_another_name_is_refused(authority: trustme.CA, trusting: ssl.SSLContext):
    async with secure(authority, "other.test") as server:
        url = f"https://127.0.0.1:{server.port}"
        async with connections(trusting, base_url=url) as http:
            with pytest.raises(TransportError) as caught:
                await http.fetch(request_to(url))
    assert caught.value.kind == "tls"


def test_what_is_no_context_is_refused():
    with pytest.raises(ValueError, match="ssl_context"):
        Config(ssl_context="company.pem")  # pyright: ignore[reportArgumentType]


# Memory


@pytest.fixture
async def deaf() -> AsyncIterator[socket.socket]:
    """A server that takes connections, and answers nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=32) as listener:
        listener.setblocking(False)
        yield listener


async def test_handshakes_under_way_share_the_buffer_that_they_receive_into(
    deaf: socket.socket, trusting: ssl.SSLContext
):
    loop, url = asyncio.get_running_loop(), f"https://127.0.0.1:{deaf.getsockname()[1]}"
    async with connections(trusting, base_url=url) as http, AsyncExitStack() as begun:
        await http._sessions.get()
        tracemalloc.start()
        begun.callback(tracemalloc.stop)
        answers = [asyncio.ensure_future(http.fetch(request_to(url))) for _ in range(20)]
        for _ in answers:
            connection, _ = await loop.sock_accept(deaf)
            begun.enter_context(connection)
            assert await loop.sock_recv(connection, 1)
        memory, _ = tracemalloc.get_traced_memory()
        assert memory < 20 * 2**17  # asyncio's own buffers would be 20 times 256 KiB
        for answer in answers:
            answer.cancel()
        await asyncio.wait(answers)


async def test_what_comes_at_once_on_many_connections_is_not_mixed_up(authority: trustme.CA, trusting: ssl.SSLContext):
    bodies = [name.encode() * 100_000 for name in ("one", "other")]
    async with (
        secure(authority, "127.0.0.1", reply=answer(bodies[0])) as one,
        secure(authority, "127.0.0.1", reply=answer(bodies[1])) as other,
        connections(trusting) as http,
    ):
        requests = [request_to(f"https://127.0.0.1:{server.port}", auth=False) for server in (one, other) * 10]
        assert await asyncio.gather(*map(http.fetch, requests)) == bodies * 10


async def test_this_aiohttp_and_this_asyncio_are_those_that_the_connector_was_written_for(trusting: ssl.SSLContext):
    made = connector_of_this_loop(trusting)
    assert type(made) is Connector
    assert {"_ssl_buffer", "_ssl_buffer_view"} <= set(sslproto.SSLProtocol.__init__.__code__.co_names)
    await made.close()


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("known", [True, False], ids=["", "with another aiohttp"])
def test_every_loop_and_another_aiohttp_have_tls(
    authority: trustme.CA, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, loop: LoopFactory, known: bool
):
    async def main() -> None:
        async with secure(authority, "127.0.0.1") as server:
            url = f"https://127.0.0.1:{server.port}"
            async with connections(trusting, base_url=url) as http:
                assert await http.fetch(request_to(url)) == b"done"

    if not known:
        monkeypatch.setattr(connector, "_OVERRIDDEN", ("_renamed_since",))
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())


async def test_a_handshake_that_does_not_end_is_a_timeout(deaf: socket.socket, trusting: ssl.SSLContext):
    url = f"https://127.0.0.1:{deaf.getsockname()[1]}"
    async with connections(trusting, base_url=url, connect_timeout=0.1) as http:
        with pytest.raises(TransportError) as caught:
            await http.fetch(request_to(url))
    assert caught.value.kind == "timeout"
    assert not caught.value.outcome_unknown


async def test_tls_goes_through_a_proxy(
    authority: trustme.CA, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
):
    async def pump(reader: Reader, writer: Writer) -> None:
        while data := await reader.read(2**16):
            writer.write(data)
        writer.close()

    async def tunnel(reader: Reader, writer: Writer) -> None:
        host, _, port = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode().partition(":")
        there = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer), return_exceptions=True)

    async with (
        secure(authority, "127.0.0.1", reply=answer(b"done" * 100_000)) as server,
        await asyncio.start_server(tunnel, "127.0.0.1", 0) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        async with connections(trusting, base_url=f"https://127.0.0.1:{server.port}") as http:
            requests = [request_to(f"https://127.0.0.1:{server.port}") for _ in range(5)]
            assert await asyncio.gather(*map(http.fetch, requests)) == [b"done" * 100_000] * 5


# Backup hosts


def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@asynccontextmanager
async def unanswering_port() -> AsyncIterator[int]:
    """A port where connecting takes for ever: its queue is full."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        try:
            yield full.getsockname()[1]
        finally:
            for filler in fillers:
                filler.close()


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> dict[str, int | None]:
    """Where each host name leads on this machine; what is not in it, or is None, is unknown to the DNS."""
    known: dict[str, int | None] = {}

    async def resolve(connector: Any, host: str, port: int, traces: Any = None) -> list[dict[str, Any]]:
        if known.get(host) is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        place = {"host": "127.0.0.1", "port": known[host], "family": socket.AF_INET, "proto": 0, "flags": 0}
        return [{"hostname": host, **place}]

    monkeypatch.setattr(aiohttp.TCPConnector, "_resolve_host", resolve)
    return known


@pytest.fixture(autouse=True)
def one_attempt() -> Any:
    with stamina.set_testing(True, attempts=1):
        yield


@pytest.mark.parametrize("host", ["fal.run", "queue.fal.run"])
@pytest.mark.parametrize("failure", ["dns", "refused", "timeout"])
async def test_where_fal_can_not_be_reached_its_backup_host_is(
    authority: trustme.CA,
    trusting: ssl.SSLContext,
    ports: dict[str, int | None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: str,
    host: str,
):
    monkeypatch.setattr("rxfal.wire.http._BACKUP_AFTER", 0.1)
    backup = host.replace("fal.run", "falrun.com")
    async with secure(authority, backup) as server, unanswering_port() as unanswering:
        ports[backup] = server.port
        ports[host] = {"dns": None, "refused": unused_port(), "timeout": unanswering}[failure]
        async with connections(trusting) as http:
            request = request_to(f"https://{host}", method="POST", body=b'{"prompt": "x"}')
            request.url = request.url.with_query(fal_webhook="https://mine.example/hook")
            async with asyncio.timeout(10):  # and not after the 30 seconds of connect_timeout
                assert await http.fetch(request) == b"done"
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /owner/alias?fal_webhook=https://mine.example/hook HTTP/1.1\r\n")
    assert f"Host: {backup}".encode() in head
    assert f"Authorization: Key {KEY}".encode() in head
    assert body == b'{"prompt": "x"}'
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(lines) == 1
    assert lines[0].startswith("owner/alias: ")
    assert host in lines[0]
    assert lines[0].endswith(f"trying {backup}")
    assert "mine.example" not in lines[0]


async def test_a_body_in_pieces_is_begun_anew_at_the_backup_host(
    authority: trustme.CA, trusting: ssl.SSLContext, ports: dict[str, int | None]
):
    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b"def"

    async with secure(authority, "falrun.com") as server, connections(trusting) as http:
        ports |= {"fal.run": unused_port(), "falrun.com": server.port}
        await http.fetch(request_to("https://fal.run", method="PUT", body=pieces, content_length=6))
    assert server.requests[0].endswith(b"\r\n\r\nabcdef")


async def test_when_neither_can_be_reached_fals_own_error_counts(
    trusting: ssl.SSLContext, ports: dict[str, int | None]
):
    ports["fal.run"] = unused_port()
    async with connections(trusting) as http:
        with pytest.raises(TransportError, match=r"refused: nothing is listening at fal\.run:443") as caught:
            await http.fetch(request_to("https://fal.run"))
    assert caught.value.kind == "refused"
    assert not caught.value.outcome_unknown
    assert_hidden(caught.value, KEY)


async def test_an_error_of_the_backup_host_counts(
    authority: trustme.CA, trusting: ssl.SSLContext, ports: dict[str, int | None]
):
    reply = answer(b'{"detail": "no such key: the-secret-key"}', "401 Unauthorized")
    async with secure(authority, "falrun.com", reply=reply) as server, connections(trusting) as http:
        ports["falrun.com"] = server.port
        with pytest.raises(ApiError, match="refused the key") as caught:
            await http.fetch(request_to("https://fal.run"))
    assert_hidden(caught.value, KEY)


@pytest.mark.parametrize("reply", [answer(b"", "500 Oops"), answer(b"", "302 Found", "Location: /x"), b"HTTP/1.1 200"])
async def test_once_fal_was_reached_its_backup_host_is_not_called(
    authority: trustme.CA, trusting: ssl.SSLContext, ports: dict[str, int | None], reply: bytes
):
    async with (
        secure(authority, "fal.run", reply=reply) as fal,
        secure(authority, "falrun.com") as backup,
        connections(trusting) as http,
    ):
        ports |= {"fal.run": fal.port, "falrun.com": backup.port}
        with pytest.raises((ApiError, TransportError)):
            await http.fetch(request_to("https://fal.run", method="POST", body=b"{}"))
    assert len(fal.requests) == 1
    assert backup.requests == []


async def test_a_connection_that_times_out_after_the_request_was_sent_leads_to_no_other_host(
    authority: trustme.CA,
    trusting: ssl.SSLContext,
    ports: dict[str, int | None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    async def lost(response: aiohttp.ClientResponse, connection: object) -> None:
        raise OSError(errno.ETIMEDOUT, "Connection timed out")

    monkeypatch.setattr(aiohttp.ClientResponse, "start", lost)
    async with (
        secure(authority, "fal.run") as fal,
        secure(authority, "falrun.com") as backup,
        connections(trusting) as http,
    ):
        ports |= {"fal.run": fal.port, "falrun.com": backup.port}
        with pytest.raises(TransportError) as caught:
            await http.fetch(request_to("https://fal.run", method="POST", body=b"{}"))
    assert (caught.value.kind, caught.value.outcome_unknown) == ("timeout", True)
    assert "trying" not in caplog.text


async def test_a_wrong_certificate_leads_to_no_other_host(
    authority: trustme.CA, trusting: ssl.SSLContext, ports: dict[str, int | None]
):
    async with (
        secure(authority, "evil.test") as evil,
        secure(authority, "falrun.com") as backup,
        connections(trusting) as http,
    ):
        ports |= {"fal.run": evil.port, "falrun.com": backup.port}
        with pytest.raises(TransportError) as caught:
            await http.fetch(request_to("https://fal.run"))
    assert caught.value.kind == "tls"
    assert evil.requests == backup.requests == []


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("https://fal.run", {"run_url": "https://gateway.example"}),
        ("https://fal.run", {"base_url": "http://127.0.0.1:8600"}),
        ("https://queue.fal.run", {"queue_url": "https://gateway.example"}),
        ("https://fal.run:8443", {}),
        ("http://fal.run", {}),
        ("https://rest.fal.ai", {}),
        ("https://gateway.fal.run", {}),
    ],
)
async def test_other_servers_have_no_backup_host(
    trusting: ssl.SSLContext, ports: dict[str, int | None], url: str, settings: dict[str, str]
):
    ports |= {host: unused_port() for host in ("falrun.com", "queue.falrun.com")}
    async with connections(trusting, **settings) as http:
        with pytest.raises(TransportError) as caught:
            await http.fetch(request_to(url))
    assert caught.value.kind == "dns"


async def test_behind_a_fal_proxy_the_proxy_is_what_can_not_be_reached(
    authority: trustme.CA, trusting: ssl.SSLContext, ports: dict[str, int | None], caplog: pytest.LogCaptureFixture
):
    async with secure(authority, "falrun.com") as backup, connections(trusting, proxy_url="https://mine.test") as http:
        ports["falrun.com"] = backup.port
        with pytest.raises(TransportError, match=r"mine\.test"):
            await http.fetch(request_to("https://fal.run"))
    assert backup.requests == []
    assert "trying" not in caplog.text


async def test_with_a_token_the_backup_host_gets_it(
    authority: trustme.CA, trusting: ssl.SSLContext, ports: dict[str, int | None]
):
    async with secure(authority, "falrun.com") as backup, connections(trusting) as http:
        ports["falrun.com"] = backup.port
        await http.fetch(request_to("https://fal.run", token=SecretStr("a-long-token")))
    assert b"?fal_jwt_token=a-long-token " in backup.requests[0]
    assert b"Authorization" not in backup.requests[0]


async def test_leaving_a_response_early_closes_its_connection_at_once(authority: trustme.CA, trusting: ssl.SSLContext):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)

    async def serve(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await reader.read()  # what a client says at the end, it waits for in vain
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as listener:
        url = f"https://localhost:{listener.sockets[0].getsockname()[1]}"
        async with connections(trusting, base_url=url) as http:
            async with http.exchange(request_to(url)) as response:
                assert await response.read_chunk() == b"one"
                (connection,) = (await http._sessions.get()).client.connector._acquired
                raw = connection.transport.get_extra_info("socket")
            await asyncio.sleep(0)
            assert raw.fileno() == -1
