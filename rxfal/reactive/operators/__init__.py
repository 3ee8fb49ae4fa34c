"""rxfal's own operators, one per file, and its versions of reactivex's. Users import them from `rxfal.operators`.

The modules that a `Stream`'s fluent methods need are attributes of this package and are loaded on first use.
"""

from typing import TYPE_CHECKING

__all__ = ["buffer", "delay", "grouping", "observe_on", "per_item", "sequence_equal", "share", "timeout"]

if TYPE_CHECKING:
    from . import buffer, delay, grouping, observe_on, per_item, sequence_equal, share, timeout
else:
    from rxfal._lazy import load_later

    __getattr__, __dir__ = load_later(__name__, submodules=__all__)
