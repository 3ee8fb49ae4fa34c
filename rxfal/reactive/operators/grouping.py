"""`group_by` and the window operators, whose items are Streams that can be awaited, iterated and piped.

Applied to a plain Observable, they are reactivex's own operators, and their items are plain Observables.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from reactivex import Observable
from reactivex import operators as rx_ops

from .per_item import map

__all__ = [
    "group_by",
    "group_by_until",
    "window",
    "window_toggle",
    "window_when",
    "window_with_count",
    "window_with_time",
    "window_with_time_or_count",
]

_F = TypeVar("_F", bound=Callable[..., Any])


def _of_streams(operator: _F) -> _F:
    @functools.wraps(operator)
    def make(*args: Any, **kwargs: Any) -> Any:
        plain = operator(*args, **kwargs)

        def apply(source: Observable[Any]) -> Observable[Any]:
            adopt = getattr(source, "_adopt", None)
            return plain(source) if adopt is None else plain(source).pipe(map(adopt))

        return apply

    return make  # pyright: ignore[reportReturnType]


group_by = _of_streams(rx_ops.group_by)
group_by_until = _of_streams(rx_ops.group_by_until)
window = _of_streams(rx_ops.window)
window_toggle = _of_streams(rx_ops.window_toggle)
window_when = _of_streams(rx_ops.window_when)
window_with_count = _of_streams(rx_ops.window_with_count)
window_with_time = _of_streams(rx_ops.window_with_time)
window_with_time_or_count = _of_streams(rx_ops.window_with_time_or_count)
