# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""Mistakes that both type checkers must find. Checked, never run: see test_types.py.

A comment that ignores a rule which finds nothing is itself an error, mypy's or pyright's: each line has to be a mistake
for both.
"""

from typing import Any

import reactivex as rx

import rxfal
from rxfal import operators as ops
from rxfal.reactive.stream import Stream


def is_long(text: str) -> bool:
    return len(text) > 8


async def mistakes(numbers: Stream[int]) -> None:
    numbers.map(lambda number: number.upper())  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownLambdaType, reportUnknownMemberType]
    numbers.filter(is_long)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    numbers.take("3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    numbers.pipe(ops.map(str), ops.map(str), ops.filter(lambda text: text.uper()))  # type: ignore[arg-type, attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownLambdaType, reportUnknownMemberType]
    numbers.pipe(ops.filter(is_long))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    numbers.pipe(ops.map(str), ops.map(abs))  # type: ignore[arg-type, misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    numbers.starmap(lambda left, right: left + right)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue, reportUnknownLambdaType]
    numbers.merge_all()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    numbers.switch_latest()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    numbers.dematerialize()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    text: Stream[str] = numbers.map(str).buffer(count=3)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    async for _ in rx.merge(numbers, numbers):  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        pass
    plain: Stream[Any] = numbers.map(str)
    print(text, plain)


def options() -> None:
    rxfal.stream("fal-ai/any-llm", timeot=5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    rxfal.stream("fal-ai/any-llm", timeout="5")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    rxfal.stream_events("fal-ai/any-llm", output=str)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    rxfal.stream_events("fal-ai/any-llm", auth="tokn")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    rxfal.map_concurrent([1], "fal-ai/any-llm", timeot=5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
