"""`Config(validation=...)`: what is refused before anything is sent, and all that is not."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import pytest
from pydantic import BaseModel, Field

import rxfal
from rxfal.testing import Disconnect, FalServer, Pause, Status

SCHEMA = "api/openapi/queue/openapi.json"


class Input(BaseModel):
    prompt: str
    image_url: str
    steps: int = 4


@dataclass
class Asked:
    prompt: str
    image_url: str


class Renamed(BaseModel):
    prompt: str
    image: str = Field(serialization_alias="image_url")


@pytest.fixture
async def server() -> AsyncIterator[FalServer]:
    async with FalServer() as server:

        @server.app("me/painter")
        async def painter(input: Input) -> dict[str, Any]:
            return {"prompt": input.prompt}

        yield server


@pytest.fixture
async def strict(server: FalServer) -> AsyncIterator[rxfal.Client]:
    async with server.client(validation="require") as client:
        yield client


def paths(server: FalServer) -> list[str]:
    return [request.path.removeprefix("/") for request in server.requests]


def call(client: rxfal.Client, verb: str, *args: Any, **options: Any) -> rxfal.Stream[Any]:
    return attrgetter(verb)(client)(*args, **options)


VERBS = ["run", "stream", "stream_events", "subscribe", "queue.submit"]


@pytest.mark.parametrize("verb", VERBS)
async def test_a_missing_argument_is_refused_as_the_server_would(
    server: FalServer, strict: rxfal.Client, verb: str
) -> None:
    stream = call(strict, verb, "me/painter", {"prompt": "a cat", "extra": 1})
    assert server.requests == []
    with pytest.raises(rxfal.ValidationError) as ours:
        await stream
    assert paths(server) == [SCHEMA], "the input was not sent"
    async with server.client() as client:
        with pytest.raises(rxfal.ValidationError) as theirs:
            await client.run("me/painter", {"prompt": "a cat", "extra": 1})
    same = [{key: error[key] for key in ("loc", "msg", "type")} for error in theirs.value.field_errors]
    assert (
        ours.value.field_errors == same == [{"loc": ["body", "image_url"], "msg": "Field required", "type": "missing"}]
    )
    assert (ours.value.status, ours.value.endpoint, ours.value.retryable) == (422, "me/painter", False)
    assert ours.value.get_field_errors("image_url")
    assert not ours.value.outcome_unknown
    assert "image_url" in str(ours.value)


@pytest.mark.parametrize("verb", VERBS)
async def test_files_are_not_uploaded_for_an_input_that_is_refused(
    server: FalServer, strict: rxfal.Client, verb: str
) -> None:
    with pytest.raises(rxfal.ValidationError):
        await call(strict, verb, "me/painter", {"image_url": b"GIF89a"})
    assert paths(server) == [SCHEMA]


@pytest.mark.parametrize(
    "given",
    [
        {"prompt": "a", "image_url": "b"},
        {"prompt": None, "image_url": 3},  # types are the server's business
        Input(prompt="a", image_url="b"),
        Asked("a", "b"),
        Renamed(prompt="a", image="b"),
        {"prompt": "a", "image_url": b"GIF89a"},
    ],
)
async def test_an_input_that_has_what_is_required_is_sent(server: FalServer, strict: rxfal.Client, given: Any) -> None:
    server.script("me/painter", [Status(json={"ok": True})])
    assert await strict.run("me/painter", given) == {"ok": True}


async def test_no_input_lacks_everything(strict: rxfal.Client) -> None:
    with pytest.raises(rxfal.ValidationError) as caught:
        await strict.run("me/painter")
    assert [error["loc"][-1] for error in caught.value.field_errors] == ["prompt", "image_url"]


async def test_a_field_of_a_model_that_was_not_set_is_not_there(strict: rxfal.Client) -> None:
    class Loose(BaseModel):
        prompt: str = "x"
        image_url: str = "y"

    with pytest.raises(rxfal.ValidationError) as caught:
        await strict.run("me/painter", Loose(prompt="a"))
    assert [error["loc"][-1] for error in caught.value.field_errors] == ["image_url"]


async def test_warn_warns_and_goes_on(server: FalServer) -> None:
    server.script("me/painter", [Status(json={"ok": True})])
    async with server.client(validation="warn") as client:
        with pytest.warns(UserWarning, match="me/painter: the input has no image_url"):
            assert await client.run("me/painter", {"prompt": "a"}) == {"ok": True}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await client.run("me/painter", {"prompt": "a", "image_url": "b"})


async def test_off_asks_for_nothing(server: FalServer) -> None:
    server.script("me/painter", [Status(json={"ok": True})])
    async with server.client() as client:
        await client.run("me/painter", {})
    assert paths(server) == ["me/painter"]


async def test_with_get_the_query_is_the_input(server: FalServer, strict: rxfal.Client) -> None:
    given = {"prompt": "a", "image_url": "b"}
    assert await strict.run("me/painter", given, method="GET") == {"prompt": "a"}
    with pytest.raises(rxfal.ValidationError):
        await strict.run("me/painter", {"prompt": "a"}, method="GET")
    assert await strict.run("me/painter", {"prompt": "a"}, method="GET", query={"image_url": "b"}) == {"prompt": "a"}


@pytest.mark.parametrize("app", ["me/painter", "me/painter/", "me/painter/stream"])
async def test_the_stream_of_a_model_takes_what_the_model_takes(strict: rxfal.Client, app: str) -> None:
    with pytest.raises(rxfal.ValidationError):
        await strict.stream(app, {})


async def test_a_server_url_is_the_endpoint_too(server: FalServer, strict: rxfal.Client) -> None:
    with pytest.raises(rxfal.ValidationError):
        await strict.run(f"{server.url}/me/painter", {})


# What is not checked


async def test_a_subscribe_with_all_that_is_required_is_submitted(server: FalServer, strict: rxfal.Client) -> None:
    done = await strict.subscribe("me/painter", {"prompt": "a", "image_url": "b"}, webhook_url="https://example.com/x")
    assert done.output == {"prompt": "a"}
    assert paths(server)[0] == SCHEMA


@pytest.mark.parametrize("options", [{"path": "/other"}, {"method": "PUT"}])
async def test_another_path_or_method_is_not_what_the_schema_describes(
    server: FalServer, strict: rxfal.Client, options: Any
) -> None:
    for path in ("me/painter/other", "me/painter"):
        server.script(path, [Status(json={"ok": True})])
    assert await strict.run("me/painter", {}, **options) == {"ok": True}
    assert SCHEMA not in paths(server)


async def test_an_endpoint_elsewhere_is_not_what_fals_schema_describes(server: FalServer, strict: rxfal.Client) -> None:
    async with FalServer(require_key=False) as other:
        other.script("me/painter", [Status(json={"ok": True})])
        trusting = server.client(validation="require", trusted_hosts={f"127.0.0.1:{other.port}"})
        async with trusting:
            assert await trusting.run(f"{other.url}/me/painter", {}) == {"ok": True}
    assert server.requests == []


async def test_an_input_that_is_no_object_is_left_to_the_server(server: FalServer, strict: rxfal.Client) -> None:
    server.script("me/painter", [Status(json={"ok": True})])
    assert await strict.run("me/painter", ["a", "list"]) == {"ok": True}


@pytest.mark.parametrize(
    "answer",
    [
        Status(404, json={"detail": "no"}),
        Status(500, json={"detail": "no"}),
        Status(json=[]),
        Status(json={"openapi": "3"}),
        Status(content_type="text/html"),
        Disconnect("cut"),
    ],
)
async def test_without_a_schema_nothing_is_checked(server: FalServer, answer: Any) -> None:
    server.script(SCHEMA, [answer])
    server.script("me/painter", [Status(json={"ok": True})])
    async with server.client(validation="require", max_attempts=1) as client:
        assert await client.run("me/painter", {}) == {"ok": True}
        assert await client.run("me/painter", {}) == {"ok": True}
    assert paths(server) == [SCHEMA, "me/painter", "me/painter"], "a failure is remembered for a while"


async def test_a_schema_that_does_not_come_holds_up_no_call_for_long(
    server: FalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rxfal.verbs.validation.InputCheck.patience", 0.05)
    server.script(SCHEMA, [Pause()])
    server.script("me/painter", [Status(json={"ok": True})])
    async with server.client(validation="require") as client, asyncio.timeout(10):
        assert await client.run("me/painter", {}) == {"ok": True}


async def test_a_short_response_timeout_is_kept_while_the_schema_is_on_its_way(
    server: FalServer, strict: rxfal.Client
) -> None:
    server.script(SCHEMA, [Pause()])
    server.script("me/painter", [Pause()])
    async with asyncio.timeout(5):
        with pytest.raises(rxfal.StreamTimeoutError):
            await strict.run("me/painter", {}, response_timeout=0.05)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"required": "prompt"},
        {"required": [3, None]},
        {"required": ["seed"], "properties": {"seed": {"default": 1}}},
        {"required": [], "properties": None},
    ],
)
async def test_a_schema_that_requires_nothing_refuses_nothing(
    server: FalServer, strict: rxfal.Client, schema: Any
) -> None:
    body = {"content": {"application/json": {"schema": schema}}}
    server.script(SCHEMA, [Status(json={"paths": {"/me/painter": {"post": {"requestBody": body}}}})])
    server.script("me/painter", [Status(json={"ok": True})])
    assert await strict.run("me/painter", {}) == {"ok": True}


# What is kept


async def test_a_schema_is_asked_for_once_by_all_who_want_it(server: FalServer, strict: rxfal.Client) -> None:
    given = {"prompt": "a", "image_url": "b"}
    await asyncio.gather(*(strict.run("me/painter", given).wait() for _ in range(5)))
    await strict.stream("me/painter", given)
    assert paths(server).count(SCHEMA) == 1


async def test_one_who_stops_waiting_does_not_stop_the_others(server: FalServer, strict: rxfal.Client) -> None:
    pause = Pause()
    server.script(SCHEMA, [pause])
    server.script("me/painter", [Status(json={"ok": True})])
    first = asyncio.create_task(strict.run("me/painter", {}).wait())
    await pause.reached()
    second = asyncio.create_task(strict.run("me/painter", {}).wait())
    await asyncio.sleep(0)
    first.cancel()
    pause.release()
    assert await second == {"ok": True}
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_schema_is_asked_for_again_after_an_hour_and_a_failure_after_a_minute(
    server: FalServer, strict: rxfal.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("rxfal.verbs.validation.time.monotonic", lambda: now)
    server.script(SCHEMA, [Status(404, json={})], times=1)
    server.script("me/painter", [Status(json={"ok": True})])
    await strict.run("me/painter", {})
    now += 59
    await strict.run("me/painter", {})
    assert paths(server).count(SCHEMA) == 1
    now += 2
    for wait in (0.0, 3599.0):
        now += wait
        with pytest.raises(rxfal.ValidationError):
            await strict.run("me/painter", {})
        assert paths(server).count(SCHEMA) == 2
    now += 2
    with pytest.raises(rxfal.ValidationError):
        await strict.run("me/painter", {})
    assert paths(server).count(SCHEMA) == 3


async def test_so_many_schemas_are_kept_and_the_least_used_go(
    server: FalServer, strict: rxfal.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rxfal.verbs.validation._MOST_KEPT", 2)

    def painted(app: str) -> rxfal.Stream[Any]:
        return strict.run(app, {"prompt": "a", "image_url": "b"})

    for app in ("me/a", "me/b", "me/c"):

        @server.app(app)
        async def painter(input: Input) -> str:
            return input.prompt

    for app in ("me/a", "me/b", "me/a", "me/c"):  # b is now the least used
        await painted(app)
    assert paths(server).count(SCHEMA) == 3
    await painted("me/a")
    assert paths(server).count(SCHEMA) == 3
    await painted("me/b")
    assert paths(server).count(SCHEMA) == 4


async def test_the_schema_is_asked_for_without_the_key_and_past_a_proxy(server: FalServer) -> None:
    async with server.client(validation="require", proxy_url="http://127.0.0.1:1") as client:
        with pytest.raises(rxfal.ValidationError):
            await client.run("me/painter", {})
    assert "Authorization" not in server.requests[0].headers


@pytest.mark.parametrize("wrong", ["on", None, True, "REQUIRE"])
def test_validation_is_one_of_three_words(wrong: Any) -> None:
    if wrong is None:
        assert rxfal.Config(validation=wrong).validation == "off"
        return
    with pytest.raises(ValueError, match="validation"):
        rxfal.Config(validation=wrong)
