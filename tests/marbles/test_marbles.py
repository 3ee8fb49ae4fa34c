"""The marble diagrams in docstrings are what really happens, and the documentation's pictures show them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any
from xml.sax.saxutils import escape

import pytest

from rxfal import Mapped, operators
from tests.marbles.draw import PICTURES
from tests.marbles.notation import Line
from tests.marbles.operators import DIAGRAMS, OWN, UNDRAWN
from tests.marbles.playing import play
from tests.marbles.reading import read


def _names(name: str) -> dict[str, Any]:
    return {**vars(operators), name: OWN[name], "Mapped": Mapped}


def _told(lines: Iterable[Line]) -> list[str]:
    return sorted(map(str, lines))


def test_every_operator_that_can_be_drawn_has_a_diagram() -> None:
    assert OWN.keys() - DIAGRAMS.keys() == UNDRAWN


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_diagram_is_what_happens(name: str) -> None:
    diagram = DIAGRAMS[name]
    sources, results = play(diagram, _names(name))
    assert _told(sources) == _told(diagram.sources)
    assert _told(results) == _told(diagram.results)


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_picture_shows_the_diagram(name: str) -> None:
    diagram = DIAGRAMS[name]
    svg = (PICTURES / f"{name}.svg").read_text()
    assert f"<desc>\n{escape(diagram.text)}\n</desc>" in svg, "run `make marbles`"
    picture = read(svg)
    assert _told(picture.lines) == _told(diagram.lines)
    assert (picture.operator, picture.values) == (diagram.operator, list(diagram.values))


def test_there_is_no_picture_without_a_diagram() -> None:
    assert {picture.stem for picture in PICTURES.iterdir()} == DIAGRAMS.keys()


@pytest.mark.parametrize("name", OWN)
def test_an_operator_says_when_it_emits_pauses_ends_and_cancels(name: str) -> None:
    said = re.findall(r"^- \*(\w+) when\* \S", inspect.getdoc(OWN[name]) or "", re.MULTILINE)
    assert said == ["Emits", "Pauses", "Ends", "Cancels"]
