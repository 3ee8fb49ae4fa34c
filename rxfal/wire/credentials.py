"""Where the key, or the token in its place, comes from."""

import hashlib
import importlib
import inspect
import sys
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rxfal.errors import CredentialsError
from rxfal.wire.config import Config, key_from_env, prefers_login
from rxfal.wire.masking import Secret, SecretStr, hidden

if TYPE_CHECKING:
    from rxfal.wire.login import Login, PostForm

__all__ = ["Credential", "Credentials", "KeySource", "ask"]

KeySource = str | Secret | Callable[[], str | Secret | Awaitable[str | Secret]] | None
"""A key or token, or a function, sync or async, that returns one; None if there is none."""


class Credential(NamedTuple):
    """How a request says who sends it.

    Attributes:
        scheme: `Key` for fal's keys, `Bearer` for access tokens.
        secret: The key or token.
    """

    scheme: Literal["Key", "Bearer"]
    secret: SecretStr

    def header(self) -> str:
        """The value of the Authorization header. Don't give it a name: tracebacks can show local variables."""
        return f"{self.scheme} {self.secret.get_secret_value()}"

    def fingerprint(self) -> bytes:
        """A hash that tells it apart from others and reveals nothing about it."""
        return hashlib.sha256(self.header().encode()).digest()


class Credentials:
    """The credential of a client.

    A function is called for every request, so a key may change while a program runs. An empty text is no key: public
    models answer without one. If neither you nor `config` gives a key or token, rxfal looks where fal's own client
    looks: in `FAL_KEY`, in `FAL_KEY_ID` and `FAL_KEY_SECRET`, in the secrets of a Google Colab notebook, and in the
    login of `fal auth login`. The last two are for fal's own servers, and not for the one at `base_url`.

    Args:
        source: A key, or a function that returns one; None for the one in `config`.
        config: The configuration.
        access_token: A token to use instead of a key, or a function that returns one.

    Raises:
        CredentialsError: It is neither text nor a function, or a header can't carry it.
        ValueError: Both a key and a token were given.

    Examples:
        >>> Credentials("id:secret", Config())
        Credentials(a key)
        >>> Credentials(None, Config(), access_token=lambda: "token")
        Credentials(a function)
    """

    def __init__(self, source: KeySource, config: Config, *, access_token: KeySource = None) -> None:
        source, access_token = hidden(source), hidden(access_token)
        if source is not None and access_token is not None:
            raise ValueError("give credentials (a key) or access_token (a token in its place), not both")
        self._scheme: Literal["Key", "Bearer"] = "Key" if access_token is None else "Bearer"
        given = (config.key if source is None else source) if access_token is None else access_token
        if not (given is None or isinstance(given, SecretStr) or callable(given)):
            raise CredentialsError("credentials are a key, or a function that gives one")
        self._login: Login | None = None
        if given is None:
            self._source, self._login = _found(config)
        else:
            self._source = _checked(given) if isinstance(given, SecretStr) else given

    def __repr__(self) -> str:
        if self._login is not None:
            return "Credentials(the login)"
        if self._source is None:
            return "Credentials(no key)"
        if isinstance(self._source, SecretStr):
            return f"Credentials(a {'key' if self._scheme == 'Key' else 'token'})"
        return "Credentials(a function)"

    async def current(self, post: "PostForm") -> Credential | None:
        """The credential for one request, or None if there is none.

        Args:
            post: Sends the request that renews a login.

        Raises:
            CredentialsError: The function failed, it did not return a key, or the login has ended.
            ApiError, TransportError: The login could not be renewed now.
        """
        if self._login is not None:
            token = await self._login.token(post)
            return None if token is None else Credential("Bearer", token)
        source = self._source
        if callable(source):
            source = _checked(await ask(source, what="the function that gives the key"))
        return None if source is None else Credential(self._scheme, source)

    def refused(self) -> None:
        """The last credential was refused: look for a login again."""
        if self._login is not None:
            self._login.forget()


async def ask(function: Callable[..., Any], *args: Any, what: str, endpoint: str | None = None) -> SecretStr:
    """The secret that a function of the user returns; the function may be sync or async.

    Args:
        function: The function.
        args: Its arguments.
        what: What to call it in messages.
        endpoint: The endpoint that it is asked for.

    Raises:
        CredentialsError: It failed, or returned something else.
    """
    try:
        given = function(*args)
        given = hidden(await given if inspect.isawaitable(given) else given)
    except Exception as error:
        raise CredentialsError(f"{what} failed with {type(error).__name__}", endpoint=endpoint) from error
    if isinstance(given, SecretStr):
        return given
    kind = type(given).__name__
    del given
    raise CredentialsError(f"{what} gave {kind} instead of a text", endpoint=endpoint)


def _checked(secret: SecretStr) -> SecretStr | None:
    secret = SecretStr(secret.get_secret_value().strip())
    if not (secret.get_secret_value().isascii() and secret.get_secret_value().isprintable()):
        raise CredentialsError("the key holds characters that no key has; copy it again, without line breaks")
    return secret if secret.get_secret_value() else None


def _found(config: Config) -> "tuple[SecretStr | None, Login | None]":
    """The key, or else the login, that there is where fal's own client looks."""
    if config.base_url is not None:
        return key_from_env(), None
    if not prefers_login() and (key := key_from_env() or _colab_key()):
        return key, None
    from rxfal.wire.login import Login  # loaded only without a key

    return None, Login.from_env()


@cache
def _colab_key() -> SecretStr | None:
    """The secret `FAL_KEY` of a Google Colab notebook. Colab asks its user once for permission."""
    ipython: Any = sys.modules.get("IPython")
    if ipython is None or "google.colab" not in str(ipython.get_ipython()):
        return None
    try:
        return _checked(SecretStr(importlib.import_module("google.colab.userdata").get("FAL_KEY")))
    except Exception:  # there is no such secret, or the notebook may not see it
        return None
