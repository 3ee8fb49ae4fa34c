"""Commands for files in fal's storage."""

from pathlib import Path
from typing import Annotated, Any, cast

import typer

import rxfal
from rxfal.cli.options import Debug

__all__ = ["upload"]


def _lifecycle(given: str) -> rxfal.Lifecycle:
    try:
        return rxfal.Lifecycle.of(cast(Any, int(given) if given.isdecimal() else given))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def upload(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="The files to upload.", show_default=False)],
    lifecycle: Annotated[
        Any,
        typer.Option(
            parser=_lifecycle,
            metavar="TIME",
            help="How long fal keeps them: immediate, 1h, 1d, 7d, 30d, 1y, never, or a number of seconds.",
        ),
    ] = None,
    content_type: Annotated[
        str | None, typer.Option(metavar="TYPE", help="Their media type, if rxfal can't guess it.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Upload files to fal's storage, and print where each is.

    A terminal gets the URL, a pipe a line of JSON for each: `url`, `name`, `content_type` and `size`.

    rxfal upload cat.png --lifecycle 1d
    """
    from dataclasses import asdict

    from rxfal.cli.line import StatusLine
    from rxfal.cli.media import size_of
    from rxfal.cli.printing import on_terminal, write, write_json

    with rxfal.Client() as client:
        # All are made before the first is sent, so that what is wrong with one of them is known before.
        uploads = [client.upload(file, content_type=content_type, lifecycle=lifecycle) for file in files]
        for file, stream in zip(files, uploads):
            with StatusLine(f"uploading {file}") as line:

                def show(step: rxfal.UploadProgress | rxfal.Uploaded, line: StatusLine = line) -> None:
                    if isinstance(step, rxfal.UploadProgress):
                        line.state = f"{size_of(step.sent)} of {size_of(step.total)}"

                uploaded = line.wait_for(stream, show)
            assert isinstance(uploaded, rxfal.Uploaded)  # it is the last item
            if on_terminal():
                write(f"{uploaded.url}\n")
            else:
                write_json(asdict(uploaded))
