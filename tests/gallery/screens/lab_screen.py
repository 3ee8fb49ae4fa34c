"""The notebook in JupyterLab, in Chromium: `lab_screen.py PYTHON` runs it with a Python that has JupyterLab."""

import shutil
import sys
import tempfile

from commands import EXAMPLES
from playwright import sync_api
from web_screen import show

OPTIONS = (
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port=PORT",
    "--ServerApp.port_retries=0",
    "--ServerApp.allow_root=True",
    "--IdentityProvider.token=",
    "--LabApp.open_browser=False",
    "--LabApp.news_url=",
    "--LabApp.expose_app_in_browser=True",
)


KERNEL_STATUS = "jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status"


def run_all(page: sync_api.Page) -> None:
    """Run all cells, without the list of files beside them."""
    page.wait_for_function(f"{KERNEL_STATUS} == 'idle'")
    for name in ("application:toggle-left-area", "notebook:run-all-cells"):
        page.evaluate(f"void jupyterapp.commands.execute('{name}')")


with tempfile.TemporaryDirectory() as folder:  # JupyterLab saves what it runs
    shutil.copy(EXAMPLES / "jupyter_app.ipynb", folder)
    command = [sys.argv[1], "-m", "jupyterlab", f"--ServerApp.root_dir={folder}", *OPTIONS]
    show(command, "/doc/tree/jupyter_app.ipynb", run_all)
