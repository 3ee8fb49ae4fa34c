"""The `rxfal` command: how its process starts and ends.

Signals, exit statuses, and the message when the extra is not installed. It must load without typer and rich.
"""

import os
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

__all__ = ["main", "run"]

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM


def main() -> NoReturn:
    """Run the command and end the process; the `rxfal` script and `python -m rxfal` call this."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the caller has closed it
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - for as long as the process lives
    with _signals():
        status = _run(None)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):  # its reader has gone
                pass
        if status in (INTERRUPTED, TERMINATED):
            _take_leave()
            # A name look-up that hangs in its thread would delay the interpreter's exit, and Ctrl-C means now.
            os._exit(status)
    sys.exit(status)


def run(args: Sequence[str] | None = None) -> int:
    """Run the command in this process.

    Args:
        args: The arguments; left out, the process's own.

    Returns:
        The exit status: 0; 1 for an error, which is one line on stderr; 2 for wrong usage; 130 after Ctrl-C; 143 after
        SIGTERM; 141 if the reader of the output has gone.

    Examples:
        >>> run(["--version"])
        rxfal ...
        0
    """
    with _signals():
        return _run(args)


@contextmanager
def _signals() -> Generator[None]:
    """The first SIGINT or SIGTERM raises an exception in the block, so that all is closed and cancelled in order.

    The second one ends the process, whatever is still to be said to a server.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield
        return
    # A shell script ignores SIGINT in what it starts with `&`; a server there should end with the script all the same.
    before = {number: signal.signal(number, _end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(args: Sequence[str] | None) -> int:
    try:
        try:
            from .app import app
        except ModuleNotFoundError as error:
            if error.name not in ("rich", "typer", "click"):
                raise
            sys.stderr.write(f'rxfal: the command needs {error.name}, install it with: pip install "rxfal[cli]"\n')
            return 1
        app(args, prog_name="rxfal")
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def _end(number: int, frame: FrameType | None) -> NoReturn:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _leave)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(TERMINATED)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(128 + number)


def _take_leave() -> None:
    """Wait, a little, until servers have heard what is to be cancelled."""
    if "rxfal.reactive.background" in sys.modules:  # else there was no request
        from rxfal.reactive.background import close_at_exit

        close_at_exit()
