"""`map_concurrent`: many inputs through one call, so many at a time, and no more read than there is room for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Generic, Literal, NamedTuple, TypeVar, cast

from reactivex import Observable

from .iterate import iterate, last
from .reader import Sink
from .stream import Stream, create

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class Mapped(NamedTuple, Generic[_In, _Out]):
    """What became of one input of `map_concurrent`.

    Attributes:
        input: The input.
        value: The last value that its call gave; None where it failed.
        error: Why it failed, with `errors="items"`; else None.
    """

    input: _In
    value: _Out
    error: Exception | None = None


def map_concurrent(
    inputs: Iterable[_In] | AsyncIterable[_In] | Observable[_In],
    call: Callable[[_In], Observable[_Out]],
    concurrency: int = 8,
    ordered: bool = False,
    *,
    errors: Literal["end", "items"] = "end",
    name: str = "map_concurrent",
) -> Stream[Mapped[_In, _Out]]:
    """The last value of `call(item)` for each item of `inputs`, with `concurrency` of them under way at once.

    An input is read when a place is free and the consumer has room, not before: inputs and results may be endless.

    Args:
        inputs: An iterable, an async iterable or an Observable. An iterator (a generator, a file) can be read by one
            subscription only.
        call: Gives a cold Observable for one input.
        concurrency: How many calls are under way at once.
        ordered: Whether results keep the order of their inputs; else each comes when it is there. A slow call then
            holds back at most `concurrency - 1` results.
        errors: `"end"`: the first error ends the stream and cancels the other calls; `"items"`: an error is a result.
        name: What reports call the stream.

    Returns:
        A cold Stream of `Mapped` results.

    Raises:
        TypeError: For inputs that are none of the three, or a single text or mapping.
        ValueError: For a concurrency below 1, or another word for `errors`.

    Examples:
        >>> import reactivex as rx
        >>> doubled = map_concurrent([1, 2, 3], lambda number: rx.of(number * 2), ordered=True)
        >>> [result.value for result in doubled]
        [2, 4, 6]
    """
    given: Any = inputs
    if not isinstance(given, Iterable | AsyncIterable | Observable) or isinstance(given, str | bytes | Mapping):
        raise TypeError(f"inputs is an iterable, an async iterable or an Observable of inputs, not {given!r:.80}")
    if concurrency < 1:
        raise ValueError(f"concurrency must be at least 1, not {concurrency}")
    if errors not in ("end", "items"):
        raise ValueError(f"errors is 'end' or 'items', not {errors!r}")

    async def outcome(item: _In) -> Mapped[_In, _Out]:
        try:
            return Mapped(item, await last(call(item)))
        except Exception as error:
            if errors == "end":
                raise
            return Mapped(item, cast(_Out, None), error)

    async def read(sink: Sink[Mapped[_In, _Out]]) -> None:
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        turn.set_result(None)
        pulling = asyncio.Lock()

        async def work() -> None:
            nonlocal turn
            while True:
                async with pulling:
                    if sink.gate.closed:
                        await sink.gate.wait()
                    try:
                        item = await anext(items)
                    except StopAsyncIteration:
                        return
                    my_turn, turn = turn, loop.create_future()
                    next_turn = turn
                result = await outcome(item)
                if ordered:
                    await my_turn
                sink.on_next(result)
                next_turn.set_result(None)

        async with aclosing(_pulled(inputs)) as items, FirstErrorTaskGroup() as workers:
            for _ in range(concurrency):
                workers.create_task(work())

    return create(read, name=name)


class FirstErrorTaskGroup(asyncio.TaskGroup):
    """Raises its first error itself, not a group of them: whoever subscribed to one stream wants one error."""

    async def __aexit__(self, *raised: Any) -> None:
        try:
            await super().__aexit__(*raised)
        except BaseExceptionGroup as failures:
            error = failures.exceptions[0]
            raise error from error.__cause__


async def _pulled(inputs: Iterable[_In] | AsyncIterable[_In] | Observable[_In]) -> AsyncGenerator[_In, None]:
    """Any kind of inputs as one that is pulled; a Stream counts as an Observable, though it is iterable too."""
    if isinstance(inputs, Observable):
        async with aclosing(iterate(inputs, buffer_size=1)) as pulled:
            async for item in pulled:
                yield item
    elif isinstance(inputs, AsyncIterable):
        async for item in inputs:
            yield item
    else:
        for item in inputs:
            yield item
