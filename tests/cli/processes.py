"""Ways to run the command: in this process with a terminal as stdout, as a process of its own, on a pseudo terminal."""

import codecs
import io
import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rxfal.cli import run

ROOT = Path(__file__).parent.parent.parent
_COMMAND = [sys.executable, "-X", "dev", "-W", "error", "-m", "rxfal"]


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


class InTerminal:
    """Runs commands with a terminal as stdout and keeps what they write there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.errors = io.StringIO()

    def run(self, *args: str) -> tuple[int, str]:
        written = io.BytesIO()
        terminal = _Terminal(written, encoding="utf-8")
        with self._monkeypatch.context() as patch:
            for name, value in (("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("COLUMNS", "60")):
                patch.setenv(name, value)
            patch.setenv("LINES", "20")
            patch.setattr(sys, "stdout", terminal)
            patch.setattr(sys, "stderr", self.errors)
            status = run(args)
        terminal.flush()
        return status, written.getvalue().decode()


def start(*args: str, stdin: int | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*_COMMAND, *args],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def complaints(errors: str) -> list[str]:
    # In development mode asyncio reports what takes 0.1 s, which on a busy machine may be anything.
    return [text for text in errors.splitlines() if not text.startswith("Executing <")]


START = 60.0
"""Seconds that a process may take to start, on a busy machine."""


def end(process: subprocess.Popen[str], number: int, *, within: float = 3.0) -> tuple[int, list[str]]:
    """The status after a signal, and what was on stderr; that it ended soon."""
    asked = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - asked < within
    return process.returncode, complaints(errors)


class PseudoTerminal:
    """A process that has a terminal of 100 columns and 30 lines, and what it has written there."""

    def __init__(self, *args: str, **environment: str) -> None:
        import pty
        import termios

        self._master, terminal = pty.openpty()
        termios.tcsetwinsize(self._master, (30, 100))
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "rxfal", *args],
            cwd=ROOT,
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment},
            preexec_fn=lambda: os.login_tty(terminal),
        )
        os.close(terminal)
        self.written = ""
        # A read may end in the middle of a character, and so may what is written when Ctrl-C comes.
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def read_until(self, text: str | None = None) -> None:
        """Reads until the text is there; or, without one, until the process has gone."""
        while text is None or text not in self.written:
            assert select.select([self._master], [], [], START)[0], f"nothing came: {self.written[-500:]!r}"
            try:
                piece = os.read(self._master, 65536)
            except OSError:  # what Linux says when the other side has closed
                piece = b""
            if not piece:
                assert text is None, f"{text!r} never came: {self.written[-500:]!r}"
                os.close(self._master)
                return
            self.written += self._decode(piece)

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)


def lines_of(output: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", output).replace("\r", "").split("\n")
