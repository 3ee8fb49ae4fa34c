"""`group_by` and the windows: over a Stream their items are Streams, over a plain Observable what reactivex's are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from reactivex import GroupedObservable, Observable
from reactivex import operators as rx_ops

from rxfal import operators as ops
from rxfal.reactive.stream import GroupedStream, Stream, from_observable
from tests.reactive.sources import END, Log, Source, until

Cut = Callable[[Any], Callable[[Observable[int]], Observable[Any]]]

WINDOWS: dict[str, Cut] = {
    "window": lambda o: o.window(rx.never()),
    "window_when": lambda o: o.window_when(lambda: rx.never()),
    "window_toggle": lambda o: o.window_toggle(rx.concat(rx.of(1), rx.never()), lambda _: rx.never()),
    "window_with_count": lambda o: o.window_with_count(2),
    "window_with_time": lambda o: o.window_with_time(60.0),
    "window_with_time_or_count": lambda o: o.window_with_time_or_count(60.0, 2),
}
GROUPS: dict[str, Cut] = {
    "group_by": lambda o: o.group_by(lambda n: n % 2),
    "group_by_until": lambda o: o.group_by_until(lambda n: n % 2, None, lambda _: rx.never()),
}


class Fluent:
    """The operators as methods."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args: lambda source: getattr(source, name)(*args)


@pytest.mark.parametrize("ways", [ops, Fluent()], ids=["operator", "method"])
@pytest.mark.parametrize("name", [*WINDOWS, *GROUPS])
async def test_over_a_stream_each_is_a_stream_named_as_its_source(name: str, ways: Any):
    source = Source("owner/alias")
    parts: list[Any] = []
    cut = {**WINDOWS, **GROUPS}[name](ways)
    with source.stream.pipe(cut).subscribe(parts.append):
        await (await source.open()).send(1, 2, 3)
        await until(lambda: parts)
        assert all(isinstance(part, Stream) for part in parts)
        assert {part.name for part in parts} == {"owner/alias"}


@pytest.mark.parametrize("ways", [ops, Fluent()], ids=["operator", "method"])
@pytest.mark.parametrize("name", GROUPS)
async def test_a_group_has_its_key_and_can_be_iterated_piped_and_awaited(name: str, ways: Any):
    source = from_observable(rx.of(1, 2, 3, 4))
    groups: list[Any] = []

    def whole(group: Any) -> Observable[Any]:
        groups.append(group)
        return group.to_list().map(lambda items: (group.key, items))

    assert sorted(await source.pipe(GROUPS[name](ways)).flat_map(whole).to_list()) == [(0, [2, 4]), (1, [1, 3])]
    assert all(isinstance(group, GroupedStream) and isinstance(group, GroupedObservable) for group in groups)


async def test_windows_can_be_awaited_as_they_come():
    source, totals = Source(), list[int]()

    async def add(window: Stream[int]) -> None:
        totals.append(await window.sum())

    stream = source.stream.pipe(ops.window_with_count(2), ops.flat_map(lambda window: ensured(add(window))))
    log = Log()
    stream.subscribe(*log.callbacks)
    run = await source.open()
    for number in range(1, 5):
        await run.send(number)
    run.push(END)
    await until(lambda: log.ends)
    assert totals == [3, 7, 0]


def ensured(coroutine: Any) -> Any:
    import asyncio

    return asyncio.ensure_future(coroutine)


@pytest.mark.parametrize("name", [*WINDOWS, *GROUPS])
async def test_over_a_plain_observable_they_are_reactivexs_own(name: str):
    cut = {**WINDOWS, **GROUPS}[name]
    ours, theirs = list[Any](), list[Any]()
    source = rx.of(1, 2, 3)
    source.pipe(rx_ops.concat(rx.never()), cut(ops)).subscribe(ours.append).dispose()
    source.pipe(rx_ops.concat(rx.never()), cut(rx_ops)).subscribe(theirs.append).dispose()
    assert [type(part) for part in ours] == [type(part) for part in theirs]
    assert not any(isinstance(part, Stream) for part in ours)


def test_they_say_the_same_as_reactivexs():
    for name in (*WINDOWS, *GROUPS):
        assert getattr(ops, name).__doc__ == getattr(rx_ops, name).__doc__
