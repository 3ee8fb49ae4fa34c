"""Models, prices and schemas of the embedded server's apps, as fal's platform API has them under `/api`."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

from aiohttp import web

from .access import Access
from .apps import ApiFailure, App, json_response
from .journal import RecordedRequest
from .signatures import document, title_of

__all__ = ["Platform"]

_PAGE = 50
_LONGEST_PAGE = 100


class Platform:
    """Answers everything under `/api`.

    Args:
        access: Checks keys.
        apps: Gives the apps by their endpoints.
        url: Gives the server's address.
    """

    def __init__(self, access: Access, apps: Callable[[], Mapping[str, App]], url: Callable[[], str]) -> None:
        self._access = access
        self._apps = apps
        self._url = url

    def respond(self, request: web.BaseRequest, record: RecordedRequest) -> web.Response:
        match record.method, record.path.strip("/").split("/")[1:]:
            case "GET", ["v1", "models"]:
                return self._search(request, record)
            case "GET", ["v1", "models", "pricing"]:
                self._access.check_key(record)
                return json_response({"prices": [_price(*each) for each in self._named(request)]})
            case "POST", ["v1", "models", "pricing", "estimate"]:
                self._access.check_key(record)
                return self._estimate(record.json)
            case "GET", ["openapi", "queue", "openapi.json"]:
                return self._schema(record.query.get("endpoint_id", ""))
            case _:
                raise _failure(404, "not_found", f"Not found: {record.method} {record.path}")

    def _search(self, request: web.BaseRequest, record: RecordedRequest) -> web.Response:
        if "Authorization" in record.headers:  # it is not needed, but a wrong one is refused
            self._access.check_key(record)
        words = record.query.get("q", "").lower().split()
        wanted = set(_listed(request, "endpoint_id"))
        found = [
            model
            for endpoint, app in self._apps().items()
            if (not wanted or endpoint in wanted)
            and (model := _model(endpoint, app))
            and record.query.get("category", model["metadata"]["category"]) == model["metadata"]["category"]
            and record.query.get("status", "active") == "active"
            and all(word in f"{endpoint} {' '.join(map(str, model['metadata'].values()))}".lower() for word in words)
        ]
        first, size = _number(record, "cursor", 0, 0), _number(record, "limit", _PAGE, 1)
        last = first + min(size, _LONGEST_PAGE)
        has_more = last < len(found)
        page = {"models": found[first:last], "next_cursor": str(last) if has_more else None, "has_more": has_more}
        return json_response(page)

    def _named(self, request: web.BaseRequest) -> list[tuple[str, App]]:
        """The apps that the query names, each of which has a price."""
        names = _listed(request, "endpoint_id")
        if not names:
            raise _failure(400, "validation_error", "endpoint_id: Field required")
        return [(name, self._priced(name)) for name in names]

    def _priced(self, endpoint: str) -> App:
        app = self._apps().get(endpoint)
        if app is None or app.price is None:
            raise _failure(404, "not_found", f"There is no price for {endpoint!r}.")
        return app

    def _estimate(self, asked: Any) -> web.Response:
        body = cast(dict[str, Any], asked) if isinstance(asked, dict) else {}
        kind, endpoints = body.get("estimate_type"), body.get("endpoints")
        quantity = {"historical_api_price": "call_quantity", "unit_price": "unit_quantity"}.get(str(kind))
        if quantity is None or not isinstance(endpoints, dict) or not endpoints:
            raise _failure(400, "validation_error", "estimate_type and endpoints are needed")
        total = 0.0
        for endpoint, given in cast(dict[str, Any], endpoints).items():
            number = cast(dict[str, Any], given).get(quantity) if isinstance(given, dict) else None
            if not isinstance(number, int | float) or number <= 0:
                raise _failure(400, "validation_error", f"endpoints.{endpoint}.{quantity}: a number greater than 0")
            total += number * cast(float, self._priced(endpoint).price)  # each call so far used one unit
        return json_response({"estimate_type": kind, "total_cost": total, "currency": "USD"})

    def _schema(self, endpoint: str) -> web.Response:
        app = self._apps().get(endpoint)
        url = f"{self._url()}/queue"
        found = app and document(endpoint, app.signature, url=url, category=app.category, content_type=app.content_type)
        if not found:
            raise _failure(404, "not_found", f"There is no schema for {endpoint!r}.")
        return json_response(found)


def _model(endpoint: str, app: App) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "display_name": title_of(endpoint),
        "category": app.category or "unknown",
        "description": inspect.getdoc(app.handler) or "",
        "status": "active",
        "tags": [],
        "model_url": f"https://fal.run/{endpoint}",
    }
    return {"endpoint_id": endpoint, "metadata": metadata}


def _price(endpoint: str, app: App) -> dict[str, Any]:
    return {"endpoint_id": endpoint, "unit_price": app.price, "unit": app.unit, "currency": "USD"}


def _listed(request: web.BaseRequest, name: str) -> list[str]:
    """A parameter that may come several times, or hold several values with commas between them."""
    return [each for value in request.query.getall(name, []) for each in value.split(",") if each]


def _number(record: RecordedRequest, name: str, default: int, least: int) -> int:
    text = record.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise _failure(400, "validation_error", f"{name}: a whole number of at least {least}")
    return int(text)


def _failure(status: int, kind: str, message: str) -> ApiFailure:
    return ApiFailure(status, {"error": {"type": kind, "message": message}})
