# pyright: strict
"""What a type checker must know of `merge`, `from_observable` and `iterate`. Checked, never run: see test_types.py."""

from enum import Enum
from typing import assert_type

import reactivex as rx
from reactivex import Observable

from rxfal.reactive.iterate import iterate
from rxfal.reactive.merge import Tagged, merge
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


async def of_plain_observables(numbers: Observable[int]) -> None:
    assert_type(from_observable(numbers), Stream[int])
    assert_type(await from_observable(rx.of("a", "b")).last(), str)
    async for number in iterate(numbers):
        assert_type(number, int)
