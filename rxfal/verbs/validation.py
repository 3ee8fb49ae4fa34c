"""`Config(validation=...)`: an input without an argument that the model requires is refused before anything is sent.

Only that is checked, because servers convert types. A model whose schema can't be had is not checked at all.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Collection
from typing import Any, NamedTuple, cast

from rxfal.errors import FalError, ValidationError
from rxfal.wire.endpoints import Endpoint
from rxfal.wire.flights import Flights
from rxfal.wire.http import Http, Request

from .schemas import ModelSchema, fetch_schema

__all__ = ["InputCheck"]

logger = logging.getLogger("rxfal")

_KEPT = 3600.0  # seconds for which a schema is kept
_KEPT_FAILURE = 60.0  # seconds until a schema that could not be had is asked for again
_MOST_KEPT = 256  # models


class _Known(NamedTuple):
    """What a model requires, and until when that is kept, in the seconds of `time.monotonic`."""

    required: tuple[str, ...]
    until: float


class InputCheck:
    """Checks the inputs of one client against the schemas of its models, which it keeps for an hour.

    Args:
        http: Asks for the schemas; its configuration says whether to refuse or to warn.

    Attributes:
        patience: How many seconds a schema may take at most.
    """

    patience = 10.0

    def __init__(self, http: Http) -> None:
        self._http = http
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._flights = Flights[tuple[str, ...]]()

    async def check(self, request: Request, given: Collection[str], patience: float) -> None:
        """Refuse an input that lacks something, or warn about it, as the configuration says.

        Args:
            request: The request, at the endpoint that its `endpoint` names.
            given: The names of the arguments in its input.
            patience: Seconds that its schema may take; after that it goes unchecked.

        Raises:
            ValidationError: The input lacks a required argument.
        """
        endpoint = self._endpoint_of(request)
        if endpoint is None:
            return
        try:
            async with asyncio.timeout(patience):
                required = await self._required(endpoint)
        except TimeoutError:
            return
        missing = [name for name in required if name not in given]
        if not missing:
            return
        names = ", ".join(missing)
        if self._http.config.validation == "warn":
            what = f"{request.endpoint}: the input has no {names}, which the model requires"
            warnings.warn(what, UserWarning, stacklevel=2)
            return
        detail = [{"loc": ["body", name], "msg": "Field required", "type": "missing"} for name in missing]
        raise ValidationError(
            f"the input has no {names}, which the model requires, so it was not sent; models.schema says what it takes",
            status=422,
            body={"detail": detail},
            endpoint=request.endpoint,
        )

    def _endpoint_of(self, request: Request) -> Endpoint | None:
        """The model whose schema describes the request's input, if there is one at fal."""
        if request.method not in ("GET", "POST"):
            return None
        config = self._http.config
        endpoint = Endpoint.parse(request.endpoint, config)
        if endpoint.base not in (None, config.run_url):
            return None
        if endpoint.path.rpartition("/")[2] == "stream":
            endpoint = endpoint._replace(path=endpoint.path.removesuffix("stream").strip("/"))
        at_endpoint = request.url.path.removesuffix("/stream").endswith(f"/{endpoint.full_id}")
        return endpoint if at_endpoint else None

    async def _required(self, endpoint: Endpoint) -> tuple[str, ...]:
        name = endpoint.full_id
        with self._lock:
            known = self._known.get(name)
            if known is not None and time.monotonic() < known.until:
                self._known.move_to_end(name)
                return known.required
        return await self._flights.join(name, lambda: self._ask(endpoint), name=f"schema {name}")

    async def _ask(self, endpoint: Endpoint) -> tuple[str, ...]:
        try:
            required, kept = _required_by(await fetch_schema(self._http, endpoint, self.patience)), _KEPT
        except FalError as error:
            logger.info("%s: inputs are not checked, since there is no schema: %s", endpoint.id, error.message)
            required, kept = (), _KEPT_FAILURE
        with self._lock:
            self._known[endpoint.full_id] = _Known(required, time.monotonic() + kept)
            self._known.move_to_end(endpoint.full_id)
            while len(self._known) > _MOST_KEPT:
                self._known.popitem(last=False)
        return required


def _required_by(schema: ModelSchema) -> tuple[str, ...]:
    """The arguments that the model can't do without. One with a default can be left out, whatever else it says."""
    required: Any = schema.input.get("required")
    if not isinstance(required, list):
        return ()
    properties: Any = schema.input.get("properties")
    known = cast(dict[str, Any], properties) if isinstance(properties, dict) else {}
    names = [name for name in cast(list[Any], required) if isinstance(name, str)]
    return tuple(name for name in names if "default" not in (known.get(name) or {}))
