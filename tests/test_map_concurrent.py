"""`map_concurrent`: bounded concurrency, order, errors as items or as the end, inputs read no faster than needed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import reactivex as rx

import rxfal
from rxfal import operators as ops
from rxfal.reactive.concurrent import map_concurrent
from rxfal.reactive.reader import Sink
from rxfal.reactive.stream import create
from rxfal.testing import FalServer, Status


class Calls:
    """A call that is under way until the test lets it go, by its input."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.cancelled: list[int] = []
        self.peak = 0
        self._going: dict[int, asyncio.Future[Any]] = {}
        self._changed = asyncio.Event()

    def __call__(self, item: int) -> rxfal.Stream[int]:
        async def read(sink: Sink[int]) -> None:
            going = self._going[item] = asyncio.get_running_loop().create_future()
            self.started.append(item)
            self.peak = max(self.peak, len(self._going))
            self._changed.set()
            try:
                sink.on_next(await going)
            except asyncio.CancelledError:
                self.cancelled.append(item)
                raise
            finally:
                del self._going[item]
                self._changed.set()

        return create(read, name=f"call {item}")

    async def until(self, under_way: set[int]) -> None:
        async with asyncio.timeout(5):
            while set(self._going) != under_way:
                self._changed.clear()
                await self._changed.wait()

    def finish(self, item: int) -> None:
        self._going[item].set_result(item * 10)

    def fail(self, item: int) -> None:
        self._going[item].set_exception(ValueError(f"call {item} failed"))


@pytest.fixture
async def calls() -> Calls:
    return Calls()


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_so_many_are_under_way_at_once_and_results_come_when_they_are_there(calls: Calls) -> None:
    results = aiter(map_concurrent(range(4), calls, concurrency=2))
    first = asyncio.ensure_future(anext(results))
    await calls.until({0, 1})
    calls.finish(1)
    assert await first == (1, 10, None, None)
    await calls.until({0, 2})
    calls.finish(0)
    assert (await anext(results)).input == 0
    await calls.until({2, 3})
    calls.finish(3)
    calls.finish(2)
    assert {(await anext(results)).input, (await anext(results)).input} == {2, 3}
    with pytest.raises(StopAsyncIteration):
        await anext(results)
    assert calls.peak == 2


async def test_ordered_results_keep_the_order_of_their_inputs(calls: Calls) -> None:
    everything = asyncio.ensure_future(map_concurrent(range(3), calls, 3, ordered=True).to_list())
    await calls.until({0, 1, 2})
    for item in (2, 1, 0):
        calls.finish(item)
    assert [result.value for result in await everything] == [0, 10, 20]


async def test_the_first_error_ends_it_and_cancels_the_others(calls: Calls) -> None:
    everything = asyncio.ensure_future(map_concurrent(range(100), calls, 3).to_list())
    await calls.until({0, 1, 2})
    calls.fail(1)
    with pytest.raises(ValueError, match="call 1 failed"):
        await everything
    assert sorted(calls.cancelled) == [0, 2]
    assert calls.started == [0, 1, 2]


async def test_errors_can_be_items(calls: Calls) -> None:
    everything = asyncio.ensure_future(map_concurrent(range(2), calls, 2, ordered=True, errors="items").to_list())
    await calls.until({0, 1})
    calls.fail(0)
    calls.finish(1)
    failed, fine = await everything
    assert (failed.input, failed.value, str(failed.error)) == (0, None, "call 0 failed")
    assert fine == (1, 10, None, None)


async def test_a_call_without_a_value_is_an_error() -> None:
    results = await map_concurrent([1], lambda _: rx.empty(), errors="items").to_list()
    assert type(results[0].error).__name__ == "SequenceContainsNoElementsError"


def cancelled_by_others(_: Any) -> rx.Observable[int]:
    """What `rx.from_future` makes of a future that somebody cancels."""
    going: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(going.cancel)
    return rx.from_future(going)


def cancelled_at_once(_: Any) -> rx.Observable[int]:
    raise asyncio.CancelledError


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("cancelled", [cancelled_by_others, cancelled_at_once])
async def test_a_call_that_ends_in_a_cancellation_is_an_error_of_its_input(ordered: bool, cancelled: Any) -> None:
    def call(number: int) -> rx.Observable[int]:
        return cancelled(number) if number == 1 else rx.of(number)

    async with asyncio.timeout(5):
        results = await map_concurrent(range(4), call, 2, ordered, errors="items").to_list()
        with pytest.raises(rxfal.TransportError, match="a call was cancelled"):
            await map_concurrent(range(4), call, 2, ordered)
    assert sorted(result.input for result in results) == [0, 1, 2, 3]
    (error,) = (result.error for result in results if result.error)
    assert isinstance(error, rxfal.TransportError)
    assert error.kind == "cancelled"
    assert isinstance(error.__cause__, asyncio.CancelledError)
    if ordered:
        assert [result.value for result in results] == [0, None, 2, 3]


