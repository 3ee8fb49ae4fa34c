"""The declarations of fluent.pyi hold: against reactivex's signatures, and in what a Stream does at run time."""

import inspect
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast, get_overloads
from unittest.mock import MagicMock

import pytest
import reactivex as rx
from reactivex import Observable

from rxfal.reactive import fluent
from rxfal.reactive.stream import Stream, from_observable

OUTCOME = object()


class Probe(Stream[Any]):
    def pipe(self, *operators: Any) -> Any:
        return OUTCOME


def declarations() -> dict[str, list[inspect.Signature]]:
    """The public methods of Fluent but `pipe`, each with the signatures of its overloads."""
    stub, module = Path(fluent.__file__).with_suffix(".pyi"), "rxfal.reactive.declared"
    declared: type = runpy.run_path(str(stub), run_name=module)["Fluent"]
    found: dict[str, list[inspect.Signature]] = {}
    for name, method in vars(declared).items():
        if inspect.isfunction(method) and not name.startswith("_") and name != "pipe":
            overloads = get_overloads(cast("Any", SimpleNamespace(__module__=module, __qualname__=f"Fluent.{name}")))
            found[name] = [inspect.signature(one) for one in overloads or [method]]
    return found


DECLARED = declarations()


def shape(signature: inspect.Signature) -> list[tuple[str, Any, Any]]:
    return [(parameter.name, parameter.kind, parameter.default) for parameter in signature.parameters.values()]


def test_every_method_of_an_observable_is_declared_or_streams_own() -> None:
    public = {name for name in dir(Observable) if not name.startswith("_")}
    assert public - DECLARED.keys() - vars(Stream).keys() - {"pipe"} == set()


def test_nothing_is_declared_that_a_stream_has_not() -> None:
    assert DECLARED.keys() - set(dir(Stream)) == set()


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_parameters_are_those_at_run_time(name: str) -> None:
    actual = inspect.signature(getattr(Stream, name))
    overloads = DECLARED[name]
    if len(overloads) == 1:
        assert shape(overloads[0]) == shape(actual)
    else:
        named = [p for overload in overloads for p in overload.parameters.values() if p.kind is not p.POSITIONAL_ONLY]
        assert {parameter.name for parameter in named if parameter.name != "self"} == actual.parameters.keys() - {
            "self"
        }


@pytest.mark.parametrize("name", sorted(DECLARED))
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
