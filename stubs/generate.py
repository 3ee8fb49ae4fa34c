"""Generate the type stubs of `rxfal.operators` and of Stream's fluent methods from reactivex's signatures.

    python -m stubs.generate        or: make stubs

Each operator has one signature, from `signatures.pyi` if it is there, otherwise from reactivex. Two forms follow from
it:

    def take(count: int) -> Callable[[Observable[_T]], Observable[_T]]: ...     in rxfal/operators.pyi
    def take(self, count: int) -> Stream[_T_co]: ...                            in rxfal/reactive/fluent.pyi

Both files are generated as a whole and never edited by hand. A test compares them with this module's output.
"""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator
from inspect import Parameter, Signature
from pathlib import Path
from string import ascii_uppercase
from types import SimpleNamespace
from typing import Any, cast, get_overloads

import reactivex.operators
from reactivex import Observable

import rxfal.operators
from rxfal.reactive.fluent import Fluent
from rxfal.reactive.stream import Stream

_HERE = Path(__file__).parent
OPERATORS = _HERE.parent / "rxfal" / "operators.pyi"
FLUENT = _HERE.parent / "rxfal" / "reactive" / "fluent.pyi"
REACTIVEX = importlib.metadata.version("reactivex")

PIPE_LENGTH = 20
"""For up to how many operators `pipe` infers types."""
COMBINED = 8
"""For up to how many other streams `zip` and similar operators infer types."""

_HOMES = """
import builtins
from asyncio import Future
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar, TypeVarTuple, Union, Unpack, overload
from reactivex import ConnectableObservable, GroupedObservable, Notification, Observable
from reactivex.abc import ObserverBase, SchedulerBase, SubjectBase
from reactivex.operators._timeinterval import TimeInterval
from reactivex.operators._timestamp import Timestamp
from reactivex.subject import Subject
from reactivex.typing import AbsoluteOrRelativeTime, Accumulator, AnyFuture, Comparer, Mapper, MapperIndexed
from reactivex.typing import Predicate, PredicateIndexed, RelativeTime, SubComparer
from rxfal.reactive.observer import OnCompleted, OnError, OnNext
from rxfal.reactive.stream import ConnectableStream, GroupedStream, Stream
"""
"""The imports for the names that occur in signatures."""


def operators() -> str:
    """Return what `rxfal/operators.pyi` should contain."""
    imports: list[str] = []
    lines: list[str] = []
    names = sorted(set(rxfal.operators.__all__))
    for name in names:
        module = getattr(rxfal.operators, name).__module__
        if module.startswith("rxfal."):
            imports.append(f"from {module} import {name} as {name}")
        else:
            forms = [form for signature in _signatures(name) for form in _as_operator(name, signature)]
            lines += _declarations(name, forms)
    return _file([*lines, "", f"__all__ = {json.dumps(names)}"], imports)


def fluent() -> str:
    """Return what `rxfal/reactive/fluent.pyi` should contain."""
    public = {name for name in dir(Observable) if not name.startswith("_")} - vars(Stream).keys()
    lines: list[str] = []
    for name in sorted(public - _METHODS.keys() - {"pipe"}):
        lines += _declarations(name, [_as_method(name, signature) for signature in _signatures(name)])
    for name, signatures in [*_METHODS.items(), ("pipe", _pipe())]:
        lines += _declarations(name, signatures)
    return _file(["class Fluent(Observable[_T_co]):", *(f"    {line}" for line in lines)])


# Collecting the signatures.


class _Text(str):
    """An annotation that appears in a signature exactly as it was written."""

    __slots__ = ()
    __repr__ = str.__str__


def _read(source: str, name: str) -> dict[str, list[Signature]]:
    """Return the signatures of a module's functions and of its classes' methods: all overloads, or the only one."""
    module = f"{__name__}.{name}"
    names: dict[str, Any] = {"__name__": module}
    exec(compile(f"from __future__ import annotations\n{source}", name, "exec"), names)
    for cls in [value for value in names.values() if inspect.isclass(value) and value.__module__ == module]:
        names |= {f"{cls.__name__}.{method}": value for method, value in vars(cls).items()}
    found: dict[str, list[Signature]] = {}
    for qualified, value in names.items():
        overloads: Any = get_overloads(cast(Any, SimpleNamespace(__module__=module, __qualname__=qualified)))
        functions = overloads or ([value] if inspect.isfunction(value) and value.__module__ == module else [])
        if functions:
            found[qualified] = [_with_text(inspect.signature(function)) for function in functions]
    return found


