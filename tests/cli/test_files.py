"""`rxfal upload` and `download`, and what becomes of the files of a result."""

import base64
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rxfal.cli import run
from rxfal.testing import FalServer, Pause, Status
from tests.cli.processes import START, InTerminal, PseudoTerminal


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
    answer.wait_reached(START)
    terminal.read_until("0.3 s · uploading")
    terminal.type(b"\x03")
    terminal.read_until()
    assert terminal.process.wait(30) == 130
    answer.release()
    assert terminal.written.endswith("\r\x1b[K"), "the line is gone"
    assert "Traceback" not in terminal.written


# Downloads


def _picture(colour: str) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(written, "PNG")
    return written.getvalue()


@pytest.fixture
def result(server: FalServer, capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """A result with two pictures in the storage, one as a data URI, and an app that gives it."""
    with server.client() as client:
        first, second = (client.upload(_picture(colour), name=f"{colour}.png").run().url for colour in ("red", "blue"))
    uri = f"data:image/png;base64,{base64.b64encode(_picture('lime')).decode()}"
    result = {"images": [{"url": first, "content_type": "image/png"}, {"url": second}, {"url": uri}], "seed": 1}

    @server.app("owner/painter")
    async def painter(input: Any) -> Any:
        return result

    return result


def test_download_saves_what_is_at_an_address(
    result: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    url = result["images"][0]["url"]
    assert run(["download", url, str(tmp_path / "new")]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said == {"url": url, "path": said["path"], "content_type": "image/png", "size": len(_picture("red"))}
    assert Path(said["path"]).parent == tmp_path / "new"
    assert Path(said["path"]).read_bytes() == _picture("red")


def test_download_does_not_write_over_a_file_unless_told_to(
    result: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    args = ["download", result["images"][0]["url"], str(tmp_path / "one{ext}")]
    assert run(args) == 0
    assert run(args) == 1
    assert capfd.readouterr().err == f"rxfal: exists already; --force writes over it: {tmp_path / 'one.png'}\n"
    assert run([*args, "--force"]) == 0


@pytest.mark.parametrize("how", ["file", "stdin"])
def test_download_takes_all_files_of_a_result(
    how: str, result: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    file.write_text(json.dumps(result))
    monkeypatch.setattr(sys, "stdin", io.StringIO(file.read_text()))
    source = str(file) if how == "file" else "-"
    assert run(["download", source, str(tmp_path / "out/{index}{ext}")]) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [line["url"] for line in lines] == [result["images"][0]["url"], result["images"][1]["url"], None]
    saved = [(tmp_path / "out" / f"{index}.png").read_bytes() for index in range(3)]
    assert saved == [_picture("red"), _picture("blue"), _picture("lime")]


def test_a_terminal_gets_the_path_alone(result: dict[str, Any], tmp_path: Path, in_terminal: InTerminal) -> None:
    status, written = in_terminal.run("download", result["images"][0]["url"], str(tmp_path / "a.png{ext}"))
    assert (status, written) == (0, f"{tmp_path / 'a.png.png'}\n")


@pytest.mark.parametrize(
    ("source", "status", "says"),
    [
        ("/no/such/file", 2, "a URL begins with http"),
        ("-", 1, "stdin is empty"),
        ("http://127.0.0.1:9/x", 1, "127.0.0.1:9"),
    ],
)
def test_what_cannot_be_downloaded_is_an_error(
    source: str,
    status: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    monkeypatch.chdir(tmp_path)
    assert run(["download", source]) == status
    out, err = capfd.readouterr()
    assert out == ""
    assert says in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["run", "subscribe", "result"])
def test_the_files_of_a_result_are_saved_and_the_result_is_printed(
    command: str, server: FalServer, result: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    args = [command, "owner/painter"]
    if command == "result":
        assert run(["submit", "owner/painter"]) == 0
        args.append(json.loads(capfd.readouterr().out)["request_id"])
        server.queue[-1].wait_reached("COMPLETED", START)
    assert run([*args, "--download", str(tmp_path / "{request_id}/{index}{ext}")]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out) == result
    (folder,) = tmp_path.iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["0.png", "1.png", "2.png"]
    assert f"saved {folder / '1.png'}: image/png, {len(_picture('blue'))} bytes\n" in err
    assert err.startswith(f"request {folder.name}\n")


def test_files_that_exist_are_kept_and_the_new_ones_have_other_names(
    server: FalServer, result: dict[str, Any], tmp_path: Path
) -> None:
    for _ in range(3):
        assert run(["run", "owner/painter", "-d", str(tmp_path / "{index}{ext}")]) == 0
    assert len(list(tmp_path.iterdir())) == 9
    assert {file.read_bytes() for file in tmp_path.glob("0*")} == {_picture("red")}
    assert {file.name for file in tmp_path.glob("0*")} == {"0.png", "0-2.png", "0-3.png"}
    (tmp_path / "1.png").write_bytes(b"old")
    assert run(["run", "owner/painter", "-d", str(tmp_path / "{index}{ext}"), "--force"]) == 0
    assert (tmp_path / "1.png").read_bytes() == _picture("blue")


@pytest.mark.parametrize("place", ["{nothing}", "{index", "note.txt"])
def test_a_wrong_place_is_told_before_anything_is_sent(
    place: str, server: FalServer, note: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(note.parent)
    assert run(["run", "fal-ai/fast-julia", "-i", "prompt=x", "-d", place]) == 2
    assert "--download" in capfd.readouterr().err
    assert server.requests == []


def test_a_download_that_fails_loses_no_result(
    server: FalServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    gone = {"images": [{"url": f"{server.url}/nothing/here.png"}]}
    server.script("owner/painter", [Status(json=gone)])
    assert run(["run", "owner/painter", "-d", str(tmp_path)]) == 1
    out, err = capfd.readouterr()
    assert json.loads(out) == gone
    assert "here.png" in err
    assert list(tmp_path.iterdir()) == []


def test_sound_is_saved_instead_of_written(
    server: FalServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["run", "fal-ai/speech", "-i", "text=hi", "-d", str(tmp_path / "sounds")]) == 0
    (file,) = (tmp_path / "sounds").iterdir()
    assert file.name == f"{server.requests[-1].request_id}.wav"
    assert file.read_bytes().startswith(b"RIFF")
    out, err = capfd.readouterr()
    assert out == ""
    assert f"saved {file}: audio/wav" in err


def test_a_terminal_fetches_the_pictures_of_a_result_to_show_them(
    server: FalServer, result: dict[str, Any], in_terminal: InTerminal
) -> None:
    status, written = in_terminal.run("run", "owner/painter")
    assert status == 0
    for colour in ("255;0;0", "0;0;255", "0;255;0"):
        assert f"38;2;{colour}" in written
    assert "images[1].url: image/png" in written


def test_a_picture_that_cannot_be_fetched_is_no_failure(server: FalServer, in_terminal: InTerminal) -> None:
    server.script("owner/painter", [Status(json={"image": {"url": f"{server.url}/nothing/here.png"}})])
    status, _ = in_terminal.run("run", "owner/painter")
    assert status == 0
    assert "image.url can't be shown" in in_terminal.errors.getvalue()


def test_a_pipe_fetches_nothing(server: FalServer, result: dict[str, Any]) -> None:
    before = len(server.requests)
    assert run(["run", "owner/painter"]) == 0
    assert [request.path for request in server.requests[before:]] == ["/owner/painter"]
