"""`run` against the embedded server: one value, every option, and never twice the same work."""

import asyncio
import contextlib
import inspect
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina
from pydantic import BaseModel

import rxfal
from rxfal import operators as ops
from rxfal.testing import Bytes, Disconnect, FalServer, Pause, Status

NGINX = "<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"


@pytest.fixture
async def server() -> AsyncIterator[FalServer]:
    async with FalServer() as server:
        yield server


@pytest.fixture
async def client(server: FalServer) -> AsyncIterator[rxfal.Client]:
    async with server.client() as client:
        yield client


@pytest.fixture
def no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


def echo(server: FalServer, endpoint: str = "me/app") -> None:
    @server.app(endpoint)
    async def app(input: Any) -> Any:
        return {"got": input}


async def failure_of(stream: rxfal.Stream[Any], kind: type[Exception] = rxfal.FalError) -> Any:
    with pytest.raises(kind) as caught:
        await stream
    return caught.value


# One value


async def test_the_answer_is_one_decoded_value(server: FalServer, client: rxfal.Client):
    echo(server)
    assert await client.run("me/app", {"prompt": "hi"}).to_list() == [{"got": {"prompt": "hi"}}]
    assert [(each.method, each.path, each.json) for each in server.requests] == [("POST", "/me/app", {"prompt": "hi"})]


async def test_nothing_is_sent_before_a_subscription_and_each_is_one_request(server: FalServer, client: rxfal.Client):
    echo(server)
    answer = client.run("me/app")
    assert server.requests == []
    await answer
    await answer
    assert len(server.requests) == 2


@pytest.mark.parametrize("value", [None, 0, "", [], False])
async def test_a_falsy_answer_is_a_value(server: FalServer, client: rxfal.Client, value: Any):
    @server.app("me/app")
    async def app(input: Any) -> Any:
        return value

    assert await client.run("me/app") == value


async def test_any_other_answer_is_one_bytes(server: FalServer, client: rxfal.Client):
    pause = Pause()
    server.script("me/audio", [Status(content_type="audio/wav"), Bytes(b"RIFF"), pause, Bytes(b"more")])
    pause.release()
    assert await client.run("me/audio").to_list() == [b"RIFFmore"]
    server.script("me/events", [Status(), Bytes(b"data: 1\n\n")])
    assert await client.run("me/events") == b"data: 1\n\n"
    server.script("me/nothing", [Status(204)])
    assert await client.run("me/nothing") == b""


async def test_json_goes_by_its_media_type(server: FalServer, client: rxfal.Client):
    server.script("me/problem", [Status(content_type="application/problem+json"), Bytes(b'{"a": 1}')])
    assert await client.run("me/problem") == {"a": 1}


async def test_output_validates_the_answer(server: FalServer, client: rxfal.Client):
    class Answer(BaseModel):
        got: dict[str, int]

    echo(server)
    assert await client.run("me/app", {"n": 1}, output=Answer) == Answer(got={"n": 1})
    error = await failure_of(client.run("me/app", {"n": "x"}, output=Answer), rxfal.DecodeError)
    assert error.data == b'{"got":{"n":"x"}}'
    assert (error.retryable, error.outcome_unknown) == (False, False)
    assert error.request_id


# What is sent


async def test_the_path_follows_the_id(server: FalServer, client: rxfal.Client):
    for endpoint in ("me/app", "me/app/v1/chat"):
        echo(server, endpoint)
    await client.run("me/app", path="/v1/chat")
    await client.run("me/app/v1", path="chat")
    await client.run(f"{server.url}/me/app")
    assert [each.path for each in server.requests] == ["/me/app/v1/chat", "/me/app/v1/chat", "/me/app"]


async def test_with_get_the_input_is_the_query(server: FalServer, client: rxfal.Client):
    echo(server)
    answer = await client.run("me/app", {"n": 1, "size": {"w": 2}, "text": "a b"}, method="GET", query={"q": True})
    assert answer == {"got": {"n": 1, "size": {"w": 2}, "text": "a b", "q": True}}
    assert server.requests[0].body == b""


