"""The arguments and options that several commands have in common, each spelled once."""

import pathlib
from enum import Enum
from typing import Annotated, Any

import typer

__all__ = [
    "App",
    "Debug",
    "Download",
    "Fields",
    "Force",
    "HelpModel",
    "Logs",
    "Path",
    "Priority",
    "PriorityOption",
    "StartTimeout",
    "Tags",
]


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


def _place(given: str | None) -> str | None:
    """Whatever is wrong with the place is known before anything is paid."""
    if given is not None:
        from rxfal.verbs.targets import Template

        try:
            Template(given, 1, "a-request")
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        if "{" not in given and pathlib.Path(given).exists() and not pathlib.Path(given).is_dir():
            raise typer.BadParameter(f"{given} is a file; name a folder, or a template")
    return given


Download = Annotated[
    str | None,
    typer.Option(
        "--download",
        "-d",
        callback=_place,
        metavar="DIR",
        help="Save the files of the result in this folder, or where a template with {request_id}, {index}, {name} and "
        "{ext} says.",
    ),
]

Force = Annotated[bool, typer.Option("--force", "-f", help="Write over files that exist.")]

Path = Annotated[str, typer.Option(metavar="PATH", help="The path after the endpoint's id.", show_default=False)]

StartTimeout = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Fail if fal has not started the work within this time.")
]


def _tag(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals:
        raise typer.BadParameter(f"{given!r} is not NAME=VALUE")
    return name, value


Tags = Annotated[
    list[Any] | None,
    typer.Option("--tag", parser=_tag, metavar="NAME=VALUE", help="A tag to show in fal's usage reports."),
]
"""Pairs of name and value."""

HelpModel = Annotated[bool, typer.Option("--help-model", help="Say what the model takes, and send nothing to it.")]


class Priority(Enum):
    """Where in the queue a request goes."""

    NORMAL = "normal"
    LOW = "low"


PriorityOption = Annotated[Priority, typer.Option("--priority", help="With `low`, all other requests go first.")]

Logs = Annotated[bool, typer.Option("--logs", help="Print what the model logs, too.")]
