"""The embedded server's file storage, with both of fal's ways to upload: a signed address, or a token and `/files`.

Files are written to disk as they come, so their size does not matter. How they are read again is in `serving`.
"""

import asyncio
import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from aiohttp import web
from yarl import URL

from .access import Access
from .apps import ApiFailure, json_response
from .journal import RecordedRequest

__all__ = ["Storage", "StoredFile", "json_object", "wrong"]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that was uploaded to the embedded server.

    Attributes:
        url: Where it is served, as the uploader was told.
        file_name: The name the uploader gave it.
        content_type: The type that the upload had, or else the one that was announced.
        size: Its size in bytes.
        path: Where its bytes are while the server runs.
        lifecycle: How long it is to be kept (`expiration_duration_seconds`) and who may see it (`initial_acl`), as the
            uploader asked; empty if it did not. The server keeps every file, and shows it to everyone.
    """

    url: str
    file_name: str
    content_type: str
    size: int
    path: Path = field(repr=False)
    lifecycle: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def data(self) -> bytes:
        """The bytes; available while the server runs."""
        return self.path.read_bytes()

    @property
    def etag(self) -> str:
        """The `ETag` under which it is served; it changes with every upload."""
        return f'"{self.path.name}"'


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of a file, on disk."""

    path: Path
    size: int
    etag: str


@dataclass(slots=True)
class _Upload:
    """An upload that may be under way: where the file will be, and who may send it."""

    identifier: str
    file_url: str
    file_name: str
    content_type: str
    lifecycle: dict[str, Any]
    secret: str
    parts: dict[int, _Part] = field(default_factory=dict[int, _Part])
    completed: list[tuple[int, str]] | None = None


