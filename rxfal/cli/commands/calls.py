"""Commands that call a model and wait for its answer."""

import pathlib
from enum import Enum
from typing import Annotated

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

__all__ = ["run", "stream", "subscribe"]


def run(
    endpoint: App,
    fields: Fields = None,
    path: Path = "",
    response_timeout: Annotated[
        float, typer.Option(min=0.001, metavar="SECONDS", help="Give up if no answer has begun by then.")
    ] = 600.0,
    start_timeout: StartTimeout = None,
    tags: Tags = None,
    download: Download = None,
    force: Force = False,
    help_model: HelpModel = False,
    debug: Debug = False,
) -> None:
    """Call a model, and print its answer.

    The answer is JSON: one line into a pipe, indented on a terminal, which shows its pictures too. Any other answer,
    such as speech, is written into a pipe as it is, and from a terminal to a file.

    The connection stays open until the answer is there, and Ctrl-C cancels the work. For work that takes minutes use
    `rxfal subscribe`.

    rxfal run fal-ai/any-llm -i prompt="a haiku about rivers"
    """
    from rxfal.cli import inputs
    from rxfal.cli.answers import Answer, deliver
    from rxfal.cli.line import StatusLine
    from rxfal.cli.model_help import show as show_model

    if help_model:
        show_model(endpoint)
        return
    opened: list[rxfal.ResponseInfo] = []
    given = inputs.parse(fields or [])
    with rxfal.Client() as client:
        call = client.run(
            endpoint,
            given,
            path=path,
            response_timeout=response_timeout,
            start_timeout=start_timeout,
            tags=dict(tags or []),
            on_open=opened.append,
        )
        with StatusLine(endpoint) as line:
            value = line.wait_for(call)
            (info,) = opened
            if info.request_id is not None:
                line.say(f"request {info.request_id}")
        answer = Answer(endpoint, value, info.request_id, info.billable_units, line.seconds, info.headers)
        deliver(client, answer, download, overwrite=force)


def subscribe(
    endpoint: Annotated[
        str | None,
        typer.Argument(metavar="APP", help="The endpoint, such as fal-ai/any-llm.", show_default=False),
    ] = None,
    fields: Fields = None,
    follow: Annotated[
        str | None,
        typer.Option(
            metavar="REQUEST_ID",
            help="Submit nothing, but follow this request of APP; or, without APP, that of a file with what "
            "`rxfal submit` printed, or - for stdin.",
        ),
    ] = None,
    path: Path = "",
    timeout: Annotated[
        float | None,
        typer.Option(min=0.001, metavar="SECONDS", help="Give up after this time, and cancel; but not with --follow."),
    ] = None,
    start_timeout: StartTimeout = None,
    priority: PriorityOption = Priority.NORMAL,
    tags: Tags = None,
    logs: Logs = False,
    download: Download = None,
    force: Force = False,
    help_model: HelpModel = False,
    debug: Debug = False,
) -> None:
    """Call a model through the queue, and print its answer.

    For work that takes long: it survives a broken connection, and can be followed again.

    A terminal shows its position, the newest log and the seconds. The answer is printed as by `rxfal run`.

    Ctrl-C cancels the request, and waits a little for fal to say so; a second Ctrl-C leaves at once. With --follow it
    only stops following.

    rxfal subscribe fal-ai/any-llm -i prompt="a novel about rivers"

    rxfal subscribe fal-ai/any-llm --follow 764cabcf-b745-4b3e-ae38-1200304cf45b
    """
    from rxfal.cli import following, inputs
    from rxfal.cli.handles import handle_of
    from rxfal.cli.model_help import show as show_model

    display = following.Display(logs, download, force)
    if follow is not None:
        if fields or tags:
            raise typer.BadParameter("it submits nothing, so it takes no -i and no --tag", param_hint="--follow")
        if endpoint is None or follow == "-":
            hint = f"if it is a request's id, name its endpoint too: rxfal subscribe APP --follow {follow}"
            handle = handle_of(follow, None, hint)
        else:
            handle = handle_of(endpoint, follow)
        following.follow(handle, timeout=timeout, display=display)
    elif endpoint is None:
        raise typer.BadParameter("it needs an endpoint, or --follow", param_hint="APP")
    elif help_model:
        show_model(endpoint)
    else:
        following.subscribe(
            endpoint,
            inputs.parse(fields or []),
            {
                "path": path,
                "timeout": timeout,
                "start_timeout": start_timeout,
                "priority": priority.value,
                "tags": dict(tags or []),
            },
            display=display,
        )


class Auth(Enum):
    """How a request is authorized."""

    KEY = "key"
    TOKEN = "token"


def stream(
    endpoint: App,
    fields: Fields = None,
    json: Annotated[bool, typer.Option("--json", help="Print each event as a line of JSON.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Print the events as they came on the wire.")] = False,
    text: Annotated[bool, typer.Option("--text", help="Print only the text, as it grows.")] = False,
    output: Annotated[
        pathlib.Path | None,
        typer.Option("--output", "-o", metavar="FILE", dir_okay=False, help="Save what comes: pictures, sound, text."),
    ] = None,
    force: Force = False,
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
    from rxfal.cli.pieces import Style
    from rxfal.cli.stream import run as run_stream

    wanted = [style for style, given in zip(Style, (text, json, raw)) if given]
    if len(wanted) > 1:
        raise typer.BadParameter("use only one of them", param_hint="--json, --raw, --text")
    run_stream(
        endpoint,
        fields or [],
        wanted[0] if wanted else None,
        output,
        force,
        {"path": path, "timeout": timeout, "auth": auth.value},
    )
