"""The gallery on its real screens: text arrives, Stop and leaving close the requests, an error shows, nothing leaks."""

import json
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from rxfal.testing import ApiFailure, FalServer, RecordedRequest, words
from rxfal.testing.models import BARD, JULIA, LLM
from tests.gallery.screen import ROOT, Screen
from tests.gallery.toolkits import TOOLKITS, Toolkit

_PROMPT = "a lighthouse in a storm"
_PROSE = " ".join(words.prose(_PROMPT).split())
_VERSE = " ".join(words.verse(_PROMPT).split())
_BEGUN = 30
"""Characters of an answer that is surely not yet whole."""
_SITES = {name: toolkit for name, toolkit in TOOLKITS.items() if toolkit.site}


class Stage(NamedTuple):
    """An example on its screen, and the server that it speaks to."""

    toolkit: Toolkit
    screen: Screen
    server: FalServer

    def begin(self) -> list[RecordedRequest]:
        """Presses Start and waits for the first words of both models, which then say nothing more for minutes."""
        self.server.clear()
        self.server.pace = 1.0
        before = self.screen.read().text
        self.screen.press("Start")
        self.server.wait_received(3)
        self.screen.read_until(lambda shown: shown.text != before)
        self.screen.read_until(lambda shown: _PROSE[:_BEGUN] in shown.text and _VERSE[:_BEGUN] in shown.text)
        self.server.pace = 1000.0
        return self.server.requests


@pytest.fixture(scope="module", params=TOOLKITS.values(), ids=TOOLKITS)
def played(request: pytest.FixtureRequest) -> Iterator[Stage]:
    toolkit: Toolkit = request.param
    with FalServer(models=True) as server:
        screen = toolkit.screen(server)
        yield Stage(toolkit, screen, server)
        screen.end()


@pytest.fixture
def stage(played: Stage) -> Stage:
    """The screen as another test may have left it, but stopped; its server is as new."""
    played.screen.press("Stop")
    for request in played.server.requests:
        request.wait_closed(1.0)
    played.server.add_models()
    played.server.pace = 0.3
    played.server.clear()
    return played


def test_examples_are_short() -> None:
    lines = {path.name: len(path.read_text().splitlines()) for path in ROOT.glob("examples/ui/*_app.py")}
    for path in ROOT.glob("examples/ui/*_app.ipynb"):
        lines[path.name] = sum(len(cell["source"]) for cell in json.loads(path.read_text())["cells"])
    assert set(TOOLKITS) == {name.partition("_")[0] for name in lines}
    assert [name for name, count in lines.items() if count >= 60] == []


@pytest.mark.parametrize("toolkit", TOOLKITS.values(), ids=TOOLKITS)
def test_each_example_has_a_page_that_shows_it(toolkit: Toolkit) -> None:
    page = (ROOT / "docs" / "gallery" / f"{toolkit.name}.md").read_text()
    assert f"](../assets/gallery/{toolkit.name}.{toolkit.picture})" in page
    notebook = ROOT / "examples" / "ui" / f"{toolkit.name}_app.ipynb"
    if notebook.exists():
        cells = json.loads(notebook.read_text())["cells"]
        missing = [cell["id"] for cell in cells if cell["cell_type"] == "code" and "".join(cell["source"]) not in page]
        assert missing == []
    else:
        assert f'--8<-- "examples/ui/{toolkit.name}_app.py"' in page


def test_the_models_write_side_by_side_and_the_picture_sharpens(stage: Stage) -> None:
    stage.screen.press("Start")
    seen = stage.screen.read_until(lambda shown: _PROSE in shown.text and _VERSE in shown.text)
    assert any(
        _PROSE[:_BEGUN] in shown.text and _VERSE[:_BEGUN] in shown.text and _PROSE not in shown.text for shown in seen
    ), "one after the other, not side by side"
    for request in stage.server.requests:
        request.wait_closed()
    assert sorted((request.path, request.dropped) for request in stage.server.requests) == [
        (f"/{model}/stream", False) for model in sorted((LLM, BARD, JULIA))
    ]
    assert len({shown.picture for shown in seen if shown.picture}) > 1


@pytest.mark.parametrize("model", [BARD, JULIA])
def test_an_error_is_shown_and_the_others_go_on(stage: Stage, model: str) -> None:
    @stage.server.app(model)
    async def ill(input: object) -> None:
        raise ApiFailure(422, "it's <lost> & gone")

    stage.screen.press("Start")
    stage.screen.read_until(lambda shown: "it's <lost> & gone" in shown.text and _PROSE in shown.text)
    for request in stage.server.requests:
        request.wait_closed()
        assert not request.dropped

    stage.server.add_models()
    stage.screen.press("Start")
    stage.screen.read_until(lambda shown: "lost" not in shown.text and _VERSE in shown.text)


def test_stop_closes_the_requests(stage: Stage) -> None:
    requests = stage.begin()
    stage.screen.press("Stop")
    for request in requests:
        request.wait_closed(1.0)
    assert len(stage.server.requests) == 3


def test_another_start_closes_the_requests_of_the_first(stage: Stage) -> None:
    first = stage.begin()
    stage.server.pace = 0.3
    stage.screen.press("Start")
    if not stage.toolkit.restarts:
        assert not any(request.dropped for request in first)
        assert len(stage.server.requests) == 3
        stage.screen.press("Stop")
        return
    for request in first:
        request.wait_closed(1.0)
    stage.screen.read_until(lambda shown: _PROSE in shown.text and _VERSE in shown.text)


@pytest.mark.parametrize("played", _SITES.values(), ids=_SITES, indirect=True)
def test_a_second_visitor_does_not_wait_for_the_first(stage: Stage) -> None:
    stage.begin()
    stage.screen.visit()
    stage.server.wait_received(6)
    stage.screen.end()


def test_leaving_closes_the_requests(stage: Stage) -> None:
    requests = stage.begin()
    left_open = stage.screen.leave()
    for request in requests:
        request.wait_closed(1.0 + stage.toolkit.grace)
    assert left_open == []
    stage.screen.end()
