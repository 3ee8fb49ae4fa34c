"""Models, prices and schemas of the embedded server's apps, as fal's platform API has them."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from pydantic import BaseModel, Field

from rxfal.testing import FalServer

SCHEMA = "/api/openapi/queue/openapi.json"


class Size(BaseModel):
    width: int
    height: int = 64


class Input(BaseModel):
    prompt: str = Field(min_length=2)
    size: Size | None = None


class Output(BaseModel):
    text: str


async def read(session: aiohttp.ClientSession, path: str, **query: Any) -> tuple[int, Any]:
    async with session.get(path, params=query) as response:
        return response.status, await response.json()


def an_app(server: FalServer) -> None:
    @server.app("owner/app", category="llm", price=0.5, unit="images")
    async def app(input: Input) -> Output:
        """Says what it was told."""
        assert isinstance(input, Input)
        assert input.size is None or isinstance(input.size, Size)
        return Output(text=input.prompt)


async def test_a_handler_gets_an_instance_of_its_model(server: FalServer, session: aiohttp.ClientSession):
    an_app(server)
    async with session.post("/owner/app", json={"prompt": "hi", "size": {"width": "8"}}) as response:
        assert await response.json() == {"text": "hi"}


async def test_what_does_not_fit_the_model_is_fals_422_and_the_handler_is_not_called(
    server: FalServer, session: aiohttp.ClientSession
):
    an_app(server)
    for path in ("/owner/app", "/owner/app/stream"):
        async with session.post(path, json={"prompt": "x", "size": {}}) as response:
            assert response.status == 422
            detail = (await response.json())["detail"]
    assert [(each["loc"], each["type"]) for each in detail] == [
        (["body", "prompt"], "string_too_short"),
        (["body", "size", "width"], "missing"),
    ]


async def test_a_generator_gets_its_model_too_and_its_models_are_events(
    server: FalServer, session: aiohttp.ClientSession
):
    @server.app("owner/words")
    async def words(input: Input) -> AsyncIterator[Output]:
        for word in input.prompt.split():
            yield Output(text=word)

    async with session.post("/owner/words/stream", json={"prompt": "a b"}) as response:
        assert await response.read() == b'data: {"text":"a"}\n\ndata: {"text":"b"}\n\n'
    status, found = await read(session, SCHEMA, endpoint_id="owner/words")
    assert status == 200
    assert "Output" in found["components"]["schemas"]


async def test_models_that_are_defined_beside_the_handler_are_found(server: FalServer, session: aiohttp.ClientSession):
    class Local(BaseModel):
        n: int

    async def app(input):
        return input.n + 1

    app.__annotations__ = {"input": "Local", "return": "int"}  # as with `from __future__ import annotations`
    server.app("owner/local")(app)
    async with session.post("/owner/local", json={"n": 1}) as response:
        assert await response.json() == 2


@pytest.mark.parametrize("annotation", ["Nowhere", "dict[str, Any]", "1/0", None])
async def test_a_handler_that_is_not_annotated_with_a_model_gets_the_input_as_it_is(
    server: FalServer, session: aiohttp.ClientSession, annotation: str | None
):
    async def app(input):
        return input

    app.__annotations__ = {} if annotation is None else {"input": annotation}
    server.app("owner/plain")(app)
    async with session.post("/owner/plain", json={"n": 1}) as response:
        assert await response.json() == {"n": 1}
    assert (await read(session, SCHEMA, endpoint_id="owner/plain"))[0] == 404


async def test_the_schema_has_fals_form_and_needs_no_key(server: FalServer):
    an_app(server)
    async with aiohttp.ClientSession(server.url) as session:
        status, found = await read(session, SCHEMA, endpoint_id="owner/app")
        assert (await read(session, SCHEMA, endpoint_id="owner/nobody"))[0] == 404
    assert status == 200
    metadata = found["info"]["x-fal-metadata"]
    assert metadata["endpointId"] == "owner/app"
    assert metadata["category"] == "llm"
    body = found["paths"]["/owner/app"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/Input"}
    queued = found["paths"]["/owner/app"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert queued == {"$ref": "#/components/schemas/QueueStatus"}
    result = found["paths"]["/owner/app/requests/{request_id}"]["get"]["responses"]["200"]
    assert result["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Output"}
    schemas = found["components"]["schemas"]
    assert schemas["Input"]["x-fal-order-properties"] == ["prompt", "size"]
    assert schemas["Input"]["required"] == ["prompt"]
    assert {"Input", "Size", "Output", "QueueStatus"} <= schemas.keys()


async def test_a_search_looks_at_all_that_is_said_of_a_model(server: FalServer):
    an_app(server)
    server.add_models()
    async with aiohttp.ClientSession(server.url) as session:

        async def found(**query: str) -> list[str]:
            _, page = await read(session, "/api/v1/models", **query)
            return [model["endpoint_id"] for model in page["models"]]

        assert len(await found()) == 5
        assert await found(q="TOLD owner") == ["owner/app"]
        assert await found(category="text-to-image") == ["fal-ai/fast-julia"]
        assert await found(q="rhymes", category="llm") == ["rxfal/bard"]
        assert await found(endpoint_id="owner/app,rxfal/bard") == ["owner/app", "rxfal/bard"]
        assert await found(q="nothing like that") == []
        assert await found(status="deprecated") == []


async def test_pages_lead_to_each_other(server: FalServer):
    server.add_models()
    async with aiohttp.ClientSession(server.url) as session:
        _, first = await read(session, "/api/v1/models", limit="3")
        assert (len(first["models"]), first["has_more"]) == (3, True)
        _, last = await read(session, "/api/v1/models", limit="3", cursor=first["next_cursor"])
        assert (len(last["models"]), last["has_more"], last["next_cursor"]) == (1, False, None)
        assert (await read(session, "/api/v1/models", limit="0"))[0] == 400
        assert (await read(session, "/api/v1/models", cursor="x"))[0] == 400


async def test_prices_want_the_key_and_a_model_that_has_one(server: FalServer, session: aiohttp.ClientSession):
    an_app(server)
    status, found = await read(session, "/api/v1/models/pricing", endpoint_id="owner/app")
    price = {"endpoint_id": "owner/app", "unit_price": 0.5, "unit": "images", "currency": "USD"}
    assert (status, found) == (200, {"prices": [price]})
    assert (await read(session, "/api/v1/models/pricing", endpoint_id="owner/none"))[0] == 404
    assert (await read(session, "/api/v1/models/pricing"))[0] == 400
    async with aiohttp.ClientSession(server.url) as stranger:
        assert (await read(stranger, "/api/v1/models/pricing", endpoint_id="owner/app"))[0] == 401


async def test_an_estimate_is_the_price_times_the_calls(server: FalServer, session: aiohttp.ClientSession):
    an_app(server)
    path = "/api/v1/models/pricing/estimate"
    asked = {"estimate_type": "historical_api_price", "endpoints": {"owner/app": {"call_quantity": 10}}}
    async with session.post(path, json=asked) as response:
        assert await response.json() == {"estimate_type": "historical_api_price", "total_cost": 5.0, "currency": "USD"}
    for wrong in ({}, [], {**asked, "endpoints": {"owner/app": {}}}, {**asked, "estimate_type": "guess"}):
        async with session.post(path, json=wrong) as response:
            assert response.status == 400
    asked["endpoints"] = {"owner/none": {"call_quantity": 10}}
    async with session.post(path, json=asked) as response:
        assert response.status == 404
        assert "owner/none" in (await response.json())["error"]["message"]


async def test_api_is_no_owner_of_apps(server: FalServer, session: aiohttp.ClientSession):
    async def app(input):
        return input

    with pytest.raises(ValueError, match="api"):
        server.app("api/v1")(app)
    assert (await read(session, "/api/v1/nothing"))[0] == 404
