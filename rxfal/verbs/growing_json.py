"""A JSON value in a text that grows: where it begins, how far it has come, where it ends. Pure; knows nothing of Rx."""

from __future__ import annotations

import re
from typing import Any

from pydantic_core import from_json

__all__ = ["NOTHING", "GrowingJson"]

NOTHING: Any = object()
"""The value of a text in which none has begun."""

_IN_STRING = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_TOKEN = re.compile(r'["\[\]{},:]|[^\s"\[\]{},:]+')
# At the end, half an escape or the first half of a surrogate pair. Backslashes before it are in pairs.
_HALF = re.compile(r"(?<!\\)((?:\\\\)*)(?:\\u[dD][89abAB][\da-fA-F]{2})?(?:\\(?:u[\da-fA-F]{0,3})?)?\Z")
# An escape. The group is half a surrogate pair without the other half, which at the very end of a text may still come.
_LOW = r"\\u[dD][c-fC-F][\da-fA-F]{2}"
_LOW_TO_COME = r"(?:\\(?:u(?:[dD](?:[c-fC-F][\da-fA-F]?)?)?)?)?\Z"
_ESCAPE = re.compile(
    rf"\\u[dD][89abAB][\da-fA-F]{{2}}(?:{_LOW}|(?={_LOW_TO_COME}))|(\\u[dD][89a-fA-F][\da-fA-F]{{2}})|\\.", re.DOTALL
)
_WORDS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")


class GrowingJson:
    """Finds the first JSON object or array in a text, and reads as much of it as has come.

    What has been read is not looked at again to find the value, and is parsed again with each text: by `pydantic_core`,
    at some 3 µs for a kilobyte.

    Args:
        brackets: What the value may begin with: `"{"`, `"["` or both.

    Attributes:
        text: The text so far, in whole characters.
        begin: Where the value begins, or may begin; None while that is nowhere.
        end: Where it ends; None before that.
        value: The value so far, with a string that is cut as far as it has come, and without a number or a word that is
            cut; `NOTHING` before it has begun.
        is_in_string: Whether the text is cut in a string.

    Examples:
        >>> growing = GrowingJson()
        >>> growing.read('Here you are: {"name": "Ad')
        {'name': 'Ad'}
        >>> growing.read('Here you are: {"name": "Ada", "born": 18')
        {'name': 'Ada'}
        >>> growing.read('Here you are: {"name": "Ada", "born": 1815}. Anything else?')
        {'name': 'Ada', 'born': 1815}
        >>> growing.json
        '{"name": "Ada", "born": 1815}'
    """

    def __init__(self, brackets: str = "{[") -> None:
        self._bracket = re.compile(f"[{re.escape(brackets)}]")
        self._raw: str = ""
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.text = ""
        self._looked = 0  # up to here no value begins
        self._begin_at(None)

    def _begin_at(self, begin: int | None) -> None:
        self.begin = begin
        self.end = None
        self.value = NOTHING
        self._scanned = begin or 0
        self._open = ""  # the brackets that are open
        self._before = ""  # the token before: a mark, "key" or "value"
        self._word_begin = self._word_end = 0
        self.is_in_string = False

    @property
    def json(self) -> str:
        """The text of the value, as far as it has come."""
        return "" if self.begin is None else self.text[self.begin : self.end]

    def read(self, text: str) -> Any:
        """Read on.

        Args:
            text: The text so far. If it does not go on where the one before ended, it is read anew.

        Returns:
            The value so far.
        """
        if text == self._raw:
            return self.value
        if not text.startswith(self._raw):
            self._begin_anew()
        self._raw = text
        self.text = _without_lone_halves(_in_whole_characters(text))
        while self.end is None and self._find():
            try:
                self._scan()
                self.value = self._parse()
                break
            except ValueError:  # no JSON after all
                assert self.begin is not None
                self._looked = self.begin + 1
                self._begin_at(None)
        return self.value

    def without_cut_string(self) -> Any:
        """The value so far, without a string that is cut."""
        return from_json(self.json, allow_partial=True) if self.is_in_string else self.value

    def _find(self) -> bool:
        if self.begin is None:
            for bracket in self._bracket.finditer(self.text, self._looked):
                if _may_be_json(self.text, bracket.start()):
                    self._begin_at(bracket.start())
                    return True
            self._looked = len(self.text)
        return self.begin is not None

    def _scan(self) -> None:
        """Look through what is new for the end of the value, and for commas that are missing.

        Partial parsing takes such a place for the end of the text, and is content with what comes before.
        """
        text, at = self.text, self._scanned
        while at < len(text):
            if self.is_in_string:
                at = self._skip_string(at)
                if self.is_in_string:
                    break
            elif token := _TOKEN.search(text, at):
                at = token.end()
                self._take(token[0][0], token.start(), at)
                if self.end is not None:
                    break
            else:
                at = len(text)
        self._scanned = at

    def _skip_string(self, at: int) -> int:
        found = _IN_STRING.match(self.text, at)
        assert found is not None
        at = found.end()
        if self.text[at : at + 1] != '"':  # it is cut, perhaps at a backslash, which then waits for what it escapes
            return at
        self.is_in_string = False
        return at + 1

    def _take(self, mark: str, begin: int, end: int) -> None:
        if mark in "]}":
            self._open = self._open[:-1]
            self._before = "value"
            if not self._open:
                self.end = end
        elif mark == ",":
            self._before = mark
        elif mark == ":":
            if self._before != "key":
                raise ValueError("no key")
            self._before = mark
        elif mark not in '[{"' and begin == self._word_end:
            self._take_word(end)  # it goes on where the text before ended
        elif self._before == "value":
            raise ValueError("no comma")
        elif mark == '"':
            self.is_in_string = True
            self._before = "key" if self._open.endswith("{") and self._before in "{," else "value"
        elif mark in "[{":
            self._open += mark
            self._before = mark
        else:
            self._word_begin = begin
            self._take_word(end)

    def _take_word(self, end: int) -> None:
        """A number, or `true` and its kind, as far as it has come."""
        self._before = "value"
        self._word_end = end
        if not _is_json(self.text[self._word_begin : end]):
            raise ValueError("no word")

    def _parse(self) -> Any:
        json = self.json
        if self.end is not None:
            return from_json(json)
        if self.is_in_string:
            return from_json(_without_half_escape(json), allow_partial="trailing-strings")
        first = json.lstrip("[{ \t\r\n")
        if any(word.startswith(first) and word != first for word in _WORDS):  # nothing, or "t", which may be prose
            return NOTHING
        return from_json(_without_number(json), allow_partial=True)