async def test_options_become_fals_headers(server: FalServer, client: rxfal.Client):
    echo(server)
    await client.run("me/app", start_timeout=30, hint="runner-1", lifecycle="1h", tags={"Team": "red", "job.id": "17"})
    headers = server.requests[0].headers
    assert headers["X-Fal-Request-Timeout"] == "30"
    assert headers["X-Fal-Runner-Hint"] == "runner-1"
    assert headers["X-Fal-Object-Lifecycle-Preference"] == '{"expiration_duration_seconds":3600}'
    assert headers["X-Fal-Tags"] == "team=red,job.id=17"
    assert "X-Fal-Object-Lifecycle" not in headers
    assert "text/event-stream" not in headers["Accept"]
    await client.run("me/app", headers={"X-Fal-Store-IO": "0", "X-Fal-Runner-Hint": "mine"}, hint="other")
    assert server.requests[1].headers["X-Fal-Store-IO"] == "0"
    assert server.requests[1].headers["X-Fal-Runner-Hint"] == "mine"
    assert not {"X-Fal-Request-Timeout", "X-Fal-Tags", "X-Fal-Queue-Priority"} & server.requests[1].headers.keys()


async def test_files_in_the_input_are_uploaded_first(server: FalServer, client: rxfal.Client, tmp_path: Path):
    echo(server)
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n....")
    answer = await client.run("me/app", {"image_url": picture})
    assert answer["got"]["image_url"].endswith("cat.png")
    with pytest.raises(TypeError, match="image_url is PosixPath"):
        client.run("me/app", {"image_url": picture}, auto_upload=False)


async def test_on_open_is_told_once_before_the_value(server: FalServer, client: rxfal.Client):
    named = {"X-Fal-Request-Id": "r-1", "X-Fal-Billable-Units": "1.5"}
    server.script("me/app", [Status(json={"n": 1}, headers=named)])
    seen: list[Any] = []
    await client.run("me/app", on_open=seen.append).do_action(seen.append)
    info, value = seen
    assert (info.status, info.request_id, info.billable_units, value) == (200, "r-1", 1.5, {"n": 1})
    assert info.headers["x-fal-request-id"] == "r-1"


@pytest.mark.parametrize("units", [None, "many", "nan", "inf"])
async def test_units_that_are_no_number_are_none(server: FalServer, client: rxfal.Client, units: str | None):
    server.script("me/app", [Status(json=1, headers={"X-Fal-Billable-Units": units} if units else {})])
    seen: list[rxfal.ResponseInfo] = []
    await client.run("me/app", on_open=seen.append)
    assert [info.billable_units for info in seen] == [None]


async def test_an_on_open_that_raises_ends_it(server: FalServer, client: rxfal.Client):
    def on_open(info: rxfal.ResponseInfo) -> None:
        raise KeyError("no such header")

    echo(server)
    error = await failure_of(client.run("me/app", on_open=on_open), rxfal.CallbackError)
    assert isinstance(error.__cause__, KeyError)


# What is refused at the call


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"app": "flux"}, "Must be in the format"),
        ({"app": "https://evilfal.run/x/y"}, "not trusted"),
        ({"path": "../other"}, "'..' in it"),
        ({"method": "FETCH"}, "method is one of"),
        ({"method": "GET", "input": [1]}, "a mapping, not list"),
        ({"query": [1]}, "query is a mapping"),
        ({"headers": {"Content-Length": "3"}}, "can't be given"),
        ({"timeout": 0}, "above 0"),
        ({"response_timeout": "1"}, "in seconds"),
        ({"start_timeout": 0.1}, "above 0.1"),
        ({"start_timeout": -1}, "above 0.1"),
        ({"start_timeout": float("nan")}, "above 0.1"),
        ({"start_timeout": float("inf")}, "above 0.1"),
        ({"start_timeout": "10"}, "a number"),
        ({"start_timeout": True}, "a number"),
        ({"hint": ""}, "not empty"),
        ({"hint": "a\r\nX-Other: b"}, "printable"),
        ({"hint": 3}, "hint is a text"),
        ({"lifecycle": "2h"}, "lifecycle is one of"),
        ({"lifecycle": 0}, "above 0"),
        ({"tags": ["a"]}, "tags are a mapping"),
        ({"tags": {"a" * 65: "v"}}, "the name of a tag is 1 to 64"),
        ({"tags": {"": "v"}}, "the name of a tag is 1 to 64"),
        ({"tags": {"a b": "v"}}, "the name of a tag is 1 to 64"),
        ({"tags": {"\u212a": "v"}}, "the name of a tag is 1 to 64"),  # the Kelvin sign is a k in small letters
        ({"tags": {1: "v"}}, "the name of a tag is 1 to 64"),
        ({"tags": {"Fal.team": "v"}}, "begins with 'fal.'"),
        ({"tags": {"a": "v,w"}}, "without a comma"),
        ({"tags": {"a": "v\n"}}, "printable ASCII"),
        ({"tags": {"a": "\u00e9"}}, "printable ASCII"),
        ({"tags": {"a": "v" * 257}}, "256 characters"),
        ({"tags": {"a": 1}}, "printable ASCII"),
        ({"tags": {"a": "1", "A": "2"}}, "given twice"),
        ({"tags": {str(n): "v" for n in range(11)}}, "11 tags are too many"),
        ({"tags": {str(n): "v" * 250 for n in range(5)}}, "bytes together"),
        ({"on_open": 1}, "on_open is a function"),
        ({"output": "Answer"}, "output is a pydantic model"),
        ({"priority": "low"}, "unexpected option 'priority'"),
        ({"with_logs": True}, "unexpected option 'with_logs': there are path"),
        ({"auth": "token"}, "unexpected option 'auth'"),
    ],
)
def test_what_makes_no_sense_is_an_exception_at_the_call(wrong: dict[str, Any], words: str):
    with rxfal.Client("key") as client, pytest.raises((ValueError, TypeError), match=words):
        client.run(**{"app": "me/app", **wrong})


