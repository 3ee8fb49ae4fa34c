"""The chart of the results page: an SVG that reads on a phone, on light and on dark pages."""

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

_WIDTH, _ROW, _BAR = 360, 24, 15
_NAMES = 152
"""Where the bars begin: the longest name fits before them."""
_FIGURES = 44
"""Room for the figure behind the longest bar."""
_INK, _OURS, _PEERS = "#7a7a7a", "#7e57c2", "#90a4ae"  # each of them visible on white and on black


def bars(path: Path, figures: Mapping[str, float], labels: Mapping[str, str]) -> None:
    """Horizontal bars, one for each peer.

    Args:
        path: The SVG to write.
        figures: What to show, by peer.
        labels: The same as text, by peer.
    """
    height = len(figures) * _ROW
    svg = ElementTree.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {_WIDTH} {height}")
    svg.set("font-family", "sans-serif")
    svg.set("font-size", "12")
    svg.set("fill", _INK)
    longest = (_WIDTH - _NAMES - _FIGURES) / max(figures.values())
    for row, (peer, value) in enumerate(figures.items()):
        length = max(1.0, value * longest)
        top, base = row * _ROW + (_ROW - _BAR) / 2, row * _ROW + _ROW / 2 + 4
        _add(svg, "text", peer, x=_NAMES - 8, y=base, text_anchor="end")
        _add(svg, "rect", x=_NAMES, y=top, width=f"{length:.1f}", height=_BAR, fill=_colour(peer))
        _add(svg, "text", labels[peer], x=f"{_NAMES + length + 5:.1f}", y=base)
    path.parent.mkdir(exist_ok=True)
    ElementTree.indent(svg)
    path.write_text(ElementTree.tostring(svg, "unicode") + "\n", "utf-8")


def _add(svg: ElementTree.Element, name: str, text: str | None = None, **attributes: object) -> None:
    given = {key.replace("_", "-"): str(value) for key, value in attributes.items()}
    ElementTree.SubElement(svg, name, given).text = text


def _colour(peer: str) -> str:
    return _OURS if peer.startswith("rxfal") else _PEERS
