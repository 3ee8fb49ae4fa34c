# pyright: strict
"""What a type checker must know of Stream's `pipe`. Checked, never run: see test_types.py."""

import asyncio
from dataclasses import dataclass
from typing import Any, assert_type

import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops

from rxfal.reactive.stream import ConnectableStream, Stream


@dataclass
class Token:
    text: str
    index: int


def text_of(token: Token) -> str:
    return token.text


def is_long(text: str) -> bool:
    return len(text) > 8


def of_streams(source: Stream[Token]) -> Stream[str]:
    return source.map(text_of)


def of_observables(source: Observable[Token]) -> Observable[str]:
    return source.pipe(ops.map(text_of))


def named_functions(tokens: Stream[Token]) -> None:
    assert_type(
        tokens.pipe(ops.timeout(5), ops.map(text_of), ops.filter(is_long), ops.buffer_with_count(8), ops.last()),
        Stream[list[str]],
    )


def lambdas(tokens: Stream[Token]) -> None:
    assert_type(tokens.pipe(ops.map(lambda token: token.index)), Stream[int])
    assert_type(tokens.pipe(ops.timeout(5), ops.map(lambda token: token.index)), Stream[int])
    assert_type(tokens.pipe(ops.map(text_of), ops.map(lambda text: len(text))), Stream[int])
    assert_type(tokens.pipe(ops.to_list(), ops.map(lambda all_: all_[0].text.upper())), Stream[str])
    assert_type(tokens.pipe(ops.scan(lambda count, token: count + token.index, 0)), Stream[int])
    assert_type(tokens.pipe(ops.flat_map(lambda token: rx.of(token.index))), Stream[int])
    assert_type(tokens.pipe(lambda source: source.map(text_of)), Stream[str])


def same(source: Observable[int]) -> Observable[int]:
    return source


def every_length(numbers: Stream[int]) -> None:
    assert_type(numbers.pipe(), Stream[int])
    assert_type(numbers.pipe(ops.map(str)), Stream[str])
    assert_type(numbers.pipe(same, ops.map(str)), Stream[str])
    assert_type(numbers.pipe(same, same, ops.map(str)), Stream[str])
    assert_type(numbers.pipe(same, same, same, ops.map(str)), Stream[str])
    assert_type(numbers.pipe(same, same, same, same, ops.map(str)), Stream[str])
    assert_type(numbers.pipe(same, same, same, same, same, ops.map(str)), Stream[str])
    assert_type(numbers.pipe(same, same, same, same, same, same, ops.map(str)), Stream[str])
    assert_type(numbers.pipe(same, same, same, same, same, same, same, ops.map(str)), Stream[str])
    assert_type(numbers.pipe(same, same, same, same, same, same, same, same, ops.map(str)), Stream[str])
    assert_type(numbers.pipe(same, same, same, same, same, same, same, same, same, ops.map(str)), Any)


def operators_of_the_users_own(tokens: Stream[Token]) -> None:
    assert_type(tokens.pipe(of_streams), Stream[str])
    assert_type(tokens.pipe(of_observables), Stream[str])
    assert_type(tokens.pipe(of_streams, ops.filter(is_long)), Stream[str])
    assert_type(tokens.pipe(ops.skip(1), of_observables, ops.to_set()), Stream[set[str]])


def connectable(tokens: Stream[Token]) -> None:
    assert_type(tokens.pipe(ops.publish()), ConnectableStream[Token])
    assert_type(tokens.pipe(ops.map(text_of), ops.replay(3)), ConnectableStream[str])
    assert_type(tokens.pipe(ops.publish(), ops.ref_count()), Stream[Token])


def no_observable(tokens: Stream[Token]) -> None:
    assert_type(tokens.pipe(ops.to_future()), asyncio.Future[Token])
    assert_type(tokens.pipe(ops.map(text_of), ops.to_future()), asyncio.Future[str])
    assert_type(tokens.pipe(ops.partition(lambda token: token.index > 1)), list[Observable[Token]])


def untyped(values: Stream[Any], numbers: Stream[int]) -> None:
    assert_type(values.pipe(ops.map(lambda value: value["text"])), Stream[Any])
    assert_type(values.pipe(ops.map(lambda value: str(value["text"])), ops.last()), Stream[str])
    assert_type(numbers.pipe(ops.merge(values)), Stream[Any])


async def pulled(tokens: Stream[Token], nested: Stream[Stream[int]]) -> None:
    async for text in tokens.pipe(ops.map(text_of)):
        assert_type(text, str)
    assert_type(await tokens.pipe(ops.to_list()), list[Token])
    assert_type(await nested.pipe(ops.switch_latest()), int)
