"""What TLS connections share, and how many shake hands at once."""

import asyncio
import ssl
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
import trustme

from rxfal.errors import TransportError
from rxfal.wire import tls
from rxfal.wire.config import Config
from rxfal.wire.credentials import Credentials
from rxfal.wire.http import Http
from tests.wire.servers import answer, request_to
from tests.wire.test_tls import secure


def test_aiohttp_has_the_hook_that_is_used():
    assert "_create_connection" in vars(aiohttp.TCPConnector)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def http_to(port: int, authority: trustme.CA, **options: Any) -> Http:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    config = Config(base_url=f"https://localhost:{port}", ssl_context=context, **options)
    return Http(config, Credentials(None, config))


async def test_the_connections_of_a_loop_receive_into_one_buffer(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
):
    buffers: list[Any] = []
    share_buffer = tls.share_buffer

    def noting(loop: asyncio.AbstractEventLoop, transport: Any) -> None:
        share_buffer(loop, transport)
        buffers.append(transport._ssl_protocol._ssl_buffer)

    monkeypatch.setattr(tls, "share_buffer", noting)
    async with secure(authority, "localhost", reply=answer(b"done")) as server:
        http = http_to(server.port, authority)
        for _ in range(2):  # the server closes each connection
            assert await http.fetch(request_to(f"https://localhost:{server.port}/")) == b"done"
        await http.aclose()
    assert len(buffers) == 2
    assert buffers[0] is buffers[1]
    assert len(buffers[0]) >= 2**18  # asyncio's own, under the names that are used


def test_two_loops_have_two_buffers():
    loops = [asyncio.new_event_loop(), asyncio.new_event_loop()]
    connections = [SimpleNamespace(_ssl_buffer=bytearray(8), _ssl_buffer_view=None) for _ in range(4)]
    for index, connection in enumerate(connections):
        tls.share_buffer(loops[index % 2], cast(Any, SimpleNamespace(_ssl_protocol=connection)))
    for loop in loops:
        loop.close()
    one, other, one_again, other_again = (connection._ssl_buffer for connection in connections)
    assert one is one_again
    assert other is other_again
    assert one is not other
    assert all(connection._ssl_buffer_view.obj is connection._ssl_buffer for connection in connections)


async def test_more_handshakes_with_a_host_than_the_limit_wait_while_they_connect(
    authority: trustme.CA,
):
    arrived: list[asyncio.Task[Any] | None] = []
    full = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.append(asyncio.current_task())
        if len(arrived) == tls._HANDSHAKES:
            full.set()
        with suppress(OSError):
            await reader.read()  # until the client has given up
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    http = http_to(port, authority, connect_timeout=0.5, max_attempts=1)
    url = f"https://localhost:{port}/"
    requests = [asyncio.ensure_future(http.fetch(request_to(url))) for _ in range(tls._HANDSHAKES + 4)]
    await asyncio.wait_for(full.wait(), 10)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(arrived) == tls._HANDSHAKES
    errors = await asyncio.gather(*requests, return_exceptions=True)
    assert {type(error) for error in errors} == {TransportError}
    await http.aclose()
    server.close()
    for _ in range(50):  # those that came last may still be on their way to the handler
        await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(*filter(None, arrived)), 10)
    await server.wait_closed()
