"""`rxfal run`: one call, its result on stdout and nothing else there."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import reactivex

from rxfal.cli import run
from rxfal.cli.line import StatusLine
from rxfal.testing import Bytes, FalServer, Job, Pause, Status
from tests.cli.processes import ROOT, START, InTerminal, PseudoTerminal, end, start


@pytest.fixture
def painter(server: FalServer) -> str:
    @server.app("owner/painter")
    async def painter(input: Any, job: Job) -> Any:
        job.billable_units = 2.5
        return {"seen": input, "tags": job.headers.get("X-Fal-Tags"), "text": "grün\x1b[2J"}

    return "owner/painter"


def test_a_pipe_gets_one_line_of_json_and_stderr_the_rest(
    painter: str, server: FalServer, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["run", painter, "-i", "prompt=a cat", "-i", "seed=5", "--tag", "team=red", "--start-timeout", "9"]) == 0
    out, err = capfd.readouterr()
    assert out.count("\n") == 1
    assert json.loads(out) == {"seen": {"prompt": "a cat", "seed": 5}, "tags": "team=red", "text": "grün\x1b[2J"}
    sent = server.requests[-1]
    assert (sent.path, sent.headers["X-Fal-Request-Timeout"]) == ("/owner/painter", "9.0")
    first, last = err.splitlines()
    assert first == f"request {sent.request_id}"
    assert last.endswith(" s · 2.5 billable units")


def test_the_input_can_come_from_stdin_and_the_path_be_said(
    painter: str, server: FalServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"prompt": "from stdin"}'))

    @server.app("owner/painter/sketch")
    async def sketch(input: Any) -> Any:
        return input

    assert run(["run", painter, "-i", "-", "--path", "/sketch"]) == 0
    assert json.loads(capfd.readouterr().out) == {"prompt": "from stdin"}


@pytest.mark.parametrize("value", [None, 0, [], "text"])
def test_a_result_is_whatever_json_the_model_gave(
    value: Any, server: FalServer, capfd: pytest.CaptureFixture[str]
) -> None:
    server.script(
        "owner/odd",
        [Status(json=value)] if value is not None else [Status(content_type="application/json"), Bytes(b"null")],
    )
    assert run(["run", "owner/odd"]) == 0
    assert json.loads(capfd.readouterr().out) == value


def test_a_terminal_gets_indented_json_that_it_can_bear(painter: str, in_terminal: InTerminal) -> None:
    status, written = in_terminal.run("run", painter, "-i", "prompt=x")
    assert status == 0
    assert json.loads(written)["text"] == "grün\x1b[2J"
    assert "\x1b" not in written
    assert '\n  "seen": {\n' in written


def test_a_terminal_shows_the_pictures_of_a_result(server: FalServer, in_terminal: InTerminal) -> None:
    status, written = in_terminal.run("run", "fal-ai/fast-julia", "-i", "prompt=x", "-i", "size=64")
    assert status == 0
    assert "data:image/png;base64,[" in written
    assert written.count("38;2;") > 100


def test_speech_goes_into_a_pipe_as_it_is(server: FalServer, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["run", "fal-ai/speech", "-i", "text=hi"]) == 0
    assert capfdbinary.readouterr().out.startswith(b"RIFF")


def test_speech_on_a_terminal_is_saved_and_never_over_a_file(
    server: FalServer, in_terminal: InTerminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    head = Status(content_type="audio/wav", headers={"X-Fal-Request-Id": "../id"})
    server.script("owner/voice", [head, Bytes(b"sound")])
    for _ in range(2):
        assert in_terminal.run("run", "owner/voice") == (0, "")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "id.wav": b"sound",
        "id-2.wav": b"sound",
    }
    assert "saved id-2.wav: audio/wav, 5 bytes\n" in in_terminal.errors.getvalue()


def test_a_failure_is_one_line_with_the_models_reason_and_the_request(
    server: FalServer, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["run", "fal-ai/any-llm"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("rxfal: fal-ai/any-llm: prompt: Field required")
    assert f"request {server.requests[-1].request_id}" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "args",
    [["run"], ["run", "a/b", "--tag", "x"], ["run", "a/b", "-i", "x"], ["run", "a/b", "--response-timeout", "0"]],
)
def test_a_wrong_usage_is_status_2(args: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(args) == 2
    assert "Usage: rxfal run" in capfd.readouterr().err


def test_the_json_is_json_in_every_encoding(server: FalServer) -> None:
    server.script("owner/odd", [Status(json={"text": "grün 日本"})])
    done = subprocess.run(
        [sys.executable, "-m", "rxfal", "run", "owner/odd"],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == {"text": "grün 日本"}


@pytest.mark.parametrize(("closed", "says"), [("2>&-", '"output"'), (">&-", "request ")])
def test_a_stream_that_the_caller_has_closed_is_no_failure(closed: str, says: str, server: FalServer) -> None:
    command = f"{sys.executable} -m rxfal run fal-ai/any-llm -i prompt=x {closed}"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_drops_the_connection_and_with_it_the_work(server: FalServer) -> None:
    pause = Pause()
    server.script("owner/slow", [pause])
    process = start("run", "owner/slow")
    pause.wait_reached(START)
    assert end(process, signal.SIGINT) == (130, [])
    request = server.requests[-1]
    request.wait_closed()
    assert request.dropped


def test_a_terminal_sees_the_seconds_pass(server: FalServer) -> None:
    pause = Pause()
    server.script("owner/slow", [pause, Status(json={"n": 1})])
    terminal = PseudoTerminal("run", "owner/slow")
    terminal.read_until("0.3 s · owner/slow")
    pause.release()
    terminal.read_until()
    assert terminal.process.wait(30) == 0
    *_, last = terminal.written.split("\r\x1b[K")
    assert last.startswith('{\r\n  "n": 1\r\n}\r\n')


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2


def test_the_line_is_not_drawn_more_often_than_an_eye_can_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(os, "get_terminal_size", lambda fileno: os.terminal_size((80, 24)))
    monkeypatch.setattr(sys, "stderr", screen := _Screen())
    steps = 5000
    with StatusLine("owner/app") as line:
        line.wait_for(reactivex.range(steps), lambda step: setattr(line, "state", f"step {step}"))
    assert 0 < screen.getvalue().count("owner/app") < steps / 2
