"""Twins of pydantic models for JSON that grows: the same fields, each of them None until it came and fits its type.

A dataclass gets one too: by itself it would show the defaults of the fields that have not come yet.
"""

from __future__ import annotations

import collections
import collections.abc
import dataclasses
import functools
import types
import typing
import warnings
from collections.abc import Sequence
from typing import Annotated, Any, ForwardRef, Literal, Optional, TypeVar, Union, cast, get_args, get_origin

import typing_extensions
from pydantic import BaseModel, ConfigDict, Field, RootModel, TypeAdapter, ValidationError, WrapValidator, create_model
from pydantic.fields import FieldInfo

from .growing_json import NOTHING, GrowingJson

__all__ = ["PartialModel"]

_LISTS = (
    list,
    set,
    frozenset,
    tuple,
    collections.deque,
    *(getattr(collections.abc, name) for name in ("Sequence", "MutableSequence", "Collection", "Iterable", "Set")),
)
_DICTS = (dict, collections.OrderedDict, collections.abc.Mapping, collections.abc.MutableMapping)
_FREE = (Any, object)
_UNIONS = (Union, types.UnionType)

_SETTINGS = (
    "arbitrary_types_allowed",
    "coerce_numbers_to_str",
    "frozen",
    "json_encoders",
    "populate_by_name",
    "protected_namespaces",
    "ser_json_bytes",
    "ser_json_inf_nan",
    "ser_json_timedelta",
    "serialize_by_alias",
    "use_enum_values",
    "validate_by_alias",
    "validate_by_name",
)
"""What a twin has of its model's configuration: how names are read and how values are written, but no rules."""


class PartialModel:
    """What there is of a model while its JSON grows.

    Args:
        model: A pydantic model, or a type that is made of some, such as `list[Item]`.

    Attributes:
        brackets: What its JSON may begin with.

    Examples:
        >>> class Person(BaseModel):
        ...     name: str
        ...     born: int = Field(gt=1000)
        >>> partial, growing = PartialModel(Person), GrowingJson("{")
        >>> growing.read('{"name": "Ad')
        {'name': 'Ad'}
        >>> partial.of(growing)
        PartialPerson(name='Ad', born=None)
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._adapter: TypeAdapter[Any] = TypeAdapter(_or_none(_twins(model)))
        self.brackets = _brackets(model) or "{["

    def of(self, growing: GrowingJson) -> Any:
        """The twin of the value so far; `NOTHING` where the value does not fit yet.

        Args:
            growing: The JSON. A string that is cut is text so far where the model has a text; half a date is none.
        """
        value = growing.value
        if growing.is_in_string and not _takes_text(self._model, _path_to_last_text(value)):
            value = growing.without_cut_string()
        twin = self._adapter.validate_python(value)
        return NOTHING if twin is None else twin


# Twins.


def _twins(model: Any) -> Any:
    """A type with twins in the place of models."""
    bare = _bare(model)
    return _twins_of_model(bare) if _is_model(bare) else _make_twins(bare)


@functools.lru_cache(256)
def _twins_of_model(model: type[BaseModel]) -> Any:
    return _make_twins(model)


def _make_twins(model: Any) -> Any:
    made: dict[tuple[type[BaseModel], bool], type[BaseModel] | None] = {}
    twin = _twin(model, made)
    by_name = {_name(*key): each for key, each in made.items()}
    for each in made.values():
        cast("type[BaseModel]", each).model_rebuild(_types_namespace=by_name)
    return twin


_Made = dict[tuple[type[BaseModel], bool], type[BaseModel] | None]


def _twin(annotation: Any, made: _Made, is_one_of_several: bool = False) -> Any:
    bare: Any = _bare(annotation)
    name: Any = bare.__forward_arg__ if isinstance(bare, ForwardRef) else bare
    if isinstance(name, str):  # pydantic before 2.12 leaves the name of a RootModel in itself as it is
        bare = next((model for model, _ in made if model.__name__ == name), bare)
    if _is_model(bare):
        return _twin_model(cast(Any, bare), is_one_of_several, made)
    origin, args = get_origin(bare), get_args(bare)
    if origin in _UNIONS:
        several = sum(_is_model(_bare(arg)) for arg in args) > 1
        return Union[tuple(_twin(arg, made, several) for arg in args)]  # noqa: UP007 (not of types alone)
    if origin in (*_LISTS, *_DICTS):
        return cast(Any, origin)[tuple(arg if arg is Ellipsis else _twin(arg, made) for arg in args)]
    return bare


def _twin_model(model: type[BaseModel], is_one_of_several: bool, made: _Made) -> Any:
    key = (model, is_one_of_several)
    if key in made:  # perhaps just being made: a model of itself
        return made[key] or ForwardRef(_name(*key))
    made[key] = None
    if not model.__pydantic_complete__:
        model.model_rebuild()
    telling = _telling_fields(model) if is_one_of_several else ()
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        twin_type = _twin(field.annotation, made)
        is_telling = name in telling
        fields[name] = (
            twin_type if is_telling else _or_none(twin_type),
            _like(field, default=... if is_telling else None),
        )
    with warnings.catch_warnings():  # of names that pydantic has too: its author has read that about the model
        warnings.simplefilter("ignore")
        if issubclass(model, RootModel):
            root: Any = RootModel[fields["root"][0]]
            twin = create_model(f"Partial{model.__name__}", __base__=root, root=fields["root"])
        else:
            config = {key: value for key, value in model.model_config.items() if key in _SETTINGS}
            if model.model_config.get("extra") == "allow":
                config["extra"] = "allow"
            twin = create_model(f"Partial{model.__name__}", __config__=cast(ConfigDict, config), **fields)
    made[key] = twin
    return twin


def _telling_fields(model: type[BaseModel]) -> list[str]:
    """What tells a model from others: its tags, or else all that it needs. Before these have come it may be another."""
    fields = model.model_fields
    tags = [name for name, field in fields.items() if get_origin(_bare(field.annotation)) is Literal]
    return tags or [name for name, field in fields.items() if field.is_required()]


def _name(model: type[BaseModel], is_one_of_several: bool) -> str:
    return f"Partial{id(model)}{'OneOfSeveral' * is_one_of_several}"


def _like(field: FieldInfo, default: Any) -> Any:
    """The names of a field, and how it is written."""
    return Field(
        default,
        alias=field.alias,
        validation_alias=field.validation_alias,
        serialization_alias=field.serialization_alias,
        title=field.title,
        description=field.description,
        exclude=field.exclude,
        repr=field.repr,
    )


def _or_none(annotation: Any) -> Any:
    return Annotated[Optional[annotation], WrapValidator(_or_less)]  # noqa: UP045 (not of types alone)


def _or_less(value: Any, validate: Any) -> Any:
    """None for what does not fit; of several, those before the last one, which may be growing still."""
    for fitting in (value, _without_last(value)):
        try:
            return validate(fitting)
        except ValidationError:
            pass
    return None


def _without_last(value: Any) -> Any:
    if isinstance(value, dict):
        return dict([*cast("dict[str, Any]", value).items()][:-1])
    return cast("list[Any]", value)[:-1] if isinstance(value, list) else value


# What is where in a type.


def _bare(annotation: Any) -> Any:
    """A type without validators and constraints, and without another name."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, _ALIASES):
            annotation = annotation.__value__
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        elif isinstance(annotation, TypeVar):
            annotation = annotation.__bound__ or Any
        elif hasattr(annotation, "__dataclass_fields__") and not get_origin(annotation):
            return _model_of(annotation)
        else:
            return annotation


