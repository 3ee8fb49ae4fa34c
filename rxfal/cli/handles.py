"""Which request a command is about: two ids, or the handle that `rxfal submit` printed."""

import sys
from pathlib import Path

import typer
from pydantic import ValidationError

import rxfal

__all__ = ["handle_of"]


def handle_of(where: str, request_id: str | None) -> rxfal.RequestHandle:
    """The handle of a request.

    Args:
        where: The endpoint; or, without a `request_id`, a file with the handle's JSON, or `-` for stdin.
        request_id: The request.

    Raises:
        typer.BadParameter: There is no such file.
        FalError: What is there is no handle.
        EndpointError: What should be an id is none.
    """
    if request_id is not None:
        return rxfal.RequestHandle.of(where, request_id)
    if where == "-":
        name, text = "stdin", sys.stdin.read()
    elif Path(where).is_file():
        name, text = where, Path(where).read_text()
    else:
        raise typer.BadParameter(f"there is no file {where}; of an endpoint, say the request too: {where} REQUEST_ID")
    if not text.strip():
        raise rxfal.FalError(f"{name} is empty, where the handle should be that rxfal submit prints")
    try:
        return rxfal.RequestHandle.model_validate_json(text)
    except ValidationError as error:
        found = error.errors()[0]
        reason = ": ".join((*map(str, found["loc"]), found["msg"]))
        raise rxfal.FalError(f"{name} holds no handle of a request, as rxfal submit prints it: {reason}") from None
