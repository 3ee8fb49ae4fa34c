# pyright: strict
"""What a type checker must know of Stream's `pipe`. Checked, never run: see test_types.py; `lambdas.py` has more."""

import asyncio
from dataclasses import dataclass
from typing import Any, assert_type

import reactivex as rx
from pydantic import BaseModel
from reactivex import Observable

from rxfal import operators as ops
from rxfal.reactive.stream import ConnectableStream, GroupedStream, Stream


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
    assert_type(tokens.pipe(ops.timeout(5), ops.map(lambda token: str(token.index))), Stream[str])
    assert_type(tokens.pipe(ops.map(text_of), ops.map(lambda text: len(text))), Stream[int])
    assert_type(tokens.pipe(ops.map(text_of), ops.filter(lambda text: len(text) > 3), ops.last()), Stream[str])
    assert_type(tokens.pipe(ops.take(3), ops.last(lambda token: token.index > 3)), Stream[Token])
    assert_type(tokens.pipe(ops.scan(lambda count, token: count + token.index, 0)), Stream[int])
    assert_type(tokens.pipe(ops.reduce(lambda text, token: text + token.text, "")), Stream[str])
    assert_type(tokens.pipe(ops.flat_map(lambda token: rx.of(token.index))), Stream[int])
    assert_type(tokens.pipe(ops.flat_map(lambda token: [token.text])), Stream[str])
    assert_type(tokens.pipe(ops.concat_map(lambda token: rx.of(token.text)), ops.to_list()), Stream[list[str]])
    assert_type(tokens.pipe(ops.do_action(lambda token: print(token.text)), ops.take(3)), Stream[Token])
    assert_type(tokens.pipe(ops.map(text_of), ops.filter(bool), ops.map(str.upper), ops.last()), Stream[str])


def callbacks_left_out(tokens: Stream[Token]) -> None:
    assert_type(tokens.pipe(ops.map(text_of), ops.distinct(), ops.first()), Stream[str])
    assert_type(tokens.pipe(ops.map(text_of), ops.distinct_until_changed(), ops.single()), Stream[str])
    assert_type(tokens.pipe(ops.do_action(on_completed=lambda: print("done")), ops.last()), Stream[Token])
    assert_type(tokens.pipe(ops.map(text_of), ops.count()), Stream[int])
    assert_type(tokens.pipe(ops.map(text_of), ops.max(), ops.to_set()), Stream[set[str]])


def same(source: Observable[int]) -> Observable[int]:
    return source


def every_length(numbers: Stream[int]) -> None:
    assert_type(numbers.pipe(), Stream[int])
    assert_type(numbers.pipe(ops.map(str)), Stream[str])
    assert_type(numbers.pipe(same, ops.map(str)), Stream[str])
    assert_type(numbers.pipe(same, same, ops.map(str)), Stream[str])
    assert_type(numbers.pipe(same, same, same, ops.map(str)), Stream[str])
    assert_type(numbers.pipe(same, same, same, same, same, same, same, same, same, ops.map(str)), Stream[str])
    assert_type(
        numbers.pipe(
            same, same, same, same, same, same, same, same, same, same,
            same, same, same, same, same, same, same, same, ops.take(3), ops.map(str),
        ),
        Stream[str],
    )  # fmt: skip
    assert_type(
        numbers.pipe(
            same, same, same, same, same, same, same, same, same, same,
            same, same, same, same, same, same, same, same, same, same, ops.map(str),
        ),
        Stream[Any],
    )  # fmt: skip


