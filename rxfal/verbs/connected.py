"""What every verb stands on: the connections of one client."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rxfal.wire.http import Http
from rxfal.wire.tokens import TokenCache


class Connections(NamedTuple):
    """What the verbs of one client share."""

    http: Http
    tokens: TokenCache


class Connected:
    """A group of verbs over the connections of one client.

    `Client` inherits from such groups. A namespace of a client is a group of its own, over the same connections.

    Args:
        connections: Gives the connections that a call works with; asked at each call, since the module's functions
            follow the default client of the moment.
    """

    def __init__(self, connections: Callable[[], Connections]) -> None:
        self._connections = connections
