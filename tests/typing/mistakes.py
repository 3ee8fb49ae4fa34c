# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""Mistakes that a type checker must find. Checked, never run: see test_types.py.

An `ignore` for a rule that finds nothing is itself an error, so that each of these lines has to be one.
"""

from typing import Any

import reactivex as rx
from reactivex import operators as ops

import rxfal
from rxfal.reactive.stream import Stream


def is_long(text: str) -> bool:
    return len(text) > 8


async def mistakes(numbers: Stream[int]) -> None:
    numbers.map(lambda number: number.upper())  # pyright: ignore[reportAttributeAccessIssue, reportUnknownLambdaType, reportUnknownMemberType]
    numbers.filter(is_long)  # pyright: ignore[reportArgumentType]
    numbers.take("3")  # pyright: ignore[reportArgumentType]
    numbers.pipe(ops.map(str), ops.map(str), ops.filter(lambda text: text.uper()))  # pyright: ignore[reportAttributeAccessIssue, reportUnknownLambdaType, reportUnknownMemberType]
    numbers.pipe(ops.filter(is_long))  # pyright: ignore[reportArgumentType, reportCallIssue]
    numbers.pipe(ops.map(str), ops.map(abs))  # pyright: ignore[reportArgumentType, reportCallIssue]
    numbers.starmap(lambda left, right: left + right)  # pyright: ignore[reportCallIssue, reportUnknownLambdaType]
    numbers.merge_all()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    numbers.switch_latest()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    numbers.dematerialize()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    text: Stream[str] = numbers.map(str).buffer(count=3)  # pyright: ignore[reportAssignmentType]
    async for _ in rx.merge(numbers, numbers):  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        pass
    plain: Stream[Any] = numbers.map(str)
    print(text, plain)


def options() -> None:
    rxfal.stream("fal-ai/any-llm", timeot=5)  # pyright: ignore[reportCallIssue]
    rxfal.stream("fal-ai/any-llm", timeout="5")  # pyright: ignore[reportArgumentType]
    rxfal.stream_events("fal-ai/any-llm", output=str)  # pyright: ignore[reportCallIssue]
    rxfal.stream_events("fal-ai/any-llm", auth="tokn")  # pyright: ignore[reportArgumentType]
    rxfal.map_concurrent([1], "fal-ai/any-llm", timeot=5)  # pyright: ignore[reportCallIssue]
