"""Takes the pictures of the documentation's gallery: `python -m tests.gallery.screenshots [NAME ...]`."""

import re
import sys
from pathlib import Path

from PIL import Image

from rxfal.testing import FalServer
from tests.gallery.screen import ROOT, Shown
from tests.gallery.toolkits import TOOLKITS, Toolkit

FOLDER = ROOT / "docs" / "assets" / "gallery"
_COLOURS = 128


def take(toolkit: Toolkit) -> Path:
    """The example while its models write, in a file."""
    target = FOLDER / f"{toolkit.name}.{toolkit.picture}"
    with FalServer(models=True) as server:
        screen = toolkit.screen(server)
        try:
            screen.press("Start")
            screen.read_until(_is_well_under_way)
            screen.save(target)
        finally:
            screen.end()
    if toolkit.picture == "png":
        with Image.open(target) as image:
            image.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)
    else:
        target.write_text(_lean(target.read_text()))
    return target


def _lean(svg: str) -> str:
    """Textual's picture without what it fetches from elsewhere, and at half the size."""
    for pattern, replacement in (
        (r"@font-face \{.*?\}", ""),
        (r"<clipPath id=\"[^\"]*-line-.*?</clipPath>", ""),
        (r" clip-path=\"[^\"]*-line-[^\"]*\"", ""),
        (r" shape-rendering=\"crispEdges\"", ""),
        ("</style>", "rect { shape-rendering: crispEdges }</style>"),
        (r"Fira Code, ", "DejaVu Sans Mono, Menlo, Consolas, "),
        (r"terminal-\d+-", ""),
        (r"\s*\n\s*", "\n"),
    ):
        svg = re.sub(pattern, replacement, svg, flags=re.DOTALL)
    return svg


def _is_well_under_way(shown: Shown) -> bool:
    return len(shown.text) > 450 and bool(shown.picture)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or [name for name, toolkit in TOOLKITS.items() if toolkit.picture]:
        path = take(TOOLKITS[name])
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1000:.0f} kB")
