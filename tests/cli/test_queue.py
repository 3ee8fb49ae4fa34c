"""`rxfal subscribe`, `submit`, `status`, `result` and `cancel`, and what Ctrl-C does to a request in the queue."""

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rxfal.cli import run
from rxfal.testing import Disconnect, FalServer, Job, Pause, QueuedRequest, Status
from tests.cli.processes import START, InTerminal, PseudoTerminal, complaints, end, start


class Painter:
    """A model that logs as soon as it begins, and ends when it may."""

    def __init__(self, server: FalServer) -> None:
        self.app = "owner/painter"
        self._end = Pause()
        self._server = server

        @server.app(self.app)
        async def painter(input: Any, job: Job) -> Any:
            job.billable_units = 2.0
            job.log("mixing the colours")
            job.log("painting")
            await self._end.hold()
            if input.get("fail"):
                raise ValueError("no luck")
            return {"seen": input}

    def may_end(self) -> None:
        self._end.release()

    @property
    def request(self) -> QueuedRequest:
        return self._server.queue[-1]

    def cancels(self) -> list[str]:
        return [request.path for request in self._server.requests if request.path.endswith("/cancel")]


@pytest.fixture
def painter(server: FalServer) -> Iterator[Painter]:
    painter = Painter(server)
    yield painter
    painter.may_end()


