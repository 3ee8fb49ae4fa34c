"""Runs the marimo example as a program, its Start pressed, and prints what it has shown in the end."""

from types import SimpleNamespace

from commands import answer, example

pressed = {"prompt": SimpleNamespace(value="a lighthouse in a storm"), "start": SimpleNamespace(value=True)}
_, definitions = example("marimo_app").app.run(defs=pressed)
answer({place: shown.text for place, shown in definitions["shown"].items()})
