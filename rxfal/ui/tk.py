"""`on_tk`: deliver items on Tk's thread."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from reactivex import Observable

from rxfal.reactive.iterate import BUFFER_SIZE

from .crossing import crossing_to

if TYPE_CHECKING:
    import tkinter

_T = TypeVar("_T")


def on_tk(
    widget: tkinter.Misc, *, every: float = 0.015, buffer_size: int = BUFFER_SIZE
) -> Callable[[Observable[_T]], Observable[_T]]:
    """Deliver the items and the end on Tk's thread, for as long as a widget lives.

    Nothing blocks and nothing is lost: the sources pause while `buffer_size` items are waiting for Tk. Tk checks for
    items every 15 ms and delivers them for at most 8 ms at a time. When the widget is destroyed, no more callbacks run
    and the source is disposed, which ends the model's work. Call `on_tk` and subscribe on Tk's thread. (A call into Tk
    blocks any other thread that makes it. reactivex's TkinterScheduler makes such calls from the event loop: it stalls
    all of the loop's streams while the interface is busy, and loses them if `mainloop` starts late.)

    - *Emits when* Tk checks for it, every `every` seconds.
    - *Pauses when* `buffer_size` items wait, or the consumer is full.
    - *Ends when* the source ends, after the last item.
    - *Cancels when* disposed, or when the widget is destroyed. Then nothing that waits is delivered; an
      iterator or `await` gets a `TransportError`.

    Args:
        widget: Any widget, such as the root window.
        every: Seconds between checks for waiting items.
        buffer_size: How many items may wait for Tk before the sources pause.

    Returns:
        An operator.

    Raises:
        TypeError: `widget` is not a tkinter widget, or `every` is not a number.
        ValueError: `every` is not above 0, or `buffer_size` is below 1.
        RuntimeError: The widget has already been destroyed.

    Examples:
        In a program with a window::

            text = client.stream("fal-ai/any-llm", {"prompt": prompt}).pipe(ops.text())
            subscription = text.pipe(ui.on_tk(label)).subscribe(lambda text: label.config(text=text))
    """
    import tkinter

    if not isinstance(widget, tkinter.Misc):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"on_tk takes a widget of tkinter, not {type(widget).__name__}")
    if not isinstance(every, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"every is in seconds, not {every!r}")
    if not every > 0:
        raise ValueError(f"every is in seconds and above 0, not {every!r}")
    return crossing_to(_TkWindow(widget, max(1, round(every * 1000))), buffer_size)


class _TkWindow:
    """A widget, and the callbacks that are waiting for Tk's thread."""

    def __init__(self, widget: tkinter.Misc, milliseconds: int) -> None:
        import tkinter

        self._widget = widget
        self._milliseconds = milliseconds
        self._thread = threading.get_ident()
        self._calls: deque[Callable[[], None]] = deque()
        self._present: dict[object, Callable[[], None]] = {}
        self._timer: str | None = None
        self._is_gone = False
        try:
            # Never removed: tkinter can't remove one binding without removing all others for the same event.
            widget.bind("<Destroy>", _weakly(self), add="+")
        except tkinter.TclError as error:
            raise RuntimeError(f"on_tk was given a widget that has been destroyed: {error}") from error

    def post(self, callback: Callable[[], None]) -> None:
        if self._is_gone:
            raise RuntimeError("the widget is destroyed")
        self._calls.append(callback)

    def enter(self, on_gone: Callable[[], None]) -> Callable[[], None]:
        if threading.get_ident() != self._thread:
            raise RuntimeError(
                "a stream with on_tk must be subscribed on Tk's thread: put on_tk after any operator that subscribes "
                "again, such as retry"
            )
        if self._is_gone:
            on_gone()
            return _nothing
        place = object()
        self._present[place] = on_gone
        if self._timer is None:
            self._timer = self._widget.after(self._milliseconds, self._look)
        return lambda: self._leave(place)

    def _leave(self, place: object) -> None:
        self._present.pop(place, None)
        if not self._present and self._timer is not None and threading.get_ident() == self._thread:
            self._widget.after_cancel(self._timer)  # on any other thread, the next check is the last
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        try:
            for _ in range(len(self._calls)):  # callbacks added meanwhile wait for the next check
                if self._is_gone:
                    return
                self._calls.popleft()()
        finally:
            if self._present and not self._is_gone:
                self._timer = self._widget.after(self._milliseconds, self._look)

    def destroyed(self, event: Any) -> None:
        """Handle `<Destroy>`, which arrives for the widget and for every widget inside it."""
        if event.widget is self._widget:
            self._is_gone = True
            self._calls.clear()
            present, self._present = self._present, {}
            for on_gone in list(present.values()):  # a copy: other threads may leave meanwhile
                on_gone()


def _nothing() -> None:
    pass


def _weakly(window: _TkWindow) -> Callable[[Any], None]:
    reference = weakref.ref(window)

    def on_destroy(event: Any) -> None:
        if (present := reference()) is not None:
            present.destroyed(event)

    return on_destroy
