"""The peers that live on Node: their packages, put into `benchmarks/node_modules`, and a way to run a script there."""

import functools
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@functools.cache
def available() -> bool:
    """Whether Node is here and its packages are, after installing them when they are not."""
    if not (shutil.which("node") and shutil.which("npm")):
        print("no node or no npm: its peers are left out", file=sys.stderr)
        return False
    wanted = json.loads((HERE / "package.json").read_text("utf-8"))["dependencies"]
    if all((HERE / "node_modules" / name).is_dir() for name in wanted):
        return True
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    return subprocess.run(command, cwd=HERE, stdout=subprocess.DEVNULL).returncode == 0


def version(package: str) -> str:
    return json.loads((HERE / "node_modules" / package / "package.json").read_text("utf-8"))["version"]


def run(script: str, *arguments: str) -> Any:
    """Run a script of this folder and give the JSON that it prints."""
    done = subprocess.run(["node", script, *arguments], cwd=HERE, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)
