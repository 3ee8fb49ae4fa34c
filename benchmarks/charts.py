"""The charts of the results page, as SVG that is the same for the same figures and readable on light and dark pages."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

_INK = "#808080"  # legible on white and on black
_OURS = ("#7e57c2", "#9575cd", "#b39ddb", "#5e35b1")
_PEERS = ("#26a69a", "#ffa726", "#78909c", "#8d6e63", "#bdbdbd")

mpl.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "rxfal",
        "font.family": "sans-serif",
        "font.size": 9,
        "text.color": _INK,
        "axes.edgecolor": _INK,
        "axes.labelcolor": _INK,
        "axes.titlecolor": _INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "legend.frameon": False,
        "legend.labelcolor": _INK,
    }
)


def bars(path: Path, cases: Mapping[str, Mapping[str, float]], label: str) -> None:
    """Horizontal bars, one small chart per case, two in a row; all cases have the same peers."""
    rows = -(-len(cases) // 2)
    peers = [*next(iter(cases.values()))][::-1]
    size = (9, 0.9 * rows + 0.2 * rows * len(peers))
    figure, grid = plt.subplots(rows, 2, figsize=size, squeeze=False, sharey=True, layout="constrained")
    colors = _colors(dict.fromkeys(peers[::-1]))
    for axes, (case, figures) in zip(grid.flat, cases.items(), strict=False):
        drawn = axes.barh(peers, [figures[peer] for peer in peers], color=[colors[peer] for peer in peers], height=0.7)
        axes.bar_label(drawn, [f" {figures[peer]:.2g}" for peer in peers], color=_INK)
        axes.margins(x=0.12)
        axes.axvline(1, color=_INK, linewidth=0.5)
        axes.set_title(case, loc="left")
    for axes in grid[-1]:
        axes.set_xlabel(label)
    for axes in grid.flat[len(cases) :]:
        axes.remove()
    _save(figure, path)


def lines(path: Path, x: Sequence[int], charts: Mapping[str, Mapping[str, Sequence[float]]], label: str) -> None:
    """Line charts, two in a row, one line per peer; logarithmic where the figures lie far apart."""
    rows = -(-len(charts) // 2)
    figure, grid = plt.subplots(rows, 2, figsize=(9, 3.2 * rows), squeeze=False, layout="constrained")
    for axes, (title, peers) in zip(grid.flat, charts.items(), strict=True):
        colors = _colors(peers)
        for peer, figures in peers.items():
            axes.plot(x, figures, marker="o", markersize=4, color=colors[peer], label=peer)
        every = [value for figures in peers.values() for value in figures]
        if max(every) > 20 * min(every):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("")
        else:
            axes.set_ylim(0)
        axes.set_xticks(x, [f"{number:,}" for number in x], rotation=45)
        axes.set_title(title, loc="left")
        axes.set_xlabel(label)
    grid[0, 0].legend()
    _save(figure, path)


def _colors(peers: Mapping[str, object]) -> dict[str, str]:
    ours, others = iter(_OURS), iter(_PEERS)
    return {peer: next(ours if peer.startswith("rxfal") else others) for peer in peers}


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, transparent=True, metadata={"Date": None})
    plt.close(figure)
    # matplotlib leaves spaces at the ends of lines
    path.write_text("\n".join(line.rstrip() for line in path.read_text("utf-8").splitlines()) + "\n", "utf-8")
