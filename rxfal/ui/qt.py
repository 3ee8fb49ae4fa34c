"""`on_qt`: deliver items on the thread of a Qt window, with PySide6 or PyQt6."""

from __future__ import annotations

import importlib
import sys
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from reactivex import Observable

from rxfal.reactive.iterate import BUFFER_SIZE

from .crossing import crossing_to

_T = TypeVar("_T")

_BINDINGS = ("PySide6", "PyQt6")


def on_qt(
    owner: Any = None,
    *,
    buffer_size: int = BUFFER_SIZE,
) -> Callable[[Observable[_T]], Observable[_T]]:
    """Deliver the items and the end on Qt's thread, for as long as a window or another QObject lives.

    Nothing blocks and nothing is lost: the sources pause while `buffer_size` items are waiting for Qt. Each delivery
    takes at most 8 ms, so the window stays responsive during a flood of items. When `owner` is destroyed, no more
    callbacks run and the source is disposed, which ends the model's work. Call `on_qt` on Qt's thread. (reactivex's
    QtScheduler loses items from other threads: it starts timers on those threads, where they never fire.)

    - *Emits when* Qt's event loop gets to it.
    - *Pauses when* `buffer_size` items wait, or the consumer is full.
    - *Ends when* the source ends, after the last item.
    - *Cancels when* disposed, or when `owner` is destroyed. Then nothing that waits is delivered; an
      iterator or `await` gets a `TransportError`.

    Args:
        owner: A widget or any other QObject, from PySide6 or PyQt6. By default, items go to the application's thread.
        buffer_size: How many items may wait for Qt before the sources pause.

    Returns:
        An operator.

    Raises:
        TypeError: `owner` is not a QObject of either library.
        RuntimeError: There is no Qt application, or `owner` has already been destroyed.
        ImportError: Neither PySide6 nor PyQt6 is installed.
        ValueError: `buffer_size` is below 1.

    Examples:
        In a window's `__init__`::

            text = client.stream("fal-ai/any-llm", {"prompt": prompt}).pipe(ops.text())
            self.subscription = text.pipe(ui.on_qt(self.label)).subscribe(self.label.setText)
    """
    core: Any = _core_of(owner)
    if core.QCoreApplication.instance() is None:
        raise RuntimeError("on_qt needs Qt's application: make a QApplication first")
    return crossing_to(_QtWindow(core, owner), buffer_size)


class _QtWindow:
    """A QObject (or, without one, the application) and the thread that it lives on."""

    def __init__(self, core: Any, owner: Any) -> None:
        self._core = core
        self._owner = owner
        self._calls: deque[Callable[[], None]] = deque()
        self._receiver: Any = _receiver_class(core)(self._calls)
        home = core.QCoreApplication.instance() if owner is None else owner
        self._receiver.moveToThread(home.thread())  # RuntimeError if the owner is destroyed

    def post(self, callback: Callable[[], None]) -> None:
        # Posting an event is the only call that is safe from any thread and spelled the same in both bindings.
        if self._core.QCoreApplication.instance() is None:
            raise RuntimeError("Qt's application has ended")
        self._calls.append(callback)
        self._core.QCoreApplication.postEvent(self._receiver, self._core.QEvent(self._core.QEvent.Type.User))

    def enter(self, on_gone: Callable[[], None]) -> Callable[[], None]:
        if self._owner is None:
            return _nothing
        # A function, because both bindings hold only weak references to methods. A direct connection, because
        # otherwise Qt would call back on the subscribing thread.
        gone: Callable[..., None] = lambda *_: on_gone()
        try:
            connection = self._owner.destroyed.connect(gone, self._core.Qt.ConnectionType.DirectConnection)
        except RuntimeError:  # already destroyed
            on_gone()
            return _nothing
        return lambda: self._leave(connection)

    def _leave(self, connection: Any) -> None:
        try:
            self._owner.destroyed.disconnect(connection)
        except (RuntimeError, TypeError):  # already destroyed, along with the connection
            pass


def _nothing() -> None:
    pass


@lru_cache
def _receiver_class(core: Any) -> Any:
    class Receiver(core.QObject):
        """Runs one waiting callback for each event it receives."""

        def __init__(self, calls: deque[Callable[[], None]]) -> None:
            super().__init__()  # pyright: ignore[reportUnknownMemberType]
            self._calls = calls

        def customEvent(self, event: Any) -> None:
            self._calls.popleft()()

    return Receiver


def _core_of(owner: Any) -> Any:
    """Find the QtCore module of the object's binding or, without an object, of the binding that the program uses."""
    if owner is not None:
        for kind in type(owner).__mro__:
            binding = kind.__module__.partition(".")[0]
            if binding in _BINDINGS:
                core = importlib.import_module(f"{binding}.QtCore")
                if isinstance(owner, core.QObject):
                    return core
        raise TypeError(f"on_qt takes a QObject of PySide6 or PyQt6, such as a widget, not {type(owner).__name__}")
    imported = [name for name in _BINDINGS if f"{name}.QtCore" in sys.modules]
    for binding in imported or _BINDINGS:
        try:
            return importlib.import_module(f"{binding}.QtCore")
        except ImportError:
            continue
    raise ImportError("on_qt needs PySide6 or PyQt6: pip install PySide6")
