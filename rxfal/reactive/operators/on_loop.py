"""`on_loop`: deliver items on another event loop, whatever thread they come from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable, abc

from rxfal.reactive.hops import running_loop
from rxfal.reactive.iterate import BUFFER_SIZE, positive

from .on_thread import Crossing

_T = TypeVar("_T")


def on_loop(
    loop: asyncio.AbstractEventLoop, *, buffer_size: int = BUFFER_SIZE
) -> Callable[[Observable[_T]], Observable[_T]]:
    """Deliver the items and the end on an event loop, in order and from any thread.

    Nothing blocks and nothing is lost: the sources pause while `buffer_size` items are waiting for the loop. If the
    loop turns out to be closed when an item arrives, the subscription ends. (With reactivex's AsyncIOScheduler,
    `observe_on` doesn't wake a loop from another thread, and the thread-safe version can block.)

    - *Emits when* the loop gets to it: at its next turn, or at once if the item comes on that loop and none is waiting.
    - *Pauses when* `buffer_size` items wait, or the consumer is full.
    - *Ends when* the source ends, after the last item.
    - *Cancels when* disposed, or when an item comes and the loop is closed. Then nothing that waits is delivered; an
      iterator or `await` gets a `TransportError`.

    Args:
        loop: The event loop on which `on_next`, `on_error` and `on_completed` are called.
        buffer_size: How many items may wait for the loop before the sources pause.

    Returns:
        An operator.

    Raises:
        TypeError: `loop` is not an event loop.
        ValueError: `buffer_size` is below 1.

    Examples:
        >>> import asyncio, reactivex as rx
        >>> from reactivex.scheduler import NewThreadScheduler
        >>> from rxfal import from_observable, operators as ops
        >>> async def main():
        ...     threaded = from_observable(rx.of(1, 2)).pipe(ops.observe_on(NewThreadScheduler()))
        ...     return await threaded.pipe(ops.on_loop(asyncio.get_running_loop()), ops.to_list())
        >>> asyncio.run(main())
        [1, 2]
    """
    if not isinstance(loop, asyncio.AbstractEventLoop):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"on_loop takes an asyncio event loop, not {loop!r}")
    positive(buffer_size)

    def on_loop_(source: Observable[_T]) -> Observable[_T]:
        def subscribe(observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None) -> abc.DisposableBase:
            crossing = Crossing[_T](
                observer, loop.call_soon_threadsafe, buffer_size, scheduler, is_there=lambda: running_loop() is loop
            )
            return crossing.subscribe_to(source, crossing.upstream(scheduler))

        return Observable(subscribe)

    return on_loop_