async def test_disposing_cancels_what_is_under_way(calls: Calls) -> None:
    subscription = map_concurrent(range(100), calls, 3).subscribe()
    await calls.until({0, 1, 2})
    subscription.dispose()
    await turns()
    assert sorted(calls.cancelled) == [0, 1, 2]
    assert calls.started == [0, 1, 2]


async def test_disposing_while_an_input_is_waited_for_cancels_what_is_under_way(calls: Calls) -> None:
    async def inputs() -> AsyncIterator[int]:
        yield 0
        await asyncio.Event().wait()

    subscription = map_concurrent(inputs(), calls, 3, errors="items").subscribe()
    await calls.until({0})
    subscription.dispose()
    await calls.until(set())
    assert calls.cancelled == [0]


@pytest.mark.parametrize("ordered", [False, True])
async def test_an_endless_input_is_read_no_faster_than_its_results_are_taken(ordered: bool) -> None:
    read = 0

    def endless() -> Iterator[int]:
        nonlocal read
        while True:
            read += 1
            yield read

    results = rxfal.iterate(map_concurrent(endless(), lambda n: rx.of(n), 4, ordered), buffer_size=4)
    for _ in range(50):
        await anext(results)
        await turns()
    assert read <= 50 + 4 + 4  # taken, waiting for us, under way
    await results.aclose()


async def endless_async() -> AsyncIterator[int]:
    number = 0
    while True:
        yield number
        number += 1


async def count(sink: Sink[int]) -> None:
    for number in range(1_000_000):
        sink.on_next(number)
        if sink.gate.closed:
            await sink.gate.wait()


@pytest.mark.parametrize("inputs", [endless_async, lambda: create(count, name="count")], ids=["async", "Stream"])
async def test_async_iterables_and_streams_are_inputs_too(inputs: Callable[[], Any]) -> None:
    results = rxfal.iterate(map_concurrent(inputs(), lambda n: rx.of(-n), 3, ordered=True), buffer_size=2)
    assert [(await anext(results)).value for _ in range(20)] == [-n for n in range(20)]
    await results.aclose()


async def test_a_failing_input_ends_it_and_cancels_what_is_under_way(calls: Calls) -> None:
    def inputs() -> Iterator[int]:
        yield 0
        raise RuntimeError("no more lines")

    with pytest.raises(RuntimeError, match="no more lines"):
        await map_concurrent(inputs(), calls, 3)
    assert calls.cancelled == calls.started


async def failing(error: BaseException) -> AsyncIterator[int]:
    for number in range(2):
        yield number
    raise error


async def cancelled() -> AsyncIterator[int]:
    for number in range(2):
        yield number
    going: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    going.cancel()
    yield await going


INPUTS = [
    (lambda: failing(RuntimeError("no more lines")), RuntimeError, "no more lines"),
    (lambda: rxfal.from_observable(rx.concat(rx.of(0, 1), rx.throw(KeyError("gone")))), KeyError, "gone"),
    (cancelled, rxfal.TransportError, "an input was cancelled"),
]


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize(("inputs", "kind", "message"), INPUTS, ids=["async", "Stream", "cancelled"])
async def test_with_errors_as_items_a_failing_input_throws_no_call_away(
    calls: Calls, inputs: Callable[[], Any], kind: type[Exception], message: str, ordered: bool
) -> None:
    results: list[Any] = []
    stream = map_concurrent(inputs(), calls, 3, ordered, errors="items").do_action(results.append)
    everything = asyncio.ensure_future(stream.to_list())
    await calls.until({0, 1})
    await turns()
    calls.finish(1)
    await turns()
    calls.fail(0)
    with pytest.raises(kind, match=message):
        await everything
    assert sorted((result.input, result.value, str(result.error)) for result in results) == [
        (0, None, "call 0 failed"),
        (1, 10, "None"),
    ]
    assert calls.cancelled == []


async def test_after_a_failing_input_no_more_are_pulled(calls: Calls) -> None:
    class Lines:
        pulled = 0

        def __iter__(self) -> Iterator[int]:
            return self

        def __next__(self) -> int:
            self.pulled += 1
            if self.pulled == 2:
                raise ValueError("line 2")
            return self.pulled

    lines = Lines()
    everything = asyncio.ensure_future(map_concurrent(lines, calls, 3, errors="items").to_list())
    await calls.until({1})
    await turns()
    calls.finish(1)
    with pytest.raises(ValueError, match="line 2"):
        await everything
    assert lines.pulled == 2


async def test_a_key_travels_to_its_result(calls: Calls) -> None:
    everything = asyncio.ensure_future(
        map_concurrent(range(2), calls, key=lambda number: f"row {number}", ordered=True, errors="items").to_list()
    )
    await calls.until({0, 1})
    calls.fail(0)
    calls.finish(1)
    assert [(result.input, result.key) for result in await everything] == [(0, "row 0"), (1, "row 1")]


