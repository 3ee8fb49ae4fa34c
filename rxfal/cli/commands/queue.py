"""Commands for work in fal's queue that goes on without its reader."""

from typing import Annotated, Any

import typer

import rxfal
from rxfal.cli.options import (
    App,
    Debug,
    Download,
    Fields,
    Force,
    HelpModel,
    Logs,
    Path,
    Priority,
    PriorityOption,
    StartTimeout,
    Tags,
)

__all__ = ["cancel", "result", "status", "submit"]

Request = Annotated[
    str,
    typer.Argument(
        metavar="APP|FILE|-",
        help="The endpoint; or alone a file with what `rxfal submit` printed, or - for stdin.",
        show_default=False,
    ),
]
RequestId = Annotated[
    str | None, typer.Argument(metavar="REQUEST_ID", help="The request, after the endpoint.", show_default=False)
]


def submit(
    endpoint: App,
    fields: Fields = None,
    path: Path = "",
    priority: PriorityOption = Priority.NORMAL,
    start_timeout: StartTimeout = None,
    tags: Tags = None,
    webhook: Annotated[
        str | None, typer.Option(metavar="URL", help="fal calls this address when the result is there.")
    ] = None,
    help_model: HelpModel = False,
    debug: Debug = False,
) -> None:
    """Put a request into the queue, and leave it there.

    It prints the handle of the request, as JSON. Keep it, to ask for the request later or elsewhere:

    rxfal submit fal-ai/any-llm -i prompt="a novel" > novel.json

    rxfal subscribe --follow novel.json
    """
    from rxfal.cli import inputs
    from rxfal.cli.line import CANCELLING, StatusLine
    from rxfal.cli.model_help import show as show_model
    from rxfal.cli.printing import write_json

    if help_model:
        show_model(endpoint)
        return
    given = inputs.parse(fields or [])
    with rxfal.Client() as client:
        submitted = client.queue.submit(
            endpoint,
            given,
            path=path,
            priority=priority.value,
            start_timeout=start_timeout,
            tags=dict(tags or []),
            webhook_url=webhook,
        )
        with StatusLine(endpoint) as line:
            try:
                handle = line.wait_for(submitted)
            except KeyboardInterrupt:
                line.say(CANCELLING)
                raise
            line.say(f"request {handle.request_id}")
    write_json(handle.model_dump(mode="json"))


def status(request: Request, request_id: RequestId = None, logs: Logs = False, debug: Debug = False) -> None:
    """Print how far a request is.

    As JSON: `status`, and what belongs to it. `status` is IN_QUEUE, IN_PROGRESS or COMPLETED. A request that failed is
    completed, and has an `error`.

    rxfal status fal-ai/any-llm 764cabcf-b745-4b3e-ae38-1200304cf45b
    """
    from rxfal.cli.handles import handle_of
    from rxfal.cli.printing import write_json

    handle = handle_of(request, request_id)
    with rxfal.Client() as client:
        update = client.queue.status(handle, logs=logs).run()
    said: dict[str, Any] = {}
    match update:
        case rxfal.Queued(position=position):
            said = {"status": "IN_QUEUE", "queue_position": position}
        case rxfal.InProgress():
            said = {"status": "IN_PROGRESS"}
        case rxfal.Completed(metrics=metrics, error=error, error_type=error_type):
            said = {"status": "COMPLETED", "metrics": dict(metrics)}
            said |= {"error": error, "error_type": error_type} if error is not None else {}
    said["request_id"] = update.request_id
    if logs:
        said["logs"] = [log.model_dump(mode="json") for log in getattr(update, "logs", ())]
    write_json(said)


def result(
    request: Request,
    request_id: RequestId = None,
    download: Download = None,
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Print the result of a request that is completed.

    It does not wait: `rxfal subscribe --follow` does.

    rxfal result fal-ai/any-llm 764cabcf-b745-4b3e-ae38-1200304cf45b
    """
    from rxfal.cli.answers import Answer, deliver
    from rxfal.cli.handles import handle_of
    from rxfal.cli.line import StatusLine

    handle = handle_of(request, request_id)
    with rxfal.Client() as client:
        with StatusLine(handle.app) as line:
            value = line.wait_for(client.queue.result(handle))
            line.say(f"request {handle.request_id}")
        deliver(client, Answer(handle.app, value, handle.request_id, None, None, {}), download, overwrite=force)


def cancel(request: Request, request_id: RequestId = None, debug: Debug = False) -> None:
    """Cancel a request.

    It prints what fal says to it, as `status`. OK: it was still waiting, and is gone. CANCELLATION_REQUESTED: the model
    has been told to stop. ALREADY_COMPLETED and NOT_FOUND: nothing was cancelled, and the exit status is 1.

    rxfal cancel fal-ai/any-llm 764cabcf-b745-4b3e-ae38-1200304cf45b
    """
    from rxfal.cli.handles import handle_of
    from rxfal.cli.printing import say, write_json

    handle = handle_of(request, request_id)
    with rxfal.Client() as client:
        said = client.queue.cancel(handle).run()
    write_json({"status": said.value, "request_id": handle.request_id})
    match said:
        case rxfal.Cancellation.ALREADY_COMPLETED:
            say("rxfal: nothing was cancelled: the request is completed")
            raise typer.Exit(1)
        case rxfal.Cancellation.NOT_FOUND:
            say("rxfal: nothing was cancelled: fal knows no such request")
            raise typer.Exit(1)
        case _:
            pass