class Storage:
    """Keeps the files of the embedded server.

    Args:
        access: Checks keys and tokens.
        url: Gives the server's address.

    Attributes:
        files: The files by their URL.
    """

    def __init__(self, access: Access, url: Callable[[], str]) -> None:
        self._access = access
        self._url = url
        self._uploads: dict[str, _Upload] = {}
        self._directory: TemporaryDirectory[str] | None = None
        self.files: dict[str, StoredFile] = {}

    @staticmethod
    def takes_upload(record: RecordedRequest) -> bool:
        """Whether the request's body is a file or a part of one, which is never held whole."""
        match record.method, record.path.strip("/").split("/"):
            case ("PUT", ["rest", "uploads", *_]) | ("POST", ["rest", "files", "upload"]):
                return True
            case "PUT", ["rest", "files", _, _, "multipart", *_]:
                return True
            case _:
                return False

    def find(self, record: RecordedRequest) -> StoredFile:
        """The file that a request is about."""
        file = self.files.get(str(URL(self._url()).with_path(record.path)))
        if file is None:
            raise ApiFailure(404, f"There is no file at {record.path}.")
        return file

    def close(self) -> None:
        """Removes the uploaded bytes from the disk."""
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    # A signed address, as the JavaScript client uploads

    def initiate(self, record: RecordedRequest) -> web.Response:
        """Gives an address for a file, or for its parts: `{address}/1`, `{address}/2` and so on."""
        self._access.check_key(record)
        body = json_object(record)
        for name in ("file_name", "content_type"):
            if not isinstance(body.get(name), str):
                raise wrong(name, "Field required")
        upload = self._begin(record, body["file_name"], body["content_type"])
        signed = URL(self._url()) / "rest" / "uploads" / upload.identifier % {"signature": upload.secret}
        return json_response({"file_url": upload.file_url, "upload_url": str(signed)})

    async def receive(self, identifier: str, request: web.BaseRequest, record: RecordedRequest) -> web.Response:
        """Takes a whole file."""
        upload = self._signed(identifier, record)
        content_type = request.headers.get("Content-Type", upload.content_type)
        self._keep(upload, await self._write(upload, request, record), content_type)
        return web.Response(status=200)

    async def receive_part(
        self, identifier: str, number: str, request: web.BaseRequest, record: RecordedRequest
    ) -> web.Response:
        return await self._take_part(self._signed(identifier, record), number, request, record)

    async def complete(self, identifier: str, record: RecordedRequest) -> web.Response:
        """Makes the file of its parts, which must be listed in their order."""
        upload = self._signed(identifier, record)
        numbers = [number for number, _ in _parts_in(record)]
        if numbers != sorted(numbers):
            raise ApiFailure(400, f"The parts are not listed in ascending order: {numbers}.")
        return await self._join(upload, record)

    # A token, as fal's Python client uploads

    async def receive_by_token(self, request: web.BaseRequest, record: RecordedRequest) -> web.Response:
        """Takes a whole file."""
        upload = self._begin_by_token(record)
        self._keep(upload, await self._write(upload, request, record), upload.content_type)
        return json_response({"access_url": upload.file_url})

    def initiate_by_token(self, record: RecordedRequest) -> web.Response:
        """Gives an address for the parts of a file."""
        upload = self._begin_by_token(record)
        return json_response({"access_url": upload.file_url, "uploadId": upload.secret})

    async def receive_part_by_token(
        self, identifier: str, secret: str, number: str, request: web.BaseRequest, record: RecordedRequest
    ) -> web.Response:
        return await self._take_part(self._by_token(identifier, secret, record), number, request, record)

    async def complete_by_token(self, identifier: str, secret: str, record: RecordedRequest) -> web.Response:
        """Makes the file of its parts, in whatever order they are listed: that client lists them as they were done."""
        return await self._join(self._by_token(identifier, secret, record), record)

    # Both

    def _begin(self, record: RecordedRequest, file_name: str, content_type: str) -> _Upload:
        identifier = secrets.token_hex(8)
        name = file_name.replace("/", "_").strip(".") or "file"
        upload = _Upload(
            identifier,
            str(URL(self._url()) / "rest" / "files" / identifier / name),
            file_name,
            content_type,
            _lifecycle_in(record),
            secrets.token_hex(8),
        )
        self._uploads[identifier] = upload
        return upload

    def _begin_by_token(self, record: RecordedRequest) -> _Upload:
        self._access.check_upload(record)
        content_type = record.headers.get("Content-Type", "application/octet-stream")
        return self._begin(record, record.headers.get("X-Fal-File-Name", "file"), content_type)

    def _signed(self, identifier: str, record: RecordedRequest) -> _Upload:
        upload = self._uploads.get(identifier)
        if upload is None or record.query.get("signature") != upload.secret:
            raise ApiFailure(403, "The upload URL is not valid.")
        return upload

    def _by_token(self, identifier: str, secret: str, record: RecordedRequest) -> _Upload:
        self._access.check_upload(record)
        upload = self._uploads.get(identifier)
        if upload is None or upload.secret != secret:
            raise ApiFailure(404, "There is no such upload.")
        return upload

    async def _take_part(
        self, upload: _Upload, number: str, request: web.BaseRequest, record: RecordedRequest
    ) -> web.Response:
        if not number.isdecimal() or not 1 <= int(number) <= 10_000:
            raise ApiFailure(400, f"A part has a number from 1 to 10000, not {number!r}.")
        path = await self._write(upload, request, record)
        part = _Part(path, path.stat().st_size, f'"{secrets.token_hex(16)}"')
        upload.parts[int(number)] = part
        # fal's Python client reads the header, the JavaScript client the body.
        return json_response({"partNumber": int(number), "etag": part.etag}, headers={"ETag": part.etag})

    async def _join(self, upload: _Upload, record: RecordedRequest) -> web.Response:
        listed = _parts_in(record)
        if upload.completed != listed:  # asked again, since an answer was lost
            found: dict[int, _Part] = {}
            for number, etag in listed:
                part = upload.parts.get(number)
                if part is None or etag != part.etag:
                    raise ApiFailure(400, f"Part {number} was not uploaded, or it has another etag.")
                found[number] = part
            if not found:
                raise ApiFailure(400, "The list of parts is empty.")
            path = self._new_path(upload)
            parts = [found[number].path for number in sorted(found)]
            await asyncio.to_thread(_join_files, parts, path)
            upload.completed = listed
            self._keep(upload, path, upload.content_type)
            for part in upload.parts.values():
                part.path.unlink(missing_ok=True)
            upload.parts.clear()
        return json_response({"access_url": upload.file_url})

    async def _write(self, upload: _Upload, request: web.BaseRequest, record: RecordedRequest) -> Path:
        path = self._new_path(upload)
        with path.open("wb") as file:  # writing to the page cache takes no time worth a thread
            file.write(record.body)  # for a script it was read already
            async for block in request.content.iter_any():
                file.write(block)
        return path

    def _new_path(self, upload: _Upload) -> Path:
        self._directory = self._directory or TemporaryDirectory(prefix="rxfal-files-")
        return Path(self._directory.name, f"{upload.identifier}-{secrets.token_hex(4)}")

    def _keep(self, upload: _Upload, path: Path, content_type: str) -> None:
        size = path.stat().st_size
        self.files[upload.file_url] = StoredFile(
            upload.file_url, upload.file_name, content_type, size, path, upload.lifecycle
        )


def _join_files(parts: list[Path], path: Path) -> None:
    with path.open("wb") as whole:
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, whole, 2**20)


def _lifecycle_in(record: RecordedRequest) -> dict[str, Any]:
    text = record.headers.get("X-Fal-Object-Lifecycle") or record.headers.get("X-Fal-Object-Lifecycle-Preference")
    try:
        value = json.loads(text or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ApiFailure(400, "The lifecycle is not a JSON object.")
    return cast(dict[str, Any], value)


def _parts_in(record: RecordedRequest) -> list[tuple[int, str]]:
    """The parts that a completion lists: their numbers and etags."""
    try:
        return [(int(part["partNumber"]), str(part["etag"])) for part in json_object(record)["parts"]]
    except (KeyError, TypeError, ValueError):
        raise wrong("parts", "Input should be a valid list of objects with partNumber and etag") from None


def json_object(record: RecordedRequest) -> dict[str, Any]:
    """The body as a JSON object; a 422 in fal's words if it is none."""
    try:
        value = json.loads(record.body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ApiFailure(422, {"detail": [{"loc": ["body"], "msg": "Input should be an object", "type": "dict_type"}]})
    return cast(dict[str, Any], value)


def wrong(name: str, message: str) -> ApiFailure:
    """The 422 for one field of the body."""
    return ApiFailure(422, {"detail": [{"loc": ["body", name], "msg": message, "type": "value_error"}]})
