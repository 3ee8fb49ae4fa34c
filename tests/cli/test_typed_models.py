"""`rxfal types`: what it writes, where, and that it is typed end to end."""

import importlib.util
import json
import os
import stat
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import rxfal
from rxfal.cli import run
from rxfal.cli.typed_models import file_name, source
from rxfal.testing import FalServer, Status

SCHEMA = "api/openapi/queue/openapi.json"
NASTY = 'A \\d "quoted" text """\nimport os\n"""\nand \'more\''

INPUT: dict[str, Any] = {
    "type": "object",
    "description": NASTY,
    "required": ["prompt"],
    "x-fal-order-properties": ["prompt", "image_size"],
    "properties": {
        "image_size": {
            "anyOf": [{"$ref": "#/$defs/ImageSize"}, {"type": "string", "enum": ["square_hd", "landscape"]}],
            "default": "landscape",
        },
        "prompt": {"type": "string", "description": NASTY, "examples": [NASTY]},
        "image_url": {"type": "string", "format": "uri", "maxLength": 2083, "minLength": 1},
        "when": {"type": "string", "format": "date-time"},
        "seed": {"type": ["integer", "null"]},
        "guidance": {"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}], "title": "Guidance"},
        "mode": {"anyOf": [{"type": "string", "enum": ["a", "b"]}, {"type": "null"}]},
        "size": {"anyOf": [{"$ref": "#/$defs/ImageSize"}, {"type": "null"}]},
        "words": {"anyOf": [{"type": "array", "items": {"type": "string"}, "minItems": 1}, {"type": "null"}]},
        "steps": {"type": "integer", "default": 28, "minimum": 1, "maximum": 50},
        "negative-prompt": {"type": "string", "default": "a 'b' \"c\""},
        "class": {"type": "string"},
        "schema": {"type": "string"},
        "format": {"type": "string", "enum": ["jpeg", "png"], "default": "jpeg"},
        "loras": {"type": "array", "items": {"$ref": "#/$defs/Lora"}, "default": []},
        "box": {"allOf": [{"$ref": "#/$defs/ImageSize"}], "default": {"width": 8}, "description": "A box."},
        "boxes": {"type": "array", "items": {"$ref": "#/$defs/ImageSize"}, "default": [{"width": 8}]},
        "odd": {"type": "integer", "default": "8"},
        "scale": {"type": "number", "default": 1},
        "anything": {},
        "more": {"type": "object", "additionalProperties": True},
    },
    "$defs": {
        "ImageSize": {"type": "object", "properties": {"width": {"type": "integer", "default": 512}}},
        "Lora": {"type": "object", "required": ["path"], "properties": {"path": {"type": "string"}}},
    },
}
OUTPUT: dict[str, Any] = {
    "type": "object",
    "required": ["images"],
    "properties": {"images": {"type": "array", "items": {"$ref": "#/$defs/Image"}}},
    "$defs": {
        "Image": {
            "type": "object",
            "required": ["url"],
            "properties": {"url": {"type": "string"}, "parent": {"$ref": "#/$defs/Image"}},
        }
    },
}


def made(input: Any = INPUT, output: Any = OUTPUT, endpoint: str = "fal-ai/flux/dev") -> str:
    return source(rxfal.ModelSchema(endpoint, input, output, {}))


def loaded(text: str, tmp_path: Path) -> Any:
    path = tmp_path / "generated_models.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where pydantic looks annotations up
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            spec.loader.exec_module(module)
    finally:
        del sys.modules[path.stem]
    return module


def test_the_source_is_python_that_does_what_the_schema_says(tmp_path: Path) -> None:
    text = made()
    assert text.startswith('"""What fal-ai/flux/dev takes, `Input`, and gives, `Output`.')
    assert "rxfal types fal-ai/flux/dev" in text
    models = loaded(text, tmp_path)
    asked = models.Input(
        prompt="a", image_url="data:,x", image_size={"width": 8}, loras=[{"path": "p"}], negative_prompt="n", class_="c"
    )
    assert not hasattr(models, "os")
    assert (asked.box, asked.boxes, asked.odd, asked.scale) == (None, None, None, 1)
    assert models.Input.model_fields["box"].description == 'A box.\nLeft out, it is {"width": 8}.'
    assert (asked.steps, asked.format, asked.seed) == (28, "jpeg", None)
    assert list(models.Input.model_fields)[:2] == ["prompt", "image_size"]
    assert models.Output.model_validate_json('{"images": [{"url": "u", "parent": {"url": "v"}}]}').images[0].parent
    with pytest.raises(ValueError, match="prompt"):
        models.Input()
    with pytest.raises(ValueError, match="steps"):
        models.Input(prompt="a", steps=51)


async def test_an_instance_is_sent_by_fals_names_and_without_what_was_left_out(tmp_path: Path) -> None:
    models = loaded(made(), tmp_path)
    async with FalServer() as server, server.client() as client:
        server.script("fal-ai/flux/dev", [Status(json={"images": [{"url": "u"}]})])
        asked = models.Input(prompt="a", negative_prompt="n", class_="c", image_size=models.ImageSize(width=8))
        result: Any = await client.run("fal-ai/flux/dev", asked, output=models.Output)
        assert isinstance(result, models.Output)
        assert server.requests[0].json == {
            "prompt": "a",
            "negative-prompt": "n",
            "class": "c",
            "image_size": {"width": 8},
        }


def test_the_same_schema_gives_the_same_source_wherever_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.datamodel-codegen]\nclass-name = "Other"\n[tool.black]\nline-length = 20\n'
    )
    before = made()
    monkeypatch.chdir(tmp_path)
    assert made() == before


