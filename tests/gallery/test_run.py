"""`run.py`, which `make gallery` calls: the server that an example gets, and how it ends."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rxfal.testing import FalServer, words
from tests.gallery.screen import ROOT, environment_for

_EXAMPLE = """
import rxfal
print(rxfal.stream("fal-ai/any-llm", {"prompt": "rivers", "tokens_per_second": 100000}).run()["output"])
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    shutil.copy(ROOT / "examples" / "ui" / "run.py", tmp_path)
    (tmp_path / "small_app.py").write_text(_EXAMPLE)
    return [sys.executable, str(tmp_path / "run.py"), "small"]


def test_an_example_gets_a_server_of_its_own(command: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FAL_", "RXFAL_"))}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (ran.stdout, ran.returncode) == (words.prose("rivers") + "\n", 0)


def test_an_example_gets_the_server_of_the_environment(command: list[str]) -> None:
    with FalServer(models=True, pace=0) as server:
        ran = subprocess.run(command, env=environment_for(server), capture_output=True, text=True)
        assert (ran.stdout, ran.returncode) == (words.prose("rivers") + "\n", 0)
        assert len(server.requests) == 1


def test_the_end_of_it_ends_the_example(command: list[str]) -> None:
    with FalServer(models=True, pace=1e6) as server, subprocess.Popen(command, env=environment_for(server)) as process:
        try:
            server.wait_received(1, timeout=30.0)
            process.send_signal(signal.SIGTERM)
            server.requests[0].wait_closed(5.0)
            assert process.wait(10.0) == 128 + signal.SIGTERM
        finally:
            process.kill()
