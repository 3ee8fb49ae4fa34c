"""Reader: one asyncio task that feeds one subscription, and ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar, cast

from reactivex import abc

from rxfal.errors import TransportError

from .gate import DemandGate
from .loop import ReaderTask, call_on, running_loop

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


class Reader(abc.DisposableBase, Generic[_T]):
    """Runs `read(sink)` in a task of `loop`: returning completes the subscription, raising ends it with `on_error`.

    May be started and disposed from any thread.
    """

    def __init__(
        self,
        read: Callable[[Sink[_T]], Coroutine[Any, Any, None]],
        observer: abc.ObserverBase[_T],
        loop: asyncio.AbstractEventLoop,
        gate: DemandGate,
        name: str,
    ) -> None:
        self._read = read
        self._observer = observer
        self._loop = loop
        self._gate = gate
        self._name = name
        self._task: ReaderTask | None = None
        self._is_disposed = False

    def start(self) -> None:
        """Start the task, or ask its loop to."""
        if running_loop() is self._loop:
            self._start()
        else:
            call_on(self._loop, self._start)

    def dispose(self) -> None:
        """Cancel the task, or ask its loop to."""
        if self._is_disposed:
            return
        self._is_disposed = True
        if running_loop() is self._loop:
            self._cancel()
            return
        if (task := self._task) is not None:
            task.disposed = True
            if not self._loop.is_running():
                task.forget()  # the call below holds it now, for as long as there is a loop to make it
        try:
            self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:  # the loop is closed
            pass

    def _start(self) -> None:
        if not self._is_disposed:
            self._task = ReaderTask(self._run(), self._loop, self._name)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.disposed = True
            if not self._task.loop_ended:  # then it is closing already, and another cancellation would stop it
                self._task.cancel()

    async def _run(self) -> None:
        try:
            await self._read(Sink(self._observer, self._gate))
        except asyncio.CancelledError as error:
            if not self._is_disposed and not (self._task and self._task.loop_ended):
                stranger = TransportError(
                    f"{self._name}: the stream's task was cancelled by other code on its event loop. "
                    "To end a stream, dispose of its subscription.",
                    kind="cancelled",
                )
                stranger.__cause__ = error
                self._observer.on_error(stranger)
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
