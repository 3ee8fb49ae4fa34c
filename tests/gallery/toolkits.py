"""The toolkits of the gallery, each with the environment that `make` sets up for it."""

from typing import NamedTuple

from rxfal.testing import FalServer
from tests.gallery.screen import ROOT, Screen
from tests.needs import need_programs

_ENVIRONMENTS = ROOT / ".venv-gallery"


class Toolkit(NamedTuple):
    """What a toolkit's example needs.

    Attributes:
        name: Of its environment and of its example.
        display: The command that provides a display; empty if it needs none.
        grace: Seconds for which it holds the view of a visitor who has left.
        picture: The format of its screenshot.
    """

    name: str
    display: tuple[str, ...] = ()
    grace: float = 0.0
    picture: str = "png"

    def screen(self, server: FalServer) -> Screen:
        """Its example's screen; skips the test where something is missing."""
        need_programs(*self.display[:1], str(_ENVIRONMENTS / self.name / "bin" / "python"))
        return Screen([*self.display, *self._command], server)

    @property
    def _command(self) -> list[str]:
        python = _ENVIRONMENTS / self.name / "bin" / "python"
        return [str(python), str(ROOT / "tests" / "gallery" / "screens" / f"{self.name}_screen.py")]


TOOLKITS = {
    toolkit.name: toolkit
    for toolkit in (
        Toolkit("textual", picture="svg"),
        Toolkit("tk", display=("xvfb-run", "-a")),
        Toolkit("qt"),
    )
}
