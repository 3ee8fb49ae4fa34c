"""The `rxfal` command: what it prints, where, and how it ends."""

import base64
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from rxfal.cli import run
from rxfal.cli.app import one_line
from rxfal.cli.inputs import parse
from rxfal.cli.media import Media, media_in, shortened
from rxfal.cli.picture import Gallery, HalfBlocks, image_of
from rxfal.cli.progress import Progress
from rxfal.cli.view import Board, line
from rxfal.testing import Bytes, Disconnect, FalServer, Pause
from rxfal.testing.pictures import JuliaSet
from tests.cli.processes import ROOT, InTerminal, PseudoTerminal, complaints, end, lines_of, start


def _events(server: FalServer, *events: Any) -> str:
    server.script("owner/alias", [Bytes(b"data: " + json.dumps(event).encode() + b"\n\n") for event in events])
    return "owner/alias"


# Input


def test_a_value_is_json_if_it_can_be_and_text_if_not() -> None:
    given = ["a=text", "b=5", "c=true", "d=[1, 2]", 'e="5"', "f=NaN", "g=x=y", "h=", "a=later"]
    assert parse(given) == {
        "a": "later",
        "b": 5,
        "c": True,
        "d": [1, 2],
        "e": "5",
        "f": "NaN",
        "g": "x=y",
        "h": "",
    }


def test_a_dash_reads_an_object_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"prompt": "from stdin", "seed": 1}'))
    assert parse(["seed=0", "-", "size=2"]) == {"prompt": "from stdin", "seed": 1, "size": 2}


