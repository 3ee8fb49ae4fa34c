"""`upload`: one file into fal's storage, streamed from where it is, with its progress.

It takes two steps, as in fal's clients: `initiate` names the place, and a PUT without the key sends the bytes there.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast, get_args

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field
from reactivex import abc
from yarl import URL

from rxfal.errors import DecodeError, TransportError
from rxfal.reactive.reader import Sink
from rxfal.reactive.stream import Stream, create
from rxfal.wire.config import Config
from rxfal.wire.endpoints import may_take_upload
from rxfal.wire.http import Http, Request
from rxfal.wire.masking import SecretStr
from rxfal.wire.payload import encode_json

from .connected import Connected
from .files import File, FileSource
from .inputs import Uploaded
from .reading import BLOCK_SIZE, Contents, Upload

__all__ = [
    "Access",
    "AccessRule",
    "Keep",
    "Lifecycle",
    "StorageVerbs",
    "UploadProgress",
    "UploadStream",
    "uploader",
]

STALL_LIMIT = 60.0
"""After this many seconds without a byte taken, or without an answer after the last one, an upload counts as dead."""

_SHORTEST_SIGNATURE = 16  # characters of a value in an upload's address that is treated as secret

Keep = Literal["immediate", "1h", "1d", "7d", "30d", "1y", "never"]
"""When a file expires, in fal's words; `immediate` is a minute, `never` keeps it."""

_SECONDS: dict[str, int | None] = {
    "immediate": 60,
    "1h": 3600,
    "1d": 86_400,
    "7d": 7 * 86_400,
    "30d": 30 * 86_400,
    "1y": 365 * 86_400,
    "never": None,
}

Decision = Literal["allow", "hide", "forbid"]


class AccessRule(BaseModel):
    """What one user may do with a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str
    decision: Decision


class Access(BaseModel):
    """Who may see a file: `rules` for the users they name, `default` for all others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    default: Decision | None = None
    rules: Annotated[tuple[AccessRule, ...] | None, AfterValidator(lambda rules: rules or None)] = None


def _seconds_of(expiration: Any) -> int | None:
    """The seconds that a word or a number stands for."""
    if isinstance(expiration, str):
        if expiration not in _SECONDS:
            raise ValueError(f"lifecycle is one of {', '.join(get_args(Keep))}, or seconds; not {expiration!r}")
        return _SECONDS[expiration]
    if expiration is not None and (not isinstance(expiration, int) or isinstance(expiration, bool) or expiration <= 0):
        raise ValueError(f"lifecycle in seconds is a whole number above 0, not {expiration!r}; 'never' keeps the file")
    return expiration


class Lifecycle(BaseModel):
    """How long a file is kept, and who may see it. An access that says nothing counts as none.

    Args:
        expiration_duration_seconds: Seconds until it is deleted, or one of the words of `Keep`; None keeps it. In a
            mapping it may also be called `expires_in`, as in fal's clients.
        initial_acl: Who may see it.

    Examples:
        >>> Lifecycle.of("1h").headers()["X-Fal-Object-Lifecycle"]
        '{"expiration_duration_seconds":3600}'
        >>> mine = {"default": "forbid", "rules": [{"user": "me", "decision": "allow"}]}
        >>> Lifecycle.of({"initial_acl": mine})
        Lifecycle(expiration_duration_seconds=None, initial_acl=Access(default='forbid', ...
        >>> Lifecycle.of({"expires_in": "1d", "initial_acl": mine}).expiration_duration_seconds
        86400
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    expiration_duration_seconds: Annotated[int | None, BeforeValidator(_seconds_of)] = Field(
        default=None, validation_alias=AliasChoices("expiration_duration_seconds", "expires_in")
    )
    initial_acl: Annotated[Access | None, AfterValidator(lambda access: None if access == Access() else access)] = None

    @classmethod
    def of(cls, lifecycle: Keep | int | Mapping[str, Any] | Self | None) -> Self:
        """A lifecycle from a word, from seconds, from its JSON, or from nothing.

        Raises:
            ValueError: It is none of these.
        """
        if isinstance(lifecycle, str | int):
            return cls(expiration_duration_seconds=_seconds_of(lifecycle))
        return cls.model_validate({} if lifecycle is None else lifecycle)

    def headers(self) -> dict[str, str]:
        """The request headers for it. Both names are sent, because fal's clients disagree which one counts."""
        text = self.model_dump_json(exclude_none=True)
        return {} if text == "{}" else {"X-Fal-Object-Lifecycle": text, "X-Fal-Object-Lifecycle-Preference": text}


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """How far an upload is.

    Attributes:
        sent: Bytes handed to the network so far. It goes back to 0 when a failed attempt is repeated.
        total: Bytes in the whole file.
    """

    sent: int
    total: int


