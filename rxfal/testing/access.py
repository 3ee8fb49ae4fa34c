"""Who may call the embedded server: the key and the short-lived tokens, as fal checks them."""

import secrets
import time
from collections.abc import Iterable

from .apps import ApiFailure
from .journal import RecordedRequest

__all__ = ["UPLOADS", "Access", "alias_of", "app_of"]

UPLOADS = "/uploads"
"""What a token for uploads is for, in place of an app's alias; no alias has a slash."""

_NAMESPACES = ("workflows", "comfy")


def app_of(endpoint: str) -> str:
    """The app in an endpoint id, without the path behind it.

    Examples:
        >>> app_of("fal-ai/flux/dev"), app_of("workflows/someone/flow/run")
        ('fal-ai/flux', 'workflows/someone/flow')
    """
    segments = endpoint.split("/")
    return "/".join(segments[: 3 if segments[0] in _NAMESPACES else 2])


def alias_of(endpoint: str) -> str:
    """The alias in an endpoint id, which is what a token is for.

    Examples:
        >>> alias_of("fal-ai/any-llm/stream"), alias_of("workflows/someone/flow")
        ('any-llm', 'flow')
    """
    owner, slash, alias = app_of(endpoint).rpartition("/")
    return alias if slash and owner not in _NAMESPACES else ""


class Access:
    """Checks credentials and issues tokens.

    Args:
        key: The only key that is accepted.
        required: False accepts everyone.
    """

    def __init__(self, key: str, *, required: bool) -> None:
        self._key = key
        self._required = required
        self._tokens: dict[str, tuple[frozenset[str], float]] = {}

    def issue(self, apps: Iterable[str], seconds: float) -> str:
        """A new token for the aliases `apps`, valid for `seconds`."""
        token = f"test-token-{secrets.token_urlsafe(24)}"
        self._tokens[token] = frozenset(apps), time.monotonic() + seconds
        return token

    def expire_tokens(self) -> None:
        """Makes every token issued so far expire now."""
        self._tokens = {token: (apps, 0.0) for token, (apps, _) in self._tokens.items()}

    def check_key(self, request: RecordedRequest) -> None:
        """Raises a 401 if the request lacks the right key."""
        if not self._required:
            return
        authorization = request.headers.get("Authorization")
        if authorization is None:
            raise ApiFailure(401, "Authentication is required: send the header 'Authorization: Key ...'.")
        scheme, _, key = authorization.partition(" ")
        if scheme != "Key" or not secrets.compare_digest(key.encode(), self._key.encode()):
            raise ApiFailure(401, "The key in the Authorization header is not valid.")

    def check(self, request: RecordedRequest, endpoint: str) -> None:
        """Raises a 401 if the call has neither the right key nor a valid token for the app."""
        token = request.query.get("fal_jwt_token")
        if token is None or "Authorization" in request.headers:
            self.check_key(request)
        elif self._required:
            apps, expiry = self._tokens.get(token, (frozenset[str](), 0.0))
            if time.monotonic() >= expiry:
                raise ApiFailure(401, "The token is unknown or has expired.")
            if alias_of(endpoint) not in apps:
                raise ApiFailure(401, f"The token is not for {alias_of(endpoint)!r}.")

    def check_upload(self, request: RecordedRequest) -> None:
        """Raises a 401 if the request lacks a valid token for uploads."""
        if not self._required:
            return
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        apps, expiry = self._tokens.get(token, (frozenset[str](), 0.0))
        if scheme != "Bearer" or UPLOADS not in apps or time.monotonic() >= expiry:
            raise ApiFailure(401, "The token for uploads is missing, is unknown or has expired.")
