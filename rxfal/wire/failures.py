"""From what went wrong to the error for it: a response's status and body, or a broken connection.

Pure functions. Nothing that leaves here holds a secret, not even in the frames of its causes.
"""

import email.utils
import errno
import os
import re
import socket
import ssl
import time
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Literal, TypeVar, cast

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError, PayloadEncodingError
from pydantic_core import from_json

from rxfal.errors import ApiError, DecodeError, TransportError, TransportKind, ValidationError, one_line
from rxfal.wire.config import where_a_key_goes
from rxfal.wire.masking import Secrets, without_queries

__all__ = [
    "Sent",
    "error_from_response",
    "error_from_value",
    "retry_after_seconds",
    "status_in",
    "transport_error",
    "unshown",
]

Sent = Literal["nothing", "key", "access token", "token"]
"""The credential that a request carried: `token` is a short-lived one in the query, `nothing` that there was none."""

_E = TypeVar("_E", bound=BaseException)

_NONE = Secrets()

_REFUSED: dict[str, str] = {
    "key": "the server refused the key; compare it with https://fal.ai/dashboard/keys",
    "access token": "the server refused the access token, which may have expired; give a new one, or run "
    "`fal auth login` again",
    "token": "the server refused the short-lived token, which has expired or is meant for another app; try again, and "
    "if you give a token_provider, let it return a new token for the app that it is given",
}
_MOST_OF_THE_SERVERS = 1500  # characters of what a server says, which leaves room for what to do
_NEXT_STEP_AT_AN_ENDPOINT = {
    403: "the key may not use this endpoint; check its scope and the account's balance",
    404: "check the spelling of the endpoint, and the path that was appended to it",
    413: "upload large files and send their URLs",
}
_NEXT_STEP = {
    101: "the server switched to another protocol, which rxfal did not ask for; check the address",
    407: "the proxy wants a user and a password; write HTTP_PROXY as http://user:password@host:port",
    408: "try again",
    429: "too many requests at once; send fewer, or wait",
    500: "the model or the server failed; the input may be the cause",
    502: "try again in a moment",
    503: "try again in a moment",
    504: "try again, or allow the server more time",
}


def error_from_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    endpoint: str | None,
    sent: Sent | None = "key",
    secrets: Secrets = _NONE,
    address: str | None = None,
) -> ApiError:
    """The error for a response; see `error_from_value`.

    Args:
        status: The HTTP status, 300 or more.
        headers: The response's headers.
        body: Its body, or the beginning of it.
        endpoint: Where it happened.
        sent: As for `error_from_value`.
        secrets: What must not appear in the error, even if the server repeats it.
        address: Host and port of the server.
    """
    return error_from_value(
        status, _decoded(body), headers, endpoint=endpoint, sent=sent, secrets=secrets, address=address
    )


def error_from_value(
    status: int,
    value: Any,
    headers: Mapping[str, str] = MappingProxyType({}),
    *,
    endpoint: str | None = None,
    sent: Sent | None = None,
    secrets: Secrets = _NONE,
    address: str | None = None,
) -> ApiError:
    """The error for a decoded body, or for the data of an event.

    It understands fal's bodies: `detail` as a list of field errors or as text, `message`, and `error` as text or with a
    `message` inside. A gateway's HTML page becomes its title. A 422 is a `ValidationError`. A redirect is an error too:
    it is not followed, because the request carries a credential.

    Args:
        status: The HTTP status, 300 or more.
        value: The body: decoded JSON, or text, or None.
        headers: The response's headers.
        endpoint: Where it happened.
        sent: The credential that the request carried; None if it was to carry none, or if the error is not about it.
        secrets: What must not appear in the error, even if the server repeats it.
        address: Host and port of the server.
    """
    value = secrets.mask_value(value)
    header = {name.lower(): one_line(secrets.mask(text), 200) for name, text in headers.items()}.get
    text = one_line(_text_of(value) or _reason(status), _MOST_OF_THE_SERVERS)
    if header("location") and 300 <= status < 400:
        text = f"the server redirects to {_target(headers)}, which rxfal does not follow; name the right address"
    elif status in (301, 302, 303, 307, 308):
        text = "the server redirects and does not say where to; check the address"
    elif status == 401 and sent is not None:
        text = _and(text, _REFUSED.get(sent) or where_a_key_goes())
    elif status in _NEXT_STEP:
        text = _and(text, _NEXT_STEP[status])
    elif status in _NEXT_STEP_AT_AN_ENDPOINT and sent is not None:
        text = _and(text, _NEXT_STEP_AT_AN_ENDPOINT[status])
    retryable = _flag(header("x-fal-retryable"))
    error_type: Any = cast(dict[str, Any], value).get("error_type") if isinstance(value, dict) else None
    return (ValidationError if status == 422 else ApiError)(
        _shown(text, secrets),
        status=status,
        body=value,
        request_id=header("x-fal-request-id"),
        error_type=error_type if isinstance(error_type, str) else header("x-fal-error-type"),
        timeout_type=header("x-fal-request-timeout-type"),
        retryable=retryable if retryable is not None else _flag(header("x-fal-needs-retry")) or None,
        retry_after=retry_after_seconds(header("retry-after")),
        endpoint=endpoint,
        address=address,
    )