@pytest.fixture
def handle(server: FalServer, painter: Painter, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Path:
    """A file with the handle of a request that is in progress."""
    assert run(["submit", painter.app, "-i", "prompt=a cat"]) == 0
    file = tmp_path / "handle.json"
    file.write_text(capfd.readouterr().out)
    painter.request.wait_reached("IN_PROGRESS", START)
    return file


# subscribe


def test_subscribe_prints_the_result_alone_and_the_request_on_stderr(
    server: FalServer, painter: Painter, capfd: pytest.CaptureFixture[str]
) -> None:
    painter.may_end()
    assert run(["subscribe", painter.app, "-i", "n=1", "--tag", "team=red", "--priority", "low"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out) == {"seen": {"n": 1}}
    first, last = err.splitlines()
    assert first == f"request {painter.request.request_id}"
    assert last.endswith(" s · 2 billable units")
    assert (painter.request.tags, painter.request.priority) == ({"team": "red"}, "low")
    assert painter.cancels() == []


def test_subscribe_prints_the_logs_if_asked(painter: Painter, capfd: pytest.CaptureFixture[str]) -> None:
    painter.may_end()
    assert run(["subscribe", painter.app, "--logs"]) == 0
    assert capfd.readouterr().err.splitlines()[1:-1] == ["mixing the colours", "painting"]


def test_a_failure_shows_its_last_logs_and_its_request(painter: Painter, capfd: pytest.CaptureFixture[str]) -> None:
    painter.may_end()
    assert run(["subscribe", painter.app, "-i", "fail=true"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    *before, error = err.splitlines()
    assert before == [f"request {painter.request.request_id}", "mixing the colours", "painting"]
    assert error.startswith("rxfal: owner/painter: ValueError: no luck")
    assert f"request {painter.request.request_id}" in error


def test_a_timeout_cancels_and_is_an_error(painter: Painter, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["subscribe", painter.app, "--timeout", "0.2"]) == 1
    assert "within 0.2 seconds; wait longer with --timeout (" in capfd.readouterr().err
    assert len(painter.cancels()) == 1


def test_speech_comes_through_the_queue_too(server: FalServer, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["subscribe", "fal-ai/speech", "-i", "text=hi"]) == 0
    assert capfdbinary.readouterr().out.startswith(b"RIFF")


@pytest.mark.parametrize("how", ["ids", "file", "stdin"])
def test_follow_waits_for_a_request_that_is_there(
    how: str, painter: Painter, handle: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    painter.may_end()
    monkeypatch.setattr(sys, "stdin", io.StringIO(handle.read_text()))
    wanted = {
        "ids": [painter.app, "--follow", painter.request.request_id],
        "file": ["--follow", str(handle)],
        "stdin": ["--follow", "-"],
    }
    assert run(["subscribe", *wanted[how]]) == 0
    assert json.loads(capfd.readouterr().out) == {"seen": {"prompt": "a cat"}}


def test_a_terminal_sees_the_position_the_newest_log_and_the_seconds(server: FalServer, painter: Painter) -> None:
    server.pause_queue()
    terminal = PseudoTerminal("subscribe", painter.app)
    terminal.read_until("queued, position 0")
    server.resume_queue()
    terminal.read_until(" s · owner/painter · painting")
    painter.may_end()
    terminal.read_until()
    assert terminal.process.wait(30) == 0
    shown, _, result = terminal.written.rpartition("\r\x1b[K")
    assert f"request {painter.request.request_id}\r\n" in shown
    assert result.startswith('{\r\n  "seen": {}\r\n}\r\n')


def test_a_terminal_gets_no_escape_sequences_of_a_log(server: FalServer) -> None:
    @server.app("owner/nasty")
    async def nasty(input: Any, job: Job) -> Any:
        job.log("a\x1b[2J\r\nb")
        return 1

    terminal = PseudoTerminal("subscribe", "owner/nasty", "--logs")
    terminal.read_until()
    assert terminal.process.wait(30) == 0
    assert "\x1b[2J" not in terminal.written
    assert "a�[2J b\r\n" in terminal.written


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["a/b", "--priority", "high"],
        ["a/b", "--follow", "id", "-i", "n=1"],
        ["--follow", "/no/such/file"],
        ["a/b", "--timeout", "0"],
    ],
)
def test_a_wrong_usage_of_subscribe_is_status_2(args: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["subscribe", *args]) == 2
    assert "Usage: rxfal subscribe" in capfd.readouterr().err


def test_following_an_id_alone_asks_for_its_endpoint(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["subscribe", "--follow", "r-1"]) == 2
    said = " ".join(capfd.readouterr().err.replace("│", " ").split())
    assert "name its endpoint too: rxfal subscribe APP --follow r-1" in said


# Ctrl-C


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_the_request_once(painter: Painter, number: int, status: int) -> None:
    process = start("subscribe", painter.app)
    assert process.stderr is not None
    assert process.stderr.readline() == f"request {painter.request.request_id}\n"
    painter.request.wait_reached("IN_PROGRESS", START)
    code, said = end(process, number, within=20.0)
    assert code == status
    assert said == (["cancelling; Ctrl-C again leaves at once"] if number == signal.SIGINT else [])
    painter.request.wait_reached("COMPLETED", START)
    assert painter.request.cancelled
    assert len(painter.cancels()) == 1


def test_ctrl_c_while_the_submit_is_under_way_cancels_what_comes_of_it(server: FalServer, painter: Painter) -> None:
    answer = Pause()
    handle = {"request_id": "the-id", "status": "IN_QUEUE", "queue_position": 0}
    server.script("queue/owner/painter", [answer, Status(json=handle)])
    process = start("subscribe", painter.app)
    answer.wait_reached(START)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline() == "cancelling; Ctrl-C again leaves at once\n"
    answer.release()
    assert process.wait(30) == 130
    assert painter.cancels() == ["/queue/owner/painter/requests/the-id/cancel"]
    process.communicate()


def test_ctrl_c_during_a_submit_cancels_what_nobody_has_the_handle_of(server: FalServer, painter: Painter) -> None:
    answer = Pause()
    server.script("queue/owner/painter", [answer, Status(json={"request_id": "the-id", "status": "IN_QUEUE"})])
    process = start("submit", painter.app)
    answer.wait_reached(START)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline() == "cancelling; Ctrl-C again leaves at once\n"
    answer.release()
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 130
    assert painter.cancels() == ["/queue/owner/painter/requests/the-id/cancel"]


def test_a_second_ctrl_c_leaves_at_once(server: FalServer, painter: Painter) -> None:
    never = Pause()
    server.script("queue/owner/painter/requests/*/cancel", [never])
    process = start("subscribe", painter.app)
    assert process.stderr is not None
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    never.wait_reached(START)
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert time.monotonic() - asked < 4.0, "less than the patience of the first one"
    assert complaints(process.communicate()[1]) == ["cancelling; Ctrl-C again leaves at once"]


def test_a_server_that_does_not_answer_the_cancel_holds_nobody_up_for_long(server: FalServer, painter: Painter) -> None:
    server.script("queue/owner/painter/requests/*/cancel", [Pause()])
    process = start("subscribe", painter.app)
    assert process.stderr is not None
    process.stderr.readline()
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    said = complaints(process.communicate(timeout=30)[1])
    assert time.monotonic() - asked < 20.0
    assert process.returncode == 130
    assert painter.request.request_id in said[-1], "the request that may still run is named"


def test_ctrl_c_on_a_terminal_cancels_and_leaves_a_clean_line(painter: Painter) -> None:
    terminal = PseudoTerminal("subscribe", painter.app)
    terminal.read_until("painting")
    terminal.type(b"\x03")
    terminal.read_until()
    assert terminal.process.wait(30) == 130
    assert painter.request.cancelled
    assert terminal.written.endswith("\r\x1b[Kcancelling; Ctrl-C again leaves at once\r\n\r\x1b[K")


def test_ctrl_c_only_stops_following(painter: Painter, handle: Path) -> None:
    process = start("subscribe", "--follow", str(handle))
    assert process.stderr is not None
    process.stderr.readline()
    assert end(process, signal.SIGINT, within=20.0) == (130, ["the request goes on; rxfal cancel ends it"])
    assert painter.cancels() == []


def test_a_killed_subscribe_is_picked_up_again(painter: Painter, capfd: pytest.CaptureFixture[str]) -> None:
    process = start("subscribe", painter.app, "-i", "n=1")
    assert process.stderr is not None
    request_id = process.stderr.readline().split()[1]
    process.kill()
    process.communicate()
    painter.may_end()
    assert run(["subscribe", painter.app, "--follow", request_id]) == 0
    assert json.loads(capfd.readouterr().out) == {"seen": {"n": 1}}


# submit, status, result, cancel


def test_submit_prints_the_handle_alone(server: FalServer, painter: Painter, capfd: pytest.CaptureFixture[str]) -> None:
    args = ["--start-timeout", "30", "--webhook", "https://example.com/hook", "--path", "/"]
    assert run(["submit", painter.app, "-i", "n=1", *args]) == 0
    out, err = capfd.readouterr()
    handle = json.loads(out)
    assert (handle["app"], handle["request_id"]) == (painter.app, painter.request.request_id)
    assert handle["status_url"].startswith(server.url)
    assert err == f"request {handle['request_id']}\n"
    assert painter.request.webhook_url == "https://example.com/hook"
    assert painter.request.headers["X-Fal-Request-Timeout"] == "30.0"


def test_status_says_where_a_request_is(server: FalServer, painter: Painter, capfd: pytest.CaptureFixture[str]) -> None:
    server.pause_queue()
    assert run(["submit", painter.app]) == 0
    handle = json.loads(capfd.readouterr().out)
    ids = [painter.app, handle["request_id"]]
    assert run(["status", *ids]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said == {"status": "IN_QUEUE", "queue_position": 0, "request_id": handle["request_id"]}
    server.resume_queue()
    painter.request.wait_reached("IN_PROGRESS", START)
    assert run(["status", *ids, "--logs"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["status"] == "IN_PROGRESS"
    assert [log["message"] for log in said["logs"]] == ["mixing the colours", "painting"]
    painter.may_end()
    painter.request.wait_reached("COMPLETED", START)
    assert run(["status", *ids]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["status"] == "COMPLETED"
    assert said["metrics"]["inference_time"] > 0
    assert "error" not in said


def test_status_of_a_failed_request_has_its_error(painter: Painter, capfd: pytest.CaptureFixture[str]) -> None:
    painter.may_end()
    assert run(["submit", painter.app, "-i", "fail=true"]) == 0
    painter.request.wait_reached("COMPLETED", START)
    capfd.readouterr()
    assert run(["status", painter.app, painter.request.request_id]) == 0
    said = json.loads(capfd.readouterr().out)
    assert (said["status"], said["error"]) == ("COMPLETED", "ValueError: no luck")
    assert "error_type" in said


def test_result_waits_for_nothing(painter: Painter, handle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["result", str(handle)]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert "still in progress" in err
    assert "rxfal subscribe --follow" in err
    painter.may_end()
    painter.request.wait_reached("COMPLETED", START)
    assert run(["result", painter.app, painter.request.request_id]) == 0
    assert json.loads(capfd.readouterr().out) == {"seen": {"prompt": "a cat"}}


def test_submit_can_be_piped_into_the_others(painter: Painter) -> None:
    painter.may_end()
    submit = start("submit", painter.app, "-i", "n=1")
    submitted, _ = submit.communicate(timeout=30)
    painter.request.wait_reached("COMPLETED", START)
    for command, says in (
        ("status", '"COMPLETED"'),
        ("result", '{"seen": {"n": 1}}'),
        ("cancel", '"ALREADY_COMPLETED"'),
    ):
        process = start(command, "-", stdin=subprocess.PIPE)
        out, _ = process.communicate(submitted, timeout=30)
        assert says in out


@pytest.mark.parametrize("is_running", [True, False])
def test_cancel_prints_fals_word(
    is_running: bool, server: FalServer, painter: Painter, capfd: pytest.CaptureFixture[str]
) -> None:
    if not is_running:
        server.pause_queue()
    assert run(["submit", painter.app]) == 0
    if is_running:
        painter.request.wait_reached("IN_PROGRESS", START)
    capfd.readouterr()
    assert run(["cancel", painter.app, painter.request.request_id]) == 0
    word = "CANCELLATION_REQUESTED" if is_running else "OK"
    assert json.loads(capfd.readouterr().out) == {"status": word, "request_id": painter.request.request_id}
    painter.request.wait_reached("COMPLETED", START)
    assert run(["cancel", painter.app, painter.request.request_id]) == 1
    out, err = capfd.readouterr()
    assert json.loads(out)["status"] == "ALREADY_COMPLETED"
    assert err == "rxfal: nothing was cancelled: the request is completed\n"


def test_cancel_of_an_unknown_request_fails(server: FalServer, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["cancel", "fal-ai/any-llm", "nobody-knows"]) == 1
    out, err = capfd.readouterr()
    assert json.loads(out) == {"status": "NOT_FOUND", "request_id": "nobody-knows"}
    assert err == "rxfal: nothing was cancelled: fal knows no such request\n"


@pytest.mark.parametrize("command", ["status", "result"])
def test_an_unknown_request_is_an_error(command: str, server: FalServer, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([command, "fal-ai/any-llm", "nobody-knows"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("rxfal: fal-ai/any-llm: ")
    assert "nobody-knows" in err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("[]", "holds no handle"),
        ('{"app": "owner/alias"}', "request_id: Field required"),
        ('{"app": "owner/alias", "request_id": "../x"}', "holds no handle"),
    ],
)
def test_what_is_no_handle_is_an_error(
    content: str, says: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for command in ("status", "result", "cancel"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(content))
        assert run([command, "-"]) == 1
        out, err = capfd.readouterr()
        assert out == ""
        assert err.startswith("rxfal: stdin ")
        assert says in err


def test_an_endpoint_alone_is_a_wrong_usage(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "owner/alias"]) == 2
    assert "owner/alias REQUEST_ID" in capfd.readouterr().err


def test_a_handle_from_elsewhere_never_sees_the_key(
    server: FalServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "handle.json"
    evil = {"app": "owner/alias", "request_id": "id", "status_url": "https://evilfal.run/status"}
    file.write_text(json.dumps(evil))
    assert run(["status", str(file)]) == 1
    assert "evilfal.run" in capfd.readouterr().err


def test_a_submit_whose_answer_is_lost_is_not_repeated_and_says_so(
    server: FalServer, capfd: pytest.CaptureFixture[str]
) -> None:
    server.script("queue/owner/painter", [Disconnect("cut")])
    assert run(["submit", "owner/painter"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert len(server.requests) == 1


def test_a_terminal_gets_the_handle_indented(painter: Painter, in_terminal: InTerminal) -> None:
    status, written = in_terminal.run("submit", painter.app)
    assert status == 0
    assert json.loads(written)["app"] == painter.app
    assert written.count("\n") > 3
