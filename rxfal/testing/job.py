"""Job: one request of the embedded server as the app that answers it sees it."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

__all__ = ["Job"]


class Job:
    """What a handler with a second parameter gets: the request behind the input, and a way to report on the work.

    A direct call and a stream have one, too. There the logs go nowhere, as at fal, where only the queue hands them on.

    Attributes:
        request_id: The request's id, as the caller sees it.
        headers: The headers of the call; looking one up ignores case.
        billable_units: Set it to what the call costs; the caller gets it as `X-Fal-Billable-Units`. None sends no such
            header. A stream sends what was set before its first event.
        logs: The logs so far, in fal's form: `message`, `level`, `source` and `timestamp`.

    Examples:
        >>> from rxfal.testing import FalServer, Job
        >>> server = FalServer()
        >>> @server.app("owner/painter")
        ... async def painter(input, job: Job):
        ...     job.log("mixing the colours")
        ...     job.billable_units = 2.0
        ...     return {"painted_for": job.request_id}
    """

    def __init__(
        self, request_id: str, headers: Mapping[str, str], on_log: Callable[[], object] = lambda: None
    ) -> None:
        self.request_id = request_id
        self.headers = headers
        self.billable_units: float | None = None
        self.logs: list[dict[str, Any]] = []
        self._on_log = on_log

    def log(self, message: str, level: str = "INFO") -> None:
        """Reports a line of log, which is how fal's apps report progress. You can call it from any thread.

        Args:
            message: The text.
            level: `DEBUG`, `INFO`, `WARN`, `ERROR` or whatever else the app says.
        """
        timestamp = datetime.now(UTC).isoformat()
        self.logs.append({"message": message, "level": level, "source": "stdout", "timestamp": timestamp})
        self._on_log()
