"""Compressed bodies: bytes in, bytes out, in steps of bounded size.

Sans-IO: it awaits nothing and knows only the `Content-Encoding` of a response. rxfal decompresses by itself because
aiohttp takes a gzip that was cut short for whole, and a body in an unknown encoding for plain.
"""

import zlib
from typing import Any

from rxfal.errors import DecodeError, TransportError

__all__ = ["ACCEPTED", "Decompressor"]

ACCEPTED = "gzip, deflate"
"""What rxfal can decompress, as an `Accept-Encoding`."""

_STEP = 2**18  # bytes given out at a time: a few compressed bytes may stand for very many
_GZIP_OR_ZLIB, _BARE_DEFLATE = zlib.MAX_WBITS | 32, -zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"


class Decompressor:
    r"""Decompresses one body, fed in chunks that may be cut anywhere.

    A body may hold several gzips in a row; anything else after them is ignored.

    Args:
        encoding: The response's `Content-Encoding`.
        endpoint: Where the body comes from, for messages.

    Examples:
        >>> import gzip
        >>> decompressor = Decompressor("gzip")
        >>> decompressor.feed(gzip.compress(b"hello"))
        >>> decompressor.take(), decompressor.take()
        (b'hello', b'')
        >>> decompressor.close()
    """

    __slots__ = ("_encoding", "_ended", "_endpoint", "_inflate", "_left")

    def __init__(self, encoding: str, *, endpoint: str | None = None) -> None:
        self._encoding = encoding.strip().lower()
        self._endpoint = endpoint
        self._inflate: Any = None  # zlib's, which has no public type
        self._left = b""
        self._ended = False

    def feed(self, data: bytes) -> None:
        """Take in compressed bytes; `take` returns what they stand for."""
        if not self._ended:
            self._left += data

    def take(self) -> bytes:
        """The next decompressed bytes; empty if more must be fed first.

        Raises:
            DecodeError: The bytes are not what the encoding says, or the encoding is unknown.
        """
        data = b""
        while not data and (self._left or self._inflate is not None):
            if self._inflate is None:
                self._inflate = self._begin()
            if self._inflate.eof:
                if len(self._left) < len(_GZIP_MAGIC):
                    break
                if not self._left.startswith(_GZIP_MAGIC):
                    self._left, self._ended = b"", True
                    break
                self._inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
            try:
                data = self._inflate.decompress(self._left, _STEP)
            except zlib.error as error:
                raise self._error(f"the body is not the {self._encoding} that its Content-Encoding says") from error
            self._left = self._inflate.unconsumed_tail or self._inflate.unused_data
            if not self._left:
                break
        return data

    def close(self) -> None:
        """End the body.

        Raises:
            TransportError: It ended before its compression did.
        """
        if self._inflate is not None and not self._inflate.eof:
            raise TransportError(
                f"the response was cut short: its {self._encoding} ended before the end; send the request again",
                kind="cut short",
                endpoint=self._endpoint,
            )

    def _begin(self) -> Any:
        match self._encoding:
            case "gzip" | "x-gzip":
                return zlib.decompressobj(_GZIP_OR_ZLIB)
            case "deflate":
                # The standard means the zlib format, whose first byte has an 8 in its lower half; some servers send the
                # bare deflate data instead.
                return zlib.decompressobj(_GZIP_OR_ZLIB if self._left[0] & 0x0F == 8 else _BARE_DEFLATE)
            case _:
                raise self._error(
                    f"the body has the Content-Encoding {self._encoding[:80]!r}, which rxfal can't decode and did not "
                    'ask for; ask for none with the header {"Accept-Encoding": "identity"}'
                )

    def _error(self, message: str) -> DecodeError:
        return DecodeError(message, data=self._left[:200], endpoint=self._endpoint)
