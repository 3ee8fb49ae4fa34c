# pyright: strict
"""What a type checker must know of `map_concurrent`. Checked, never run: see test_types.py."""

from collections.abc import AsyncIterator
from typing import Any, Literal, assert_type

from pydantic import BaseModel

import rxfal
from rxfal import Mapped, Stream
from rxfal import operators as ops


class Answer(BaseModel):
    output: str


class Row(BaseModel):
    id: int
    prompt: str


def ask(row: Row) -> Stream[str]:
    return rxfal.stream("fal-ai/any-llm", {"prompt": row.prompt}, output=Answer).map(lambda answer: answer.output)


async def an_app(rows: list[Row], live: AsyncIterator[Row], stream: Stream[Row]) -> None:
    assert_type(rxfal.map_concurrent(rows, "a/b", output=Answer), Stream[Mapped[Row, Answer]])
    assert_type(rxfal.map_concurrent(live, "a/b", 3, True, output=Answer, timeout=5), Stream[Mapped[Row, Answer]])
    assert_type(rxfal.map_concurrent(stream, "a/b"), Stream[Mapped[Row, Any]])
    async for result in rxfal.map_concurrent(rows, "a/b", output=Answer):
        assert_type(result.input, Row)
        assert_type(result.value, Answer)
        assert_type(result.error, Exception | None)
        assert_type(result.key, None)


async def errors_as_items(rows: list[Row]) -> None:
    results = rxfal.map_concurrent(rows, "a/b", errors="items", output=Answer)
    assert_type(results, Stream[Mapped[Row, Answer | None]])
    async for result in results:
        print(result.value.output)  # pyright: ignore[reportOptionalMemberAccess]
        if result.value is not None:
            assert_type(result.value, Answer)
    assert_type(rxfal.map_concurrent(rows, "a/b", errors="items"), Stream[Mapped[Row, Any]])
    async for known in rxfal.map_concurrent(rows, "a/b", key=lambda row: row.id, errors="items", output=Answer):
        assert_type(known, Mapped[Row, Answer | None, int])
        assert_type(known.key, int)


def a_call(rows: list[Row], errors: Literal["end", "items"]) -> None:
    assert_type(rxfal.map_concurrent(rows, call=ask, key=lambda row: row.id), Stream[Mapped[Row, str, int]])
    assert_type(rxfal.map_concurrent(rows, None, 3, call=ask, errors="items"), Stream[Mapped[Row, str | None]])
    texts = rxfal.map_concurrent(rows, call=lambda row: rxfal.stream("a/b", row).pipe(ops.text(), ops.timeout(5)))
    assert_type(texts, Stream[Mapped[Row, str]])
    client = rxfal.Client()
    for result in client.map_concurrent(rows, call=ask, errors=errors):
        assert_type(result.value, str | None)


def mistakes(rows: list[Row]) -> None:
    rxfal.map_concurrent(rows)  # pyright: ignore[reportCallIssue]
    rxfal.map_concurrent(rows, "a/b", call=ask)  # pyright: ignore[reportArgumentType]
    rxfal.map_concurrent(rows, call=ask, timeout=5)  # pyright: ignore[reportCallIssue]
    rxfal.map_concurrent(rows, call=ask, output=Answer)  # pyright: ignore[reportCallIssue]
