"""The event stream standard written down as plainly as possible: the yardstick of the decoder's tests.

It takes a whole body at once, decodes it first and knows nothing of chunks, so it has none of the decoder's
difficulties.
"""

import re
from dataclasses import dataclass, field

from rxfal.wire.sse import ServerSentEvent


@dataclass
class Outcome:
    """What a body gives."""

    events: list[ServerSentEvent] = field(default_factory=list)
    last_event_id: str = ""
    retry: int | None = None
    too_large: bool = False


def decode(body: bytes, max_event_size: int | None = None) -> Outcome:
    """All events that `body` completes, by WHATWG HTML 9.2.6; with a limit, those before the first that exceeds it."""
    if body in (b"\xef", b"\xef\xbb"):
        return Outcome()  # not even known whether it is text
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    *lines, unfinished = re.split("\r\n|\r|\n", text)
    result = Outcome()
    data: list[str] = []
    name, event_id, retry = "", "", None

    def too_large(line: str) -> bool:
        held = len("\n".join(data).encode()) + len(line.encode())
        return max_event_size is not None and held > max_event_size

    for line in lines:
        if too_large(line):
            result.too_large = True
            return result
        if not line:
            result.last_event_id = event_id
            if data:
                result.events.append(ServerSentEvent(name or "message", "\n".join(data), event_id, retry))
            data, name, retry = [], "", None
            continue
        match line.partition(":"):
            case ("data", _, value):
                data.append(value.removeprefix(" "))
            case ("event", _, value):
                name = value.removeprefix(" ")
            case ("id", _, value) if "\0" not in value:
                event_id = value.removeprefix(" ")
            case ("retry", _, value) if re.fullmatch("[0-9]+", value.removeprefix(" ")):
                result.retry = retry = int(value)
            case _:
                pass
    result.too_large = too_large(unfinished)
    return result
