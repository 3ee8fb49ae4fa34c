"""A Julia set for every prompt, from coarse to fine, and the PNG encoder for it; pure Python, no I/O."""

import base64
import math
import random
import struct
import zlib
from collections.abc import Iterator

__all__ = ["PASSES", "JuliaSet", "png"]

PASSES = 8
"""How often the picture sharpens: squares of 128 pixels in the first pass, single pixels in the last."""

_ITERATIONS = 80
_EXTENT = 1.4
"""Half the width of the plane that is shown."""
_CONSTANTS = (
    complex(-0.8, 0.156),
    complex(-0.7269, 0.1889),
    complex(0.285, 0.0105),
    complex(-0.4, 0.59),
    complex(-0.835, -0.2321),
    complex(-0.70176, -0.3842),
    complex(-0.5125, 0.5213),
    complex(-0.1, 0.6525),
)


class JuliaSet:
    """The picture that belongs to a prompt.

    Args:
        prompt: Decides the shape and the colours.
        size: Width and height in pixels.

    Examples:
        >>> picture = JuliaSet("a fern in the rain", size=16)
        >>> for step in range(PASSES):
        ...     rows = list(picture.refine(step))
        >>> picture.data_uri(PASSES - 1)[:22]
        'data:image/png;base64,'
    """

    def __init__(self, prompt: str, size: int) -> None:
        rng = random.Random(f"julia {prompt}")
        self.size = size
        self._constant = rng.choice(_CONSTANTS) + complex(rng.uniform(-0.004, 0.004), rng.uniform(-0.004, 0.004))
        self._palette = _palette(rng)
        self._colours: list[list[int | None]] = [[None] * size for _ in range(size)]

    def refine(self, step: int) -> Iterator[int]:
        """Computes the pixels of a pass that no earlier pass had, one row at a time.

        Args:
            step: The pass, counted from 0.

        Yields:
            The row's number, after each row: a chance to let others run.
        """
        block, size = _block(step), self.size
        half, scale = (size - 1) / 2, 2 * _EXTENT / size
        for y in range(0, size, block):
            row, mirrored = self._colours[y], self._colours[size - 1 - y]
            for x in range(0, size, block):
                if row[x] is None:
                    # A Julia set looks the same when it is turned by half a turn.
                    row[x] = mirrored[size - 1 - x] = _colour(
                        complex((x - half) * scale, (y - half) * scale), self._constant
                    )
            yield y

    def data_uri(self, step: int) -> str:
        """The picture after a pass, as a data URI."""
        block, size = _block(step), self.size
        rows: list[bytes] = []
        for y in range(0, size, block):
            line = b"".join(bytes((self._colours[y][x] or 0,)) * block for x in range(0, size, block))[:size]
            rows += [line] * min(block, size - y)
        return "data:image/png;base64," + base64.b64encode(png(rows, self._palette)).decode()


def png(rows: list[bytes], palette: bytes) -> bytes:
    """A PNG with a palette of up to 256 colours (W3C PNG: colour type 3, bit depth 8).

    Args:
        rows: Palette indices, a byte for each pixel.
        palette: Three bytes for each colour.

    Returns:
        The file.
    """
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 3, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 6)
    chunks = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _block(step: int) -> int:
    return 1 << (PASSES - 1 - step)


def _colour(z: complex, constant: complex) -> int:
    """How fast a point escapes, smoothed, as a palette index; 0 for points that stay."""
    for n in range(_ITERATIONS):
        size = abs(z)
        if size > 8.0:
            smooth = n + 1 - math.log2(math.log2(size))
            return 1 + int(254 * min(1.0, math.sqrt(max(0.0, smooth) / _ITERATIONS)))
        z = z * z + constant
    return 0


def _palette(rng: random.Random) -> bytes:
    """A smooth ring of colours, dark at the start and bright towards the end; its hue is the prompt's."""
    hue = rng.random()
    colours = bytearray((8, 8, 20))
    for index in range(1, 256):
        t = index / 255
        for channel in range(3):
            wave = 0.5 + 0.5 * math.cos(2 * math.pi * (1.4 * t + hue + channel * 0.17))
            colours.append(int(255 * min(1.0, (0.35 + 0.65 * t) * (0.2 + 0.8 * wave) + 0.3 * t**2)))
    return bytes(colours)
