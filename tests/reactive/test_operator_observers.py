"""What rxfal's own operators do with exceptions, re-entrancy and garbage; their observers take a Stream's place."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex import operators as rx_ops
from reactivex.subject import Subject

from rxfal import operators as ops
from rxfal.reactive.iterate import iterate
from rxfal.reactive.stream import from_observable
from tests.reactive.sources import PATIENCE, Log, Source, spin

Operator = Callable[[Observable[Any]], Observable[Any]]

OPERATORS: dict[str, Operator] = {
    "map": ops.map(lambda item: item),
    "filter": ops.filter(lambda item: True),
    "timeout": ops.timeout(60),
    "buffer(count=)": ops.buffer(count=1),
    "buffer_with_count, skipping": ops.buffer_with_count(1, 2),
}
each = pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)


def bad(item: Any) -> None:
    raise ZeroDivisionError(item)


@each
async def test_a_bad_subscriber_of_a_plain_observable_is_not_mistaken_for_a_failing_stream(
    operator: Operator, reports: list[dict[str, Any]]
):
    source, log = Source("owner/alias"), Log()
    rx.merge(source.stream).pipe(operator, ops.retry(3)).subscribe(bad, *log.callbacks[1:])
    await (await source.open()).send(1)
    await spin()
    assert (len(source.runs), log.ends) == (1, [])
    assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]


@each
async def test_a_bad_subscriber_without_on_error_harms_no_neighbour(operator: Operator, reports: list[dict[str, Any]]):
    subject, log = Subject[int](), Log()
    operator(from_observable(subject)).subscribe(bad)
    subject.subscribe(*log.callbacks)
    subject.on_next(1)
    assert log.items == [1]
    assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]


@each
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_over_a_plain_observable_an_exception_goes_up_to_whoever_emits_as_in_reactivex(
    operator: Operator, error: type[BaseException]
):
    def refuse(item: Any) -> None:
        raise error

    for each_operator in (operator, rx_ops.map(lambda item: item)):
        subject, log = Subject[int](), Log()
        subject.pipe(each_operator).subscribe(refuse, *log.callbacks[1:])
        with pytest.raises(error):
            subject.on_next(1)
        assert log.ends == []


FLUSHED = pytest.mark.parametrize("count_and_skip", [(2,), (2, 1), (2, 3)], ids=str)


@FLUSHED
def test_ended_from_inside_its_last_buffer_it_ends_once(count_and_skip: tuple[int, ...]):
    def seen(o: Any) -> tuple[list[list[int]], list[Any]]:
        subject, stop, log = Subject[int](), Subject[int](), Log()

        def on_next(items: list[int]) -> None:
            assert len(log.items) < 10
            log.items.append([*items])
            if len(items) == 1:
                stop.on_next(0)
                subject.on_next(9)

        buffered = from_observable(subject).pipe(ops.take_until(stop), o.buffer_with_count(*count_and_skip))
        buffered.subscribe(on_next, *log.callbacks[1:])
        for item in range(4):
            subject.on_next(item)
        subject.on_completed()
        return log.items, log.ends

    assert seen(ops) == seen(rx_ops)


@FLUSHED
def test_a_list_that_was_handed_out_never_changes(count_and_skip: tuple[int, ...]):
    def unruly(observer: Any, scheduler: Any = None) -> Any:
        for item in (1, 2, 3):
            observer.on_next(item)
        observer.on_completed()
        observer.on_next(4)

    log = Log()
    from_observable(rx.create(unruly)).pipe(ops.buffer_with_count(*count_and_skip)).subscribe(*log.callbacks)
    expected = {(2,): [[1, 2], [3]], (2, 1): [[1, 2], [2, 3], [3]], (2, 3): [[1, 2]]}
    assert log.items == expected[count_and_skip]


@pytest.fixture
def _without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Item:
    pass


@pytest.mark.usefixtures("_without_collector")
@pytest.mark.parametrize("leave", [False, True], ids=["to the end", "left early"])
async def test_an_iterator_lets_go_of_its_items_without_the_garbage_collector(leave: bool):
    held: list[weakref.ref[Item]] = []

    def items(observer: Any, scheduler: Any = None) -> Any:
        for _ in range(3):
            item = Item()
            held.append(weakref.ref(item))
            observer.on_next(item)
        observer.on_completed()

    iterator = iterate(rx.create(items))
    async for _item in iterator:
        if leave:
            break
    await iterator.aclose()
    del _item
    assert [ref() for ref in held] == [None] * 3


@pytest.mark.parametrize("pull", ["await", "async for"])
async def test_a_stop_iteration_of_a_mapper_is_an_error_like_any_other(pull: str):
    stream = from_observable(rx.of(1)).map(lambda _: next(iter(())))

    async def pulled() -> Any:
        return await stream if pull == "await" else [item async for item in stream]

    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        await asyncio.wait_for(pulled(), PATIENCE)
    assert isinstance(caught.value.__cause__, StopIteration)
