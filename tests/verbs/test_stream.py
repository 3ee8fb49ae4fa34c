"""`stream` and `stream_events` against the embedded server over real sockets: every option, every way to end."""

import asyncio
import contextlib
import gc
import json
import threading
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from reactivex import operators as rx_ops

import rxfal
from rxfal import operators as ops
from rxfal.testing import ApiFailure, Bytes, Disconnect, FalServer, Pause, Status
from rxfal.verbs.silence import SilenceLimit

NAMED = Status(headers={"X-Fal-Request-Id": "r-1"})
FALSY = [0, "", False, None, [], {}]


@pytest.fixture
async def server() -> AsyncIterator[FalServer]:
    async with FalServer() as server:
        yield server


@pytest.fixture
async def client(server: FalServer) -> AsyncIterator[rxfal.Client]:
    async with server.client() as client:
        yield client


def count_app(server: FalServer) -> None:
    @server.app("me/count")
    async def count(input: dict[str, Any]) -> AsyncIterator[Any]:
        for number in range(input.get("to", 3)):
            yield {"n": number}


def sse(*values: Any) -> Bytes:
    return Bytes(b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values))


async def all_of(stream: rxfal.Stream[Any]) -> list[Any]:
    return [item async for item in stream]


async def failure_of(stream: rxfal.Stream[Any], kind: type[Exception]) -> tuple[list[Any], Any]:
    """What came before the error, and the error, which has to be of this kind."""
    items: list[Any] = []
    with pytest.raises(kind) as caught:
        await stream.pipe(ops.do_action(items.append), ops.default_if_empty())
    return items, caught.value


