"""A package whose names are loaded when they are first used (PEP 562), so that importing it costs next to nothing."""

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from operator import attrgetter
from typing import Any


def load_later(
    package: str, names: Mapping[str, Iterable[str]] = {}, *, submodules: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and the `__dir__` of a package.

    For type checkers the names are imported beside the call, under `TYPE_CHECKING`; hide the call from them, since to
    them a package with a `__getattr__` has every name that one could think of.

    Args:
        package: Its `__name__`.
        names: By module of the package, what it takes from there; `holder.name` is an attribute of what is there.
        submodules: Which modules are names of the package themselves.
    """
    places = {path.rpartition(".")[2]: (module, path) for module, paths in names.items() for path in paths}
    modules = frozenset(submodules)
    this = sys.modules[package]

    def __getattr__(name: str) -> Any:
        if name in modules:
            return import_module(f"{package}.{name}")  # which makes it an attribute
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=this)
        module, path = places[name]
        value = attrgetter(path)(import_module(f"{package}.{module}"))
        setattr(this, name, value)
        return value

    def __dir__() -> list[str]:
        return sorted({*vars(this), *places, *modules})

    return __getattr__, __dir__
