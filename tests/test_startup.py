"""What a program loads: nothing of what it does not use, and yet every name is where it was."""

import inspect
import operator
import os
import pickle
import pydoc
import re
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest

import rxfal
import rxfal.testing
from rxfal.testing import FalServer

ROOT = Path(__file__).parent.parent

A_STREAM = "import rxfal; rxfal.stream('fal-ai/any-llm', {'prompt': 'a haiku', 'parts': [1, {'deep': None}]})"


def loaded_by(code: str) -> set[str]:
    """The modules that are there after some code has run in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        env=os.environ | {"FAL_KEY": "key", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stdout.split())


def ours(modules: set[str]) -> set[str]:
    return {module for module in modules if module.partition(".")[0] == "rxfal"}


def test_importing_rxfal_loads_no_dependency_and_nothing_of_rxfal():
    modules = loaded_by("import rxfal")
    assert ours(modules) == {"rxfal", "rxfal._lazy", "rxfal._version"}
    assert modules & {"aiohttp", "asyncio", "pydantic", "pydantic_core", "reactivex", "stamina", "yarl"} == set()


PYDANTICS_MODELS = {"annotated_types", "pydantic.main", "pydantic.type_adapter", "pydantic.types"}
RETRIES = {"stamina", "tenacity"}


def test_streaming_loads_nothing_for_files_many_inputs_retries_tokens_models_or_operators():
    modules = loaded_by(A_STREAM)
    assert {"aiohttp", "reactivex", "rxfal.verbs.stream"} <= modules
    assert modules & (PYDANTICS_MODELS | RETRIES | {"html", "reactivex.operators", "rxfal.cli"}) == set()
    unused = ("operators", "testing", "reactive.concurrent", "reactive.merge", "reactive.operators.")
    unused += ("verbs.concurrent", "verbs.reading", "verbs.storage", "verbs.text", "wire.login", "wire.tokens")
    assert [module for module in ours(modules) if module.removeprefix("rxfal.").startswith(unused)] == []


def test_a_stream_to_its_end_loads_nothing_for_retries_either():
    with FalServer(models=True, pace=0) as server:
        code = f"import rxfal; rxfal.Client('{server.key}', config=rxfal.Config(base_url='{server.url}'))"
        modules = loaded_by(f"{code}.stream('fal-ai/any-llm', {{'prompt': 'a haiku'}}).run()")
    assert modules & (PYDANTICS_MODELS | RETRIES) == set()


@pytest.mark.skipif(sys.platform == "win32", reason="its limits are others")
def test_a_first_failure_is_told_though_no_file_can_be_opened_to_load_what_retries():
    code = """
import os, reactivex, rxfal

rxfal.from_observable(reactivex.of(1)).run()  # the background loop is there
stream = rxfal.Client("key", config=rxfal.Config(base_url="http://127.0.0.1:9")).stream("me/app")
kept = []
try:
    while True:
        kept.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
try:
    stream.run()
except Exception as error:
    failure = error
while kept:
    os.close(kept.pop())
print(type(failure).__name__, getattr(failure, "kind", failure))
"""
    done = subprocess.run(
        ["sh", "-c", 'ulimit -n 64 && exec "$0" -c "$1"', sys.executable, code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "TransportError out of file descriptors\n", done.stdout + done.stderr


def test_the_operators_load_no_models_and_no_retries():
    modules = loaded_by("from rxfal import operators as ops; ops.text()")
    assert modules & (PYDANTICS_MODELS | RETRIES) == set()
    assert modules & {"rxfal.client", "rxfal.wire.http"} == set()


def test_an_error_of_rxfal_can_be_named_without_what_sends_requests():
    modules = loaded_by("import rxfal; rxfal.ApiError, rxfal.errors.FalError")
    assert ours(modules) == {"rxfal", "rxfal._lazy", "rxfal._version", "rxfal.errors"}


def test_a_run_of_pytest_that_does_not_use_the_plugin_loads_nothing_for_it(tmp_path: Path):
    test = tmp_path / "test_other.py"
    test.write_text("""
import sys

