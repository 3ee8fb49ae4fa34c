"""Files inside events: data URIs of pictures and sounds, and their sizes for a terminal."""

import re
from typing import Any, NamedTuple, cast

from rxfal.verbs.data_uris import DataUri

__all__ = ["Media", "data_of", "media_in", "shortened", "size_of"]

_BASE64 = r"[A-Za-z0-9+/\\_-]"
# The look-behind makes a match begin at the first character of a run, which keeps the time linear.
_LONG_BASE64 = re.compile(f"(?<!{_BASE64}){_BASE64}{{1000,}}={{0,2}}")


class Media(NamedTuple):
    """A file that was found in an event.

    Attributes:
        place: Where it was, such as `images[0].url`.
        content_type: Its media type, such as `image/png`.
        data: Its bytes.
    """

    place: str
    content_type: str
    data: bytes

    @property
    def label(self) -> str:
        return f"{self.content_type}, {size_of(len(self.data))}"


def media_in(event: Any) -> list[Media]:
    r"""The files that a decoded event holds as data URIs, in the order in which they appear.

    Examples:
        >>> media_in({"images": [{"url": "data:image/png;base64,iVBORw==", "width": 1}]})
        [Media(place='images[0].url', content_type='image/png', data=b'\x89PNG')]
    """
    found: list[Media] = []
    waiting: list[tuple[str, Any]] = [("", event)]
    while waiting:  # not by recursion: JSON may be nested thousands of levels deep
        place, value = waiting.pop()
        if isinstance(value, dict):
            fields = cast(dict[str, Any], value).items()
            waiting += reversed([(f"{place}.{name}" if place else name, item) for name, item in fields])
        elif isinstance(value, list):
            items = enumerate(cast(list[Any], value))
            waiting += reversed([(f"{place}[{index}]", item) for index, item in items])
        elif isinstance(value, str) and (uri := DataUri.find(value, with_type=True)) is not None:
            data = data_of(value)
            if data is not None:
                found.append(Media(place, uri.content_type, data))
    return found


def data_of(uri: str) -> bytes | None:
    r"""The file in a base64 data URI; None for any other text.

    Examples:
        >>> data_of("data:image/png;base64,iVBORw==")
        b'\x89PNG'
    """
    found = DataUri.find(uri, with_type=True)
    try:
        return found.decode() if found is not None and found.is_base64 else None
    except ValueError:
        return None


def shortened(text: str) -> str:
    """The text, with its size in place of any long base64.

    Examples:
        >>> shortened('{"url": "data:image/png;base64,' + 2000 * "iVBO" + '"}')
        '{"url": "data:image/png;base64,[6.0 kB]"}'
    """
    return _LONG_BASE64.sub(lambda run: f"[{size_of(len(run[0]) * 3 // 4)}]", text)


def size_of(count: int) -> str:
    """A number of bytes, for people."""
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"
