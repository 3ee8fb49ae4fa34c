"""What the guide to testing says of fal's own clients: its samples run as they stand there."""

import os
import re
import subprocess
from typing import Any

import pytest

from rxfal.testing import FalServer
from tests.interop.conftest import HERE
from tests.needs import need_modules
from tests.pages import ROOT, blocks

GUIDE = ROOT / "docs/guides/testing.md"


def test_fal_client(fal_server: FalServer, monkeypatch: pytest.MonkeyPatch):
    need_modules("fal_client")
    (sample,) = [block.source for block in blocks(GUIDE) if "fal_client.client" in block.source]
    names: dict[str, Any] = {"Any": Any, "FalServer": FalServer, "pytest": pytest}
    exec(sample.replace("@pytest.fixture\n", ""), names)
    client = names["fal"](fal_server, monkeypatch)
    names["test_with_fal_client"](client, fal_server)
    client._client.close()


def test_fal_js(fal_server: FalServer, node: str):
    (sample,) = re.findall(r"^```js\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [node, "--input-type=module"],
        input=sample,
        capture_output=True,
        text=True,
        cwd=HERE,  # where its import finds the package
        env={**os.environ, "FAL_KEY": fal_server.key, "RXFAL_BASE_URL": fal_server.url},
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.split()) > 20
    (request,) = fal_server.queue
    assert request.input == {"prompt": "a haiku"}
