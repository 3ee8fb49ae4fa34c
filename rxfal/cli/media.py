"""Files inside events: data URIs of pictures and sounds, and their sizes for a terminal."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from rxfal.verbs.data_uris import DataUri

__all__ = ["Media", "data_of", "media_in", "picture_addresses", "shortened", "size_of"]

_PICTURE = re.compile(r"\.(png|jpe?g|webp|gif)$", re.IGNORECASE)
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
    for place, value, _ in _texts_in(event):
        if (uri := DataUri.find(value, with_type=True)) is not None:
            data = data_of(value)
            if data is not None:
                found.append(Media(place, uri.content_type, data))
    return found


def picture_addresses(result: Any) -> list[tuple[str, str]]:
    """The places and addresses of the pictures that a result names: by the content type beside it, or by its ending.

    Examples:
        >>> picture_addresses({"images": [{"url": "https://v3.fal.media/a.png"}], "video": {"url": "https://b/c.mp4"}})
        [('images[0].url', 'https://v3.fal.media/a.png')]
    """
    return [
        (place, value)
        for place, value, beside in _texts_in(result)
        if re.match("https?://", value)
        and (
            str(beside.get("content_type")).startswith("image/")
            if beside.get("content_type")
            else _PICTURE.search(value.partition("?")[0])
        )
        and place.rpartition(".")[2] == "url"
    ]


def _texts_in(value: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each text with its place and the object that it is a field of, in the order in which they appear."""
    nothing: dict[str, Any] = {}
    waiting = [("", value, nothing)]
    while waiting:  # not by recursion: JSON may be nested thousands of levels deep
        place, value, beside = waiting.pop()
        if isinstance(value, dict):
            fields = cast(dict[str, Any], value)
            items = [(f"{place}.{name}" if place else name, item, fields) for name, item in fields.items()]
            waiting += reversed(items)
        elif isinstance(value, list):
            members = enumerate(cast(list[Any], value))
            waiting += reversed([(f"{place}[{index}]", item, nothing) for index, item in members])
        elif isinstance(value, str):
            yield place, value, beside


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