class UploadStream(Stream[UploadProgress | Uploaded]):
    """The progress of an upload. Its last item says where the file is; `await` and `run()` return that."""

    def __await__(self) -> Generator[Any, None, Uploaded]:
        return cast("Generator[Any, None, Uploaded]", super().__await__())

    def run(self, scheduler: abc.SchedulerBase | None = None) -> Uploaded:
        """Block until the file is uploaded; see `Stream.run`."""
        return cast(Uploaded, super().run(scheduler))


class StorageVerbs(Connected):
    """The verbs of fal's storage."""

    def upload(
        self,
        file: FileSource | File | str,
        *,
        name: str | None = None,
        content_type: str | None = None,
        lifecycle: Keep | int | Mapping[str, Any] | Lifecycle | None = None,
    ) -> UploadStream:
        """Upload a file to fal's storage. The Stream gives the progress, and at the end where the file is.

        The file is read block by block as the network takes it. While the subscriber is full, steps of the progress are
        left out; the upload does not wait for the subscriber. Each subscription uploads the file again. An open file is
        read from its position at the call, and that position does not change.

        Args:
            file: A path (here it can be a string too), an open binary file, bytes, a PIL image or a `rxfal.File`.
            name: Its name. If left out, its own name, or one made from its content type.
            content_type: Its media type. If left out, guessed from the name, or else from the first bytes.
            lifecycle: How long it is kept: seconds, or one of `immediate`, `1h`, `1d`, `7d`, `30d`, `1y`, `never`; a
                mapping with `expiration_duration_seconds` and `initial_acl`; or a `rxfal.Lifecycle`.

        Returns:
            A cold Stream of `UploadProgress(sent, total)`, in bytes. It ends with `Uploaded(url=...)`, which is what
            you get by awaiting it.

        Raises:
            FileNotFoundError, IsADirectoryError, PermissionError: The path can't be read.
            ValueError: The file is empty, closed or can't seek, or the content type or lifecycle is wrong.
            TypeError: The file is open in text mode, or it is not a file.

        Examples:
            >>> from rxfal.testing import FalServer
            >>> with FalServer() as server, server.client() as client:
            ...     *progress, uploaded = client.upload(b"hello", name="hello.txt")
            >>> progress[-1], uploaded.size, uploaded.url.endswith("hello.txt")
            (UploadProgress(sent=5, total=5), 5, True)
        """
        http = self._connections().http
        headers = Lifecycle.of(lifecycle).headers()
        source = Path(file) if isinstance(file, str) else file
        ready = Upload(source, name=name, content_type=content_type)

        async def read(sink: Sink[UploadProgress | Uploaded]) -> None:
            def moved(sent: int, total: int) -> None:
                if sent == total or not sink.gate.closed:
                    sink.on_next(UploadProgress(sent, total))

            sink.on_next(await _send(http, ready, headers, moved))

        progress = create(read, name=f"upload {ready.name}")
        return UploadStream(
            lambda observer, scheduler=None: progress.subscribe(observer, scheduler=scheduler), name=progress.name
        )


def uploader(http: Http) -> Callable[[Upload], Awaitable[str]]:
    """The `upload` of `transform_input` and `PreparedInput.resolve`: over the client's connections."""

    async def send(file: Upload) -> str:
        return (await _send(http, file, {}, lambda sent, total: None)).url

    return send


