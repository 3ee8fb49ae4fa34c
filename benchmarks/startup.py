"""What it costs to start: importing, a first `stream()`, and the pytest plugin in a run that does not use it.

Each start is a process of its own, and its figure the processor time until it has done so, Python's own start included;
the best of many, the peers in an order of its own each time. Every module has been compiled before, as pip does it.
`python -m benchmarks.startup`
"""

import os
import random
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks._report import report

ROUNDS = 25
DEPENDENCIES = "aiohttp, reactivex, pydantic"
IMPORTS = {
    "Python alone": "pass",
    DEPENDENCIES: f"import {DEPENDENCIES}",
    "rxfal": "import rxfal",
    "rxfal, first stream()": "import rxfal; rxfal.stream('fal-ai/any-llm', {'prompt': 'a haiku'})",
    "rxfal.operators": "from rxfal import operators",
    "fal-client": "import fal_client",
}
PYTEST = "import pytest; assert not pytest.main(['-q', '-p', 'no:cacheprovider', 'test_nothing.py'])"
# In the environment and not with `-p`: that would look through all installed packages once more, for the name.
RUNS = {
    "without the plugin": PYTEST,
    "with the plugin": f"import os; os.environ['PYTEST_PLUGINS'] = 'rxfal.testing.plugin'; {PYTEST}",
}
CASES = {"importing": IMPORTS, "pytest, a run without fal": RUNS}
TELL = "\nimport os, time\nos.write(2, str(time.process_time()).encode())\nos._exit(0)"


def cpu_seconds(code: str, folder: Path) -> float:
    """Processor time of one process of Python, until it has run the code."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {
        "FAL_KEY": "a-key-for-benchmarks",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
    }
    command = [sys.executable, "-c", code + TELL]
    return float(subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True).stderr)


def measure(rounds: int) -> dict[tuple[str, str], list[float]]:
    """Seconds of each start, as many as rounds; the first of all, which compiles, does not count."""
    starts = [(case, peer) for case, peers in CASES.items() for peer in peers]
    seconds: dict[tuple[str, str], list[float]] = {start: [] for start in starts}
    with TemporaryDirectory() as folder:
        (Path(folder) / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
        for number in range(-1, rounds):
            for case, peer in random.Random(number).sample(starts, len(starts)):
                taken = cpu_seconds(CASES[case][peer], Path(folder))
                if number >= 0:
                    seconds[case, peer].append(taken)
    return seconds


def rows_of(seconds: dict[tuple[str, str], list[float]]) -> list[dict[str, Any]]:
    best = {start: min(taken) for start, taken in seconds.items()}
    base = {"importing": (DEPENDENCIES, "fal-client"), "pytest, a run without fal": ("without the plugin", None)}
    rows: list[dict[str, Any]] = []
    for (case, peer), taken in seconds.items():
        floor, rival = base[case]
        rows.append(
            {
                "case": case,
                "peer": peer,
                "cpu_ms": best[case, peer] * 1e3,
                "median_ms": statistics.median(taken) * 1e3,
                "more_ms": (best[case, peer] - best[case, floor]) * 1e3,
                "of_fal_client": best[case, peer] / best[case, rival] if rival else None,
            }
        )
    return rows


def main(*, quick: bool = False) -> None:
    """Run, print and write the results."""
    rounds = 3 if quick else ROUNDS
    report("startup", rows_of(measure(rounds)), title="startup (processor time of a new process)", rounds=rounds)


if __name__ == "__main__":
    main()
