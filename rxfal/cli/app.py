"""The commands and their options. The modules beside this one do the work.

An exception becomes one line and a status; there is a traceback only with `--debug`.
"""

import os
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core
from pydantic import ValidationError

import rxfal

__all__ = ["app"]

PIPE_CLOSED = 141
"""The status that a shell reports for a program that SIGPIPE ended."""


class Auth(Enum):
    """How a request is authorized."""

    KEY = "key"
    TOKEN = "token"


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
    match error:
        case ValidationError():
            reasons = (": ".join((*map(str, found["loc"]), found["msg"])) for found in error.errors())
            message = f"the configuration in the environment is wrong: {'; '.join(reasons)}"
        case OSError(strerror=str(reason), filename=str(name)):
            message = f"{reason}: {name}"
        case rxfal.FalError() | OSError() | ValueError() | TypeError():
            message = str(error)
        case _:
            message = f"{type(error).__name__}: {error} (--debug shows where)"
    return "".join(char if char.isprintable() else "�" for char in " ".join(message.split()))


app = typer.Typer(
    cls=_Commands,
    name="rxfal",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rxfal {rxfal.__version__}")
        raise typer.Exit


def _debug(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        ctx.meta["debug"] = True  # which a context shares with those around it


Debug = Annotated[bool, typer.Option("--debug", callback=_debug, help="Show the traceback of an error.")]


@app.callback()
def rxfal_(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Streams of fal models, in the terminal."""


@app.command()
def demo(
    prompt: Annotated[
        str, typer.Option("--prompt", "-p", help="What the models write about and paint.")
    ] = "a lighthouse in a storm",
    pace: Annotated[float, typer.Option(min=0, help="Multiplies the time it takes; 0 is as fast as possible.")] = 2.0,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save the final picture, a PNG, here.", dir_okay=False)
    ] = None,
    debug: Debug = False,
) -> None:
    """Watch two language models and an image model stream at once, from a server on this machine."""
    from .demo import run

    if save is not None and not save.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {save.absolute().parent}", param_hint="--save")
    run(prompt, pace, save)


@app.command()
def stream(
    endpoint: Annotated[
        str, typer.Argument(metavar="APP", help="The endpoint, such as fal-ai/any-llm.", show_default=False)
    ],
    fields: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="KEY=VALUE",
            help="A field of the input: JSON if VALUE can be read as JSON, else text; KEY=@FILE uploads the file. "
            "A lone - reads a JSON object from stdin.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print each event as a line of JSON.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Print the events as they came on the wire.")] = False,
    text: Annotated[bool, typer.Option("--text", help="Print only the text, as it grows.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", dir_okay=False, help="Save what comes: pictures, sound, text."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="With -o: write over a file that exists.")] = False,
    path: Annotated[str | None, typer.Option(help="The path after the endpoint's id.", show_default="/stream")] = None,
    timeout: Annotated[
        float, typer.Option(min=0.001, metavar="SECONDS", help="Give up after a silence of this length.")
    ] = 60.0,
    auth: Annotated[Auth, typer.Option(help="Send the key itself, or a short-lived token made with it.")] = Auth.KEY,
    debug: Debug = False,
) -> None:
    """Stream a model's events to stdout, as they arrive.

    Calls fal with the key in FAL_KEY, or the server at RXFAL_BASE_URL. Without --json, --raw or --text it prints text
    if the first event has any, else JSON; a terminal shows pictures. A binary answer is written as it is.

    rxfal stream fal-ai/any-llm -i prompt="a haiku about rivers"
    """
    from .pieces import Style
    from .stream import run

    wanted = [style for style, given in zip(Style, (text, json, raw)) if given]
    if len(wanted) > 1:
        raise typer.BadParameter("use only one of them", param_hint="--json, --raw, --text")
    run(
        endpoint,
        fields or [],
        wanted[0] if wanted else None,
        output,
        force,
        {"path": path, "timeout": timeout, "auth": auth.value},
    )


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 picks a free one.")] = 8600,
    key: Annotated[
        str | None, typer.Option(help="The key that callers must send.", show_default="one for tests")
    ] = None,
    no_key: Annotated[bool, typer.Option("--no-key", help="Accept callers without a key.")] = False,
    pace: Annotated[float, typer.Option(min=0, help="Multiplies the time that the models take.")] = 1.0,
    debug: Debug = False,
) -> None:
    """Run the embedded server with its built-in models, for development."""
    from .serve import run

    if key is not None and no_key:
        raise typer.BadParameter("use only one of them", param_hint="--key, --no-key")
    run(host, port, key, no_key, pace)
