"""The command as a whole: its commands, what an exception becomes, and `--version`.

An exception becomes one line and a status; there is a traceback only with `--debug`.
"""

import os
import re
import sys
from typing import Annotated, Any

import typer
import typer.core

import rxfal

from .commands import about, calls, files, here, queue
from .options import Debug
from .printing import on_one_line

__all__ = ["app"]

PIPE_CLOSED = 141
"""The status that a shell reports for a program that SIGPIPE ended."""

_PANELS = {
    "Call a model": (calls.run, calls.subscribe, calls.stream),
    "Work in the queue": (queue.submit, queue.status, queue.result, queue.cancel),
    "Models": (about.models, about.schema, about.price, about.types),
    "Files": (files.upload, files.download),
    "On this machine": (here.demo, here.serve),
}
"""The commands as `rxfal --help` shows them."""

_OPTIONS = {
    "overwrite=True": "--force",
    "response_timeout=...": "--response-timeout",
    "timeout=...": "--timeout",
    ", or for ever with response_timeout=None": "",
    ", or for ever with timeout=None": "",
    "queue.updates(handle)": "rxfal subscribe --follow",
}
"""What a message of the library tells a program to do, and what a command has for it."""

_ARGUMENT = re.compile("|".join(map(re.escape, _OPTIONS)))


class _Commands(typer.core.TyperGroup):
    """Runs the commands, and turns an exception into one line on stderr and a status."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The interpreter flushes stdout again when it exits: send that to nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(PIPE_CLOSED) from None
        except Exception as error:
            if isinstance(error, typer.Abort) or hasattr(error, "exit_code"):  # typer's own
                raise
            if ctx.meta.get("debug"):
                raise
            typer.echo(f"rxfal: {one_line(error)}", err=True)
            raise typer.Exit(1) from None


def one_line(error: Exception) -> str:
    """The error's message on one line, without characters that would move a terminal's cursor."""
    from pydantic import ValidationError  # `--help` does without

    match error:
        case ValidationError():
            reasons = "; ".join(": ".join((*map(str, found["loc"]), found["msg"])) for found in error.errors())
            message = f"the configuration in the environment is wrong: {reasons.replace('Value error, ', '')}"
        case OSError(strerror=str(reason), filename=str(name)):
            message = f"{reason}: {name}"
        case rxfal.FalError() | OSError() | ValueError() | TypeError():
            message = str(error)
        case _:
            message = f"{type(error).__name__}: {error} (--debug shows where)"
    return on_one_line(_ARGUMENT.sub(lambda found: _OPTIONS[found[0]], message))


app = typer.Typer(
    cls=_Commands,
    name="rxfal",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rxfal {rxfal.__version__}")
        raise typer.Exit


@app.callback()
def rxfal_(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Call models of fal, in the terminal.

    The key is read from FAL_KEY. Results go to stdout, everything else to stderr.
    """


for _panel, _commands in _PANELS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
