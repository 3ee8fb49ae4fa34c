"""Where fal is, and the limits that apply: one frozen model, read from the environment or written out.

It knows no request and no event loop. It only holds values that have been checked.
"""

import os
import re
import ssl
from collections.abc import Awaitable, Callable, Iterable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, Literal, Self, cast

from pydantic_core import SchemaValidator, core_schema
from yarl import URL

from rxfal.wire.masking import Secret, SecretStr, hidden

__all__ = ["Config", "Middleware", "address_of", "key_from_env", "prefers_login", "where_a_key_goes"]

_Parts = tuple[str, str, dict[str, str]]
Middleware = Callable[[str, str, dict[str, str]], _Parts | Awaitable[_Parts]]
"""Takes the method, URL and headers of a request, and returns them as they should be; sync or async."""


_HOST = re.compile(r"[a-z0-9_.-]+(:\d+)?|\[[0-9a-f:.]+\](:\d+)?", re.IGNORECASE)


def _checked_url(value: str) -> str:
    """A server's address without its trailing slash. A ValueError does not repeat it, as it may hold a password."""
    if re.fullmatch(r"[a-z0-9.-]+:\d{1,5}", value.strip(), re.IGNORECASE):
        raise ValueError(f"a URL begins with its scheme; write it as http://{value.strip()}")
    try:
        url = URL(value.strip())
        host, _port = url.raw_host, url.port
    except ValueError:
        raise ValueError("not a URL; write it as https://host or http://127.0.0.1:8600") from None
    if url.scheme not in ("http", "https") or not host:
        raise ValueError("not an http or https URL with a host; write it as https://host or http://127.0.0.1:8600")
    if url.user is not None or url.password is not None:
        raise ValueError("a URL with user or password in it; the key has its own place, key= or FAL_KEY")
    if not _HOST.fullmatch(url.raw_authority):
        raise ValueError("not a URL with a host name; write it as https://host or http://127.0.0.1:8600")
    if url.raw_query_string or url.raw_fragment or "?" in value or "#" in value:
        raise ValueError("a URL with a query or a fragment; paths are appended to it, so it must end before them")
    return str(url).rstrip("/")


def _with_scheme(host: str) -> str:
    return host if "://" in host else f"https://{host}"


def _checked_hosts(value: Any) -> frozenset[str]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        message = 'trusted_hosts takes a collection of names, such as {"models.example.com"}'
        raise ValueError(message)
    return frozenset(_checked_host(host) for host in cast(Iterable[Any], value))


def _checked_host(host: Any) -> str:
    if not isinstance(host, str) or not _HOST.fullmatch(host) or host.startswith(".") or host.endswith("."):
        raise ValueError("trusted_hosts takes host names, with a port if need be: no scheme, path or wildcard")
    return host.lower()


def _checked_key(value: Any) -> SecretStr | None:
    """Empty counts as unset, because shells and CI systems set variables to nothing."""
    key = hidden(value)
    if not isinstance(key, SecretStr):
        raise ValueError("a key is a text or a SecretStr")
    text = key.get_secret_value().strip()
    return SecretStr(text) if text else None


