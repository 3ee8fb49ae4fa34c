"""`chunk_text`: the pieces of a text as whole words, sentences or lines."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Literal

from reactivex import Observable, abc

from rxfal.reactive.observer import OperatorObserver


def chunk_text(by: Literal["word", "sentence", "line"] = "sentence") -> Callable[[Observable[str]], Observable[str]]:
    """Join the pieces of a text (see `deltas`) into whole words, sentences or lines, for speech and display.

    Each unit includes the white space after it, so joining the units gives the text. White space at the very beginning
    belongs to the first word or sentence.

    A sentence ends where `.`, `!`, `?` or `…`, and any closing quotes or brackets, are followed by white space. It
    also ends after `。`, `！` or `？`, and at a line break. So `3.14` ends no sentence, but `Dr. ` does.

    Marbles:
        -a--b--c--d--|
        > chunk_text("sentence")
        -------x-----(y|)
        a = "It is 3.", b = "14. ", c = "Or is", d = " it?"
        x = "It is 3.14. ", y = "Or is it?"

    - *Emits when* the next unit begins; with lines, at the line break. What is left is emitted before the end.
    - *Pauses when* the consumer is full.
    - *Ends when* the source ends.
    - *Cancels when* disposed.

    Args:
        by: The unit: `"word"`, `"sentence"` or `"line"`.

    Returns:
        An operator. It holds one unit.

    Raises:
        ValueError: `by` is another word.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> pieces = from_observable(rx.of("It is 3.", "14. ", "Or is", " it?"))
        >>> list(pieces.pipe(ops.chunk_text("sentence")))
        ['It is 3.14. ', 'Or is it?']
    """
    step = _STEPS.get(by)
    if step is None:
        raise ValueError(f"by is 'word', 'sentence' or 'line', not {by!r}")

    def chunk_text_(source: Observable[str]) -> Observable[str]:
        def subscribe(
            observer: abc.ObserverBase[str], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return _Units(observer, step).subscribe_to(source, scheduler)

        return Observable(subscribe)

    return chunk_text_


# Where in a unit a character is. (An Enum would take three times as long.)
_START = 0  # before the first one that is no white space
_INSIDE = 1
_STOP = 2  # at a mark that ends a sentence if white space follows; at a carriage return, which a line feed may follow
_ENDED = 3  # at a mark that ends a sentence; only quotes, brackets and more marks still belong to it
_BEHIND = 4  # in the white space behind a unit
_DONE = 5  # the last one of a unit
_NEXT = 6  # the first one of the next unit

_Step = Callable[[int, str], int]


def _word(state: int, character: str) -> int:
    if character.isspace():
        return _START if state == _START else _BEHIND
    return _NEXT if state == _BEHIND else _INSIDE


def _line(state: int, character: str) -> int:
    if character == "\n":
        return _DONE
    if state == _STOP:  # a carriage return, which is a line break by itself
        return _NEXT
    return _STOP if character == "\r" else _INSIDE


def _sentence(state: int, character: str) -> int:
    if character.isspace():
        is_over = state in (_STOP, _ENDED, _BEHIND)
        is_break = character in "\n\r" and state == _INSIDE
        return _BEHIND if is_over or is_break else state
    if state == _BEHIND:
        return _NEXT
    if character in "。！？":
        return _ENDED
    if character in ".!?…":
        return _ENDED if state == _ENDED else _STOP
    if state == _STOP:
        return _STOP if _closes(character) or character in "“‘«‹" else _INSIDE  # German and Danish ones
    if state == _ENDED:
        return _ENDED if _closes(character) else _NEXT
    return _INSIDE


def _closes(character: str) -> bool:
    return character in "\"'" or unicodedata.category(character) in ("Pe", "Pf")  # closing brackets and quotes


_STEPS: dict[str, _Step] = {"word": _word, "sentence": _sentence, "line": _line}


class _Units(OperatorObserver[str]):
    """Reads pieces character by character; holds those of the unit that is not over yet."""

    __slots__ = ("_held", "_state", "_step")

    def __init__(self, observer: abc.ObserverBase[str], step: _Step) -> None:
        super().__init__(observer)
        self._step = step
        self._state = _START
        self._held: list[str] = []

    def on_next(self, value: str) -> None:
        if self.is_stopped:
            return
        if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            what = f"chunk_text takes the pieces of a text, not {type(value).__name__}: put ops.deltas() before it"
            self.on_error(TypeError(what))
            return
        try:
            self._read(value)
        except BaseException as error:
            self._next_failed(error)

    def on_error(self, error: Exception) -> None:
        if not self.is_stopped:
            self._end(self._flush, self._on_error or self._unhandled, error)

    def on_completed(self) -> None:
        if not self.is_stopped:
            self._end(self._flush, self._on_completed)

    def _read(self, piece: str) -> None:
        begin, step = 0, self._step
        for position, character in enumerate(piece):
            state = step(self._state, character)
            if state == _NEXT:
                self._emit(piece[begin:position])
                begin = position
                state = step(_START, character)
            if state == _DONE:
                self._emit(piece[begin : position + 1])
                begin = position + 1
                state = _START
            if self.is_stopped:
                return
            self._state = state
        self._held.append(piece[begin:])

    def _emit(self, rest: str) -> None:
        unit = "".join([*self._held, rest])
        self._held.clear()
        if unit:
            self._on_next(unit)

    def _flush(self, end: Callable[..., object], *args: Exception) -> None:
        self._emit("")
        end(*args)
