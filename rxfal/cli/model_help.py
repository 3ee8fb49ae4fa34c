"""`--help-model`: what a model takes, for people, from its JSON Schema."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

import rxfal

from .printing import harmless

__all__ = ["fields_of", "show"]

_JSON_NAMES = {"boolean": "true or false", "string": "text"}


def show(endpoint: str) -> None:
    """Print the inputs of a model to stdout.

    Raises:
        FalError: The model's schema can't be had.
    """
    with rxfal.Client() as client:
        schema = client.models.schema(endpoint).run().input
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(max_width=28)
    table.add_column()
    for name, kind, about in fields_of(schema):
        table.add_row(Text(harmless(name), style="bold"), Text(harmless(kind), style="cyan"), Text(harmless(about)))
    console = Console(highlight=False)
    console.print(f"{endpoint} takes, each as -i NAME=VALUE:\n", markup=False)
    console.print(table)


def fields_of(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The name of each field of an object's schema, the kind of its values, and what is said about it.

    Examples:
        >>> size = {"type": "integer", "minimum": 16, "default": 256, "description": "Pixels per side."}
        >>> list(fields_of({"properties": {"prompt": {"type": "string"}, "size": size}, "required": ["prompt"]}))
        [('prompt', 'text', 'required'), ('size', 'integer, at least 16', 'Pixels per side. Default: 256')]
    """
    required = schema.get("required", ())
    properties: Mapping[str, Any] = schema.get("properties", {})
    order = [name for name in schema.get("x-fal-order-properties", ()) if name in properties]
    for name in dict.fromkeys([*order, *properties]):
        field = properties[name]
        about = [" ".join(str(field.get("description", "")).split())]
        if name in required:
            about.insert(0, "required")
        elif field.get("default") is not None:
            about.append(f"Default: {json.dumps(field['default'], ensure_ascii=False)}")
        yield name, _kind(field, schema.get("$defs", {})), " ".join(filter(None, about))


def _kind(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        found = definitions.get(name, {"type": "object"})
        return name if found.get("type") == "object" else _kind(found, definitions)
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    if "const" in field:
        return str(field["const"])
    for several in ("anyOf", "oneOf", "allOf"):
        if several in field:
            kinds = [_kind(kind, definitions) for kind in field[several] if kind != {"type": "null"}]
            return " or ".join(dict.fromkeys(kinds))
    kind = str(field.get("type", "anything"))
    if kind == "array":
        return f"list of {_kind(field.get('items', {}), definitions)}"
    return _JSON_NAMES.get(kind, kind) + _range(field)


def _range(field: Mapping[str, Any]) -> str:
    match field.get("minimum"), field.get("maximum"):
        case None, None:
            return ""
        case None, most:
            return f", at most {most}"
        case least, None:
            return f", at least {least}"
        case least, most:
            return f", {least} to {most}"
