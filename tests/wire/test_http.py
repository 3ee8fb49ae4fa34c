"""Requests over real sockets: what goes out, what comes back, what breaks, what is tried again."""

import asyncio
import logging
import socket
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stamina
from aioresponses import aioresponses
from pydantic import SecretStr
from yarl import URL

from rxfal.errors import ApiError, CredentialsError, FalError, StreamTimeoutError, TransportError, ValidationError
from rxfal.wire.config import Config, address_of
from rxfal.wire.credentials import Credential, Credentials
from rxfal.wire.http import Http, Request
from rxfal.wire.login import PostForm
from rxfal.wire.masking import Secrets
from rxfal.wire.masking import SecretStr as Hidden
from rxfal.wire.request import redirected
from tests.hidden import assert_hidden
from tests.wire.servers import answer, replies, request_to, scripted

MakeHttp = Callable[..., Http]
NGINX = b"<html><head><title>Bad Gateway</title></head><body><hr><center>nginx</center></body></html>"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\nX-Fal-Request-Id: r-1\r\n\r\n"
)


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """Retries without their pauses, and with all of their attempts."""
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


async def test_an_answer_that_is_well_is_not_looked_through_for_secrets(
    make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delattr(Secrets, "mask")  # it takes as long as the parsing of a hundred events
    async with scripted(replies(answer(b"body", "200 OK", "X-Fal-Request-Id: r-1"))) as server:
        assert await make_http(server.url).fetch(request_to(server.url)) == b"body"


async def test_an_open_response_has_its_headers_once(make_http: MakeHttp):
    async with (
        scripted(replies(answer(b"body", "200 OK", "X-Fal-Request-Id: r-1"))) as server,
        make_http(server.url).exchange(request_to(server.url)) as response,
    ):
        assert response.headers["X-Fal-Request-Id"] == "r-1"
        assert not response._raw.raw_headers  # aiohttp's second copy


async def test_the_key_and_the_user_agent_go_out_and_the_response_comes_back(make_http: MakeHttp):
    async with scripted(
        replies(answer(b"body", "200 OK", "X-Fal-Request-Id: r-1", "Content-Type: Text/Plain; a=b"))
    ) as server:
        http = make_http(server.url)
        async with http.exchange(request_to(server.url)) as response:
            assert (response.status, response.request_id, response.content_type) == (200, "r-1", "text/plain")
            assert response.headers["x-fal-request-id"] == "r-1"
            assert await response.read() == b"body"
            assert await response.read_chunk() == b""
    assert b"GET /owner/alias HTTP/1.1" in server.heads[0]
    assert b"Authorization: Key the-secret-key\r\n" in server.heads[0]
    assert b"User-Agent: rxfal/" in server.heads[0]


async def test_the_callers_headers_win(make_http: MakeHttp):
    async with scripted(replies(answer())) as server:
        await make_http(server.url).fetch(request_to(server.url, headers={"user-agent": "mine", "X-A": "1"}))
    assert b"user-agent: mine" in server.heads[0]
    assert b"rxfal/" not in server.heads[0]
    assert b"X-A: 1" in server.heads[0]


@pytest.mark.parametrize("key", ["", None])
async def test_without_a_key_nothing_is_sent_and_a_401_says_where_to_put_one(make_http: MakeHttp, key: str | None):
    async with scripted(replies(answer(b'{"detail": "Authentication is required"}', "401 Unauthorized"))) as server:
        with pytest.raises(ApiError, match=r"no FAL_KEY was found.*fal\.ai/dashboard/keys") as caught:
            await make_http(server.url, key).fetch(request_to(server.url))
    assert caught.value.status == 401
    assert b"Authorization" not in server.heads[0]


async def test_a_request_without_auth_carries_no_key(make_http: MakeHttp):
    async with scripted(replies(answer())) as server:
        await make_http(server.url).fetch(request_to(server.url, auth=False))
    assert b"Authorization" not in server.heads[0]


async def test_a_token_goes_into_the_query_and_the_key_stays_home(make_http: MakeHttp):
    async with scripted(replies(answer())) as server:
        await make_http(server.url).fetch(request_to(server.url, token=SecretStr("a.token+1")))
    assert b"?fal_jwt_token=a.token%2B1 " in server.heads[0]
    assert b"Authorization" not in server.heads[0]


async def test_an_untrusted_host_gets_neither_key_nor_token(make_http: MakeHttp):
    async with scripted(replies(answer())) as server:
        http = make_http("http://127.0.0.1:1")
        await http.fetch(request_to(server.url))
        await http.fetch(request_to(server.url, token=SecretStr("a-long-token")))
    assert b"Authorization" not in server.heads[0]
    assert b"token" not in server.heads[1]


async def test_through_a_fal_proxy_the_target_is_named_and_the_key_is_left_out(make_http: MakeHttp):
    async with scripted(replies(answer())) as server:
        http = make_http("http://127.0.0.1:1", proxy_url=f"{server.url}/api/fal")
        await http.fetch(request_to("https://fal.run", headers={"x-fal-queue-priority": "low"}))
    assert server.heads[0].startswith(b"GET /api/fal HTTP/1.1")
    assert b"x-fal-target-url: https://fal.run/owner/alias\r\n" in server.heads[0]
    assert b"Authorization" not in server.heads[0]


async def test_a_fal_proxy_is_not_asked_to_take_the_key_where_no_key_may_go(make_http: MakeHttp):
    async with scripted(replies(answer())) as proxy, scripted(replies(answer())) as stranger:
        http = make_http("http://127.0.0.1:1", proxy_url=f"{proxy.url}/api/fal")
        await http.fetch(request_to(stranger.url))
    assert proxy.heads == []
    assert b"Authorization" not in stranger.heads[0]


async def test_with_a_token_a_request_does_not_pass_the_fal_proxy(make_http: MakeHttp):
    async with scripted(replies(answer())) as server:
        http = make_http(server.url, proxy_url="http://127.0.0.1:1/api/fal")
        await http.fetch(request_to(server.url, token=SecretStr("a-long-token")))
    assert b"fal_jwt_token=a-long-token" in server.heads[0]


async def test_a_proxy_of_the_environment_is_used_and_netrc_is_not(
    make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_waiting: None
):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password from-netrc\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with scripted(replies(answer())) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:pass%20word@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "bypassed.test")
        http = make_http("http://models.test", None)
        await http.fetch(request_to("http://models.test"))
        with pytest.raises(TransportError):
            await http.fetch(request_to("http://bypassed.test"))
    assert proxy.heads[0].startswith(b"GET http://models.test/owner/alias ")
    assert b"Proxy-Authorization: Basic bWU6cGFzcyB3b3Jk\r\n" in proxy.heads[0]  # me:pass word
    assert b"\r\nAuthorization" not in proxy.heads[0]
    assert len(proxy.heads) == 1


