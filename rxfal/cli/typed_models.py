"""Python source with pydantic models for what models take and give, made by datamodel-code-generator.

Only the generator is used, and it is loaded at the first call, since it is an extra of its own.
"""

import contextlib
import importlib.util
import json
import keyword
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import rxfal

__all__ = ["check_generator", "file_name", "source", "write_whole"]

_DATA = frozenset({"const", "default", "enum", "example", "examples"})
"""Keywords of a schema whose values are data."""


def check_generator() -> None:
    """Raise an error that says how to install the generator, if it is not there."""
    if importlib.util.find_spec("datamodel_code_generator") is None:
        raise rxfal.FalError('types needs datamodel-code-generator, install it with: pip install "rxfal[types]"')


def file_name(endpoint: str) -> str:
    """The name of an endpoint's file in a folder, which is the name of a Python module.

    Examples:
        >>> file_name("fal-ai/flux/dev"), file_name("fal-ai/3d-models")
        ('flux_dev.py', '_3d_models.py')
    """
    name = re.sub(r"\W+", "_", endpoint.partition("/")[2], flags=re.ASCII).strip("_").lower()
    return f"_{name}.py" if name[:1].isdigit() or keyword.iskeyword(name) else f"{name}.py"


def source(schema: rxfal.ModelSchema) -> str:
    """A module with the classes `Input` and `Output`, and those that they refer to.

    The same schema gives the same text, whatever settings the project has.
    Names are kept, or changed to what Python can spell, with the original as alias. Formats such as `uri` are left out:
    text stays text, as it is on the wire.
    """
    from datamodel_code_generator import Error, Formatter, InputFileType, LiteralType, PythonVersion, generate
    from datamodel_code_generator.enums import DataModelType

    document = json.dumps(
        {
            "openapi": "3.1.0",
            "info": {"title": schema.endpoint_id, "version": "1"},
            "paths": {},
            "components": {"schemas": _components(schema)},
        }
    )
    header = (
        f'"""What {schema.endpoint_id} takes, `Input`, and gives, `Output`.\n\n'
        f'Made by `rxfal types {schema.endpoint_id}` from the schema at fal; make it again rather than change it.\n"""'
    )

    def generated(*, by_name: bool) -> str:
        with tempfile.TemporaryDirectory() as empty, warnings.catch_warnings():  # no settings of the user's project
            warnings.simplefilter("ignore")
            made = generate(
                document,
                input_file_type=InputFileType.OpenAPI,
                output_model_type=DataModelType.PydanticV2BaseModel,
                target_python_version=PythonVersion.PY_311,
                allow_population_by_field_name=by_name,
                collapse_root_models=True,
                custom_file_header=header,
                enum_field_as_literal=LiteralType.All,
                formatters=[Formatter.BUILTIN],
                settings_path=Path(empty),
                use_annotated=True,
                use_double_quotes=True,
                use_schema_description=True,
                use_standard_collections=True,
                use_union_operator=True,
            )
        if not isinstance(made, str):
            raise rxfal.FalError("its schema gives no Python module", endpoint=schema.endpoint_id)
        return made.rstrip("\n") + "\n"

    try:
        made = generated(by_name=False)
        return generated(by_name=True) if "alias=" in made else made
    except Error as error:
        message = f"its schema can't be turned into Python: {error}"
        raise rxfal.FalError(message, endpoint=schema.endpoint_id) from error


def write_whole(path: Path, text: str) -> None:
    """Write a file so that nobody ever sees half of it: beside its place first, then in one step to it."""
    target = path.resolve()  # a link stays a link
    if target.exists() and not target.is_file():  # such as /dev/stdout
        target.write_text(text, encoding="utf-8")
        return
    handle, beside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent, text=True)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(beside).chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
        Path(beside).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(beside).unlink()
        raise


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _components(schema: rxfal.ModelSchema) -> dict[str, Any]:
    """The schemas as components of an OpenAPI document, in which the input is `Input` and the result is `Output`."""
    tops = {"Input": _bare(schema.input), "Output": _bare(schema.output)}
    shared = {**schema.output.get("$defs", {}), **schema.input.get("$defs", {})}
    names = {name: name for name in shared}
    for name, known in shared.items():
        if name in tops:
            names[name] = next(_free(name, {*shared, *tops}))
        for top, body in tops.items():
            if known == body:  # one that refers to itself
                names[name] = top
    for top, verb in (("Input", "takes"), ("Output", "gives")):
        if tops[top].get("type") == "object":
            tops[top].setdefault("description", f"What {schema.endpoint_id} {verb}.")
    own = {names[name]: known for name, known in shared.items() if names[name] not in tops}
    return {name: _pointed(body, names) for name, body in (own | tops).items()}


