"""`models`: what there is at fal, what a model takes and gives, and what it costs.

fal's platform API is asked for models and prices, with the key if there is one. Schemas are public, and are asked for
without it. None of these requests goes through a server-side proxy, which passes on calls alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NotRequired, cast

from typing_extensions import TypedDict
from yarl import URL

from rxfal.errors import ApiError, DecodeError
from rxfal.reactive.reader import LOOK_EVERY, Sink, Turn
from rxfal.reactive.stream import Stream, create
from rxfal.wire.config import Config
from rxfal.wire.endpoints import Endpoint
from rxfal.wire.http import Http
from rxfal.wire.payload import encode_json

from .connected import Connected
from .schemas import ModelSchema, fetch_schema, question

__all__ = ["Estimate", "Model", "Models", "Price"]

_PAGE_SIZE = 50  # models that are asked for at once


@dataclass(frozen=True, slots=True)
class Model:
    """A model in fal's gallery.

    Attributes:
        endpoint_id: What to call it by, such as `fal-ai/flux/dev`.
        display_name: Its name for people.
        category: What kind it is, such as `text-to-image`; None if fal does not say.
        description: What it does; empty if fal does not say.
        status: `active` or `deprecated`; None if fal does not say.
        tags: Words that describe it.
        metadata: All that fal says about it.
    """

    endpoint_id: str
    display_name: str
    category: str | None
    description: str
    status: str | None
    tags: tuple[str, ...]
    metadata: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, by the unit. Discounts of the account are included.

    Attributes:
        endpoint_id: The model.
        unit_price: What one unit costs.
        unit: What is counted, such as `images` or `seconds`.
        currency: Of what, such as `USD`.
    """

    endpoint_id: str
    unit_price: float
    unit: str
    currency: str

    def cost(self, billable_units: float) -> float:
        """What a call costs that used so many units.

        Examples:
            >>> Price("fal-ai/flux/dev", 0.025, "megapixels", "USD").cost(4)
            0.1
        """
        return self.unit_price * billable_units


@dataclass(frozen=True, slots=True)
class Estimate:
    """What that many calls may cost, judging by what calls of this model have cost until now.

    Attributes:
        endpoint_id: The model.
        calls: How many calls.
        total_cost: What they cost in all.
        currency: Of what, such as `USD`.
    """

    endpoint_id: str
    calls: int
    total_cost: float
    currency: str


# What fal's answers have in them.


class _Entry(TypedDict):
    endpoint_id: str
    metadata: NotRequired[dict[str, Any] | None]


class _Page(TypedDict):
    models: list[_Entry]
    next_cursor: NotRequired[str | None]
    has_more: NotRequired[bool]


class _Prices(TypedDict):
    prices: list[Price]


class _Cost(TypedDict):
    total_cost: float
    currency: str