@pytest.mark.parametrize("stdin", ["", "[1]", "{"])
def test_what_is_no_object_on_stdin_is_a_usage_error(
    stdin: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    assert run(["stream", "owner/alias", "-i", "-"]) == 2
    assert "stdin" in capfd.readouterr().err


def test_an_at_sign_uploads_the_file(server: FalServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "note.txt"
    file.write_text("hello")
    _events(server, 1)
    assert run(["stream", "owner/alias", "-i", f"document=@{file}"]) == 0
    ((url, stored),) = server.files.items()
    assert stored.data == b"hello"
    assert server.requests[-1].json == {"document": url}


# Output


def test_text_is_printed_as_what_is_new_with_a_newline_at_the_end(
    server: FalServer, capfd: pytest.CaptureFixture[str]
) -> None:
    app = _events(server, {"output": "Hel"}, {"output": "Hello"}, {"output": "Hello"})
    assert run(["stream", app]) == 0
    assert run(["stream", app, "--text"]) == 0
    assert capfd.readouterr() == ("Hello\nHello\n", "")


def test_events_without_text_arelines_of_json(server: FalServer, capfd: pytest.CaptureFixture[str]) -> None:
    app = _events(server, {"n": 1}, [], None, 0, {"text": "grün"})
    assert run(["stream", app]) == 0
    assert capfd.readouterr().out == '{"n": 1}\n[]\nnull\n0\n{"text": "grün"}\n'


def test_the_first_event_of_an_openai_route_has_a_role_and_no_text_and_it_is_text_all_the_same(
    server: FalServer, capfd: pytest.CaptureFixture[str]
) -> None:
    deltas = [{"role": "assistant"}, {"content": "Hi"}, {"content": " you"}]
    app = _events(server, *({"choices": [{"delta": delta}]} for delta in deltas), {"choices": [], "usage": 3})
    assert run(["stream", app]) == 0
    assert capfd.readouterr().out == "Hi you\n"


def test_json_prints_text_events_whole_and_keeps_a_lone_surrogate(
    server: FalServer, capfd: pytest.CaptureFixture[str]
) -> None:
    server.script("owner/alias", [Bytes(b'data: {"output": "\\ud800"}\n\n')])
    assert run(["stream", "owner/alias", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == {"output": "\ud800"}


def test_raw_prints_what_is_on_the_wire(server: FalServer, capfd: pytest.CaptureFixture[str]) -> None:
    server.script(
        "owner/alias", [Bytes(b"event: odd\r\nid: 7\r\nretry: 5\r\ndata: a\r\ndata: b\r\n\r\ndata: [DONE]\n\n")]
    )
    assert run(["stream", "owner/alias", "--raw"]) == 0
    assert capfd.readouterr().out == "event: odd\nid: 7\nretry: 5\ndata: a\ndata: b\n\nid: 7\ndata: [DONE]\n\n"


def test_text_that_never_comes_is_an_error(server: FalServer, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["stream", _events(server, {"n": 1}), "--text"]) == 1
    assert capfd.readouterr() == ("", "rxfal: owner/alias: no event carried any text; --json shows what came\n")


def test_binary_goes_into_a_pipe_or_a_file_as_it_is(
    server: FalServer, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    file = tmp_path / "speech.wav"
    assert run(["stream", "fal-ai/speech", "-i", "prompt=hi"]) == 0
    assert run(["stream", "fal-ai/speech", "-i", "prompt=hi", "--json", "-o", str(file)]) == 0
    out = capfdbinary.readouterr().out
    assert out.startswith(b"RIFF")
    assert file.read_bytes() == out


def test_a_terminal_gets_neither_binary_nor_escape_sequences(server: FalServer, in_terminal: InTerminal) -> None:
    app = _events(server, {"output": "a\x1b[2Jb\tc\nd"})
    assert in_terminal.run("stream", app) == (0, "a�[2Jb\tc\nd\n")
    assert in_terminal.run("stream", "fal-ai/speech", "-i", "prompt=hi") == (1, "")
    assert "-o FILE" in in_terminal.errors.getvalue()


def test_a_terminal_shows_the_picture_and_how_large_it_is(server: FalServer, in_terminal: InTerminal) -> None:
    status, written = in_terminal.run("stream", "fal-ai/fast-julia", "-i", "prompt=x", "-i", "size=64")
    assert status == 0
    assert written.count("38;2;") > 100, "in colours"
    assert re.search(r"images\[0\]\.url: image/png, [\d.]+ kB", written)
    assert "base64" not in written
    assert "-o FILE saves it." in written
    assert in_terminal.errors.getvalue() == ""


def test_a_terminal_says_the_size_of_what_it_cannot_show(server: FalServer, in_terminal: InTerminal) -> None:
    app = _events(server, {"audio": _uri("audio/mpeg", 30_000)}, {"image": {"url": _uri("image/webp", 50_000)}})
    status, written = in_terminal.run("stream", app)
    assert status == 0
    assert "audio: audio/mpeg, 30.0 kB" in written
    assert "image.url: image/webp, 50.0 kB" in written
    assert "AAAA" not in written


@pytest.mark.parametrize("style", ["--json", "--raw"])
def test_a_terminal_is_not_flooded_with_base64_in_any_style(
    style: str, server: FalServer, in_terminal: InTerminal
) -> None:
    app = _events(server, {"image": _uri("image/png", 30_000), "b64_json": _uri("", 60_000).partition(",")[2], "n": 1})
    status, written = in_terminal.run("stream", app, style)
    assert status == 0
    assert len(written) < 200
    assert "data:image/png;base64,[30.0 kB]" in written
    assert "[60.0 kB]" in written


def test_text_and_pictures_of_one_answer_follow_each_other(server: FalServer, in_terminal: InTerminal) -> None:
    picture = {"images": [{"url": _uri("image/png", 500)}]}
    app = _events(server, {"output": "Look"}, picture, {"output": "Look, a tree"})
    status, written = in_terminal.run("stream", app)
    assert status == 0
    first, picture_line, hint, last = [line for line in lines_of(written) if line]
    assert (first, hint, last) == ("Look", "-o FILE saves it.", ", a tree")
    assert "images[0].url: image/png, 500 bytes" in picture_line


def test_a_pipe_gets_pictures_as_whole_json(server: FalServer, capfd: pytest.CaptureFixture[str]) -> None:
    event = {"images": [{"url": _uri("image/png", 30_000)}]}
    assert run(["stream", _events(server, event)]) == 0
    assert json.loads(capfd.readouterr().out) == event


def _uri(content_type: str, size: int) -> str:
    return f"data:{content_type};base64,{base64.b64encode(bytes(size)).decode()}"


# Files


def test_the_finest_picture_is_saved(server: FalServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "picture.png"
    app = _events(server, {"progress": 0}, *({"images": [{"url": _uri("image/png", size)}]} for size in (10, 20, 3000)))
    assert run(["stream", app, "-o", str(file)]) == 0
    assert file.read_bytes() == bytes(3000)
    assert capfd.readouterr() == ("", f"saved {file}: image/png, 3.0 kB\n")


def test_several_pictures_are_numbered_and_take_no_name_that_is_taken(
    server: FalServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    app = _events(server, {"images": [{"url": _uri("image/png", 1)}, {"url": _uri("image/jpeg", 2)}]})
    for _ in range(2):
        assert run(["stream", app, "-o", str(tmp_path / "picture.png")]) == 0
    assert run(["stream", app, "-o", str(tmp_path / "picture.png"), "--force"]) == 0
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes == {"picture-1.png": 1, "picture-2.png": 2, "picture-3.png": 1, "picture-4.png": 2}
    assert capfd.readouterr().err.splitlines()[1] == f"saved {tmp_path / 'picture-2.png'}: image/jpeg, 2 bytes"


def test_sound_that_comes_in_parts_is_joined(server: FalServer, tmp_path: Path) -> None:
    file = tmp_path / "speech.mp3"
    assert (
        run(["stream", _events(server, *({"audio": _uri("audio/mpeg", 10)} for _ in range(3))), "-o", str(file)]) == 0
    )
    assert file.read_bytes() == bytes(30)


def test_text_is_saved_as_it_is_and_json_by_the_line(
    server: FalServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text, lines = tmp_path / "answer.txt", tmp_path / "events.jsonl"
    app = _events(server, {"output": "Hel"}, {"output": "Hello\ud800"})
    assert run(["stream", app, "-o", str(text)]) == 0
    assert text.read_text() == "Hello\\ud800\n"
    assert run(["stream", app, "-o", str(lines), "--json"]) == 0
    assert [json.loads(line)["output"] for line in lines.read_text().splitlines()] == ["Hel", "Hello\ud800"]
    assert capfd.readouterr() == (
        "",
        f"saved {text}: 12 bytes of text\nsaved {lines}: 44 bytes of JSON, a line for each event\n",
    )


def test_what_is_left_out_of_a_file_is_told(
    server: FalServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "answer.txt"
    app = _events(server, {"output": "Look"}, {"image": _uri("image/png", 10)}, {"output": "Look!"})
    assert run(["stream", app, "-o", str(file)]) == 0
    assert file.read_text() == "Look!\n"
    assert "--json saves all of it" in capfd.readouterr().err


def test_a_file_that_exists_is_refused_before_anything_is_sent(
    server: FalServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "answer.txt"
    file.write_text("mine, and a long one")
    app = _events(server, {"output": "new"})
    assert run(["stream", app, "-o", str(file)]) == 1
    assert capfd.readouterr().err == f"rxfal: {file} exists; --force writes over it\n"
    assert server.requests == []
    assert file.read_text() == "mine, and a long one"
    assert run(["stream", app, "-o", str(file), "--force"]) == 0
    assert file.read_text() == "new\n"


def test_a_request_that_fails_leaves_files_as_they_were(server: FalServer, tmp_path: Path) -> None:
    file = tmp_path / "answer.txt"
    assert run(["stream", "nobody/knows", "-o", str(file)]) == 1
    assert not file.exists()
    file.write_text("mine")
    assert run(["stream", "nobody/knows", "-o", str(file), "--force"]) == 1
    assert file.read_text() == "mine"


def test_what_came_before_an_error_is_saved(
    server: FalServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "picture.png"
    event = b"data: " + json.dumps({"image": _uri("image/png", 10)}).encode() + b"\n\n"
    server.script("owner/alias", [Bytes(event), Disconnect("cut")])
    assert run(["stream", "owner/alias", "-o", str(file)]) == 1
    assert file.read_bytes() == bytes(10)
    saved, failed = capfd.readouterr().err.splitlines()
    assert saved == f"saved {file}: image/png, 10 bytes"
    assert "cut short" in failed


def test_a_device_is_written_to_without_force(server: FalServer) -> None:
    assert run(["stream", _events(server, {"output": "Hello"}), "-o", os.devnull]) == 0


@pytest.mark.parametrize(
    "text",
    ["data:, plain", "data:image/png;base64,not base64!", "data:image/png;base64,AAAAA", "see data:image/png;base64,"],
)
def test_text_that_only_looks_like_a_file_is_text(text: str) -> None:
    assert media_in({"output": text}) == []


def test_files_are_found_at_any_depth_and_in_order() -> None:
    deep: Any = _uri("image/png", 1)
    for _ in range(5000):
        deep = [deep]
    found = media_in({"a": [_uri("image/png", 2), {"b": _uri("audio/wav", 3)}], "c": deep})
    assert [len(file.data) for file in found] == [2, 3, 1]
    assert [file.place for file in found[:2]] == ["a[0]", "a[1].b"]


def test_only_long_base64_is_shortened() -> None:
    kept = "a word, https://example.com/a/path " + "x" * 999
    assert shortened(kept) == kept
    assert shortened(f"{kept} {'x' * 4000}==") == f"{kept} [3.0 kB]"


def test_options_reach_the_request(server: FalServer, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["stream", "fal-ai/any-llm", "-i", "prompt=hi", "--auth", "token", "--path", ""]) == 0
    request = server.requests[-1]
    assert request.path == "/fal-ai/any-llm"
    assert "fal_jwt_token" in request.query
    assert "Authorization" not in request.headers


# Errors


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nobody/knows"], "nobody/knows: .*not found.*404"),
        (["fal-ai/any-llm"], "prompt: Field required.*422"),
        (["not-an-id"], "Invalid app id: .?not-an-id"),
        (["https://evilfal.run/a/b"], "not trusted"),
        (["fal-ai/any-llm", "-i", "file=@/no/such/file"], "input.file.*/no/such/file"),
        (["fal-ai/any-llm", "-i", "prompt=x", "-o", "/no/such/folder/file"], "/no/such/folder/file"),
    ],
)
def test_an_error_is_one_line_and_status_1(
    args: list[str], says: str, server: FalServer, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["stream", *args]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(f"rxfal: .*{says}.*\n", err)


def test_the_text_so_far_isended_before_an_error(server: FalServer, capfd: pytest.CaptureFixture[str]) -> None:
    events = b'data: {"output": "so far"}\n\nevent: error\ndata: {"detail": "two\\nlines \\u001b[2J"}\n\n'
    server.script("owner/alias", [Bytes(events)])
    assert run(["stream", "owner/alias"]) == 1
    out, err = capfd.readouterr()
    assert out == "so far\n"
    assert err.count("\n") == 1
    assert "two lines �[2J" in err


def test_no_server_and_a_wrong_address_are_one_line_each(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with FalServer() as gone:
        monkeypatch.setenv("RXFAL_BASE_URL", gone.url)
    assert run(["stream", "owner/alias"]) == 1
    assert "refused" in capfd.readouterr().err
    monkeypatch.setenv("RXFAL_BASE_URL", "ftp://nowhere")
    assert run(["stream", "owner/alias"]) == 1
    assert re.fullmatch("rxfal: the configuration in the environment .*not an http.*\n", capfd.readouterr().err)


def test_the_key_is_in_no_message(
    server: FalServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAL_KEY", "a-wrong-key")
    assert run(["stream", "fal-ai/any-llm", "-i", "prompt=x"]) == 1
    err = capfd.readouterr().err
    assert "401" in err
    assert "a-wrong-key" not in err


@pytest.mark.parametrize("args", [["--debug", "stream", "nobody/knows"], ["stream", "nobody/knows", "--debug"]])
def test_debug_lets_the_traceback_through(args: list[str], server: FalServer) -> None:
    with pytest.raises(Exception, match="not found"):
        run(args)


def test_an_unforeseen_error_is_named_by_its_kind() -> None:
    assert one_line(KeyError("x")) == "KeyError: 'x' (--debug shows where)"


@pytest.mark.parametrize(
    "args",
    [
        ["nope"],
        ["stream"],
        ["stream", "owner/alias", "-i", "no-equals-sign"],
        ["stream", "owner/alias", "--json", "--raw"],
        ["stream", "owner/alias", "--timeout", "0"],
        ["stream", "owner/alias", "--auth", "none"],
        ["serve", "--key", "k", "--no-key"],
        ["demo", "--save", "/no/such/folder/picture.png"],
    ],
)
def test_a_wrong_usage_is_status_2(args: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(args) == 2
    assert "Usage: rxfal" in capfd.readouterr().err


def test_without_the_extra_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "rxfal.cli.app")
    assert run(["demo"]) == 1
    assert capfd.readouterr().err == 'rxfal: the command needs typer, install it with: pip install "rxfal[cli]"\n'


# The demo's parts


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_none(data: bytes) -> None:
    assert image_of(data) is None


def _drawn(renderable: Any, **options: Any) -> str:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24, legacy_windows=False, **options)
    with console.capture() as capture:
        console.print(renderable, height=24)
    return capture.get()


def _coarse_picture() -> str:
    picture = JuliaSet("a test", size=16)
    list(picture.refine(4))
    return picture.data_uri(4)


def _halves(width: int, height: int, kind: str = "RGB") -> Image.Image:
    """Red above, blue below."""
    picture = Image.new("RGB", (width, height), "red")
    picture.paste("blue", (0, height // 2, width, height))
    return picture.convert(kind)


def test_without_colours_the_picture_is_drawn_in_shades() -> None:
    picture = HalfBlocks(_halves(16, 16))
    coloured = _drawn(picture, color_system="truecolor")
    assert "▀" in coloured
    assert "38;2;" in coloured
    grey = _drawn(picture, color_system="truecolor", no_color=True)
    assert "▀" not in grey
    assert "\x1b" not in grey
    assert set(" .:-=+*#%@") & set(grey) - {" "}


@pytest.mark.parametrize(("width", "height"), [(64, 64), (640, 90), (90, 400)])
def test_a_picture_keeps_its_shape(width: int, height: int) -> None:
    lines = [line.strip() for line in lines_of(_drawn(HalfBlocks(_halves(width, height)))) if "▀" in line]
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines) <= 24
    assert len(lines[0]) <= 80
    # A character is about twice as high as wide.
    assert abs(len(lines[0]) / (2 * len(lines)) - width / height) < 0.3 * width / height


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_a_gallery_has_each_picture_and_says_what_it_is(kind: str) -> None:
    def file(place: str) -> Media:
        written = io.BytesIO()
        _halves(40, 40).save(written, kind)
        return Media(place, f"image/{kind.lower()}", written.getvalue())

    drawn = _drawn(Gallery([file("images[0].url"), file("images[1].url")]), color_system="truecolor")
    rows = [line for line in lines_of(drawn) if "▀" in line]
    assert re.search("▀ +▀", rows[0]), "side by side"
    assert f"images[1].url: image/{kind.lower()}, " in drawn


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_the_board_fits_any_terminal(width: int) -> None:
    long = " ".join(str(n) for n in range(2000))
    models = {"a/b": Progress(long, 9), "c/[d]": Progress(), "e/f": Progress(_coarse_picture(), 1, 0.5, 1.0)}
    console = Console(file=io.StringIO(), width=width, height=24, legacy_windows=False)
    with console.capture() as capture:
        console.print(Board(models, "a prompt\nof two lines"), height=24)
    lines = capture.get().splitlines()
    assert len(lines) == 24
    assert max(map(len, lines)) <= width
    assert "1999" in capture.get(), "the newest lines are those to see"
    assert "0 1 2" not in capture.get()


def test_a_failed_model_is_told_apart() -> None:
    assert line("a/b", Progress(error=ValueError("no luck"), ended=True), 80).endswith("failed: no luck")


# Processes


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signalends_a_stream_at_once_and_drops_its_connection(server: FalServer, number: int, status: int) -> None:
    server.script("owner/alias", [Bytes(b'data: {"output": "Hel"}\n\n'), Pause()])
    process = start("stream", "owner/alias")
    assert process.stdout is not None
    assert process.stdout.read(3) == "Hel"  # flushed as it came
    assert end(process, number) == (status, [])
    request = server.requests[-1]
    request.wait_closed()
    assert request.dropped


def test_ctrl_cends_a_name_look_up_that_hangs() -> None:
    code = """if True:
        import socket, sys, time
        def hang(*args, **kwargs):
            print("looking up", flush=True)
            time.sleep(60)
        socket.getaddrinfo = hang
        sys.argv[1:] = ["stream", "owner/alias"]
        from rxfal.cli import main
        main()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "RXFAL_BASE_URL": "http://name.invalid"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "looking up\n"
    assert end(process, signal.SIGINT) == (130, [])


def test_a_reader_that_leavesends_it_quietly(server: FalServer) -> None:
    pause = Pause()
    server.script("owner/alias", [Bytes(b"data: 1\n\n"), pause, Bytes(b"data: 2\n\n" * 10)])
    process = start("stream", "owner/alias")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "1\n"
    process.stdout.close()
    pause.release()
    assert complaints(process.stderr.read()) == []
    assert process.wait(30) == 141
    process.stderr.close()


def test_the_demoends_as_quietly_when_its_reader_leaves() -> None:
    process = start("demo", "--pace", "0.1")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "3 models on: a lighthouse in a storm\n"
    process.stdout.close()
    assert complaints(process.stderr.read()) == []
    assert process.wait(30) == 141
    process.stderr.close()


def test_serve_says_where_it_is_logs_requests_andends_on_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    process = start("serve", "--port", "0", "--pace", "0")
    assert process.stdout is not None
    for text in process.stdout:
        if export := re.fullmatch(r"export (\w+)=(.*)\n", text):
            monkeypatch.setenv(export[1], export[2])
            if export[1] == "FAL_KEY":
                break
    assert run(["stream", "fal-ai/any-llm", "-i", "prompt=hi", "-i", "max_tokens=1"]) == 0
    assert run(["stream", "nobody/knows"]) == 1
    assert process.stdout.readline() == "\n"
    logged = [process.stdout.readline() for _ in range(2)]
    assert [text.split()[1:] for text in logged] == [
        ["POST", "/fal-ai/any-llm/stream", "200"],
        ["POST", "/nobody/knows/stream", "404"],
    ]
    assert end(process, signal.SIGINT) == (130, [])


def test_the_demo_in_a_pipe_prints_lines_and_a_table_and_saves_the_picture(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAL_KEY", "a-key-of-the-user")
    picture = tmp_path / "picture.png"
    assert run(["demo", "--pace", "0", "--prompt", "a test", "--save", str(picture)]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert "\x1b" not in out
    assert "a-key-of-the-user" not in out
    assert "FAL_KEY is set" in out
    for name in ("fal-ai/any-llm", "rxfal/bard", "fal-ai/fast-julia"):
        assert re.search(rf"^{name} .* done", out, re.MULTILINE)
        assert re.search(rf"│ {name} +│ +\d+ │ .* s │$", out, re.MULTILINE)
    with Image.open(picture) as saved:
        assert saved.size == (256, 256)


def test_the_demo_in_a_terminal_is_live_and_leaves_the_panels_and_a_table() -> None:
    terminal = PseudoTerminal("demo", "--pace", "0.2")
    terminal.read_until()
    assert terminal.process.wait(30) == 0
    live, _, final = terminal.written.partition("\x1b[?1049l")
    assert live.count("▌") > 3
    assert "38;2;" in live
    assert live.startswith("\x1b[?1049h")
    assert terminal.written.rindex("\x1b[?25h") > terminal.written.rindex("\x1b[?25l")
    lines = lines_of(final)
    assert max(map(len, lines)) <= 100
    assert len(lines) <= 30
    assert any("╭─ fal-ai/any-llm ─" in text and "╭─ fal-ai/fast-julia ─" in text for text in lines)
    assert any(re.search(r"tokens/s · done · first \d", text) for text in lines)
    assert any(re.match(r"│ rxfal/bard +│ +\d+ │ +\d+ tokens/s │", text) for text in lines)


def test_ctrl_c_in_a_terminal_restores_it_and_leaves_no_traceback() -> None:
    terminal = PseudoTerminal("demo")
    terminal.read_until("tokens/s")
    typed = time.monotonic()
    terminal.type(b"\x03")
    terminal.read_until()
    assert terminal.process.wait(30) == 130
    assert time.monotonic() - typed < 3.0
    assert "Traceback" not in terminal.written
    after = terminal.written.partition("\x1b[?1049l")[2]
    assert "\x1b[?25h" in terminal.written[terminal.written.rindex("\x1b[?25l") :]
    assert "".join(lines_of(after)).strip() in ("", "^C")


def test_a_dumb_terminal_gets_plain_lines() -> None:
    terminal = PseudoTerminal("demo", "--pace", "0", TERM="dumb")
    terminal.read_until()
    assert terminal.process.wait(30) == 0
    assert "\x1b" not in terminal.written
    assert "done" in terminal.written
