"""PIL images as files: which format they get, and how they are encoded. Pillow is loaded only when one is there."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from .files import Image, is_image
from .locks import lock_of

__all__ = ["Picture"]

_BEST_JPEG = 95  # of 100; Pillow's own 75 can be seen
_LOSSLESS = "PNG"


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An image and the format that it is to be encoded in.

    Attributes:
        image: A PIL image.
        format: Pillow's name for the format, such as `JPEG`.
        content_type: The format's media type.
    """

    image: Image
    format: str
    content_type: str

    @classmethod
    def of(cls, image: Image) -> Picture:
        """An image in the format that it came in, if that is JPEG, which is smaller; else PNG, which loses nothing."""
        # (MPO is Pillow's name for a JPEG with more than one picture, as phones make them.)
        jpeg = image.format in ("JPEG", "MPO")
        return cls(image, "JPEG", "image/jpeg") if jpeg else cls(image, _LOSSLESS, "image/png")

    @classmethod
    def in_format(cls, image: Any, format: str) -> Picture:
        """An image in a format of one's choice.

        Args:
            image: A PIL image.
            format: The name of a format, such as `jpeg`, or the ending of its files, such as `jpg`.

        Raises:
            TypeError: It is not an image, or the format is not a text.
            ValueError: Pillow can't write that format.
            ImportError: Pillow is not installed.
        """
        if not is_image(image):
            raise TypeError(
                f"image is {type(image).__name__}, not a PIL image; a file that holds an image goes by upload()"
            )
        if not isinstance(format, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"format is a text such as 'jpeg', not {type(format).__name__}")
        try:
            from PIL import Image as pil
        except ImportError:
            raise ImportError("upload_image needs Pillow; install it with: pip install pillow") from None
        pil.init()
        word = format.removeprefix(".")
        name = word.upper() if word.upper() in pil.SAVE else pil.EXTENSION.get(f".{word.lower()}")
        if name is None or name not in pil.SAVE:
            raise ValueError(f"format is one that Pillow can write, such as 'jpeg', 'png' or 'webp', not {format!r}")
        return cls(image, name, pil.MIME.get(name, f"image/{word.lower()}"))

    def encode(self) -> bytes:
        """The image as a file. JPEG has no transparency: what is transparent becomes white."""
        buffer = io.BytesIO()
        with lock_of(self.image):  # loading a lazily opened image moves its file
            if self.format == "JPEG":
                _without_transparency(self.image).save(buffer, format="JPEG", quality=_BEST_JPEG)
            else:
                self.image.save(buffer, format=self.format)
        return buffer.getvalue()


def _without_transparency(image: Any) -> Any:
    if not getattr(image, "has_transparency_data", False):  # a look-alike of an image may have no such attribute
        return image.convert("RGB") if image.mode == "P" else image
    from PIL import Image as pil

    above = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    return pil.alpha_composite(pil.new("RGBA", above.size, "white"), above).convert("RGB")
