"""Where the key comes from."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import SecretStr

from rxfal.errors import CredentialsError
from rxfal.wire.config import Config

__all__ = ["Credentials", "KeySource"]

KeySource = str | SecretStr | Callable[[], str | SecretStr | Awaitable[str | SecretStr]] | None
"""A key, or a function that gives one, sync or async; None for the one in the configuration."""


class Credentials:
    """The key of a client.

    A function is asked for every request, so that a key may change while a program runs. An empty text is no key:
    public models answer without one.

    Args:
        source: A key, or a function that gives one; None for the key in `config`.
        config: The configuration.

    Examples:
        >>> Credentials("id:secret", Config())
        Credentials(a key)
    """

    def __init__(self, source: KeySource, config: Config) -> None:
        self._source = config.key if source is None else source
        if not (self._source is None or isinstance(self._source, str | SecretStr) or callable(self._source)):
            raise CredentialsError("credentials are a key, or a function that gives one")
        if self._source is not None and not callable(self._source):
            self._source = _checked(self._source)

    def __repr__(self) -> str:
        if self._source is None:
            return "Credentials(no key)"
        return f"Credentials({'a function' if callable(self._source) else 'a key'})"

    async def key(self) -> SecretStr | None:
        """The key, or None when there is none.

        Raises:
            CredentialsError: The function failed, or what it gave is not a key.
        """
        source = self._source
        if source is None or isinstance(source, str | SecretStr):
            return None if source is None else _checked(source)
        try:
            given: Any = source()
            if inspect.isawaitable(given):
                given = await given
        except Exception as error:
            raise CredentialsError(f"the function that gives the key failed with {type(error).__name__}") from error
        return _checked(given)


def _checked(given: Any) -> SecretStr | None:
    text: Any = given.get_secret_value() if isinstance(given, SecretStr) else given
    if not isinstance(text, str):
        raise CredentialsError(f"a key is a text, and the function that gives it gave {type(given).__name__}")
    text = text.strip()
    if not text.isascii() or not text.isprintable():
        raise CredentialsError("the key holds characters that no key has; copy it again, without line breaks")
    return SecretStr(text) if text else None
