"""The page that finds operators by question names all of them, and each name leads to where it is described."""

import re
from pathlib import Path

from rxfal import operators
from tests.marbles.operators import OWN

_PAGES = Path(__file__).parent.parent / "docs"
_PAGE = (_PAGES / "guides" / "which-operator.md").read_text()
_THEIRS = "https://rxpy.readthedocs.io/en/latest/reference_operators.html#reactivex.operators."


def test_every_operator_is_there() -> None:
    own = {name for name, operator in OWN.items() if getattr(operators, name, None) is not operator}
    shown = set(re.findall(r"\[([\w.]+)\](?![:(])", _PAGE))
    assert {name for name in shown if "." not in name} == set(operators.__all__)
    assert {name.partition(".")[2] for name in shown if "." in name} == own


def test_our_own_are_in_bold() -> None:
    bold = set(re.findall(r"\*\*\[([\w.]+)\]\*\*", _PAGE))
    assert {name.rpartition(".")[2] for name in bold} >= OWN.keys()
    assert [name for name in bold if "." not in name and OWN.get(name) is not getattr(operators, name)] == []


def test_every_name_leads_to_its_reference() -> None:
    links = dict(re.findall(r"^\[([\w.]+)\]: (\S+)$", _PAGE, re.MULTILINE))
    assert links.keys() == set(re.findall(r"\[([\w.]+)\](?![:(])", _PAGE))
    for name, address in links.items():
        if address.startswith("http"):
            assert address == _THEIRS + name
        else:
            page, _, anchor = address.removeprefix("../").partition("#")
            described = anchor.replace("Client.map_concurrent", "Client")  # with all of its methods
            assert anchor.endswith("." + name.rpartition(".")[2])
            assert f"::: {described}\n" in (_PAGES / page).read_text()
