"""`rxfal upload`: what it prints, and what it sends."""

import json
from pathlib import Path

import pytest

from rxfal.cli import run
from rxfal.testing import FalServer, Pause
from tests.cli.processes import InTerminal, PseudoTerminal


@pytest.fixture
def note(tmp_path: Path) -> Path:
    file = tmp_path / "note.txt"
    file.write_text("hello")
    return file


def test_upload_prints_a_line_of_json_for_each_file(
    server: FalServer, note: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.bin"
    other.write_bytes(b"123")
    assert run(["upload", str(note), str(other), "--content-type", "text/x-note"]) == 0
    out, err = capfd.readouterr()
    first, second = map(json.loads, out.splitlines())
    assert first == {"url": first["url"], "name": "note.txt", "content_type": "text/x-note", "size": 5}
    assert (second["name"], second["size"]) == ("other.bin", 3)
    assert server.files[first["url"]].data == b"hello"
    assert err == ""


@pytest.mark.parametrize(("given", "seconds"), [("1d", 86_400), ("90", 90)])
def test_upload_says_how_long_the_file_is_kept(given: str, seconds: int, server: FalServer, note: Path) -> None:
    assert run(["upload", str(note), "--lifecycle", given]) == 0
    initiated = next(request for request in server.requests if request.path.endswith("/initiate"))
    assert json.loads(initiated.headers["X-Fal-Object-Lifecycle"]) == {"expiration_duration_seconds": seconds}


def test_a_terminal_gets_the_address_alone(server: FalServer, note: Path, in_terminal: InTerminal) -> None:
    status, written = in_terminal.run("upload", str(note))
    assert (status, written) == (0, f"{next(iter(server.files))}\n")


def test_nothing_is_uploaded_if_one_of_the_files_is_wrong(
    server: FalServer, note: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["upload", str(note), "/no/such/file"]) == 1
    assert capfd.readouterr() == ("", "rxfal: file: No such file or directory: /no/such/file\n")
    assert server.requests == []


@pytest.mark.parametrize("args", [["upload"], ["upload", "file", "--lifecycle", "2d"]])
def test_a_wrong_upload_is_a_wrong_usage(args: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(args) == 2
    assert "Usage: rxfal upload" in capfd.readouterr().err


def test_a_terminal_shows_how_far_an_upload_is(server: FalServer, note: Path) -> None:
    answer = Pause()
    server.script("rest/storage/upload/initiate", [answer], times=1)
    terminal = PseudoTerminal("upload", str(note))
    answer.wait_reached()
    terminal.read_until("0.3 s · uploading")
    terminal.type(b"\x03")
    terminal.read_until()
    assert terminal.process.wait(30) == 130
    answer.release()
    assert terminal.written.endswith("\r\x1b[K"), "the line is gone"
    assert "Traceback" not in terminal.written
