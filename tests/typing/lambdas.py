# pyright: strict
"""What pyright knows and mypy does not. Checked by pyright alone, never run: see test_types.py.

mypy infers all arguments of a call at once. What a lambda in a second operator gets depends on the first, so mypy does
not know it yet and takes it as Any; a function with annotations or fluent methods keep the type. The same holds for a
lambda that is the operator itself. And where keywords or a dict hold streams of different items, mypy sees streams of
object, pyright a union.
"""

from dataclasses import dataclass
from typing import assert_type

import rxfal
from rxfal import Stream
from rxfal import operators as ops


@dataclass
class Token:
    text: str
    index: int


def text_of(token: Token) -> str:
    return token.text


def in_a_later_place(tokens: Stream[Token]) -> None:
    assert_type(tokens.pipe(ops.timeout(5), ops.map(lambda token: token.index)), Stream[int])
    assert_type(tokens.pipe(ops.to_list(), ops.map(lambda all_: all_[0].text.upper())), Stream[str])
    assert_type(
        tokens.pipe(ops.group_by(text_of), ops.flat_map(lambda group: group.map(lambda token: (group.key, token)))),
        Stream[tuple[str, Token]],
    )


def for_interfaces(tokens: Stream[Token]) -> None:
    assert_type(tokens.pipe(ops.map(text_of), ops.conflate(lambda kept, new: kept + new)), Stream[str])
    assert_type(tokens.pipe(ops.timeout(5), ops.exhaust_map(lambda token: [token.index])), Stream[int])


def in_the_place_of_an_operator(tokens: Stream[Token]) -> None:
    assert_type(tokens.pipe(lambda source: source.map(text_of)), Stream[str])


def merged_by_tag(numbers: Stream[int], texts: Stream[str]) -> None:
    assert_type(rxfal.merge(number=numbers, text=texts), Stream[rxfal.Tagged[int | str]])
    assert_type(rxfal.race(number=numbers, text=texts), Stream[rxfal.Tagged[int | str]])
