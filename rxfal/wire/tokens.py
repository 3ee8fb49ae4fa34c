"""Short-lived tokens, which are made with the key and kept while they are good."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from yarl import URL

from rxfal.errors import CredentialsError, DecodeError
from rxfal.wire.credentials import Credential
from rxfal.wire.flights import Flights
from rxfal.wire.http import Http, Request
from rxfal.wire.masking import SecretStr
from rxfal.wire.payload import encode_json

__all__ = ["TokenCache"]

TOKEN_SECONDS = 120
_REFRESH_AT = 0.9  # of a token's life, as in fal's own clients


@dataclass(frozen=True, slots=True)
class _Token:
    """A token, and until when it is kept, in the seconds of `time.monotonic`."""

    secret: SecretStr
    until: float


class TokenCache:
    """Short-lived tokens, one per app and key. They are asked for when needed, and again shortly before they expire.

    Those who ask at the same time on one loop share one request. Tokens are shared between loops and threads, but never
    between keys: in a server, a function may return a different key for each user.

    Args:
        http: Sends the requests.
    """

    def __init__(self, http: Http) -> None:
        self._http = http
        self._lock = threading.Lock()
        self._tokens: dict[tuple[str, bytes], _Token] = {}
        self._flights = Flights[SecretStr]()

    def __repr__(self) -> str:
        return f"TokenCache({len(self._tokens)} tokens)"

    async def token(self, alias: str) -> SecretStr:
        """A token for the app with this alias.

        Raises:
            ApiError: The server refused to give one.
            TransportError: The server could not be reached.
            CredentialsError: The answer is not a token, or there is no usable key.
        """
        # With a server-side proxy, the proxy has the key.
        credential = None if self._http.config.proxy_url else await self._http.credentials.current(self._http.post_form)
        place = alias, credential.fingerprint() if credential else b""
        with self._lock:
            known = self._tokens.get(place)
        if known is not None and time.monotonic() < known.until:
            return known.secret
        return await self._flights.join(place, lambda: self._ask(place, credential), name=f"token {alias}")

    def forget(self, alias: str, token: SecretStr) -> None:
        """Drop a token that the server refused, so that the next caller gets a new one. A newer token stays.

        Args:
            alias: The app that it was for.
            token: The token that was refused.
        """
        with self._lock:
            for place, known in [*self._tokens.items()]:
                if place[0] == alias and known.secret == token:
                    del self._tokens[place]

    async def _ask(self, place: tuple[str, bytes], credential: Credential | None) -> SecretStr:
        alias, asked = place[0], time.monotonic()
        request = Request(
            method="POST",
            url=URL(f"{self._http.config.rest_url}/tokens/"),
            endpoint=f"the token for {alias}",
            headers={"Accept": "application/json", "Content-Type": "application/json"},
            body=encode_json({"allowed_apps": [alias], "token_expiration": TOKEN_SECONDS}),
            credential=credential,
            retry="idempotent",
        )
        token = None
        with suppress(DecodeError):  # its message would quote the answer, which may be a bare token
            token = _token_in(await self._http.fetch_json(request))
        if token is None:
            raise CredentialsError("the server's answer is not a token; check rest_url in Config", endpoint=alias)
        with self._lock:
            now = time.monotonic()
            self._tokens = {old: known for old, known in self._tokens.items() if now < known.until}
            self._tokens[place] = _Token(token, asked + TOKEN_SECONDS * _REFRESH_AT)
        return token


def _token_in(answer: Any) -> SecretStr | None:
    """The token in an answer: a text, `{"token": ...}`, or `{"detail": ...}` from old proxies."""
    if isinstance(answer, dict):
        found = cast(dict[str, Any], answer)
        answer = found.get("token") or found.get("detail")
    return SecretStr(answer) if isinstance(answer, str) and answer else None