async def test_a_body_of_bytes_is_sent_whole_also_when_it_is_large(make_http: MakeHttp):
    received: list[bytes] = []

    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        received.append(await reader.readexactly(3 * 2**20))
        writer.write(answer())

    async with scripted(handler) as server:
        body = bytes(range(256)) * (3 * 2**20 // 256)
        await make_http(server.url).fetch(request_to(server.url, method="POST", body=body))
    assert received == [body]
    assert b"Content-Length: 3145728" in server.heads[0]


async def test_a_body_in_pieces_is_begun_anew_for_every_attempt(make_http: MakeHttp, no_waiting: None):
    received: list[bytes] = []

    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        received.append(await reader.readexactly(6))
        writer.write(answer(b"", "503 Service Unavailable" if len(received) == 1 else "200 OK"))

    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"
        yield b"def"

    async with scripted(handler) as server:
        request = request_to(server.url, method="PUT", body=pieces, content_length=6, retry="idempotent")
        await make_http(server.url).fetch(request)
    assert received == [b"abcdef", b"abcdef"]
    assert all(b"Content-Length: 6\r\n" in head and b"chunked" not in head for head in server.heads)


# Reading


async def test_each_chunk_is_given_out_when_it_comes(make_http: MakeHttp):
    more, done = asyncio.Event(), asyncio.Event()

    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(CHUNKED + b"3\r\none\r\n")
        await more.wait()
        writer.write(b"3\r\ntwo\r\n")
        await done.wait()
        writer.write(b"0\r\n\r\n")

    async with scripted(handler) as server, make_http(server.url).exchange(request_to(server.url)) as response:
        assert await response.read_chunk() == b"one"
        more.set()
        assert await response.read_chunk() == b"two"
        done.set()
        assert await response.read_chunk() == b""


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    "head", [CHUNKED + b"5\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"], ids=["chunked", "length"]
)
async def test_a_body_cut_short_gives_what_had_come_and_then_the_error(make_http: MakeHttp, head: bytes, reset: bool):
    cut = asyncio.Event()

    async def handler(reader: Reader, writer: Writer, _: bytes) -> None:
        writer.write(head + b"first")
        await cut.wait()
        if reset:
            linger_to_reset(writer)
        writer.close()

    async with scripted(handler) as server, make_http(server.url).exchange(request_to(server.url)) as response:
        assert await response.read_chunk() == b"first"
        cut.set()
        with pytest.raises(TransportError) as caught:
            await response.read_chunk()
        assert caught.value.kind in (("reset", "cut short") if reset else ("cut short",))
        assert caught.value.endpoint == "owner/alias"
        assert caught.value.__cause__ is not None


