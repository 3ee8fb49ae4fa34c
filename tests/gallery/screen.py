"""A screen of the gallery: an example in a process and an environment of its own, which a test presses and reads."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rxfal.testing import FalServer

ROOT = Path(__file__).parents[2]
_ANSWER_SECONDS = 60.0
_TEXT_SECONDS = 30.0


def environment_for(server: FalServer) -> dict[str, str]:
    """The environment of an example that speaks to a server."""
    hidden = ("FAL_", "PYTEST_", "RXFAL_")  # NiceGUI runs another server where it sees pytest's variables
    ours = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return {**ours, "RXFAL_BASE_URL": server.url, "FAL_KEY": server.key, "NO_PROXY": "127.0.0.1"}


class Shown(NamedTuple):
    """What is on the screen: all text, its white space made single blanks, and something that tells pictures apart."""

    text: str
    picture: str


class Screen:
    """One example on its screen.

    The process starts with the first command, and after `leave` with the next one. It is a script in `screens`, which
    takes a line of JSON for each command and answers with one.
    """

    def __init__(self, command: Sequence[str], server: FalServer) -> None:
        self._command = command
        self._server = server
        self._process: subprocess.Popen[str] | None = None

    def press(self, button: str) -> None:
        self._ask("press", button)

    def read(self) -> Shown:
        shown = self._ask("read")
        return Shown(" ".join(shown["text"].split()), shown["picture"])

    def save(self, picture: Path) -> None:
        self._ask("save", str(picture))

    def read_until(self, enough: Callable[[Shown], bool]) -> list[Shown]:
        """Everything that was shown until it was enough."""
        seen = [self.read()]
        end = time.monotonic() + _TEXT_SECONDS
        while not enough(seen[-1]):
            assert time.monotonic() < end, f"never shown; last there was {seen[-1].text!r}"
            seen.append(self.read())
        return seen

    def visit(self) -> None:
        """Presses Start as another visitor of a website, in a browser of their own."""
        self._ask("visit")

    def leave(self) -> list[str]:
        """Closes the window, the tab or the program; the streams that are still open in its process."""
        return self._ask("leave")

    def end(self) -> None:
        """Ends the process, and what it says of its end."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            try:
                process.stdin.close()
            except BrokenPipeError:  # it has ended by itself
                pass
            try:
                process.wait(10.0)
            finally:
                process.kill()
                process.wait()
                assert process.stdout is not None
                process.stdout.close()

    def _ask(self, *command: str) -> Any:
        if self._process is not None and self._process.poll() is not None:
            self.end()
        if self._process is None:
            self._process = self._start()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"{self._command[-1]} ended with {self._process.wait(_ANSWER_SECONDS)} at {command}"
        return json.loads(line)

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command,
            env=environment_for(self._server),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
