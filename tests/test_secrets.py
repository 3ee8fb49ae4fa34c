"""Whatever goes wrong, and however a server repeats the key, its halves or a token: no error and no log shows them."""

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import quote

import pydantic
import pytest
import stamina

import rxfal
from tests.hidden import assert_hidden
from tests.wire.servers import answer, scripted

ID, SECRET = "Key-Id-0123456789", "s3cret/of+the\\key-abcdef"
KEY = f"{ID}:{SECRET}"
TOKEN = "t0ken.of/the+app-ABCDEF"
SIGNATURE = "s1gnature/of+the-place-ABCDEF"
HIDDEN = [ID, SECRET, TOKEN, SIGNATURE]
HIDDEN += [spelling for text in HIDDEN for spelling in (quote(text, safe=""), json.dumps(text)[1:-1])]

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


@pytest.fixture(autouse=True)
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that is logged shows a secret either; retries take no time, and are not left out."""
    caplog.set_level(logging.DEBUG)
    with stamina.set_testing(True, attempts=2, cap=True):
        yield
    for record in caplog.records:
        words = f"{record.getMessage()} {vars(record)!r}".lower()
        assert not any(secret.lower() in words for secret in HIDDEN), record.getMessage()


async def failure_of(stream: Any) -> BaseException:
    with pytest.raises(Exception) as caught:
        async for _ in stream:
            pass
    # The frames of this test know the secrets; those of rxfal are looked at one by one.
    return caught.value


def unicode_escaped(text: str) -> str:
    return "".join(f"\\u{ord(letter):04x}" for letter in text)


def chunked(kind: str, body: str, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Type: {kind}", *headers, f"Content-Length: {len(body)}", "", body]
    return "\r\n".join(lines).encode()


EVENTS = "text/event-stream"
# What a server may do with a secret that it was sent. Some are whole answers, some break off.
ECHOES: dict[str, Callable[[str], bytes]] = {
    "in a detail": lambda s: answer(json.dumps({"detail": f"{s} is wrong"}).encode(), "401 Unauthorized"),
    "in a field's name": lambda s: answer(json.dumps({"detail": [{"loc": ["body", s], "msg": s}]}).encode(), "422 X"),
    "escaped": lambda s: answer(f'{{"detail": "no {unicode_escaped(s)}"}}'.encode(), "403 Forbidden"),
    "with escaped slashes": lambda s: answer(
        json.dumps({"detail": s}).replace("/", "\\/").encode(), "400 Bad", "Content-Type: application/json"
    ),
    "on a page": lambda s: answer(f"<html><title>{s.replace('/', '&#47;')}</title></html>".encode(), "502 Bad"),
    "as plain text": lambda s: answer(f"no such key: {s}".encode(), "400 Bad"),
    "cut off in a long text": lambda s: answer(("x" * 285 + s).encode(), "400 Bad"),
    "half of it": lambda s: answer(f"no such id: {s[: len(s) // 2]}, {s[len(s) // 2 :]}".encode(), "404 Not Found"),
    "in lower case": lambda s: answer(f"no such host: {s.lower()}".encode(), "404 Not Found"),
    "in headers": lambda s: answer(
        b"", "503 X", *(f"{name}: {s}" for name in ("X-Fal-Request-Id", "X-Fal-Error-Type", "Retry-After", "X-A"))
    ),
    "as its timeout": lambda s: answer(b"", "504 X", f"X-Fal-Request-Timeout-Type: {s}"),
    "in the status line": lambda s: f"HTTP/1.1 500 {s}\r\nContent-Length: 0\r\n\r\n".encode(),
    "instead of a status line": lambda s: f"HTTP/{s} 200\r\n\r\n".encode(),
    "as another protocol": lambda s: f"{s}\r\n\r\n".encode(),
    "in half a header": lambda s: f"HTTP/1.1 200 OK\r\nX-Echo: Key {s[:-3]}".encode(),
    "in a broken header": lambda s: f"HTTP/1.1 200 OK\r\nX-Echo {s}\r\nA: b\r\n\r\n".encode(),
    "in a header with a NUL": lambda s: f"HTTP/1.1 200 OK\r\nX-Echo: {s}\0\r\n\r\n".encode(),
    "in a header that is too long": lambda s: f"HTTP/1.1 200 OK\r\nX-Echo: {s * 900}\r\n\r\n".encode(),
    "in a redirect's host": lambda s: answer(b"", "302 Found", f"Location: https://{s.lower()}.evil.test/x"),
    "in a redirect's user": lambda s: answer(b"", "302 Found", f"Location: https://{s}@evil.test/x"),
    "in a redirect's query": lambda s: answer(b"", "302 Found", f"Location: https://evil.test/?t={s}"),
    "in a bad length": lambda s: f"HTTP/1.1 200 OK\r\nContent-Length: {s}\r\n\r\n".encode(),
    "in a chunk's size": lambda s: f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{s}\r\n".encode(),
    "in a content type": lambda s: answer(b"{", "200 OK", f"Content-Type: application/json; a={s}"),
    "in a content encoding": lambda s: answer(b"{", "200 OK", f"Content-Encoding: {s}"),
    "in JSON that is none": lambda s: chunked("application/json", f'{{"a": "{s}'),
    "in a bad event": lambda s: chunked(EVENTS, f"data: {{{s}\n\n"),
    "in a bad event's escapes": lambda s: chunked(EVENTS, f'data: {{"a": "{unicode_escaped(s)}", }}\n\n'),
    "in an error event": lambda s: chunked(EVENTS, f"event: error\ndata: {json.dumps({'detail': s})}\n\n"),
    "in an error event's text": lambda s: chunked(EVENTS, f"event: error\ndata: {s}\n\n"),
    "in a body cut short": lambda s: (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{json.dumps(s)[:-1]}".encode()
    ),
    "not at all": lambda s: b"",
}


class Hostile:
    """A server that answers as the test says, with tokens and places for files where it says nothing."""

    def __init__(self) -> None:
        self.url = ""
        self.call: Callable[[], bytes] = lambda: answer(b"{}")
        self.tokens: Callable[[], bytes] = lambda: answer(json.dumps(TOKEN).encode())
        self.initiate: Callable[[], bytes] = lambda: answer(
            json.dumps({"file_url": "https://f/1", "upload_url": f"{self.url}/put?sig={quote(SIGNATURE)}"}).encode()
        )
        self.put: Callable[[], bytes] = lambda: answer()

    async def __call__(self, reader: Reader, writer: Writer, head: bytes) -> None:
        path = head.split(b" ")[1]
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length or b"0"))
        ways = {b"/rest/tokens/": self.tokens, b"/rest/storage": self.initiate, b"/put": self.put}
        writer.write(next((way for start, way in ways.items() if path.startswith(start)), self.call)())
        writer.close()


Attempt = Callable[[rxfal.Client], Awaitable[BaseException]]


async def fails(attack: Callable[[Hostile], None], attempt: Callable[[rxfal.Client], Any], **settings: Any) -> None:
    """An attempt against a hostile server fails, and the failure shows nothing."""
    hostile = Hostile()
    attack(hostile)
    async with scripted(hostile) as server:
        hostile.url = server.url
        async with rxfal.Client(KEY, config=rxfal.Config(base_url=server.url, **settings)) as client:
            error = await failure_of(attempt(client))
    assert_hidden(error, *HIDDEN)
    assert isinstance(error, rxfal.FalError)


class Answer(pydantic.BaseModel):
    """What no answer here is."""

    answer: int


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("secret", [KEY, ID, SECRET], ids=["key", "id", "secret"])
async def test_a_server_that_repeats_the_key(echo: str, secret: str) -> None:
    def attack(hostile: Hostile) -> None:
        hostile.call = lambda: ECHOES[echo](secret)

    await fails(attack, lambda client: client.stream("me/app", {"prompt": "x"}, output=Answer))


@pytest.mark.parametrize("echo", ECHOES)
async def test_a_server_that_repeats_a_token(echo: str) -> None:
    def attack(hostile: Hostile) -> None:
        hostile.call = lambda: ECHOES[echo](TOKEN)

    await fails(attack, lambda client: client.stream("me/app", output=Answer, auth="token"))
    await fails(
        attack,
        lambda client: client.stream("me/app", output=Answer, auth="token", token_provider=lambda app: TOKEN),
    )


@pytest.mark.parametrize("echo", ECHOES)
async def test_a_token_server_that_repeats_the_key(echo: str) -> None:
    def attack(hostile: Hostile) -> None:
        hostile.tokens = lambda: ECHOES[echo](KEY)

    await fails(attack, lambda client: client.stream("me/app", auth="token"))


@pytest.mark.parametrize("body", [{"tokens": TOKEN}, [TOKEN], TOKEN.encode(), {"token": {"a": TOKEN}}])
async def test_an_answer_with_a_token_where_none_is_looked_for(body: Any) -> None:
    def attack(hostile: Hostile) -> None:
        hostile.tokens = lambda: answer(body if isinstance(body, bytes) else json.dumps(body).encode())

    await fails(attack, lambda client: client.stream("me/app", auth="token"))


@pytest.mark.parametrize(
    "response",
    [
        f'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{len(TOKEN) + 2:x}\n"{TOKEN}"\n0\n\n',
        f'HTTP/1.1 100 Continue\r\n\r\n"{TOKEN}"',
        f'"{TOKEN}"\r\n\r\n',
    ],
    ids=["bad chunks", "no second status line", "no HTTP"],
)
async def test_a_token_in_an_answer_that_is_not_proper_http(response: str) -> None:
    def attack(hostile: Hostile) -> None:
        hostile.tokens = response.encode

    await fails(attack, lambda client: client.stream("me/app", auth="token"))


@pytest.mark.parametrize("echo", ECHOES)
async def test_a_storage_that_repeats_the_key(echo: str) -> None:
    def attack(hostile: Hostile) -> None:
        hostile.initiate = lambda: ECHOES[echo](KEY)

    await fails(attack, lambda client: client.upload(b"hello", name="a.txt"))
    await fails(attack, lambda client: client.stream("me/app", {"image": b"GIF89a"}))


REFUSALS = [echo for echo in ECHOES if b" 200 " not in ECHOES[echo]("x")]


@pytest.mark.parametrize("echo", [*REFUSALS, "in a chunk's size", "in a bad length", "in a content encoding"])
async def test_a_storage_that_repeats_the_signature(echo: str) -> None:
    def attack(hostile: Hostile) -> None:
        hostile.put = lambda: ECHOES[echo](SIGNATURE)

    await fails(attack, lambda client: client.upload(b"hello", name="a.txt"))


def provider(app: str) -> str:
    return TOKEN


@pytest.mark.parametrize(("auth", "secret"), [("key", KEY), ("token", TOKEN)])
async def test_a_stream_that_falls_silent(auth: Any, secret: str) -> None:
    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {EVENTS}\r\nX-Fal-Request-Id: {secret}\r\n\r\n".encode())
        await reader.read()

    async with (
        scripted(handler) as server,
        rxfal.Client(KEY, config=rxfal.Config(base_url=server.url)) as client,
    ):
        token_provider = provider if auth == "token" else None
        error = await failure_of(client.stream("me/app", timeout=0.05, auth=auth, token_provider=token_provider))
    assert isinstance(error, rxfal.StreamTimeoutError)
    assert_hidden(error, *HIDDEN)


class Mute(Hostile):
    """Takes everything and never answers."""

    async def __call__(self, reader: Reader, writer: Writer, head: bytes) -> None:
        await reader.read()


@pytest.mark.parametrize(
    "attempt",
    [
        lambda client: client.stream("me/app", response_timeout=0.05),
        lambda client: client.stream("me/app", response_timeout=0.05, auth="token", token_provider=provider),
        lambda client: client.stream("me/app", response_timeout=0.05, auth="token"),
    ],
)
async def test_a_server_that_never_answers(attempt: Callable[[rxfal.Client], Any]) -> None:
    async with (
        scripted(Mute()) as server,
        rxfal.Client(KEY, config=rxfal.Config(base_url=server.url, request_timeout=0.05)) as client,
    ):
        error = await failure_of(attempt(client))
    assert isinstance(error, rxfal.StreamTimeoutError)
    assert_hidden(error, *HIDDEN)


async def test_a_storage_that_never_takes_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rxfal.verbs.uploading.STALL_LIMIT", 0.05)

    class MutePut(Hostile):
        async def __call__(self, reader: Reader, writer: Writer, head: bytes) -> None:
            if head.startswith(b"PUT"):
                await reader.read()
            await super().__call__(reader, writer, head)

    hostile = MutePut()
    async with scripted(hostile) as server:
        hostile.url = server.url
        async with rxfal.Client(KEY, config=rxfal.Config(base_url=server.url)) as client:
            error = await failure_of(client.upload(b"hello"))
    assert isinstance(error, rxfal.StreamTimeoutError)
    assert_hidden(error, *HIDDEN)


def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


ATTEMPTS: dict[str, Callable[[rxfal.Client], Any]] = {
    "key": lambda client: client.stream("me/app", query={"private": SIGNATURE}),
    "token": lambda client: client.stream("me/app", auth="token", token_provider=provider),
    "own header": lambda client: client.stream("me/app", headers={"Authorization": f"Bearer {TOKEN}"}),
    "own query": lambda client: client.stream("me/app", query={"fal_jwt_token": TOKEN}),
    "upload": lambda client: client.upload(b"hello"),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_a_server_that_is_not_there(attempt: str) -> None:
    config = rxfal.Config(base_url=f"http://127.0.0.1:{unused_port()}")
    async with rxfal.Client(KEY, config=config) as client:
        error = await failure_of(ATTEMPTS[attempt](client))
    assert isinstance(error, rxfal.TransportError)
    assert_hidden(error, *HIDDEN)


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_a_server_without_tls(attempt: str) -> None:
    async def serve(reader: Reader, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        config = rxfal.Config(base_url=f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with rxfal.Client(KEY, config=config) as client:
            error = await failure_of(ATTEMPTS[attempt](client))
    assert isinstance(error, rxfal.TransportError)
    assert error.kind == "tls"
    assert_hidden(error, *HIDDEN)


PASSWORD = "pr0xy/pass+word"


@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_with_a_password(attempt: str, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        writer.write(answer(head, "407 Proxy Authentication Required", f"X-Echo: {PASSWORD}"))
        writer.close()

    async with scripted(handler) as proxy:
        for port in (proxy.port, unused_port()):
            monkeypatch.setenv(f"{scheme}_proxy", f"http://me:{quote(PASSWORD, safe='')}@127.0.0.1:{port}")
            async with rxfal.Client(KEY, config=rxfal.Config(base_url=f"{scheme}://models.test")) as client:
                error = await failure_of(ATTEMPTS[attempt](client))
            assert isinstance(error, rxfal.FalError)
            assert_hidden(error, *HIDDEN, PASSWORD, quote(PASSWORD, safe=""), "bWU6cHIweHkvcGFzcyt3b3Jk")


@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize("proxy", ["http://[::1", "http://{}@127.0.0.1:99999", "ftp://me:{}@127.0.0.1:1"])
async def test_a_proxy_that_is_none(attempt: str, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", proxy.format(quote(PASSWORD, safe="")))
    async with rxfal.Client(KEY, config=rxfal.Config(base_url="http://models.test")) as client:
        error = await failure_of(ATTEMPTS[attempt](client))
    assert isinstance(error, rxfal.TransportError)
    assert_hidden(error, *HIDDEN, PASSWORD, quote(PASSWORD, safe=""))


@pytest.mark.parametrize("auth", ["key", "token"])
async def test_a_function_of_the_users_that_fails(auth: Any) -> None:
    def key() -> str:
        raise LookupError("the vault is closed")

    def bad_key() -> Any:
        return KEY.encode()

    for source in (key, bad_key):
        async with rxfal.Client(source, config=rxfal.Config(base_url="http://127.0.0.1:1")) as client:
            error = await failure_of(client.stream("me/app", auth=auth))
        assert isinstance(error, rxfal.CredentialsError)
        assert_hidden(error, *HIDDEN)
    bad_token: Any = lambda app: TOKEN.encode()
    async with rxfal.Client(KEY, config=rxfal.Config(base_url="http://127.0.0.1:1")) as client:
        error = await failure_of(client.stream("me/app", auth="token", token_provider=bad_token))
    assert isinstance(error, rxfal.CredentialsError)
    assert_hidden(error, *HIDDEN)


async def test_a_client_that_is_closed_meanwhile() -> None:
    async with scripted(Mute()) as server:
        for attempt in ("key", "token", "own header", "own query"):
            client = rxfal.Client(KEY, config=rxfal.Config(base_url=server.url))
            begun = len(server.heads)
            failing = asyncio.ensure_future(failure_of(ATTEMPTS[attempt](client)))
            while len(server.heads) == begun:  # noqa: ASYNC110
                await asyncio.sleep(0)
            await client.aclose()
            error = await failing
            assert isinstance(error, rxfal.TransportError)
            assert_hidden(error, *HIDDEN)


def test_a_script_that_runs_without_a_loop() -> None:
    config = rxfal.Config(base_url=f"http://127.0.0.1:{unused_port()}")
    with rxfal.Client(KEY, config=config) as client, pytest.raises(rxfal.TransportError) as caught:
        client.stream("me/app", auth="token", token_provider=provider).run()
    assert_hidden(caught.value, *HIDDEN)