def _with_text(signature: Signature, change: Callable[[str], str] = str) -> Signature:
    """Return the signature with bare, unquoted names in its annotations, and with `change` applied to each."""

    def spelled(annotation: Any) -> Any:
        if annotation is Parameter.empty:
            return annotation
        assert isinstance(annotation, str)
        return _Text(change(re.sub(r"\b(abc|asyncio|typing)\.|'|,(?=\])", "", annotation)))

    parameters = [
        parameter.replace(annotation=spelled(parameter.annotation)) for parameter in signature.parameters.values()
    ]
    return Signature(parameters, return_annotation=spelled(signature.return_annotation))


_REACTIVEX = _read(inspect.getsource(reactivex.operators), "reactivex")
_OURS = _read((_HERE / "signatures.pyi").read_text(), "ours")
_METHODS = {name.removeprefix("Fluent."): _OURS[name] for name in _OURS if name.startswith("Fluent.")}


def _signatures(name: str) -> list[Signature]:
    """Return an operator's signatures: ours if there are any, otherwise reactivex's."""
    return _combining(name) or _OURS.get(name) or _REACTIVEX[name]


def _combining(name: str) -> list[Signature]:
    """Return the overloads of an operator on any number of streams: one per number up to `COMBINED`, and a general one.

    Returns an empty list for any other operator.
    """
    if name in ("zip", "zip_latest", "combine_latest", "with_latest_from", "fork_join"):
        option, together, rest = "", "tuple[{}]", ("*others: Observable[Any]", "tuple[Any, ...]")
    elif name in ("merge", "concat"):
        option = ", *, max_concurrent: int | None = None" if name == "merge" else ""
        together, rest = "Union[{}]", (f"*sources: Observable[_A]{option.replace(' *,', '')}", "_T | _A")
    else:
        return []
    forms: list[tuple[str, str]] = []
    for count in range(1, COMBINED + 1):
        letters = ascii_uppercase[:count]
        others = "".join(f"{letter.lower()}: Observable[_{letter}], " for letter in letters)
        forms.append((f"{others}/{option}", together.format(", ".join(f"_{letter}" for letter in ["T", *letters]))))
    forms.append(rest)
    return _overloads(name, [(given, f"Callable[[Observable[_T]], Observable[{items}]]") for given, items in forms])


def _pipe() -> list[Signature]:
    """Return the overloads of `pipe`, where an Observable from the last operator is a (Connectable)Stream.

    Operators usually pass Observables to each other, and mypy infers more if the signature says so. The last two forms
    of each length cover something else in between (a list, a connectable Observable) or as the result (a Future).
    Beyond `PIPE_LENGTH` operators, nothing is inferred.
    """
    kinds = ["_T_co", *(f"_{letter}" for letter in ascii_uppercase[:PIPE_LENGTH])]

    def function(number: int, taken: str, given: str) -> str:
        takers = [taken] if number > 1 else ["Observable[_T_co]", "Stream[_T_co]"]
        return f"op{number}: " + " | ".join(f"Callable[[{taker}], {given}]" for taker in takers)

    def operator(number: int, given: str) -> str:
        return function(number, f"Observable[{kinds[number - 1]}]", given)

    forms = [("", "Stream[_T_co]")]
    for count in range(1, PIPE_LENGTH + 1):
        before, kind = kinds[count - 1 : count + 1]
        operators = "".join(f"{operator(number, f'Observable[{kinds[number]}]')}, " for number in range(1, count))
        functions = "".join(f"{function(number, kinds[number - 1], kinds[number])}, " for number in range(1, count))
        forms += [
            (f"{operators}{operator(count, f'ConnectableObservable[{kind}]')}, /", f"ConnectableStream[{kind}]"),
            (f"{operators}{operator(count, f'Observable[{kind}]')}, /", f"Stream[{kind}]"),
            (f"{functions}{function(count, before, f'Observable[{kind}]')}, /", f"Stream[{kind}]"),
            (f"{functions}{function(count, before, kind)}, /", kind),
        ]
    more = "".join(f"op{number}: Callable[[Any], Any], " for number in range(1, PIPE_LENGTH + 2))
    forms.append((f"{more}/, *more: Callable[[Any], Any]", "Stream[Any]"))
    return _overloads("pipe", [(f"self, {given}", made) for given, made in dict.fromkeys(forms)])


def _overloads(name: str, forms: list[tuple[str, str]]) -> list[Signature]:
    lines = [f"@overload\ndef {name}({given}) -> {made}: ..." for given, made in forms]
    return _read("\n".join(["from typing import overload", *lines]), name)[name]


# The two forms of a signature.


