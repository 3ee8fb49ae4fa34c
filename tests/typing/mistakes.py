# pyright: strict
"""Mistakes that a type checker must find: every line marked so, and no other. Checked, never run."""

from typing import Any

import reactivex as rx
from reactivex import operators as ops

from rxfal.reactive.stream import Stream


def is_long(text: str) -> bool:
    return len(text) > 8


async def mistakes(numbers: Stream[int]) -> None:
    numbers.map(lambda number: number.upper())  # mistake
    numbers.filter(is_long)  # mistake
    numbers.take("3")  # mistake
    numbers.pipe(ops.map(str), ops.map(str), ops.filter(lambda text: text.uper()))  # mistake
    numbers.pipe(ops.filter(is_long))  # mistake
    numbers.pipe(ops.map(str), ops.map(abs))  # mistake
    numbers.starmap(lambda left, right: left + right)  # mistake
    numbers.merge_all()  # mistake
    numbers.switch_latest()  # mistake
    numbers.dematerialize()  # mistake
    text: Stream[str] = numbers.map(str).buffer(count=3)  # mistake
    async for _ in rx.merge(numbers, numbers):  # mistake
        pass
    plain: Stream[Any] = numbers.map(str)
    print(text, plain)
