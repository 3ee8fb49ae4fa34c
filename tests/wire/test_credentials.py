"""Where the key comes from, and tokens: cached, refreshed in time, asked for once."""

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
import stamina
from aioresponses import aioresponses
from pydantic import SecretStr

from rxfal.errors import ApiError, CredentialsError
from rxfal.wire.config import Config
from rxfal.wire.credentials import Credentials
from rxfal.wire.http import Http
from rxfal.wire.tokens import TokenCache
from tests.hidden import assert_hidden
from tests.wire.servers import answer, replies, request_to, scripted

MakeHttp = Callable[..., Http]


async def no_form(url: str, form: Any) -> Any:
    raise AssertionError("nothing is to be renewed")


async def an_async_key() -> str:
    return "async-key"


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("a-key", "a-key"),
        (SecretStr("hidden"), "hidden"),
        (" spaced\n", "spaced"),
        ("", None),
        ("  ", None),
        (lambda: "given", "given"),
        (lambda: SecretStr("given"), "given"),
        (lambda: "", None),
        (an_async_key, "async-key"),
        (None, "from-config"),
    ],
)
async def test_the_key_comes_from_its_source(source: Any, key: str | None):
    found = await Credentials(source, Config(key=SecretStr("from-config"))).current(no_form)
    assert (found and found.header()) == (key and f"Key {key}")


async def test_a_function_is_asked_every_time():
    keys = iter(["one", "two"])
    credentials = Credentials(lambda: next(keys), Config())
    assert [found.header() for _ in range(2) if (found := await credentials.current(no_form))] == ["Key one", "Key two"]


@pytest.mark.parametrize("given", [None, 5, b"bytes"])
async def test_what_is_no_text_is_refused(given: Any):
    with pytest.raises(CredentialsError, match=type(given).__name__):
        await Credentials(lambda: given, Config()).current(no_form)


async def test_a_function_that_fails_is_named_and_its_error_kept():
    def fail() -> str:
        raise KeyError("vault")

    with pytest.raises(CredentialsError, match="KeyError") as caught:
        await Credentials(fail, Config()).current(no_form)
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel", "tab\there", "nul\0"])
async def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str):
    with pytest.raises(CredentialsError) as caught:
        Credentials(key, Config())
    assert_hidden(caught.value, key, repr(key)[1:-1])
    with pytest.raises(CredentialsError) as caught:
        await Credentials(lambda: key, Config()).current(no_form)
    assert_hidden(caught.value, key, repr(key)[1:-1])


def test_wrong_credentials_are_an_error_at_once():
    with pytest.raises(CredentialsError):
        Credentials(5, Config())  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("source", ["the-secret", SecretStr("the-secret"), lambda: "the-secret", None])
def test_no_repr_shows_the_key(source: Any):
    config = Config(key=SecretStr("the-secret"))
    credentials = Credentials(source, config)
    assert "the-secret" not in f"{credentials!r} {credentials} {config!r} {Http(config, credentials)!r}"


async def test_what_a_function_gives_instead_of_a_text_is_not_shown():
    with pytest.raises(CredentialsError, match="gave bytes instead of a text") as caught:
        await Credentials(lambda: b"the-secret", Config()).current(no_form)  # pyright: ignore[reportArgumentType]
    assert_hidden(caught.value, "the-secret")


# Access tokens


@pytest.mark.parametrize("token", ["a-token", SecretStr("a-token"), lambda: "a-token"])
async def test_an_access_token_is_sent_as_bearer_and_wins_over_the_configuration(make_http: MakeHttp, token: Any):
    async with scripted(replies(answer())) as server:
        config = Config(base_url=server.url, key=SecretStr("a-key"))
        http = Http(config, Credentials(None, config, access_token=token))
        await http.fetch(request_to(server.url))
        await http.aclose()
    assert b"Authorization: Bearer a-token\r\n" in server.heads[0]
    assert b"a-key" not in server.heads[0]


async def test_an_access_tokens_function_is_asked_for_every_attempt(make_http: MakeHttp):
    tokens = iter(["one", "two", "three"])

    async def provide() -> str:
        return next(tokens)

    config = Config()
    with aioresponses() as mocked, stamina.set_testing(True, attempts=4):
        mocked.get("https://fal.run/owner/alias", status=429)
        mocked.get("https://fal.run/owner/alias", status=200, repeat=True)
        http = Http(config, Credentials(None, config, access_token=provide))
        for _ in range(2):
            await http.fetch(request_to("https://fal.run"))
        await http.aclose()
        calls = [call for made in mocked.requests.values() for call in made]
    assert [call.kwargs["headers"]["Authorization"] for call in calls] == ["Bearer one", "Bearer two", "Bearer three"]


