"""Commands for a window whose toolkit has the main thread: they come in on another one."""

import queue
import threading
from collections.abc import Callable

from commands import command

commands: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()


def _listen() -> None:
    while (received := command()) is not None:
        commands.put(received)
    commands.put(None)


def obey(run: Callable[[list[str] | None], None]) -> None:
    """Run the commands that came; called by the toolkit's timer on its thread."""
    while not commands.empty():
        run(commands.get())


threading.Thread(target=_listen, daemon=True).start()
