"""The login of `fal auth login`: the access token in the file that fal's tools share, renewed when it has expired.

It knows the file and how to renew a token, but sends nothing itself.
"""

import asyncio
import base64
import json
import logging
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from rxfal.errors import ApiError, CredentialsError
from rxfal.wire.flights import Flights
from rxfal.wire.masking import SecretStr

__all__ = ["Login", "PostForm"]

logger = logging.getLogger("rxfal")

TOKEN_URL = "https://auth.fal.ai/oauth/token"
_CLIENT_ID = "TwXR51Vz8JbY8GUUMy6EyuVR0fTO7N4N"  # that of fal's own tools, whose login it is
_LEEWAY = 300.0  # a token counts as expired this many seconds early, as in fal's client

PostForm = Callable[[str, Mapping[str, str | SecretStr]], Awaitable[Any]]
"""Sends a form to an address without a credential, and returns the decoded answer."""

_ENDED = (
    "the login of `fal auth login` has ended: run `fal auth login` again, or put a key of "
    "https://fal.ai/dashboard/keys in the environment variable FAL_KEY"
)


@dataclass(frozen=True, slots=True)
class _Tokens:
    """The two tokens of a login: the lines of its file."""

    refresh: SecretStr
    access: SecretStr | None

    def is_good(self) -> bool:
        return self.access is not None and time.time() + _LEEWAY < _expiry(self.access)


class Login:
    """The login that fal's tools keep in a folder.

    The file is read when it is needed, off the event loop, so a new login is found. An access token is kept until
    shortly before it expires. Then the file is read again; only if it has no good token either is the token renewed and
    the file replaced. On one event loop, those who need a token at the same time share one renewal.

    Args:
        folder: Where the file is.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "auth0_token"
        self._tokens: _Tokens | None = None
        self._flights = Flights[SecretStr | None]()

    @classmethod
    def from_env(cls) -> Self:
        """The login in `FAL_HOME_DIR` or else `~/.fal`."""
        folder = Path(os.environ.get("FAL_HOME_DIR") or "~/.fal")
        return cls(folder)

    async def token(self, post: PostForm) -> SecretStr | None:
        """An access token, or None without a login.

        Args:
            post: Sends the request for a new one.

        Raises:
            CredentialsError: The login has ended.
            ApiError, TransportError: It could not be renewed now.
        """
        if self._tokens is not None and self._tokens.is_good():
            return self._tokens.access
        return await self._flights.join("login", lambda: self._renewed(post), name="fal's login")

    def forget(self) -> None:
        """Read the file again the next time a token is needed."""
        self._tokens = None

    async def _renewed(self, post: PostForm) -> SecretStr | None:
        tokens = await asyncio.to_thread(self._read)
        if tokens is not None and not tokens.is_good():
            tokens = await self._ask(tokens.refresh, post)
            try:
                await asyncio.to_thread(self._write, tokens)
            except OSError as error:
                logger.warning("the renewed login could not be saved in %s: %s", self._path, error)
        self._tokens = tokens
        return None if tokens is None else tokens.access

    async def _ask(self, refresh: SecretStr, post: PostForm) -> _Tokens:
        form = {"grant_type": "refresh_token", "client_id": _CLIENT_ID, "refresh_token": refresh}
        tokens = None
        try:
            tokens = _tokens_in(await post(TOKEN_URL, form), refresh)
        except ApiError as error:
            if error.status >= 500 or error.retryable:
                raise
        if tokens is None:
            raise CredentialsError(_ENDED)
        return tokens

    def _read(self) -> _Tokens | None:
        try:
            lines = self._path.expanduser().read_text().split()
        except (OSError, ValueError, RuntimeError):  # no such file, not readable, not text; or there is no home
            return None
        return _Tokens(SecretStr(lines[0]), SecretStr(lines[1]) if len(lines) > 1 else None) if lines else None

    def _write(self, tokens: _Tokens) -> None:
        """Replace the file in one step, so that no program reads half of it; no other user may read it."""
        path = self._path.expanduser().resolve()
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with open(descriptor, "w") as file:  # noqa: PTH123  (a descriptor, which Path.open can't take)
                file.write("\n".join(each.get_secret_value() for each in (tokens.refresh, tokens.access) if each))
            os.replace(name, path)  # noqa: PTH105
        except BaseException:
            os.unlink(name)  # noqa: PTH108
            raise


def _tokens_in(answer: Any, refresh: SecretStr) -> _Tokens | None:
    """The tokens in the answer to a renewal. If there is no new refresh token, the old one stays."""
    found = cast(dict[str, Any], answer) if isinstance(answer, dict) else {}
    access, newer = found.get("access_token"), found.get("refresh_token")
    if not isinstance(access, str) or not access:
        return None
    return _Tokens(SecretStr(newer) if isinstance(newer, str) and newer else refresh, SecretStr(access))


def _expiry(token: SecretStr) -> float:
    """When a JWT expires (its claim `exp`, RFC 7519), in seconds since the epoch; 0 if that can't be read."""
    try:
        claims = token.get_secret_value().split(".")[1]
        return float(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"])
    except (ValueError, LookupError, TypeError):
        return 0.0
