"""The options of a request that fal reads from its headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, cast

from .checks import checked_text

__all__ = ["Kept", "fal_headers", "fal_tags"]


class _Lifecycle(Protocol):
    """A `rxfal.Lifecycle`, whose module is loaded only for one."""

    def headers(self) -> dict[str, str]:
        """The request headers for it."""
        ...


class _Settings(Protocol):
    """fal-client's `StorageSettings`."""

    @property
    def expires_in(self) -> Any:
        """A word, or seconds."""
        ...


Kept: TypeAlias = str | int | Mapping[str, Any] | _Lifecycle | _Settings
"""How long files are kept: as for `upload`."""

_LEAST_START_TIMEOUT = 0.1  # seconds; fal's minimum
_TAG = re.compile(r"[a-z0-9._-]{1,64}")
_TAG_VALUE = re.compile(r"[ -+\--~]{0,256}")  # printable ASCII, but no comma
_MOST_TAGS, _MOST_TAG_BYTES = 10, 1024


def fal_headers(
    *,
    start_timeout: float | None = None,
    hint: str | None = None,
    lifecycle: Kept | None = None,
    tags: Mapping[str, str] | None = None,
    priority: str | None = None,
) -> dict[str, str]:
    """The headers for these options; those that are None have none.

    Raises:
        TypeError, ValueError: One of them makes no sense, or fal would drop it.

    Examples:
        >>> fal_headers(start_timeout=30, hint="runner-1", tags={"team": "red"})
        {'X-Fal-Request-Timeout': '30', 'X-Fal-Runner-Hint': 'runner-1', 'X-Fal-Tags': 'team=red'}
    """
    headers: dict[str, str] = {}
    if priority is not None:
        headers["X-Fal-Queue-Priority"] = priority
    if start_timeout is not None:
        headers["X-Fal-Request-Timeout"] = _start_timeout(start_timeout)
    if hint is not None:
        headers["X-Fal-Runner-Hint"] = checked_text("hint", hint)
    if lifecycle is not None:
        from .lifecycle import Lifecycle  # loaded only for this

        # Of an upload, fal's clients send it under two names; of a request, only under this one.
        name = "X-Fal-Object-Lifecycle-Preference"
        headers |= {key: text for key, text in Lifecycle.of(cast(Any, lifecycle)).headers().items() if key == name}
    if tags is not None and (text := fal_tags(tags)):
        headers["X-Fal-Tags"] = text
    return headers


def _start_timeout(seconds: Any) -> str:
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise TypeError(f"start_timeout is in seconds, a number; got {seconds!r}")
    if not _LEAST_START_TIMEOUT < seconds < float("inf"):
        raise ValueError(f"start_timeout is in seconds and above {_LEAST_START_TIMEOUT}, got {seconds!r}")
    return str(seconds)


def fal_tags(tags: Any) -> str:
    """Tags as fal's header has them. fal drops what breaks its rules without a word, so they are checked here.

    Raises:
        TypeError: They are not a mapping.
        ValueError: They break a rule.

    Examples:
        >>> fal_tags({"Team": "red", "job": "17"})
        'team=red,job=17'
        >>> fal_tags({"job": "17, 18"})
        Traceback (most recent call last):
        ...
        ValueError: the value of the tag 'job' is printable ASCII without a comma, ...
    """
    if not isinstance(tags, Mapping):
        raise TypeError(f"tags are a mapping of names to texts, not {type(tags).__name__}")
    checked: dict[str, str] = {}
    for name, value in cast("Mapping[Any, Any]", tags).items():
        key = name.lower() if isinstance(name, str) and name.isascii() else ""
        if not _TAG.fullmatch(key):
            raise ValueError(
                f"the name of a tag is 1 to 64 letters, digits, dots, hyphens and underscores, not {name!r}"
            )
        if key.startswith("fal."):
            raise ValueError(f"the tag {name!r} begins with 'fal.', which fal keeps for itself")
        if not isinstance(value, str) or not _TAG_VALUE.fullmatch(value):
            raise ValueError(
                f"the value of the tag {name!r} is printable ASCII without a comma, of 256 characters at most, "
                f"not {value!r:.80}"
            )
        if key in checked:
            raise ValueError(f"the tag {key!r} is given twice; names are the same in capitals and in small letters")
        checked[key] = value
    if len(checked) > _MOST_TAGS:
        raise ValueError(f"{len(checked)} tags are too many: fal takes {_MOST_TAGS}")
    text = ",".join(f"{key}={value}" for key, value in checked.items())
    if len(text) > _MOST_TAG_BYTES:
        raise ValueError(f"the tags have {len(text)} bytes together: fal takes {_MOST_TAG_BYTES}")
    return text