def test_a_model_that_contains_itself_and_names_that_are_taken(tmp_path: Path) -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}, "o": {"$ref": "#/$defs/Output"}}}
    defs = {"Node": node, "Output": {"type": "object", "properties": {"x": {"type": "integer"}}}}
    models = loaded(made({**node, "$defs": defs}, {"type": "array", "items": {"type": "string"}}), tmp_path)
    assert models.Input(next=models.Input(o=models.Output2(x=1))).next.o.x == 1
    assert not hasattr(models, "Node")
    assert models.Output(["a"]).root == ["a"]


def test_a_result_that_is_not_described_may_be_anything(tmp_path: Path) -> None:
    models = loaded(made(output={}), tmp_path)
    assert models.Output({"a": 1}).root == {"a": 1}


def test_properties_may_be_named_like_keywords(tmp_path: Path) -> None:
    names = ("default", "enum", "examples", "const", "properties", "type", "title", "description", "anyOf", "required")
    size = {"$ref": "#/$defs/ImageSize"}
    given = {"type": "object", "properties": dict.fromkeys(names, size), "$defs": INPUT["$defs"]}
    models = loaded(made(given), tmp_path)
    fields = models.Input.model_fields
    assert {field.alias or name for name, field in fields.items()} == {*names}
    assert all(field.annotation == models.ImageSize | None for field in fields.values())


