"""Streams in desktop windows: operators that deliver items on a GUI toolkit's own thread.

    from rxfal import operators as ops, ui

    subscription = stream.pipe(ops.text(), ui.on_qt(label)).subscribe(label.setText)

A toolkit is imported only when its operator is called. For any other toolkit, use `rxfal.operators.on_thread`.
"""

from .qt import on_qt
from .tk import on_tk

__all__ = ["on_qt", "on_tk"]
