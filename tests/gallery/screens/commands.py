"""How a test speaks with a screen in another process: a line of JSON for each command, and one for its answer."""

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

EXAMPLES = Path(__file__).parents[3] / "examples" / "ui"

_answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what the example or its toolkit prints is no answer


def command() -> list[str] | None:
    """The next command, a list of texts; None when the test is gone. It blocks."""
    line = sys.stdin.readline()
    return json.loads(line) if line else None


def answer(value: Any = None) -> None:
    """What the last command came to."""
    print(json.dumps(value), file=_answers, flush=True)


def example(name: str) -> ModuleType:
    """An example file as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def background_readers() -> list[str]:
    """The streams that are open on rxfal's background loop."""
    from rxfal.reactive import background

    return [] if background._background is None else background.open_streams(background._background.loop)