def test_a_union_with_a_discriminator(tmp_path: Path) -> None:
    def kind(name: str) -> dict[str, Any]:
        return {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string", "enum": [name]}}}

    mapping = {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"}
    union = {
        "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
        "discriminator": {"propertyName": "kind", "mapping": mapping},
    }
    given = {"type": "object", "properties": {"pet": union}, "$defs": {"Cat": kind("cat"), "Dog": kind("dog")}}
    models = loaded(made(given), tmp_path)
    assert isinstance(models.Input(pet={"kind": "dog"}).pet, models.Dog)


def test_a_schema_that_no_classes_can_be_made_of_is_told() -> None:
    circle = {"allOf": [{"$ref": "#/$defs/Node"}], "type": "object", "properties": {"x": {"type": "string"}}}
    with pytest.raises(rxfal.FalError, match="fal-ai/flux/dev: its schema can't be turned into Python"):
        made({"type": "object", "properties": {"n": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": circle}})


USES = """
from typing import assert_type

import rxfal

from models import any_llm, flux

wish = flux.Input(prompt="a cat", image_size="square_hd", loras=[flux.Lora(path="p")], steps=4, guidance=2, mode="a")


async def main() -> None:
    painted = await rxfal.run("fal-ai/flux/dev", wish, output=flux.Output)
    assert_type(painted, flux.Output)
    assert_type(painted.images, list[flux.Image])
    assert_type(painted.images[0].url, str)
    async for event in rxfal.stream("fal-ai/any-llm", any_llm.Input(prompt="hi"), output=any_llm.Output):
        assert_type(event.output, str)


flux.Input()  # mistake
flux.Input(prompt=3)  # mistake
flux.Input(prompt="a", image_size="huge")  # mistake
flux.Input(promt="a")  # mistake
"""


def test_it_is_typed_end_to_end_for_pyright_and_mypy(server: FalServer, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    assert run(["types", "fal-ai/any-llm", "-o", f"{folder}/"]) == 0
    (folder / "flux.py").write_text(made())
    (tmp_path / "uses.py").write_text(USES)
    mistakes = {number for number, line in enumerate(USES.splitlines(), 1) if line.endswith("# mistake")}
    settings = {"typeCheckingMode": "strict", "pythonVersion": "3.11"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    environment = os.environ | {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1", "MYPYPATH": str(tmp_path)}

    def said_by(*command: str) -> str:
        command = (sys.executable, "-m", *command)
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False
        ).stdout

    report = json.loads(said_by("pyright", "--pythonpath", sys.executable, "--outputjson"))["generalDiagnostics"]
    found = {(Path(each["file"]).name, each["range"]["start"]["line"] + 1) for each in report}
    assert found == {("uses.py", line) for line in mistakes}, report
    told = said_by("mypy", "--strict", "--explicit-package-bases", "--cache-dir", "cache", "uses.py", "models")
    lines = [line.split(":") for line in told.splitlines() if ": error: " in line]
    assert {(name, int(line)) for name, line, *_ in lines} == {("uses.py", line) for line in mistakes}, told


# The command


def test_without_o_the_source_goes_to_stdout(server: FalServer, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["types", "fal-ai/fast-julia"]) == 0
    out, err = capfd.readouterr()
    assert out.startswith('"""What fal-ai/fast-julia takes')
    assert "class Input(BaseModel):" in out
    assert "class ImageOutput" not in out, "the result is Output"
    assert err == ""


def test_a_file_is_replaced_in_one_step_and_keeps_its_mode(
    server: FalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "llm.py"
    assert run(["types", "fal-ai/any-llm", "-o", str(path)]) == 0
    text = path.read_text()
    assert "tokens_per_second" in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~_umask()
    path.write_text("# mine")
    path.chmod(0o640)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda self, target: (_ for _ in ()).throw(OSError(28, "No space", str(target))))
        assert run(["types", "fal-ai/any-llm", "-o", str(path)]) == 1
    assert path.read_text() == "# mine"
    server.script(SCHEMA, [Status(404, json={"detail": "no"})], times=1)
    assert run(["types", "fal-ai/any-llm", "-o", str(path)]) == 1
    assert path.read_text() == "# mine"
    assert run(["types", "fal-ai/any-llm", "-o", str(path)]) == 0
    assert path.read_text() == text
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["llm.py"]
    assert capfd.readouterr().out == ""


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_link_stays_a_link(server: FalServer, tmp_path: Path) -> None:
    target, link = tmp_path / "real.py", tmp_path / "link.py"
    target.write_text("")
    link.symlink_to(target)
    assert run(["types", "fal-ai/any-llm", "-o", str(link)]) == 0
    assert link.is_symlink()
    assert "class Input" in target.read_text()


def test_a_folder_that_is_not_there_is_told_before_anything_is_asked_for(
    server: FalServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["types", "fal-ai/any-llm", "-o", str(tmp_path / "no" / "llm.py")]) == 2
    assert "there is no folder" in capfd.readouterr().err
    assert server.requests == []


@pytest.mark.skipif(sys.platform == "win32", reason="has no such files")
def test_what_is_no_file_is_written_to(server: FalServer, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    assert run(["types", "fal-ai/any-llm", "-o", str(pipe)]) == 0
    reader.join(10)
    assert "class Input" in read[0]
    assert pipe.is_fifo()


def test_several_endpoints_go_into_a_folder(
    server: FalServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "models"
    assert run(["types", "fal-ai/any-llm", "rxfal/bard", "-o", f"{folder}/"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["any_llm.py", "bard.py"]
    assert run(["types", "fal-ai/any-llm", "-o", str(folder)]) == 0, "a folder that is there needs no slash"
    assert run(["types", "fal-ai/any-llm", "rxfal/bard", "-o", str(tmp_path / "file.py")]) == 2
    assert run(["types", "fal-ai/any-llm", "rxfal/bard"]) == 2
    assert "folder" in capfd.readouterr().err
    assert not (tmp_path / "file.py").exists()


def test_nothing_is_written_if_one_of_several_has_no_schema(server: FalServer, tmp_path: Path) -> None:
    assert run(["types", "fal-ai/any-llm", "nobody/knows", "-o", f"{tmp_path}/models/"]) == 1
    assert not (tmp_path / "models").exists()


def test_two_endpoints_with_the_same_file_name_are_told_apart(
    server: FalServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["types", "rxfal/bard", "other/bard", "-o", f"{tmp_path}/"]) == 2
    assert "bard.py" in capfd.readouterr().err


def test_without_the_generator_the_error_says_how_to_install_it(
    server: FalServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "datamodel_code_generator", None)
    assert run(["types", "fal-ai/any-llm"]) == 1
    assert 'pip install "rxfal[types]"' in capfd.readouterr().err
    assert server.requests == []


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("fal-ai/flux/dev", "flux_dev.py"),
        ("fal-ai/flux-pro/v1.1-ultra", "flux_pro_v1_1_ultra.py"),
        ("fal-ai/3d", "_3d.py"),
        ("me/class", "_class.py"),
        ("workflows/me/flow", "me_flow.py"),
    ],
)
def test_a_file_in_a_folder_is_named_like_a_module(endpoint: str, name: str) -> None:
    assert file_name(endpoint) == name
    assert name.removesuffix(".py").isidentifier()
