"""Draw the marble diagrams of the docstrings with swirly: `python -m tests.marbles.draw SWIRLY`, or `make marbles`."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.sax.saxutils import escape

from tests.marbles.notation import Diagram, Line
from tests.marbles.operators import DIAGRAMS

PICTURES = Path(__file__).parents[2] / "docs" / "assets" / "marbles"

_STYLES = """[styles]
arrow_stroke_color = currentColor
background_color = transparent
canvas_padding = 10
completion_stroke_color = currentColor
error_color = currentColor
event_stroke_color = currentColor
event_value_color = black
operator_fill_color = transparent
operator_stroke_color = currentColor
operator_title_color = currentColor
operator_title_font_family = {monospace}
operator_title_font_size = 16
stream_title_color = currentColor
stream_title_font_family = {monospace}
stream_title_font_size = 16
stream_title_width = {margin}
minimum_width = {width}

[styles.C]
fill_color = hsl(0, 0%, 80%)
value_font_size = 13
"""
LABELS = {"stop": "!"}
"""What marbles show for a symbol, where that isn't the symbol itself."""

_CANCELLED, _ASKS = "C", "Q"
"""The letters for `!` and `?`, since swirly's marbles are letters and digits."""

_MONOSPACE = "Menlo, Consolas, monospace"
_CHARACTER = 9.7
"""The width of a character of 16 pixels in a fixed-width font, in pixels."""

FRAME, RADIUS = 30, 20
"""How many pixels a second and half a marble take. (They are swirly's defaults.)"""

_COLOURS = "svg{color:#333}@media(prefers-color-scheme:dark){svg{color:#ddd}}"
"""A page that has a dark scheme of its own says so to its pictures by the CSS property `color-scheme`."""


def described(diagram: Diagram) -> str:
    """Return the diagram in swirly's language."""
    margin = max(len(line.name) + 1 for line in diagram.lines)
    styles = _STYLES.format(
        monospace=_MONOSPACE,
        margin=_CHARACTER * margin + RADIUS if margin > 1 else 0,
        width=_CHARACTER * (len(diagram.operator) + 2),
    )
    lines = [_stream(line) for line in diagram.lines]
    lines.insert(len(diagram.sources), f"> {diagram.operator}")
    return "\n\n".join([styles, *lines])


def _stream(line: Line) -> str:
    drawn = line.drawn.replace("!", _CANCELLED).replace("?", _ASKS)
    title = [f"title = {line.name}"] if line.name else []
    return "\n".join([drawn, f"{_CANCELLED} := stop", f"{_ASKS} := ?", *title])


def finished(svg: str, diagram: Diagram) -> str:
    """Return swirly's picture with colours for light and dark pages, the letters' values, and the text it shows."""
    width, height = map(float, re.findall(r'viewBox="0 0 (\S+) (\S+)"', svg)[0])
    rows = [
        f'<text x="10" y="{height + 8 + 20 * number:.0f}" fill="currentColor" font-family="{_MONOSPACE}" '
        f'font-size="14">{escape(row)}</text>'
        for number, row in enumerate(diagram.values)
    ]
    width = max([width, *(20 + 8.5 * len(row) for row in diagram.values)])
    height += 20 * len(rows)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}"><desc>\n{escape(diagram.text)}\n</desc><style>{_COLOURS}</style>'
    )
    return re.sub(r"^<svg[^>]*>", head, svg).replace("</svg>", "".join(rows) + "</svg>\n")


def main(swirly: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    for old in PICTURES.glob("*.svg"):
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "diagram.txt")
        target = Path(folder, "diagram.svg")
        for name, diagram in DIAGRAMS.items():
            source.write_text(described(diagram))
            subprocess.run([swirly, "--force", source, target], check=True)
            (PICTURES / f"{name}.svg").write_text(finished(target.read_text(), diagram))


if __name__ == "__main__":
    main(sys.argv[1])
