"""Which event loop a subscription runs on, and the background loop for those who have none.

Inside a running loop everything happens on that loop. Without one (plain scripts, desktop programs, worker
threads) there is one background loop in a daemon thread, started at first use and closed at exit.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import os
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Protocol

from .hops import running_loop

EXIT_GRACE = 1.0
"""Seconds that the interpreter's exit waits for the background loop to close its connections."""


def current_loop() -> asyncio.AbstractEventLoop:
    """The event loop that a subscription made here and now runs on: the running one, else the background loop."""
    running = running_loop()
    if _override.loop is not None and _override.beside is running:
        return _override.loop
    return running or background_loop().loop


class _ReaderTask(Protocol):
    @property
    def is_open(self) -> bool: ...
    def get_name(self) -> str: ...


def readers_of(loop: asyncio.AbstractEventLoop) -> set[Any]:
    """The tasks of the readers on a loop; an attribute of the loop's own, so that they go when it goes."""
    return loop.__dict__.setdefault("_rxfal_readers", set())


def open_streams(loop: asyncio.AbstractEventLoop) -> list[str]:
    """The names of the streams that are open on a loop; one that is closing after its disposal is none."""
    tasks: list[_ReaderTask] = [*readers_of(loop)]
    return sorted(task.get_name() for task in tasks if task.is_open)


class _Override(threading.local):
    """Which loop this thread's subscriptions run on, beside the one (or none) that runs on the thread itself."""

    loop: asyncio.AbstractEventLoop | None = None
    beside: asyncio.AbstractEventLoop | None = None


_override = _Override()


@contextmanager
def subscribing_on(loop: asyncio.AbstractEventLoop) -> Generator[None]:
    """Within the block, `current_loop` on this thread is `loop`: for a thread that is about to block its own."""
    before = _override.loop, _override.beside
    _override.loop, _override.beside = loop, running_loop()
    try:
        yield
    finally:
        _override.loop, _override.beside = before


class BackgroundLoop:
    """An event loop in a daemon thread, which outlives whatever a callback raises.

    Attributes:
        loop: The event loop.
        is_closing: Whether the program is ending.
    """

    def __init__(self) -> None:
        self.is_closing = False
        self._left_open: list[str] | None = None
        started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._main, args=(started,), name="rxfal-loop", daemon=True)
        self._thread.start()
        started.result()
        atexit.register(_close_at_exit)  # later than others' handlers, so that it runs before them

    def _main(self, started: concurrent.futures.Future[None]) -> None:
        runner = asyncio.Runner()
        try:
            self.loop = runner.get_loop()
        except BaseException as error:  # no file descriptor is left, perhaps
            started.set_exception(error)
            return
        with runner:  # leaving it cancels what is left and closes the loop's async generators
            self.loop.call_soon(started.set_result, None)
            while not self.is_closing:
                try:
                    self.loop.run_forever()
                except BaseException as error:
                    self.loop.call_exception_handler(
                        {"message": f"a callback on rxfal's background loop raised {error!r}", "exception": error}
                    )
            self._left_open = open_streams(self.loop)

    def is_current(self) -> bool:
        """Whether the calling thread is the loop's own."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """End the loop within `EXIT_GRACE` seconds; one warning names the streams that were still open."""
        self.is_closing = True
        try:
            self.loop.call_soon_threadsafe(self.loop.stop)
        except RuntimeError:  # closed already
            return
        self._thread.join(EXIT_GRACE)
        left_open = self._left_open
        if left_open is None:  # a callback blocks the loop
            left_open = open_streams(self.loop)
        if left_open:
            warnings.warn(
                f"the program ended while {len(left_open)} stream(s) were still open: "
                f"{', '.join(left_open)}. Wait for them with .run(), a for loop or an event that on_completed "
                "sets, or dispose of them.",
                RuntimeWarning,
                stacklevel=2,
            )


_lock = threading.Lock()
_background: BackgroundLoop | None = None


def background_loop() -> BackgroundLoop:
    """The background loop, started at first use.

    Raises:
        RuntimeError: The program is ending, and the loop has ended with it.
    """
    global _background
    background = _background
    if background is None:
        with _lock:
            if _background is None:
                try:
                    _background = BackgroundLoop()
                except RuntimeError as error:
                    if "shutdown" in str(error):  # from Python 3.12 on, no thread can be started by then
                        raise RuntimeError(_TOO_LATE) from error
                    raise
            background = _background
    if background.is_closing:
        raise RuntimeError(_TOO_LATE)
    return background


_TOO_LATE = (
    "the program is ending, and rxfal's background loop has ended with it: finish what needs a stream before the main "
    "thread ends, not in an atexit handler."
)


def foreign_background_loop(what: str) -> asyncio.AbstractEventLoop:
    """The background loop for a caller that is about to block until it has done something.

    Raises:
        RuntimeError: On the background loop's own thread, which would wait for itself for ever; or when the program is
            ending.
    """
    background = background_loop()
    if background.is_current():
        raise RuntimeError(
            f"{what} would block rxfal's background loop, on which this callback runs, and wait for itself for ever: "
            "compose with operators (flat_map, concat) instead, or block on another thread."
        )
    return background.loop


def _close_at_exit() -> None:
    if _background is not None:
        _background.close()


def _reset_after_fork() -> None:
    # The child has neither the thread nor a right to the sockets: it starts afresh and leaves the parent's alone.
    global _background, _lock, _parents
    _lock = threading.Lock()
    _parents = (_parents, _background)
    _background = None


_parents: tuple[Any, ...] = ()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