_ALIASES: Any = tuple(
    {module.TypeAliasType for module in (typing, typing_extensions) if hasattr(module, "TypeAliasType")}
)


@functools.lru_cache(256)
def _model_of(made: Any) -> Any:
    """A model with the fields of a dataclass."""
    known: dict[str, FieldInfo] | None = getattr(made, "__pydantic_fields__", None)
    if known is not None:
        fields = {name: (field.annotation, field) for name, field in known.items()}
    else:
        hints = typing.get_type_hints(made, include_extras=True)
        fields = {
            field.name: (hints[field.name], ... if _is_required(field) else None)
            for field in dataclasses.fields(made)
            if field.init
        }
    return create_model(made.__name__, __config__=getattr(made, "__pydantic_config__", None), **cast(Any, fields))


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _is_model(bare: Any) -> bool:
    return isinstance(bare, type) and not get_origin(bare) and issubclass(bare, BaseModel)


def _brackets(annotation: Any) -> str:
    bare = _bare(annotation)
    origin = get_origin(bare) or bare
    if _is_model(bare):
        return _brackets(bare.model_fields["root"].annotation) if issubclass(bare, RootModel) else "{"
    if origin in _UNIONS:
        return "".join(sorted({bracket for arg in get_args(bare) for bracket in _brackets(arg)}))
    if origin in _LISTS:
        return "["
    if origin in _DICTS or typing_extensions.is_typeddict(bare):
        return "{"
    return "" if bare in (None, type(None)) else "[{"


def _path_to_last_text(value: Any) -> Sequence[Any] | None:
    """The keys and indexes that lead to what came last, if that is a text."""
    path: list[Any] = []
    while value and isinstance(value, dict | list):
        members = cast("dict[str, Any] | list[Any]", value)
        path.append(next(reversed(members)) if isinstance(members, dict) else len(members) - 1)
        value = cast(Any, members)[path[-1]]
    return path if isinstance(value, str) else None


def _takes_text(annotation: Any, path: Sequence[Any] | None) -> bool:
    """Whether any text fits at a place in a type, so that half of one does."""
    if path is None:
        return False
    bare = _bare(annotation)
    args = get_args(bare)
    origin = get_origin(bare) or bare
    if bare in _FREE:
        return True
    if origin in _UNIONS:
        return any(_takes_text(arg, path) for arg in args)
    if _is_model(bare):
        return _model_takes_text(bare, path)
    if not path:
        return bare is str
    key, *inner = path
    if origin in _LISTS and isinstance(key, int):
        by_place = origin is tuple and Ellipsis not in args
        return not args or _takes_text(args[min(key, len(args) - 1) if by_place else 0], inner)
    return origin in _DICTS and isinstance(key, str) and (not args or _takes_text(args[1], inner))


def _model_takes_text(model: type[BaseModel], path: Sequence[Any]) -> bool:
    if issubclass(model, RootModel):
        return _takes_text(model.model_fields["root"].annotation, path)
    is_known = False
    for name, field in model.model_fields.items():
        for way in _ways_to(name, field):
            if [*path[: len(way)]] == way:
                is_known = True
                if _takes_text(field.annotation, path[len(way) :]):
                    return True
    return not is_known and model.model_config.get("extra") == "allow"


def _ways_to(name: str, field: FieldInfo) -> list[list[Any]]:
    """Where in an object a field may be."""
    alias = field.validation_alias
    if alias is None or isinstance(alias, str):
        return [[name], [alias or name]]
    paths = alias.convert_to_aliases()
    return [
        [name],
        *(cast("list[list[Any]]", paths) if paths and isinstance(paths[0], list) else [cast("list[Any]", paths)]),
    ]
