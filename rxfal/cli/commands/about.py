"""Commands that say which models there are, what they take and what they cost."""

import os
from pathlib import Path
from typing import Annotated

import typer

import rxfal
from rxfal.cli.options import App, Debug

__all__ = ["models", "price", "schema", "types"]


def models(
    query: Annotated[str | None, typer.Argument(help="Words to look for.", show_default=False)] = None,
    category: Annotated[str | None, typer.Option(metavar="NAME", help="Only this kind, such as text-to-image.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="How many at most.")] = None,
    debug: Debug = False,
) -> None:
    """List fal's models.

    A terminal gets a line of text for each, a pipe a line of JSON.

    rxfal models "image to video" --limit 10
    """
    from contextlib import closing
    from dataclasses import asdict
    from shutil import get_terminal_size

    from rxfal.cli.printing import harmless, on_terminal, write, write_json

    model = None
    width = get_terminal_size().columns
    with rxfal.Client() as client:
        found = client.models.search(query, category=category, limit=limit)
        with closing(found.blocking()) as listed:
            for model in listed:
                if on_terminal():
                    line = f"{model.endpoint_id:<40}  {model.category or '':<16}  {model.display_name}"
                    write(harmless(line)[:width].rstrip() + "\n")
                else:
                    write_json(asdict(model))
    if model is None:
        typer.echo("no model found; try fewer words, or no --category", err=True)


def schema(
    endpoint: App,
    openapi: Annotated[bool, typer.Option("--openapi", help="Print the whole OpenAPI document.")] = False,
    debug: Debug = False,
) -> None:
    """Print what a model takes and gives, as JSON Schemas.

    They are `input` and `output`. `rxfal run APP --help-model` lists the inputs for people to read.

    rxfal schema fal-ai/any-llm
    """
    from rxfal.cli.printing import write_json

    with rxfal.Client() as client:
        found = client.models.schema(endpoint).run()
    if openapi:
        write_json(found.openapi)
    else:
        write_json({"endpoint_id": found.endpoint_id, "input": found.input, "output": found.output})


def price(
    endpoint: App,
    calls: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Also estimate what this many calls cost.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Print what a model costs.

    rxfal price fal-ai/any-llm --calls 1000
    """
    from dataclasses import asdict

    from rxfal.cli.printing import write_json

    with rxfal.Client() as client:
        said = asdict(client.models.price(endpoint).run())
        if calls is not None:
            estimate = client.models.estimate(endpoint, calls).run()
            said |= {"calls": estimate.calls, "total_cost": estimate.total_cost}
    write_json(said)


def types(
    endpoints: Annotated[
        list[str], typer.Argument(metavar="APP...", help="The endpoints, such as fal-ai/flux/dev.", show_default=False)
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="The file to write, or a folder with a file for each.",
            show_default=False,
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Write pydantic models of what a model takes and gives.

    They are called Input and Output. A file that exists is replaced. A folder is one that exists, or a path with a
    slash at its end.

    rxfal types fal-ai/flux/dev -o flux.py
    """
    from rxfal.cli.printing import write
    from rxfal.cli.typed_models import check_generator, file_name, source, write_whole

    is_folder = output is not None and (Path(output).is_dir() or output.endswith((os.sep, "/")))
    if len(endpoints) > 1 and not is_folder:
        raise typer.BadParameter("name a folder for several endpoints, such as -o models/", param_hint="-o")
    if output is not None and not is_folder and not Path(output).absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {Path(output).absolute().parent}", param_hint="-o")
    names = [file_name(endpoint) for endpoint in endpoints]
    if is_folder and (twice := next((name for name in names if names.count(name) > 1), None)):
        raise typer.BadParameter(
            f"two of them would be {twice}; write one of them to a file of its own", param_hint="APP"
        )
    check_generator()
    with rxfal.Client() as client:
        made = {endpoint: source(client.models.schema(endpoint).run()) for endpoint in endpoints}
    if output is None:
        write(made[endpoints[0]])
        return
    path = Path(output)
    if is_folder:
        path.mkdir(parents=True, exist_ok=True)
    for endpoint, text in made.items():
        write_whole(path / file_name(endpoint) if is_folder else path, text)
