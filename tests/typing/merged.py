# pyright: strict
"""What a type checker must know of `merge`, `from_observable` and `iterate`. Checked, never run: see test_types.py."""

from enum import Enum
from typing import assert_type

import reactivex as rx
from reactivex import Observable

from rxfal.reactive.iterate import iterate
from rxfal.reactive.merge import Tagged, merge
from rxfal.reactive.race import hedge, race
from rxfal.reactive.stream import Stream, from_observable


class Model(Enum):
    CLAUDE = "claude"


async def merged(numbers: Stream[int], more: Observable[int], texts: Stream[str]) -> None:
    assert_type(merge(numbers, more), Stream[int])
    assert_type(merge(numbers, texts), Stream[int | str])
    assert_type(merge({"fal-ai/a": numbers, "fal-ai/b": more}), Stream[Tagged[int]])
    assert_type(merge(claude=texts, gpt=texts), Stream[Tagged[str]])
    assert_type(merge({1: texts, 2: texts}), Stream[Tagged[str, int]])
    assert_type(merge({Model.CLAUDE: texts, None: texts}), Stream[Tagged[str, Model | None]])
    async for choice in merge({Model.CLAUDE: texts}):
        assert_type(choice.tag, Model)
    async for item in merge(claude=texts, gpt=texts):
        assert_type(item.tag, str)
        assert_type(item.value, str)
    async for number in merge(numbers, more).filter(lambda number: number > 1):
        assert_type(number, int)
    assert_type(await merge(a=numbers).map(lambda item: item.value).to_list(), list[int])


async def with_errors_as_items(numbers: Stream[int], more: Observable[int], texts: Stream[str]) -> None:
    assert_type(merge(a=numbers, b=more, errors="items"), Stream[Tagged[int | Exception]])
    assert_type(merge({1: texts}, errors="items"), Stream[Tagged[str | Exception, int]])
    assert_type(merge(a=numbers, errors="end"), Stream[Tagged[int]])
    assert_type(merge(numbers, more, errors="end"), Stream[int])
    async for item in merge(a=texts, b=texts, errors="items"):
        assert_type(item.error, Exception | None)
        if isinstance(item.value, str):
            assert_type(item.value, str)
    async for tag, value in merge(a=texts, errors="items"):
        assert_type(tag, str)
        assert_type(value, str | Exception)


async def raced(numbers: Stream[int], more: Observable[int], texts: Stream[str], many: list[Stream[str]]) -> None:
    assert_type(race(numbers, more), Stream[int])
    assert_type(race(numbers, texts), Stream[int | str])
    assert_type(race(numbers, texts, more), Stream[int | str])
    assert_type(race(numbers, texts, more, numbers), Stream[int | str])
    assert_type(race(*many), Stream[str])
    assert_type(race(a=numbers, b=more), Stream[Tagged[int]])
    assert_type(race({Model.CLAUDE: texts}), Stream[Tagged[str, Model]])
    assert_type(hedge(more, after=0.5), Stream[int])
    assert_type(await hedge(texts, after=0.5), str)


async def of_plain_observables(numbers: Observable[int]) -> None:
    assert_type(from_observable(numbers), Stream[int])
    assert_type(await from_observable(rx.of("a", "b")).last(), str)
    async for number in iterate(numbers):
        assert_type(number, int)
