"""rxfal's own operators, and those of them whose diagram can't be drawn."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import rxfal
from rxfal import operators, ui
from tests.marbles.notation import diagram_of

OWN: dict[str, Callable[..., Any]] = {
    name: value for name, value in inspect.getmembers(operators, inspect.isfunction) if value.__module__[:5] == "rxfal"
} | {
    "hedge": rxfal.hedge,
    "map_concurrent": rxfal.map_concurrent,
    "merge": rxfal.merge,
    "on_qt": ui.on_qt,
    "on_tk": ui.on_tk,
    "race": rxfal.race,
}

UNDRAWN = {"observe_on", "on_loop", "on_qt", "on_thread", "on_tk"}
"""What they change is the thread, and diagrams show the time."""

DIAGRAMS = {name: diagram for name, operator in OWN.items() if (diagram := diagram_of(operator))}