def _may_be_json(text: str, begin: int) -> bool:
    """Whether JSON begins here, or may. Looks no further than needed: a text full of brackets takes linear time."""
    size = 1024
    while begin + size < len(text):
        if not _is_json(text[begin : begin + size], and_more=True):
            return False
        size *= 2
    return _is_json(text[begin:], and_more=True)


def _is_json(text: str, and_more: bool = False) -> bool:
    """Whether a text is JSON, or may be when it goes on; or, perhaps, JSON and more behind it."""
    try:
        from_json(text)
    except ValueError as error:
        return str(error).startswith("EOF ") or (and_more and str(error).startswith("trailing characters"))
    return True


def _without_half_escape(json: str) -> str:
    """The JSON without what stands for half a character at the very end; not every parser leaves that out."""
    begin = len(json[:-11].rstrip("\\"))  # the longest half is 11 characters, and may come after backslashes
    half = _HALF.search(json, begin)
    return json if half is None else json[: half.end(1)]


def _without_number(json: str) -> str:
    """The JSON without a number at the very end, of which more digits may come."""
    rest = json.rstrip("0123456789+-.eE")
    return rest if json[len(rest) : len(rest) + 1] in tuple("-0123456789") else json


def _in_whole_characters(text: str) -> str:
    """The text with its surrogates in pairs; the first half of one at the end is left out until the other comes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        if "\ud800" <= text[-1] <= "\udbff":
            text = text[:-1]
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _without_lone_halves(text: str) -> str:
    """The text with escapes for lone halves of surrogate pairs replaced, which JSON allows and its parser refuses."""
    if "\\ud" not in text and "\\uD" not in text:
        return text
    return _ESCAPE.sub(lambda escape: r"\ufffd" if escape[1] else escape[0], text)
