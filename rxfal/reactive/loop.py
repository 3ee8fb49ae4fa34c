"""Which event loop a subscription runs on, and the background loop for those who have none.

Inside a running loop everything happens on that loop. Without one (plain scripts, desktop programs, worker
threads) there is one background loop in a daemon thread, started at first use and closed at exit.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import warnings
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

EXIT_GRACE = 1.0
"""Seconds that the interpreter's exit waits for the background loop to close its connections."""


class ReaderTask(asyncio.Task[None]):
    """The task of one source. It is held strongly until done, and knows why it was cancelled.

    asyncio keeps only weak references to tasks, so that a reader nobody awaits could be collected in the middle
    of its stream. And `asyncio.Runner` ends a loop by cancelling its tasks while the loop stands still, which is how
    a shut-down is told from a stranger's `cancel()`.
    """

    alive: ClassVar[set[ReaderTask]] = set()

    def __init__(self, coro: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop, name: str) -> None:
        super().__init__(coro, loop=loop, name=name)
        self.loop_ended = False
        self.disposed = False
        self.alive.add(self)
        self.add_done_callback(_retrieve)

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel, and note whether the loop stands still."""
        self.loop_ended |= not self.get_loop().is_running()
        return super().cancel(msg)

    def forget(self) -> None:
        """Let go of a reader whose loop stands still: if it is closed before it runs again, nothing can cancel it."""
        self.alive.discard(self)
        self._log_destroy_pending = False


def _retrieve(task: asyncio.Task[None]) -> None:
    assert isinstance(task, ReaderTask)
    ReaderTask.alive.discard(task)
    # What ended it has been delivered, so asyncio need not report it at collection; what nobody took is reported now.
    if not task.cancelled() and isinstance(error := task.exception(), Exception):
        context = {"message": f"stream {task.get_name()}: an error that nobody handled: {error!r}", "exception": error}
        task.get_loop().call_exception_handler(context)


class BackgroundLoop:
    """An event loop in a daemon thread, which outlives whatever a callback raises."""

    def __init__(self) -> None:
        self._closing = False
        self._left_open: list[str] | None = None
        started = threading.Event()
        self._thread = threading.Thread(target=self._main, args=(started,), name="rxfal-loop", daemon=True)
        self._thread.start()
        atexit.register(_close_at_exit)  # later than others' handlers, so that it runs before them
        started.wait()

    def _main(self, started: threading.Event) -> None:
        with asyncio.Runner() as runner:  # leaving it cancels what is left and closes the loop's async generators
            self.loop = runner.get_loop()
            self.loop.call_soon(started.set)
            while not self._closing:
                try:
                    self.loop.run_forever()
                except BaseException as error:
                    self.loop.call_exception_handler(
                        {"message": f"a callback on rxfal's background loop raised {error!r}", "exception": error}
                    )
            self._left_open = self._open_streams()

    def _open_streams(self) -> list[str]:
        # A disposed one that is still closing its connection has done nothing wrong.
        tasks = ReaderTask.alive.copy()
        return sorted(task.get_name() for task in tasks if task.get_loop() is self.loop and not task.disposed)

    def is_current(self) -> bool:
        """Whether the calling thread is the loop's own."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """End the loop within `EXIT_GRACE` seconds; one warning names the streams that were still open."""
        self._closing = True
        try:
            self.loop.call_soon_threadsafe(self.loop.stop)
        except RuntimeError:  # closed already
            return
        self._thread.join(EXIT_GRACE)
        left_open = self._open_streams() if self._left_open is None else self._left_open  # None: a callback blocks it
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
    """The background loop, started at first use."""
    global _background
    background = _background
    if background is None:
        with _lock:
            if _background is None:
                _background = BackgroundLoop()
            background = _background
    return background


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs on this thread, if one does."""
    return asyncio._get_running_loop()


class _Override(threading.local):
    loop: asyncio.AbstractEventLoop | None = None


_override = _Override()


@contextmanager
def subscribing_on(loop: asyncio.AbstractEventLoop) -> Generator[None]:
    """Within the block, `current_loop` on this thread is `loop`: for a thread that is about to block its own."""
    before, _override.loop = _override.loop, loop
    try:
        yield
    finally:
        _override.loop = before


class _Subscribing(threading.local):
    """Of one thread: how deep it is in calls of `subscribe`, and what it has asked of event loops meanwhile."""

    def __init__(self) -> None:
        self.depth = 0
        self.waiting: list[tuple[asyncio.AbstractEventLoop, Callable[[], Any]]] = []


_subscribing = _Subscribing()


@contextmanager
def subscribing() -> Generator[None]:
    """A subscription being made: what it asks of another thread's event loop is asked when it is whole.

    Operators keep the disposable of what they schedule after they scheduled it. A loop on another thread could be
    quicker, and what it had gone on to schedule be disposed of in the place of the first.
    """
    _subscribing.depth += 1
    try:
        yield
    finally:
        _subscribing.depth -= 1
        if not _subscribing.depth and _subscribing.waiting:
            waiting, _subscribing.waiting = _subscribing.waiting, []
            for loop, callback in waiting:
                with suppress(RuntimeError):  # the loop was closed since: nothing will run
                    loop.call_soon_threadsafe(callback)


def is_subscribing() -> bool:
    """Whether this thread is in the middle of making a subscription."""
    return _subscribing.depth > 0


def call_on(loop: asyncio.AbstractEventLoop, callback: Callable[[], Any]) -> None:
    """Call back on another thread's event loop, once the subscription that this thread is making, if any, is whole.

    Raises:
        RuntimeError: The loop is closed.
    """
    if _subscribing.depth and not loop.is_closed():
        _subscribing.waiting.append((loop, callback))
    else:
        loop.call_soon_threadsafe(callback)


def current_loop() -> asyncio.AbstractEventLoop:
    """The event loop that a subscription made here and now runs on: the running one, else the background loop."""
    return _override.loop or running_loop() or background_loop().loop


def foreign_background_loop(what: str) -> asyncio.AbstractEventLoop:
    """The background loop for a caller that is about to block until it has done something.

    Raises:
        RuntimeError: On the background loop's own thread, which would wait for itself for ever.
    """
    background = background_loop()
    if background.is_current():
        raise RuntimeError(
            f"{what} would block rxfal's background loop, on which this callback runs, and wait for itself for ever: "
            "compose with operators (flat_map, concat) instead, or block on another thread."
        )
    return background.loop


def call_after_poll(loop: asyncio.AbstractEventLoop, callback: Callable[[], Any]) -> asyncio.Handle:
    """Call back once the loop has looked at its sockets again and whoever that woke has run.

    For timers that are about to call a source silent: a loop that was kept busy finds the data only then. Runs on the
    loop's thread.

    Args:
        loop: The running loop.
        callback: Called without arguments.

    Returns:
        A handle; cancelling it before the poll cancels the call.
    """
    # Within an iteration asyncio runs what was ready, then the I/O it found, then the timers that are due: a zero timer
    # comes after the I/O of the next poll, and a call from there after the tasks which that I/O woke.
    return loop.call_later(0.0, loop.call_soon, callback)


def _close_at_exit() -> None:
    if _background is not None:
        _background.close()


def _reset_after_fork() -> None:
    # The child has neither the thread nor a right to the sockets: it starts afresh and leaves the parent's alone.
    global _background, _lock, _parents
    _lock = threading.Lock()
    _parents = (_parents, _background, ReaderTask.alive)
    _background = None
    ReaderTask.alive = set()


_parents: tuple[Any, ...] = ()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
