"""`rxfal subscribe`: follows a request through the queue, and says on the live line how far it is."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import rxfal

from .answers import Answer, deliver
from .line import CANCELLING, StatusLine

__all__ = ["follow", "subscribe"]

_LAST_LOGS = 5
"""How many of the last logs a failure shows."""


class Display(NamedTuple):
    """What is shown and kept of a request.

    Attributes:
        logs: Whether each log is a line of its own that stays.
        download: Where the files of the result go, as for `deliver`.
        overwrite: Whether a file may take the place of another.
    """

    logs: bool = False
    download: str | None = None
    overwrite: bool = False


def subscribe(endpoint: str, input: Mapping[str, Any], options: Any, display: Display) -> None:
    """Submit a request, follow it and deliver its result.

    Args:
        endpoint: The endpoint.
        input: The model's input.
        options: As for `rxfal.subscribe`.
        display: What is shown of it.
    """
    with rxfal.Client() as client:
        with StatusLine(endpoint) as line:
            updates = client.subscribe(endpoint, input, **options)
            completed = _completed(updates, line, display.logs, CANCELLING)
        answer = _answer(endpoint, completed)._replace(seconds=line.seconds)
        deliver(client, answer, display.download, overwrite=display.overwrite)


def follow(handle: rxfal.RequestHandle, *, timeout: float | None, display: Display) -> None:
    """Follow a request that is there already, and deliver its result.

    Args:
        handle: The request.
        timeout: Seconds to wait for it; None for no limit.
        display: What is shown of it.
    """
    with rxfal.Client() as client:
        with StatusLine(handle.app) as line:
            updates = client.queue.updates(handle, timeout=timeout)
            completed = _completed(updates, line, display.logs, "the request goes on; rxfal cancel ends it")
        deliver(client, _answer(handle.app, completed), display.download, overwrite=display.overwrite)


def _completed(
    updates: rxfal.QueueStream[Any], line: StatusLine, show_logs: bool, on_interrupt: str
) -> rxfal.Completed[Any]:
    progress = _Progress(line, show_logs)
    try:
        last = line.wait_for(updates, progress.show)
    except rxfal.FalError as error:
        progress.fail(error)
        raise
    except KeyboardInterrupt:
        line.say(on_interrupt)
        raise
    assert isinstance(last, rxfal.Completed)
    return last


def _answer(endpoint: str, completed: rxfal.Completed[Any]) -> Answer:
    request_id, units = completed.request_id, completed.billable_units
    return Answer(endpoint, completed.output, request_id, units, None, completed.headers)


class _Progress:
    """Shows the updates of a request on its line."""

    def __init__(self, line: StatusLine, show_logs: bool) -> None:
        self.request_id: str | None = None
        self._line = line
        self._show_logs = show_logs

    def show(self, update: rxfal.Queued | rxfal.InProgress | rxfal.Completed[Any]) -> None:
        if self.request_id is None:
            self.request_id = update.request_id
            self._line.say(f"request {update.request_id}")
        match update:
            case rxfal.Queued(position=position):
                self._line.state = "queued" if position is None else f"queued, position {position}"
            case rxfal.InProgress(logs=logs):
                self._line.state = logs[-1].message if logs else "in progress"
                if self._show_logs:
                    self._say(logs)
            case rxfal.Completed():
                pass

    def fail(self, error: rxfal.FalError) -> None:
        """A failed request's last logs may say why."""
        if not self._show_logs:
            self._say(error.logs[-_LAST_LOGS:])

    def _say(self, logs: tuple[rxfal.RequestLog, ...]) -> None:
        for log in logs:
            self._line.say(log.message)
