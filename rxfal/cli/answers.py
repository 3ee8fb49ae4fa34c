"""What became of a call: its result on stdout, its pictures on a terminal, and a last line with its time and cost."""

import re
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import rxfal
from rxfal import operators as ops

from .downloads import download, saved, template
from .media import Media, media_in, picture_addresses
from .printing import on_terminal, say, write, write_json

__all__ = ["Answer", "deliver"]

_MOST_PICTURES = 4
"""How many pictures a terminal fetches to show them."""
_MOST_NUMBERS = 1000
"""How many names are tried for files that must not replace others."""
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


def deliver(client: rxfal.Client, answer: Answer, to: str | None = None, *, overwrite: bool = False) -> None:
    """Write the result to stdout, its files to the disk if that is wanted, and a line about it all to stderr.

    Args:
        client: Downloads the files.
        answer: The result.
        to: A folder or template for the files of the result; None for none.
        overwrite: Whether a file may take the place of another.
    """
    value, name = answer.value, answer.request_id or answer.endpoint.rpartition("/")[2]
    if not isinstance(value, bytes):
        write_json(value)
        if to is not None:
            _save(client, rxfal.Completed(name, value), template(to, "{name}{ext}"), overwrite)
        if on_terminal():
            _show_pictures(client, value)
    elif to is None and not on_terminal():
        write(value)
    else:  # a terminal would not survive the bytes; they were paid for, and are saved
        content_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        uri = rxfal.encode(value, content_type=content_type or None)
        _save(client, rxfal.Completed(name, uri), template(to or ".", "{request_id}{ext}"), overwrite)
    if summary := _summary(client, answer):
        say(summary)


def _save(client: rxfal.Client, result: rxfal.Completed[Any], to: str, overwrite: bool) -> None:
    """Save the files of a result: under another name where one exists, for what was paid for must not be lost."""
    number = 1
    while True:
        try:
            files = download(client, result, to, what="downloading", overwrite=overwrite)
            break
        except FileExistsError:
            number += 1
            if number > _MOST_NUMBERS:
                raise
            to = re.sub(r"(-\d+)?(\{ext\}|\.\w+$|$)", rf"-{number}\2", to, count=1)
    for file in files:
        say(saved(file))


def _show_pictures(client: rxfal.Client, value: Any) -> None:
    media = media_in(value)
    for place, url in picture_addresses(value)[:_MOST_PICTURES]:
        try:
            (file,) = download(client, url, None, what=f"getting {place} to show it")
        except (rxfal.FalError, ValueError) as error:  # the result itself is there
            say(f"{place} can't be shown: {error}")
        else:
            assert file.data is not None
            media.append(Media(place, file.content_type, file.data))
    if media:
        from rich.console import Console

        from .picture import Gallery

        Console(highlight=False).print(Gallery(media))


def _summary(client: rxfal.Client, answer: Answer) -> str:
    parts = [] if answer.seconds is None else [f"{answer.seconds:.1f} s"]
    if answer.billable_units is not None:
        parts.append(_cost(client, answer.endpoint, answer.billable_units))
    return " · ".join(parts)


def _cost(client: rxfal.Client, endpoint: str, units: float) -> str:
    """What a call cost, for people; a program is not held up by asking for the price."""
    if sys.stderr.isatty():
        try:
            price = client.models.price(endpoint).pipe(ops.timeout(_PRICE_SECONDS)).run()
        except rxfal.FalError:  # the call itself is done
            pass
        else:
            unit = f"× {price.unit}" if price.unit[:1].isdigit() else price.unit
            return f"{_money(price.cost(units), price.currency)} ({units:g} {unit})"
    return f"{units:g} billable units"


def _money(amount: float, currency: str) -> str:
    """An amount with two decimals, or if it is small with three digits that count.

    Examples:
        >>> _money(1234.5, "USD"), _money(0.025, "USD"), _money(0.000004, "EUR")
        ('$1,234.50', '$0.025', '0.000004 EUR')
    """
    digits = f"{amount:,.2f}" if amount >= 1 else f"{Decimal(f'{amount:.3g}'):f}"
    return f"${digits}" if currency == "USD" else f"{digits} {currency}"