LEFT_OUT = cast(str, None)
"""Of an address: fal's own, or what follows from `base_url`."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """Where fal is, what may be sent there, and the limits that apply. Immutable.

    `base_url` points everything at another server, such as the embedded one: direct calls go to `{base_url}`, the queue
    to `{base_url}/queue`, tokens and storage to `{base_url}/rest`, questions about models to `{base_url}/api`. A single
    address that you also give takes precedence. The servers that you configure here are trusted with the key, even over
    plain http. Messages about wrong values never repeat them.

    Args:
        base_url: One server for everything.
        run_url: Where direct calls and streams go. Left out, `https://fal.run`.
        queue_url: Where queued calls go. Left out, `https://queue.fal.run`.
        rest_url: Where tokens and storage are. Left out, `https://rest.fal.ai`.
        api_url: Where models and prices are looked up. Left out, `https://api.fal.ai/v1`.
        openapi_url: Where the schemas of models are, which are asked for without the key. Left out,
            `https://fal.ai/api/openapi`.
        key: The key, as pydantic's `SecretStr`, if no credentials are given elsewhere.
        proxy_url: A server of yours that adds the key. Requests go there, with the real address in `x-fal-target-url`;
            those of `models`, and those that carry a short-lived token or no credential at all, go straight to fal.
        middleware: A function, sync or async, that sees the method, URL and headers of each request before it is sent
            (again for a retry), and returns them as they should be. It sees no key or token, which is added afterwards,
            and with `proxy_url` it sees the real address. A request that it moves to a host that may not see the key
            ends with `EndpointError`; if the function itself fails, with `CallbackError`.
        trusted_hosts: More hosts, as `name` or `name:port`, that may be called and may see the key.
        validation: With `"require"`, an input that lacks an argument which the model's schema requires is refused with
            `ValidationError` before anything is uploaded or sent; with `"warn"` there is a `UserWarning`. A model
            without a schema, and one whose schema can't be had within 10 seconds, is not checked, and types never are.
            `"off"` asks for no schema.
        ssl_context: How to verify servers over https if the system's certificates are not the right ones. For a
            company's CA, use `ssl.create_default_context(cafile="company.pem")`.
        connect_timeout: Seconds that opening a connection may take. For fal's run and queue servers it is at most 5,
            because they have backup hosts, which are tried next.
        request_timeout: Seconds that a small request (for a token, or for the place of an upload) may take until its
            answer is whole, retries and their pauses included.
        max_event_size: The most bytes in one event of a stream. This is a safety limit: an event is kept in memory
            until it is whole.
        max_body_size: The most bytes in an answer that is read whole (JSON, a token). This is a safety limit too, with
            room for a few pictures as data URIs.
        max_concurrent: How many direct calls (`run`, `stream`, `stream_events`) the client may have open at once, on
            all its event loops. The others wait in line before they upload or send anything, for `response_timeout` at
            most. None for no limit. Calls in fal's queue don't count, since fal starts them when there is room.
        max_attempts: The most times that a request which may be repeated is sent; 1 turns retries off.

    Raises:
        pydantic.ValidationError: A value is not what it should be.

    Examples:
        >>> Config(base_url="http://127.0.0.1:8600/").queue_url
        'http://127.0.0.1:8600/queue'
        >>> Config(key=SecretStr("secret")).key
        SecretStr('**********')
    """

    base_url: str | None = None
    run_url: str = LEFT_OUT
    queue_url: str = LEFT_OUT
    rest_url: str = LEFT_OUT
    api_url: str = LEFT_OUT
    openapi_url: str = LEFT_OUT
    key: Secret | None = None
    proxy_url: str | None = None
    middleware: Middleware | None = None
    validation: Literal["off", "warn", "require"] = "off"
    trusted_hosts: AbstractSet[str] = frozenset()
    ssl_context: ssl.SSLContext | None = None
    connect_timeout: float = 30.0
    request_timeout: float = 60.0
    max_event_size: int = 64 * 2**20
    max_body_size: int = 64 * 2**20
    max_concurrent: int | None = None
    max_attempts: int = 4

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value is not None}
        addresses = {
            "run_url": "https://fal.run",
            "queue_url": "https://queue.fal.run",
            "rest_url": "https://rest.fal.ai",
            "api_url": "https://api.fal.ai/v1",
            "openapi_url": "https://fal.ai/api/openapi",
        }
        if isinstance(self.base_url, str):
            with suppress(ValueError):  # the field's own check raises it, with the field's name
                base = _checked_url(self.base_url)
                addresses = {"run_url": base, "queue_url": f"{base}/queue", "rest_url": f"{base}/rest"}
                addresses |= {"api_url": f"{base}/api/v1", "openapi_url": f"{base}/api/openapi"}
        defaults = {each.name: each.default for each in fields(self) if each.default is not None}
        vars(self).update(_checks.validate_python(defaults | addresses | given))

    @classmethod
    def from_env(cls) -> Self:
        """The configuration from the environment. An empty variable counts as unset.

        `RXFAL_BASE_URL` is `base_url`. Without it, `FAL_RUN_HOST` and `FAL_QUEUE_RUN_HOST` are host names, as for
        fal-client, or URLs. (If only the run host is set, the queue is at `queue.` plus that host.) The key is
        `FAL_KEY`, or else `FAL_KEY_ID` and `FAL_KEY_SECRET` joined by a colon. With `FAL_FORCE_AUTH_BY_USER=1` there is
        no key, and the login of `fal auth login` is used instead.

        Raises:
            pydantic.ValidationError: A variable does not hold what it should.
        """
        values: dict[str, Any] = {"key": key_from_env(), "base_url": _env("RXFAL_BASE_URL")}
        if values["base_url"] is None:
            if prefers_login():
                values["key"] = None
            run_host, queue_host = _env("FAL_RUN_HOST"), _env("FAL_QUEUE_RUN_HOST")
            values["run_url"] = run_host and _with_scheme(run_host)
            values["queue_url"] = (
                _with_scheme(queue_host)
                if queue_host
                else run_host and _with_scheme(run_host).replace("://", "://queue.", 1)
            )
        return cls(**values)


_url = core_schema.no_info_after_validator_function(_checked_url, core_schema.str_schema())
_seconds = core_schema.float_schema(gt=0, allow_inf_nan=False)
_count = core_schema.int_schema(gt=0)
_schemas: dict[str, core_schema.CoreSchema] = {
    "base_url": _url,
    "run_url": _url,
    "queue_url": _url,
    "rest_url": _url,
    "api_url": _url,
    "openapi_url": _url,
    "key": core_schema.no_info_plain_validator_function(_checked_key),
    "proxy_url": _url,
    "validation": core_schema.literal_schema(["off", "warn", "require"]),
    "middleware": core_schema.callable_schema(),
    "trusted_hosts": core_schema.no_info_plain_validator_function(_checked_hosts),
    "ssl_context": core_schema.is_instance_schema(ssl.SSLContext),
    "connect_timeout": _seconds,
    "request_timeout": _seconds,
    "max_event_size": _count,
    "max_body_size": _count,
    "max_concurrent": _count,
    "max_attempts": _count,
}
# Of pydantic its engine alone: loading what makes a `BaseModel` would take as long as the rest of a first stream.
_checks = SchemaValidator(
    core_schema.typed_dict_schema(
        {name: core_schema.typed_dict_field(schema, required=False) for name, schema in _schemas.items()}
    ),
    core_schema.CoreConfig(title="Config", hide_input_in_errors=True),
)


def address_of(url: URL, config: Config) -> str:
    """Host and port of an address for messages, and the environment variable that set it, if one did.

    Examples:
        >>> address_of(URL("https://fal.run/owner/alias"), Config())
        'fal.run:443'
    """
    address = f"{url.host_subcomponent}:{url.port}"
    named = {"RXFAL_BASE_URL": config.base_url, "FAL_RUN_HOST": config.run_url, "FAL_QUEUE_RUN_HOST": config.queue_url}
    for variable, configured in named.items():
        if configured and url.origin() == URL(configured).origin() and _names(_env(variable), configured):
            return f"{address} ({variable} says so)"
    return address


def _names(variable: str | None, configured: str) -> bool:
    with suppress(ValueError):
        return variable is not None and _checked_url(_with_scheme(variable)) == configured
    return False


def key_from_env() -> SecretStr | None:
    """The key from the environment: `FAL_KEY`, or else `FAL_KEY_ID` and `FAL_KEY_SECRET` joined by a colon."""
    key, key_id, key_secret = _env("FAL_KEY"), _env("FAL_KEY_ID"), _env("FAL_KEY_SECRET")
    if key is None and key_id and key_secret:
        key = f"{key_id}:{key_secret}"
    return None if key is None else SecretStr(key)


def prefers_login() -> bool:
    """Whether the login of `fal auth login` comes before the keys in the environment."""
    return _env("FAL_FORCE_AUTH_BY_USER") == "1"


def where_a_key_goes() -> str:
    """For messages: what to do if a server wants a key and there is none."""
    if _env("FAL_API_KEY"):
        found = "FAL_API_KEY is set, but it is FAL_KEY that fal's clients read; set that one to the same value"
    else:
        found = "get a key at https://fal.ai/dashboard/keys and put it in the environment variable FAL_KEY"
    return f"no FAL_KEY was found, and the server wants one: {found}, or pass it to rxfal.configure(...) or Client(...)"


def _env(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None