def _bare(schema: dict[str, Any]) -> dict[str, Any]:
    return {keyword: value for keyword, value in schema.items() if keyword != "$defs"}


def _free(name: str, taken: set[str]) -> Iterator[str]:
    """Names like this one that are not taken."""
    number = 2
    while True:
        if f"{name}{number}" not in taken:
            yield f"{name}{number}"
        number += 1


def _pointed(value: Any, names: dict[str, str]) -> Any:
    """A copy of a schema whose references lead to the components by their new names, without formats, and with its
    properties in the order in which fal shows them.
    """
    if isinstance(value, list):
        return [_pointed(item, names) for item in cast(list[Any], value)]
    if not isinstance(value, dict):
        return value
    schema = cast(dict[str, Any], value)
    if isinstance(schema.get("$ref"), str):
        return {"$ref": _lead(schema["$ref"], names)}
    built = {
        key: _part(key, item, names)
        for key, item in schema.items()
        if not (key in ("format", "title") and isinstance(item, str))
    }
    _join_null(built)
    if "default" in built and not _is_plain(built["default"], built.get("type")):
        note = f"Left out, it is {json.dumps(built.pop('default'))}."
        built["description"] = f"{built['description']}\n{note}" if "description" in built else note
    if isinstance(kinds := schema.get("discriminator"), dict) and "mapping" in kinds:
        leads = {kind: _lead(to, names) for kind, to in cast(dict[str, Any], kinds)["mapping"].items()}
        built["discriminator"] = {**kinds, "mapping": leads}
    order, properties = schema.get("x-fal-order-properties"), built.get("properties")
    if isinstance(order, list) and isinstance(properties, dict):
        places = {name: place for place, name in enumerate(cast(list[Any], order))}
        known = cast(dict[str, Any], properties)
        built["properties"] = dict(sorted(known.items(), key=lambda item: places.get(item[0], len(places))))
    return built


def _part(key: str, value: Any, names: dict[str, str]) -> Any:
    if key in _DATA:
        return value
    if key in ("properties", "patternProperties") and isinstance(value, dict):  # by names, which may be keywords
        return {name: _pointed(schema, names) for name, schema in cast(dict[str, Any], value).items()}
    return _pointed(value, names)


def _join_null(schema: dict[str, Any]) -> None:
    """Spell a type or null as one type: for two with constraints of their own, the generator makes a class each."""
    either = schema.get("anyOf")
    if isinstance(either, list) and len(cast(list[Any], either)) == 2 and {"type": "null"} in either:
        (other,) = (each for each in cast(list[Any], either) if each != {"type": "null"})
        if isinstance(other.get("type"), str) and "enum" not in other:
            del schema["anyOf"]
            schema |= {**other, "type": [other["type"], "null"]}


_PYTHON: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
}


def _is_plain(default: object, kind: Any) -> bool:
    """Whether a default is of its field's type as it stands: an object is of no class that is made for it."""
    own = type(default)
    items = cast(list[Any], default) if isinstance(default, list) else [default]
    if any(isinstance(item, dict | list) for item in items):
        return False
    kinds = cast(list[Any], kind) if isinstance(kind, list) else [kind]
    fitting = {each for name in kinds for each in _PYTHON.get(name, ())}
    return default is None or not fitting or own in fitting


def _lead(pointer: str, names: dict[str, str]) -> str:
    name = pointer.removeprefix("#/$defs/")
    return f"#/components/schemas/{names.get(name, name)}"
