"""Runs `rxfal demo` in a terminal of its own and writes what it shows there as docs/assets/demo.svg, which moves."""

import base64
import io
import os
import pty
import re
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
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
STEP = 0.2
"""Seconds from one screen to the next."""
REST = 25
"""How many steps the last screen stays before all begins anew."""
TARGET = Path(__file__).parent.parent / "docs" / "assets" / "demo.svg"


def run_demo() -> list[str]:
    """What the terminal shows at each step, and in the end."""
    ours, terminal = pty.openpty()
    termios.tcsetwinsize(ours, (LINES, COLUMNS))
    process = subprocess.Popen(
        [sys.executable, "-m", "rxfal", "demo", "--prompt", "a lighthouse in a storm"],
        env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "FAL_KEY": ""},
        preexec_fn=lambda: os.login_tty(terminal),
    )
    os.close(terminal)
    written, screens, start = b"", [], 0.0
    try:
        while piece := os.read(ours, 65536):
            # The demo draws its whole screen anew each time, from the top. The last one may not be whole yet.
            _, *drawn = written.split(b"\x1b[H")
            if not start and len(drawn) > 1:
                start = time.monotonic()
            while start and time.monotonic() >= start + STEP * len(screens):
                screens.append(drawn[-2])
            written += piece
    except OSError:  # what Linux says when the other side has closed
        pass
    if process.wait():
        sys.exit(f"rxfal demo ended with {process.returncode}")
    _, _, left = written.partition(b"\x1b[?1049l")  # the alternate screen is gone: this is what stays
    return [re.sub(r"\x1b\[\?\d+[hl]", "", screen.decode()) for screen in (*screens, left)]


def elements(screen: str) -> Iterator[str]:
    """A screen as pieces of SVG: papers, then all half blocks as one small picture of two pixels each, then text."""
    console = Console(width=COLUMNS, color_system="truecolor", force_terminal=True, file=io.StringIO())
    rows = console.render_lines(Text.from_ansi(screen.replace("\r", "").strip("\n")), pad=False)
    papers, texts = [], []
    blocks = Image.new("RGBA", (COLUMNS, 2 * LINES))
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
                    papers.append(_element("rect", x=x, y=y, width=cells * CELL_WIDTH, height=CELL_HEIGHT, fill=paper))
                if not is_block and (words := run.strip()):
                    x += (len(run) - len(run.lstrip())) * CELL_WIDTH
                    place = {"x": x, "y": y + 13, "textLength": cell_len(words) * CELL_WIDTH}
                    texts.append(_element("text", words, **place, fill=ink))
                column += cells
    yield from papers
    if box := blocks.getbbox():
        png = io.BytesIO()
        blocks.crop(box).save(png, "PNG", optimize=True)
        left, top, right, bottom = box
        width, height = (right - left) * CELL_WIDTH, (bottom - top) * CELL_HEIGHT // 2
        uri = f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"
        yield _element("image", x=left * CELL_WIDTH, y=top * CELL_HEIGHT // 2, width=width, height=height, href=uri)
    yield from texts


def moving(screens: Sequence[str]) -> str:
    """The screens as one SVG that shows them one after the other.

    Each element is there once, with the steps during which it is shown. Where nothing may move, the last screen stands.
    """
    shown: dict[str, list[int]] = {}
    for step, screen in enumerate(screens):
        for element in elements(screen):
            shown.setdefault(element, []).append(step)
    last = len(screens) - 1
    steps = last + REST
    rules, body = set(), []
    for element, at in shown.items():
        for _, run in groupby(enumerate(at), lambda pair: pair[1] - pair[0]):
            (_, first), *_ = spell = list(run)
            count = len(spell) + (REST - 1) * (spell[-1][1] == last)
            if count == steps:
                body.append(element)
                continue
            rules.add(count)
            name, rest = re.match(r"<(\w+)(.*)", element, re.DOTALL).groups()
            kind = f"s{count} z" if spell[-1][1] == last else f"s{count}"
            body.append(f'<{name} class="{kind}" style="animation-delay:{(first - steps) * STEP:.1f}s"{rest}')
    seconds = f"{steps * STEP:.1f}s"
    style = ["[class] { visibility: hidden } .z { visibility: visible } image { image-rendering: pixelated }"]
    style += ["@media (prefers-reduced-motion: no-preference) {"]
    for count in sorted(rules):
        style.append(f".s{count} {{ animation: k{count} {seconds} step-end infinite }}")
        end = f"{100 * count / steps:.2f}%"
        style.append(f"@keyframes k{count} {{ 0% {{ visibility: visible }} {end} {{ visibility: hidden }} }}")
    style.append("}")
    width, height = COLUMNS * CELL_WIDTH + 2 * PADDING, LINES * CELL_HEIGHT + 2 * PADDING
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-PADDING} {-PADDING} {width} {height}"'
    head += f' font-family="{FONT}" font-size="13">'
    paper = _element("rect", x=-PADDING, y=-PADDING, width="100%", height="100%", rx=8, fill=PAPER)
    return "\n".join([head, "<style>", *style, "</style>", paper, *body, "</svg>", ""])


def _element(name: str, text: str | None = None, **attributes: object) -> str:
    element = ElementTree.Element(name, {key: str(value) for key, value in attributes.items()})
    element.text = text
    return ElementTree.tostring(element, "unicode")


def _colours(style: Style) -> tuple[str, str]:
    ink = style.color.get_truecolor(MONOKAI).hex if style.color else INK
    paper = style.bgcolor.get_truecolor(MONOKAI, foreground=False).hex if style.bgcolor else PAPER
    return (paper, ink) if style.reverse else (ink, paper)


TARGET.write_text(moving(run_demo()))
print(f"{TARGET.relative_to(Path.cwd())}: {TARGET.stat().st_size:,} bytes")
