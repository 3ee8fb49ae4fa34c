"""Streams in windows: operators that hand items to a toolkit's own thread.

    from rxfal import operators as ops, ui

    subscription = stream.pipe(ops.text(), ui.on_qt(label)).subscribe(label.setText)

No toolkit is imported before its operator is called. For any other toolkit there is `rxfal.operators.on_thread`.
"""

from .qt import on_qt
from .tk import on_tk

__all__ = ["on_qt", "on_tk"]
