"""Other threads, with and without an event loop, and ways to hold or hurry them; every wait has an end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from tests.reactive.sources import PATIENCE

_T = TypeVar("_T")


class Elsewhere:
    """An event loop in a thread of its own, which the test can hold still."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._main, name="elsewhere", daemon=True)
        self.thread.start()

    def _main(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def call(self, function: Callable[[], Any]) -> Any:
        """Call it there, and give what it returns."""
        result: Future[Any] = Future()
        self.loop.call_soon_threadsafe(lambda: result.set_result(function()))
        return result.result(PATIENCE)

    def hold(self) -> Callable[[], None]:
        """Block the loop until the returned function is called."""
        held, release = threading.Event(), threading.Event()
        self.loop.call_soon_threadsafe(lambda: (held.set(), release.wait(PATIENCE)))
        assert held.wait(PATIENCE)
        return release.set

    def close(self) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(PATIENCE)
            self.loop.close()


def in_a_plain_thread(call: Callable[[], _T], patience: float = PATIENCE) -> _T:
    """What a call gives that is made as a plain script makes it, without an event loop; one that hangs is a failure."""
    result: Future[_T] = Future()

    def make() -> None:
        try:
            result.set_result(call())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=make, daemon=True).start()
    return result.result(patience)


@contextmanager
def a_quick_loop(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Within the block, the loop does at once what another thread asks, and only that until the thread goes on."""
    ask = loop.call_soon_threadsafe

    def ask_and_wait(callback: Callable[..., Any], *args: Any, context: Any = None) -> asyncio.Handle:
        done = threading.Event()
        handle = ask(callback, *args, context=context)
        if asyncio._get_running_loop() is not loop:

            def stand_still() -> None:
                done.set()
                time.sleep(0.01)

            ask(loop.call_soon, stand_still)  # after what the callback asked the loop for, before what that asks for
            done.wait(1.0)  # where it needs a lock that the asking thread holds, it has to come later
        return handle

    loop.call_soon_threadsafe = ask_and_wait
    try:
        yield
    finally:
        del loop.call_soon_threadsafe
