"""What some tests need beyond the package: programs of the system, and heavy packages.

`make test` skips these tests with a reason where it is not there. `make test-all` installs it and sets RXFAL_TEST_ALL;
then a test that misses something fails.
"""

from __future__ import annotations

import importlib.util
import os
import shutil

import pytest


def need_modules(*names: str) -> None:
    """Skip, or with `make test-all` fail, the test that calls this unless these modules are installed."""
    _need("Python packages", [name for name in names if importlib.util.find_spec(name) is None])


def need_programs(*names: str) -> None:
    """The same for programs of the system."""
    _need("programs", [name for name in names if shutil.which(name) is None])


def _need(kind: str, missing: list[str]) -> None:
    if missing:
        reason = f"needs {kind} that are not here: {', '.join(missing)}; `make test-all` installs them"
        if os.environ.get("RXFAL_TEST_ALL"):
            pytest.fail(reason)
        pytest.skip(reason)
