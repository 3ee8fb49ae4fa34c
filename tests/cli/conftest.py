from collections.abc import Iterator

import pytest

from rxfal.testing import FalServer
from tests.cli.processes import InTerminal


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FalServer]:
    with FalServer(models=True, pace=0, key="the-secret") as server:
        monkeypatch.setenv("RXFAL_BASE_URL", server.url)
        monkeypatch.setenv("FAL_KEY", server.key)
        yield server


@pytest.fixture
def in_terminal(monkeypatch: pytest.MonkeyPatch) -> InTerminal:
    return InTerminal(monkeypatch)
