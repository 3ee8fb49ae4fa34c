"""Takes the pictures of the documentation's gallery: `python -m tests.gallery.screenshots [NAME ...]`."""

import re
import sys
from pathlib import Path

from PIL import Image

from rxfal.testing import FalServer
from rxfal.testing.words import prose, verse
from tests.gallery.screen import ROOT, Shown
from tests.gallery.toolkits import TOOLKITS, Toolkit

FOLDER = ROOT / "docs" / "assets" / "gallery"
_COLOURS = 128
_PROMPT = "a lighthouse in a storm"
_BEGINNINGS = [" ".join(words(_PROMPT).split())[:150] for words in (prose, verse)]
"""What both models have written by the time of the picture."""


def take(toolkit: Toolkit) -> Path:
    """The example while its models write, in a file."""
    target = FOLDER / f"{toolkit.name}.{toolkit.picture}"
    with FalServer(models=True) as server:
        screen = toolkit.screen_to_show(server)
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
    return bool(shown.picture) and all(beginning in shown.text for beginning in _BEGINNINGS)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or TOOLKITS:
        path = take(TOOLKITS[name])
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1000:.0f} kB")
