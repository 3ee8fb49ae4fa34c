"""What the demo looks like in a terminal: panels while it runs, a table at the end."""

from collections.abc import Mapping

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .media import data_of
from .picture import HalfBlocks, image_of
from .progress import Progress

__all__ = ["Board", "line", "summary"]

_COLOURS = ("cyan", "magenta", "green")
_NARROW = 60
"""With fewer columns than this, the panels go on top of each other."""


class Tail:
    """The end of a text: as many of its wrapped lines as there is room for.

    Args:
        text: The whole text.
        cursor: What to put behind it.
    """

    def __init__(self, text: str, cursor: str = "") -> None:
        self._text = Text.assemble(text, (cursor, "blink"))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = self._text.wrap(console, options.max_width)
        yield Text("\n").join(lines[-(options.height or len(lines)) :])


class Board:
    """A panel for each model: the texts one below the other, the picture beside them.

    Args:
        models: The models by name.
        prompt: What they were asked.
    """

    def __init__(self, models: Mapping[str, Progress], prompt: str) -> None:
        self._models = models
        self._prompt = prompt

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or options.size.height
        panels = [
            Layout(_ModelPanel(name, progress, colour))
            for (name, progress), colour in zip(self._models.items(), _COLOURS)
        ]
        body = Layout()
        if options.max_width < _NARROW:
            body.split_column(*panels)
        else:
            *texts, picture = panels
            left = Layout()
            left.split_column(*texts)
            # The picture is a square, and a character is about twice as high as wide.
            picture.size = min(2 * (height - 3) + 4, int(options.max_width * 0.55))
            body.split_row(left, picture)
        whole = Layout()
        whole.split_column(Layout(self._headline(), size=1), body)
        yield from console.render(whole, options.update(height=height))

    def _headline(self) -> RenderableType:
        elapsed = max(progress.elapsed for progress in self._models.values())
        line = Table.grid(expand=True)
        line.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        line.add_column(justify="right", no_wrap=True)
        line.add_row(
            Text.assemble((" rxfal ", "bold reverse"), f" {self._prompt}"),
            Text(f"{len(self._models)} streams, merged  {elapsed:4.1f} s ", style="dim"),
        )
        return line


class _ModelPanel:
    """One model: its name, what it has made so far, and as many of its figures as fit."""

    def __init__(self, name: str, progress: Progress, colour: str) -> None:
        self._name = name
        self._progress = progress
        self._colour = colour

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Panel(
            self._content(),
            title=f"[bold]{self._name}",
            title_align="left",
            subtitle=self._figures(options.max_width - 6),
            subtitle_align="right",
            border_style=self._colour,
            padding=(0, 1),
            height=options.height,
        )

    def _content(self) -> RenderableType:
        progress = self._progress
        if progress.error is not None:
            return Text(str(progress.error), style="red")
        if progress.is_picture:
            image = image_of(data_of(progress.content) or b"")
            return Text("a picture that can't be shown", style="red") if image is None else HalfBlocks(image)
        if progress.events:
            return Tail(progress.content, "" if progress.ended else "▌")
        return Text("waiting for the first event", style="dim")

    def _figures(self, room: int) -> str:
        progress = self._progress
        figures = [progress.rate] if progress.rate else []
        if progress.ended:
            figures.append("done")
        if progress.first is not None:
            first = f"first {progress.first:.2f} s"
            if len(" · ".join([*figures, first])) <= room:
                figures.append(first)
        return " · ".join(figures)


def line(name: str, progress: Progress, width: int) -> str:
    """One line about a model's progress, as wide as the terminal, with the end of its text."""
    if progress.error is not None:
        return f"{name:<18}{progress.elapsed:5.1f} s  failed: {progress.error}"
    figures = f"{name:<18}{progress.elapsed:5.1f} s  {progress.events:>3} events  "
    if progress.ended:
        return f"{figures}done, {progress.rate}"
    if progress.is_picture:
        return f"{figures}a picture of {progress.rate}"
    text = " ".join(progress.content.split())
    room = width - len(figures) - 2
    return figures + (text if len(text) <= room else f"… {text[-room:].partition(' ')[2]}")


def summary(models: Mapping[str, Progress]) -> Table:
    """The figures of all models at the end."""
    table = Table(box=box.ROUNDED, border_style="dim", header_style="bold")
    table.add_column("model")
    for column in ("events", "rate or size", "first event", "total"):
        table.add_column(column, justify="right")
    for (name, progress), colour in zip(models.items(), _COLOURS):
        first = "" if progress.first is None else f"{progress.first:.2f} s"
        total = f"{progress.elapsed:.2f} s" if progress.error is None else "failed"
        table.add_row(Text(name, style=colour), str(progress.events), progress.rate, first, total)
    return table
