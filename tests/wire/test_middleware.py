"""Middleware: what it sees, what it may change, and how it fails; over real sockets."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from multidict import CIMultiDict
from yarl import URL

from rxfal.errors import CallbackError, EndpointError
from rxfal.wire.config import Config
from rxfal.wire.credentials import Credentials
from rxfal.wire.http import Http
from rxfal.wire.masking import SecretStr
from tests.wire.servers import Scripted, answer, replies, request_to, scripted

Parts = tuple[str, str, dict[str, str]]


def head_of(server: Scripted) -> str:
    return server.heads[-1].decode()


async def send(make_http: Callable[..., Http], middleware: Any, path: str = "owner/alias", **request: Any) -> str:
    """What a server gets of a request that went through a middleware."""
    async with scripted(replies(answer(b"{}"))) as server:
        http = make_http(server.url, middleware=middleware)
        await http.fetch(request_to(server.url, path, **request))
        return head_of(server)


async def test_a_middleware_sees_method_url_and_headers_and_no_credential(make_http: Callable[..., Http]):
    seen: list[Parts] = []

    def middleware(method: str, url: str, headers: dict[str, str]) -> Parts:
        seen.append((method, url, headers))
        return method, url, headers

    own = CIMultiDict({"X-Mine": "1", "authorization": "Key my-own-secret"})
    head = await send(make_http, middleware, method="POST", headers=own)
    ((method, url, headers),) = seen
    assert method == "POST"
    assert url.endswith("/owner/alias")
    assert headers["X-Mine"] == "1"
    assert headers["User-Agent"].startswith("rxfal/")
    assert "secret" not in str(seen)
    assert "key my-own-secret" in head.lower(), "the user's own credential is added afterwards"


async def test_the_key_is_added_afterwards_and_so_is_a_token(make_http: Callable[..., Http]):
    seen: list[str] = []

    async def middleware(method: str, url: str, headers: dict[str, str]) -> Parts:
        await asyncio.sleep(0)
        seen.append(f"{url} {headers}")
        return method, url, headers

    assert "Authorization: Key the-secret-key" in await send(make_http, middleware)
    head = await send(make_http, middleware, token=SecretStr("the-short-token"))
    assert "fal_jwt_token=the-short-token" in head
    assert "secret" not in str(seen)
    assert "token" not in str(seen)


async def test_a_middleware_changes_all_three(make_http: Callable[..., Http]):
    def middleware(method: str, url: str, headers: dict[str, str]) -> Parts:
        del headers["User-Agent"]
        return "put", f"{url}/more?trace=a%2Fb", headers | {"X-Trace": "1"}

    head = await send(make_http, middleware)
    assert head.startswith("PUT /owner/alias/more?trace=a%2Fb ")
    assert "X-Trace: 1" in head
    assert "rxfal/" not in head
    assert "Authorization: Key the-secret-key" in head


async def test_its_own_authorization_is_sent_instead_of_the_key(make_http: Callable[..., Http]):
    head = await send(make_http, lambda method, url, headers: (method, url, {**headers, "authorization": "Bearer x1"}))
    assert head.lower().count("authorization:") == 1
    assert "Bearer x1" in head


async def test_headers_that_differ_in_case_alone_are_one(make_http: Callable[..., Http]):
    head = await send(make_http, lambda method, url, headers: (method, url, {**headers, "user-agent": "mine/1"}))
    assert head.lower().count("user-agent:") == 1
    assert "mine/1" in head
    assert (await send(make_http, lambda *parts: parts, headers={"user-agent": "a/1"})).lower().count("user-agent") == 1


async def test_it_is_called_for_each_attempt(make_http: Callable[..., Http]):
    calls: list[str] = []

    def middleware(method: str, url: str, headers: dict[str, str]) -> Parts:
        calls.append(url)
        return method, url, headers | {"X-Attempt": str(len(calls))}

    busy = answer(b"", "503 Busy", "Retry-After: 0")
    async with scripted(replies(busy, answer(b"{}"))) as server:
        await make_http(server.url, middleware=middleware).fetch(request_to(server.url))
        assert [f"X-Attempt: {n}".encode() in head for n, head in enumerate(server.heads, 1)] == [True, True]


async def test_an_address_that_it_leaves_alone_stays_as_it_was_written(make_http: Callable[..., Http]):
    async with scripted(replies(answer(b"{}"))) as server:
        signed = URL(f"{server.url}/a%2Fb?sig=x%2By%3D&empty=", encoded=True)
        http = make_http(server.url, middleware=lambda *parts: parts)
        await http.fetch(replace(request_to(server.url), url=signed))
        assert b"GET /a%2Fb?sig=x%2By%3D&empty= HTTP" in server.heads[0]


# Where it may lead


@pytest.mark.parametrize(
    "elsewhere",
    [
        "http://127.0.0.2:1/x",
        "https://evilfal.ai/x",
        "http://fal.run/x",
        "https://fal.run.evil.com/x",
        "https://me@fal.run/",
    ],
)
@pytest.mark.parametrize("credential", [{}, {"auth": False}, {"token": SecretStr("a-token")}])
async def test_a_request_moved_where_no_credential_may_go_is_an_error(
    make_http: Callable[..., Http], elsewhere: str, credential: Any
):
    async with scripted(replies(answer(b"{}"))) as server:
        http = make_http(server.url, middleware=lambda method, url, headers: (method, elsewhere, headers))
        with pytest.raises(EndpointError, match="middleware moved") as caught:
            await http.fetch(request_to(server.url, **credential))
        assert caught.value.endpoint == "owner/alias"
        assert not caught.value.outcome_unknown
        assert server.heads == []


async def test_a_user_in_the_address_of_the_same_server_is_an_error_too(make_http: Callable[..., Http]):
    def middleware(method: str, url: str, headers: dict[str, str]) -> Parts:
        return method, url.replace("http://", "http://me:pass@"), headers

    with pytest.raises(EndpointError):
        await send(make_http, middleware)


async def test_it_may_move_a_request_to_a_trusted_host(make_http: Callable[..., Http]):
    async with scripted(replies(answer(b"{}"))) as server, scripted(replies(answer(b"{}"))) as gateway:
        http = make_http(
            server.url,
            trusted_hosts={f"127.0.0.1:{gateway.port}"},
            middleware=lambda method, url, headers: (method, url.replace(server.url, gateway.url), headers),
        )
        await http.fetch(request_to(server.url))
        assert server.heads == []
        assert b"Authorization: Key the-secret-key" in gateway.heads[0]


async def test_a_request_without_a_credential_may_stay_at_a_stranger(make_http: Callable[..., Http]):
    async with scripted(replies(answer(b"{}"))) as stranger:
        http = make_http("http://127.0.0.1:1", middleware=lambda m, url, headers: (m, f"{url}?more=1", headers))
        await http.fetch(request_to(stranger.url, auth=False))
        assert b"GET /owner/alias?more=1 " in stranger.heads[0]
        assert b"uthorization" not in stranger.heads[0]


async def test_with_a_server_side_proxy_it_sees_the_real_address(make_http: Callable[..., Http]):
    seen: list[str] = []

    def middleware(method: str, url: str, headers: dict[str, str]) -> Parts:
        seen.append(url)
        return method, f"{url}?more=1", headers | {"X-Mine": "1"}

    async with scripted(replies(answer(b"{}"))) as proxy:
        http = make_http("http://127.0.0.1:1", proxy_url=f"{proxy.url}/api/fal", middleware=middleware)
        await http.fetch(request_to("http://127.0.0.1:1"))
        assert seen == ["http://127.0.0.1:1/owner/alias"]
        head = head_of(proxy)
        assert head.startswith("GET /api/fal HTTP")
        assert "x-fal-target-url: http://127.0.0.1:1/owner/alias?more=1" in head
        assert "X-Mine: 1" in head


async def test_a_proxied_request_may_not_be_moved_elsewhere_either(make_http: Callable[..., Http]):
    async with scripted(replies(answer(b"{}"))) as proxy:
        http = make_http(
            "http://127.0.0.1:1",
            proxy_url=proxy.url,
            middleware=lambda m, url, headers: (m, "https://evil.com/", headers),
        )
        with pytest.raises(EndpointError):
            await http.fetch(request_to("http://127.0.0.1:1"))
        assert proxy.heads == []


# How it fails


@pytest.mark.parametrize("is_async", [False, True])
async def test_what_it_raises_is_a_callbacks_error(make_http: Callable[..., Http], is_async: bool):
    def sync(*parts: Any) -> Parts:
        raise KeyError("oops")

    async def as_coroutine(*parts: Any) -> Parts:
        raise KeyError("oops")

    async with scripted(replies(answer(b"{}"))) as server:
        http = make_http(server.url, middleware=as_coroutine if is_async else sync)
        with pytest.raises(CallbackError, match="owner/alias: middleware raised KeyError: 'oops'") as caught:
            await http.fetch(request_to(server.url))
        assert isinstance(caught.value.__cause__, KeyError)
        assert server.heads == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "returned None; it returns"),
        ("https://fal.run", "returned str"),
        (("GET", "https://fal.run"), "returned 2 values"),
        (("GET", "https://fal.run", None), "None for the headers"),
        (("GET", "https://fal.run", [("a", "b")]), "list for the headers"),
        (("FETCH", "https://fal.run", {}), "method is one of"),
        ((None, "https://fal.run", {}), "method is one of"),
        (("GET", None, {}), "the URL is a text"),
        (("GET", "fal.run/x", {}), "https://"),
        (("GET", "ftp://fal.run/x", {}), "https://"),
        (("GET", "http://[::1", {}), "can't be sent"),
        (("GET", "https://fal.run", {"a b": "c"}), "can't be the name of a header"),
        (("GET", "https://fal.run", {"X-A": 1}), "headers are text"),
        (("GET", "https://fal.run", {"X-A": "b\r\nX-C: d"}), "line break"),
        (("GET", "https://fal.run", {"Host": "x"}), "'Host' can't be given"),
        (("GET", "https://fal.run", {"x-fal-target-url": "https://evil.com"}), "can't be given"),
    ],
)
async def test_a_wrong_return_value_is_told(make_http: Callable[..., Http], given: Any, says: str):
    with pytest.raises(CallbackError) as caught:
        await send(make_http, lambda *parts: given)
    assert says in str(caught.value)
    assert "owner/alias: middleware returned" in str(caught.value)


def test_a_middleware_is_a_function():
    with pytest.raises(ValueError, match="middleware"):
        Config(middleware="x")  # pyright: ignore[reportArgumentType]


async def test_the_renewal_of_a_login_goes_through_it_without_showing_the_token(make_http: Callable[..., Http]):
    seen: list[str] = []

    def middleware(method: str, url: str, headers: dict[str, str]) -> Parts:
        seen.append(f"{method} {url} {headers}")
        return method, url, headers

    async with scripted(replies(answer(b"{}"))) as server:
        config = Config(middleware=middleware)
        http = Http(config, Credentials("key", config))
        await http.post_form(f"{server.url}/token", {"refresh_token": SecretStr("a-refresh-token")})
        await http.aclose()
    assert len(seen) == 1
    assert "a-refresh-token" not in seen[0]
