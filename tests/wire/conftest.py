"""An `Http` for each test, closed after it."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from rxfal.wire.http import Http
from tests.wire.servers import http_for


@pytest.fixture
async def make_http() -> AsyncIterator[Callable[..., Http]]:
    """`http_for`, closed after the test."""
    made: list[Http] = []

    def make(*args: Any, **settings: Any) -> Http:
        made.append(http_for(*args, **settings))
        return made[-1]

    yield make
    for http in made:
        await http.aclose()