async def test_bytes_that_wait_when_the_body_breaks_are_not_lost(make_http: MakeHttp):
    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(CHUNKED + b"5\r\nfirst\r\n9\r\nsec")
        writer.close()

    async with scripted(handler) as server, make_http(server.url).exchange(request_to(server.url)) as response:
        while response._content.exception() is None:  # noqa: ASYNC110 (aiohttp has no event for it)
            await asyncio.sleep(0)
        assert await response.read_chunk() == b"firstsec"
        with pytest.raises(TransportError, match="cut short"):
            await response.read_chunk()
        with pytest.raises(TransportError, match="cut short"):
            await response.read()


async def test_a_reset_ends_a_body_without_a_length_with_an_error_too(make_http: MakeHttp):
    cut = asyncio.Event()

    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfirst")
        await cut.wait()
        linger_to_reset(writer)
        writer.close()

    async with scripted(handler) as server, make_http(server.url).exchange(request_to(server.url)) as response:
        assert await response.read_chunk() == b"first"
        cut.set()
        with pytest.raises(TransportError) as caught:
            await response.read_chunk()
        assert caught.value.kind == "reset"


async def test_a_body_that_ends_with_its_connection_is_whole(make_http: MakeHttp):
    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it")
        writer.close()

    async with scripted(handler) as server:
        assert await make_http(server.url).fetch(request_to(server.url)) == b"all of it"


async def test_leaving_early_closes_the_connection_at_once(make_http: MakeHttp):
    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(CHUNKED + b"3\r\none\r\n")

    async with scripted(handler) as server:
        async with make_http(server.url).exchange(request_to(server.url)) as response:
            await response.read_chunk()
            assert not server.gone.is_set()
        await asyncio.wait_for(server.gone.wait(), 2)


async def test_a_connection_is_used_again_after_a_full_read(make_http: MakeHttp):
    ports: list[int] = []

    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        ports.append(writer.get_extra_info("peername")[1])
        writer.write(answer(b"body"))

    async with scripted(handler) as server:
        http = make_http(server.url)
        for _ in range(3):
            await http.fetch(request_to(server.url))
    assert len(ports) == 3
    assert len(set(ports)) == 1


# Errors


async def test_a_422_is_a_validation_error(make_http: MakeHttp):
    body = b'{"detail": [{"loc": ["body", "prompt"], "msg": "field required", "type": "missing"}]}'
    async with scripted(replies(answer(body, "422 Unprocessable Entity"))) as server:
        with pytest.raises(ValidationError, match="owner/alias: prompt: field required") as caught:
            await make_http(server.url).fetch(request_to(server.url))
    assert caught.value.get_field_errors("prompt")[0]["type"] == "missing"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_names_only_the_host(make_http: MakeHttp, status: int):
    async with scripted(replies(answer())) as elsewhere:
        location = f"Location: {elsewhere.url}/x?token=abc"
        async with scripted(replies(answer(b"", f"{status} Moved", location))) as server:
            with pytest.raises(ApiError, match=f"redirects to 127.0.0.1:{elsewhere.port}") as caught:
                await make_http(server.url).fetch(request_to(server.url, method="POST", body=b"{}"))
        assert elsewhere.heads == []
    assert caught.value.status == status
    assert "abc" not in str(caught.value)


async def test_no_headers_in_time_is_a_stream_timeout_error(make_http: MakeHttp):
    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        await reader.read()

    async with scripted(handler) as server:
        request = request_to(server.url, timeout=0.05, retry="idempotent")
        with pytest.raises(
            StreamTimeoutError, match=r"no response headers came within 0\.05 seconds from 127"
        ) as caught:
            async with make_http(server.url).exchange(request):
                pass
        assert (caught.value.status, caught.value.seconds, caught.value.endpoint) == (408, 0.05, "owner/alias")
        assert isinstance(caught.value, TimeoutError)
        assert len(server.heads) == 1  # not tried again
        await asyncio.wait_for(server.gone.wait(), 2)


async def test_an_error_body_that_breaks_off_still_gives_its_status(make_http: MakeHttp):
    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nthe model burst")
        writer.close()

    async with scripted(handler) as server:
        with pytest.raises(ApiError, match="the model burst") as caught:
            await make_http(server.url).fetch(request_to(server.url))
    assert caught.value.status == 500


