"""The pytest plugin: fixtures that give a test the embedded server and a client on it.

Every pytest run of everyone who has rxfal installed loads this module, so it loads no server and no client before a
fixture asks for it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rxfal.client import Client
    from rxfal.testing.server import FalServer


@pytest.fixture
def fal_server() -> "Iterator[FalServer]":
    """An embedded server in a thread of its own, for sync and async tests alike.

    It has the built-in models at full speed, and during the test the module's default client points at it, so that
    `rxfal.stream(...)` calls it. Each test has a server of its own.

    Examples:
        A test in a file of yours::

            def test_counts(fal_server):
                @fal_server.app("owner/counter")
                async def counter(input):
                    for n in range(3):
                        yield n

                assert list(rxfal.stream("owner/counter")) == [0, 1, 2]
    """
    from rxfal.client import set_default
    from rxfal.testing.server import FalServer

    with FalServer(models=True, pace=0) as server, server.client() as client:
        before = set_default(client)
        try:
            yield server
        finally:
            set_default(before)


@pytest.fixture
def rxfal_client(fal_server: "FalServer") -> "Iterator[Client]":
    """A client of its own on `fal_server`, closed after the test."""
    with fal_server.client() as client:
        yield client
