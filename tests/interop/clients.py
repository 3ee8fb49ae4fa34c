"""fal's own clients as the tests call them."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

Run = Callable[..., Awaitable[list[Any]]]
"""Runs JavaScript that has `fal`, fal's own client, and returns what it reported."""


class Either:
    """fal-client's sync or async client, used in one way: what is awaitable is awaited, what iterates is a list."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def call(self, name: str, *args: Any, **options: Any) -> Any:
        return await value_of(getattr(self.client, name)(*args, **options))

    async def list(self, iterator: Any) -> list[Any]:
        return [item async for item in iterator] if hasattr(iterator, "__aiter__") else list(iterator)


async def value_of(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
