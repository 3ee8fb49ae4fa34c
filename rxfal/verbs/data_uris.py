"""Files as data URIs (RFC 2397): what `encode` makes, and what models answer with `sync_mode`."""

from __future__ import annotations

import base64
import binascii
import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

__all__ = ["DataUri"]

# Only what looks like one is taken for one: a text may begin with "data:" as well.
_HEAD = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+-]+=[^;,]*)*)(;base64)?,", re.ASCII)


class DataUri(NamedTuple):
    """A data URI, not decoded yet.

    Attributes:
        content_type: Its media type, without parameters.
        is_base64: Whether its data is base64; else it is escaped text.
        text: The URI.
        start: Where in it the data begins.
    """

    content_type: str
    is_base64: bool
    text: str
    start: int

    def __repr__(self) -> str:
        return f"DataUri({self.text[: self.start]}...)"

    @classmethod
    def find(cls, text: str, *, with_type: bool = False) -> DataUri | None:
        """The data URI that a text is; None if it is none.

        Args:
            text: Any text.
            with_type: Whether it must name its media type, as any that is found by chance must.

        Examples:
            >>> DataUri.find("data:image/png;base64,iVBORw==").content_type
            'image/png'
            >>> DataUri.find("data: 1, 2, 3")
        """
        head = _HEAD.match(text)
        if head is None or (with_type and head[1] is None):
            return None
        return cls((head[1] or "text/plain").lower(), head[3] is not None, text, head.end())

    def decode(self) -> bytes:
        r"""Its bytes.

        Raises:
            ValueError: It is not base64, though it says so.

        Examples:
            >>> DataUri.find("data:image/png;base64,iVBORw==").decode()
            b'\x89PNG'
            >>> DataUri.find("data:,a%20b").decode()
            b'a b'
        """
        data = self.text[self.start :]
        if not self.is_base64:
            return unquote_to_bytes(data)
        if "%" in data:
            data = unquote_to_bytes(data).decode("ascii", "replace")
        try:
            return base64.b64decode(data, validate=True)
        except binascii.Error:
            pass
        # As browsers take it: with white space, and without the padding.
        data = "".join(data.split()).rstrip("=")
        return base64.b64decode(data + "=" * (-len(data) % 4), validate=True)