async def test_an_access_token_goes_where_a_key_may_go_and_nowhere_else():
    config = Config()
    with aioresponses() as mocked:
        http = Http(config, Credentials(None, config, access_token="a-token"))
        for url in ("https://rest.fal.ai", "https://fal.run.evil.com", "http://fal.run", "https://v3.fal.media"):
            mocked.get(f"{url}/owner/alias")
            await http.fetch(request_to(url))
        await http.aclose()
        sent = {str(key[1].origin()): call[0].kwargs["headers"] for key, call in mocked.requests.items()}
    assert [url for url, headers in sent.items() if "Authorization" in headers] == ["https://rest.fal.ai"]


def test_a_key_and_an_access_token_do_not_go_together():
    with pytest.raises(ValueError, match="not both") as caught:
        Credentials("the-secret-key", Config(), access_token="the-secret-token")
    assert_hidden(caught.value, "the-secret-key", "the-secret-token")


async def test_a_refused_access_token_is_called_one(make_http: MakeHttp):
    async with scripted(replies(answer(b"", "401 Unauthorized"))) as server:
        config = Config(base_url=server.url)
        http = Http(config, Credentials(None, config, access_token="a-token"))
        with pytest.raises(ApiError, match="refused the access token"):
            await http.fetch(request_to(server.url))
        await http.aclose()


# Tokens


async def test_a_token_is_asked_for_with_the_key_and_kept(make_http: MakeHttp):
    received: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        received.append(await reader.readexactly(48))
        writer.write(answer(b'"a-token"'))

    async with scripted(handler) as server:
        tokens = TokenCache(make_http(server.url))
        assert (await tokens.token("flux")).get_secret_value() == "a-token"
        assert (await tokens.token("flux")).get_secret_value() == "a-token"
    assert received == [b'{"allowed_apps":["flux"],"token_expiration":120}']
    assert server.heads[0].startswith(b"POST /rest/tokens/ HTTP/1.1")
    assert len(server.heads) == 1
    assert b"Authorization: Key the-secret-key" in server.heads[0]
    assert "a-token" not in repr(tokens)


@pytest.mark.parametrize("body", ['"t-1"', '{"token": "t-1"}', '{"detail": "t-1"}'])
async def test_every_form_of_the_answer_is_understood(make_http: MakeHttp, body: str):
    with aioresponses() as mocked:
        mocked.post("https://rest.fal.ai/tokens/", body=body)
        config = Config()
        http = Http(config, Credentials(None, config))
        assert (await TokenCache(http).token("flux")).get_secret_value() == "t-1"
        await http.aclose()


@pytest.mark.parametrize("body", ["null", '""', "{}", "[1]", '{"token": 5}', "a.bare-token"])
async def test_an_answer_that_is_no_token_is_a_credentials_error(make_http: MakeHttp, body: str):
    http = make_http("http://models.test")
    with aioresponses() as mocked:
        mocked.post("http://models.test/rest/tokens/", body=body)
        with pytest.raises(CredentialsError, match="not a token") as caught:
            await TokenCache(http).token("flux")
    assert_hidden(caught.value, "bare-token", "the-secret-key")


async def test_each_key_has_tokens_of_its_own():
    """In a server, the function gives the key of the user whose request it is."""
    user: ContextVar[str] = ContextVar("user")
    asked: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        await reader.readexactly(48)
        name = head.partition(b"Key key-of-")[2].partition(b"\r")[0]
        asked.append(name)
        writer.write(answer(b'"token-of-' + name + b'"'))

    async with scripted(handler) as server:
        config = Config(base_url=server.url)
        http = Http(config, Credentials(lambda: f"key-of-{user.get()}", config))
        tokens = TokenCache(http)

        async def token_of(name: str) -> str:
            user.set(name)
            return (await tokens.token("flux")).get_secret_value()

        for _ in range(2):
            found = await asyncio.gather(*(asyncio.create_task(token_of(name)) for name in ("ann", "bob", "ann")))
            assert found == ["token-of-ann", "token-of-bob", "token-of-ann"]
        await http.aclose()
    assert sorted(asked) == [b"ann", b"bob"]
    assert "key-of" not in repr(vars(tokens))
    assert "token-of" not in repr(vars(tokens))


async def test_a_token_belongs_to_the_key_that_it_was_asked_with():
    keys = iter(["one", "two", "one"])
    async with scripted(replies(answer(b'"of-one"'), answer(b'"of-two"'))) as server:
        config = Config(base_url=server.url)
        http = Http(config, Credentials(lambda: f"the-key-{next(keys)}", config))
        tokens = TokenCache(http)
        assert [(await tokens.token("flux")).get_secret_value() for _ in range(3)] == ["of-one", "of-two", "of-one"]
        await http.aclose()
    assert [head.partition(b"the-key-")[2][:3] for head in server.heads] == [b"one", b"two"]


async def test_expired_tokens_are_dropped(make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch):
    now = 1000.0
    monkeypatch.setattr("rxfal.wire.tokens.time.monotonic", lambda: now)
    async with scripted(replies(answer(b'"one"'))) as server:
        tokens = TokenCache(make_http(server.url))
        for alias in ("a", "b"):
            await tokens.token(alias)
        now += 200
        await tokens.token("c")
    assert repr(tokens) == "TokenCache(1 tokens)"


