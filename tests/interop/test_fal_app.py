"""rxfal against fal's own server code: an app written with fal's package, served on loopback."""

import os
import queue
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

import rxfal
from rxfal import operators as ops
from tests.interop.conftest import HERE
from tests.needs import need_files

APP = "owner/echo"
PYTHON = Path(__file__).parents[2] / ".venv-fal" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


class FalApp:
    """The program of `fal_app.py`: its address, and what it reported."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._reports: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = f"http://127.0.0.1:{self.heard(timeout=60)}"

    def heard(self, timeout: float = 10) -> str:
        return self._reports.get(timeout=timeout)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            kind, _, rest = line.strip().partition(" ")
            if kind in ("port", "report"):  # fal's package prints, too
                self._reports.put(rest)


@pytest.fixture(scope="module")
def fal_app() -> Iterator[FalApp]:
    need_files(PYTHON.parents[1] / ".ready")
    process = subprocess.Popen(
        [str(PYTHON), str(HERE / "fal_app.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"FAL_HOME_DIR": os.devnull},
    )
    with process:  # waits for its end
        try:
            yield FalApp(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture
async def client(fal_app: FalApp) -> AsyncIterator[rxfal.Client]:
    async with rxfal.Client("id:secret", config=rxfal.Config(base_url=fal_app.url)) as client:
        yield client


class Output(BaseModel):
    text: str
    times: int


async def test_run(client: rxfal.Client):
    opened: list[rxfal.ResponseInfo] = []
    output = await client.run(APP, {"prompt": "hi"}, output=Output, on_open=opened.append)
    assert output == Output(text="HI", times=1)
    assert [(info.status, info.billable_units) for info in opened] == [(200, 1.5)]


async def test_types_are_left_to_the_app_which_coerces(client: rxfal.Client):
    assert await client.run(APP, {"prompt": "hi", "times": "8"}) == {"text": "HI", "times": 8}


async def test_a_binary_answer(client: rxfal.Client):
    assert await client.run(APP, {"prompt": "hi"}, path="audio") == b"RIFF...."


async def test_stream(client: rxfal.Client):
    events = client.stream(APP, {"prompt": "to be or"})
    assert await events.to_list() == [{"output": text} for text in ("to", "tobe", "tobeor")]
    assert await events.pipe(ops.text()) == "tobeor"


@pytest.mark.parametrize("path", ["", "stream"])
async def test_an_input_that_does_not_validate_is_422(client: rxfal.Client, path: str):
    with pytest.raises(rxfal.ValidationError) as caught:
        await client.run(APP, {"prompt": "", "times": "many"}, path=path)
    assert caught.value.status == 422
    assert [(error["loc"][-1], error["type"]) for error in caught.value.field_errors] == [
        ("prompt", "string_too_short"),
        ("times", "int_parsing"),
    ]


async def test_an_app_that_refuses_the_input_is_422(client: rxfal.Client):
    with pytest.raises(rxfal.ValidationError) as caught:
        await client.run(APP, {"prompt": "hi"}, path="refuses")
    assert caught.value.field_errors == [
        {"loc": ["body", "prompt"], "msg": "is not allowed", "type": "content_policy_violation"}
    ]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("nowhere", 404, "Path /nowhere not found"),
        ("breaks", 500, "Internal Server Error"),
        ("busy", 503, "try later"),
    ],
)
@pytest.mark.parametrize("verb", ["run", "stream"])  # a client each: after a 500 uvicorn hangs up without notice
async def test_errors(client: rxfal.Client, verb: str, path: str, status: int, says: str):
    with pytest.raises(rxfal.ApiError) as caught:
        await getattr(client, verb)(APP, {"prompt": "hi"}, path=path)
    assert (caught.value.status, says in str(caught.value)) == (status, True)


async def test_a_stream_that_fails_midway_looks_like_one_that_ended(client: rxfal.Client):
    # Nobody can tell: the app ends the body of its response as it would end a whole one.
    assert await client.stream(APP, {"prompt": "hi"}, path="breaks/stream").to_list() == ["begun"]


async def test_another_method_is_405(client: rxfal.Client):
    with pytest.raises(rxfal.ApiError) as caught:
        await client.run(APP, {"prompt": "hi"}, method="GET")
    assert caught.value.status == 405


def test_disposing_a_run_cancels_the_work(fal_app: FalApp):
    with rxfal.Client("id:secret", config=rxfal.Config(base_url=fal_app.url)) as client:
        subscription = client.run(APP, {"name": "one"}, path="waits").subscribe()
        assert fal_app.heard() == "one begun"
        subscription.dispose()
        assert fal_app.heard() == "one cancelled"


def test_leaving_a_stream_ends_the_work(fal_app: FalApp):
    with rxfal.Client("id:secret", config=rxfal.Config(base_url=fal_app.url)) as client:
        assert client.stream(APP, {"name": "two"}, path="waits/stream").first().run() == "begun"
        assert fal_app.heard() == "two ended"


async def test_a_timeout_cancels_the_work(client: rxfal.Client, fal_app: FalApp):
    with pytest.raises(rxfal.StreamTimeoutError):
        await client.run(APP, {"name": "three"}, path="waits", response_timeout=0.5)
    assert (fal_app.heard(), fal_app.heard()) == ("three begun", "three cancelled")
