"""What the method and the headers of a request may be; pure checks."""

import re
from typing import Any

__all__ = ["CONTROL", "check_header", "checked_method"]

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token, RFC 9110 5.6.2
CONTROL = re.compile(r"[\x00-\x1f\x7f]")

# Headers that say how the request is sent and not what it says (RFC 9110 and 9112): a wrong one makes one request two,
# hands it to another host, or lets it wait for ever.
_OWN_HEADERS = {
    "content-length": "it is the length of the body, which rxfal knows",
    "transfer-encoding": "it is how the body is sent, which rxfal decides",
    "trailer": "it announces fields behind the body, which rxfal does not send",
    "te": "it concerns the connection, which is rxfal's",
    "expect": "the server would be waited for before the body is sent; leave it out",
    "host": "it is the host of the address; for another server set base_url or run_url in Config",
    "connection": "the connection is rxfal's, and is kept or closed as need be",
    "keep-alive": "the connection is rxfal's, and is kept or closed as need be",
    "proxy-connection": "the connection is rxfal's, and is kept or closed as need be",
    "upgrade": "the connection speaks HTTP, and no other protocol",
    "x-fal-target-url": "it tells a server-side proxy where to send the request, and is made from the endpoint",
}


def checked_method(method: Any) -> str:
    """An HTTP method, in capitals.

    Raises:
        ValueError: It is none.
    """
    known = method.upper() if isinstance(method, str) else None
    if known not in _METHODS:
        raise ValueError(f"method is one of {', '.join(_METHODS)}, not {method!r}")
    return known


def check_header(name: Any, value: Any) -> None:
    """Check a header that is not rxfal's own.

    Raises:
        TypeError: It is no text.
        ValueError: No request may have it.
    """
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"headers are text; {name!r} is {type(value).__name__}")
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} can't be the name of a header; use letters, digits and hyphens")
    if CONTROL.search(value):
        raise ValueError(f"the header {name!r} holds a line break or another control character")
    if name.lower() in _OWN_HEADERS:
        raise ValueError(f"the header {name!r} can't be given: {_OWN_HEADERS[name.lower()]}")
