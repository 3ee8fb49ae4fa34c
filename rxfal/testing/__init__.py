"""Testing with rxfal: the embedded server, scripted faults on the wire, and what the server recorded.

Names are loaded at first use, so that importing the pytest plugin next to this costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .apps import ApiFailure
    from .journal import RecordedRequest
    from .rest import StoredFile
    from .server import FalServer
    from .steps import Bytes, Disconnect, Pause, Status, Step

__all__ = [
    "ApiFailure",
    "Bytes",
    "Disconnect",
    "FalServer",
    "Pause",
    "RecordedRequest",
    "Status",
    "Step",
    "StoredFile",
]

_MODULES = {
    "ApiFailure": "apps",
    "Bytes": "steps",
    "Disconnect": "steps",
    "FalServer": "server",
    "Pause": "steps",
    "RecordedRequest": "journal",
    "Status": "steps",
    "Step": "steps",
    "StoredFile": "rest",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value
