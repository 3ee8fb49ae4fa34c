"""A picture in a terminal: the embedded server's PNGs, two pixels to a character.

Knows the one kind of PNG that the embedded server makes (a palette, eight bits, no filter), and needs no imaging
library for it.
"""

import base64
import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

__all__ = ["HalfBlocks", "Pixels", "decode", "png_of", "shrink"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SHADES = " .:-=+*#%@"
"""For terminals without colours, from dark to light."""

Rgb = tuple[int, int, int]


class Pixels(NamedTuple):
    """A picture as three planes, each a row of bytes for every line.

    Attributes:
        width: In pixels.
        planes: Red, green and blue.
    """

    width: int
    planes: tuple[list[bytes], list[bytes], list[bytes]]


def png_of(data_uri: str) -> bytes:
    r"""The file in a data URI.

    Examples:
        >>> png_of("data:image/png;base64,iVBORw==")
        b'\x89PNG'
    """
    return base64.b64decode(data_uri.partition(",")[2])


def decode(png: bytes) -> Pixels:
    """The pixels of a PNG of colour type 3 with eight bits a pixel and unfiltered lines (W3C PNG, 11.2 and 9.2).

    Raises:
        ValueError: It is another kind of PNG, or none.
    """
    chunks = dict(_chunks(png))
    width, height, depth, kind = struct.unpack(">IIBB", chunks.get(b"IHDR", bytes(10))[:10])
    if (depth, kind) != (8, 3):
        raise ValueError("not a PNG with a palette and eight bits a pixel")
    lines = zlib.decompress(chunks[b"IDAT"])
    rows = [lines[start : start + width + 1] for start in range(0, height * (width + 1), width + 1)]
    if any(row[0] for row in rows):
        raise ValueError("a PNG with filtered lines")
    palette = chunks[b"PLTE"].ljust(3 * 256, b"\0")
    red, green, blue = ([row[1:].translate(palette[channel::3]) for row in rows] for channel in range(3))
    return Pixels(width, (red, green, blue))


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not png.startswith(_SIGNATURE):
        raise ValueError("not a PNG")
    position = len(_SIGNATURE)
    while position < len(png):
        (length,) = struct.unpack_from(">I", png, position)
        yield png[position + 4 : position + 8], png[position + 8 : position + 8 + length]
        position += length + 12


def shrink(pixels: Pixels, size: int) -> list[list[Rgb]]:
    """A square of `size` by `size` pixels, each the mean of those that it covers."""
    bounds = [index * pixels.width // size for index in range(size + 1)]
    spans = [(low, max(low + 1, high)) for low, high in pairwise(bounds)]

    def mean(plane: list[bytes], top: int, bottom: int, left: int, right: int) -> int:
        return sum(sum(row[left:right]) for row in plane[top:bottom]) // ((bottom - top) * (right - left))

    red, green, blue = pixels.planes
    return [
        [
            (
                mean(red, top, bottom, left, right),
                mean(green, top, bottom, left, right),
                mean(blue, top, bottom, left, right),
            )
            for left, right in spans
        ]
        for top, bottom in spans
    ]


@lru_cache(maxsize=8)
def _colour_lines(data_uri: str, size: int) -> list[list[Segment]]:
    rows = shrink(decode(png_of(data_uri)), size)
    return [
        [
            Segment("▀", Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower)))
            for upper, lower in zip(rows[line], rows[line + 1])
        ]
        for line in range(0, size, 2)
    ]


@lru_cache(maxsize=8)
def _grey_lines(data_uri: str, size: int) -> list[list[Segment]]:
    rows = shrink(decode(png_of(data_uri)), size)

    def shade(upper: Rgb, lower: Rgb) -> str:
        return _SHADES[(sum(upper) + sum(lower)) * len(_SHADES) // (6 * 256)]

    return [[Segment("".join(map(shade, rows[line], rows[line + 1])))] for line in range(0, size, 2)]


class HalfBlocks:
    """A square picture, as large as the space that there is: upper half blocks, the lower pixel in the background.

    Args:
        data_uri: The PNG.
    """

    def __init__(self, data_uri: str) -> None:
        self._data_uri = data_uri

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or options.max_width // 2
        size = min(options.max_width, 2 * height) // 2 * 2
        if size < 2:
            return
        coloured = console.color_system is not None and not console.no_color
        lines = (_colour_lines if coloured else _grey_lines)(self._data_uri, size)
        margin = Segment(" " * ((options.max_width - size) // 2))
        for _ in range((height - size // 2) // 2):
            yield Segment.line()
        for line in lines:
            yield margin
            yield from line
            yield Segment.line()
