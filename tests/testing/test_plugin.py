"""The pytest plugin, as a user's test run has it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

USER_TESTS = """
import os
import subprocess
import sys

import pytest
import rxfal

made_before = rxfal.Client()
NAMES = ("RXFAL_BASE_URL", "FAL_KEY", "no_proxy")
environment = {name: os.environ.get(name) for name in NAMES}

def counter(server):
    @server.app("owner/counter")
    async def count(input):
        for n in range(3):
            yield n

def test_sync(fal_server):
    counter(fal_server)
    assert rxfal.stream("owner/counter").run() == 2

async def test_async(fal_server, rxfal_client):
    counter(fal_server)
    assert await rxfal.stream("owner/counter") == 2
    assert [n async for n in rxfal_client.stream("owner/counter")] == [0, 1, 2]
    assert len(fal_server.requests) == 2

def test_the_models_are_there(rxfal_client):
    assert rxfal_client.stream("fal-ai/any-llm", {"prompt": "the sea"}).run()["partial"] is False

def test_a_client_of_the_code_under_test_talks_to_the_server(fal_server):
    counter(fal_server)
    with rxfal.Client() as client:
        assert client.stream("owner/counter").run() == 2

def test_a_configured_client_talks_to_it_too(fal_server):
    counter(fal_server)
    rxfal.configure()
    assert rxfal.stream("owner/counter").run() == 2

def test_a_subprocess_talks_to_the_server(fal_server):
    counter(fal_server)
    code = "import rxfal; print(rxfal.stream('owner/counter').run())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "2\\n"
    assert len(fal_server.requests) == 1

def test_a_client_made_before_keeps_its_address(fal_server):
    assert made_before.config.run_url == "https://fal.run"

@pytest.fixture
def patch(monkeypatch):
    return monkeypatch

# The order of the fixtures is that of their set-up; whichever it is, the environment is whole again afterwards.
def test_the_users_monkeypatch_comes_first(patch, fal_server):
    patch.setenv("FAL_KEY", "the user's")
    with pytest.raises(rxfal.ApiError):
        rxfal.Client().stream("fal-ai/any-llm").run()

def test_the_users_monkeypatch_comes_last(fal_server, patch):
    patch.delenv("FAL_KEY")

def test_all_is_as_before():
    from rxfal.client import set_default
    assert set_default(None) is None
    assert {name: os.environ.get(name) for name in NAMES} == environment
"""


def test_the_fixtures_serve_sync_and_async_tests(tmp_path: Path):
    (tmp_path / "test_user.py").write_text(USER_TESTS)
    arguments = ["-p", "pytest_asyncio.plugin", "-p", "rxfal.testing.plugin", "-o", "asyncio_mode=auto"]
    arguments += ["-W", "error", "-o", "asyncio_default_fixture_loop_scope=function", "-q", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-m", "pytest", *arguments, str(tmp_path / "test_user.py")],
        # A proxy that nobody answers at: what goes to the server must not go there.
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT), "http_proxy": "127.0.0.1:9"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "10 passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
