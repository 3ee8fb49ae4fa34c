"""`map_concurrent`: make one call for each of many inputs, a limited number at a time, reading only as needed."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Generic, Literal, NamedTuple, cast

from reactivex import Observable
from typing_extensions import TypeVar

from rxfal.errors import TransportError

from .iterate import iterate, last
from .reader import Sink
from .stream import Stream, create

_T = TypeVar("_T")
_In = TypeVar("_In")
_Out = TypeVar("_Out")
_Key = TypeVar("_Key", default=None)


class Mapped(NamedTuple, Generic[_In, _Out, _Key]):
    """The result of one input of `map_concurrent`.

    `Mapped[Row, Answer]` is a result without a key; `Mapped[Row, Answer, int]` has a number as its key.

    Attributes:
        input: The input.
        value: The last value of its call, or None if the call failed.
        error: With `errors="items"`, the exception if the call failed; otherwise None.
        key: What the `key` function returned for the input, or None without one.
    """

    input: _In
    value: _Out
    error: Exception | None = None
    key: _Key = cast(Any, None)


def map_concurrent(
    inputs: Iterable[_In] | AsyncIterable[_In] | Observable[_In],
    call: Callable[[_In], Observable[_Out]],
    concurrency: int = 8,
    ordered: bool = False,
    *,
    key: Callable[[_In], _Key] | None = None,
    errors: Literal["end", "items"] = "end",
    name: str = "map_concurrent",
) -> Stream[Mapped[_In, _Out | None, _Key]]:
    """Emit the last value of `call(item)` for each item of `inputs`, running up to `concurrency` calls at once.

    An input is read only when a slot is free and the consumer has room, so inputs and results may be endless.

    - *Emits when* a call has completed; with `ordered`, when those of all earlier inputs have too.
    - *Pauses when* the consumer is full. No input is read then; running calls go on.
    - *Ends when* the inputs have ended and every call has, or at the first error with `errors="end"`.
    - *Cancels when* disposed. That cancels the running calls, and so does the first error with `errors="end"`.

    Args:
        inputs: An iterable, an async iterable or an Observable. An iterator (a generator, a file) can serve only one
            subscription.

        call: Takes one input and returns a cold Observable.
        concurrency: How many calls may run at once.
        ordered: If true, results keep the order of their inputs, and a slow call holds back at most
            `concurrency - 1` results. Otherwise each result is emitted as soon as it is there.
        key: Takes one input and returns a key that identifies its result. It is called when the input is read; an
            exception that it raises counts as an error of the inputs.
        errors: With `"end"`, the first error of a call or of the inputs ends the stream and cancels the other calls.
            With `"items"`, a call's error becomes a result, and an error of the inputs ends the stream once the
            running calls have finished.
        name: The stream's name in error reports.

    Returns:
        A cold Stream of `Mapped` results. A value is None only if its call failed.

    Raises:
        TypeError: `inputs` is none of the three, or a single string, bytes or mapping; or an option has a wrong type.
        ValueError: `concurrency` is below 1, or `errors` is another word.

    Examples:
        >>> import reactivex as rx
        >>> doubled = map_concurrent([1, 2, 3], lambda number: rx.of(number * 2), ordered=True)
        >>> [result.value for result in doubled]
        [2, 4, 6]
    """
    _check(inputs, call, concurrency, key, errors)

    async def outcome(item: _In, its_key: _Key) -> Mapped[_In, _Out | None, _Key]:
        try:
            return Mapped(item, await last(_observable(call(item))), None, its_key)
        except (Exception, asyncio.CancelledError) as error:
            return Mapped(item, None, _unless_ours(error, f"{name}: a call"), its_key)

    async def read(sink: Sink[Mapped[_In, _Out | None, _Key]]) -> None:
        places = asyncio.Semaphore(concurrency)
        before: asyncio.Task[None] | None = None
        broken: Exception | None = None

        async def work(item: _In, its_key: _Key, before: asyncio.Task[None] | None) -> None:
            result = await outcome(item, its_key)
            if result.error is not None and errors == "end":
                raise result.error
            if before is not None and not before.done():
                await asyncio.wait([before])
            sink.on_next(result)

        async with aclosing(_pulled(inputs)) as items, FirstErrorTaskGroup() as calls:
            while True:
                await places.acquire()
                if sink.gate.closed:
                    await sink.gate.wait()
                try:
                    item = await anext(items)
                    its_key = cast(_Key, key(item) if key else None)
                except StopAsyncIteration:
                    break
                except (Exception, asyncio.CancelledError) as error:
                    broken = _unless_ours(error, f"{name}: an input")
                    break
                task = calls.create_task(work(item, its_key, before))
                task.add_done_callback(lambda _: places.release())
                before = task if ordered else None
            if broken is not None and errors == "end":
                raise broken  # inside the group, which cancels the calls
        if broken is not None:
            raise broken  # after the last call has finished

    return create(read, name=name)


def _check(inputs: Any, call: Any, concurrency: Any, key: Any, errors: Any) -> None:
    if not isinstance(inputs, Iterable | AsyncIterable | Observable) or isinstance(inputs, str | bytes | Mapping):
        raise TypeError(f"inputs is an iterable, an async iterable or an Observable of inputs, not {inputs!r:.80}")
    if not callable(call) or inspect.iscoroutinefunction(call):
        raise TypeError(f"call is a function that takes an input and returns an Observable, not {call!r:.80}")
    if not isinstance(concurrency, int):
        raise TypeError(f"concurrency is a whole number of calls, not {concurrency!r:.80}")
    if concurrency < 1:
        raise ValueError(f"concurrency must be at least 1, not {concurrency}")
    if key is not None and not callable(key):
        raise TypeError(f"key is a function of an input, not {key!r:.80}")
    if errors not in ("end", "items"):
        raise ValueError(f"errors is 'end' or 'items', not {errors!r}")


def _observable(given: Observable[_T]) -> Observable[_T]:
    if not isinstance(given, Observable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"call must return an Observable, not {type(given).__name__}")
    return given


def _unless_ours(error: Exception | asyncio.CancelledError, what: str) -> Exception:
    """Return the error to report. That includes a cancellation by other code; if this task is cancelled, re-raise."""
    if isinstance(error, Exception):
        return error
    task = asyncio.current_task()
    if task is None or task.cancelling():
        raise error
    cancelled = TransportError(
        f"{what} was cancelled by other code on its event loop, so there is no result", kind="cancelled"
    )
    cancelled.__cause__ = error
    return cancelled


class FirstErrorTaskGroup(asyncio.TaskGroup):
    """Raises its first error itself rather than a group, because a subscriber to one stream expects one error."""

    async def __aexit__(self, *raised: Any) -> None:
        try:
            await super().__aexit__(*raised)
        except BaseExceptionGroup as failures:
            error = failures.exceptions[0]
            raise error from error.__cause__


async def _pulled(inputs: Iterable[_In] | AsyncIterable[_In] | Observable[_In]) -> AsyncGenerator[_In, None]:
    """Turn any kind of inputs into an async generator. A Stream counts as an Observable, though it is iterable too."""
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