def status_in(*values: Any, default: int = 500) -> int:
    """The HTTP status that an error's data names in `status` or `code`; the first value that has one counts.

    Examples:
        >>> status_in({"status": 503}), status_in({"code": "429"}), status_in({"code": "rate_limit"}, None)
        (503, 429, 500)
    """
    for value in values:
        if isinstance(value, dict):
            for name in ("status", "code"):
                found = cast(dict[str, Any], value).get(name)
                if isinstance(found, (int, str)) and re.fullmatch("[45][0-9][0-9]", str(found)):
                    return int(found)
    return default


def _flag(value: str | None) -> bool | None:
    return {"true": True, "1": True, "yes": True, "false": False, "0": False}.get((value or "").strip().lower())


def _decoded(body: bytes) -> Any:
    """JSON if it is JSON, else text, else None."""
    try:
        return from_json(body)
    except ValueError:
        return body.decode("utf-8", "replace").strip() or None


_WORDS = ("detail", "message", "error", "msg", "errorText")


def _text_of(value: Any) -> str:
    """What a body says, on one short line."""
    if isinstance(value, str):
        return _from_page(value)
    if isinstance(value, list):
        parts = [_field_text(entry) for entry in cast(list[Any], value)]
        more = f" (and {len(parts) - 5} more)" if len(parts) > 5 else ""
        return "; ".join(part for part in parts[:5] if part) + more
    if isinstance(value, dict):
        body = cast(dict[str, Any], value)
        return next((text for name in _WORDS if (text := _text_of(body.get(name)))), "")
    return ""


def _field_text(entry: Any) -> str:
    if not isinstance(entry, dict):
        return _text_of(entry)
    error = cast(dict[str, Any], entry)
    loc: Any = error.get("loc", [])
    path = [str(part) for part in cast(list[Any], loc)] if isinstance(loc, list) else [str(loc)]
    place = ".".join(path[1:] if path[:1] == ["body"] else path)
    return f"{place}: {_text_of(error)}" if place else _text_of(error)


def _from_page(text: str) -> str:
    """Plain text, cut to the length of a line; for an HTML page, its title or its words."""
    if re.match(r"\s*<(!doctype|html|head|body|center|h1)", text, re.IGNORECASE):
        import html  # loaded only for a page: its names of characters take a while

        title = re.search(r"<(title|h1)[^>]*>(.*?)</\1", text, re.IGNORECASE | re.DOTALL)
        text = html.unescape(re.sub(r"<[^>]*>", " ", title[2] if title else text))
    text = " ".join(text.split())
    return text if len(text) <= 300 else f"{text[:299]}…"


def _and(text: str, more: str) -> str:
    """Two clauses as one sentence, whatever punctuation the first ends with."""
    return f"{text.rstrip(' .:;,')}: {more}"


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "the server answered with an error"


def _target(headers: Mapping[str, str]) -> str:
    """Where a redirect leads: only the host, because the rest may hold a token."""
    found = re.match(r"(?:https?:)?//(?:[^/?#]*@)?([^/?#@\s]+)", headers.get("Location", ""), re.IGNORECASE)
    return found[1] if found else "another path of the same host"


def retry_after_seconds(value: str | None) -> float | None:
    """Seconds from a `Retry-After` header, which holds seconds or an HTTP date (RFC 9110, section 10.2.3).

    Examples:
        >>> retry_after_seconds("2.5")
        2.5
        >>> retry_after_seconds("Thu, 01 Jan 1970 00:00:00 GMT"), retry_after_seconds("soon")
        (0.0, None)
    """
    if not value:
        return None
    if re.fullmatch(r"\s*\d{1,9}(\.\d+)?\s*", value, re.ASCII):
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


_CLIENT_CLOSED = (
    "the client was closed while this request was under way: by close(), by leaving its with block, or by "
    "rxfal.configure(); keep it open until its streams have ended"
)
_WHAT: dict[TransportKind, str] = {
    "refused": "the connection was refused: nothing is listening at {address}; check the address, and that the server "
    "is running",
    "reset": "the connection was reset by the other side ({address}); send the request again",
    "cut short": "the response was cut short: the connection to {address} ended before the body did; send the request "
    "again",
    "dns": "the host name of {address} could not be resolved (DNS); check the name and the network",
    "tls": "the secure connection (TLS) to {address} failed; check the certificate, the clock and any proxy in "
    "between; if a company's own CA signs it, name that CA in Config(ssl_context=...)",
    "out of file descriptors": "this process is out of file descriptors; raise its limit (ulimit -n) or open fewer",
    "timeout": "connecting to {address} took too long; check the network, or raise connect_timeout in Config",
    "connection": "the connection to {address} failed",
}
_NO_HTTP = "the answer from {address} is not proper HTTP ({what}); check the address, and any proxy in between"
_REFUSED_BY_PROXY = (
    "the proxy at {address} refused to connect to the server ({status} {reason}); check HTTPS_PROXY, and the user and "
    "the password in it if the proxy wants them"
)
_RESET = {errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ENOTCONN}


