"""The pytest plugin: fixtures that give a test the embedded server and a client on it.

Every pytest run of everyone who has rxfal installed loads this module, so it loads no server and no client before a
fixture asks for it.
"""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rxfal.client import Client
    from rxfal.testing.server import FalServer


@pytest.fixture
def fal_server(monkeypatch: pytest.MonkeyPatch) -> "Iterator[FalServer]":
    """An embedded server in its own thread, for sync and async tests alike; each test has its own server.

    It has the built-in models, at full speed. During the test everything that takes its address from the environment
    talks to it: the module's functions such as `rxfal.stream`, every `rxfal.Client()` that is made during the test, and
    subprocesses. `RXFAL_BASE_URL` and `FAL_KEY` name the server and its key, and `no_proxy` exempts it from the
    machine's proxy. Afterwards the environment and the default client are as they were.

    A client that was made before the test keeps the address that it had, and so does one with a `Config` of its own.

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

    with FalServer(models=True, pace=0) as server:
        # With the test's own monkeypatch, so that what the test changes is undone before what is changed here.
        monkeypatch.setenv("RXFAL_BASE_URL", server.url)
        monkeypatch.setenv("FAL_KEY", server.key)
        direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
        if direct != "*":
            monkeypatch.setenv("no_proxy", f"{direct},{server.host}" if direct else server.host)
        before = set_default(server.client())
        try:
            yield server
        finally:
            used = set_default(before)  # another one if the test called `rxfal.configure`
            if used is not None:
                used.close()


@pytest.fixture
def rxfal_client(fal_server: "FalServer") -> "Iterator[Client]":
    """A client of its own on `fal_server`, closed after the test."""
    with fal_server.client() as client:
        yield client
