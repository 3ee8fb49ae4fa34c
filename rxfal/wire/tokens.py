"""The short-lived tokens that are made with the key, and kept while they are good."""

import asyncio
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from pydantic import SecretStr
from yarl import URL

from rxfal.errors import CredentialsError, DecodeError
from rxfal.wire.http import Http, Request
from rxfal.wire.payload import encode_json

__all__ = ["TokenCache"]

TOKEN_SECONDS = 120
_REFRESH_AT = 0.9  # of a token's life, as fal's own clients do
_PATIENCE = 60.0  # seconds until the response headers of the request for one


@dataclass(slots=True)
class _Flight:
    """A token that is being asked for, and how many wait for it."""

    task: asyncio.Task[SecretStr]
    waiting: int = 0


class TokenCache:
    """Short-lived tokens, one per app, asked for when needed and again shortly before they expire.

    Those who ask at the same time on one loop share one request; when one of them is cancelled the others still get the
    answer, and when all are, the request is. Tokens are shared between loops and threads.

    Args:
        http: Sends the requests.
    """

    def __init__(self, http: Http) -> None:
        self._http = http
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[SecretStr, float]] = {}
        self._flights: dict[tuple[asyncio.AbstractEventLoop, str], _Flight] = {}

    def __repr__(self) -> str:
        return f"TokenCache({len(self._tokens)} tokens)"

    async def token(self, alias: str) -> SecretStr:
        """A token for the app with this alias.

        Raises:
            ApiError: The server gave none.
            TransportError: The server could not be reached.
            CredentialsError: The answer is not a token.
        """
        with self._lock:
            token, until = self._tokens.get(alias, (None, 0.0))
        if token is not None and time.monotonic() < until:
            return token
        loop = asyncio.get_running_loop()
        flight = self._flights.get((loop, alias))
        if flight is None:
            flight = self._flights[loop, alias] = _Flight(loop.create_task(self._ask(alias), name=f"token {alias}"))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.task.done() or not flight.waiting:
                flight.task.cancel()
                if self._flights.get((loop, alias)) is flight:
                    del self._flights[loop, alias]

    def forget(self, alias: str, token: SecretStr) -> None:
        """Drop a token that the server refused, so that the next who asks gets a new one; a newer one stays.

        Args:
            alias: The app that it was for.
            token: The token that was refused.
        """
        with self._lock:
            if self._tokens.get(alias, (None,))[0] == token:
                del self._tokens[alias]

    async def _ask(self, alias: str) -> SecretStr:
        asked = time.monotonic()
        request = Request(
            method="POST",
            url=URL(f"{self._http.config.rest_url}/tokens/"),
            endpoint=f"the token for {alias}",
            headers={"Accept": "application/json", "Content-Type": "application/json"},
            body=encode_json({"allowed_apps": [alias], "token_expiration": TOKEN_SECONDS}),
            response_timeout=_PATIENCE,
            retry="idempotent",
        )
        answer: Any = None
        with suppress(DecodeError):  # it would quote the answer, which may be a bare token
            answer = await self._http.fetch_json(request)
        if isinstance(answer, dict):  # {"token": ...}, or {"detail": ...} from old proxies
            found = cast(dict[str, Any], answer)
            answer = found.get("token") or found.get("detail")
        if not isinstance(answer, str) or not answer:
            raise CredentialsError("the server's answer is not a token; look at rest_url in Config", endpoint=alias)
        token = SecretStr(answer)
        with self._lock:
            self._tokens[alias] = token, asked + TOKEN_SECONDS * _REFRESH_AT
        return token
