"""The arguments and options that several commands have in common, each spelled once."""

from typing import Annotated

import typer

__all__ = ["App", "Debug", "Fields", "Force"]


def _debug(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        ctx.meta["debug"] = True  # which a context shares with those around it


Debug = Annotated[bool, typer.Option("--debug", callback=_debug, help="Show the traceback of an error.")]

App = Annotated[str, typer.Argument(metavar="APP", help="The endpoint, such as fal-ai/any-llm.", show_default=False)]

Fields = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        metavar="KEY=VALUE",
        help="A field of the input: JSON if VALUE can be read as JSON, else text; KEY=@FILE uploads the file. "
        "A lone - reads a JSON object from stdin.",
    ),
]

Force = Annotated[bool, typer.Option("--force", "-f", help="Write over files that exist.")]
