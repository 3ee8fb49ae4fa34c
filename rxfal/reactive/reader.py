"""Reader: one asyncio task that feeds one subscription, and ends with it."""

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
    """What a source's coroutine gets: where its items go, and when to pause.

    Attributes:
        on_next: Hands one item to the subscriber, who may run arbitrary code in it.
        gate: Closed while the subscriber is full. `if sink.gate.closed: await sink.gate.wait()` after each item.
    """

    __slots__ = ("gate", "on_next")

    def __init__(self, observer: abc.ObserverBase[_T], gate: DemandGate) -> None:
        self.on_next = observer.on_next
        self.gate = gate


SLICE = 0.010
"""Seconds for which a source may keep its event loop, callbacks included, before the loop's other work has its turn."""

LOOK_EVERY = 16
"""Items after which a source looks at the clock."""


class Turn:
    """How long a source has kept its event loop, for those that may have much to give at once.

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
        until: The time of `time.monotonic` at which the slice is over.
    """

    __slots__ = ("until",)

    def __init__(self) -> None:
        self.until = time.monotonic() + SLICE

    async def look(self) -> None:
        """Leave the loop to its other work, if the slice is over."""
        if time.monotonic() >= self.until:
            await asyncio.sleep(0)
            self.until = time.monotonic() + SLICE


class Reader(abc.DisposableBase, Generic[_T]):
    """Runs `read(sink)` in a task of a loop: returning completes the subscription, raising ends it with `on_error`.

    May be started and disposed from any thread.

    Args:
        read: Feeds the sink.
        observer: Gets the items and the end.
        scheduler: Has the loop and the gate of the subscription.
        name: What the task is called.

    Attributes:
        is_disposed: Whether nobody wants the rest.
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
        """Start the task, or ask its loop to."""
        if running_loop() is self._loop:
            self._start()
        else:
            call_on(self._loop, self._start)

    def dispose(self) -> None:
        """Cancel the task, or ask its loop to."""
        if self.is_disposed:
            return
        self.is_disposed = True
        if running_loop() is self._loop:
            self._cancel()
            return
        if (task := self._task) is not None and not self._loop.is_running():
            task.forget()  # the call below holds it now, for as long as there is a loop to make it
        try:
            self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:  # the loop is closed
            pass

    def _start(self) -> None:
        if not self.is_disposed:
            self._task = ReaderTask(self)

    def _cancel(self) -> None:
        # The task leads back here, and one that is cancelled before its first step clears nothing away.
        task, self._task = self._task, None
        # Where its loop has ended it is closing already, and another cancellation would stop that.
        if task is not None and not task.loop_ended:
            task.cancel()

    async def run(self) -> None:
        """Feed the observer; what its task does."""
        try:
            await self._read(Sink(self._observer, self._scheduler.gate))
        except asyncio.CancelledError as error:
            if not self.is_disposed:
                self._cancelled(error)
            raise
        except Exception as error:
            self._observer.on_error(error)
        except (KeyboardInterrupt, SystemExit) as error:  # who waits for the stream must not wait for ever
            self._observer.on_error(cast(Exception, error))
            raise
        else:
            self._observer.on_completed()
        finally:
            self._task = None  # a cancelled task keeps its traceback, which leads back here

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
    """The task of one reader. Its loop holds it until it is done, and it knows why it was cancelled.

    asyncio keeps only weak references to tasks, so that a reader nobody awaits could be collected in the middle
    of its stream. And `asyncio.Runner` ends a loop by cancelling its tasks while the loop stands still, which is how
    a shut-down is told from a stranger's `cancel()`.
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
        """Whether anyone wants the rest; not so after a disposal, while it still closes."""
        return not self._reader.is_disposed

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancel, and note whether the loop stands still."""
        self.loop_ended |= not self.get_loop().is_running()
        return super().cancel(msg)

    def forget(self) -> None:
        """Let go of a reader whose loop stands still: if it is closed before it runs again, nothing can cancel it."""
        readers_of(self.get_loop()).discard(self)
        self._log_destroy_pending = False


def _retrieve(task: asyncio.Task[None]) -> None:
    assert isinstance(task, ReaderTask)
    readers_of(task.get_loop()).discard(task)
    # What ended it has been delivered, so asyncio need not report it at collection; what nobody took is reported now.
    if not task.cancelled() and isinstance(error := task.exception(), Exception):
        context = {"message": f"stream {task.get_name()}: an error that nobody handled: {error!r}", "exception": error}
        task.get_loop().call_exception_handler(context)