class Models(Connected):
    """`client.models` and `rxfal.models`: which models there are, what they take and give, and what they cost."""

    def search(
        self, query: str | None = None, *, category: str | None = None, limit: int | None = None
    ) -> Stream[Model]:
        """The models that match, page by page: the next page is asked for when the consumer has room for more.

        A consumer that stops after three models has caused one request or two. Works without a key too.

        Args:
            query: Words to look for; None for all models.
            category: Only models of this kind, such as `text-to-image`.
            limit: How many models in all; None for all that there are.

        Returns:
            A cold Stream of `Model`.

        Raises:
            TypeError, ValueError: An argument makes no sense.

        Examples:
            >>> from rxfal.testing import FalServer
            >>> with FalServer(models=True) as server, server.client() as client:
            ...     [model.endpoint_id for model in client.models.search("rhymes")]
            ['rxfal/bard']
        """
        for name, text in (("query", query), ("category", category)):
            if not isinstance(text, str | None):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"{name} is a text, not {type(text).__name__}")
        if limit is not None:
            _checked_count("limit", limit)
        http = self._connections().http
        asked = {name: text for name, text in (("q", query), ("category", category)) if text}
        return create(lambda sink: _search(http, asked, limit, sink), name="models.search")

    def schema(self, app: str) -> Stream[ModelSchema]:
        """What a model takes and gives. The key is not sent.

        Args:
            app: The endpoint's id.

        Returns:
            A cold Stream of one `ModelSchema`. A model without one ends it with an `ApiError` of status 404.

        Raises:
            EndpointError: rxfal may not call this id or URL.

        Examples:
            >>> from rxfal.testing import FalServer
            >>> with FalServer(models=True) as server, server.client() as client:
            ...     client.models.schema("fal-ai/any-llm").run().input["required"]
            ['prompt']
        """
        http = self._connections().http
        endpoint = Endpoint.parse(app, http.config)

        async def read(sink: Sink[ModelSchema]) -> None:
            sink.on_next(await fetch_schema(http, endpoint))

        return create(read, name=f"models.schema {endpoint.id}")

    def price(self, app: str) -> Stream[Price]:
        """What a model costs. What a call has cost is `price.cost(...)` of its `billable_units`.

        Args:
            app: The endpoint's id.

        Returns:
            A cold Stream of one `Price`. A model without one ends it with an `ApiError` of status 404.

        Raises:
            EndpointError: rxfal may not call this id or URL.

        Examples:
            >>> from rxfal.testing import FalServer
            >>> with FalServer(models=True) as server, server.client() as client:
            ...     client.models.price("fal-ai/fast-julia").run()
            Price(endpoint_id='fal-ai/fast-julia', unit_price=0.003, unit='megapixels', currency='USD')
        """
        http = self._connections().http
        endpoint = Endpoint.parse(app, http.config)
        url = _api(http.config, "models/pricing").with_query(endpoint_id=endpoint.full_id)

        async def read(sink: Sink[Price]) -> None:
            answer = cast(_Prices, await http.fetch_json(question("GET", url, endpoint.id), _Prices))
            for price in answer["prices"]:
                if price.endpoint_id == endpoint.full_id:
                    sink.on_next(price)
                    return
            raise ApiError("fal has no price for it", status=404, endpoint=endpoint.id)

        return create(read, name=f"models.price {endpoint.id}")

    def estimate(self, app: str, calls: int) -> Stream[Estimate]:
        """What that many calls of a model may cost, judging by what its calls have cost until now.

        Args:
            app: The endpoint's id.
            calls: How many calls.

        Returns:
            A cold Stream of one `Estimate`.

        Raises:
            EndpointError: rxfal may not call this id or URL.
            TypeError, ValueError: `calls` is not a whole number of at least 1.

        Examples:
            >>> from rxfal.testing import FalServer
            >>> with FalServer(models=True) as server, server.client() as client:
            ...     client.models.estimate("fal-ai/fast-julia", calls=1000).run().total_cost
            3.0
        """
        _checked_count("calls", calls)
        http = self._connections().http
        endpoint = Endpoint.parse(app, http.config)
        asked = {
            "estimate_type": "historical_api_price",
            "endpoints": {endpoint.full_id: {"call_quantity": calls}},
        }
        request = question("POST", _api(http.config, "models/pricing/estimate"), endpoint.id, encode_json(asked))

        async def read(sink: Sink[Estimate]) -> None:
            answer = cast(_Cost, await http.fetch_json(request, _Cost))
            sink.on_next(Estimate(endpoint.full_id, calls, answer["total_cost"], answer["currency"]))

        return create(read, name=f"models.estimate {endpoint.id}")


async def _search(http: Http, asked: dict[str, str], limit: int | None, sink: Sink[Model]) -> None:
    turn, emitted, seen, cursor, closings = Turn(), 0, set[str](), "", http.closings
    while True:
        if http.closings != closings:  # while the consumer was full; the next page would open the client again
            raise http.error_of_closing("models.search")
        size = _PAGE_SIZE if limit is None else min(_PAGE_SIZE, limit - emitted)
        query = {**asked, "limit": str(size)} | ({"cursor": cursor} if cursor else {})
        request = question("GET", _api(http.config, "models").with_query(query), "models.search")
        page = cast(_Page, await http.fetch_json(request, _Page))
        for entry in page["models"]:
            sink.on_next(_model(entry))
            emitted += 1
            if emitted == limit:
                return
            if sink.gate.closed:
                await sink.gate.wait()
            if emitted % LOOK_EVERY == 0:
                await turn.look()
        cursor = page.get("next_cursor")
        if not cursor or not page.get("has_more", True):
            return
        if cursor in seen:
            message = f"the server names the same next page again ({cursor!r}); search for less, or try again"
            raise DecodeError(message, data=b"", endpoint=request.endpoint)
        seen.add(cursor)


def _model(entry: _Entry) -> Model:
    said = entry.get("metadata") or {}
    tags = said.get("tags")

    def text(name: str) -> str | None:
        found = said.get(name)
        return found if isinstance(found, str) else None

    return Model(
        endpoint_id=entry["endpoint_id"],
        display_name=text("display_name") or entry["endpoint_id"],
        category=text("category"),
        description=text("description") or "",
        status=text("status"),
        tags=tuple(map(str, cast(list[Any], tags))) if isinstance(tags, list) else (),
        metadata=said,
    )


def _api(config: Config, path: str) -> URL:
    return URL(f"{config.api_url}/{path}")


def _checked_count(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{name} is a whole number of at least 1, not {value!r}")
