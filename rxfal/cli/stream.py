"""`rxfal stream`: one request, and where its events go: a pipe, a terminal or a file."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live

import rxfal
from rxfal.verbs.call import StreamOptions

from . import inputs
from .media import shortened
from .picture import Gallery
from .pieces import Piece, Style, pieces, wire_form
from .printing import harmless, on_terminal, write
from .save import Saved

__all__ = ["run"]


def run(
    endpoint: str,
    fields: Sequence[str],
    style: Style | None,
    output: Path | None,
    force: bool,
    options: StreamOptions,
) -> None:
    """Write the events of one request.

    Args:
        endpoint: The endpoint to call.
        fields: The input, as `inputs.parse` takes it.
        style: How to write; None lets the events decide.
        output: A file to write instead of stdout.
        force: Whether to overwrite an existing file.
        options: As for `rxfal.stream`.
    """
    given = inputs.parse(fields)
    destination: _Destination
    if output is not None:
        destination = Saved(output, force=force, announce=Console(stderr=True))
    else:
        destination = _Terminal() if on_terminal() else _Pipe()
    with rxfal.Client() as client, destination:
        if style is Style.RAW:
            written = client.stream_events(endpoint, given, **options).map(_raw)
        else:
            written = client.stream(endpoint, given, **options).pipe(pieces(style, files=destination.takes_files))
        with closing(written.blocking()) as arriving:
            for piece in arriving:
                destination.take(piece)
    if style is Style.TEXT and destination.is_empty:
        raise rxfal.FalError("no event carried any text; --json shows what came", endpoint=endpoint)


def _raw(event: rxfal.ServerSentEvent) -> Piece:
    return Piece(Style.RAW, wire_form(event))


class _Destination(Protocol):
    """Where pieces go, as a context manager."""

    takes_files: bool
    """Whether it takes the files out of events, or whole events."""

    @property
    def is_empty(self) -> bool: ...
    def take(self, piece: Piece) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _Pipe:
    """Stdout for another program: everything as it is, flushed piece by piece, and a line break after text."""

    takes_files = False

    def __init__(self) -> None:
        self._last: str | bytes = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_line()

    @property
    def is_empty(self) -> bool:
        return not self._last

    def take(self, piece: Piece) -> None:
        assert not isinstance(piece.content, list)  # files are for terminals and -o
        self._write(piece.content)

    def _write(self, content: str | bytes) -> None:
        write(content)
        self._last = content

    def _end_line(self) -> None:
        if self._last and isinstance(self._last, str) and not self._last.endswith("\n"):
            self._write("\n")


class _Terminal(_Pipe):
    """Stdout for a person: pictures are drawn, each over the one before, and long base64 is only its size."""

    takes_files = True

    def __init__(self) -> None:
        super().__init__()
        self._pictures: Live | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_pictures()
        super().__exit__(kind, error, trace)

    def take(self, piece: Piece) -> None:
        match piece.content:
            case bytes():
                raise rxfal.FalError("the answer is binary: write it to a file with -o FILE, or into a pipe")
            case str(text):
                self._end_pictures()
                self._write(shortened(harmless(text)))
            case media:
                if self._pictures is None:
                    self._end_line()
                    self._pictures = Live(
                        auto_refresh=False,
                        redirect_stdout=False,
                        redirect_stderr=False,
                        console=Console(highlight=False),
                    )
                    self._pictures.start()
                self._pictures.update(Gallery(media), refresh=True)
                self._last = "\n"

    def _end_pictures(self) -> None:
        if self._pictures is not None:
            pictures, self._pictures = self._pictures, None
            pictures.stop()
            pictures.console.print("-o FILE saves it.", style="dim")
