"""The samples of README.md and docs/ run, page by page, against the embedded server.

A page is one program: its Python blocks run in order in one namespace, as in a notebook, with the default client at the
embedded server. Blocks with a bare `await` run on the page's event loop, the others outside of any. A block whose fence
says `no-run` is only compiled. Test functions on a page then run with the fixtures that they name.
"""

import asyncio
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rxfal.client
from rxfal.testing import FalServer
from tests.pages import PAGES, ROOT, blocks, compiled

_ANY_FENCE = re.compile(r"^```[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COLUMN = 98
"""Characters of code that fit the pages' column on a screen of 1280 pixels; see docs/assets/pages.css."""


@pytest.fixture
def server() -> Iterator[FalServer]:
    with FalServer(models=True, pace=0) as server, server.client() as client:
        before = rxfal.client.set_default(client)
        try:
            yield server
        finally:
            rxfal.client.set_default(before)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: str(page.relative_to(ROOT)))
def test_the_samples_of_a_page_run(
    page: Path, server: FalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "sample"}
    with asyncio.Runner() as runner:
        for block in blocks(page):
            code = compiled(page, block)
            if not block.runs:
                continue
            if code.co_flags & inspect.CO_COROUTINE:
                runner.run(eval(code, names))
            else:
                exec(code, names)
    for name, test in names.items():
        if name.startswith("test_"):
            _run_test(test)


def _run_test(test: Any) -> None:
    with FalServer() as server, server.client() as client:
        before = rxfal.client.set_default(client)
        try:
            given = {"fal_server": server, "rxfal_client": client}
            result = test(**{name: given[name] for name in inspect.signature(test).parameters})
            if inspect.iscoroutine(result):
                asyncio.run(result)
        finally:
            rxfal.client.set_default(before)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_fits_the_column(page: Path) -> None:
    lines = [line for fence in _ANY_FENCE.findall(page.read_text()) for line in fence.splitlines()]
    assert [line for line in lines if len(line) > _COLUMN] == []


def test_few_samples_are_left_unrun() -> None:
    samples = [block for page in PAGES for block in blocks(page)]
    assert sum(not block.runs for block in samples) <= len(samples) // 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
