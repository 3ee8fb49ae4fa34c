"""A file that is there when it is whole: written beside its place, and renamed at the end."""

from __future__ import annotations

import errno
import os
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["PartFile", "check_that_it_is_free"]


def check_that_it_is_free(path: Path) -> None:
    """Raises FileExistsError if something is there, were it a link that leads nowhere."""
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, "exists already; overwrite=True writes over it", str(path))


class PartFile:
    """The file while it is not whole yet. Every method but `write` takes little time, however large the file is.

    `write` may be under way on another thread when `discard` is called.

    Args:
        path: Its place. Missing folders are made.
        overwrite: Whether it may take the place of another file.

    Attributes:
        path: Its place.

    Raises:
        FileExistsError: Its place is taken.
        OSError: It can't be written there.
    """

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        if not overwrite:
            check_that_it_is_free(path)
        elif path.exists() and not path.is_file():  # renaming would put a file in the place of a device
            raise FileExistsError(errno.EEXIST, "is there, and is not a regular file", str(path))
        self.path = path
        self._overwrite = overwrite
        self._lock = threading.Lock()
        self._is_wanted = True
        self._made: list[Path] = []
        self._part = path.with_name(f".{path.name[:50]}.{secrets.token_hex(4)}.part")
        try:
            self._make_folders(path.parent)
            self._file: BinaryIO = self._part.open("xb", buffering=0)  # so that closing it writes nothing
        except BaseException:
            self._remove_folders()
            raise

    def write(self, data: bytes | bytearray) -> None:
        """Append to it. This takes as long as the disk does."""
        with self._lock, memoryview(data) as left:
            while left and self._is_wanted:
                left = left[self._file.write(left) :]

    def restart(self) -> None:
        """Empty it again."""
        with self._lock:
            self._file.seek(0)
            self._file.truncate()

    def finish(self) -> None:
        """Put it in its place.

        Raises:
            FileExistsError: Its place was taken in the meantime.
            OSError: It could not be put there.
        """
        self._file.close()
        if self._overwrite:
            self._replace()
        elif os.name == "nt":
            self._part.rename(self.path)  # which takes no place that is taken there
        else:
            self._link()
        self._is_wanted = False

    def _replace(self) -> None:
        old = None
        if os.name != "nt":  # there an open file can't be replaced
            with suppress(OSError):
                old = self.path.open("rb")
        self._part.replace(self.path)
        if old is not None:
            _elsewhere(old.close)  # only now its blocks are freed

    def _link(self) -> None:
        try:
            os.link(self._part, self.path)  # in one step, where looking first and then renaming would be two
        except FileExistsError:
            check_that_it_is_free(self.path)
            raise
        except OSError:  # a file system without links
            check_that_it_is_free(self.path)
            self._part.replace(self.path)
        else:
            self._part.unlink()

    def discard(self) -> None:
        """Leave nothing behind, unless it was finished."""
        if not self._is_wanted:
            return
        self._is_wanted = False
        if os.name == "nt":  # there an open file can't be removed
            self._close()
        self._part.unlink(missing_ok=True)
        self._remove_folders()
        _elsewhere(self._close)  # which waits for a `write`, and frees the blocks

    def _close(self) -> None:
        with self._lock:
            self._file.close()

    def _make_folders(self, folder: Path) -> None:
        missing: list[Path] = []
        while not folder.exists() and folder != folder.parent:
            missing.append(folder)
            folder = folder.parent
        for folder in reversed(missing):
            try:
                folder.mkdir()
            except FileExistsError:  # made by another download at the same time
                continue
            self._made.append(folder)

    def _remove_folders(self) -> None:
        while self._made:
            try:
                self._made.pop().rmdir()
            except OSError:  # there is something in it by now
                return


def _elsewhere(work: Callable[[], None]) -> None:
    """Do it on a thread of its own: a file system may take long to free blocks, and an event loop would stand still."""
    try:
        threading.Thread(target=work, name="rxfal-close", daemon=True).start()
    except RuntimeError:  # the interpreter is about to end
        work()
