"""What became of a call: its result on stdout, its pictures on a terminal, and a last line with its time and cost."""

import re
import sys
from collections.abc import Mapping
from itertools import chain, count
from mimetypes import guess_extension
from pathlib import Path
from typing import Any, NamedTuple

import rxfal
from rxfal import operators as ops

from .media import media_in, size_of
from .printing import on_terminal, say, write, write_json

__all__ = ["Answer", "deliver"]

_PRICE_SECONDS = 3.0
"""How long the last line waits for the price."""


class Answer(NamedTuple):
    """A result, and what is known about it.

    Attributes:
        endpoint: The model.
        value: The result: decoded JSON, or bytes.
        request_id: The request.
        billable_units: What it is billed for, if fal has said so.
        seconds: How long it took; None if nobody has measured it.
        headers: Those of the response.
    """

    endpoint: str
    value: Any
    request_id: str | None
    billable_units: float | None
    seconds: float | None
    headers: Mapping[str, str]


def deliver(client: rxfal.Client, answer: Answer) -> None:
    """Write the result to stdout, and a line about it to stderr."""
    if isinstance(answer.value, bytes):
        _deliver_bytes(answer)
    else:
        write_json(answer.value)
        if on_terminal():
            _show_pictures(answer.value)
    say(_summary(client, answer))


def _deliver_bytes(answer: Answer) -> None:
    """Bytes are for a pipe; a terminal would not survive them. What was paid for must not be lost, so it is saved."""
    if not on_terminal():
        write(answer.value)
        return
    content_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    name = re.sub(r"[^\w-]", "-", answer.request_id or answer.endpoint.rpartition("/")[2])  # a server may say anything
    # Python knows audio/wav by its older name, audio/x-wav.
    ending = guess_extension(content_type) or guess_extension(content_type.replace("/", "/x-")) or ".bin"
    for middle in chain([""], (f"-{number}" for number in count(1))):
        path = Path(f"{name}{middle}{ending}")
        try:
            with path.open("xb") as file:
                file.write(answer.value)
        except FileExistsError:
            continue
        say(f"saved {path}: {content_type or 'binary'}, {size_of(len(answer.value))}")
        return


def _show_pictures(value: Any) -> None:
    if media := media_in(value):
        from rich.console import Console

        from .picture import Gallery

        Console(highlight=False).print(Gallery(media))


def _summary(client: rxfal.Client, answer: Answer) -> str:
    parts = [] if answer.seconds is None else [f"{answer.seconds:.1f} s"]
    if answer.billable_units is not None:
        parts.append(_cost(client, answer.endpoint, answer.billable_units))
    if answer.request_id is not None:
        parts.append(f"request {answer.request_id}")
    return " · ".join(parts)


def _cost(client: rxfal.Client, endpoint: str, units: float) -> str:
    """What a call cost, for people; a program is not held up by asking for the price."""
    if sys.stderr.isatty():
        try:
            price = client.models.price(endpoint).pipe(ops.timeout(_PRICE_SECONDS)).run()
        except rxfal.FalError:  # the call itself is done
            pass
        else:
            return f"{_money(price.cost(units), price.currency)} ({units:g} {price.unit})"
    return f"{units:g} billable units"


def _money(amount: float, currency: str) -> str:
    """An amount with two digits of cents or, if it is that small, of whatever there is."""
    digits = f"{amount:,.2f}" if amount >= 1 else f"{amount:.3g}"
    return f"${digits}" if currency == "USD" else f"{digits} {currency}"
