"""`models`: search, schemas, prices and estimates, against the embedded server and scripted answers."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

import rxfal
from rxfal import operators as ops
from rxfal.testing import Bytes, FalServer, Status

MODELS, PRICES, SCHEMA = "api/v1/models", "api/v1/models/pricing", "api/openapi/queue/openapi.json"
ESTIMATE = "api/v1/models/pricing/estimate"


class Part(BaseModel):
    n: int


class Input(BaseModel):
    prompt: str
    parts: list[Part] = []


class Output(BaseModel):
    text: str


@pytest.fixture
async def server() -> AsyncIterator[FalServer]:
    async with FalServer() as server:
        yield server


@pytest.fixture
async def client(server: FalServer) -> AsyncIterator[rxfal.Client]:
    async with server.client() as client:
        yield client


def add_models(server: FalServer, count: int) -> None:
    for number in range(count):

        async def app(input: Input) -> Output:
            return Output(text=input.prompt)

        category = "even" if number % 2 == 0 else "odd"
        server.app(f"owner/model-{number}", category=category, price=0.25, unit="images")(app)


async def ids(stream: rxfal.Stream[rxfal.Model]) -> list[str]:
    return [model.endpoint_id async for model in stream]


# search


async def test_a_search_gives_the_models_of_all_pages(server: FalServer, client: rxfal.Client) -> None:
    add_models(server, 120)
    assert await ids(client.models.search()) == [f"owner/model-{number}" for number in range(120)]
    assert len(server.requests) == 3
    assert all(request.headers["Authorization"] == f"Key {server.key}" for request in server.requests)


async def test_a_search_asks_for_what_was_wanted(server: FalServer, client: rxfal.Client) -> None:
    add_models(server, 10)
    assert await ids(client.models.search("model 3")) == ["owner/model-3"]
    assert await ids(client.models.search(category="odd", limit=2)) == ["owner/model-1", "owner/model-3"]
    assert server.requests[0].query == {"q": "model 3", "limit": "50"}
    assert server.requests[1].query == {"category": "odd", "limit": "2"}


async def test_limit_is_how_many_in_all(server: FalServer, client: rxfal.Client) -> None:
    add_models(server, 120)
    assert len(await ids(client.models.search(limit=70))) == 70
    assert [request.query["limit"] for request in server.requests] == ["50", "20"]


async def test_a_model_has_what_fal_says_about_it(server: FalServer, client: rxfal.Client) -> None:
    said = {"display_name": "A", "category": "c", "description": "d", "status": "active", "tags": ["t"], "more": 1}
    models = [
        {"endpoint_id": "a/b", "metadata": said},
        {"endpoint_id": "c/d", "metadata": None},
        {"endpoint_id": "e/f"},
    ]
    server.script(MODELS, [Status(json={"models": models, "next_cursor": None, "has_more": False})])
    full, bare, barest = [model async for model in client.models.search()]
    assert full == rxfal.Model("a/b", "A", "c", "d", "active", ("t",), said)
    assert bare == rxfal.Model("c/d", "c/d", None, "", None, (), {})
    assert barest == dataclasses.replace(bare, endpoint_id="e/f", display_name="e/f")
    with pytest.raises(dataclasses.FrozenInstanceError):
        full.status = "gone"  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("how", ["take", "break", "first"])
async def test_a_consumer_that_stops_after_three_has_caused_one_request_or_two(
    server: FalServer, client: rxfal.Client, how: str
) -> None:
    add_models(server, 500)
    search = client.models.search()
    if how == "take":
        await search.pipe(ops.take(3))
    elif how == "first":
        await search.pipe(ops.filter(lambda model: model.endpoint_id.endswith("-2")), ops.first())
    else:
        models = aiter(search)
        for _ in range(3):
            await anext(models)
        await models.aclose()  # pyright: ignore[reportAttributeAccessIssue]
    await asyncio.sleep(0)
    assert 1 <= len(server.requests) <= 2


async def test_a_slow_consumer_is_not_outrun_by_more_than_its_buffer(server: FalServer, client: rxfal.Client) -> None:
    add_models(server, 1000)
    models = aiter(client.models.search())
    await anext(models)
    while len(server.requests) < 6:  # 256 models are six pages
        await server.received(len(server.requests) + 1)
    await server.requests[-1].closed()
    for _ in range(200):  # turns in which a seventh page could be asked for
        await asyncio.sleep(0)
    assert len(server.requests) == 6
    rest = [model async for model in models]
    assert len(rest) == 999


async def test_a_search_does_not_open_a_client_again_that_was_closed(server: FalServer) -> None:
    add_models(server, 1000)
    client = server.client()
    models = aiter(client.models.search())
    await anext(models)
    while len(server.requests) < 6:
        await server.received(len(server.requests) + 1)
    await server.requests[-1].closed()
    for _ in range(50):  # the consumer is full
        await asyncio.sleep(0)
    await client.aclose()
    with pytest.raises(rxfal.TransportError, match="closed"):
        async for _ in models:
            pass
    assert len(server.requests) == 6


async def test_a_page_that_leads_to_itself_is_an_error_and_no_endless_loop(
    server: FalServer, client: rxfal.Client
) -> None:
    server.script(MODELS, [Status(json={"models": [], "next_cursor": "same", "has_more": True})])
    with pytest.raises(rxfal.DecodeError, match="same next page"):
        await client.models.search().pipe(ops.to_list())
    assert len(server.requests) == 2


@pytest.mark.parametrize("page", [{"models": []}, {"models": [], "next_cursor": "x", "has_more": False}])
async def test_a_last_page_ends_the_search(server: FalServer, client: rxfal.Client, page: Any) -> None:
    server.script(MODELS, [Status(json=page)])
    assert await ids(client.models.search()) == []


async def test_a_search_needs_no_key(server: FalServer) -> None:
    add_models(server, 1)
    async with rxfal.Client("", config=server.config()) as client:
        assert await ids(client.models.search()) == ["owner/model-0"]
    assert "Authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"limit": 0}, ValueError),
        ({"limit": True}, TypeError),
        ({"limit": "3"}, TypeError),
        ({"query": 3}, TypeError),
        ({"category": b"x"}, TypeError),
    ],
)
async def test_a_wrong_argument_of_a_search_is_told_at_the_call(
    client: rxfal.Client, arguments: Any, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match=next(iter(arguments))):
        client.models.search(**arguments)


@pytest.mark.parametrize("answer", [[], {"models": 3}, {"models": [{}]}, {"models": [{"endpoint_id": 3}]}])
async def test_an_answer_that_is_no_page_is_a_decode_error(
    server: FalServer, client: rxfal.Client, answer: Any
) -> None:
    server.script(MODELS, [Status(json=answer)])
    with pytest.raises(rxfal.DecodeError):
        await client.models.search()


async def test_a_question_is_asked_again_when_the_server_is_busy(server: FalServer, client: rxfal.Client) -> None:
    server.script(MODELS, [Status(503, json={}, headers={"Retry-After": "0"})], times=1)
    server.script(PRICES, [Status(429, json={}, headers={"Retry-After": "0"})], times=1)
    add_models(server, 1)
    assert await ids(client.models.search()) == ["owner/model-0"]
    assert (await client.models.price("owner/model-0")).unit == "images"
    assert len(server.requests) == 4


# schema


async def test_a_schema_is_whole_in_itself_and_its_output_is_the_results(
    server: FalServer, client: rxfal.Client
) -> None:
    add_models(server, 1)
    schema = await client.models.schema("owner/model-0")
    assert schema.endpoint_id == "owner/model-0"
    assert schema.input["required"] == ["prompt"]
    assert schema.input["properties"]["parts"]["items"] == {"$ref": "#/$defs/Part"}
    assert schema.input["$defs"]["Part"]["properties"]["n"]["type"] == "integer"
    assert list(schema.output["properties"]) == ["text"]
    assert schema.openapi["paths"]
    assert "#/components" not in json.dumps([schema.input, schema.output])


async def test_a_schema_is_asked_for_without_the_key(server: FalServer, client: rxfal.Client) -> None:
    add_models(server, 1)
    await client.models.schema("owner/model-0")
    (request,) = server.requests
    assert (request.path, request.query) == (f"/{SCHEMA}", {"endpoint_id": "owner/model-0"})
    assert server.key not in str([*request.headers.items()])


@pytest.mark.parametrize(
    "answer", [Status(404, json={"detail": "no"}), Status(json=None, content_type="application/json")]
)
async def test_a_model_without_a_schema_is_a_404(server: FalServer, client: rxfal.Client, answer: Status) -> None:
    server.script(SCHEMA, [answer] if answer.status == 404 else [answer, Bytes(b"null")])
    with pytest.raises(rxfal.ApiError) as caught:
        await client.models.schema("owner/app")
    assert (caught.value.status, caught.value.endpoint) == (404, "owner/app")


async def test_a_document_that_is_no_schema_is_a_decode_error(server: FalServer, client: rxfal.Client) -> None:
    server.script(SCHEMA, [Status(json={"openapi": "3.0.4"})])
    with pytest.raises(rxfal.DecodeError, match=r"owner/app: .*openapi_url") as caught:
        await client.models.schema("owner/app")
    assert caught.value.data == b'{"openapi": "3.0.4"}'


async def test_a_document_with_thousands_of_levels_is_one_too(server: FalServer, client: rxfal.Client) -> None:
    levels = 700  # which both parsers of JSON take
    schema = b'{"items":' * levels + b"{}" + b"}" * levels
    body = b'{"content": {"application/json": {"schema": ' + schema + b"}}}"
    document = b'{"paths": {"/owner/app": {"post": {"requestBody": ' + body + b"}}}}"
    server.script(SCHEMA, [Status(content_type="application/json"), Bytes(document)])
    with pytest.raises(rxfal.DecodeError):
        await client.models.schema("owner/app")


# prices


async def test_a_price_says_what_billable_units_cost(server: FalServer, client: rxfal.Client) -> None:
    add_models(server, 1)
    price = await client.models.price("owner/model-0")
    assert price == rxfal.Price("owner/model-0", 0.25, "images", "USD")
    assert price.cost(4) == 1.0
    assert price.cost(0) == 0


@pytest.mark.parametrize(
    "prices", [None, [], [{"endpoint_id": "a/b", "unit_price": 1, "unit": "x", "currency": "USD"}]]
)
async def test_a_model_without_a_price_is_a_404(server: FalServer, client: rxfal.Client, prices: Any) -> None:
    if prices is not None:
        server.script(PRICES, [Status(json={"prices": prices})])
    with pytest.raises(rxfal.ApiError) as caught:
        await client.models.price("owner/app")
    assert (caught.value.status, caught.value.endpoint) == (404, "owner/app")


async def test_an_estimate_is_for_so_many_calls(server: FalServer, client: rxfal.Client) -> None:
    add_models(server, 1)
    estimate = await client.models.estimate("owner/model-0", 100)
    assert estimate == rxfal.Estimate("owner/model-0", 100, 25.0, "USD")
    asked = {"estimate_type": "historical_api_price", "endpoints": {"owner/model-0": {"call_quantity": 100}}}
    assert server.requests[0].json == asked
    with pytest.raises(ValueError, match="calls"):
        client.models.estimate("owner/model-0", 0)
    with pytest.raises(TypeError, match="calls"):
        client.models.estimate("owner/model-0", 1.5)  # pyright: ignore[reportArgumentType]


# All of them


@pytest.mark.parametrize("verb", ["schema", "price", "estimate"])
@pytest.mark.parametrize("app", ["flux", "owner/../x", "https://evilfal.run/a/b", 3])
async def test_a_wrong_endpoint_is_told_at_the_call(client: rxfal.Client, verb: str, app: Any) -> None:
    with pytest.raises(rxfal.EndpointError):
        getattr(client.models, verb)(app, *([1] if verb == "estimate" else []))


async def test_an_endpoint_may_be_spelled_as_for_a_call(server: FalServer, client: rxfal.Client) -> None:
    add_models(server, 1)
    for app in ("owner/model-0/", f"{server.url}/owner/model-0"):
        assert (await client.models.price(app)).endpoint_id == "owner/model-0"


async def test_every_verb_is_cold_and_each_subscription_asks_anew(server: FalServer, client: rxfal.Client) -> None:
    add_models(server, 1)
    verbs = [
        client.models.search(),
        client.models.schema("owner/model-0"),
        client.models.price("owner/model-0"),
        client.models.estimate("owner/model-0", 1),
    ]
    await asyncio.sleep(0)
    assert server.requests == []
    for verb in verbs:
        await verb
        await verb
    assert len(server.requests) == 8


async def test_models_go_past_a_server_side_proxy(server: FalServer) -> None:
    add_models(server, 1)
    async with server.client(proxy_url="http://127.0.0.1:1/proxy") as client:
        await client.models.search()
        await client.models.schema("owner/model-0")
        await client.models.price("owner/model-0")
        await client.models.estimate("owner/model-0", 1)
    assert [request.status for request in server.requests] == [200] * 4


def test_the_module_has_them_too(fal_server: FalServer) -> None:
    add_models(fal_server, 2)
    assert rxfal.models.search("model-1").run().endpoint_id == "owner/model-1"
    assert [model.category for model in rxfal.models.search("model")] == ["even", "odd"]


def test_the_modules_namespace_follows_the_default_client(fal_server: FalServer) -> None:
    add_models(fal_server, 1)
    models = rxfal.models
    with FalServer(key="another") as other:

        @other.app("other/app", price=1.0)
        async def app(input: Any) -> Any:
            return input

        rxfal.configure(other.key, config=other.config())
        assert models.price("other/app").run().unit_price == 1.0


async def test_fals_own_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []

    async def answer(self: Any, request: Any) -> Any:
        asked.append((str(request.url), request.auth))
        raise rxfal.ApiError("stop", status=400)

    monkeypatch.setattr("rxfal.wire.http.Http.answer", answer)
    async with rxfal.Client("key", config=rxfal.Config()) as client:
        for stream in (
            client.models.search("cats"),
            client.models.schema("fal-ai/flux/dev"),
            client.models.price("fal-ai/flux/dev"),
            client.models.estimate("fal-ai/flux/dev", 2),
        ):
            with pytest.raises(rxfal.ApiError):
                await stream
    assert asked == [
        ("https://api.fal.ai/v1/models?q=cats&limit=50", True),
        ("https://fal.ai/api/openapi/queue/openapi.json?endpoint_id=fal-ai/flux/dev", False),
        ("https://api.fal.ai/v1/models/pricing?endpoint_id=fal-ai/flux/dev", True),
        ("https://api.fal.ai/v1/models/pricing/estimate", True),
    ]
