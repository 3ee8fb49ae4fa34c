"""The schemas of models: how they are asked for, and what they say."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from yarl import URL

from rxfal.errors import ApiError, DecodeError
from rxfal.wire.endpoints import Endpoint
from rxfal.wire.http import Http, Request
from rxfal.wire.openapi import schemas_in
from rxfal.wire.payload import PayloadDecoder

__all__ = ["ModelSchema", "fetch_schema", "question"]


@dataclass(frozen=True, slots=True)
class ModelSchema:
    """What a model takes and gives, as JSON Schemas.

    Attributes:
        endpoint_id: The model.
        input: The schema of its input. What it refers to is in its own `$defs`.
        output: The schema of its result; `{}`, which anything fits, if fal does not say.
        openapi: The whole document that they are taken from.
    """

    endpoint_id: str
    input: dict[str, Any]
    output: dict[str, Any]
    openapi: dict[str, Any] = field(repr=False)


async def fetch_schema(http: Http, endpoint: Endpoint, timeout: float | None = None) -> ModelSchema:
    """Ask for a model's schema.

    Args:
        http: The client's requests.
        endpoint: The model.
        timeout: Seconds that it may take; None for the configuration's `request_timeout`.

    Raises:
        ApiError: There is none (404), or the server answered with an error.
        DecodeError: What came is no schema.
        TransportError: The server could not be reached.
    """
    url = URL(f"{http.config.openapi_url}/queue/openapi.json").with_query(endpoint_id=endpoint.full_id)
    request = question("GET", url, endpoint.id)
    request.auth, request.timeout = False, timeout
    body, response = await http.answer(request)
    document = response.decoded(body, PayloadDecoder(endpoint=endpoint.id))
    if document is None:
        raise ApiError("fal has no schema for it", status=404, endpoint=endpoint.id)
    found = None
    with suppress(RecursionError):  # thousands of levels
        found = schemas_in(document, endpoint.full_id)
    if found is None:
        message = "the answer is no schema of a model; check openapi_url in Config"
        raise DecodeError(message, data=body, endpoint=endpoint.id)
    return ModelSchema(endpoint.full_id, found.input, found.output, document)


def question(method: str, url: URL, endpoint: str, body: bytes | None = None) -> Request:
    """A question: it changes nothing, so it may be asked again."""
    headers = {"Accept": "application/json"} | ({} if body is None else {"Content-Type": "application/json"})
    return Request(
        method=method, url=url, endpoint=endpoint, headers=headers, body=body, retry="idempotent", through_proxy=False
    )