class _Place(BaseModel):
    """The answer to `initiate`: where the bytes go, and where to find them afterwards."""

    file_url: str = Field(min_length=1)
    upload_url: str = Field(pattern="^https?://", repr=False)  # signed

    def put(self, config: Config, label: str) -> Request:
        """The request that sends the bytes there, without the bytes.

        Raises:
            DecodeError: No file may go there.
        """
        where = "nowhere"
        try:
            url = URL(self.upload_url, encoded=True)  # as it is: quoting it again would break its signature
            where = f"at {url.scheme}://{url.raw_host}"
            if may_take_upload(url, config) and re.fullmatch("[!-~]+", self.upload_url):
                signatures = [value for value in url.query.values() if len(value) >= _SHORTEST_SIGNATURE]
                return Request(
                    method="PUT",
                    url=url,
                    endpoint=label,
                    auth=False,
                    secrets=tuple(map(SecretStr, signatures)),
                    stall_timeout=STALL_LIMIT,
                    retry="idempotent",
                )
            del url  # the frames of the error would show it
        except ValueError:
            pass
        raise DecodeError(
            f"the storage wants the file {where}, where no file may go: files go over https to a host with a name, or "
            "to a host that is named in Config",
            data=b"",  # the address may be signed
            endpoint=label,
        )


async def _send(http: Http, file: Upload, headers: Mapping[str, str], progress: Callable[[int, int], None]) -> Uploaded:
    label = f"upload of {file.name}"
    async with file.open() as contents:
        initiate = Request(
            method="POST",
            url=URL(f"{http.config.rest_url}/storage/upload/initiate").with_query(storage_type="fal-cdn-v3"),
            endpoint=label,
            headers={"Content-Type": "application/json", "Accept": "application/json", **headers},
            body=encode_json({"file_name": file.name, "content_type": file.content_type}),
            retry="idempotent",
        )
        place = await _place(http, initiate)
        await _put(http, place.put(http.config, label), file, contents, progress)
    return Uploaded(place.file_url, file.name, file.content_type, contents.size)


async def _place(http: Http, initiate: Request) -> _Place:
    try:
        return await http.fetch_json(initiate, _Place)
    except DecodeError as error:
        what = error.message.removeprefix(f"does not fit {_Place.__name__}: ")
        message = f"the storage did not say where the file goes: {what}; check rest_url in Config, or try again"
    # A new error: the address in the answer may be signed, and the first error has it in its data, causes and frames.
    raise DecodeError(message, data=b"", endpoint=initiate.endpoint)


async def _put(
    http: Http, request: Request, file: Upload, contents: Contents, progress: Callable[[int, int], None]
) -> None:
    taken = 0

    def moved(sent: int) -> None:
        nonlocal taken
        taken = sent
        progress(sent, contents.size)

    put = replace(
        request,
        headers={"Content-Type": file.content_type},
        body=lambda: _Body(file, contents, moved),
        content_length=contents.size,
    )
    await http.fetch(put)
    if taken < contents.size:  # no answer to a file that is still being sent can mean that it is there
        message = f"the storage answered after {taken} of {contents.size} bytes of the file; upload it again"
        raise TransportError(message, kind="cut short", endpoint=request.endpoint)


class _Body:
    """The bytes of one attempt, block by block.

    It is not a generator, so an attempt that broke off leaves nothing to finalize.
    """

    def __init__(self, file: Upload, contents: Contents, moved: Callable[[int], None]) -> None:
        self._file = file
        self._contents = contents
        self._moved = moved
        self._sent = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        size = self._contents.size
        self._moved(self._sent)  # a caller that comes back for more has passed on what came before
        if self._sent >= size:
            raise StopAsyncIteration
        with self._file.explained():
            block = await self._contents.read(self._sent, min(BLOCK_SIZE, size - self._sent))
            if not block:
                raise ValueError(f"it shrank from {size} to {self._sent} bytes in the meantime")
        self._sent += len(block)
        return block