def transport_error(
    error: BaseException,
    *,
    endpoint: str | None,
    address: str = "the server",
    secrets: Secrets = _NONE,
    client_closed: bool = False,
) -> tuple[TransportError, BaseException]:
    """The `TransportError` for a failure of aiohttp or of the operating system, and the cause to raise it from.

    The cause is the failure without its frames, because their locals hold the headers and the address. If its message
    holds a secret, the cause is a copy without that: some of aiohttp's errors quote the URL, and with it the token. Its
    parser's errors quote what they could not read, which may be a token that was asked for, so they are copied too.

    Args:
        error: The failure.
        endpoint: Where it happened.
        address: Host and port that were called.
        secrets: What must not appear in the error.
        client_closed: Whether the client has been closed, which explains the failure.
    """
    chain = _chain(error)
    kind: TransportKind = "connection" if client_closed else _kind(chain)
    words = _shown(str(error), secrets)
    bad, refusal = _no_http(chain), _first(chain, aiohttp.ClientHttpProxyError)
    if bad is not None:
        # Its first paragraph says what is wrong; the next one shows where.
        what = " ".join(bad.message.partition("\n\n")[0].split()).rstrip(":")
        words = _shown(what, secrets) or type(bad).__name__
    if client_closed:
        message = _CLIENT_CLOSED
    elif refusal is not None:
        reason = _shown(refusal.message, secrets)
        message = _REFUSED_BY_PROXY.format(address=address, status=refusal.status, reason=reason)
    elif bad is not None:
        message = _NO_HTTP.format(address=address, what=words)
    else:
        message = _WHAT[kind].format(address=address)
        if kind == "connection":
            message = _and(message, words or type(error).__name__)
    if _first(chain, aiohttp.ClientProxyConnectionError) is not None:
        message = f"through the proxy (HTTP_PROXY, HTTPS_PROXY): {message}"
    cause = error
    for link in chain:
        link.__traceback__ = None
    everything = "".join(traceback.format_exception(error)) + "".join(repr(link) for link in chain)
    if bad is not None or _shown(everything, secrets) != everything:
        cause = aiohttp.ClientError(f"{type(error).__name__}: {words}")
    failure = TransportError(message, kind=kind, endpoint=endpoint)
    failure.retryable = failure.retryable and not client_closed  # a retry would open the client again
    return failure, cause


def unshown(error: DecodeError, secrets: Secrets) -> DecodeError:
    """The error as it is; or, if what could not be decoded repeats a secret, one that quotes nothing.

    In that case the original loses its message too, because it stays behind in the frames of the new one.
    """
    data, words = secrets.mask_bytes(error.data), f"{error.message} {error.__cause__}"
    if data == error.data and secrets.mask(words) == words:
        return error
    message = "an answer that can't be decoded, and is not shown, since it repeats the key or token that was sent"
    error.args, error.message, error.data, error.__cause__ = (message,), message, data, None
    return DecodeError(message, data=data, endpoint=error.endpoint)


def _shown(text: str, secrets: Secrets) -> str:
    return secrets.mask(without_queries(text))


def _chain(error: BaseException) -> list[BaseException]:
    """The error, its causes, and the errors that aiohttp put in its arguments."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop(0)
        if link is None or link in found:
            continue
        found.append(link)
        waiting += [link.__cause__, link.__context__, *(arg for arg in link.args if isinstance(arg, BaseException))]
    return found


def _first(chain: list[BaseException], kind: type[_E]) -> _E | None:
    return next((link for link in chain if isinstance(link, kind)), None)


def _no_http(chain: list[BaseException]) -> HttpProcessingError | None:
    """What aiohttp's parser could not read. A body that is too short does not count, although that comes from there."""
    return _first([link for link in chain if not isinstance(link, PayloadEncodingError)], HttpProcessingError)


def _kind(chain: list[BaseException]) -> TransportKind:
    def some(*types: type[BaseException]) -> bool:
        return any(isinstance(link, types) for link in chain)

    errnos = {link.errno for link in chain if isinstance(link, OSError)}
    resolving = some(socket.gaierror, aiohttp.ClientConnectorDNSError)
    if errnos & {errno.EMFILE, errno.ENFILE} or (resolving and _out_of_descriptors()):
        return "out of file descriptors"
    if resolving:
        return "dns"
    if some(ssl.SSLError, ssl.CertificateError, aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch):
        return "tls"
    if some(ConnectionRefusedError) or errno.ECONNREFUSED in errnos:
        return "refused"
    if _no_http(chain) is not None:
        return "connection"
    if some(aiohttp.ClientPayloadError):
        return "reset" if any("ConnectionResetError" in str(link) for link in chain) else "cut short"
    if errnos & _RESET or some(ConnectionResetError, BrokenPipeError, aiohttp.ServerDisconnectedError):
        return "reset"
    if some(TimeoutError) or errno.ETIMEDOUT in errnos:
        return "timeout"
    return "connection"


def _out_of_descriptors() -> bool:
    """Whether no file can be opened. In that case the resolver only says that it failed, not why."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False
