"""From a response's status and body to the error for it.

Pure functions. Nothing that leaves here holds a secret.
"""

import email.utils
import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Literal, cast

from pydantic_core import from_json

from rxfal.errors import ApiError, FalError, ValidationError, one_line, one_sentence
from rxfal.wire.config import where_a_key_goes
from rxfal.wire.masking import NO_SECRETS, Secrets

__all__ = [
    "Sent",
    "error_from_response",
    "error_from_value",
    "retry_after_seconds",
    "status_in",
    "what_happened",
]

Sent = Literal["nothing", "key", "access token", "token"]
"""The credential that a request carried: `token` is a short-lived one in the query, `nothing` that there was none."""

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
    secrets: Secrets = NO_SECRETS,
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
    secrets: Secrets = NO_SECRETS,
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
        text = one_sentence(text, _REFUSED.get(sent) or where_a_key_goes())
    elif status in _NEXT_STEP:
        text = one_sentence(text, _NEXT_STEP[status])
    elif status in _NEXT_STEP_AT_AN_ENDPOINT and sent is not None:
        text = one_sentence(text, _NEXT_STEP_AT_AN_ENDPOINT[status])
    retryable = _flag(header("x-fal-retryable"))
    error_type: Any = cast(dict[str, Any], value).get("error_type") if isinstance(value, dict) else None
    return (ValidationError if status == 422 else ApiError)(
        secrets.shown(text),
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


def what_happened(error: FalError) -> str:
    """An error's message without what to do next.

    Examples:
        >>> what_happened(error_from_response(502, {}, b"", endpoint="owner/alias"))
        'Bad Gateway'
    """
    if isinstance(error, ApiError):
        next_step = _NEXT_STEP.get(error.status) or _NEXT_STEP_AT_AN_ENDPOINT.get(error.status)
        if next_step and error.message.endswith(f": {next_step}"):
            return error.message.removesuffix(f": {next_step}")
    return error.message.partition("; ")[0]


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
