"""The declarations of fluent.pyi hold: against reactivex's signatures, and in what a Stream does at run time."""

import inspect
import runpy
from pathlib import Path
from typing import Any, get_overloads
from unittest.mock import Mock

import pytest
from reactivex import Observable

from rxfal.reactive import fluent
from rxfal.reactive.stream import Stream

OUTCOME = object()


class Probe(Stream[Any]):
    def pipe(self, *operators: Any) -> Any:
        return OUTCOME


def declarations() -> dict[str, list[inspect.Signature]]:
    """The methods of Fluent but `pipe`, each with the signatures of its overloads."""
    stub = Path(fluent.__file__).with_suffix(".pyi")
    declared = vars(runpy.run_path(str(stub), run_name="rxfal.reactive.declared")["Fluent"])
    methods = [method for name, method in declared.items() if inspect.isfunction(method) and name != "pipe"]
    return {
        method.__name__: [inspect.signature(one) for one in get_overloads(method) or [method]] for method in methods
    }


DECLARED = declarations()


def shape(signature: inspect.Signature) -> list[tuple[str, Any, Any]]:
    return [(parameter.name, parameter.kind, parameter.default) for parameter in signature.parameters.values()]


def test_every_method_of_an_observable_is_declared_or_streams_own() -> None:
    public = {name for name in dir(Observable) if not name.startswith("_")}
    assert public - DECLARED.keys() - vars(Stream).keys() == set()


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
    arguments = [Mock() for _ in required[1:]]
    assert getattr(Probe(), name)(*arguments) is OUTCOME