def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def linger_to_reset(writer: Writer) -> None:
    """Let the close of a connection be a reset."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_refused_connection_says_so(make_http: MakeHttp, no_waiting: None, host: str):
    url = f"http://{host}:{unused_port()}"
    with pytest.raises(TransportError, match="owner/alias: the connection was refused") as caught:
        await make_http(url).fetch(request_to(url))
    assert caught.value.kind == "refused"


async def test_a_name_that_is_unknown_is_a_dns_error(make_http: MakeHttp, no_waiting: None):
    with pytest.raises(TransportError) as caught:
        await make_http("http://nowhere.invalid").fetch(request_to("http://nowhere.invalid"))
    assert caught.value.kind == "dns"


async def test_plain_http_where_tls_is_spoken_is_a_tls_error(make_http: MakeHttp):
    async def serve(reader: Reader, writer: Writer) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(TransportError) as caught:
            await make_http(url).fetch(request_to(url))
    assert caught.value.kind == "tls"


async def test_a_connection_dropped_before_the_response_is_a_reset(make_http: MakeHttp):
    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.close()

    async with scripted(handler) as server:
        with pytest.raises(TransportError) as caught:
            await make_http(server.url).fetch(request_to(server.url, method="POST", body=b"{}"))
    assert caught.value.kind == "reset"
    assert len(server.heads) == 1  # it may have started


async def test_running_out_of_file_descriptors_is_named(make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch):
    def none_left(*args: object, **kwargs: object) -> socket.socket:
        raise OSError(24, "Too many open files")

    async with scripted(replies(answer())) as server:
        monkeypatch.setattr(socket, "socket", none_left)
        with pytest.raises(TransportError, match="ulimit -n") as caught:
            await make_http(server.url).fetch(request_to(server.url))
        monkeypatch.undo()
    assert caught.value.kind == "out of file descriptors"


async def test_a_connection_that_does_not_come_about_in_time_is_a_timeout(
    make_http: MakeHttp, caplog: pytest.LogCaptureFixture, no_waiting: None
):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        try:
            http = make_http(url, connect_timeout=0.1, max_attempts=2)
            request = request_to(url, token=SecretStr("a-long-token"))
            with caplog.at_level(logging.INFO, "rxfal"), pytest.raises(TransportError) as caught:
                await http.fetch(request)
        finally:
            for filler in fillers:
                filler.close()
    assert caught.value.kind == "timeout"
    assert not isinstance(caught.value, StreamTimeoutError)
    assert_hidden(caught.value, "a-long-token")
    assert caplog.text.count("trying again") == 1, "nothing was sent, so nothing can be done twice"


# Secrets


# As long as the secret, for the sake of content-length.
PLACE = b"SECRET-OF-17-CHAR"
BROKEN_ANSWERS = {
    "echo": answer(b'{"detail": "SECRET-OF-17-CHAR is wrong"}', "400 Bad Request"),
    "echoed text": answer(b"no SECRET-OF-17-CHAR here", "500 Oops"),
    "no http": b"SSH-2.0-OpenSSH_9\r\n\r\n",
    "bad header": b"HTTP/1.1 200 OK\r\nbad header line\r\n\r\n",
    "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "nothing": b"",
    "redirect": answer(b"", "302 Found", "Location: http://elsewhere.test/?fal_jwt_token=SECRET-OF-17-CHAR"),
    "not json": answer(b"<p>SECRET-OF-17-CHAR"),
}


@pytest.mark.parametrize("way", ["key", "token"])
@pytest.mark.parametrize("name", BROKEN_ANSWERS)
async def test_no_failing_request_shows_the_key_or_the_token(
    make_http: MakeHttp, name: str, way: str, caplog: pytest.LogCaptureFixture, no_waiting: None
):
    secret = "se/cret+value-123"
    caplog.set_level(logging.DEBUG, logger="rxfal")

    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(BROKEN_ANSWERS[name].replace(PLACE, secret.encode()))
        writer.close()

    async with scripted(handler) as server:
        http = make_http(server.url, secret if way == "key" else None)
        token = SecretStr(secret) if way == "token" else None
        request = request_to(server.url, method="POST", body=b"{}", token=token)
        with pytest.raises(FalError) as caught:
            await http.fetch_json(request)
        sent = b"\n".join(server.heads)
    assert secret.encode() in sent or b"se/cret%2Bvalue-123" in sent
    words = f"{http!r} {http.config!r} {http.credentials!r} {request!r} {caplog.text}"
    assert_hidden(caught.value, secret, "se/cret%2Bvalue", "se%2Fcret%2Bvalue")
    assert secret not in words
    assert "cret%2Bvalue" not in words
    assert any("POST" in record.message for record in caplog.records if record.name == "rxfal")


@pytest.mark.parametrize("name", ["echo", "echoed text", "not json"])
async def test_a_users_own_credentials_are_not_shown_either(make_http: MakeHttp, name: str, no_waiting: None):
    for secret, headers, query in [
        ("my-own-bearer-tok", {"authorization": "Bearer my-own-bearer-tok"}, {}),
        ("my-own-jwt/token+", {}, {"fal_jwt_token": "my-own-jwt/token+"}),
    ]:
        async with scripted(replies(BROKEN_ANSWERS[name].replace(PLACE, secret.encode()))) as server:
            request = request_to(server.url, headers=headers)
            request.url = request.url.with_query(query)
            with pytest.raises(FalError) as caught:
                await make_http(server.url, None).fetch_json(request)
        assert_hidden(caught.value, secret)


async def test_a_response_tells_what_was_sent_and_what_is_secret(make_http: MakeHttp):
    async with scripted(replies(answer())) as server:
        http = make_http(server.url)
        for settings, sent, secret in [
            ({}, "key", "the-secret-key"),
            ({"token": SecretStr("a-long-token")}, "token", "a-long-token"),
        ]:
            async with http.exchange(request_to(server.url, **settings)) as response:
                assert response.sent == sent
                assert response.secrets.mask(f"<{secret}>") == "<***>"
                assert secret not in repr(response.secrets)
        async with http.exchange(request_to(server.url, auth=False)) as response:
            assert response.sent is None


async def test_a_refused_token_is_called_one(make_http: MakeHttp):
    async with scripted(replies(answer(b"", "401 Unauthorized"))) as server:
        with pytest.raises(ApiError, match="refused the short-lived token"):
            await make_http(server.url).fetch(request_to(server.url, token=SecretStr("a-long-token")))


async def test_a_proxys_password_is_not_shown(make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch, no_waiting: None):
    monkeypatch.setenv("HTTP_PROXY", f"http://me:pass%2Fword-9@127.0.0.1:{unused_port()}")
    with pytest.raises(TransportError, match=r"through the proxy.*refused") as caught:
        await make_http("http://models.test").fetch(request_to("http://models.test"))
    assert_hidden(caught.value, "pass%2Fword-9", "pass/word-9", "the-secret-key")


# Retries


@pytest.mark.parametrize(
    ("status", "timeout_type"),
    [
        (f"{status} X", timeout_type)
        for status in (408, 429, 502, 503, 504)
        for timeout_type in (None, "infrastructure", "user")
        if (status, timeout_type) != (504, "user")  # the caller's own limit, which has expired
    ],
)
async def test_what_may_be_repeated_is_tried_again(
    make_http: MakeHttp, no_waiting: None, status: str, timeout_type: str | None
):
    headers = [f"X-Fal-Request-Timeout-Type: {timeout_type}"] if timeout_type else []
    failed = answer(b"", status, *headers)
    async with scripted(replies(failed, failed, answer(b"done"))) as server:
        assert await make_http(server.url).fetch(request_to(server.url, retry="idempotent")) == b"done"
    assert len(server.heads) == 3


@pytest.mark.parametrize(
    "first",
    [
        answer(b"", "500 X"),
        answer(b"", "400 X"),
        answer(b"", "503 X", "X-Fal-Retryable: false"),
        answer(b"", "504 X", "X-Fal-Request-Timeout-Type: user"),
        answer(b"", "504 X", "X-Fal-Request-Timeout-Type: user", "X-Fal-Retryable: true", "X-Fal-Needs-Retry: 1"),
        answer(b"", "503 X", "X-Fal-Retryable: false", "X-Fal-Needs-Retry: 1"),
        answer(b"", "429 X", "Retry-After: 3600"),
    ],
)
async def test_what_can_not_help_is_not_tried_again(make_http: MakeHttp, no_waiting: None, first: bytes):
    async with scripted(replies(first, answer())) as server:
        with pytest.raises(ApiError):
            await make_http(server.url).fetch(request_to(server.url, retry="idempotent"))
    assert len(server.heads) == 1


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (answer(b"", "429 X"), True),
        (answer(b"", "503 X", "Retry-After: 0"), True),
        (answer(b"", "503 X", "X-Fal-Retryable: true"), True),
        (answer(b"", "503 X", "X-Fal-Needs-Retry: 1"), True),
        (answer(b"", "503 X", "X-Fal-Needs-Retry: 0"), False),
        (answer(b"", "429 X", "X-Fal-Needs-Retry: 1"), True),
        (answer(b"", "502 X", "X-Fal-Needs-Retry: 1"), False),
        (answer(b"", "504 X", "X-Fal-Request-Timeout-Type: infrastructure"), False),
        (answer(b"", "503 X"), False),
        (answer(b"", "429 X", "X-Fal-Retryable: false"), False),
        (answer(b"", "502 X"), False),
        (answer(b"", "504 X"), False),
        (answer(b"", "504 X", "X-Fal-Retryable: true"), False),
        (answer(b"", "503 X", "Retry-After: 1", "X-Fal-Request-Timeout-Type: user"), False),
        (answer(NGINX, "502 X"), True),
        (answer(NGINX, "503 X"), True),
        (answer(NGINX, "502 X", "Retry-After: 0"), True),
        (answer(NGINX, "504 X"), False),  # which comes after it handed the request on
        (answer(NGINX, "502 X", "X-Fal-Request-Id: r-1"), False),
        (answer(NGINX, "502 X", "X-Fal-Retryable: false"), False),
        (answer(b'{"detail": "nginx"}', "502 X"), False),
        (answer(b"<html>another gateway</html>", "502 X"), False),
    ],
)
async def test_what_may_have_started_is_tried_again_only_when_it_surely_did_not(
    make_http: MakeHttp, no_waiting: None, first: bytes, again: bool
):
    async with scripted(replies(first, answer(b"done"))) as server:
        request = request_to(server.url, method="POST", body=b"{}")
        if again:
            assert await make_http(server.url).fetch(request) == b"done"
        else:
            with pytest.raises(ApiError):
                await make_http(server.url).fetch(request)
    assert len(server.heads) == 1 + again


@pytest.mark.parametrize(
    ("retry", "first", "sent"),
    [
        ("never", answer(b"", "429 X"), 1),
        ("unanswered", answer(b"", "502 X"), 2),
        ("unanswered", answer(b"", "429 X"), 2),
        ("unanswered", answer(b"", "429 X", "X-Fal-Request-Id: r-1"), 1),
        ("unanswered", answer(b"", "502 X", "X-Fal-Request-Id: r-1"), 1),
        ("unanswered", answer(b"", "400 X"), 1),
    ],
)
async def test_other_requests_have_their_own_rules(
    make_http: MakeHttp, no_waiting: None, retry: Any, first: bytes, sent: int
):
    async with scripted(replies(first, answer(b"done"))) as server:
        fetching = make_http(server.url).fetch(request_to(server.url, retry=retry))
        if sent == 2:
            assert await fetching == b"done"
        else:
            with pytest.raises(ApiError):
                await fetching
    assert len(server.heads) == sent


async def test_a_status_that_is_an_answer_is_not_asked_for_again(make_http: MakeHttp, no_waiting: None):
    async with scripted(replies(answer(b"", "429 X"))) as server:
        with pytest.raises(ApiError):
            await make_http(server.url).fetch(request_to(server.url, final=frozenset({429})))
    assert len(server.heads) == 1


async def test_a_refused_connection_is_tried_again_until_the_server_is_there(make_http: MakeHttp, no_waiting: None):
    port = unused_port()
    url = f"http://127.0.0.1:{port}"
    asked: list[int] = []

    class Late(Credentials):
        async def current(self, post: PostForm) -> Credential | None:
            asked.append(1)
            if len(asked) == 3:
                self.listener = await asyncio.start_server(self.serve, "127.0.0.1", port)
            return None

        async def serve(self, reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer(b"here"))
            writer.close()

    config = Config(base_url=url)
    late = Late(None, config)
    http = Http(config, late)
    assert await http.fetch(request_to(url)) == b"here"
    assert len(asked) == 3
    await http.aclose()
    late.listener.close()
    await late.listener.wait_closed()


async def test_the_last_attempt_raises_its_own_error(make_http: MakeHttp, no_waiting: None):
    async with scripted(replies(answer(b"", "503 X"))) as server:
        with pytest.raises(ApiError) as caught:
            await make_http(server.url, max_attempts=3).fetch(request_to(server.url, retry="idempotent"))
    assert len(server.heads) == 3
    assert caught.value.status == 503


async def test_retries_can_be_switched_off_with_stamina(make_http: MakeHttp):
    async with scripted(replies(answer(b"", "503 X"))) as server:
        stamina.set_active(False)
        try:
            with pytest.raises(ApiError):
                await make_http(server.url).fetch(request_to(server.url, retry="idempotent"))
        finally:
            stamina.set_active(True)
    assert len(server.heads) == 1


async def test_retry_after_is_the_pause(make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch):
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("stamina._core._smart_sleep", pause)
    async with scripted(
        replies(answer(b"", "429 X", "Retry-After: 7"), answer(b"", "429 X"), answer(b"done"))
    ) as server:
        assert await make_http(server.url).fetch(request_to(server.url)) == b"done"
    assert pauses[0] == 7.0
    assert 0.4 <= pauses[1] <= 0.8


async def test_an_exchange_is_not_tried_again_once_its_response_began(make_http: MakeHttp, no_waiting: None):
    async with scripted(replies(answer(b"body"))) as server:
        with pytest.raises(ApiError, match="mine"):
            async with make_http(server.url).exchange(request_to(server.url, retry="idempotent")):
                raise ApiError("mine", status=503)
    assert len(server.heads) == 1


async def test_an_error_of_the_block_passes_as_it_is(make_http: MakeHttp):
    async with scripted(replies(answer(b"body"))) as server:
        with pytest.raises(FileNotFoundError):
            async with make_http(server.url).exchange(request_to(server.url)):
                raise FileNotFoundError("the caller's own")


async def test_an_error_of_the_body_passes_as_it_is(make_http: MakeHttp):
    async def pieces() -> AsyncIterator[bytes]:
        yield b"abc"
        raise CredentialsError("the caller's own")

    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        await reader.read()

    async with scripted(handler) as server:
        with pytest.raises(CredentialsError):
            await make_http(server.url).fetch(request_to(server.url, method="PUT", body=pieces, content_length=6))


async def test_fetch_json_decodes(make_http: MakeHttp):
    http = make_http("http://models.test")
    with aioresponses() as mocked:
        mocked.get("http://models.test/owner/alias", payload={"a": [1, None]})
        assert await http.fetch_json(request_to("http://models.test")) == {"a": [1, None]}
        mocked.assert_called_once()


def test_a_request_shows_neither_token_nor_body():
    request = Request(
        method="PUT", url=URL("http://h/"), endpoint="x", body=b"private", token=SecretStr("secret-token")
    )
    assert "private" not in repr(request)
    assert "secret-token" not in repr(request)


# What a server may answer


@pytest.mark.parametrize("status", ["300 X", "304 Not Modified", "101 Switching Protocols", "599 X"])
async def test_every_status_but_those_of_success_is_an_error(make_http: MakeHttp, status: str):
    upgrade = ["Upgrade: websocket", "Connection: Upgrade"] if "101" in status else []
    async with scripted(replies(answer(b"", status, *upgrade))) as server:
        http = make_http(server.url)
        with pytest.raises(ApiError) as caught:
            await http.fetch(request_to(server.url))
        assert caught.value.status == int(status[:3])
        assert await nothing_open(http)
        with pytest.raises(ApiError):
            await http.fetch(request_to(server.url))
    assert server.connections == (2 if "101" in status else 1)


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "299 X"])
async def test_an_answer_without_a_body_is_one(make_http: MakeHttp, status: str):
    async with scripted(replies(b"HTTP/1.1 %s\r\nContent-Length: 4\r\n\r\n" % status.encode())) as server:
        http = make_http(server.url)
        for _ in range(2):
            async with http.exchange(request_to(server.url, method="HEAD")) as response:
                assert await response.read_chunk() == b""
                assert await response.read() == b""
        assert await nothing_open(http)
    assert server.connections == 1


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("text/event-stream;a*0*", "text/event-stream"),
        ("Text/Event-Stream ; charset=utf-8", "text/event-stream"),
        ("text/event-stream;;;=", "text/event-stream"),
        ("", "application/octet-stream"),
        (";", "application/octet-stream"),
    ],
)
async def test_the_media_type_is_taken_from_any_header(make_http: MakeHttp, header: str, wanted: str):
    handler = replies(answer(b"body", "200 OK", f"Content-Type: {header}"))
    async with scripted(handler) as server, make_http(server.url).exchange(request_to(server.url)) as response:
        assert response.content_type == wanted


@pytest.mark.parametrize("value", ["http://[::1", "http://", "//", "http://host:99999", "socks5://host:1080"])
async def test_a_proxy_that_is_no_url_is_named_and_not_shown(
    make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch, value: str
):
    monkeypatch.setenv("HTTP_PROXY", value)
    http = make_http("http://models.test")
    with pytest.raises(TransportError, match="HTTP_PROXY in the environment names no HTTP proxy") as caught:
        await http.fetch(request_to("http://models.test"))
    assert not caught.value.retryable


async def test_a_response_is_not_held_longer_than_its_exchange(make_http: MakeHttp):
    async with scripted(replies(answer(b"body"), answer(b"body"), answer(b"no", "500 X"))) as server:
        http = make_http(server.url)
        session = await http._sessions.get()
        async with http.exchange(request_to(server.url)):
            assert len(session.responses) == 1
        assert await nothing_open(http)
        await http.fetch(request_to(server.url))
        assert await nothing_open(http)
        with pytest.raises(ApiError):
            await http.fetch(request_to(server.url))
        assert await nothing_open(http)


async def nothing_open(http: Http) -> bool:
    session = await http._sessions.get()
    assert session.client.connector is not None
    return not session.responses and not session.client.connector._acquired


# Where


async def test_errors_say_which_variable_names_the_address(make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch):
    port = unused_port()
    monkeypatch.setenv("RXFAL_BASE_URL", f"http://127.0.0.1:{port}/")
    config = Config.from_env()
    http = Http(config, Credentials("key", config))
    with pytest.raises(TransportError) as caught:
        await http.fetch(request_to(config.run_url, timeout=0.1))
    assert f"nothing is listening at 127.0.0.1:{port} (RXFAL_BASE_URL says so)" in str(caught.value)
    monkeypatch.setenv("RXFAL_BASE_URL", "http://127.0.0.1:1")  # which is not what this client goes by
    with pytest.raises(TransportError) as caught:
        await http.fetch(request_to(config.run_url, timeout=0.1))
    assert f"nothing is listening at 127.0.0.1:{port}; check" in str(caught.value)
    await http.aclose()
    async with scripted(replies(answer(b"", "404 X"))) as server:
        monkeypatch.setenv("RXFAL_BASE_URL", server.url)
        with pytest.raises(ApiError) as caught_too:
            await make_http(server.url).fetch(request_to(server.url))
    assert f"(status 404), from 127.0.0.1:{server.port} (RXFAL_BASE_URL says so)" in str(caught_too.value)


@pytest.mark.parametrize(("variable", "host"), [("FAL_RUN_HOST", "run.test"), ("FAL_QUEUE_RUN_HOST", "queue.test")])
async def test_fals_own_variables_are_named_too(monkeypatch: pytest.MonkeyPatch, variable: str, host: str):
    monkeypatch.setenv(variable, host)
    assert address_of(URL(f"https://{host}/x"), Config.from_env()) == f"{host}:443 ({variable} says so)"
    assert address_of(URL("https://rest.fal.ai/x"), Config.from_env()) == "rest.fal.ai:443"


async def test_a_request_through_a_proxy_that_is_not_there_names_the_proxy(
    make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch, no_waiting: None
):
    port = unused_port()
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
    with pytest.raises(TransportError, match=rf"through the proxy.*nothing is listening at 127\.0\.0\.1:{port};"):
        await make_http("http://models.test").fetch(request_to("http://models.test"))


async def test_a_proxy_that_refuses_to_connect_is_told_from_the_server(
    make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch
):
    async with scripted(replies(answer(b"", "407 Who are you"))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:pass-word-9@127.0.0.1:{proxy.port}")
        http = make_http("https://models.test")
        with pytest.raises(TransportError) as caught:
            await http.fetch(request_to("https://models.test"))
    assert caught.value.message.startswith(
        f"the proxy at 127.0.0.1:{proxy.port} refused to connect to the server (407 Who are you); check HTTPS_PROXY"
    )
    assert_hidden(caught.value, "pass-word-9")


async def test_a_proxy_that_repeats_its_password_does_not_show_it(make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch):
    told = b"no: pass/word-9, pass%2Fword-9, bWU6cGFzcy93b3JkLTk="  # the last is me:pass/word-9
    async with scripted(replies(answer(told, "407 X"))) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:pass%2Fword-9@127.0.0.1:{proxy.port}")
        with pytest.raises(ApiError) as caught:
            await make_http("http://models.test").fetch(request_to("http://models.test"))
    assert_hidden(caught.value, "pass/word-9", "pass%2Fword-9", "bWU6cGFzcy93b3JkLTk=")
    assert caught.value.body == "no: ***, ***, ***"


# Redirects


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("https://other.example/b%2fc?sig=a+b", "https://other.example/b%2fc?sig=a+b"),
        ("//other.example/b", "https://other.example/b"),
        ("/b?x=%7E", "https://first.example/b?x=%7E"),
        ("b", "https://first.example/b"),
        ("/a b", "https://first.example/a%20b"),
        ("/b#part", "https://first.example/b"),
        ("http://first.example/b", None),
        ("ftp://first.example/b", None),
        ("https://user:pass@first.example/b", None),
        ("https://[::1", None),
        ("https://first.example:99999/", None),
    ],
)
def test_a_redirect_leads_over_https_to_a_host(location: str, leads_to: str | None):
    request = Request(
        method="GET", url=URL("https://first.example/a"), endpoint="a", auth=False, headers={"Range": "x"}, redirects=2
    )
    onward = redirected(request, 302, {"Location": location})
    assert (None if onward is None else str(onward.url)) == leads_to
    if onward is not None:
        assert (onward.redirects, onward.headers, onward.auth) == (1, {"Range": "x"}, False)


def test_a_request_with_a_credential_and_one_that_wants_none_follow_no_redirect():
    plain = Request(method="GET", url=URL("http://h/a"), endpoint="a", auth=False, redirects=1)
    there = {"Location": "/b"}
    assert redirected(plain, 308, there) is not None
    assert redirected(plain, 304, there) is None
    assert redirected(plain, 302, {}) is None
    for changed in ({"redirects": 0}, {"auth": True}, {"token": Hidden("token")}):
        assert redirected(replace(plain, **changed), 302, there) is None
