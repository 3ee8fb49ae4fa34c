"""Client and the default client: where the key comes from, what is closed when."""

import inspect
from typing import Any

import pytest
from pydantic import SecretStr

import rxfal
from rxfal.client import default_client, set_default
from rxfal.testing import Bytes, FalServer
from tests.hidden import assert_hidden

KEYS = [
    ({"credentials": "given"}, {"key": SecretStr("configured")}, "Key given"),
    ({}, {"key": SecretStr("configured")}, "Key configured"),
    ({}, {}, "Key from-environment"),
    ({"credentials": ""}, {}, None),
    ({"credentials": lambda: "called"}, {}, "Key called"),
    ({"access_token": "a-token"}, {"key": SecretStr("configured")}, "Bearer a-token"),
    ({"access_token": lambda: "called"}, {}, "Bearer called"),
]


@pytest.mark.parametrize(("arguments", "settings", "sent"), KEYS)
async def test_the_nearest_key_wins(
    monkeypatch: pytest.MonkeyPatch, arguments: dict, settings: dict, sent: str | None
) -> None:
    monkeypatch.setenv("FAL_KEY", "from-environment")
    async with FalServer() as server:
        server.script("me/app", [Bytes(b"data: 1\n\n")])
        async with rxfal.Client(**arguments, config=server.config(**settings)) as client:
            await client.stream("me/app")
        assert server.requests[0].headers.get("Authorization") == sent


def test_what_is_no_config_is_refused() -> None:
    with pytest.raises(TypeError, match="Config"):
        rxfal.Client(config={"base_url": "http://127.0.0.1:1"})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("make", [rxfal.Client, rxfal.configure])
def test_a_wrong_key_is_refused_and_not_shown(make: Any) -> None:
    for arguments, kind in [
        ({"credentials": "the-secret\nkey"}, rxfal.CredentialsError),
        ({"access_token": "the-secret\nkey"}, rxfal.CredentialsError),
        ({"credentials": "the-secret-key", "access_token": "the-secret-key"}, ValueError),
    ]:
        with pytest.raises(kind) as caught:
            make(**arguments)
        assert_hidden(caught.value, "the-secret")


def test_the_key_of_other_tools_is_named_when_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAL_API_KEY", "a-key-of-other-tools")
    with (
        FalServer(models=True) as server,
        rxfal.Client(config=server.config(key=None)) as client,
        pytest.raises(rxfal.ApiError, match=r"no FAL_KEY was found.*FAL_API_KEY is set") as caught,
    ):
        client.stream("fal-ai/any-llm", {"prompt": "hi"}).run()
    assert_hidden(caught.value, "a-key-of-other-tools")


def test_configure_replaces_the_default_client_and_closes_the_one_before() -> None:
    before = set_default(None)
    try:
        with FalServer() as one, FalServer() as other:
            for server in (one, other):
                server.script("me/app", [Bytes(b"data: 1\n\n")])
                configured = rxfal.configure("key", config=server.config())
                assert default_client() is configured
                assert rxfal.stream("me/app").run() == 1
            assert len(one.requests) == len(other.requests) == 1
            one.requests[0].wait_closed()
        configured.close()
    finally:
        set_default(before)


async def test_a_closed_client_opens_again_when_it_is_used() -> None:
    async with FalServer() as server, server.client() as client:
        server.script("me/app", [Bytes(b"data: 1\n\n")])
        assert await client.stream("me/app") == 1
        await client.aclose()
        assert await client.stream("me/app") == 1


def test_reprs_show_where_and_no_key() -> None:
    client = rxfal.Client("secret-key", config=rxfal.Config(base_url="http://127.0.0.1:8600"))
    assert repr(client) == "Client(http://127.0.0.1:8600)"
    assert repr(client.stream("me/app")) == "<Stream me/app>"


OPTIONS = {
    "path": None,
    "method": "POST",
    "query": None,
    "headers": None,
    "timeout": 60.0,
    "response_timeout": 600.0,
    "auto_upload": True,
    "auth": "key",
    "token_provider": None,
    "on_open": None,
}


def defaults(verb: Any) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in inspect.signature(verb).parameters.items()}


@pytest.mark.parametrize("verb", [rxfal.stream, rxfal.Client().stream], ids=["function", "method"])
def test_the_signature_of_stream_has_every_option_with_its_default(verb: Any) -> None:
    assert defaults(verb) == {"app": inspect.Parameter.empty, "input": None, "output": None, **OPTIONS}


def test_the_verbs_that_take_the_options_of_stream_show_them_too() -> None:
    assert OPTIONS.items() <= defaults(rxfal.stream_events).items()
    assert OPTIONS.items() <= defaults(rxfal.map_concurrent).items()


@pytest.mark.parametrize(
    "verb", [rxfal.stream, rxfal.stream_events, lambda app, **o: rxfal.map_concurrent([], app, **o)]
)
def test_an_option_that_there_is_not_is_refused_at_the_call(verb: Any) -> None:
    with pytest.raises(TypeError, match="unexpected option 'timeot': there are path, method"):
        verb("me/app", timeot=5)
    with pytest.raises(TypeError, match=r"unexpected option 'arguments' \(the input is called `input` here\)"):
        verb("me/app", arguments={})
