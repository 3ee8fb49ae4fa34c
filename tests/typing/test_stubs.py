"""The stubs are what reactivex and stubs/signatures.pyi say, and they hold for what there is at run time."""

import inspect
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_overloads
from unittest.mock import MagicMock

import pytest
import reactivex as rx
from packaging.version import Version
from reactivex import Observable

from rxfal import operators as ops
from rxfal.reactive.fluent import Fluent
from rxfal.reactive.stream import GroupedStream, Stream, from_observable
from stubs import generate

OUTCOME = object()


class Probe(Stream[Any]):
    def pipe(self, *operators: Any) -> Any:
        return OUTCOME


def declarations(stub: Path, inside: str = "") -> dict[str, list[inspect.Signature]]:
    """The public functions of a stub, or the methods of a class in it, each with the signatures of its overloads."""
    module = f"declared.{stub.stem}"
    names: dict[str, Any] = runpy.run_path(str(stub), run_name=module)
    if inside:
        declared: type = names[inside]
        names = dict(vars(declared))
    found: dict[str, list[inspect.Signature]] = {}
    for name, function in names.items():
        if inspect.isfunction(function) and not name.startswith("_") and name not in ("pipe", "overload"):
            where: Any = SimpleNamespace(__module__=module, __qualname__=f"{inside}.{name}" if inside else name)
            found[name] = [inspect.signature(one) for one in get_overloads(where) or [function]]
    return found


METHODS = declarations(generate.FLUENT, "Fluent")
OPERATORS = declarations(generate.OPERATORS)
BOTH = [
    *((f"Fluent.{name}", getattr(Fluent, name), METHODS[name]) for name in sorted(METHODS)),
    *((f"operators.{name}", getattr(ops, name), OPERATORS[name]) for name in sorted(OPERATORS)),
]


@pytest.mark.parametrize(
    ("stub", "make"), [(generate.OPERATORS, generate.operators), (generate.FLUENT, generate.fluent)]
)
def test_a_stub_is_what_make_stubs_writes(stub: Path, make: Callable[[], str]) -> None:
    written = stub.read_text()
    (made_from,) = re.findall(r"Made from reactivex (\S+)", written)
    if Version(generate.REACTIVEX) < Version(made_from):
        pytest.skip(f"made from reactivex {made_from}, and this is {generate.REACTIVEX}")
    assert written == make(), "run `make stubs`"


def test_every_method_of_an_observable_is_declared_or_streams_own() -> None:
    public = {name for name in dir(Observable) if not name.startswith("_")}
    assert public - METHODS.keys() - vars(Stream).keys() - {"pipe"} == set()


def test_nothing_is_declared_that_there_is_not() -> None:
    assert METHODS.keys() - set(dir(Stream)) == set()
    assert OPERATORS.keys() == set(ops.__all__)


@pytest.mark.parametrize(("actual", "declared"), [pytest.param(*case, id=name) for name, *case in BOTH])
def test_parameters_are_those_at_run_time(actual: Any, declared: list[inspect.Signature]) -> None:
    parameters = inspect.signature(actual).parameters
    if len(declared) == 1:
        (signature,) = declared
        for parameter, at_run_time in zip(signature.parameters.values(), parameters.values(), strict=True):
            assert (parameter.name, parameter.kind) == (at_run_time.name, at_run_time.kind)
            assert parameter.default in (at_run_time.default, parameter.empty)  # nobody leaves out a mapper
    else:
        named = [p for overload in declared for p in overload.parameters.values() if p.kind is not p.POSITIONAL_ONLY]
        assert {parameter.name for parameter in named} - {"self"} == parameters.keys() - {"self"}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_what_comes_out_went_through_pipe(name: str) -> None:
    required = [
        parameter
        for parameter in inspect.signature(getattr(Stream, name)).parameters.values()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    arguments = [MagicMock() for _ in required[1:]]
    assert getattr(Probe(), name)(*arguments) is OUTCOME


def test_python_s_own_operators_give_streams() -> None:
    numbers = from_observable(rx.of(1, 2, 3))
    total = numbers
    total += numbers
    for stream in (numbers + numbers, total, numbers[1:]):
        assert isinstance(stream, Stream)
    assert list(numbers + numbers) == list(total) == [1, 2, 3, 1, 2, 3]
    assert list(numbers[1:]) == [2, 3]


def test_both_parts_of_a_partition_are_streams() -> None:
    numbers = from_observable(rx.of(1, 2, 3))
    for even, odd in (
        numbers.partition(lambda number: number % 2 == 0),
        numbers.partition_indexed(lambda number, _: number % 2 == 0),
    ):
        assert isinstance(even, Stream)
        assert isinstance(odd, Stream)
        assert even.run() == 2


def test_a_counted_stream_starts_with_its_subscriber() -> None:
    counted = from_observable(rx.of(1, 2, 3)).publish().ref_count()
    assert isinstance(counted, Stream)
    assert counted.run() == 3


def test_groups_and_windows_are_streams() -> None:
    numbers = from_observable(rx.of(1, 2, 3))
    for group in (numbers.group_by(str).first().run(), numbers.pipe(ops.map(str), ops.group_by(int)).run()):
        assert isinstance(group, GroupedStream)
        assert group.key in ("1", 3)
    for window in (numbers.window_with_count(2).first().run(), numbers.pipe(ops.window(rx.never())).run()):
        assert isinstance(window, Stream)
