"""Type checkers see Streams all the way: runs pyright, strict, over the files beside this one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
FILES = ["fluent_chains.py", "mapped.py", "merged.py", "mistakes.py", "pipe_chains.py", "user_code.py"]


@pytest.fixture(scope="module")
def findings() -> dict[str, list[dict[str, Any]]]:
    """What pyright reports, by file name."""
    files = [str(HERE / name) for name in FILES]
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", *files]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, timeout=120, check=False)
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(files)
    found: dict[str, list[dict[str, Any]]] = {Path(file).name: [] for file in files}
    for finding in report["generalDiagnostics"]:
        found[Path(finding["file"]).name].append(finding)
    return found


def line_of(finding: dict[str, Any]) -> int:
    return finding["range"]["start"]["line"] + 1


@pytest.mark.parametrize("name", FILES)
def test_pyright_knows_the_types_of(name: str, findings: dict[str, list[dict[str, Any]]]) -> None:
    assert [f"{name}:{line_of(finding)}: {finding['message']}" for finding in findings[name]] == []