class Clock:
    """The running loop's clock, which a test can set forward."""

    def __init__(self, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead = 0.0
        real_time = loop.time
        monkeypatch.setattr(loop, "time", lambda: real_time() + self._ahead)

    async def advance(self, seconds: float) -> None:
        """Let so many seconds pass, and everything run that was waiting for them."""
        self._ahead += seconds
        for _ in range(10):
            await asyncio.sleep(0)


async def client_has_read() -> None:
    """Let the client take in what the server has written; both are on this loop, so a few turns do."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(asyncio.get_running_loop(), monkeypatch)


# What arrives


async def test_events_arrive_decoded_and_in_order(server: FalServer, client: rxfal.Client) -> None:
    count_app(server)
    assert await all_of(client.stream("me/count", {"to": 4})) == [{"n": n} for n in range(4)]


async def test_nothing_is_sent_before_a_subscription_and_each_is_one_request(
    server: FalServer, client: rxfal.Client
) -> None:
    count_app(server)
    stream = client.stream("me/count")
    await asyncio.sleep(0)
    assert server.requests == []
    await stream
    await stream
    assert len(server.requests) == 2


async def test_falsy_events_arrive_like_any_other(server: FalServer, client: rxfal.Client) -> None:
    server.script("me/falsy", [sse(*FALSY)])
    assert await all_of(client.stream("me/falsy")) == FALSY
    assert await client.stream("me/falsy").pipe(ops.take(1)) == 0


async def test_an_event_is_delivered_when_it_arrives(server: FalServer, client: rxfal.Client) -> None:
    pauses = [Pause(), Pause()]
    server.script("me/slow", [sse(1), pauses[0], sse(2), pauses[1], sse(3)])
    got: list[int] = []
    async for event in client.stream("me/slow"):
        got.append(event)
        if event < 3:
            await pauses[event - 1].reached()  # the server holds here, so nothing later can have come
            pauses[event - 1].release()
    assert got == [1, 2, 3]


async def test_a_delivered_event_is_not_kept_while_the_next_is_awaited(server: FalServer, client: rxfal.Client) -> None:
    class Item(BaseModel):
        n: int

    arrived = asyncio.Queue[weakref.ref[Item]]()
    server.script("me/slow", [sse({"n": 1}), Pause()])
    stream = client.stream("me/slow", output=Item)
    with stream.subscribe(lambda item: arrived.put_nowait(weakref.ref(item))):
        item = await arrived.get()
        await asyncio.sleep(0)
        assert item() is None


async def test_a_stream_that_ended_leaves_nothing_to_the_garbage_collector(
    server: FalServer, client: rxfal.Client
) -> None:
    count_app(server)
    endings: list[weakref.ref[SilenceLimit]] = []

    class Noted(SilenceLimit):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            endings.append(weakref.ref(self))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rxfal.verbs.call.SilenceLimit", Noted)
        gc.disable()
        try:
            await client.stream("me/count")
            await asyncio.sleep(0)
            assert [ending() for ending in endings] == [None]
        finally:
            gc.enable()


async def test_the_last_event_of_a_clean_body_needs_no_blank_line(server: FalServer, client: rxfal.Client) -> None:
    server.script("me/tail", [Bytes(b"data: 1\n\ndata: 2")])
    assert await all_of(client.stream("me/tail")) == [1, 2]


async def test_events_cut_anywhere_arrive_whole(server: FalServer, client: rxfal.Client) -> None:
    text = 'data: {"t": "ä€😀"}\r\n\r\n'.encode()
    server.script("me/cut", [Bytes(text[i : i + 1]) for i in range(len(text))])
    assert await all_of(client.stream("me/cut")) == [{"t": "ä€😀"}]


@pytest.mark.parametrize("space", [b"", b" ", b" \t"])
async def test_done_completes_the_stream_whatever_follows(
    server: FalServer, client: rxfal.Client, space: bytes
) -> None:
    done = b"data: [DONE]" + space
    server.script("me/openai", [Bytes(b'data: {"a":1}\n\n' + done + b'\n\ndata: {"b":2}\n\n'), Pause()])
    assert await all_of(client.stream("me/openai")) == [{"a": 1}]
    await server.requests[0].closed()


async def test_an_event_stream_without_events_completes_empty(server: FalServer, client: rxfal.Client) -> None:
    server.script("me/empty", [Bytes(b": nothing to say\n\n")])
    assert await all_of(client.stream("me/empty")) == []


async def test_json_is_emitted_as_one_value(server: FalServer, client: rxfal.Client) -> None:
    @server.app("me/json")
    async def answer(input: dict[str, Any]) -> Any:
        return {"echo": input}

    assert await all_of(client.stream("me/json", {"x": 1})) == [{"echo": {"x": 1}}]


async def test_other_bodies_are_emitted_as_bytes_as_they_arrive(server: FalServer, client: rxfal.Client) -> None:
    pause = Pause()
    server.script("me/audio", [Status(content_type="audio/wav"), Bytes(b"RIFF"), pause, Bytes(b"data")])
    got: list[bytes] = []
    async for chunk in client.stream("me/audio"):
        got.append(chunk)
        pause.release()
    assert got == [b"RIFF", b"data"]


async def test_a_204_is_an_error(server: FalServer, client: rxfal.Client) -> None:
    server.script("me/nothing", [Status(204)])
    _, error = await failure_of(client.stream("me/nothing"), rxfal.ApiError)
    assert (error.status, error.endpoint) == (400, "me/nothing")


# output=


class Event(BaseModel):
    n: int


async def test_output_validates_each_event(server: FalServer, client: rxfal.Client) -> None:
    count_app(server)
    assert await all_of(client.stream("me/count", {"to": 2}, output=Event)) == [Event(n=0), Event(n=1)]
    assert await client.stream("me/count", {"to": 1}, output=dict[str, float]) == {"n": 0.0}


async def test_an_event_that_does_not_fit_ends_the_stream_with_the_raw_data(
    server: FalServer, client: rxfal.Client
) -> None:
    server.script("me/misfit", [sse({"n": 1}, {"n": "one"}, {"n": 3})])
    items, error = await failure_of(client.stream("me/misfit", output=Event), rxfal.DecodeError)
    assert items == [Event(n=1)]
    assert error.data == b'{"n": "one"}'
    assert error.__cause__ is not None


async def test_an_event_that_is_not_json_ends_the_stream(server: FalServer, client: rxfal.Client) -> None:
    server.script("me/bad", [Bytes(b"data: 1\n\ndata: {oops\n\ndata: 3\n\n")])
    items, error = await failure_of(client.stream("me/bad"), rxfal.DecodeError)
    assert items == [1]
    assert error.data == b"{oops"


# stream_events


async def test_stream_events_gives_everything_as_it_is(server: FalServer, client: rxfal.Client) -> None:
    body = b"event: error\nid: 7\nretry: 10\ndata: {oops\n\ndata: [DONE]\n\ndata: last"
    server.script("me/events", [Bytes(body)])
    assert await all_of(client.stream_events("me/events")) == [
        rxfal.ServerSentEvent("error", "{oops", "7", 10),
        rxfal.ServerSentEvent("message", "[DONE]", "7"),
        rxfal.ServerSentEvent("message", "last", "7"),
    ]


async def test_stream_events_refuses_what_is_no_event_stream(server: FalServer, client: rxfal.Client) -> None:
    server.script("me/json", [Status(json={})])
    _, error = await failure_of(client.stream_events("me/json"), rxfal.DecodeError)
    assert "application/json" in str(error)


# The request


async def test_the_request_is_fals(server: FalServer, client: rxfal.Client) -> None:
    count_app(server)
    await client.stream("me/count", {"to": 1}, query={"logs": True, "q": "a b"}, headers={"X-Mine": "1"})
    (request,) = server.requests
    assert (request.method, request.path, request.json) == ("POST", "/me/count/stream", {"to": 1})
    assert request.query == {"logs": "true", "q": "a b"}
    wanted = {
        "Authorization": f"Key {server.key}",
        "Accept": "text/event-stream",
        "Accept-Encoding": "identity",
        "Cache-Control": "no-store",
        "Content-Type": "application/json",
        "X-Mine": "1",
    }
    assert {name: request.headers[name] for name in wanted} == wanted
    assert request.headers["User-Agent"].startswith("rxfal/")


async def test_the_users_headers_win(server: FalServer, client: rxfal.Client) -> None:
    count_app(server)
    await client.stream("me/count", headers={"accept": "text/event-stream, */*", "USER-AGENT": "mine"})
    headers = server.requests[0].headers
    assert headers["Accept"] == "text/event-stream, */*"
    assert headers["User-Agent"] == "mine"


@pytest.mark.parametrize(
    ("app", "path", "wanted"),
    [
        ("me/count", None, "/me/count/stream"),
        ("me/count/stream", None, "/me/count/stream"),
        ("me/count", "", "/me/count"),
        ("me/count", "v1/chat", "/me/count/v1/chat"),
        ("me/count", "/v1/chat", "/me/count/v1/chat"),
        ("workflows/me/count", None, "/workflows/me/count/stream"),
        ("12345-count", None, "/12345/count/stream"),
    ],
)
async def test_path(server: FalServer, client: rxfal.Client, app: str, path: str | None, wanted: str) -> None:
    server.script(wanted, [sse(1)])
    assert await client.stream(app, path=path) == 1
    assert server.requests[0].path == wanted


async def test_get_puts_the_input_into_the_query(server: FalServer, client: rxfal.Client) -> None:
    count_app(server)
    await client.stream("me/count", {"to": 2, "deep": {"a": None}, "on": True}, method="get", query={"x": 1})
    (request,) = server.requests
    assert (request.method, request.body) == ("GET", b"")
    assert request.query == {"to": "2", "deep": '{"a":null}', "on": "true", "x": "1"}


async def test_on_open_is_told_once_before_the_first_event(server: FalServer, client: rxfal.Client) -> None:
    count_app(server)
    seen: list[Any] = []
    await client.stream("me/count", {"to": 2}, on_open=seen.append).do_action(seen.append)
    info, *events = seen
    assert (info.status, info.headers["X-FAL-Request-Id"]) == (200, info.request_id)
    assert info.request_id == server.requests[0].request_id
    assert events == [{"n": 0}, {"n": 1}]


async def test_an_on_open_that_raises_ends_the_stream_and_the_request(server: FalServer, client: rxfal.Client) -> None:
    server.script("me/open", [NAMED, sse(1), Pause()])

    def on_open(info: rxfal.ResponseInfo) -> None:
        raise KeyError("no such header")

    items, error = await failure_of(client.stream("me/open", on_open=on_open), rxfal.CallbackError)
    assert items == []
    assert "on_open raised KeyError: 'no such header'" in str(error)
    assert isinstance(error.__cause__, KeyError)
    assert (error.endpoint, error.request_id) == ("me/open", "r-1")
    assert not error.retryable
    await server.requests[0].closed()


async def test_files_are_uploaded_and_their_urls_sent(server: FalServer, client: rxfal.Client, tmp_path: Path) -> None:
    count_app(server)
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\nmeow")
    await client.stream("me/count", {"image": picture, "to": 1})
    (url,) = server.files
    assert server.requests[-1].json == {"image": url, "to": 1}
    assert server.files[url].data == picture.read_bytes()


async def test_without_auto_upload_a_file_is_refused_at_the_call(client: rxfal.Client) -> None:
    with pytest.raises(TypeError, match=r"input\.images\[0\]\.url"):
        client.stream("me/count", {"images": [{"url": b"..."}]}, auto_upload=False)


# What is wrong is said at the call


@pytest.mark.parametrize(
    "app",
    [
        "https://evilfal.run/x/y",
        "http://fal.run@evil.com/",
        "https://fal.run.evil.com/",
        "//evil.com/a/b",
        "../../x",
        "no-slash",
        "",
    ],
)
async def test_a_wrong_endpoint_is_an_exception_at_the_call(server: FalServer, client: rxfal.Client, app: str) -> None:
    with pytest.raises(rxfal.EndpointError) as caught:
        client.stream(app)
    assert isinstance(caught.value, ValueError)
    assert server.requests == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Content-Length", "which rxfal knows"),
        ("content-length", "which rxfal knows"),
        ("Transfer-Encoding", "which rxfal decides"),
        ("Expect", "leave it out"),
        ("HOST", "set base_url or run_url in Config"),
        ("Connection", "kept or closed"),
        ("Upgrade", "no other protocol"),
        ("TE", "rxfal's"),
        ("Trailer", "does not send"),
        ("X-Fal-Target-URL", "made from the endpoint"),
    ],
)
def test_headers_that_would_reframe_the_request_are_refused_at_the_call(
    client: rxfal.Client, name: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=f"the header '{name}' can't be given: .*{reason}"):
        client.stream("me/count", headers={"X-Mine": "1", name: "chunked"})


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"timeout": 0}, ValueError),
        ({"timeout": -1.0}, ValueError),
        ({"response_timeout": 0}, ValueError),
        ({"auth": "basic"}, ValueError),
        ({"path": "../x"}, ValueError),
        ({"method": "GET", "input": [1]}, TypeError),
        ({"input": {"x": object()}}, TypeError),
        ({"input": {"x": float("nan")}}, TypeError),
        ({"nonsense": 1}, TypeError),
        ({"timeout": "5"}, TypeError),
        ({"method": None}, ValueError),
        ({"method": "GE T"}, ValueError),
        ({"method": "FOO"}, ValueError),
        ({"output": "Answer"}, TypeError),
        ({"output": 5}, TypeError),
        ({"query": [("a", "b")]}, TypeError),
        ({"headers": [("X-A", "b")]}, TypeError),
        ({"headers": {"X A": "b"}}, ValueError),
        ({"headers": {"X-A": 1}}, TypeError),
        ({"headers": {"X-A": "a\r\nB: c"}}, ValueError),
        ({"headers": {"X A": "a"}}, ValueError),
        ({"headers": {"Transfer-Encoding ": "chunked"}}, ValueError),
        ({"headers": {"": "a"}}, ValueError),
        ({"headers": {"ä": "a"}}, ValueError),
        ({"token_provider": lambda app: "token"}, ValueError),
        ({"token_provider": "token", "auth": "token"}, TypeError),
        ({"on_open": 5}, TypeError),
        ({"input": {"image": b"GIF89a", "bad": object()}}, TypeError),
    ],
)
async def test_a_wrong_option_is_an_exception_at_the_call(
    client: rxfal.Client, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error, match=next(iter(options)).removesuffix("s")):
        client.stream("me/count", **options)


async def test_an_async_on_open_is_refused(client: rxfal.Client) -> None:
    async def on_open(info: rxfal.ResponseInfo) -> None: ...

    with pytest.raises(TypeError, match="on_open"):
        client.stream("me/count", on_open=on_open)  # pyright: ignore[reportArgumentType]


# Errors


async def test_an_error_status_is_an_api_error(server: FalServer, client: rxfal.Client) -> None:
    @server.app("me/broken")
    async def broken(input: dict[str, Any]) -> AsyncIterator[Any]:
        raise ApiFailure(418, {"detail": "a teapot"}, headers={"X-Fal-Error-Type": "teapot"})
        yield

    items, error = await failure_of(client.stream("me/broken"), rxfal.ApiError)
    assert (items, error.status, error.error_type, error.endpoint) == ([], 418, "teapot", "me/broken")
    assert "a teapot" in str(error)
    assert error.request_id == server.requests[0].request_id


async def test_a_422_names_its_fields(server: FalServer, client: rxfal.Client) -> None:
    detail = [{"loc": ["body", "prompt"], "msg": "field required", "type": "missing"}]
    server.script("me/strict", [Status(422, json={"detail": detail})])
    _, error = await failure_of(client.stream("me/strict"), rxfal.ValidationError)
    assert error.get_field_errors("prompt")[0]["msg"] == "field required"


async def test_a_401_without_a_key_says_where_to_put_one(server: FalServer) -> None:
    count_app(server)
    async with rxfal.Client(config=server.config()) as nobody:
        _, error = await failure_of(nobody.stream("me/count"), rxfal.ApiError)
    assert error.status == 401
    assert "no FAL_KEY was found" in str(error)


async def test_an_event_named_error_ends_the_stream(server: FalServer, client: rxfal.Client) -> None:
    server.script("me/fails", [Bytes(b'data: 1\n\nevent: error\ndata: {"detail": "out of memory"}\n\ndata: 2\n\n')])
    items, error = await failure_of(client.stream("me/fails"), rxfal.ApiError)
    assert items == [1]
    assert (error.status, error.body) == (500, {"detail": "out of memory"})
    assert "out of memory" in str(error)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ('{"detail": "busy", "status": 503}', 503),
        ('{"error": {"message": "slow down", "code": 429}}', 429),
        ('{"error": {"message": "slow down", "code": "429"}}', 429),
        ('{"code": "rate_limit", "error": "429"}', 500),
        ('{"status": 200, "code": true}', 500),
        ("[503]", 500),
        ("503", 500),
        ("busy", 500),
    ],
)
async def test_an_event_named_error_has_the_status_that_its_data_names(
    server: FalServer, client: rxfal.Client, data: str, status: int
) -> None:
    server.script("me/fails", [Bytes(f"event: error\ndata: {data}\n\n".encode())])
    _, error = await failure_of(client.stream("me/fails"), rxfal.ApiError)
    assert error.status == status


@pytest.mark.parametrize(
    ("end", "kind"),
    [(Disconnect("cut"), "cut short"), (Disconnect("mid-chunk"), "cut short"), (Disconnect("reset"), "reset")],
)
async def test_a_body_cut_short_is_a_transport_error_after_all_that_had_come(
    server: FalServer, client: rxfal.Client, end: Disconnect, kind: str
) -> None:
    pause = Pause()
    server.script("me/cut", [sse(1, 2, 3), pause, end])
    stream = client.stream("me/cut").do_action(lambda _: pause.release())
    got, error = await failure_of(stream, rxfal.TransportError)
    assert got == [1, 2, 3]
    assert error.kind == kind
    assert error.__cause__ is not None


async def test_what_waits_behind_a_full_consumer_is_not_lost_when_the_connection_breaks(
    server: FalServer, client: rxfal.Client
) -> None:
    server.script("me/cut", [sse(*range(2000)), Disconnect("cut")])
    got: list[int] = []

    async def pull() -> None:
        async for event in rxfal.iterate(client.stream("me/cut"), buffer_size=1):
            got.append(event)
            await asyncio.sleep(0)

    with pytest.raises(rxfal.TransportError):
        await pull()
    assert got == list(range(2000))


async def test_a_refused_connection_is_a_transport_error(unused_tcp_port: int) -> None:
    config = rxfal.Config(base_url=f"http://127.0.0.1:{unused_tcp_port}", max_attempts=1)
    async with rxfal.Client("key", config=config) as client:
        _, error = await failure_of(client.stream("me/count"), rxfal.TransportError)
    assert error.kind == "refused"


async def test_an_event_over_the_limit_ends_the_stream(server: FalServer) -> None:
    server.script("me/huge", [sse("small", "x" * 5000)])
    async with server.client(max_event_size=1000) as client:
        items, error = await failure_of(client.stream("me/huge"), rxfal.EventTooLargeError)
    assert (items, error.endpoint) == (["small"], "me/huge")
    assert "1000" in str(error) or "1,000" in str(error)


async def test_a_stream_is_never_sent_again_once_its_response_began(server: FalServer, client: rxfal.Client) -> None:
    server.script("me/cut", [sse(1), Disconnect("cut")])
    await failure_of(client.stream("me/cut"), rxfal.TransportError)
    assert len(server.requests) == 1


async def test_a_request_that_never_started_is_sent_again(server: FalServer, client: rxfal.Client) -> None:
    server.script("me/busy", [Status(429, json={"detail": "busy"}, headers={"Retry-After": "0"})], times=1)
    server.script("me/busy", [sse("there")])
    assert await client.stream("me/busy") == "there"
    assert [request.status for request in server.requests] == [429, 200]


# Silence


async def test_silence_ends_the_stream_and_the_request(server: FalServer, client: rxfal.Client, clock: Clock) -> None:
    server.script("me/silent", [sse(1), Pause()])
    arrived = asyncio.Event()
    stream = client.stream("me/silent", timeout=60).do_action(lambda _: arrived.set())
    failing = asyncio.ensure_future(failure_of(stream, rxfal.StreamTimeoutError))
    await arrived.wait()
    await clock.advance(59)
    assert not failing.done()
    await clock.advance(2)
    items, error = await failing
    assert items == [1]
    assert (error.status, error.endpoint) == (408, "me/silent")
    assert error.seconds == pytest.approx(61, abs=1)
    assert isinstance(error, TimeoutError)
    await server.requests[0].closed()
    assert server.requests[0].dropped


async def test_a_silence_names_the_server_and_the_request(
    server: FalServer, client: rxfal.Client, clock: Clock
) -> None:
    pause = Pause()
    server.script("me/silent", [NAMED, sse(1), pause])
    failing = asyncio.ensure_future(failure_of(client.stream("me/silent", timeout=60), rxfal.StreamTimeoutError))
    await pause.reached()
    await client_has_read()
    await clock.advance(61)
    _, error = await failing
    assert str(error).endswith(f"(status 408, request r-1), from 127.0.0.1:{server.port}")


async def test_without_a_timeout_a_silence_may_last(server: FalServer, client: rxfal.Client, clock: Clock) -> None:
    pause = Pause()
    server.script("me/silent", [sse(1), pause, sse(2)])
    waiting = asyncio.ensure_future(client.stream("me/silent", timeout=None))
    await pause.reached()
    await clock.advance(100_000)
    pause.release()
    assert await waiting == 2


async def test_keep_alives_end_a_silence(server: FalServer, client: rxfal.Client, clock: Clock) -> None:
    pauses = [Pause() for _ in range(4)]
    steps = [step for pause in pauses for step in (Bytes(b": ping\n\n"), pause)]
    server.script("me/alive", [*steps, sse("done")])
    waiting = asyncio.ensure_future(client.stream("me/alive", timeout=60))
    for pause in pauses:
        await pause.reached()
        await client_has_read()
        await clock.advance(50)
        pause.release()
    assert await waiting == "done"


async def test_a_json_answer_that_drips_is_no_silence(server: FalServer, client: rxfal.Client, clock: Clock) -> None:
    pauses = [Pause() for _ in range(4)]
    steps = [step for pause in pauses for step in (Bytes(b" "), pause)]
    server.script("me/drip", [Status(content_type="application/json"), *steps, Bytes(b"[1]")])
    waiting = asyncio.ensure_future(client.stream("me/drip", timeout=60))
    for pause in pauses:
        await pause.reached()
        await client_has_read()
        await clock.advance(50)
        pause.release()
    assert await waiting == [1]


async def test_a_paused_consumer_never_causes_a_timeout(server: FalServer, client: rxfal.Client, clock: Clock) -> None:
    server.script("me/fast", [sse(*range(600))])
    pulled = rxfal.iterate(client.stream("me/fast", timeout=60), buffer_size=4)
    got = [await anext(pulled)]
    for _ in range(5):
        await clock.advance(100)
    got += [item async for item in pulled]
    assert got == list(range(600))


async def test_a_busy_loop_is_not_a_silent_server(client: rxfal.Client, clock: Clock) -> None:
    # The server has a thread of its own here: it goes on while this loop is blocked.
    with FalServer() as server, server.client() as other:
        first, last = Pause(), Pause()
        server.script("me/fast", [sse(1), first, sse(2), last])
        got: list[int] = []

        def block() -> None:
            first.release()
            last.wait_reached()  # the second event is in the socket, unseen, when the limit has long passed
            clock._ahead += 1000

        def on_next(event: int) -> None:
            got.append(event)
            asyncio.get_running_loop().call_soon(block) if event == 1 else last.release()

        await other.stream("me/fast", timeout=60).do_action(on_next)
    assert got == [1, 2]


async def test_without_headers_in_time_the_error_says_so(server: FalServer, client: rxfal.Client, clock: Clock) -> None:
    pause = Pause()
    server.script("me/cold", [pause])
    failing = asyncio.ensure_future(
        failure_of(client.stream("me/cold", response_timeout=600), rxfal.StreamTimeoutError)
    )
    await pause.reached()
    await clock.advance(601)
    _, error = await failing
    assert "response headers" in str(error)


async def test_retries_and_their_pauses_count_until_the_headers_are_in(
    server: FalServer, client: rxfal.Client, clock: Clock
) -> None:
    pause = Pause()
    server.script("me/busy", [Status(429, headers={"Retry-After": "0"})], times=2)
    server.script("me/busy", [pause])
    failing = asyncio.ensure_future(
        failure_of(client.stream("me/busy", response_timeout=600), rxfal.StreamTimeoutError)
    )
    await pause.reached()
    await clock.advance(601)
    _, error = await failing
    assert error.seconds == 600
    assert len(server.requests) == 3


async def test_no_retry_after_holds_a_call_longer_than_its_limit(server: FalServer, client: rxfal.Client) -> None:
    server.script("me/busy", [Status(429, json={"detail": "busy"}, headers={"Retry-After": "50"})])
    async with asyncio.timeout(2):
        _, error = await failure_of(client.stream("me/busy", response_timeout=0.5), rxfal.ApiError)
    assert (error.status, error.retry_after) == (429, 50)
    assert len(server.requests) == 1


async def test_the_upload_of_files_counts_too(server: FalServer, client: rxfal.Client, clock: Clock) -> None:
    pause = Pause()
    server.script("rest/storage/upload/initiate", [pause])
    failing = asyncio.ensure_future(
        failure_of(client.stream("me/count", {"image": b"GIF89a"}, response_timeout=20), rxfal.StreamTimeoutError)
    )
    await pause.reached()
    await clock.advance(21)
    _, error = await failing
    assert "within 20 seconds: the files of the input were still being uploaded" in str(error)
    assert (error.endpoint, error.outcome_unknown) == ("me/count", False)
    await server.requests[0].closed()


async def test_a_token_counts_too(server: FalServer, client: rxfal.Client, clock: Clock) -> None:
    pause = Pause()
    server.script("rest/tokens/", [Status(content_type="application/json"), Bytes(b'"tok'), pause])
    failing = asyncio.ensure_future(
        failure_of(client.stream("me/count", auth="token", response_timeout=20), rxfal.StreamTimeoutError)
    )
    await pause.reached()
    await clock.advance(21)
    _, error = await failing
    assert "within 20 seconds: the short-lived token had not come" in str(error)
    await server.requests[0].closed()


async def test_a_token_that_does_not_come_has_an_end_of_its_own(
    server: FalServer, client: rxfal.Client, clock: Clock
) -> None:
    pause = Pause()
    server.script("rest/tokens/", [Status(content_type="application/json"), Bytes(b'"tok'), pause])
    failing = asyncio.ensure_future(
        failure_of(client.stream("me/count", auth="token", response_timeout=None), rxfal.StreamTimeoutError)
    )
    await pause.reached()
    await clock.advance(61)
    _, error = await failing
    assert error.endpoint == "the token for count"
    assert error.seconds == 60


async def test_an_unanswered_stream_has_an_unknown_outcome_and_may_be_tried_again(
    server: FalServer, client: rxfal.Client
) -> None:
    server.script("me/cut", [Disconnect("cut")], times=1)
    _, error = await failure_of(client.stream("me/cut"), rxfal.TransportError)
    assert (error.outcome_unknown, error.retryable, error.request_id) == (True, True, None)
    assert len(server.requests) == 1
    server.script("me/cut", [NAMED, sse(1), Disconnect("cut")])
    _, error = await failure_of(client.stream("me/cut"), rxfal.TransportError)
    assert (error.outcome_unknown, error.request_id) == (False, "r-1")


async def test_json_has_the_limit_of_what_is_read_whole(server: FalServer) -> None:
    server.script("me/json", [Status(json=["x" * 1000], headers=NAMED.headers)])
    async with server.client(max_body_size=1000) as client:
        _, error = await failure_of(client.stream("me/json"), rxfal.BodyTooLargeError)
    assert (error.endpoint, error.size_limit, error.request_id) == ("me/json", 1000, "r-1")


async def test_a_head_has_no_body_to_decode(server: FalServer, client: rxfal.Client) -> None:
    server.script("me/head", [sse(1)])
    assert await all_of(client.stream("me/head", method="HEAD")) == []


async def test_a_stream_has_one_timer_at_most(server: FalServer, client: rxfal.Client, monkeypatch: Any) -> None:
    loop = asyncio.get_running_loop()
    timers: list[float] = []
    call_later = loop.call_later

    def counting(delay: float, callback: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(callback, "__module__", "").startswith(("rxfal.verbs", "rxfal.reactive")):
            timers.append(delay)
        return call_later(delay, callback, *args, **kwargs)

    monkeypatch.setattr(loop, "call_later", counting)
    count_app(server)
    await client.stream("me/count", {"to": 500})
    assert len(timers) == 1


# Tokens


async def test_token_auth_sends_a_token_in_the_query_and_no_key(server: FalServer, client: rxfal.Client) -> None:
    count_app(server)
    await asyncio.gather(*(client.stream("me/count", auth="token") for _ in range(5)))
    asked, *streams = server.requests
    assert (asked.path, asked.json["allowed_apps"]) == ("/rest/tokens/", ["count"])
    assert len(streams) == 5
    assert all("fal_jwt_token" in r.query and "Authorization" not in r.headers for r in streams)


async def test_token_provider_is_asked_for_the_app_per_subscription(server: FalServer, client: rxfal.Client) -> None:
    server.script("me/count", [sse(1)])
    asked: list[str] = []

    async def provide(app: str) -> str:
        asked.append(app)
        return f"token-{len(asked)}"

    stream = client.stream("me/count", auth="token", token_provider=provide)
    await stream
    await stream
    assert asked == ["me/count/stream"] * 2
    assert [r.query["fal_jwt_token"] for r in server.requests] == ["token-1", "token-2"]


async def test_a_token_provider_may_be_sync_and_must_give_text(server: FalServer, client: rxfal.Client) -> None:
    server.script("me/count", [sse(1)])
    await client.stream("me/count", auth="token", token_provider=lambda app: "sync")
    assert server.requests[0].query["fal_jwt_token"] == "sync"
    bad: Any = lambda app: None
    await failure_of(client.stream("me/count", auth="token", token_provider=bad), rxfal.CredentialsError)


async def test_a_failing_token_provider_is_a_credentials_error(server: FalServer, client: rxfal.Client) -> None:
    def provide(app: str) -> str:
        raise KeyError("no such secret")

    _, error = await failure_of(client.stream("me/count", auth="token", token_provider=provide), rxfal.CredentialsError)
    assert isinstance(error.__cause__, KeyError)
    assert server.requests == []


async def test_a_token_that_is_refused_is_not_used_again(server: FalServer, client: rxfal.Client) -> None:
    count_app(server)
    await client.stream("me/count", auth="token")
    server.expire_tokens()
    _, error = await failure_of(client.stream("me/count", auth="token"), rxfal.ApiError)
    assert error.status == 401
    assert await client.stream("me/count", auth="token") == {"n": 2}
    assert [request.path for request in server.requests].count("/rest/tokens/") == 2


# Leaving


async def test_dispose_closes_the_connection_at_once(server: FalServer, client: rxfal.Client) -> None:
    pause = Pause()
    server.script("me/open", [sse(1), pause])
    arrived = asyncio.Event()
    subscription = client.stream("me/open").subscribe(lambda _: arrived.set())
    await arrived.wait()
    subscription.dispose()
    await server.requests[0].closed()
    assert server.requests[0].dropped


async def test_dispose_inside_on_next_stops_the_rest_of_the_chunk(server: FalServer, client: rxfal.Client) -> None:
    server.script("me/burst", [sse(*range(100)), Pause()])
    got: list[Any] = []
    left = asyncio.Event()

    def on_next(event: int) -> None:
        got.append(event)
        if event == 2:
            subscription.dispose()
            left.set()

    subscription = client.stream("me/burst").subscribe(on_next, got.append, lambda: got.append(-1))
    await left.wait()
    await server.requests[0].closed()
    assert got == [0, 1, 2]


async def test_take_leaves_the_server_promptly(server: FalServer, client: rxfal.Client) -> None:
    server.script("me/open", [sse(1, 2), Pause()])
    assert await client.stream("me/open").pipe(rx_ops.take(1)) == 1
    await server.requests[0].closed()


async def test_break_leaves_the_server_promptly(server: FalServer, client: rxfal.Client) -> None:
    server.script("me/open", [sse(1), Pause()])
    async for _ in client.stream("me/open"):
        break
    await server.requests[0].closed()


async def test_cancelling_the_waiting_task_leaves_the_server(server: FalServer, client: rxfal.Client) -> None:
    pause = Pause()
    server.script("me/open", [sse(1), pause])
    waiting = asyncio.ensure_future(client.stream("me/open"))
    await pause.reached()
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    await server.requests[0].closed()


# Many


async def test_share_is_one_request_for_several_subscribers(server: FalServer, client: rxfal.Client) -> None:
    pause = Pause()
    server.script("me/shared", [pause, sse(1, 2)])
    shared = client.stream("me/shared").share()
    both = asyncio.gather(all_of(shared), all_of(shared))
    await pause.reached()
    pause.release()
    assert await both == [[1, 2], [1, 2]]
    assert len(server.requests) == 1


def test_a_plain_script_iterates_waits_and_subscribes() -> None:
    with FalServer() as server, server.client() as client:
        count_app(server)
        assert [event["n"] for event in client.stream("me/count")] == [0, 1, 2]
        assert client.stream("me/count").run() == {"n": 2}
        done = threading.Event()
        got: list[Any] = []
        client.stream("me/count").subscribe(got.append, on_completed=done.set)
        assert done.wait(5)
        assert got == [{"n": 0}, {"n": 1}, {"n": 2}]


@pytest.mark.parametrize("kind", ["stream", "stream_events", "binary"])
async def test_a_full_consumer_stops_the_reader_after_each_item(
    server: FalServer, client: rxfal.Client, kind: str
) -> None:
    if kind == "binary":
        server.script("me/fast", [Status(content_type="audio/wav"), *(Bytes(b"x" * 200_000) for _ in range(50))])
    else:
        server.script("me/fast", [sse(*range(600))])
    stream = client.stream_events("me/fast") if kind == "stream_events" else client.stream("me/fast")
    seen: list[Any] = []
    pulled = rxfal.iterate(stream.do_action(seen.append), buffer_size=4)
    await anext(pulled)
    for _ in range(20):
        await client_has_read()
    assert len(seen) <= 5  # one was taken, four wait
    await pulled.aclose()
