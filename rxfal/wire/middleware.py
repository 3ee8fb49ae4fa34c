"""Middleware: the user's function that sees every request before its credential is added, and may change it.

It knows no connection; what it asks for is checked here, and sent elsewhere.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from multidict import CIMultiDict
from yarl import URL

from rxfal.errors import CallbackError, EndpointError
from rxfal.wire.config import Config, Middleware
from rxfal.wire.endpoints import may_be_moved
from rxfal.wire.headers import check_header, checked_method
from rxfal.wire.request import Request

__all__ = ["changed"]

_WANTED = "it returns (method, url, headers): two texts and a dict of texts"


async def changed(middleware: Middleware, request: Request, config: Config) -> Request:
    """The request as the middleware wants it.

    Args:
        middleware: The function.
        request: What would be sent. An `Authorization` among its headers is kept from the middleware.
        config: Says where a request may be moved.

    Raises:
        CallbackError: The middleware raised, or returned something else than a request.
        EndpointError: It moved the request to a host that may not see a credential.
    """
    try:
        given: Any = middleware(request.method, str(request.url), _shown(request))
        if inspect.isawaitable(given):
            given = await given
    except Exception as error:
        raise CallbackError(f"middleware raised {type(error).__name__}: {error}", endpoint=request.endpoint) from error
    method, url, headers = _checked(given, request)
    if not may_be_moved(request.url, url, config):
        failure = EndpointError(
            f"middleware moved the request to {url.scheme}://{url.raw_host}, which may not see the key; name a host of "
            "yours in Config(trusted_hosts=...), or leave the address as it is"
        )
        failure.endpoint = request.endpoint
        raise failure
    if "Authorization" in request.headers:
        headers.setdefault("Authorization", request.headers["Authorization"])
    return replace(request, method=method, url=url, headers=headers)


def _shown(request: Request) -> dict[str, str]:
    return {name: value for name, value in request.headers.items() if name.lower() != "authorization"}


def _checked(given: Any, request: Request) -> tuple[str, URL, CIMultiDict[str]]:
    if not isinstance(given, list | tuple):
        raise _wrong(f"middleware returned {_kind(given)}; {_WANTED}", request)
    parts = cast(Sequence[Any], given)
    if len(parts) != 3:
        raise _wrong(f"middleware returned {len(parts)} values; {_WANTED}", request)
    method, url, headers = parts
    if not isinstance(headers, Mapping):
        raise _wrong(f"middleware returned {_kind(headers)} for the headers; {_WANTED}", request)
    checked = CIMultiDict[str]()
    try:
        for name, value in cast(Mapping[Any, Any], headers).items():
            check_header(name, value)
            checked[name] = value
        return checked_method(method), _url(url, request.url), checked
    except (TypeError, ValueError) as error:
        raise _wrong(f"middleware returned something that can't be sent: {error}", request) from None


def _url(given: Any, before: URL) -> URL:
    if not isinstance(given, str | URL):
        raise TypeError(f"the URL is a text, not {type(given).__name__}")
    text = str(given)
    if text == str(before):
        return before
    url = URL(text, encoded=re.fullmatch("[!-~]+", text) is not None)  # as it is written: it may be signed
    if url.scheme not in ("http", "https") or not url.raw_host:
        raise ValueError("its URL does not begin with https:// and a host")
    return url


def _wrong(message: str, request: Request) -> CallbackError:
    return CallbackError(message, endpoint=request.endpoint)


def _kind(value: Any) -> str:
    return "None" if value is None else type(value).__name__
