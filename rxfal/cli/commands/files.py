"""Commands for files in fal's storage."""

from pathlib import Path
from typing import Annotated, Any, cast

import typer

import rxfal
from rxfal.cli.options import Debug, Force

__all__ = ["download", "upload"]


def _lifecycle(given: str) -> Any:
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
    """Upload files to fal's storage.

    It prints where each file is: on a terminal its URL, into a pipe a line of JSON with `url`, `name`, `content_type`
    and `size`.

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


def download(
    source: Annotated[
        str,
        typer.Argument(
            metavar="URL|FILE|-",
            help="A URL or data: URI; or a file with a result, or - for stdin, of which all files are downloaded.",
            show_default=False,
        ),
    ],
    to: Annotated[
        str,
        typer.Argument(
            metavar="DIR", help="The folder, or a template with {index}, {name} and {ext}.", show_default="."
        ),
    ] = ".",
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Download a file, or all files of a result.

    It prints where each file is: on a terminal its path, into a pipe a line of JSON with `url`, `path`, `content_type`
    and `size`.

    rxfal run fal-ai/fast-julia -i prompt=fern | rxfal download - pictures
    """
    from rxfal.cli.downloads import download as get
    from rxfal.cli.downloads import template
    from rxfal.cli.inputs import read_json
    from rxfal.cli.printing import on_terminal, write, write_json

    is_address = source.startswith(("http://", "https://", "data:"))
    with rxfal.Client() as client:
        wanted = source if is_address else read_json(source, "a URL begins with http:// or https://")
        for file in get(client, wanted, template(to, "{name}{ext}"), what="downloading", overwrite=force):
            if on_terminal():
                write(f"{file.path}\n")
            else:
                url = None if file.url.startswith("data:") else file.url
                write_json({"url": url, "path": str(file.path), "content_type": file.content_type, "size": file.size})
