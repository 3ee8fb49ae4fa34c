"""The marimo example as a program: it shows whole answers and errors, and an interrupt closes its requests."""

import html
import json
import signal
import subprocess
from collections.abc import Iterator

import pytest

from rxfal.testing import ApiFailure, FalServer, words
from rxfal.testing.models import BARD
from tests.gallery.screen import ROOT, environment_for
from tests.gallery.toolkits import python_of
from tests.needs import need_programs

_PROMPT = "a lighthouse in a storm"


@pytest.fixture
def server() -> Iterator[FalServer]:
    with FalServer(models=True, pace=0) as server:
        yield server


@pytest.fixture
def program(server: FalServer) -> Iterator[subprocess.Popen[str]]:
    need_programs(python_of("marimo"))
    script = ROOT / "tests" / "gallery" / "screens" / "marimo_run.py"
    with subprocess.Popen(
        [python_of("marimo"), str(script)],
        env=environment_for(server),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def _shown(program: subprocess.Popen[str]) -> dict[str, str]:
    output, errors = program.communicate(timeout=60)
    assert program.returncode == 0, errors
    return {place: html.unescape(text) for place, text in json.loads(output).items()}


def test_whole_answers_and_the_picture_are_shown(program: subprocess.Popen[str]) -> None:
    shown = _shown(program)
    assert words.prose(_PROMPT) in shown["llm"]
    assert words.verse(_PROMPT) in shown["bard"]
    assert "data:image/png" in shown["picture"]


def test_an_error_is_shown_and_the_others_go_on(server: FalServer, program: subprocess.Popen[str]) -> None:
    @server.app(BARD)
    async def ill(input: object) -> None:
        raise ApiFailure(422, "the bard has lost his voice")

    shown = _shown(program)
    assert "the bard has lost his voice" in shown["bard"]
    assert words.prose(_PROMPT) in shown["llm"]


def test_an_interrupt_closes_the_requests(server: FalServer, program: subprocess.Popen[str]) -> None:
    server.pace = 1000.0
    server.wait_received(3, timeout=60.0)
    program.send_signal(signal.SIGINT)
    for request in server.requests:
        request.wait_closed(5.0)  # the interpreter has to wake up for a signal, and to leave
    program.communicate(timeout=10.0)
