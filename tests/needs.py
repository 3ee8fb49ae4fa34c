"""What some tests need besides the package: system programs and heavy packages.

If something is missing, `make test` skips the test and says why. `make test-all` installs everything and sets
RXFAL_TEST_ALL, and then a test with a missing dependency fails.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest


def need_modules(*names: str) -> None:
    """Skip the calling test unless these modules are installed; under `make test-all`, fail it instead."""
    _need("Python packages", [name for name in names if importlib.util.find_spec(name) is None])


def need_programs(*names: str) -> None:
    """Do the same for system programs."""
    _need("programs", [name for name in names if shutil.which(name) is None])


def need_files(*paths: Path) -> None:
    """Do the same for files that `make test-all` makes."""
    _need("files", [str(path.relative_to(Path(__file__).parents[1])) for path in paths if not path.exists()])


def _need(kind: str, missing: list[str]) -> None:
    if missing:
        reason = f"needs {kind} that are not installed: {', '.join(missing)}; `make test-all` installs them"
        if os.environ.get("RXFAL_TEST_ALL"):
            pytest.fail(reason)
        pytest.skip(reason)
