"""What an installed rxfal promises: one version, types, and a documented public face."""

import doctest
import inspect
import itertools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rxfal
import rxfal.operators
import rxfal.testing
from rxfal import errors
from rxfal._version import __version__

_ROOT = Path(__file__).parent.parent
_PROJECT: dict[str, Any] = tomllib.loads((_ROOT / "pyproject.toml").read_text())


def test_the_version_is_written_in_one_place() -> None:
    assert rxfal.__version__ == __version__
    assert "version" not in _PROJECT["project"]
    assert f"({__version__})" in (_ROOT / "CHANGELOG.md").read_text()


def test_every_dependency_has_a_lower_bound() -> None:
    project = _PROJECT["project"]
    requirements = itertools.chain(project["dependencies"], *project["optional-dependencies"].values())
    unbound = [r for r in requirements if not r.startswith("rxfal[") and not re.search(r"[>=]=\d", r)]
    assert unbound == []


def test_types_are_announced() -> None:
    assert (_ROOT / "rxfal" / "py.typed").exists()


def test_every_error_is_a_name_of_the_package() -> None:
    kinds = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert [kind.__name__ for kind in kinds if getattr(rxfal, kind.__name__, None) is not kind] == []


def test_everything_public_is_documented() -> None:
    assert [name for name, value in _public(rxfal, rxfal.testing) if not inspect.getdoc(value)] == []


def test_examples_fit_the_column_of_the_documentation() -> None:
    parse = doctest.DocTestParser().get_examples
    for name, value in _public(rxfal, rxfal.testing, rxfal.operators):
        is_ours = getattr(value, "__module__", "rxfal").startswith("rxfal")
        for example in parse(inspect.getdoc(value) or "") if is_ours else ():
            lines = [f">>> {line}" for line in example.source.splitlines()] + example.want.splitlines()
            assert max(map(len, lines)) <= 98, f"{name}: {lines}; see docs/assets/pages.css"


def _public(*modules: Any) -> Iterator[tuple[str, Any]]:
    """The names that modules export, and the methods and properties which their classes define."""
    for module in modules:
        for name in module.__all__:
            value = getattr(module, name)
            if not callable(value) or name.startswith("__"):
                continue
            yield name, value
            for attribute, member in vars(value).items() if inspect.isclass(value) else ():
                described = inspect.isfunction(member) or isinstance(member, property | classmethod | staticmethod)
                if described and not attribute.startswith("_") and value.__module__.startswith("rxfal"):
                    yield f"{name}.{attribute}", getattr(value, attribute)
