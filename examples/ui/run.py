"""Runs an example of this folder against a server on this machine, or the one in RXFAL_BASE_URL.

`make gallery NAME=textual` sets up what the example needs and calls it.
"""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from rxfal.testing import FalServer

COMMANDS = {
    "jupyter": ["-m", "jupyterlab"],
    "marimo": ["-m", "marimo", "run", "--session-ttl=0"],
    "streamlit": ["-m", "streamlit", "run"],
}


def main(name: str) -> int:
    """The exit status of the example."""
    (example,) = Path(__file__).parent.glob(f"{name}_app.*")
    with ExitStack() as stack:
        environment = dict(os.environ)
        if not environment.get("RXFAL_BASE_URL"):
            server = stack.enter_context(FalServer(models=True))
            environment |= {"RXFAL_BASE_URL": server.url, "FAL_KEY": server.key}
        try:
            command = [sys.executable, *COMMANDS.get(name, []), str(example)]
            return subprocess.run(command, env=environment).returncode
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
