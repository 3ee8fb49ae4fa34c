"""Endpoint ids and addresses, and which hosts may be called and may see a credential.

Pure functions over text and `Config`. Everything is checked here before a byte is sent.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from yarl import URL

from rxfal.errors import EndpointError
from rxfal.wire.config import Config
from rxfal.wire.payload import encode_json

__all__ = [
    "Endpoint",
    "backup_of",
    "check_request_id",
    "encode_query",
    "may_be_moved",
    "may_see_credential",
    "may_take_upload",
]

_NAMESPACES = frozenset({"workflows", "comfy"})
_FAL_HOSTS = ("fal.ai", "fal.run")
_BACKUP_HOSTS = {"https://fal.run": "falrun.com", "https://queue.fal.run": "queue.falrun.com"}
_OLD_FORM = re.compile(r"(\d+)-([A-Za-z0-9._-]+)")
# Letters, digits and what fal's ids and version tags use. No percent sign: an escape could spell a dot or a slash.
_SEGMENT = re.compile(r"[A-Za-z0-9._~@:+=,-]+")
_NOT_IN_A_PATH = re.compile(r"[\x00-\x1f\x7f\\?#%\u2028\u2029]")


class Endpoint(NamedTuple):
    """An endpoint that has been checked: `{namespace/}{owner}/{alias}{/path}`, on fal's host or on `base`.

    Attributes:
        id: What the user wrote, for messages.
        namespace: `workflows`, `comfy` or nothing.
        owner: Who owns the app.
        alias: The app's name; short-lived tokens are made for it.
        path: What follows the alias, without slashes around it.
        base: The server, if the user gave a whole URL.
    """

    id: str
    namespace: str
    owner: str
    alias: str
    path: str
    base: str | None = None

    @classmethod
    def parse(cls, app: str, config: Config) -> Self:
        """Read an endpoint id, or a URL on a trusted host in its place.

        The old form `12345-some-app` means `12345/some-app`. One slash at the end is dropped. Empty segments, `.` and
        `..`, escapes, white space, a query and anything else that could lead elsewhere are refused.

        Args:
            app: `owner/alias`, `owner/alias/some/path`, `workflows/owner/alias`, or `https://fal.run/owner/alias`.
            config: Says which hosts are trusted.

        Raises:
            EndpointError: It is not an endpoint, or its host is not trusted.

        Examples:
            >>> Endpoint.parse("fal-ai/flux/dev", Config())
            Endpoint(id='fal-ai/flux/dev', namespace='', owner='fal-ai', alias='flux', path='dev', base=None)
            >>> Endpoint.parse("https://evilfal.run/x/y", Config())
            Traceback (most recent call last):
            ...
            rxfal.errors.EndpointError: the host evilfal.run is not trusted ...
        """
        if not isinstance(app, str):  # pyright: ignore[reportUnnecessaryIsInstance] (users without a type checker)
            raise EndpointError(f"an endpoint is a text such as 'owner/alias', not {type(app).__name__}")
        base, rest = (None, app) if "://" not in app else _split_url(app, config)
        segments = rest.removesuffix("/").split("/")
        if base is None and len(segments) == 1 and (old := _OLD_FORM.fullmatch(rest)):
            segments = [old[1], old[2]]
        namespace = segments.pop(0) if segments[0] in _NAMESPACES else ""
        if len(segments) < 2 or not all(map(_is_segment, segments)):
            raise EndpointError.format(_without_query(app))
        return cls(app, namespace, segments[0], segments[1], "/".join(segments[2:]), base)

    @property
    def full_id(self) -> str:
        """The id as fal writes it, whatever the user wrote.

        Examples:
            >>> Endpoint.parse("https://fal.run/fal-ai/flux/dev/", Config()).full_id
            'fal-ai/flux/dev'
        """
        return "/".join(part for part in (self.namespace, self.owner, self.alias, self.path) if part)

    def url(self, config: Config, *, path: str | None = None, query: Mapping[str, Any] | None = None) -> URL:
        """The address of a direct call.

        Args:
            config: Where direct calls go, unless the endpoint was a URL.
            path: Appended with exactly one slash.
            query: See `encode_query`.

        Raises:
            EndpointError: The path leads out of the endpoint, or holds something that a path can't.

        Examples:
            >>> str(Endpoint.parse("owner/alias", Config()).url(Config(), path="/v1/chat", query={"logs": True}))
            'https://fal.run/owner/alias/v1/chat?logs=true'
        """
        more = _path_segments(path or "")
        own = [part for part in (self.namespace, self.owner, self.alias, *self.path.split("/")) if part]
        # joinpath escapes what must be escaped. No segment is an escape or `..`; both have been refused.
        url = URL(self.base or config.run_url).joinpath(*own, *more)
        return url.with_query(encode_query(query)) if query else url

    @property
    def app_id(self) -> str:
        """The id without its path."""
        return "/".join(part for part in (self.namespace, self.owner, self.alias) if part)

    def stream_url(self, config: Config, *, path: str | None = None, query: Mapping[str, Any] | None = None) -> URL:
        """The address of a stream.

        Args:
            config: As for `url`.
            path: As for `url`. If left out, it is `/stream`, unless the endpoint already ends with that.
            query: As for `url`.

        Examples:
            >>> str(Endpoint.parse("owner/alias", Config()).stream_url(Config()))
            'https://fal.run/owner/alias/stream'
        """
        if path is None:
            ending = self.path.rpartition("/")[2] or self.alias
            path = "" if ending == "stream" else "/stream"
        return self.url(config, path=path, query=query)


def check_request_id(request_id: str) -> None:
    """Refuse what can't be the id of a request, or would lead elsewhere in a path.

    Raises:
        EndpointError: It is not an id.

    Examples:
        >>> check_request_id("764cabcf-b745-4b3e-ae38-1200304cf45b")
        >>> check_request_id("../other")
        Traceback (most recent call last):
        ...
        rxfal.errors.EndpointError: a request id is a text of letters, digits and hyphens, not '../other'
    """
    if not isinstance(request_id, str) or not _is_segment(request_id):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise EndpointError(
            f"a request id is a text of letters, digits and hyphens, not {_without_query(str(request_id))}"
        )


def _without_query(text: str) -> str:
    """An id or path for a message, without its query: it should not have one, and it may hold a token."""
    return repr(re.sub(r"\?.*", "?...", text, flags=re.DOTALL))


def _is_segment(segment: str) -> bool:
    return _SEGMENT.fullmatch(segment) is not None and segment not in (".", "..")


def _path_segments(path: str) -> list[str]:
    if not isinstance(path, str):  # pyright: ignore[reportUnnecessaryIsInstance] (users without a type checker)
        raise EndpointError(f"a path is a text such as '/stream', not {type(path).__name__}")
    if _NOT_IN_A_PATH.search(path):
        raise EndpointError(
            f"the path {_without_query(path)} holds a control character, a backslash, '?', '#' or '%'; write "
            "characters as they are, they are escaped for you, and give a query as query="
        )
    segments = path.removeprefix("/").split("/") if path.strip("/") else []
    if any(segment.strip() in (".", "..") for segment in segments) or not all(segments[:-1]):
        raise EndpointError(f"the path {path!r} has an empty segment, '.' or '..' in it")
    return segments


def _split_url(app: str, config: Config) -> tuple[str, str]:
    """For an endpoint that is a URL: its trusted server, and the rest of the path."""
    if not app.isascii() or re.search(r"[\s\x00-\x1f\x7f\\?#%]", app):
        # Not repeated in the message: a query may hold a token.
        raise EndpointError(
            "an endpoint that is a URL holds no query, fragment, escape, backslash, white space or letter beyond "
            "ASCII; write it as https://fal.run/owner/alias and give a query as query="
        )
    try:
        url = URL(app, encoded=True)
        host, authority, _port = url.raw_host, url.raw_authority, url.port
    except ValueError:
        raise EndpointError("an endpoint that is a URL has the form https://fal.run/owner/alias") from None
    if "@" in authority or url.user is not None:
        raise EndpointError(f"an endpoint that is a URL has no user in it (the host of this one is {host})")
    if url.scheme not in ("http", "https"):
        raise EndpointError(
            f"an endpoint that is a URL begins with https://, not {url.scheme}://: write it as "
            "https://fal.run/owner/alias, or as the id owner/alias"
        )
    if not host or not may_see_credential(url, config):
        raise EndpointError(
            f"the host {host} is not trusted with {url.scheme}: endpoints are ids such as 'owner/alias', or URLs of "
            "https://fal.run and https://fal.ai; name a host of yours in Config(trusted_hosts=...)"
        )
    run_url = URL(config.run_url)
    prefix = run_url.raw_path.strip("/") if _origin(url) == _origin(run_url) else ""
    rest = url.raw_path.removeprefix("/")
    if prefix and rest.startswith(f"{prefix}/"):
        return config.run_url, rest.removeprefix(f"{prefix}/")
    return str(url.origin()), rest


def may_see_credential(url: URL, config: Config) -> bool:
    """Whether a request to this address may carry the key or a token.

    It may over https to `fal.ai`, `fal.run` and their subdomains, and to fal's two backup hosts; to exactly the servers
    that the configuration names (scheme, host and port); and to its `trusted_hosts`, even over http. Host names are
    compared as a whole: `evilfal.ai`, `fal.run.evil.com`, a name with a dot at its end, and an address with a user in
    it are refused.

    Examples:
        >>> may_see_credential(URL("https://queue.fal.run/x"), Config())
        True
        >>> may_see_credential(URL("https://fal.run.evil.com/x"), Config())
        False
    """
    origin = _origin(url)
    scheme, host, _ = origin
    if not host or url.user is not None or url.password is not None:
        return False
    if scheme == "https" and (
        any(host == name or host.endswith(f".{name}") for name in _FAL_HOSTS) or host in _BACKUP_HOSTS.values()
    ):
        return True
    return origin in map(_origin, _own_servers(config)) or _is_trusted(origin, config)


def may_be_moved(before: URL, after: URL, config: Config) -> bool:
    """Whether a request to one address may go to another one: on the same server, or where a credential may go.

    Examples:
        >>> may_be_moved(URL("https://cdn.example/a"), URL("https://cdn.example/b"), Config())
        True
        >>> may_be_moved(URL("https://fal.run/a"), URL("http://fal.run/a"), Config())
        False
    """
    has_user = after.user is not None or after.password is not None
    return (_origin(before) == _origin(after) and not has_user) or may_see_credential(after, config)


def backup_of(url: URL, config: Config) -> URL | None:
    """The same address on fal's backup host; None if there is none, or if the configuration names another server.

    Examples:
        >>> backup_of(URL("https://fal.run/owner/alias?logs=true"), Config())
        URL('https://falrun.com/owner/alias?logs=true')
        >>> backup_of(URL("https://fal.run/owner/alias"), Config(run_url="https://gateway.example"))
    """
    origin = str(url.origin())
    if origin not in (config.run_url, config.queue_url) or origin not in _BACKUP_HOSTS:
        return None
    return url.with_host(_BACKUP_HOSTS[origin])


def may_take_upload(url: URL, config: Config) -> bool:
    """Whether a file may be sent to this address, which the storage chose.

    It may over https to any host with a full name, because fal changes the hosts of its storage; to the hosts that the
    configuration names, over http if that says http; and to its `trusted_hosts`. Any other IP address, however it is
    written, and an address with a user in it are refused, so no answer can send a file into the user's own network.

    Examples:
        >>> may_take_upload(URL("https://v3b.fal.media/files/a.png?signature=s"), Config())
        True
        >>> [may_take_upload(URL(f"https://{host}/a"), Config()) for host in ("10.0.0.1", "0x7f.1", "[::1]", "router")]
        [False, False, False, False]
    """
    origin = _origin(url)
    scheme, host, _ = origin
    if not host or url.user is not None or url.password is not None:
        return False
    own = [_origin(address)[:2] for address in _own_servers(config)]
    # getaddrinfo takes a name whose last part is a number for an address: 127.1, 0x7f000001 and the like.
    has_name = re.fullmatch(r"(.+)\.(?!\d|0x)[a-z0-9-]+\.?", host) is not None and ":" not in host
    return (scheme == "https" and has_name) or (scheme, host) in own or _is_trusted(origin, config)


def _own_servers(config: Config) -> list[URL]:
    own = (config.base_url, config.run_url, config.queue_url, config.rest_url, config.api_url, config.proxy_url)
    return [URL(address) for address in own if address]


def _is_trusted(origin: tuple[str, str, int | None], config: Config) -> bool:
    scheme, host, port = origin
    named = f"[{host}]" if ":" in host else host
    return scheme in ("http", "https") and not config.trusted_hosts.isdisjoint({named, f"{named}:{port}"})


def _origin(url: URL) -> tuple[str, str, int | None]:
    """Scheme, host and port. A websocket counts as http, which it begins as."""
    return {"ws": "http", "wss": "https"}.get(url.scheme, url.scheme), (url.raw_host or "").lower(), url.port


def encode_query(value: Mapping[str, Any], *, what: str = "query") -> dict[str, str]:
    """A mapping as query parameters: text as it is, everything else as JSON, as fal reads it.

    Args:
        value: Names and values.
        what: What to call it in messages.

    Raises:
        TypeError: A value that JSON can't carry; the message names its place.

    Examples:
        >>> encode_query({"prompt": "a cat", "sync": True, "seed": None, "size": {"width": 8}})
        {'prompt': 'a cat', 'sync': 'true', 'seed': 'null', 'size': '{"width":8}'}
    """
    return {str(name): _query_text(item, f"{what}.{name}") for name, item in value.items()}


def _query_text(value: Any, what: str) -> str:
    if type(value) is str:
        return value
    text = encode_json(value, what=what).decode()
    return json.loads(text) if text.startswith('"') else text
