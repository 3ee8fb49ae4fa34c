"""`on_tk`: items cross to Tk's thread."""

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
    """Hand the items, and the end, to Tk's thread, for as long as a widget lives.

    Nothing blocks, and nothing is lost: the sources pause when `buffer_size` items wait for Tk, which looks for them
    every 15 ms and delivers for 8 ms at most. When the widget is destroyed, nothing more is called and the source is
    disposed, which ends the model's work. Call it, and subscribe, on Tk's thread. (Every call of Tk from another thread
    blocks that thread; reactivex's TkinterScheduler makes such calls from the event loop, stalls all its streams while
    the interface is busy, and loses them when `mainloop` begins late.)

    Emits when: Tk looks. Pauses when: `buffer_size` items wait. Ends when: the source ends, after the last item.
    Cancels
    when: disposed, or when the widget is destroyed.

    Args:
        widget: A widget, the root window for instance.
        every: Seconds from one look to the next.
        buffer_size: Items that may wait for Tk before the sources are paused.

    Returns:
        An operator.

    Raises:
        TypeError: For something that is no widget of tkinter, or an `every` that is no number.
        ValueError: For an `every` that is not above 0, or a `buffer_size` below 1.
        RuntimeError: For a widget that is destroyed already.

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
    """A widget, and the calls that wait for Tk's thread to look."""

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
            # Added for good: tkinter can't remove one binding without the others of the same event.
            widget.bind("<Destroy>", _weakly(self), add="+")
        except tkinter.TclError as error:
            raise RuntimeError(f"on_tk was given a widget that is destroyed: {error}") from error

    def post(self, callback: Callable[[], None]) -> None:
        if self._is_gone:
            raise RuntimeError("the widget is destroyed")
        self._calls.append(callback)

    def enter(self, on_gone: Callable[[], None]) -> Callable[[], None]:
        if threading.get_ident() != self._thread:
            raise RuntimeError(
                "a stream with on_tk is subscribed to on Tk's thread: put on_tk behind whatever subscribes again, "
                "such as retry"
            )
        if self._is_gone:
            raise RuntimeError("the widget is destroyed")
        place = object()
        self._present[place] = on_gone
        if self._timer is None:
            self._timer = self._widget.after(self._milliseconds, self._look)
        return lambda: self._leave(place)

    def _leave(self, place: object) -> None:
        self._present.pop(place, None)
        if not self._present and self._timer is not None and threading.get_ident() == self._thread:
            self._widget.after_cancel(self._timer)  # elsewhere, the next look is the last
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        try:
            for _ in range(len(self._calls)):  # what comes meanwhile waits for the next look
                if self._is_gone:
                    return
                self._calls.popleft()()
        finally:
            if self._present and not self._is_gone:
                self._timer = self._widget.after(self._milliseconds, self._look)

    def destroyed(self, event: Any) -> None:
        """Called for the widget, and for what is inside it."""
        if event.widget is self._widget:
            self._is_gone = True
            self._calls.clear()
            present, self._present = self._present, {}
            for on_gone in present.values():
                on_gone()


def _weakly(window: _TkWindow) -> Callable[[Any], None]:
    reference = weakref.ref(window)

    def on_destroy(event: Any) -> None:
        if (present := reference()) is not None:
            present.destroyed(event)

    return on_destroy
