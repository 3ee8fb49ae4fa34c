"""Runs `rxfal demo` in a terminal of its own and writes what it leaves there as docs/assets/demo.svg."""

import base64
import io
import os
import pty
import subprocess
import sys
import termios
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image
from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text

COLUMNS, LINES = 96, 34
CELL_WIDTH, CELL_HEIGHT = 8, 17
PADDING = 16
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace"
INK, PAPER = "#d0d0d0", "#1c1b22"
TARGET = Path(__file__).parent.parent / "docs" / "assets" / "demo.svg"


def run_demo() -> str:
    """Everything that the demo writes to a terminal."""
    ours, terminal = pty.openpty()
    termios.tcsetwinsize(ours, (LINES, COLUMNS))
    process = subprocess.Popen(
        [sys.executable, "-m", "rxfal", "demo", "--prompt", "a lighthouse in a storm"],
        env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "FAL_KEY": ""},
        preexec_fn=lambda: os.login_tty(terminal),
    )
    os.close(terminal)
    written = b""
    try:
        while piece := os.read(ours, 65536):
            written += piece
    except OSError:  # what Linux says when the other side has closed
        pass
    if process.wait():
        sys.exit(f"rxfal demo ended with {process.returncode}")
    return written.decode()


def svg_of(ansi: str) -> ElementTree.Element:
    """Text as text, and all half blocks as one small picture of two pixels a character."""
    console = Console(width=COLUMNS, color_system="truecolor", force_terminal=True, file=io.StringIO())
    rows = console.render_lines(Text.from_ansi(ansi.replace("\r", "").strip("\n")), pad=False)
    width, height = COLUMNS * CELL_WIDTH, len(rows) * CELL_HEIGHT
    box = f"{-PADDING} {-PADDING} {width + 2 * PADDING} {height + 2 * PADDING}"
    svg = _element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=box, font_family=FONT, font_size=13)
    svg.append(_element("rect", x=-PADDING, y=-PADDING, width="100%", height="100%", rx=8, fill=PAPER))
    blocks = Image.new("RGBA", (COLUMNS, 2 * len(rows)))
    for row, segments in enumerate(rows):
        column = 0
        for text, style, _ in segments:
            ink, paper = _colours(style or Style())
            for is_block, characters in groupby(text, "▀".__eq__):
                run = "".join(characters)
                cells = cell_len(run)
                x, y = column * CELL_WIDTH, row * CELL_HEIGHT
                if is_block:
                    blocks.paste(ink, (column, 2 * row, column + cells, 2 * row + 1))
                    blocks.paste(paper, (column, 2 * row + 1, column + cells, 2 * row + 2))
                elif paper != PAPER:
                    svg.append(_element("rect", x=x, y=y, width=cells * CELL_WIDTH, height=CELL_HEIGHT, fill=paper))
                if not is_block and (words := run.strip()):
                    x += (len(run) - len(run.lstrip())) * CELL_WIDTH
                    shown = _element("text", x=x, y=y + 13, textLength=cell_len(words) * CELL_WIDTH, fill=ink)
                    shown.text = words
                    svg.append(shown)
                column += cells
    png = io.BytesIO()
    blocks.save(png, "PNG", optimize=True)
    uri = f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"
    sharp = {"preserveAspectRatio": "none", "style": "image-rendering: pixelated"}
    svg.insert(1, _element("image", href=uri, width=width, height=height, **sharp))
    return svg


def _element(name: str, **attributes: object) -> ElementTree.Element:
    return ElementTree.Element(name, {key.replace("_", "-"): str(value) for key, value in attributes.items()})


def _colours(style: Style) -> tuple[str, str]:
    ink = style.color.get_truecolor(MONOKAI).hex if style.color else INK
    paper = style.bgcolor.get_truecolor(MONOKAI, foreground=False).hex if style.bgcolor else PAPER
    return (paper, ink) if style.reverse else (ink, paper)


_, _, left = run_demo().partition("\x1b[?1049l")  # the alternate screen is gone: this is what stays
TARGET.write_bytes(ElementTree.tostring(svg_of(left), "utf-8") + b"\n")
print(f"{TARGET.relative_to(Path.cwd())}: {TARGET.stat().st_size:,} bytes")
