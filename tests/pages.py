"""The pages of the documentation, README.md among them, and the Python samples on them."""

import ast
import inspect
import re
from pathlib import Path
from types import CodeType
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]

_FENCE = re.compile(r"^```(?:\{ *\.)?python\b([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of Python: how many lines of the page stand before it, and whether it is meant to run."""

    line: int
    runs: bool
    source: str


def blocks(page: Path) -> list[Block]:
    """The Python blocks of a page."""
    text = page.read_text()
    return [
        Block(text[: found.start()].count("\n") + 1, "no-run" not in found[1], found[2])
        for found in _FENCE.finditer(text)
    ]


def compiled(page: Path, block: Block) -> CodeType:
    """A block's code, a coroutine's where it awaits outside of any function; its lines are those of the page."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return compile("\n" * block.line + block.source, str(page), "exec", flags=flags, dont_inherit=True)


def program(page: Path) -> str:
    """All blocks of a page as one program, each at its line; in a coroutine function if one of them awaits."""
    lines = [""] * page.read_text().count("\n")
    for block in blocks(page):
        source = block.source.splitlines()
        lines[block.line : block.line + len(source)] = source
    if any(compiled(page, block).co_flags & inspect.CO_COROUTINE for block in blocks(page)):
        lines = [f"    {line}" if line else "" for line in lines]
        lines[0] = "async def page() -> None:"
    return "\n".join([*lines, ""])
