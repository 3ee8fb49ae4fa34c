"""`text` and `deltas`: what a language model said, whatever shape it sends its events in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os.path import commonprefix
from typing import Any, cast

from reactivex import Observable, abc


def text(key: str = "output") -> Callable[[Observable[Any]], Observable[str]]:
    """The text so far, whatever shape a language model sends its events in.

    Understood are the text so far at `key` (fal's `any-llm`), deltas (`choices[0].delta.content` and `choices[0].text`
    of OpenAI-compatible routes; `delta`, `delta.text` or `text` in a typed event), and plain strings, each of them the
    next piece. Events are dicts or pydantic models. A delta that adds nothing (a usage report, a role) is passed over.

        --{output: "a"}--{output: "ab"}--|       --"a"--"b"--|
          text()                                   text()
        --"a"------------"ab"------------|       --"a"--"ab"-|

    Args:
        key: Where an event has the text so far.

    Returns:
        An operator.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> pieces = [{"choices": [{"delta": {"content": piece}}]} for piece in ("Hel", "lo")]
        >>> from_observable(rx.from_iterable(pieces)).pipe(ops.text(), ops.to_list()).run()
        ['Hel', 'Hello']
    """
    return _follow(key, lambda before, now: now)


def deltas(key: str = "output") -> Callable[[Observable[Any]], Observable[str]]:
    """Only what is new in each event of a language model, whatever shape it sends them in; see `text`.

    Joined together they are the text. A model that takes back some of what it said is followed from the first
    difference on, and an event that adds nothing is passed over.

        --{output: "a"}--{output: "ab"}--|
          deltas()
        --"a"------------"b"-------------|

    Args:
        key: Where an event has the text so far.

    Returns:
        An operator.

    Examples:
        >>> import reactivex as rx
        >>> from rxfal import from_observable, operators as ops
        >>> events = [{"output": "Hel"}, {"output": "Hello"}]
        >>> from_observable(rx.from_iterable(events)).pipe(ops.deltas(), ops.to_list()).run()
        ['Hel', 'lo']
    """
    return _follow(key, _added)


def _added(before: str, now: str) -> str | None:
    if now.startswith(before):
        return now[len(before) :] or None
    return now[len(commonprefix((before, now))) :] or None  # noqa: RUF071 (characters are meant)


def _follow(key: str, show: Callable[[str, str], str | None]) -> Callable[[Observable[Any]], Observable[str]]:
    def follow(source: Observable[Any]) -> Observable[str]:
        def subscribe(
            observer: abc.ObserverBase[str], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            so_far = ""

            def on_next(event: Any) -> None:
                nonlocal so_far
                whole = _get(event, key)
                if not isinstance(whole, str):
                    piece = event if isinstance(event, str) else _piece(event)
                    if not piece:
                        return
                    whole = so_far + piece
                before, so_far = so_far, whole
                if (shown := show(before, whole)) is not None:
                    observer.on_next(shown)

            return source.subscribe(on_next, observer.on_error, observer.on_completed, scheduler=scheduler)

        return Observable(subscribe)

    return follow


# The Responses API of OpenAI has deltas of the reasoning too, and says the whole text once more when it is done.
_RESPONSES_DELTA = "response.output_text.delta"


def _piece(event: Any) -> str | None:
    """The delta in an event of a route that sends deltas."""
    kind = _get(event, "type")
    if isinstance(kind, str) and (kind.endswith(".done") or kind.startswith("response.")) and kind != _RESPONSES_DELTA:
        return None
    choices = _get(event, "choices")
    holder = cast("list[Any]", choices)[0] if isinstance(choices, list) and choices else event
    delta = _get(holder, "delta")
    for piece in (delta, _get(delta, "content"), _get(delta, "text"), _get(holder, "text")):
        if isinstance(piece, str):
            return piece
    return None


def _get(value: Any, name: str) -> Any:
    if isinstance(value, (dict, Mapping)):
        return cast("Mapping[str, Any]", value).get(name)
    return getattr(value, name, None)