def test_other(request):
    assert request.config.pluginmanager.has_plugin("rxfal.testing.plugin")
    ours = {module for module in sys.modules if module.partition(".")[0] == "rxfal"}
    assert ours == {"rxfal", "rxfal._lazy", "rxfal._version", "rxfal.testing", "rxfal.testing.plugin"}
    assert not {"aiohttp", "asyncio", "pydantic", "reactivex", "stamina"} & sys.modules.keys()
""")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "rxfal.testing.plugin", "--rootdir", str(tmp_path), str(test)],
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("package", [rxfal, rxfal.testing])
def test_a_package_shows_all_its_names_and_has_no_others(package: Any):
    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        assert getattr(package, name) is vars(package)[name], "looked up once, a name is there for good"
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'strem'"):
        _ = package.strem


@pytest.mark.parametrize("name", ["submit", "status", "result", "cancel", "upload_file", "run_async", "SyncClient"])
def test_a_name_of_fals_own_client_leads_to_ours(name: str):
    with pytest.raises(AttributeError, match=f"module 'rxfal' has no attribute '{name}': it is rxfal\\.") as caught:
        getattr(rxfal, name)
    where = re.search(r"it is (rxfal[.\w]+)", str(caught.value))
    assert where is not None
    assert operator.attrgetter(where[1].removeprefix("rxfal."))(rxfal) is not None


def test_everything_can_be_imported_with_a_star():
    names: dict[str, Any] = {}
    exec("from rxfal import *", names)
    assert set(rxfal.__all__) <= names.keys()
    assert names["stream"] == rxfal.stream


def test_modules_are_attributes_without_an_import_of_their_own():
    code = "import rxfal; print(rxfal.errors.__name__, rxfal.operators.__name__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "rxfal.errors rxfal.operators\n"


VERBS = ["download", "encode", "map_concurrent", "run", "stream", "stream_events", "subscribe", "upload"]
VERBS += ["upload_image"]


@pytest.mark.parametrize("name", VERBS)
@pytest.mark.parametrize("holder", ["module", "class", "client"])
def test_a_verb_is_itself_wherever_it_is_looked_up(name: str, holder: str):
    with rxfal.Client("key") as client:
        verb = getattr({"module": rxfal, "class": rxfal.Client, "client": client}[holder], name)
    assert (verb.__name__, verb.__module__.rpartition(".")[0]) == (name, "rxfal.verbs")
    assert "self" not in inspect.signature(verb).parameters or holder == "class"
    assert typing.get_type_hints(verb)["return"] is not None
    assert verb.__doc__.splitlines()[0] in pydoc.render_doc(verb)


def test_a_client_shows_every_verb():
    verbs = {name for name, value in inspect.getmembers(rxfal.Client, inspect.isfunction) if not name.startswith("_")}
    assert verbs == {*VERBS, "close", "aclose"}
    assert all(f" {name}(" in pydoc.render_doc(rxfal.Client, renderer=pydoc.plaintext) for name in VERBS)


def test_a_client_of_ones_own_can_go_on_from_a_verb():
    class Loud(rxfal.Client):
        def upload(self, file: Any, **options: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
            return super().upload(file, name="LOUD.TXT", **options)

    with Loud("key") as client:
        assert client.upload(b"hello").name == "upload LOUD.TXT"


@pytest.mark.parametrize(
    "value",
    [
        rxfal.Cancellation.OK,
        rxfal.Completed("r-1", {"n": 1}, (rxfal.RequestLog(message="hi", labels={"a": 1}),), {"inference_time": 0.5}),
        rxfal.InProgress("r-1"),
        rxfal.Lifecycle.of("1h"),
        rxfal.Mapped(1, 2),
        rxfal.Queued("r-1", 3),
        rxfal.RequestHandle.of("me/app", "r-1"),
        rxfal.ServerSentEvent(data="hello"),
        rxfal.Tagged("one", 1),
        rxfal.Uploaded("https://example.com/a", "a", "text/plain", 1),
        rxfal.UploadProgress(1, 2),
    ],
)
def test_a_value_arrives_whole_in_a_process_that_has_loaded_nothing(value: Any):
    code = "import pickle, sys; print(repr(pickle.load(sys.stdin.buffer)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, input=pickle.dumps(value), capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == repr(value)
