"""pyright and mypy know the types of what people write: of the programs beside this file, the examples and the docs.

Both read rxfal from its wheel, as it is installed for a user, in a folder where nothing else of this repository is:
what a module re-exports, and which files come along, shows only there.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.pages import PAGES, ROOT, blocks, program

HERE = Path(__file__).parent
PROGRAMS = ["fluent_chains.py", "lambdas.py", "merged.py", "mistakes.py", "pipe_chains.py", "queued.py", "user_code.py"]
SAMPLES = {f"{'_'.join(page.relative_to(ROOT).with_suffix('').parts)}.py": page for page in PAGES if blocks(page)}
EXAMPLES = {f"example_{path.name}": path for path in sorted((ROOT / "examples").glob("[0-9]*.py"))}
ONLY_PYRIGHT = {"lambdas.py"}

Findings = dict[str, list[str]]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with rxfal from its wheel, and with what this one has installed."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    venv.create(folder / "env")
    scheme = {"base": str(folder / "env"), "platbase": str(folder / "env")}
    packages = Path(sysconfig.get_path("purelib", "venv", scheme))
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(packages)
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    name = "python.exe" if os.name == "nt" else "python"
    return str(Path(sysconfig.get_path("scripts", "venv", scheme)) / name)


@pytest.fixture(scope="module")
def findings(python: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Findings]:
    """What each checker reports, by file."""
    folder = tmp_path_factory.mktemp("user")
    for name in PROGRAMS:
        shutil.copy(HERE / name, folder)
    for name, page in SAMPLES.items():
        (folder / name).write_text(program(page))
    for name, path in EXAMPLES.items():
        shutil.copy(path, folder / name)
    for name in ("_embedded.py", "fast_julia.py"):
        shutil.copy(ROOT / "examples" / name, folder)
    found = subprocess.run([python, "-c", "import rxfal; print(rxfal.__file__)"], cwd=folder, capture_output=True)
    assert str(ROOT) not in found.stdout.decode()
    return {"pyright": pyright(folder, python), "mypy": mypy(folder, python)}


def pyright(folder: Path, python: str) -> Findings:
    settings = {"strict": PROGRAMS, "typeCheckingMode": "basic", "enableTypeIgnoreComments": False}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--pythonpath", python, "--outputjson"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(list(folder.glob("*.py")))
    found: Findings = {}
    for finding in report["generalDiagnostics"]:
        name = Path(finding["file"]).name
        found.setdefault(name, []).append(f"{name}:{finding['range']['start']['line'] + 1}: {finding['message']}")
    return found


def mypy(folder: Path, python: str) -> Findings:
    files = [path.name for path in folder.glob("*.py") if path.name not in ONLY_PYRIGHT]
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--python-executable",
        python,
        "--config-file=",
        "--output=json",
    ]
    done = subprocess.run([*command, *files], cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    assert done.stderr == ""
    found: Findings = {}
    for finding in map(json.loads, filter(None, done.stdout.splitlines())):
        name = finding["file"]
        found.setdefault(name, []).append(f"{name}:{finding['line']}: {finding['message']} [{finding['code']}]")
    return found


@pytest.mark.parametrize("checker", ["pyright", "mypy"])
@pytest.mark.parametrize("name", [*PROGRAMS, *SAMPLES, *EXAMPLES])
def test_types_are_known(name: str, checker: str, findings: dict[str, Findings]) -> None:
    assert findings[checker].get(name, []) == []
