"""`rxfal demo`: three models at once, from a server in this process. It is also an example of how to use rxfal.

The path of an event: a model's stream gives the text (or the picture) so far, `_watched` turns it into a `Progress`,
`merge` tags that with the model's name, `scan` keeps the newest of each model, and `throttle_latest` slows it all down
for the eye.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from reactivex import Observable
from rich.console import Console
from rich.live import Live

import rxfal
from rxfal import Client, Tagged
from rxfal import operators as ops
from rxfal.testing import FalServer
from rxfal.testing.models import BARD, JULIA, LLM

from .media import data_of
from .progress import Progress
from .view import Board, line, summary

__all__ = ["run"]

_FRAME_SECONDS = 0.08
_LINE_SECONDS = 1.0

Models = Mapping[str, Progress]


def run(prompt: str, pace: float, save: Path | None) -> None:
    """Show the demo.

    Args:
        prompt: What the models write about and paint.
        pace: Multiplies the time that they take.
        save: Where to save the final picture.

    Raises:
        FalError: A model's stream failed; raised after the others are done.
    """
    console = _Console(highlight=False)
    with FalServer(models=True, pace=pace) as server, server.client() as client:
        in_terminal = console.is_terminal and not console.is_dumb_terminal
        models = (_show if in_terminal else _tell)(console, _contents(client, prompt), prompt)
    console.print(summary(models))
    if os.environ.get("FAL_KEY"):
        console.print(
            f"FAL_KEY is set, but the demo always uses the embedded server. To call fal: rxfal stream {LLM} -i ..."
        )
    for progress in models.values():
        if progress.error is not None:
            raise progress.error
    if save is not None:
        save.write_bytes(data_of(models[JULIA].content) or b"")
        console.print(f"saved {save}")


class _Console(Console):
    """Ends the command the usual way if its reader has gone; rich would exit on its own."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _contents(client: Client, prompt: str) -> dict[str, Observable[str]]:
    """What each model has made so far, by its name: text, or a picture as a data URI."""
    return {
        LLM: client.stream(LLM, {"prompt": prompt}).pipe(ops.text()),
        BARD: client.stream(BARD, {"prompt": prompt}).pipe(ops.text()),
        JULIA: client.stream(JULIA, {"prompt": prompt}).map(lambda event: event["images"][0]["url"]),
    }


def _watched(contents: Observable[str]) -> Observable[Progress]:
    """The progress of a stream after each event. Its end, even an error, is one more item and stops no other stream."""
    return contents.pipe(ops.materialize(), ops.scan(Progress.after, Progress()))


def _show(console: Console, contents: Mapping[str, Observable[str]], prompt: str) -> Models:
    """All models on one screen, redrawn at most a dozen times a second."""
    models: Models = {name: Progress() for name in contents}
    boards = rxfal.merge({name: _watched(stream) for name, stream in contents.items()}).pipe(
        ops.scan(_with_newest, models), ops.throttle_latest(_FRAME_SECONDS)
    )
    with Live(Board(models, prompt), console=console, screen=True, auto_refresh=False) as live:
        for models in boards:
            live.update(Board(models, prompt), refresh=True)
    # The alternate screen is gone: leave the last state behind, with room for the table below it.
    console.print(Board(models, prompt), height=max(8, min(32, console.height - 10)))
    return models


def _tell(console: Console, contents: Mapping[str, Observable[str]], prompt: str) -> Models:
    """For pipes and plain terminals: one line per model and second, and one at its end."""
    console.print(f"{len(contents)} models on: {prompt}")
    models: Models = {}
    for update in rxfal.merge(
        {name: _watched(stream).pipe(ops.throttle_latest(_LINE_SECONDS)) for name, stream in contents.items()}
    ):
        models = _with_newest(models, update)
        console.print(line(update.tag, update.value, console.width), markup=False, soft_wrap=True)
    return {name: models[name] for name in contents}


def _with_newest(models: Models, update: Tagged[Progress]) -> Models:
    return {**models, update.tag: update.value}
