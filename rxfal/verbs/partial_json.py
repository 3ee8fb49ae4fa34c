"""`partial_json`: the JSON that a language model writes, as far as it has come."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from reactivex import Observable, abc

from rxfal.errors import DecodeError
from rxfal.reactive.observer import OperatorObserver
from rxfal.wire.masking import without_queries
from rxfal.wire.payload import PayloadDecoder

from .growing_json import NOTHING, GrowingJson
from .text import endpoint_of

if TYPE_CHECKING:
    from .partial_model import PartialModel

_M = TypeVar("_M")


@overload
def partial_json(model: None = None) -> Callable[[Observable[str]], Observable[Any]]: ...
@overload
def partial_json(model: type[_M]) -> Callable[[Observable[str]], Observable[_M]]: ...
@overload
def partial_json(model: Any) -> Callable[[Observable[str]], Observable[Any]]: ...
def partial_json(model: Any = None) -> Callable[[Observable[str]], Observable[Any]]:
    """Parse the JSON object or array in a growing text (see `text`), as far as it has come.

    The JSON begins at the first `{` or `[` that starts a JSON value; any prose and code fences around it are skipped. A
    string is emitted as far as it has come, but never with half a character. A number is only emitted once something
    follows it, so you never see a wrong one.

    With a model, the items are instances of a partial twin of it. The twin has the same fields and aliases, also in
    nested models, but no validators or constraints. A field is None until its value has come and fits its type, so half
    a date is None. When the text is complete, the model itself validates it, and the result is the last item.

    Each item takes time in proportion to the whole text. If texts are long, put `throttle_latest` before it.

    Marbles:
        -a--b--c--|
        > partial_json()
        -x--y--z--|
        a = '{"name": "A'
        b = '{"name": "Ada", "age": 3'
        c = '{"name": "Ada", "age": 36}'
        x = {"name": "A"}, y = {"name": "Ada"}
        z = {"name": "Ada", "age": 36}

    - *Emits when* the value has changed; with a model, once more before the end.
    - *Pauses when* the consumer is full.
    - *Ends when* the source ends; with an error if the text has no complete value, or one that doesn't fit the model.
    - *Cancels when* disposed.

    Args:
        model: A pydantic model, or a type made of models, such as `list[Item]`. By default, the items are dicts and
            lists.

    Returns:
        An operator. It ends with a `DecodeError`, whose `data` is the text, if there is no JSON in the text, if it is
        cut off, or if it doesn't fit the model. A text that doesn't begin with the previous one is parsed anew.

    Raises:
        TypeError: `model` is not a type.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> text = '{"name": "Ada", "age": 36}'
        >>> texts = from_observable(rx.of(text[:11], text[:23], text))
        >>> list(texts.pipe(ops.partial_json()))
        [{'name': 'A'}, {'name': 'Ada'}, {'name': 'Ada', 'age': 36}]
    """
    partial = None
    if model is not None:
        PayloadDecoder(model, called="model")
        from .partial_model import PartialModel  # and with it all that pydantic's models are made of

        partial = PartialModel(model)

    def partial_json_(source: Observable[str]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return _Growing(observer, model, partial, endpoint_of(source)).subscribe_to(source, scheduler)

        return Observable(subscribe)

    return partial_json_


class _Growing(OperatorObserver[str]):
    """Shows what a text holds whenever that has changed."""

    __slots__ = ("_endpoint", "_json", "_model", "_partial", "_shown")

    def __init__(
        self, observer: abc.ObserverBase[Any], model: Any, partial: PartialModel | None, endpoint: str | None
    ) -> None:
        super().__init__(observer)
        self._model = model
        self._partial = partial
        self._endpoint = endpoint
        self._json = GrowingJson() if partial is None else GrowingJson(partial.brackets)
        self._shown: Any = NOTHING

    def on_next(self, value: str) -> None:
        if self.is_stopped:
            return
        if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            what = f"partial_json takes texts so far, not {type(value).__name__}: put ops.text() before it"
            self.on_error(TypeError(what))
            return
        try:
            shown = self._json.read(value)
            if self._partial is not None and shown is not NOTHING:
                shown = self._partial.of(self._json)
        except Exception as error:  # a type of the user's own may raise what it likes
            self.on_error(error)
            return
        if shown is not NOTHING and shown != self._shown:
            self._shown = shown
            try:
                self._on_next(shown)
            except BaseException as error:
                self._next_failed(error)

    def on_completed(self) -> None:
        if self.is_stopped:
            return
        if self._json.end is None:
            self.on_error(self._nothing_whole())
        elif self._model is None:
            self._end(self._on_completed)
        else:
            try:
                whole = PayloadDecoder(self._model, endpoint=self._endpoint)(self._json.json.encode())
            except Exception as error:
                self.on_error(error)
            else:
                self._end(self._finish, whole)

    def _finish(self, whole: Any) -> None:
        self._on_next(whole)
        self._on_completed()

    def _nothing_whole(self) -> DecodeError:
        text = self._json.text
        if self._json.begin is None or self._json.value is NOTHING:
            what = f"no JSON object or array in the text: {_short(text)}"
        else:
            length = len(text) - self._json.begin
            what = (
                f"the JSON in the text is cut off after {length} characters. If the model reached its limit of tokens, "
                "allow it more"
            )
        return DecodeError(what, data=text.encode("utf-8", "replace"), endpoint=self._endpoint)


def _short(text: str) -> str:
    if not text:
        return "there is none"
    return without_queries(repr(text[:80])) + (f" and {len(text) - 80} characters more" if len(text) > 80 else "")
