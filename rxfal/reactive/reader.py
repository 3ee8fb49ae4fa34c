"""Reader: one asyncio task that feeds one subscription and ends with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar, cast

from reactivex import abc

from rxfal.errors import TransportError

from .background import readers_of
from .gate import DemandGate
from .hops import call_on, running_loop
from .scheduler import LoopScheduler

_T = TypeVar("_T")


class Sink(Generic[_T]):
    """What a source's coroutine receives: where to send its items, and when to pause.

    Attributes:
        on_next: Passes one item to the subscriber, which may run arbitrary code.
        gate: Closed while the subscriber is full. After each item: `if sink.gate.closed: await sink.gate.wait()`.
    """

    __slots__ = ("_name", "_scheduler", "gate", "on_next")

    def __init__(self, observer: abc.ObserverBase[_T], scheduler: LoopScheduler, name: str) -> None:
        self.on_next = observer.on_next
        self.gate: DemandGate = scheduler.gate
        self._scheduler = scheduler
        self._name = name

    def blame(self, callback: str, error: Exception) -> bool:
        """Treat what a callback raised as its subscriber's bug: report it, and dispose the whole subscription.

        Args:
            callback: The callback's name.
            error: What it raised.

        Returns:
            Whether this was done. It isn't if someone waits for the end of the subscription, who would wait forever.
        """
        consumer = self._scheduler.consumer
        if consumer is None or consumer.is_pulling:
            return False
        consumer.dispose()
        message = f"stream {self._name}: {callback} raised {error!r}, the subscription was disposed"
        self._scheduler.loop.call_exception_handler({"message": message, "exception": error})
        return True


SLICE = 0.010
"""How many seconds a source may occupy its event loop, callbacks included, before other work gets a turn."""

LOOK_EVERY = 16
"""The number of items after which a source checks the clock."""


class Turn:
    """Limits how long a source occupies its event loop, for sources that may have many items to emit at once.

    Examples:
        >>> async def flood(sink):
        ...     turn, left = Turn(), LOOK_EVERY
        ...     for number in range(1000):
        ...         sink.on_next(number)
        ...         left -= 1
        ...         if not left:
        ...             left = LOOK_EVERY
        ...             await turn.look()

    Attributes:
        until: When the slice ends, as a `time.monotonic` time in seconds.
    """

    __slots__ = ("until",)

    def __init__(self) -> None:
        self.until = time.monotonic() + SLICE

    async def look(self) -> None:
        """Yield to the loop's other work if the slice is over."""
        if time.monotonic() >= self.until:
            await asyncio.sleep(0)
            self.until = time.monotonic() + SLICE


class Reader(abc.DisposableBase, Generic[_T]):
    """Runs `read(sink)` in a task: returning completes the subscription; raising ends it with `on_error`.

    It may be started and disposed from any thread.

    Args:
        read: Feeds the sink.
        observer: Receives the items and the end.
        scheduler: Carries the subscription's loop and gate.
        name: The task's name.

    Attributes:
        is_disposed: Whether the subscription has been disposed, so that no one wants the rest.
    """

    def __init__(
        self,
        read: Callable[[Sink[_T]], Coroutine[Any, Any, None]],
        observer: abc.ObserverBase[_T],
        scheduler: LoopScheduler,
        name: str,
    ) -> None:
        self._read = read
        self._observer = observer
        self._scheduler = scheduler
        self._loop = scheduler.loop
        self._name = name
        self._task: ReaderTask | None = None
        self.is_disposed = False

    def start(self) -> None:
        """Start the task; from another thread, schedule the start on its loop."""
        if running_loop() is self._loop:
            self._start()
        else:
            call_on(self._loop, self._start)

    def dispose(self) -> None:
        """Cancel the task; from another thread, schedule the cancellation on its loop."""
        if self.is_disposed:
            return
        self.is_disposed = True
        if running_loop() is self._loop:
            self._cancel()
            return
        if (task := self._task) is not None and not self._loop.is_running():
            task.forget()  # the call below keeps it alive now, as long as the loop can still make that call
        try:
            self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:  # the loop is closed
            pass

    def _start(self) -> None:
        if not self.is_disposed:
            self._task = ReaderTask(self)

    def _cancel(self) -> None:
        # Break the reference cycle here: a task that is cancelled before its first step never runs its `finally`.
        task, self._task = self._task, None
        # If its loop has ended, the task is already closing, and another cancellation would interrupt that.
        if task is not None and not task.loop_ended:
            task.cancel()

    async def run(self) -> None:
        """Feed the observer. This is the body of the task."""
        try:
            await self._read(Sink(self._observer, self._scheduler, self._name))
        except asyncio.CancelledError as error:
            if not self.is_disposed:
                self._cancelled(error)
            raise
        except Exception as error:
            self._observer.on_error(error)
        except (KeyboardInterrupt, SystemExit) as error:  # whoever waits for the stream must not wait forever
            self._observer.on_error(cast(Exception, error))
            raise
        else:
            self._observer.on_completed()
        finally:
            self._task = None  # a cancelled task keeps its traceback, which refers to this reader

    def _cancelled(self, cause: asyncio.CancelledError) -> None:
        if self._task is not None and self._task.loop_ended:
            if self._scheduler.consumer is not None:
                self._scheduler.consumer.on_loop_end(self._ended("the event loop that it ran on has ended.", cause))
        else:
            what = (
                "its task was cancelled by other code on its event loop. To end a stream, dispose of its subscription."
            )
            self._observer.on_error(self._ended(what, cause))

    def _ended(self, what: str, cause: BaseException) -> TransportError:
        error = TransportError(f"{self._name}: {what}", kind="cancelled")
        error.__cause__ = cause
        return error


class ReaderTask(asyncio.Task[None]):
    """The task of one reader. Its loop keeps it alive until it is done, and it knows why it was cancelled.

    asyncio keeps only weak references to tasks, so a reader that no one awaits could be garbage-collected in the middle
    of its stream. `asyncio.Runner` shuts a loop down by cancelling its tasks while the loop isn't running; that tells a
    shutdown apart from a `cancel()` by other code.
    """

    def __init__(self, reader: Reader[Any]) -> None:
        loop = reader._scheduler.loop  # pyright: ignore[reportPrivateUsage]
        super().__init__(reader.run(), loop=loop, name=reader._name)  # pyright: ignore[reportPrivateUsage]
        self._reader = reader
        self.loop_ended = False
        readers_of(loop).add(self)
        self.add_done_callback(_retrieve)

    @property
    def is_open(self) -> bool:
        """Whether anyone still wants the rest. False once it is disposed, even while it is still closing."""
        return not self._reader.is_disposed

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel, and record whether the loop has stopped running."""
        self.loop_ended |= not self.get_loop().is_running()
        return super().cancel(msg)

    def forget(self) -> None:
        """Release a task whose loop isn't running: if the loop is closed first, nothing can cancel the task."""
        readers_of(self.get_loop()).discard(self)
        self._log_destroy_pending = False


def _retrieve(task: asyncio.Task[None]) -> None:
    assert isinstance(task, ReaderTask)
    readers_of(task.get_loop()).discard(task)
    # Retrieving the exception keeps asyncio from reporting it again. An error that no subscriber took is reported here.
    if not task.cancelled() and isinstance(error := task.exception(), Exception):
        context = {"message": f"stream {task.get_name()}: an error that nobody handled: {error!r}", "exception": error}
        task.get_loop().call_exception_handler(context)
