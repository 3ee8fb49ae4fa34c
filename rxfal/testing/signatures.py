"""What a handler's annotations say about its input and output: the model to validate with, and the schemas.

Knows pydantic and fal's form of an OpenAPI document, but no request.
"""

import collections.abc
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter

__all__ = ["Signature", "document", "signature_of"]

_YIELDING = (
    collections.abc.AsyncGenerator,
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
)
_STATUS = {
    "title": "QueueStatus",
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]},
        "request_id": {"type": "string"},
        "response_url": {"type": "string"},
        "status_url": {"type": "string"},
        "cancel_url": {"type": "string"},
        "logs": {"type": "object", "additionalProperties": True},
        "metrics": {"type": "object", "additionalProperties": True},
        "queue_position": {"type": "integer"},
    },
    "required": ["status", "request_id"],
}


@dataclass(frozen=True, slots=True)
class Signature:
    """What a handler takes and gives.

    Attributes:
        input: The pydantic model of its first parameter; None if that is annotated with anything else.
        output: The type of its value, or of the items that it yields; None if it says nothing about them.
    """

    input: type[BaseModel] | None = None
    output: Any = None


def signature_of(handler: Callable[..., Any], namespace: Mapping[str, Any] | None = None) -> Signature:
    """What the annotations of a handler say. Annotations that name what can't be found say nothing.

    Args:
        handler: The handler.
        namespace: More names that its annotations may use, such as the local variables beside it.

    Examples:
        >>> class Input(BaseModel):
        ...     prompt: str
        >>> async def app(input: Input) -> collections.abc.AsyncIterator[str]:
        ...     yield input.prompt
        >>> signature_of(app, locals()).output
        <class 'str'>
    """
    try:
        hints = get_type_hints(handler, localns=dict(namespace or {}))
    except Exception:  # a name that is not there, or an expression that fails
        return Signature()
    first = next(iter(inspect.signature(handler).parameters), None)
    output = hints.get("return")
    if get_origin(output) in _YIELDING or output in _YIELDING:
        output = next(iter(get_args(output)), None)
    model = _model(hints.get(first)) if first is not None else None
    return Signature(model, None if output in (Any, bytes, type(None)) else output)


def _model(hint: Any) -> type[BaseModel] | None:
    return hint if isinstance(hint, type) and issubclass(hint, BaseModel) else None


def document(
    endpoint: str, signature: Signature, *, url: str, category: str | None, content_type: str | None
) -> dict[str, Any] | None:
    """The OpenAPI document of an app, in fal's form; None if its annotations name no model.

    Args:
        endpoint: The app's endpoint.
        signature: What its annotations say.
        url: The address of the queue.
        category: The app's category.
        content_type: The media type of its answer, if that is not JSON.
    """
    if signature.input is None and _model(signature.output) is None:
        return None
    wanted: list[tuple[str, Any, TypeAdapter[Any]]] = []
    if signature.input is not None:
        wanted.append(("input", "validation", TypeAdapter(signature.input)))
    if signature.output is not None:
        wanted.append(("output", "serialization", TypeAdapter(signature.output)))
    found, shared = TypeAdapter.json_schemas(wanted, ref_template="#/components/schemas/{model}")
    schemas = {key: schema for (key, _), schema in found.items()}
    components: dict[str, Any] = {"QueueStatus": _STATUS, **shared.get("$defs", {})}
    for schema in components.values():
        if isinstance(properties := schema.get("properties"), dict):
            schema["x-fal-order-properties"] = list(cast(dict[str, Any], properties))
    anything = {"type": "object", "additionalProperties": True}
    answer = schemas.get("output", anything)
    if content_type is not None:
        answer = {"type": "string", "format": "binary"}
    metadata = {
        "endpointId": endpoint,
        "category": category,
        "playgroundUrl": f"https://fal.ai/models/{endpoint}",
        "documentationUrl": f"https://fal.ai/models/{endpoint}/api",
    }
    status = _answer({"$ref": "#/components/schemas/QueueStatus"}, "The request status.")
    request_id = {"name": "request_id", "in": "path", "required": True, "schema": {"type": "string"}}
    one = f"/{endpoint}/requests/{{request_id}}"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Queue OpenAPI for {endpoint}",
            "version": "1.0.0",
            "description": f"The OpenAPI schema for the {endpoint} queue.",
            "x-fal-metadata": metadata,
        },
        "servers": [{"url": url}],
        "security": [{"apiKeyAuth": []}],
        "components": {
            "securitySchemes": {"apiKeyAuth": {"type": "apiKey", "in": "header", "name": "Authorization"}},
            "schemas": components,
        },
        "paths": {
            f"{one}/status": {"get": {"parameters": [request_id], "responses": status}},
            f"{one}/cancel": {"put": {"parameters": [request_id], "responses": _answer(anything, "It was cancelled.")}},
            f"/{endpoint}": {
                "post": {
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": schemas.get("input", anything)}},
                    },
                    "responses": status,
                }
            },
            one: {
                "get": {
                    "parameters": [request_id],
                    "responses": _answer(answer, "Result of the request.", content_type or "application/json"),
                }
            },
        },
    }


def title_of(endpoint: str) -> str:
    """A name for people.

    Examples:
        >>> title_of("fal-ai/flux/dev")
        'Flux Dev'
    """
    return " ".join(word.capitalize() for word in re.split(r"[/_-]+", endpoint.partition("/")[2]) if word)


def _answer(schema: Any, description: str, content_type: str = "application/json") -> dict[str, Any]:
    return {"200": {"description": description, "content": {content_type: {"schema": schema}}}}
