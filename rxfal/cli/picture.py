"""A picture in a terminal, two pixels to a character."""

import io
from collections.abc import Iterator, Sequence
from functools import lru_cache

from PIL import Image
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from .media import Media

__all__ = ["Gallery", "HalfBlocks", "image_of"]

_SHADES = " .:-=+*#%@"
"""For terminals without colours, from dark to light."""
_LARGEST = 512
"""Pixels per side. No terminal shows more, and a smaller picture is drawn faster."""
_NARROWEST = 16
"""The least number of columns for a picture beside others."""


@lru_cache(maxsize=8)
def image_of(data: bytes) -> Image.Image | None:
    """A picture's file as an image; None if it can't be read."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.thumbnail((_LARGEST, _LARGEST))
            return image.convert("RGB")
    except Exception:  # Pillow raises many kinds for a broken file
        return None


class HalfBlocks:
    """A picture, as large as there is room for: upper half blocks, with the lower pixel in the background.

    Args:
        image: The picture, in RGB.
    """

    def __init__(self, image: Image.Image) -> None:
        self._image = image

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or console.height
        scale = min(options.max_width / self._image.width, 2 * height / self._image.height)
        columns, lines = max(1, int(self._image.width * scale)), max(1, int(self._image.height * scale / 2))
        # Pillow's annotation names numpy, which need not be there.
        small = self._image.resize((columns, 2 * lines), Image.Resampling.BOX)  # pyright: ignore[reportUnknownMemberType]
        coloured = console.color_system is not None and not console.no_color
        margin = Segment(" " * ((options.max_width - columns) // 2))
        for _ in range((height - lines) // 2 if options.height else 0):
            yield Segment.line()
        for line in (_coloured if coloured else _grey)(small):
            yield margin
            yield from line
            yield Segment.line()


def _coloured(image: Image.Image) -> Iterator[list[Segment]]:
    pixels = image.tobytes()
    stride = 3 * image.width
    for top in range(0, len(pixels), 2 * stride):
        yield [
            Segment("▀", Style(color=_colour(pixels, at), bgcolor=_colour(pixels, at + stride)))
            for at in range(top, top + stride, 3)
        ]


def _colour(pixels: bytes, at: int) -> Color:
    return Color.from_rgb(*pixels[at : at + 3])


def _grey(image: Image.Image) -> Iterator[list[Segment]]:
    pixels = image.convert("L").tobytes()
    width = image.width
    for top in range(0, len(pixels), 2 * width):
        pairs = zip(pixels[top : top + width], pixels[top + width : top + 2 * width])
        yield [Segment("".join(_SHADES[(upper + lower) * len(_SHADES) // 512] for upper, lower in pairs))]


class Gallery:
    """The files of one event: its pictures side by side, and a line for each file that says what it is.

    Args:
        media: The files.
    """

    def __init__(self, media: Sequence[Media]) -> None:
        self._media = media

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        images = [image for file in self._media if (image := image_of(file.data)) is not None]
        shown = images[: max(1, options.max_width // _NARROWEST)]
        if shown:
            height = max(4, min(32, console.height - len(self._media) - 4))
            row = Table.grid(expand=True, padding=(0, 2, 0, 0))
            for _ in shown:
                row.add_column(ratio=1)
            row.add_row(*map(HalfBlocks, shown))
            yield from console.render(row, options.update(height=height))
        for file in self._media:
            yield Text(f"{file.place}: {file.label}", style="dim", no_wrap=True, overflow="ellipsis")
