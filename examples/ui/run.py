"""Runs an example of this folder against a server on this machine, or the one in RXFAL_BASE_URL.

`make gallery NAME=textual` sets up what the example needs and calls it. Websites listen on PORT.
"""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from rxfal.testing import FalServer

PORT = os.environ.get("PORT", "8700")
COMMANDS = {
    "jupyter": [
        *["-m", "jupyterlab", "--LabApp.default_url=/lab/tree/jupyter_app.ipynb"],
        *[f"--port={PORT}", "--no-browser", "--allow-root"],
    ],
    "marimo": ["-m", "marimo", "run", "--session-ttl=0", f"--port={PORT}", "--headless"],
    "streamlit": [
        *["-m", "streamlit", "run", "--server.address=127.0.0.1", f"--server.port={PORT}"],
        *["--server.headless=true", "--browser.gatherUsageStats=false"],
    ],
}


def main(name: str) -> int:
    """The exit status of the example."""
    (example,) = Path(__file__).parent.glob(f"{name}_app.*")
    with ExitStack() as stack:
        environment = dict(os.environ)
        if not environment.get("RXFAL_BASE_URL"):
            server = stack.enter_context(FalServer(models=True))
            environment |= {"RXFAL_BASE_URL": server.url, "FAL_KEY": server.key}
        process = subprocess.Popen(
            [sys.executable, *COMMANDS.get(name, []), str(example)], env=environment
        )
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the example too
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        status = process.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
