"""Testing with rxfal: the embedded server, scripted faults on the wire, and what the server recorded."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .apps import ApiFailure
    from .job import Job
    from .journal import RecordedRequest
    from .queue import QueuedRequest
    from .rest import StoredFile
    from .server import FalServer
    from .steps import Answer, Bytes, Disconnect, Pause, Status, Step
else:  # loaded when they are used first: every run of pytest imports this, with the plugin beside it
    from rxfal._lazy import load_later

    __getattr__, __dir__ = load_later(
        __name__,
        {
            "apps": ("ApiFailure",),
            "job": ("Job",),
            "journal": ("RecordedRequest",),
            "queue": ("QueuedRequest",),
            "rest": ("StoredFile",),
            "server": ("FalServer",),
            "steps": ("Answer", "Bytes", "Disconnect", "Pause", "Status", "Step"),
        },
    )

__all__ = [
    "Answer",
    "ApiFailure",
    "Bytes",
    "Disconnect",
    "FalServer",
    "Job",
    "Pause",
    "QueuedRequest",
    "RecordedRequest",
    "Status",
    "Step",
    "StoredFile",
]