def combined(tokens: Stream[Token], numbers: Observable[int], texts: Stream[str], many: list[Stream[str]]) -> None:
    assert_type(tokens.pipe(ops.zip(numbers)), Stream[tuple[Token, int]])
    assert_type(tokens.pipe(ops.zip(numbers, texts), ops.last()), Stream[tuple[Token, int, str]])
    assert_type(tokens.pipe(ops.zip(*many)), Stream[tuple[Any, ...]])
    assert_type(tokens.pipe(ops.map(text_of), ops.zip_latest(numbers)), Stream[tuple[str, int]])
    assert_type(tokens.pipe(ops.with_latest_from(texts)), Stream[tuple[Token, str]])
    assert_type(tokens.pipe(ops.combine_latest(numbers, texts, tokens)), Stream[tuple[Token, int, str, Token]])
    assert_type(tokens.pipe(ops.fork_join(texts)), Stream[tuple[Token, str]])
    assert_type(tokens.pipe(ops.merge(numbers)), Stream[Token | int])
    assert_type(tokens.pipe(ops.merge(numbers, texts, max_concurrent=2)), Stream[Token | int | str])
    assert_type(texts.pipe(ops.merge(*many)), Stream[str])
    assert_type(tokens.pipe(ops.concat(texts)), Stream[Token | str])
    assert_type(texts.pipe(ops.start_with("now")), Stream[str])
    assert_type(tokens.pipe(ops.default_if_empty(), ops.last()), Stream[Token | None])
    assert_type(tokens.pipe(ops.catch(rx.of(None))), Stream[Token | None])
    assert_type(tokens.pipe(ops.timeout(5, rx.of("late"))), Stream[Token | str])


def grouped(tokens: Stream[Token]) -> None:
    assert_type(tokens.pipe(ops.group_by(text_of)), Stream[GroupedStream[str, Token]])
    assert_type(tokens.pipe(ops.group_by(lambda token: token.index)), Stream[GroupedStream[int, Token]])
    assert_type(tokens.pipe(ops.group_by(text_of, lambda token: token.index)), Stream[GroupedStream[str, int]])
    assert_type(tokens.pipe(ops.skip(1), ops.window_with_count(3), ops.last()), Stream[Stream[Token]])


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
    assert_type(numbers.pipe(ops.merge(values)), Stream[int | Any])
    assert_type(values.pipe(ops.text(), ops.last()), Stream[str])


async def answer_to(token: Token) -> bytes:
    return token.text.encode()


def for_interfaces(tokens: Stream[Token], clicks: Observable[int], answers: Stream[str]) -> None:
    assert_type(tokens.pipe(ops.map(text_of), ops.conflate()), Stream[str])
    assert_type(tokens.pipe(ops.map(text_of), ops.conflate(str.__add__), ops.last()), Stream[str])
    assert_type(tokens.pipe(ops.exhaust_map(of_observables_of)), Stream[str])
    assert_type(tokens.pipe(ops.exhaust_map(lambda token: rx.of(token.index))), Stream[int])
    assert_type(tokens.pipe(ops.exhaust_map(lambda token: asyncio.ensure_future(answer_to(token)))), Stream[bytes])
    assert_type(tokens.pipe(ops.exhaust_map(lambda token: [token.index])), Stream[int])
    assert_type(tokens.pipe(ops.exhaust_map(answers), ops.last()), Stream[str])
    assert_type(tokens.pipe(ops.keep_alive(15, None), ops.take(2)), Stream[Token | None])
    assert_type(answers.pipe(ops.keep_alive(15, "")), Stream[str])
    assert_type(tokens.pipe(ops.memoize(60)), Stream[Token])
    assert_type(tokens.pipe(ops.map(text_of), ops.memoize(), ops.first()), Stream[str])
    assert_type(clicks.pipe(ops.memoize()), Observable[int])


class City(BaseModel):
    name: str


def of_texts(texts: Stream[str], tokens: Stream[Token]) -> None:
    assert_type(texts.pipe(ops.partial_json()), Stream[Any])
    assert_type(texts.pipe(ops.partial_json(City)), Stream[City])
    assert_type(tokens.pipe(ops.text(), ops.partial_json(City), ops.last()), Stream[City])
    assert_type(texts.pipe(ops.partial_json(list[City])), Stream[list[City]])
    assert_type(texts.pipe(ops.chunk_text("line"), ops.first()), Stream[str])


def of_observables_of(token: Token) -> Observable[str]:
    return rx.of(token.text)


async def pulled(tokens: Stream[Token], nested: Stream[Stream[int]]) -> None:
    async for text in tokens.pipe(ops.map(text_of)):
        assert_type(text, str)
    assert_type(await tokens.pipe(ops.to_list()), list[Token])
    assert_type(await nested.pipe(ops.switch_latest()), int)
