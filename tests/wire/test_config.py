"""Config: addresses derived and checked, the environment read, nothing secret shown."""

import copy
import dataclasses
import pickle
from typing import Any

import pydantic
import pytest

from rxfal.wire.config import Config
from rxfal.wire.masking import SecretStr


def test_the_defaults_are_fals_own_servers():
    config = Config()
    assert (config.run_url, config.queue_url, config.rest_url) == (
        "https://fal.run",
        "https://queue.fal.run",
        "https://rest.fal.ai",
    )
    assert (config.api_url, config.openapi_url) == ("https://api.fal.ai/v1", "https://fal.ai/api/openapi")
    assert config.key is None


def test_a_base_url_points_everything_at_one_server_and_single_ones_win():
    config = Config(base_url="http://127.0.0.1:8600/", rest_url="https://rest.test/v1/")
    assert config.base_url == config.run_url == "http://127.0.0.1:8600"
    assert config.queue_url == "http://127.0.0.1:8600/queue"
    assert config.rest_url == "https://rest.test/v1"
    assert config.api_url == "http://127.0.0.1:8600/api/v1"
    assert config.openapi_url == "http://127.0.0.1:8600/api/openapi"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8600",
        "fal.run",
        "https://a b",
        "ftp://h",
        "https://",
        "http:///x",
        "https://h?x=1",
        "https://h#x",
        "https://h?",
        5,
        "https://me:hunter2@h",
        "https://hunter2@h",
        "http://[::1",
    ],
)
@pytest.mark.parametrize(
    "name", ["base_url", "run_url", "queue_url", "rest_url", "api_url", "openapi_url", "proxy_url"]
)
def test_what_is_no_server_is_refused_without_repeating_it(name: str, url: Any):
    with pytest.raises(pydantic.ValidationError) as caught:
        Config(**{name: url})
    assert "hunter2" not in str(caught.value)


def test_an_address_without_a_scheme_is_named_and_put_right(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RXFAL_BASE_URL", "localhost:8600")
    with pytest.raises(pydantic.ValidationError, match=r"base_url\n.*write it as http://localhost:8600"):
        Config.from_env()


def test_unknown_settings_are_refused_and_known_ones_do_not_change():
    with pytest.raises(TypeError, match="timeout"):
        Config(timeout=3)  # pyright: ignore[reportCallIssue]
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().run_url = "https://x"


@pytest.mark.parametrize(
    ("name", "value"),
    [("connect_timeout", 0), ("connect_timeout", float("inf")), ("max_event_size", 0), ("max_attempts", 0)]
    + [
        ("trusted_hosts", value)
        for value in ("mine.test", ["https://mine.test"], ["mine.test/x"], ["*.test"], [""], [".test"], 5)
    ],
)
def test_limits_and_hosts_are_checked(name: str, value: Any):
    with pytest.raises(pydantic.ValidationError):
        Config(**{name: value})


def test_the_key_is_hidden_also_in_errors():
    config = Config(key="hunter2")  # pyright: ignore[reportArgumentType]
    assert "hunter2" not in f"{config!r} {config} {dataclasses.asdict(config)}"
    for wrong in ({"key": {"a": "hunter2"}}, {"key": "hunter2", "max_attempts": "many"}):
        with pytest.raises(pydantic.ValidationError) as caught:
            Config(**wrong)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("secret", ["hunter2", pydantic.SecretStr(" hunter2\n"), SecretStr("hunter2")])
def test_a_key_may_come_in_any_kind_of_secret(secret: Any):
    key = Config(key=secret).key
    assert key is not None
    assert key == SecretStr("hunter2")
    assert (repr(key), str(key)) == (repr(pydantic.SecretStr("x")), str(pydantic.SecretStr("x")))


def test_a_configuration_can_be_changed_in_part_compared_copied_and_sent():
    config = Config(base_url="http://h:1", key=SecretStr("key"), trusted_hosts=frozenset({"A.test"}), max_attempts=2)
    changed = dataclasses.replace(config, max_attempts=3)
    assert (changed.queue_url, changed.key, changed.max_attempts) == ("http://h:1/queue", config.key, 3)
    assert {config, changed} == {dataclasses.replace(changed, max_attempts=2), changed}
    for same in (copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert same == config
    with pytest.raises(pydantic.ValidationError, match="max_attempts"):
        dataclasses.replace(config, max_attempts=0)


def test_what_is_none_is_left_out():
    assert Config(**dict.fromkeys(field.name for field in dataclasses.fields(Config))) == Config()


def test_everything_that_is_wrong_is_said_at_once():
    with pytest.raises(pydantic.ValidationError) as caught:
        Config(base_url="h", connect_timeout="soon", ssl_context="company.pem")  # pyright: ignore[reportArgumentType]
    assert [error["loc"] for error in caught.value.errors()] == [("base_url",), ("ssl_context",), ("connect_timeout",)]


@pytest.mark.parametrize(
    ("environment", "key"),
    [
        ({}, None),
        ({"FAL_KEY": ""}, None),
        ({"FAL_KEY": " \n"}, None),
        ({"FAL_KEY": "k\n"}, "k"),
        ({"FAL_KEY_ID": "i", "FAL_KEY_SECRET": "s"}, "i:s"),
        ({"FAL_KEY_ID": "i"}, None),
        ({"FAL_KEY_ID": "i", "FAL_KEY_SECRET": ""}, None),
        ({"FAL_KEY": "k", "FAL_KEY_ID": "i", "FAL_KEY_SECRET": "s"}, "k"),
        ({"FAL_KEY": "", "FAL_KEY_ID": "i", "FAL_KEY_SECRET": "s"}, "i:s"),
    ],
)
def test_the_key_is_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], key: str | None
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = Config.from_env().key
    assert (found and found.get_secret_value()) == key


@pytest.mark.parametrize(
    ("environment", "run", "queue", "rest"),
    [
        ({"RXFAL_BASE_URL": ""}, "https://fal.run", "https://queue.fal.run", "https://rest.fal.ai"),
        ({"RXFAL_BASE_URL": "http://h:1"}, "http://h:1", "http://h:1/queue", "http://h:1/rest"),
        (
            {"RXFAL_BASE_URL": "http://h:1", "FAL_RUN_HOST": "x.test"},
            "http://h:1",
            "http://h:1/queue",
            "http://h:1/rest",
        ),
        ({"FAL_RUN_HOST": "x.test"}, "https://x.test", "https://queue.x.test", "https://rest.fal.ai"),
        ({"FAL_RUN_HOST": "http://h:9"}, "http://h:9", "http://queue.h:9", "https://rest.fal.ai"),
        ({"FAL_QUEUE_RUN_HOST": "http://q:9"}, "https://fal.run", "http://q:9", "https://rest.fal.ai"),
        ({"FAL_QUEUE_RUN_HOST": "q.test"}, "https://fal.run", "https://q.test", "https://rest.fal.ai"),
        ({"FAL_RUN_HOST": "x.test", "FAL_QUEUE_RUN_HOST": "q"}, "https://x.test", "https://q", "https://rest.fal.ai"),
        (
            {"FAL_RUN_HOST": "", "FAL_QUEUE_RUN_HOST": ""},
            "https://fal.run",
            "https://queue.fal.run",
            "https://rest.fal.ai",
        ),
    ],
)
def test_hosts_are_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], run: str, queue: str, rest: str
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    config = Config.from_env()
    assert (config.run_url, config.queue_url, config.rest_url) == (run, queue, rest)
