"""What a model's OpenAPI document says: the JSON Schemas of its input and of its result.

Pure functions over the decoded document; knows no request.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, cast
from urllib.parse import unquote

__all__ = ["Schemas", "schemas_in"]

_DATA = frozenset({"const", "default", "enum", "example", "examples"})
"""Keywords whose values are data, in which a `$ref` is no reference."""
_NAMED = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})
"""Keywords whose values are schemas by names, which may be spelled like a keyword."""
_SHARED = re.compile(r"^#/components/schemas/")
_LOCAL = re.compile(r"#/\$defs/([^/]+)")


class Schemas(NamedTuple):
    """The two schemas of a model; what they refer to is in their own `$defs`.

    Attributes:
        input: What the model takes.
        output: What it gives; `{}`, which anything fits, if the document does not say.
    """

    input: dict[str, Any]
    output: dict[str, Any]


def schemas_in(document: Any, endpoint: str) -> Schemas | None:
    """The schemas of an endpoint's input and result; None if the document has none.

    fal's documents describe the queue: the input is the body of `POST /{endpoint}`, and the result is the answer of
    `GET /{endpoint}/requests/{request_id}`, while the POST itself is answered with the status of the queue.

    Args:
        document: The decoded document.
        endpoint: The endpoint's id.

    Examples:
        >>> body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/In"}}}}
        >>> document = {
        ...     "components": {"schemas": {"In": {"type": "object", "required": ["prompt"]}}},
        ...     "paths": {"/owner/app": {"post": {"requestBody": body}}},
        ... }
        >>> schemas_in(document, "owner/app").input
        {'type': 'object', 'required': ['prompt']}
    """
    if not isinstance(document, dict):
        return None
    root = cast(dict[str, Any], document)
    paths = _object(root.get("paths"))
    post = _operation(paths, "post", "", endpoint)
    given = _schema_of(root, post.get("requestBody"))
    if given is None:
        return None
    result = _operation(paths, "get", "/requests/{request_id}", endpoint)
    gives = _schema_of(root, _object(result.get("responses")).get("200"))
    return Schemas(_whole(root, given), {} if gives is None else _whole(root, gives))


def _operation(paths: dict[str, Any], method: str, ending: str, endpoint: str) -> dict[str, Any]:
    """What the document says of the endpoint's path with this ending; or of the only one with it."""
    found = {path: _object(item)[method] for path, item in paths.items() if method in _object(item)}
    found = {path: operation for path, operation in found.items() if path.endswith(ending)}
    only = next(iter(found.values())) if len(found) == 1 else None
    return _object(found.get(f"/{endpoint}{ending}", only))


def _schema_of(root: dict[str, Any], body: Any) -> Any:
    """The schema of a request's or a response's body: that of JSON, or else the first."""
    content = _object(_object(_resolved(root, body)).get("content"))
    media = content.get("application/json") or next(iter(content.values()), None)
    schema = _object(media).get("schema")
    return cast(dict[str, Any], schema) if isinstance(schema, dict) else None


def _whole(root: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with everything that it refers to in its own `$defs`."""
    shared = _object(_object(root.get("components")).get("schemas"))
    top = _rebuilt(_resolved(root, schema))
    found: dict[str, Any] = {}
    waiting = [*_references(top)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _rebuilt(shared.get(name, {}))
            waiting += _references(found[name])
    if found:
        top["$defs"] = {**_object(top.get("$defs")), **dict(sorted(found.items()))}
    return top


def _resolved(root: dict[str, Any], value: Any) -> Any:
    """What a reference stands for, through as many others as there are; a value that is none, as it is."""
    for _ in range(50):  # a circle leads nowhere
        pointer = _object(value).get("$ref")
        if not isinstance(pointer, str) or not pointer.startswith("#/"):
            return value
        aside = {key: item for key, item in cast(dict[str, Any], value).items() if key != "$ref"}
        target: Any = root
        for part in pointer[2:].split("/"):
            target = _object(target).get(_unescaped(part))
        value = {**_object(target), **aside}  # what stands beside a reference counts
    return {}


def _unescaped(part: str) -> str:
    """A part of a JSON pointer (RFC 6901) in a URL's fragment."""
    return unquote(part).replace("~1", "/").replace("~0", "~")


def _rebuilt(value: Any) -> Any:
    """A copy that is plain JSON Schema: references lead to `$defs`, and OpenAPI 3.0's own keywords are translated."""
    if isinstance(value, list):
        return [_rebuilt(item) for item in cast(list[Any], value)]
    if not isinstance(value, dict):
        return value
    schema = cast(dict[str, Any], value)
    built = {key: _part(key, item) for key, item in schema.items()}
    if isinstance(pointer := schema.get("$ref"), str):
        built["$ref"] = _SHARED.sub("#/$defs/", pointer)
    if mapping := _object(_object(schema.get("discriminator")).get("mapping")):
        leads = {key: _SHARED.sub("#/$defs/", str(to)) for key, to in mapping.items()}
        built["discriminator"] = {**built["discriminator"], "mapping": leads}
    for limit, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(built.get(exclusive), bool) and built.pop(exclusive) and limit in built:
            built[exclusive] = built.pop(limit)
    if isinstance(built.get("nullable"), bool) and built.pop("nullable"):
        return _or_null(built)
    return built


def _part(keyword: str, value: Any) -> Any:
    if keyword in _DATA:
        return value
    if keyword in _NAMED and isinstance(value, dict):
        return {name: _rebuilt(schema) for name, schema in cast(dict[str, Any], value).items()}
    return _rebuilt(value)


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    kind = schema.get("type")
    if isinstance(kind, str):
        schema["type"] = [kind, "null"]
        if isinstance(enum := schema.get("enum"), list) and None not in enum:
            schema["enum"] = [*cast(list[Any], enum), None]
        return schema
    notes = {key: schema.pop(key) for key in ("title", "description", "default") if key in schema}
    return {**notes, "anyOf": [schema, {"type": "null"}]}


def _references(value: Any) -> Iterator[str]:
    """The names of the shared schemas that a rebuilt one refers to."""
    if isinstance(value, list):
        for item in cast(list[Any], value):
            yield from _references(item)
    for keyword, item in _object(value).items():
        if keyword == "$ref" or keyword == "discriminator":
            leads = [item, *_object(_object(item).get("mapping")).values()]
            yield from (_unescaped(found[1]) for to in leads if (found := _LOCAL.match(str(to))))
        elif keyword in _NAMED:
            yield from _references([*_object(item).values()])
        elif keyword not in _DATA:
            yield from _references(item)


def _object(value: Any) -> dict[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}
