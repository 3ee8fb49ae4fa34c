"""What a command is given: `-i key=value`, the model's input; and texts from a file or stdin."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn, cast

import typer

import rxfal

__all__ = ["parse", "read_json", "read_text"]


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


def read_text(where: str, hint: str) -> tuple[str, str]:
    """What is in a file, or on stdin for `-`; and what to call it in messages.

    Args:
        where: The file.
        hint: What to do if there is no such file.

    Raises:
        typer.BadParameter: There is no such file.
        FalError: It is empty, as after a failed command in a pipe.
    """
    if where == "-":
        name, text = "stdin", sys.stdin.read()
    elif Path(where).is_file():
        name, text = where, Path(where).read_text("utf-8")
    else:
        raise typer.BadParameter(f"there is no file {where}; {hint}")
    if not text.strip():
        raise rxfal.FalError(f"{name} is empty")
    return name, text


def read_json(where: str, hint: str) -> Any:
    """The JSON in a file, or on stdin for `-`.

    Raises:
        typer.BadParameter: There is no such file.
        FalError: It is no JSON.
    """
    name, text = read_text(where, hint)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise rxfal.FalError(f"{name} is not JSON: {error}") from None


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