async def test_a_key_that_fails_is_an_error_of_the_inputs_and_costs_no_call(calls: Calls) -> None:
    results: list[Any] = []
    stream = map_concurrent([3, 2, 0, 1], calls, key=lambda number: 6 // number, errors="items")
    everything = asyncio.ensure_future(stream.do_action(results.append).to_list())
    await calls.until({3, 2})
    calls.finish(2)
    calls.finish(3)
    with pytest.raises(ZeroDivisionError):
        await everything
    assert [(result.input, result.key) for result in results] == [(2, 3), (3, 2)]
    assert calls.started == [3, 2]


async def test_a_call_that_gives_no_observable_is_an_error() -> None:
    with pytest.raises(TypeError, match="call must return an Observable, not int"):
        await map_concurrent([1], lambda number: number)  # pyright: ignore[reportArgumentType]


def test_in_a_plain_script() -> None:
    assert sorted(result.value for result in map_concurrent(range(5), lambda n: rx.of(n * n), 2)) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("inputs", ["a prompt", b"x", {"prompt": "x"}, 5, None])
def test_inputs_that_are_one_input_are_refused(inputs: Any) -> None:
    with pytest.raises(TypeError, match="inputs is"):
        map_concurrent(inputs, lambda _: rx.of(1))


async def ask(number: int) -> int:
    return number


WRONG = [
    ({"concurrency": 0}, ValueError),
    ({"concurrency": 2.5}, TypeError),
    ({"errors": "ignore"}, ValueError),
    ({"call": "me/echo"}, TypeError),
    ({"call": ask}, TypeError),
    ({"key": "id"}, TypeError),
]


@pytest.mark.parametrize(("options", "error"), WRONG)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(options))):
        map_concurrent([1], **{"call": lambda _: rx.of(1), **options})
    with pytest.raises(error, match=next(iter(options))):
        rxfal.map_concurrent([1], **{"call": lambda _: rx.of(1), **options})


async def test_many_prompts_go_through_one_endpoint() -> None:
    async with FalServer() as server, server.client() as client:
        under_way = peak = 0

        @server.app("me/echo")
        async def echo(input: dict[str, Any]) -> AsyncIterator[Any]:
            nonlocal under_way, peak
            under_way += 1
            peak = max(peak, under_way)
            yield {"said": ""}
            yield {"said": input["prompt"]}
            under_way -= 1

        server.script("me/echo", [Status(500, json={"detail": "no"})], times=1)
        prompts = ({"prompt": f"prompt {number}"} for number in range(200))
        results = await client.map_concurrent(prompts, "me/echo", 5, errors="items").to_list()
    (failed,) = (result for result in results if result.error)
    assert isinstance(failed.error, rxfal.ApiError)
    assert {r.input["prompt"] for r in results} == {f"prompt {number}" for number in range(200)}
    assert all(r.value["said"] == r.input["prompt"] for r in results if not r.error)
    assert peak <= 5


async def test_each_input_can_have_a_pipeline_of_its_own() -> None:
    async with FalServer(models=True, pace=0) as server, server.client() as client:

        def ask(row: dict[str, Any]) -> rx.Observable[str]:
            return client.stream("fal-ai/any-llm", {"prompt": row["prompt"]}, timeout=5).pipe(ops.text())

        rows = [{"id": 1, "prompt": "tea"}, {"id": 2, "prompt": ""}]
        fine, failed = await client.map_concurrent(
            rows, call=ask, key=lambda row: row["id"], ordered=True, errors="items"
        ).to_list()
    assert fine.value
    assert "tea" in fine.value
    assert (fine.key, failed.key) == (1, 2)
    assert isinstance(failed.error, rxfal.ValidationError)


CALL: Any = lambda _: rx.of(1)
ONE_OF_TWO = [
    ({}, "app, or call="),
    ({"app": "me/echo", "call": CALL}, "app, or call="),
    ({"call": CALL, "timeout": 5}, "timeout"),
    ({"call": CALL, "output": int}, "output"),
    ({"call": CALL, "output": int, "auth": "token"}, "output, auth"),
]


@pytest.mark.parametrize(("options", "message"), ONE_OF_TWO)
def test_it_takes_an_app_with_options_or_a_call_without(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        rxfal.map_concurrent([1], **options)


async def test_a_wrong_endpoint_or_option_is_an_exception_at_the_call() -> None:
    async with rxfal.Client() as client:
        with pytest.raises(rxfal.EndpointError):
            client.map_concurrent([{}], "no-slash")
        with pytest.raises(ValueError, match="timeout"):
            client.map_concurrent([{}], "me/echo", timeout=-1)


async def test_an_error_keeps_its_cause(unused_tcp_port: int) -> None:
    config = rxfal.Config(base_url=f"http://127.0.0.1:{unused_tcp_port}", max_attempts=1)
    async with rxfal.Client(config=config) as client:
        with pytest.raises(rxfal.TransportError) as caught:
            await client.map_concurrent([{}], "me/echo")
    assert caught.value.__cause__ is not None