async def test_behind_a_fal_proxy_no_key_is_asked_for():
    def no_key() -> str:
        raise AssertionError("the proxy has it")

    async with scripted(replies(answer(b'"t-1"'))) as server:
        config = Config(proxy_url=f"{server.url}/api/fal")
        http = Http(config, Credentials(no_key, config))
        assert (await TokenCache(http).token("flux")).get_secret_value() == "t-1"
        await http.aclose()


async def test_a_token_is_renewed_before_it_expires(make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch):
    now = 1000.0
    monkeypatch.setattr("rxfal.wire.tokens.time.monotonic", lambda: now)
    async with scripted(replies(answer(b'"one"'), answer(b'"two"'))) as server:
        tokens = TokenCache(make_http(server.url))
        assert (await tokens.token("flux")).get_secret_value() == "one"
        now += 107
        assert (await tokens.token("flux")).get_secret_value() == "one"
        now += 2
        assert (await tokens.token("flux")).get_secret_value() == "two"


async def test_each_app_has_its_own(make_http: MakeHttp):
    async with scripted(replies(answer(b'"one"'), answer(b'"two"'))) as server:
        tokens = TokenCache(make_http(server.url))
        assert [(await tokens.token(app)).get_secret_value() for app in ("a", "b", "a")] == ["one", "two", "one"]


async def test_a_refused_token_is_asked_for_anew_but_a_newer_one_stays(make_http: MakeHttp):
    async with scripted(replies(answer(b'"one"'), answer(b'"two"'), answer(b'"three"'))) as server:
        tokens = TokenCache(make_http(server.url))
        first = await tokens.token("flux")
        tokens.forget("flux", first)
        assert (await tokens.token("flux")).get_secret_value() == "two"
        tokens.forget("flux", first)
        tokens.forget("unknown", first)
        assert (await tokens.token("flux")).get_secret_value() == "two"


class Gate:
    """A token server that answers when it is told to."""

    def __init__(self) -> None:
        self.asked, self.open = asyncio.Event(), asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        await reader.readexactly(45)
        self.asked.set()
        gone = asyncio.ensure_future(reader.read(1))
        opened = asyncio.ensure_future(self.open.wait())
        await asyncio.wait([gone, opened], return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()
        if gone.done():
            raise ConnectionError
        gone.cancel()
        writer.write(answer(b'"shared"'))


async def test_many_who_ask_at_once_share_one_request(make_http: MakeHttp):
    gate = Gate()
    async with scripted(gate) as server:
        tokens = TokenCache(make_http(server.url))
        asking = [asyncio.ensure_future(tokens.token("a")) for _ in range(50)]
        await gate.asked.wait()
        asking.append(asyncio.ensure_future(tokens.token("a")))
        await asyncio.sleep(0)
        gate.open.set()
        assert {token.get_secret_value() for token in await asyncio.gather(*asking)} == {"shared"}
        assert len(server.heads) == 1


async def test_one_who_leaves_does_not_disturb_the_others(make_http: MakeHttp):
    gate = Gate()
    async with scripted(gate) as server:
        tokens = TokenCache(make_http(server.url))
        first, second = (asyncio.ensure_future(tokens.token("a")) for _ in range(2))
        await gate.asked.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        gate.open.set()
        assert (await second).get_secret_value() == "shared"


async def test_when_all_leave_the_request_is_given_up_and_can_be_made_again(make_http: MakeHttp):
    gate = Gate()
    before = asyncio.all_tasks()
    async with scripted(gate) as server:
        tokens = TokenCache(make_http(server.url))
        asking = asyncio.ensure_future(tokens.token("a"))
        await gate.asked.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(server.gone.wait(), 2)
        assert not [task for task in asyncio.all_tasks() - before if task.get_name().startswith("token")]
        gate.open.set()
        assert (await tokens.token("a")).get_secret_value() == "shared"


async def test_an_error_reaches_all_who_asked_and_is_not_kept(make_http: MakeHttp):
    async with scripted(replies(answer(b'{"detail": "no"}', "403 Forbidden"), answer(b'"t-1"'))) as server:
        tokens = TokenCache(make_http(server.url))
        failed = await asyncio.gather(*[tokens.token("a") for _ in range(3)], return_exceptions=True)
        assert [type(error) for error in failed] == [ApiError] * 3
        assert len(server.heads) == 1
        assert "the-secret-key" not in repr(failed) + str(failed)
        assert (await tokens.token("a")).get_secret_value() == "t-1"


async def test_tokens_are_shared_between_loops(make_http: MakeHttp):
    async with scripted(replies(answer(b'"t-1"'))) as server:
        http = make_http(server.url)
        tokens = TokenCache(http)
        await tokens.token("a")
        found: list[str] = []

        def elsewhere() -> None:
            found.append(asyncio.run(tokens.token("a")).get_secret_value())

        thread = threading.Thread(target=elsewhere)
        thread.start()
        await asyncio.to_thread(thread.join)
        assert found == ["t-1"]
        assert len(server.heads) == 1
