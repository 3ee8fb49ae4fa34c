"""`rxfal serve`: the embedded server in the foreground, with a line for each request."""

import time
from collections.abc import Iterator
from typing import Any

import typer

from rxfal.testing import FalServer, RecordedRequest
from rxfal.testing.models import BARD, JULIA, LLM, SPEECH

__all__ = ["run"]

_LOG_INTERVAL = 0.1
"""Seconds between two checks of the server's journal."""


def run(host: str, port: int, key: str | None, no_key: bool, pace: float) -> None:
    """Serve until the process is told to stop.

    Args:
        host: The address to listen on.
        port: The port; 0 picks a free one.
        key: The key that callers must send; None for the server's own.
        no_key: Whether callers need no key.
        pace: Multiplies the time that the models take.
    """
    given: dict[str, Any] = {} if key is None else {"key": key}
    with FalServer(port, host=host, require_key=not no_key, models=True, pace=pace, **given) as server:
        typer.echo(f"rxfal serves {LLM}, {BARD}, {JULIA} and {SPEECH}; Ctrl-C ends it.")
        typer.echo("In another shell:\n")
        typer.echo(f"export RXFAL_BASE_URL={server.url}")
        if not no_key:
            typer.echo(f"export FAL_KEY={server.key if key is None else '...  # the one given with --key'}")
        typer.echo()
        for request in _answered(server):
            status = "no answer" if request.status is None else request.status
            dropped = "  connection dropped" if request.dropped else ""
            typer.echo(f"{time.strftime('%X')}  {request.method} {request.path}  {status}{dropped}")


def _answered(server: FalServer) -> Iterator[RecordedRequest]:
    """Each request, once it is over."""
    running: list[RecordedRequest] = []
    newest: RecordedRequest | None = None
    while True:
        journal = server.requests
        new = journal[journal.index(newest) + 1 :] if newest in journal else journal
        newest = journal[-1] if journal else None
        running += new
        yield from [request for request in running if request.is_closed]
        running = [request for request in running if not request.is_closed]
        time.sleep(_LOG_INTERVAL)
