"""`map_concurrent`: bounded concurrency, order, errors as items or as the end, inputs read no faster than needed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import reactivex as rx

import rxfal
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
    assert await first == (1, 10, None)
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
    assert fine == (1, 10, None)


async def test_a_call_without_a_value_is_an_error() -> None:
    results = await map_concurrent([1], lambda _: rx.empty(), errors="items").to_list()
    assert type(results[0].error).__name__ == "SequenceContainsNoElementsError"


async def test_disposing_cancels_what_is_under_way(calls: Calls) -> None:
    subscription = map_concurrent(range(100), calls, 3).subscribe()
    await calls.until({0, 1, 2})
    subscription.dispose()
    await turns()
    assert sorted(calls.cancelled) == [0, 1, 2]
    assert calls.started == [0, 1, 2]


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


def test_in_a_plain_script() -> None:
    assert sorted(result.value for result in map_concurrent(range(5), lambda n: rx.of(n * n), 2)) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("inputs", ["a prompt", b"x", {"prompt": "x"}, 5, None])
def test_inputs_that_are_one_input_are_refused(inputs: Any) -> None:
    with pytest.raises(TypeError, match="inputs is"):
        map_concurrent(inputs, lambda _: rx.of(1))


@pytest.mark.parametrize("options", [{"concurrency": 0}, {"errors": "ignore"}])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        map_concurrent([1], lambda _: rx.of(1), **options)


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
