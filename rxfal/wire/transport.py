"""From a broken connection to the error for it.

Pure functions. Nothing that leaves here holds a secret, not even in the frames of its causes.
"""

import errno
import os
import socket
import ssl
import traceback
from typing import TypeVar

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError, PayloadEncodingError

from rxfal.errors import TransportError, TransportKind, one_sentence
from rxfal.wire.masking import NO_SECRETS, Secrets

__all__ = ["transport_error"]

_E = TypeVar("_E", bound=BaseException)

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
    secrets: Secrets = NO_SECRETS,
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
    words = secrets.shown(str(error))
    bad, refusal = _no_http(chain), _first(chain, aiohttp.ClientHttpProxyError)
    if bad is not None:
        # Its first paragraph says what is wrong; the next one shows where.
        what = " ".join(bad.message.partition("\n\n")[0].split()).rstrip(":")
        words = secrets.shown(what) or type(bad).__name__
    if client_closed:
        message = _CLIENT_CLOSED
    elif refusal is not None:
        reason = secrets.shown(refusal.message)
        message = _REFUSED_BY_PROXY.format(address=address, status=refusal.status, reason=reason)
    elif bad is not None:
        message = _NO_HTTP.format(address=address, what=words)
    else:
        message = _WHAT[kind].format(address=address)
        if kind == "connection":
            message = one_sentence(message, words or type(error).__name__)
    if _first(chain, aiohttp.ClientProxyConnectionError) is not None:
        message = f"through the proxy (HTTP_PROXY, HTTPS_PROXY): {message}"
    cause = error
    for link in chain:
        link.__traceback__ = None
    everything = "".join(traceback.format_exception(error)) + "".join(repr(link) for link in chain)
    if bad is not None or secrets.shown(everything) != everything:
        cause = aiohttp.ClientError(f"{type(error).__name__}: {words}")
    failure = TransportError(message, kind=kind, endpoint=endpoint)
    failure.retryable = failure.retryable and not client_closed  # a retry would open the client again
    return failure, cause


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
