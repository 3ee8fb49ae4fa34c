"""Downloads on the command line: where files go, and what is said of them."""

from typing import Any

import rxfal

from .line import StatusLine
from .media import size_of

__all__ = ["download", "saved", "template"]


def template(to: str, file: str) -> str:
    """A place as a template: what is none is a folder, with a file in it.

    Examples:
        >>> template("out", "{name}{ext}"), template("out/{index}{ext}", "{name}{ext}")
        ('out/{name}{ext}', 'out/{index}{ext}')
    """
    return to if "{" in to else f"{to.rstrip('/') or '/'}/{file}"


def download(
    client: rxfal.Client, source: Any, to: str | None, *, what: str, overwrite: bool = False
) -> list[rxfal.Downloaded]:
    """Download the files of a source; a live line says how far it is.

    Args:
        client: Downloads them.
        source: As for `rxfal.download`.
        to: As for `rxfal.download`.
        what: What the line says.
        overwrite: As for `rxfal.download`.
    """
    files: list[rxfal.Downloaded] = []
    with StatusLine(what) as line:

        def show(step: rxfal.DownloadProgress | rxfal.Downloaded) -> None:
            if isinstance(step, rxfal.Downloaded):
                files.append(step)
            else:
                line.state = size_of(step.received) + ("" if step.total is None else f" of {size_of(step.total)}")

        line.wait_for(client.download(source, to, overwrite=overwrite), show)
    return files


def saved(file: rxfal.Downloaded) -> str:
    """What is said of a file that was saved."""
    return f"saved {file.path}: {file.content_type or 'binary'}, {size_of(file.size)}"
