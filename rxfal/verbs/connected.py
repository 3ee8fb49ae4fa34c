"""What every verb stands on: the connections of one client."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rxfal.wire.http import Http

if TYPE_CHECKING:
    from rxfal.wire.places import Places
    from rxfal.wire.tokens import TokenCache

    from .validation import InputCheck


class Connections:
    """What the verbs of one client share.

    Args:
        http: Sends the client's requests.
    """

    def __init__(self, http: Http) -> None:
        self.http = http

    @cached_property
    def input_check(self) -> InputCheck:
        """Checks inputs against the schemas of their models."""
        from .validation import InputCheck  # loaded only if the configuration wants it

        return InputCheck(self.http)

    @cached_property
    def places(self) -> Places | None:
        """The places for direct calls; None if there may be any number of them."""
        most = self.http.config.max_concurrent
        if most is None:
            return None
        from rxfal.wire.places import Places

        return Places(most)

    @cached_property
    def tokens(self) -> TokenCache:
        """The client's short-lived tokens."""
        from rxfal.wire.tokens import TokenCache  # loaded only for `auth="token"`

        return TokenCache(self.http)


class Connected:
    """A group of verbs over the connections of one client.

    `Client` inherits from such groups. A namespace of a client is a group of its own, over the same connections.

    Args:
        connections: Gives the connections that a call works with; asked at each call, since the module's functions
            follow the default client of the moment.
    """

    def __init__(self, connections: Callable[[], Connections]) -> None:
        self._connections = connections


def loaded_at_use(module: str, group: str, *verbs: str) -> type[Connected]:
    """A stand-in for a group of verbs, for a client to inherit from: its module is loaded when a verb is looked up.

    Args:
        module: The module, by its full name.
        group: The group's name there.
        verbs: The names of its verbs.
    """
    return type(group, (Connected,), {verb: _AtUse(module, group) for verb in verbs})


class _AtUse:
    """A verb that is still to be loaded; the real one takes its place then."""

    def __init__(self, module: str, group: str) -> None:
        self._module = module
        self._group = group

    def __set_name__(self, stand_in: type, verb: str) -> None:
        self._stand_in = stand_in
        self._verb = verb

    def __get__(self, client: object | None, kind: type | None = None) -> Any:
        group: type = getattr(import_module(self._module), self._group)
        verb = group.__dict__[self._verb]
        setattr(self._stand_in, self._verb, verb)
        return verb.__get__(client, kind)
