"""One request for everyone who wants its answer at the same time."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

__all__ = ["Flights"]

_T = TypeVar("_T")


@dataclass(slots=True)
class _Flight(Generic[_T]):
    """A question that has been asked, and how many wait for the answer."""

    task: asyncio.Task[_T]
    waiting: int = 0


class Flights(Generic[_T]):
    """The questions that have been asked and not answered yet, separately for each event loop.

    If one of those who wait is cancelled, the others still get the answer. If all are, the question is cancelled.
    """

    def __init__(self) -> None:
        self._flights: dict[tuple[asyncio.AbstractEventLoop, Hashable], _Flight[_T]] = {}

    async def join(self, question: Hashable, ask: Callable[[], Coroutine[Any, Any, _T]], *, name: str) -> _T:
        """The answer to a question that has already been asked, or else is asked now.

        Args:
            question: What makes two questions the same.
            ask: Asks it.
            name: The name of its task.
        """
        place = loop, _ = asyncio.get_running_loop(), question
        flight = self._flights.get(place)
        if flight is None:
            flight = self._flights[place] = _Flight(loop.create_task(ask(), name=name))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.task.done() or not flight.waiting:
                flight.task.cancel()
                if self._flights.get(place) is flight:
                    del self._flights[place]
