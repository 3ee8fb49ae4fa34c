"""Which request a command is about: two ids, or the handle that `rxfal submit` printed."""

from pydantic import ValidationError

import rxfal

from .inputs import read_text

__all__ = ["handle_of"]


def handle_of(where: str, request_id: str | None, hint: str | None = None) -> rxfal.RequestHandle:
    """The handle of a request.

    Args:
        where: The endpoint; or, without a `request_id`, a file with the handle's JSON, or `-` for stdin.
        request_id: The request.
        hint: What to do if there is no such file, where the endpoint does not come first.

    Raises:
        typer.BadParameter: There is no such file.
        FalError: What is there is no handle.
        EndpointError: What should be an id is none.
    """
    if request_id is not None:
        return rxfal.RequestHandle.of(where, request_id)
    name, text = read_text(where, hint or f"if it is an endpoint, add the request's id: {where} REQUEST_ID")
    try:
        return rxfal.RequestHandle.model_validate_json(text)
    except ValidationError as error:
        found = error.errors()[0]
        reason = ": ".join((*map(str, found["loc"]), found["msg"]))
        raise rxfal.FalError(f"{name} holds no handle of a request, as rxfal submit prints it: {reason}") from None