def _parts(signature: Signature) -> tuple[str, str]:
    """Return the types that an operator takes and returns."""
    match ast.parse(signature.return_annotation, mode="eval").body:
        case ast.Subscript(ast.Name("Callable"), ast.Tuple([ast.List([source]), result])):
            return ast.unparse(source), ast.unparse(result)
        case _:
            raise ValueError(f"{signature} is not an operator's")


def _item(source: str) -> str | None:
    """Return the type variable of a source that is an Observable of any items, or None."""
    plain = re.fullmatch(r"Observable\[(_\w+)\]", source)
    return plain[1] if plain else None


def _variables(*annotations: str) -> set[str]:
    return set(re.findall(r"\b_[A-Z]\w*", " ".join(annotations)))


def _named_as(function: Callable[..., Any], signature: Signature) -> Signature:
    """Return the signature with the function's parameter names."""
    names = iter(inspect.signature(function).parameters)
    parameters: list[Parameter] = []
    for parameter in signature.parameters.values():
        by_position = parameter.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.VAR_POSITIONAL)
        parameters.append(parameter.replace(name=next(names)) if by_position else parameter)
    return signature.replace(parameters=parameters)


def _as_operator(name: str, signature: Signature) -> list[Signature]:
    """Return the signature's operator form, with two aids for mypy, which infers less in a `pipe` than pyright.

    mypy can't always infer a lambda's argument there, and then uses the type variable's bound: `_Item` is bound to Any.
    And if a callback that would bind the variable is omitted, mypy doesn't infer it from the `pipe`, so the operator
    gets an overload without that callback.
    """
    signature = _named_as(getattr(reactivex.operators, name), signature)
    source, result = _parts(signature)
    item = _item(source)
    given = _variables(*(parameter.annotation for parameter in signature.parameters.values()))
    if item not in given:
        return [signature]
    without: list[Parameter] = []
    for position, parameter in enumerate(signature.parameters.values()):
        if parameter.default is not None or item not in _variables(parameter.annotation):
            without.append(parameter.replace(kind=Parameter.KEYWORD_ONLY) if len(without) < position else parameter)
    known = _variables(source, *(parameter.annotation for parameter in without))
    full = _with_text(signature, lambda text: re.sub(rf"\b{item}\b", "_Item", text))
    if len(without) == len(signature.parameters) or not _variables(result) <= known:
        return [full]
    return [signature.replace(parameters=without), full]


def _as_method(name: str, signature: Signature) -> Signature:
    """Return the signature's method form: this Stream is the source, and a resulting Observable is a Stream."""
    signature = _named_as(getattr(Fluent(), name), signature)
    source, result = _parts(signature)
    result = re.sub(r"^(list\[)?(Connectable)?Observable\[", r"\1\2Stream[", result)
    parameters = list(signature.parameters.values())
    this = Parameter("self", min([Parameter.POSITIONAL_OR_KEYWORD, *(parameter.kind for parameter in parameters)]))
    item = _item(source)
    if not item and source != "Observable[Any]":
        this = this.replace(annotation=source)
    method = signature.replace(parameters=[this, *parameters], return_annotation=result)
    return _with_text(method, lambda text: re.sub(rf"\b{item}\b", "_T_co", text) if item else text)


# Writing the files.


def _declarations(name: str, signatures: list[Signature]) -> Iterator[str]:
    for signature in signatures:
        if len(signatures) > 1:
            yield "@overload"
        yield f"def {name}{signature}: ..."


def _file(lines: list[str], imports: Iterable[str] = ()) -> str:
    used = _variables(*lines)
    kinds = {"_Item": "TypeVar({}, bound=Any)", "_T_co": "TypeVar({}, covariant=True)", "_Ts": "TypeVarTuple({})"}
    variables = [f"{name} = {kinds.get(name, 'TypeVar({})')}".format(f'"{name}"') for name in sorted(used)]
    words = set(re.findall(r"\w+", "\n".join([*variables, *lines])))
    homes: list[str] = []
    for line in _HOMES.strip().splitlines():
        start, names = re.split(r"(?<=import )", line)
        if needed := [name for name in names.split(", ") if name in words]:
            homes.append(start + ", ".join(needed))
    about = f"""# Made from reactivex {REACTIVEX} and stubs/signatures.pyi by stubs/generate.py: run `make stubs`.
# pyright: reportIncompatibleMethodOverride=false, reportInvalidTypeVarUse=false
"""
    return "\n".join([about, *homes, *sorted(imports), "", *variables, "", *lines, ""])


if __name__ == "__main__":
    OPERATORS.write_text(operators())
    FLUENT.write_text(fluent())
