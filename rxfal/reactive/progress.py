"""ProgressStream: a Stream of steps that ends with a result, which is what awaiting it gives."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, Self, TypeVar, cast

from reactivex import abc

from .reader import Sink
from .stream import Stream, create

_Step = TypeVar("_Step", covariant=True)
_Result = TypeVar("_Result", covariant=True)


class ProgressStream(Stream[_Step | _Result], Generic[_Step, _Result]):
    """A Stream whose last item is of a type of its own. Type checkers know it from `await`, `wait()` and `run()`."""

    @classmethod
    def fed_by(
        cls, read: Callable[[Sink[Any]], Coroutine[Any, Any, None]], *, name: str, unused: str | None = None
    ) -> Self:
        """A cold Stream that is fed by a coroutine, as by `create`. The last item that it emits is the result.

        Examples:
            >>> async def read(sink):
            ...     sink.on_next("half")
            ...     sink.on_next(1.0)
            >>> ProgressStream.fed_by(read, name="work").run()
            1.0
        """
        source: Stream[Any] = create(read, name=name, unused=unused)
        return cls(source._subscribe_core, name=name)

    async def wait(self) -> _Result:
        """Wait for the result, like `await stream`, but as a coroutine; see `Stream.wait`."""
        return cast(_Result, await super().wait())

    def __await__(self) -> Generator[Any, None, _Result]:
        """Wait for the result; cancelling the wait disposes the subscription."""
        return cast("Generator[Any, None, _Result]", super().__await__())

    def run(self, scheduler: abc.SchedulerBase | None = None) -> _Result:
        """Block until the result is there; see `Stream.run`."""
        return cast(_Result, super().run(scheduler))
