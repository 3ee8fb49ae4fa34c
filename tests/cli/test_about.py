"""`rxfal models`, `schema` and `price`, `--help-model`, and what a call's last line says of its cost."""

import json
import os
import re
import subprocess
import sys
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from rxfal.cli import run
from rxfal.cli.model_help import fields_of
from rxfal.testing import FalServer
from tests.cli.processes import InTerminal, PseudoTerminal
from tests.test_startup import loaded_by


def test_a_pipe_gets_models_as_lines_of_json(server: FalServer, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "--category", "llm"]) == 0
    out, err = capfd.readouterr()
    assert [json.loads(line)["endpoint_id"] for line in out.splitlines()] == ["fal-ai/any-llm", "rxfal/bard"]
    assert err == ""
    assert run(["models", "rhymes", "--limit", "1"]) == 0
    (only,) = map(json.loads, capfd.readouterr().out.splitlines())
    assert (only["endpoint_id"], only["category"]) == ("rxfal/bard", "llm")


def test_no_model_found_is_said_on_stderr(server: FalServer, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "zeppelins"]) == 0
    assert capfd.readouterr() == ("", "no model found; try fewer words, or no --category\n")


def test_a_terminal_gets_a_line_of_text_for_each_model(server: FalServer, in_terminal: InTerminal) -> None:
    status, written = in_terminal.run("models")
    lines = written.splitlines()
    assert status == 0
    assert lines[0].split() == ["fal-ai/any-llm", "llm"]
    assert max(map(len, lines)) <= 60


def test_schema_prints_what_goes_in_and_what_comes_out(server: FalServer, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "fal-ai/fast-julia"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["endpoint_id"] == "fal-ai/fast-julia"
    assert said["input"]["required"] == ["prompt"]
    assert "images" in said["output"]["properties"]
    assert run(["schema", "fal-ai/fast-julia", "--openapi"]) == 0
    assert json.loads(capfd.readouterr().out)["openapi"].startswith("3.")


def test_price_prints_the_unit_price_and_an_estimate(server: FalServer, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["price", "fal-ai/fast-julia"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said == {"endpoint_id": "fal-ai/fast-julia", "unit_price": 0.003, "unit": "megapixels", "currency": "USD"}
    assert run(["price", "fal-ai/fast-julia", "--calls", "1000"]) == 0
    assert json.loads(capfd.readouterr().out) == said | {"calls": 1000, "total_cost": 3.0}


@pytest.mark.parametrize("command", ["schema", "price"])
def test_a_model_that_is_not_there_is_an_error(
    command: str, server: FalServer, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run([command, "nobody/knows"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("rxfal: nobody/knows: ")
    assert "404" in err


class Size(BaseModel):
    width: int = 64


class Settings(BaseModel):
    steps: Annotated[int, Field(ge=1, le=50)] = 28
    prompt: Annotated[str, Field(description="What to paint.\nIn a few words.")]
    style: Literal["oil", "ink"] | None = "ink"
    size: Size | None = None
    images: list[str] = []
    strength: Annotated[float | None, Field(ge=0)] = None


def test_the_help_of_a_model_is_for_people() -> None:
    assert list(fields_of(Settings.model_json_schema())) == [
        ("steps", "integer, 1 to 50", "Default: 28"),
        ("prompt", "text", "required What to paint. In a few words."),
        ("style", "oil | ink", 'Default: "ink"'),
        ("size", "Size", ""),
        ("images", "list of text", "Default: []"),
        ("strength", "number, at least 0", ""),
    ]


def test_the_help_of_a_model_is_shown_instead_of_a_call(server: FalServer, capfd: pytest.CaptureFixture[str]) -> None:
    @server.app("owner/painter")
    async def painter(input: Settings) -> Any:
        return {}

    assert run(["run", "owner/painter", "--help-model"]) == 0
    out, err = capfd.readouterr()
    assert out.startswith("owner/painter takes, each as -i NAME=VALUE:\n")
    assert "What to paint. In a few words." in out
    assert max(map(len, out.splitlines())) <= 80
    assert err == ""
    assert [request.path for request in server.requests] == ["/api/openapi/queue/openapi.json"]


def test_a_terminal_is_told_what_a_call_cost(server: FalServer) -> None:
    terminal = PseudoTerminal("run", "fal-ai/fast-julia", "-i", "prompt=x", "-i", "size=500")
    terminal.read_until()
    assert terminal.process.wait(30) == 0
    assert " s · $0.00075 (0.25 megapixels)\r\n" in terminal.written


def test_a_call_is_done_though_nobody_knows_its_price(server: FalServer) -> None:
    server.app("owner/free")(_free)
    terminal = PseudoTerminal("run", "owner/free")
    terminal.read_until()
    assert terminal.process.wait(30) == 0
    assert " s · 3 billable units\r\n" in terminal.written


async def _free(input: Any, job: Any) -> Any:
    job.billable_units = 3
    return {}


def test_the_help_loads_nothing_that_sends_requests_or_draws_pictures() -> None:
    modules = loaded_by("import rxfal.cli.app")
    assert modules & {"PIL", "aiohttp", "pydantic", "reactivex", "stamina"} == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shells_complete_commands_and_options(shell: str) -> None:
    def said(instruction: str, typed: str = "") -> str:
        environment = {
            "_RXFAL_COMPLETE": f"{instruction}_{shell}",
            "COMP_WORDS": typed,  # bash
            "COMP_CWORD": str(len(typed.split()) - 1),
            "_TYPER_COMPLETE_ARGS": typed,  # zsh and fish
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
        command = [sys.executable, "-c", "import sys; sys.argv[0] = 'rxfal'; from rxfal.cli import main; main()"]
        done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=60)
        return done.stdout

    assert "rxfal" in said("source")
    assert "subscribe" in said("complete", "rxfal sub")
    assert "--download" in said("complete", "rxfal run --down")
    assert "--download" not in said("complete", "rxfal models --down")


_COMMANDS = [
    "run",
    "subscribe",
    "stream",
    "submit",
    "status",
    "result",
    "cancel",
    "upload",
    "download",
    "models",
    "schema",
    "price",
    "types",
]


@pytest.mark.parametrize("command", _COMMANDS)
def test_the_help_of_each_command_fits_a_terminal_and_has_an_example(
    command: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run([command, "--help"]) == 0
    out, _ = capfd.readouterr()
    assert max(map(len, out.splitlines())) <= 80
    assert "…" not in out, "nothing is cut off"
    assert re.search(rf"^ rxfal .*\b{command}\b", out, re.MULTILINE)
    assert run(["--help"]) == 0
    assert re.search(rf"^│ {command} ", capfd.readouterr().out, re.MULTILINE)
