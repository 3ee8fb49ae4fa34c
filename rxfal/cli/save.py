"""`-o FILE`: saves what comes."""

from itertools import count
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import typer
from rich.console import Console

import rxfal

from .media import Media, size_of
from .pieces import Piece, Style

__all__ = ["Saved"]


class Saved:
    """The file of `-o`, as a context manager. Entering it creates the file, so a name that can't be used costs nothing.

    Text, JSON and binary answers are written as they come. Of the files in events, the newest at each place is kept,
    because a model sends its picture again each time it has become finer. Sounds are joined, because a model sends them
    in parts. Both are written at the end, under numbered names if there are several. One file holds one kind of
    content, the first that came; but lines of JSON give way to any other kind. What came before an error or Ctrl-C is
    saved too.

    Args:
        path: The file.
        force: Whether to overwrite an existing file.
        announce: Where to show the progress.

    Raises:
        FalError: The file exists.
        OSError: The file can't be written.
    """

    takes_files = True

    def __init__(self, path: Path, *, force: bool, announce: Console) -> None:
        self._path = path
        self._force = force
        self._console = announce
        self._status = announce.status("waiting for the first event")
        self._file: BinaryIO
        self._style: Style | None = None
        self._media: dict[str, Media] = {}
        self._events = 0
        self._written = 0
        self._left_out = False
        self._last = b""

    def __enter__(self) -> Self:
        self._is_new = not self._path.exists()
        self._is_regular = self._is_new or self._path.is_file()  # and not /dev/null or a pipe
        if not self._is_new and self._is_regular and not self._force:
            raise rxfal.FalError(f"{self._path} exists; --force writes over it")
        # Appending leaves an old file intact until there is something to write.
        self._file = self._path.open("xb" if self._is_new else "ab")
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._style in (Style.TEXT, Style.RAW) and not self._last.endswith(b"\n"):
                self._write(b"\n")
            paths = self._write_media()
        finally:
            self._status.stop()
            self._file.close()
            if self._is_new and not self._path.stat().st_size:
                self._path.unlink()
        for path, what in paths or ([(self._path, self._what())] if self._written else []):
            self._say(f"saved {path}: {what}")
        if self._left_out:
            self._say("the answer has more than that; --json saves all of it")

    @property
    def is_empty(self) -> bool:
        return self._style is None

    def take(self, piece: Piece) -> None:
        """Save one more piece."""
        self._events += 1
        if piece.style is not self._style:
            if self._style is not None and self._style is not Style.JSON:
                self._left_out |= piece.style is not Style.JSON
                return
            self._style = piece.style
            self._begin()
        match piece.content:
            case str(text):
                # A lone surrogate becomes the escape that it was in the JSON.
                self._write(text.encode("utf-8", "backslashreplace"))
            case bytes(data):
                self._write(data)
            case media:
                self._keep(media)
        kept = sum(len(file.data) for file in self._media.values())
        self._status.update(f"{self._path}: {self._events} events, {size_of(kept or self._written)}")

    def _begin(self) -> None:
        self._written = 0
        if self._is_regular:
            self._file.seek(0)
            self._file.truncate()

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()
        self._written += len(data)
        self._last = data

    def _keep(self, media: list[Media]) -> None:
        for file in media:
            before = self._media.get(file.place)
            if before is not None and file.content_type.startswith("audio/"):
                file = file._replace(data=before.data + file.data)
            self._media[file.place] = file

    def _write_media(self) -> list[tuple[Path, str]]:
        media = list(self._media.values())
        if len(media) == 1:
            self._write(media[0].data)
            return [(self._path, media[0].label)]
        saved: list[tuple[Path, str]] = []
        numbered = (self._path.with_stem(f"{self._path.stem}-{number}") for number in count(1))
        for file in media:
            # Skip numbers that are taken: what was paid for must not be lost.
            path = next(path for path in numbered if self._force or not path.exists())
            path.write_bytes(file.data)
            saved.append((path, file.label))
        return saved

    def _what(self) -> str:
        match self._style:
            case Style.JSON:
                return f"{size_of(self._written)} of JSON, a line for each event"
            case Style.TEXT:
                return f"{size_of(self._written)} of text"
            case _:
                return size_of(self._written)

    def _say(self, text: str) -> None:
        typer.echo(text, err=True)
