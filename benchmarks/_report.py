"""What every benchmark ends with: a table for the reader, JSON for the results page, and the facts of the machine."""

import datetime
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("rxfal", "aiohttp", "reactivex", "pydantic", "pydantic_core", "fal-client", "httpx-sse")


def machine() -> dict[str, Any]:
    """Where and with what the figures were made."""
    versions: dict[str, str] = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.system(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "versions": versions,
    }


def report(name: str, rows: Sequence[Mapping[str, Any]], *, title: str | None = None, **meta: Any) -> Path:
    """Print the rows as a table, and write them with the machine's facts to `results/{name}.json`.

    Args:
        name: The benchmark's name.
        rows: One mapping a line; the keys of all of them, in order of appearance, are the columns.
        title: The table's heading, the name when left out.
        **meta: What else belongs to the result; a mapping `versions` is added to the machine's.

    Returns:
        The file written.
    """
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(title=title or name)
    for column in columns:
        numeric = any(isinstance(row.get(column), int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", no_wrap=True)
    for before, row in zip((None, *rows), rows, strict=False):
        if before is not None and before.get("case") != row.get("case"):
            table.add_section()
        table.add_row(*(_cell(row.get(column)) for column in columns))
    facts = machine()
    facts["versions"] |= meta.pop("versions", {})
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    console.print(table)
    console.print(f"{facts['python']}, {facts['processor']}, {facts['cpus']} cpus", style="dim", highlight=False)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"name": name, "machine": facts, **meta, "rows": [*rows]}, indent=1) + "\n", "utf-8")
    return path


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
