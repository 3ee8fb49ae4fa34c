"""Choose the event loop of a subscription, and provide a background loop for code that has none.

Inside a running loop, everything happens on that loop. Elsewhere (plain scripts, desktop programs, worker threads),
subscriptions share one background loop in a daemon thread. It starts on first use and is closed at exit.
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
"""How many seconds the interpreter waits at exit for the background loop to close its connections."""

FAREWELL_GRACE = 5.5
"""How many more seconds it waits while a `Farewell` is under way, which ends after five at most."""


def current_loop() -> asyncio.AbstractEventLoop:
    """Return the loop for a subscription made here and now: the running loop, otherwise the background loop."""
    running = running_loop()
    if _override.loop is not None and _override.beside is running:
        return _override.loop
    return running or background_loop().loop


class _ReaderTask(Protocol):
    @property
    def is_open(self) -> bool: ...
    def get_name(self) -> str: ...


def readers_of(loop: asyncio.AbstractEventLoop) -> set[Any]:
    """Return the reader tasks on a loop. They are stored on the loop itself, so they are freed along with it."""
    return loop.__dict__.setdefault("_rxfal_readers", set())


def farewells_of(loop: asyncio.AbstractEventLoop) -> set[Any]:
    """Return the farewells under way on a loop, stored like the readers."""
    return loop.__dict__.setdefault("_rxfal_farewells", set())


def open_streams(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Return the names of a loop's open streams. A disposed stream that is still closing doesn't count as open."""
    tasks: list[_ReaderTask] = [*readers_of(loop)]
    return sorted(task.get_name() for task in tasks if task.is_open)


class _Override(threading.local):
    """The loop that this thread's subscriptions use instead of the loop (or None) running on the thread itself."""

    loop: asyncio.AbstractEventLoop | None = None
    beside: asyncio.AbstractEventLoop | None = None


_override = _Override()


@contextmanager
def subscribing_on(loop: asyncio.AbstractEventLoop) -> Generator[None]:
    """Make `current_loop` return `loop` on this thread within the block; for a thread about to block its own loop."""
    before = _override.loop, _override.beside
    _override.loop, _override.beside = loop, running_loop()
    try:
        yield
    finally:
        _override.loop, _override.beside = before


def loop_about_to_block() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs on this thread and that the `subscribing_on` block is about to block, if any."""
    return _override.beside


class BackgroundLoop:
    """An event loop in a daemon thread, which keeps running whatever a callback raises.

    Attributes:
        loop: The event loop.
        is_closing: Whether the loop is being closed because the program is ending.
    """

    def __init__(self) -> None:
        self.is_closing = False
        self._left_open: list[str] | None = None
        started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._main, args=(started,), name="rxfal-loop", daemon=True)
        self._thread.start()
        started.result()
        atexit.register(close_at_exit)  # registered after other handlers, so it runs before them

    def _main(self, started: concurrent.futures.Future[None]) -> None:
        runner = asyncio.Runner()
        try:
            self.loop = runner.get_loop()
        except BaseException as error:  # for example, out of file descriptors
            started.set_exception(error)
            return
        with runner:  # on exit it cancels the remaining tasks and closes the loop's async generators
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
        """Return whether the calling thread is the loop's own."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """Stop the loop, waiting at most `EXIT_GRACE` seconds, and longer for farewells under way.

        One warning names all streams that were still open.
        """
        self.is_closing = True
        try:
            self.loop.call_soon_threadsafe(self.loop.stop)
        except RuntimeError:  # already closed
            return
        self._thread.join(EXIT_GRACE)
        if farewells_of(self.loop):
            self._thread.join(FAREWELL_GRACE)
        left_open = self._left_open
        if left_open is None:  # a callback is blocking the loop
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
    """Return the background loop, and start it on first use.

    Raises:
        RuntimeError: The program is ending, and the loop has already been closed.
    """
    global _background
    background = _background
    if background is None:
        with _lock:
            if _background is None:
                try:
                    _background = BackgroundLoop()
                except RuntimeError as error:
                    if "shutdown" in str(error):  # Python 3.12+ can't start threads at that point
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
    """Return the background loop, for a caller that is about to block until the loop has done something.

    Args:
        what: What the caller is doing, for the error message.

    Raises:
        RuntimeError: The caller is on the background loop's own thread, which would wait for itself forever; or the
            program is ending.
    """
    background = background_loop()
    if background.is_current():
        raise RuntimeError(
            f"{what} would block rxfal's background loop, on which this callback runs, and wait for itself for ever: "
            "compose with operators (flat_map, concat) instead, or block on another thread."
        )
    return background.loop


def close_at_exit() -> None:
    """Close the background loop, if there is one; a program that skips Python's exit handlers calls this itself."""
    if _background is not None:
        _background.close()


def _reset_after_fork() -> None:
    # The child has no loop thread and must not touch the parent's sockets: it starts over with a loop of its own.
    global _background, _lock, _parents
    _lock = threading.Lock()
    _parents = (_parents, _background)
    _background = None


_parents: tuple[Any, ...] = ()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
