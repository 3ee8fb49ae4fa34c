"""Commands that need no network: everything runs on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from rxfal.cli.options import Debug

__all__ = ["demo", "serve"]


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
    """Watch two language models and an image model stream at once."""
    from rxfal.cli.demo import run

    if save is not None and not save.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {save.absolute().parent}", param_hint="--save")
    run(prompt, pace, save)


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
    """Run the embedded server, for development.

    It has a few built-in models.
    """
    from rxfal.cli.serve import run

    if key is not None and no_key:
        raise typer.BadParameter("use only one of them", param_hint="--key, --no-key")
    run(host, port, key, no_key, pace)