def test_tags_at_the_limits_pass():
    with rxfal.Client("key") as client:
        client.run("me/app", tags={"a" * 64: "v" * 256})
        client.run("me/app", tags={f"Tag_{n}.x-y": " !~=" for n in range(10)})
        client.run("me/app", tags={})
        client.run("me/app", tags={f"{n}": "v" * 202 for n in range(5)})  # 1,024 bytes


def test_the_signature_shows_every_option():
    names = "app input output path method query headers timeout response_timeout auto_upload start_timeout hint "
    names += "lifecycle tags on_open"
    parameters = inspect.signature(rxfal.run).parameters
    assert [*parameters] == names.split()
    assert parameters["timeout"].default == 60.0
    assert parameters["path"].default == ""


# Leaving


async def test_disposing_closes_the_connection(server: FalServer, client: rxfal.Client):
    ended = asyncio.Event()

    @server.app("me/slow")
    async def slow(input: Any) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    subscription = client.run("me/slow").subscribe()
    await server.received()
    subscription.dispose()
    await asyncio.wait_for(ended.wait(), 5)


def test_in_a_plain_script_too():
    with FalServer() as server, server.client() as client:
        echo(server)
        assert client.run("me/app", {"n": 1}).run() == {"got": {"n": 1}}


# Failures


async def test_a_refused_input_is_a_validation_error(server: FalServer, client: rxfal.Client):
    detail = [{"loc": ["body", "prompt"], "msg": "field required", "type": "missing"}]
    server.script("me/app", [Status(422, json={"detail": detail}, headers={"X-Fal-Request-Id": "r-1"})])
    error = await failure_of(client.run("me/app"), rxfal.ValidationError)
    assert (error.request_id, error.outcome_unknown, error.retryable) == ("r-1", False, False)
    assert error.get_field_errors("prompt")[0]["msg"] == "field required"
    assert len(server.requests) == 1


