"""What users import as `ops`: all of reactivex's operators, with rxfal's own beside and before them.

    from rxfal import operators as ops

`timeout`, the buffers, `map`, `filter` and `share` are rxfal's versions of reactivex's, with the same arguments and the
same marbles: cheaper per item, on the event loop instead of a thread per timer, and aware of backpressure. `text`,
`deltas`, `chunk_text`, `partial_json`, `throttle_latest`, `conflate`, `exhaust_map`, `keep_alive`, `memoize`,
`retry_backoff`, `on_loop` and `on_thread` are made for streams of models and for those who watch them.

Type checkers read `operators.pyi` beside this file; after a change of the names here, `make stubs` writes it anew.
"""

import reactivex.operators as _rx
from reactivex.operators import *  # noqa: F403  # pyright: ignore[reportWildcardImportFromLibrary]

from rxfal.reactive.operators.buffer import buffer, buffer_with_count, buffer_with_time, buffer_with_time_or_count
from rxfal.reactive.operators.conflate import conflate
from rxfal.reactive.operators.delay import delay
from rxfal.reactive.operators.exhaust_map import exhaust_map
from rxfal.reactive.operators.grouping import (
    group_by,
    group_by_until,
    window,
    window_toggle,
    window_when,
    window_with_count,
    window_with_time,
    window_with_time_or_count,
)
from rxfal.reactive.operators.keep_alive import keep_alive
from rxfal.reactive.operators.memoize import memoize
from rxfal.reactive.operators.observe_on import observe_on
from rxfal.reactive.operators.on_loop import on_loop
from rxfal.reactive.operators.on_thread import on_thread
from rxfal.reactive.operators.per_item import filter, map
from rxfal.reactive.operators.retry import retry_backoff
from rxfal.reactive.operators.sequence_equal import sequence_equal
from rxfal.reactive.operators.share import share
from rxfal.reactive.operators.throttle import throttle_latest
from rxfal.reactive.operators.timeout import timeout
from rxfal.verbs.chunk_text import chunk_text
from rxfal.verbs.partial_json import partial_json
from rxfal.verbs.text import deltas, text

__all__ = [
    "buffer",
    "buffer_with_count",
    "buffer_with_time",
    "buffer_with_time_or_count",
    "chunk_text",
    "conflate",
    "delay",
    "deltas",
    "exhaust_map",
    "filter",
    "group_by",
    "group_by_until",
    "keep_alive",
    "map",
    "memoize",
    "observe_on",
    "on_loop",
    "on_thread",
    "partial_json",
    "retry_backoff",
    "sequence_equal",
    "share",
    "text",
    "throttle_latest",
    "timeout",
    "window",
    "window_toggle",
    "window_when",
    "window_with_count",
    "window_with_time",
    "window_with_time_or_count",
]
__all__ += _rx.__all__
