"""Keeps secrets out of messages, reprs, log lines and tracebacks."""

import json
import re
from collections.abc import Iterable
from functools import cached_property
from itertools import takewhile
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import quote

from pydantic_core import from_json, to_json
from yarl import URL

from rxfal.errors import DecodeError

__all__ = [
    "NO_SECRETS",
    "Secret",
    "SecretStr",
    "Secrets",
    "hidden",
    "signatures_in",
    "unshown",
    "without_queries",
]

_T = TypeVar("_T")

_SHORTEST = 6  # characters; anything shorter is no secret, and masking it would remove words from messages
_SHORTEST_SIGNATURE = 16  # characters of a value in an address's query that is taken for its signature
_PIECE = 8  # characters by which the beginning or the end of a longer secret is recognised


class Secret(Protocol):
    """A text that is not shown: a `SecretStr`, or pydantic's class of that name."""

    def get_secret_value(self) -> str:
        """The text itself. Don't give it a name: tracebacks can show local variables."""
        ...


class SecretStr:
    """A text that its repr does not show, as pydantic's class of that name.

    It takes as long to load pydantic's types as all the rest that a first stream loads of rxfal.

    Args:
        text: The text.

    Examples:
        >>> secret = SecretStr("a key")
        >>> secret, secret.get_secret_value()
        (SecretStr('**********'), 'a key')
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return f"SecretStr({str(self)!r})"

    def __str__(self) -> str:
        return "**********" if self._text else ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretStr) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def hidden(given: _T | str | Secret) -> _T | SecretStr:
    """A text, or a secret of another kind, as a `SecretStr`, and anything else as it is."""
    if isinstance(given, str):
        return SecretStr(given)
    if hasattr(given, "get_secret_value"):
        return SecretStr(cast(Secret, given).get_secret_value())
    return cast(Any, given)


class Secrets:
    """The secrets of one request, to be removed from every text that leaves it.

    They are found as they are, in lower case (as in host names), escaped for JSON or for a URL, and cut off at either
    end (as parsers quote what they could not read). In the form `id:secret`, each half is a secret.

    Args:
        texts: The secrets.

    Examples:
        >>> secrets = Secrets(["key-of-id:key-of-secret"])
        >>> secrets.mask("Authorization: Key key-of-id:key-of-secret, or KEY: key-of-sec")
        'Authorization: Key ***, or KEY: ***'
        >>> secrets
        Secrets(1 hidden)
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._texts = frozenset(text for text in texts if len(text) >= _SHORTEST)

    def __repr__(self) -> str:
        return f"Secrets({len(self._texts)} hidden)"

    @cached_property
    def _spellings(self) -> list[str]:
        """Everything to look for, longer texts first. It is made only when something went wrong."""
        parts = {part for text in self._texts for part in (text, *text.split(":")) if len(part) >= _SHORTEST}
        return sorted({each for part in parts for each in _spellings(part)}, key=len, reverse=True)

    @cached_property
    def _pieces(self) -> tuple["_Pieces", "_Pieces"]:
        return _Pieces(self._spellings), _Pieces(each[::-1] for each in self._spellings)

    def mask(self, text: str) -> str:
        """The text with asterisks in place of the secrets."""
        for secret in self._spellings:
            text = text.replace(secret, "***")
        forward, backward = self._pieces
        return backward.mask(forward.mask(text)[::-1])[::-1]

    def shown(self, text: str) -> str:
        """The text as a message may show it: without the secrets, and without the queries of URLs."""
        return self.mask(without_queries(text))

    def mask_value(self, value: Any) -> Any:
        """A JSON value with asterisks in place of the secrets, in the names of its fields too."""
        if not self._texts:
            return value
        whole = json.dumps(value, ensure_ascii=False)  # to look through one long text is faster than through many short
        return value if self.mask(whole) == whole else self._masked(value)

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, list):
            return [self._masked(item) for item in cast(list[Any], value)]
        if isinstance(value, dict):
            return {self.mask(name): self._masked(item) for name, item in cast(dict[str, Any], value).items()}
        return value

    def mask_bytes(self, data: bytes) -> bytes:
        """The bytes, unchanged if they show no secret in any JSON escape; else with asterisks."""
        try:
            value = from_json(data)
            masked = self.mask_value(value)
        except (ValueError, RecursionError):
            pass
        else:
            if masked is not value:
                data = to_json(masked)
        return self.mask(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


NO_SECRETS = Secrets()


def _spellings(secret: str) -> set[str]:
    escaped = json.dumps(secret)[1:-1]
    spellings = {secret, escaped, escaped.replace("/", "\\/"), quote(secret, safe="")}
    spellings.add(URL.build(query={"t": secret}).raw_query_string[2:])
    return spellings | {each.lower() for each in spellings}


class _Pieces:
    """Finds what begins like one of the texts, and how far it continues like it."""

    __slots__ = ("_rests",)

    def __init__(self, texts: Iterable[str]) -> None:
        self._rests: dict[str, list[str]] = {}
        for text in texts:
            self._rests.setdefault(text[:_PIECE], []).append(text[_PIECE:])

    def mask(self, text: str) -> str:
        for beginning, rests in self._rests.items():
            before, *behind = text.split(beginning)
            cut = (part[max(_agreement(part, rest) for rest in rests) :] for part in behind)
            text = "***".join((before, *cut))
        return text


def _agreement(one: str, other: str) -> int:
    """The number of characters at the beginning that the two share."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other)))


def without_queries(text: str) -> str:
    """The text with `?...` in place of the queries of its URLs, which may be signed or private.

    Examples:
        >>> without_queries("can't PUT https://v3.fal.media/files/a.png?sig=abc, try again")
        "can't PUT https://v3.fal.media/files/a.png?... try again"
    """
    # A query may hold quotes and brackets, so whatever follows it without a space goes with it.
    return re.sub(r"(\w://[^\s?#\"<>]*)\?[^\s\"<>]*", r"\1?...", text)


def signatures_in(url: URL) -> list[str]:
    """The values in a signed address's query that open what it names.

    Examples:
        >>> signatures_in(URL("https://v3.fal.media/files/a.png?expires=60&signature=0123456789abcdef"))
        ['0123456789abcdef']
    """
    return [value for value in url.query.values() if len(value) >= _SHORTEST_SIGNATURE]


def unshown(error: DecodeError, secrets: Secrets) -> DecodeError:
    """The error as it is; or, if what could not be decoded repeats a secret, one that quotes nothing.

    In that case the original loses its message too, because it stays behind in the frames of the new one.
    """
    data, words = secrets.mask_bytes(error.data), f"{error.message} {error.__cause__}"
    if data == error.data and secrets.mask(words) == words:
        return error
    message = "an answer that can't be decoded, and is not shown, since it repeats the key or token that was sent"
    error.args, error.message, error.data, error.__cause__ = (message,), message, data, None
    return DecodeError(message, data=data, endpoint=error.endpoint)