async def test_a_failure_of_the_model_is_known_and_not_tried_again(server: FalServer, client: rxfal.Client):
    for status in (500, 502, 503, 504):
        server.script(f"me/{status}", [Status(status, json={"detail": "broken"}, headers={"X-Fal-Request-Id": "r"})])
        error = await failure_of(client.run(f"me/{status}"), rxfal.ApiError)
        assert (error.status, error.outcome_unknown, error.retryable) == (status, False, False)
        assert "nobody knows" not in str(error)
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "failed",
    [
        Status(429, json={}),
        Status(429, json={"detail": "concurrent_requests_limit"}, headers={"X-Fal-Needs-Retry": "1"}),
        Status(503, json={}, headers={"Retry-After": "0"}),
        Status(503, json={}, headers={"X-Fal-Needs-Retry": "1"}),
    ],
)
async def test_what_surely_was_not_taken_is_sent_again(
    server: FalServer, client: rxfal.Client, no_waiting: None, failed: Status
):
    server.script("me/app", [failed], times=2)
    echo(server)
    assert await client.run("me/app") == {"got": {}}
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [502, 503])
async def test_a_page_of_nginx_was_not_taken(server: FalServer, client: rxfal.Client, no_waiting: None, status: int):
    server.script("me/app", [Status(status, content_type="text/html"), Bytes(NGINX.encode())], times=2)
    echo(server)
    assert await client.run("me/app") == {"got": {}}
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "steps",
    [
        [Disconnect("cut")],
        [Disconnect("reset")],
        [Status(504, content_type="text/html"), Bytes(NGINX.encode())],
        [Status(502, content_type="text/html"), Bytes(b"<html>another gateway</html>")],
        [Status(503, json={"detail": "runner_scheduling_failure"})],
        [Status(500, json={"detail": "Internal Server Error"})],
        [Status(408, json={})],
        [Status(content_type="application/json"), Bytes(b'{"a": '), Disconnect("cut")],
        [Status(content_type="application/json", content_length=100), Bytes(b'{"a": 1}')],
    ],
)
async def test_what_may_have_been_taken_is_not_sent_again_and_the_error_says_so(
    server: FalServer, client: rxfal.Client, no_waiting: None, steps: list[Any]
):
    server.script("me/app", steps)
    run = client.run("me/app")
    error = await failure_of(run.pipe(ops.retry_backoff(attempts=3)))
    assert (error.outcome_unknown, error.retryable) == (True, False)
    assert "nobody knows whether fal took it" in str(error)
    assert "try again" not in str(error)
    assert "send the request again" not in str(error)
    assert error.endpoint == "me/app"
    assert len(server.requests) == 1


async def test_a_page_of_nginx_with_an_id_was_handed_on(server: FalServer, client: rxfal.Client, no_waiting: None):
    head = Status(502, content_type="text/html", headers={"X-Fal-Request-Id": "r-1"})
    server.script("me/app", [head, Bytes(NGINX.encode())])
    error = await failure_of(client.run("me/app"), rxfal.ApiError)
    assert (error.retryable, error.request_id) == (False, "r-1")
    assert len(server.requests) == 1


async def test_no_headers_in_time_leave_the_outcome_unknown(server: FalServer, client: rxfal.Client):
    server.script("me/app", [Pause()])
    error = await failure_of(client.run("me/app", response_timeout=0.05), rxfal.StreamTimeoutError)
    assert (error.outcome_unknown, error.retryable) == (True, False)
    assert "no response headers came within 0.05 seconds" in str(error)


async def test_silence_in_the_answer_leaves_the_outcome_unknown(server: FalServer, client: rxfal.Client):
    head = Status(content_type="application/json", headers={"X-Fal-Request-Id": "r-1"})
    server.script("me/app", [head, Bytes(b'{"a"'), Pause()])
    error = await failure_of(client.run("me/app", timeout=0.05), TimeoutError)
    assert (error.outcome_unknown, error.retryable, error.request_id) == (True, False, "r-1")
    assert "nothing came for" in str(error)


async def test_without_a_connection_the_outcome_is_known(no_waiting: None):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    async with rxfal.Client("key", config=rxfal.Config(base_url=url, max_attempts=2)) as client:
        error = await failure_of(client.run("me/app"), rxfal.TransportError)
    assert (error.outcome_unknown, error.retryable, error.kind) == (False, True, "refused")


async def test_a_kept_connection_that_the_server_closed_costs_nothing(server: FalServer, client: rxfal.Client):
    echo(server)
    await client.run("me/app")
    for _ in range(3):
        # The server closes the kept connection, and this loop has not seen it when the next request is sent.
        for connection in server._listener.connections:
            connection.abort()
        assert await client.run("me/app") == {"got": {}}
    assert len(server.requests) == 4


async def test_a_client_that_is_closed_meanwhile_ends_it(server: FalServer):
    client = server.client()
    server.script("me/app", [Pause()])
    task = asyncio.ensure_future(client.run("me/app").wait())
    await server.received()
    await client.aclose()
    error = (await asyncio.gather(task, return_exceptions=True))[0]
    assert isinstance(error, rxfal.TransportError)
    assert (error.outcome_unknown, error.retryable) == (True, False)
    with contextlib.suppress(Exception):
        await client.aclose()
