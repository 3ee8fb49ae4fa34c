"""The toolkits of the gallery, each with the environment that `make` sets up for it."""

from typing import NamedTuple

from rxfal.testing import FalServer
from tests.gallery.screen import ROOT, Screen
from tests.needs import need_programs

_ENVIRONMENTS = ROOT / ".venv-gallery"
_SCREENS = ROOT / "tests" / "gallery" / "screens"


class Toolkit(NamedTuple):
    """What a toolkit's example needs.

    Attributes:
        name: Of its environment and of its example.
        display: The command that provides a display; empty if it needs none.
        site: Whether it is a website, which `run.py` runs as for `make gallery`.
        restarts: Whether another Start ends the first; else it is ignored while that runs.
        grace: Seconds for which it holds the view of a visitor who has left.
        picture: The format of its screenshot.
    """

    name: str
    display: tuple[str, ...] = ()
    site: bool = False
    restarts: bool = True
    grace: float = 0.0
    picture: str = "png"

    def screen(self, server: FalServer) -> Screen:
        """Its example's screen; skips the test where something is missing."""
        if not self.site:
            need_programs(*self.display[:1], python_of(self.name))
            return Screen([*self.display, python_of(self.name), str(_SCREENS / f"{self.name}_screen.py")], server)
        need_programs("chromium", python_of("browser"), python_of(self.name))
        site = [python_of(self.name), str(ROOT / "examples" / "ui" / "run.py"), self.name]
        return Screen([python_of("browser"), str(_SCREENS / "web_screen.py"), *site], server)

    def screen_to_show(self, server: FalServer) -> Screen:
        """The screen of its screenshot: another one where the tests do without a browser."""
        if self.name != "jupyter":
            return self.screen(server)
        return Screen([python_of("browser"), str(_SCREENS / "lab_screen.py"), python_of(self.name)], server)


def python_of(environment: str) -> str:
    """The Python of an environment of the gallery."""
    return str(_ENVIRONMENTS / environment / "bin" / "python")


TOOLKITS = {
    toolkit.name: toolkit
    for toolkit in (
        Toolkit("textual", picture="svg"),
        Toolkit("tk", display=("xvfb-run", "-a")),
        Toolkit("qt"),
        Toolkit("nicegui", site=True, grace=1.5),
        Toolkit("gradio", site=True, restarts=False),
        Toolkit("streamlit", site=True),
        Toolkit("jupyter"),
        Toolkit("marimo", site=True),
    )
}
