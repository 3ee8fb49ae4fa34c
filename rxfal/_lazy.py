"""Load a package's names on first use (PEP 562), so that importing the package costs next to nothing."""

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from operator import attrgetter
from typing import Any


def load_later(
    package: str,
    names: Mapping[str, Iterable[str]] = {},
    *,
    submodules: Iterable[str] = (),
    elsewhere: Mapping[str, str] = {},
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the `__getattr__` and `__dir__` functions of a package.

    For type checkers, import the same names next to the call, under `TYPE_CHECKING`. Hide the call itself from them:
    to a type checker, a package with a `__getattr__` has every conceivable name.

    Args:
        package: The package's `__name__`.
        names: Maps each module of the package to the names to take from it. `holder.name` stands for the attribute
            `name` of the module's `holder`.
        submodules: Modules that are names of the package themselves.
        elsewhere: Names that people look for and the package does not have, and what has what they look for.

    Returns:
        The two functions, `__getattr__` first.
    """
    places = {path.rpartition(".")[2]: (module, path) for module, paths in names.items() for path in paths}
    modules = frozenset(submodules)
    this = sys.modules[package]

    def __getattr__(name: str) -> Any:
        if name in modules:
            return import_module(f"{package}.{name}")  # this also sets the attribute
        if name not in places:
            hint = f": it is {elsewhere[name]}" if name in elsewhere else ""
            raise AttributeError(f"module {package!r} has no attribute {name!r}{hint}", name=name, obj=this)
        module, path = places[name]
        value = attrgetter(path)(import_module(f"{package}.{module}"))
        setattr(this, name, value)
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(this), *places, *modules})

    return __getattr__, __dir__
