# pyright: strict
"""What a type checker must know of Stream's fluent methods. Checked, never run: see test_types.py."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, assert_type

import reactivex as rx
from reactivex import Notification, Observable
from reactivex.operators._timeinterval import TimeInterval
from reactivex.operators._timestamp import Timestamp
from reactivex.subject import Subject

from rxfal.reactive.stream import ConnectableStream, GroupedStream, Stream


@dataclass
class Token:
    text: str
    index: int


def text_of(token: Token) -> str:
    return token.text


def is_long(text: str) -> bool:
    return len(text) > 8


async def pulled(tokens: Stream[Token]) -> None:
    assert_type(await tokens, Token)
    assert_type(await tokens.map(text_of), str)
    async for token in tokens:
        assert_type(token, Token)
    async for text in tokens.map(text_of).filter(is_long):
        assert_type(text, str)
    assert_type([text async for text in tokens.map(lambda token: token.text).take(3)], list[str])
    async for tokens_of_a_kind in tokens.buffer(count=8).do_action(print):
        assert_type(tokens_of_a_kind, list[Token])


def pulled_by_a_script(tokens: Stream[Token]) -> None:
    assert_type(tokens.run(), Token)
    assert_type(tokens.scan(lambda count, token: count + token.index, 0).run(), int)
    for token in tokens:
        assert_type(token, Token)
    for text in tokens.map(text_of).blocking():
        assert_type(text, str)
    for pair in tokens.pairwise():
        assert_type(pair, tuple[Token, Token])


def a_stream_is_an_observable(tokens: Stream[Token]) -> None:
    observable: Observable[Token] = tokens
    wider: list[Stream[Token | None]] = [tokens]
    assert_type(wider[0].last(), Stream[Token | None])
    assert_type(rx.concat(observable, tokens), Observable[Token])
    tokens.subscribe(lambda token: print(token.text), print, lambda: print("done"))


def transformed(tokens: Stream[Token], pairs: Stream[tuple[int, str]], nested: Stream[Stream[int]]) -> None:
    assert_type(tokens.map(lambda token: token.index), Stream[int])
    assert_type(tokens.map_indexed(lambda token, index: (index, token.text)), Stream[tuple[int, str]])
    assert_type(tokens.scan(lambda count, token: count + token.index, 0), Stream[int])
    assert_type(tokens.reduce(lambda text, token: text + token.text, ""), Stream[str])
    assert_type(tokens.map(text_of).scan(lambda left, right: left + right), Stream[str])
    assert_type(tokens.flat_map(lambda token: rx.of(token.index)), Stream[int])
    assert_type(tokens.flat_map(lambda token: tokens.map(text_of)), Stream[str])
    assert_type(tokens.flat_map(lambda token: [token.text]), Stream[str])
    assert_type(tokens.flat_map(rx.of(1)), Stream[int])
    assert_type(tokens.flat_map_indexed(lambda token, index: rx.of((token, index))), Stream[tuple[Token, int]])
    assert_type(tokens.flat_map_latest(lambda token: rx.of(token.text)), Stream[str])
    assert_type(tokens.concat_map(lambda token: rx.of(token.text)), Stream[str])
    assert_type(tokens.switch_map(lambda token: rx.of(token.text)), Stream[str])
    assert_type(tokens.switch_map_indexed(lambda token, index: rx.of(index)), Stream[int])
    assert_type(tokens.expand(lambda token: rx.of(token)), Stream[Token])
    assert_type(pairs.starmap(lambda number, text: text * number), Stream[str])
    assert_type(nested.merge_all(), Stream[int])
    assert_type(nested.concat_all(), Stream[int])
    assert_type(nested.switch_latest(), Stream[int])
    assert_type(nested.exclusive(), Stream[int])


def mapped_to_a_future(tokens: Stream[Token], ask: asyncio.Future[bytes]) -> None:
    assert_type(tokens.flat_map(lambda token: ask), Stream[bytes])
    assert_type(tokens.flat_map_latest(lambda token: ask), Stream[bytes])


def filtered(tokens: Stream[Token], signal: Observable[object]) -> None:
    assert_type(tokens.filter(lambda token: token.index > 1), Stream[Token])
    assert_type(tokens.filter_indexed(lambda token, index: token.index > index), Stream[Token])
    assert_type(tokens.distinct(lambda token: token.text), Stream[Token])
    assert_type(tokens.distinct(lambda token: token.text, lambda left, right: left.lower() == right), Stream[Token])
    assert_type(tokens.distinct_until_changed(), Stream[Token])
    assert_type(tokens.first(), Stream[Token])
    assert_type(tokens.last(lambda token: token.index > 1), Stream[Token])
    assert_type(tokens.single(), Stream[Token])
    assert_type(tokens.element_at(3), Stream[Token])
    assert_type(tokens.take(3).skip(1).take_last(1).skip_last(1), Stream[Token])
    assert_type(tokens.take_while(lambda token: token.index < 3, inclusive=True), Stream[Token])
    assert_type(tokens.skip_while(lambda token: token.index < 3), Stream[Token])
    assert_type(tokens.take_until(signal).skip_until(signal), Stream[Token])
    assert_type(tokens.take_with_time(3).skip_with_time(1), Stream[Token])
    assert_type(tokens.slice(1, 3), Stream[Token])
    assert_type(tokens[1:3], Stream[Token])
    assert_type(tokens.take_last_buffer(3), Stream[list[Token]])


def filled_in(tokens: Stream[Token]) -> None:
    assert_type(tokens.default_if_empty(), Stream[Token | None])
    assert_type(tokens.default_if_empty(0), Stream[Token | int])
    assert_type(tokens.first_or_default(), Stream[Token | None])
    assert_type(tokens.first_or_default(default_value=0), Stream[Token | int])
    assert_type(tokens.first_or_default(lambda token: token.index > 1, Token("", 0)), Stream[Token])
    assert_type(tokens.last_or_default(), Stream[Token | None])
    assert_type(tokens.last_or_default(0), Stream[Token | int])
    assert_type(tokens.single_or_default(), Stream[Token | None])
    assert_type(tokens.single_or_default(None, 0), Stream[Token | int])
    assert_type(tokens.single_or_default_async(), Stream[Token])
    assert_type(tokens.single_or_default_async(True), Stream[Token | None])
    assert_type(tokens.single_or_default_async(True, 0), Stream[Token | int])
    assert_type(tokens.element_at_or_default(3), Stream[Token | None])
    assert_type(tokens.element_at_or_default(3, 0), Stream[Token | int])


def asked_and_calculated(tokens: Stream[Token]) -> None:
    assert_type(tokens.all(lambda token: token.index > 1), Stream[bool])
    assert_type(tokens.is_empty(), Stream[bool])
    assert_type(tokens.sequence_equal(tokens), Stream[bool])
    assert_type(tokens.find(lambda token, index, source: token.index == index), Stream[Token | None])
    assert_type(tokens.find_index(lambda token, index, source: token.index == index), Stream[int | None])
    assert_type(tokens.count(lambda token: token.index > 1), Stream[int])
    assert_type(tokens.sum(lambda token: token.index), Stream[float])
    assert_type(tokens.average(lambda token: token.index), Stream[float])
    assert_type(tokens.max(lambda left, right: left.index - right.index), Stream[Token])
    assert_type(tokens.min_by(lambda token: token.index), Stream[list[Token]])


def combined(tokens: Stream[Token], numbers: Observable[int], texts: Stream[str], many: Sequence[Stream[str]]) -> None:
    assert_type(tokens.merge(tokens, max_concurrent=2), Stream[Token])
    assert_type(tokens.merge(numbers, texts), Stream[Token | int | str])
    assert_type(tokens.concat(texts), Stream[Token | str])
    assert_type(texts.merge(*many), Stream[str])
    assert_type(texts + texts, Stream[str])
    assert_type(tokens + numbers, Stream[Token | int])
    texts += texts
    assert_type(texts, Stream[str])
    assert_type(texts.start_with("now", "then"), Stream[str])
    assert_type(tokens.amb(numbers), Stream[Token | int])
    assert_type(tokens.zip(numbers), Stream[tuple[Token, int]])
    assert_type(tokens.zip(numbers, texts, numbers), Stream[tuple[Token, int, str, int]])
    assert_type(tokens.zip(numbers, *many), Stream[tuple[Any, ...]])
    assert_type(tokens.combine_latest(numbers, texts), Stream[tuple[Token, int, str]])
    assert_type(tokens.with_latest_from(texts), Stream[tuple[Token, str]])
    assert_type(tokens.zip_latest(texts), Stream[tuple[Token, str]])
    assert_type(tokens.fork_join(texts), Stream[tuple[Token, str]])
    assert_type(tokens.zip_with_iterable([1, 2]), Stream[tuple[Token, int]])
    assert_type(tokens.join(numbers, lambda token: texts, lambda number: texts), Stream[tuple[Token, int]])


def recovered_and_repeated(tokens: Stream[Token]) -> None:
    assert_type(tokens.catch(rx.of(None)), Stream[Token | None])
    assert_type(tokens.catch(lambda error, source: source), Stream[Token])
    assert_type(tokens.catch(lambda error, source: rx.of(str(error))), Stream[Token | str])
    assert_type(tokens.on_error_resume_next(rx.of(0)), Stream[Token | int])
    assert_type(tokens.retry(3).repeat(2), Stream[Token])
    assert_type(tokens.finally_action(lambda: print("done")).do(lambda token: print(token.text)), Stream[Token])


def converted(tokens: Stream[Token]) -> None:
    assert_type(tokens.to_list(), Stream[list[Token]])
    assert_type(tokens.map(text_of).to_set(), Stream[set[str]])
    assert_type(tokens.to_dict(lambda token: token.index), Stream[dict[int, Token]])
    assert_type(tokens.to_dict(lambda token: token.index, text_of), Stream[dict[int, str]])
    assert_type(tokens.to_future(), asyncio.Future[Token])
    assert_type(tokens.materialize(), Stream[Notification[Token]])
    assert_type(tokens.materialize().dematerialize(), Stream[Token])
    assert_type(tokens.timestamp(), Stream[Timestamp[Token]])
    assert_type(tokens.time_interval(), Stream[TimeInterval[Token]])


def timed(tokens: Stream[Token], signal: Observable[object]) -> None:
    assert_type(tokens.timeout(5), Stream[Token])
    assert_type(tokens.timeout(5, rx.of("late")), Stream[Token | str])
    assert_type(tokens.delay(0.1).debounce(0.1).throttle_first(1).sample(signal), Stream[Token])


def gathered(tokens: Stream[Token], signal: Observable[int]) -> None:
    assert_type(tokens.buffer(signal), Stream[list[Token]])
    assert_type(tokens.buffer(count=8, seconds=0.5), Stream[list[Token]])
    assert_type(tokens.buffer_with_count(8), Stream[list[Token]])
    assert_type(tokens.buffer_toggle(signal, lambda number: rx.timer(number)), Stream[list[Token]])
    assert_type(tokens.window(signal), Stream[Stream[Token]])
    assert_type(tokens.group_by(lambda token: token.text), Stream[GroupedStream[str, Token]])
    assert_type(tokens.group_by(lambda token: token.text, lambda token: token.index), Stream[GroupedStream[str, int]])
    assert_type(
        tokens.group_by_until(text_of, None, lambda group: rx.timer(len(group.key))),
        Stream[GroupedStream[str, Token]],
    )
    assert_type(tokens.partition(lambda token: token.index > 1), list[Stream[Token]])
    assert_type(tokens.partition_indexed(lambda token, index: token.index > index), list[Stream[Token]])


def shared(tokens: Stream[Token], subject: Subject[Token]) -> None:
    assert_type(tokens.share(), Stream[Token])
    assert_type(tokens.publish(), ConnectableStream[Token])
    assert_type(tokens.publish(lambda source: source.map(text_of)), Stream[str])
    assert_type(tokens.publish_value(Token("", 0)), ConnectableStream[Token])
    assert_type(tokens.replay(3), ConnectableStream[Token])
    assert_type(tokens.replay(3, mapper=lambda source: source.map(text_of)), Stream[str])
    assert_type(tokens.multicast(subject), ConnectableStream[Token])
    assert_type(tokens.publish().ref_count(), Stream[Token])
    assert_type(tokens.publish().auto_connect(2).map(text_of), Stream[str])


async def untyped(values: Stream[Any]) -> None:
    assert_type(await values, Any)
    assert_type(values.map(lambda value: value["text"]), Stream[Any])
    assert_type(values.map(lambda value: str(value["text"])).filter(is_long), Stream[str])
    assert_type(values.merge_all(), Stream[Any])
    assert_type(values.pluck("output"), Stream[Any])
    assert_type(values.filter(lambda value: value["partial"]).last(), Stream[Any])
    async for value in values.take(3):
        assert_type(value, Any)
