"""A file that is there when it is whole: written beside its place, and renamed at the end."""

from __future__ import annotations

import errno
import os
import secrets
import threading
from pathlib import Path
from typing import BinaryIO

__all__ = ["PartFile", "check_that_it_is_free"]


def check_that_it_is_free(path: Path) -> None:
    """Raises FileExistsError if something is there, were it a link that leads nowhere."""
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, "exists already; overwrite=True writes over it", str(path))


class PartFile:
    """The file while it is not whole yet.

    `write`, and `finish` with `overwrite`, take as long as the disk does. They may be under way on another thread when
    `discard` is called. The others take little time, however large the file is.

    Args:
        path: Its place. Missing folders are made.
        overwrite: Whether it may take the place of another file.

    Attributes:
        path: Its place.
        overwrite: Whether it may take the place of another file.

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
        self.overwrite = overwrite
        self._place = path.absolute()  # whatever the working directory is by then
        self._writing = threading.Lock()
        self._ending = threading.Lock()
        self._is_wanted = True
        self._made: list[Path] = []
        self._part = self._place.with_name(f".{path.name[:50]}.{secrets.token_hex(4)}.part")
        try:
            self._make_folders(self._place.parent)
            self._file: BinaryIO = self._part.open("xb", buffering=0)  # so that closing it writes nothing
        except BaseException:
            self._remove_folders()
            raise

    def write(self, data: bytes | bytearray) -> None:
        """Append to it."""
        with self._writing, memoryview(data) as left:
            while left and self._is_wanted:
                left = left[self._file.write(left) :]

    def restart(self) -> None:
        """Empty it again."""
        self._file.seek(0)
        self._file.truncate()

    def finish(self) -> None:
        """Put it in its place, unless it was discarded.

        Raises:
            FileExistsError: Its place was taken in the meantime.
            OSError: It could not be put there.
        """
        with self._ending:
            if not self._is_wanted:
                return
            self._file.close()
            if self.overwrite:
                # Some file systems write the file out now, and they free the blocks of the one that was there.
                self._part.replace(self._place)
            elif os.name == "nt":
                self._part.rename(self._place)  # which takes no place that is taken there
            else:
                self._link()
            self._is_wanted = False

    def _link(self) -> None:
        try:
            os.link(self._part, self._place)  # in one step, where looking first and then renaming would be two
        except FileExistsError:
            check_that_it_is_free(self._place)
            raise
        except OSError:  # a file system without links
            check_that_it_is_free(self._place)
            self._part.replace(self._place)
        else:
            self._part.unlink()

    def discard(self) -> None:
        """Leave nothing behind, unless it was finished."""
        with self._ending:
            if not self._is_wanted:
                return
            self._is_wanted = False
            if os.name == "nt":  # there an open file can't be removed
                self._close()
            self._part.unlink(missing_ok=True)
            self._remove_folders()
        try:  # on another thread, because it waits for a `write`, and to free the blocks of a large file takes long
            threading.Thread(target=self._close, name="rxfal-close", daemon=True).start()
        except RuntimeError:  # the interpreter is about to end
            self._close()

    def _close(self) -> None:
        with self._writing:
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
