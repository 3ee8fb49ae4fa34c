"""`-i key=value`: the model's input from the command line."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn, cast

import typer

__all__ = ["parse"]


def parse(fields: Iterable[str]) -> dict[str, Any]:
    """Build the input from the fields. If a name comes twice, its last value counts.

    Args:
        fields: `key=value`, where the value is JSON if it can be read as JSON, else text; `key=@path` for a file to
            upload; or `-` for a JSON object on stdin. Write text that looks like JSON or begins with `@` as a JSON
            string: `key='"5"'`.

    Returns:
        The input.

    Raises:
        typer.BadParameter: A field has no `=`, or stdin is not a JSON object.

    Examples:
        >>> parse(["prompt=a haiku", "seed=5", 'size={"width": 64}', 'label="5"'])
        {'prompt': 'a haiku', 'seed': 5, 'size': {'width': 64}, 'label': '5'}
    """
    values: dict[str, Any] = {}
    for field in fields:
        if field == "-":
            values |= _object(sys.stdin.read())
            continue
        key, equals, value = field.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{field!r} is not KEY=VALUE", param_hint="-i")
        values[key] = Path(value[1:]).expanduser() if value.startswith("@") else _value(value)
    return values


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"stdin is not JSON: {error}", param_hint="-i -") from None
    if not isinstance(value, dict):
        raise typer.BadParameter("stdin is JSON, but not an object", param_hint="-i -")
    return cast(dict[str, Any], value)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
