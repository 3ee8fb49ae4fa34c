"""Short-lived tokens and file storage of the embedded server, as fal's REST host has them."""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from aiohttp import web
from yarl import URL

from .access import Access
from .apps import ApiFailure, json_response
from .journal import RecordedRequest

__all__ = ["Rest", "StoredFile"]

_TOKEN_SECONDS = 120


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that was uploaded to the embedded server.

    Attributes:
        url: Where it is served, as the uploader was told.
        file_name: The name the uploader gave it.
        content_type: The type that the upload had, or else the one that was announced.
        size: Its size in bytes.
        path: Where its bytes are while the server runs.
    """

    url: str
    file_name: str
    content_type: str
    size: int
    path: Path = field(repr=False)

    @property
    def data(self) -> bytes:
        """The bytes; available while the server runs."""
        return self.path.read_bytes()


@dataclass(frozen=True, slots=True)
class _Slot:
    """A place for one upload, made by `initiate`."""

    file_url: str
    file_name: str
    content_type: str
    signature: str


class Rest:
    """Answers everything under `/rest`.

    Args:
        access: Checks keys and issues tokens.
        url: Gives the server's address.
    """

    def __init__(self, access: Access, url: Callable[[], str]) -> None:
        self._access = access
        self._url = url
        self._slots: dict[str, _Slot] = {}
        self._directory: TemporaryDirectory[str] | None = None
        self.files: dict[str, StoredFile] = {}

    @staticmethod
    def takes_upload(record: RecordedRequest) -> bool:
        """Whether the request's body is a file, which is written to disk as it comes and never held whole."""
        return record.method == "PUT" and record.path.startswith("/rest/uploads/")

    async def respond(self, request: web.BaseRequest, record: RecordedRequest) -> web.StreamResponse:
        match record.method, record.path.strip("/").split("/")[1:]:
            case "POST", ["tokens"]:
                return self._issue_token(record)
            case "POST", ["storage", "upload", "initiate"]:
                return self._initiate(record)
            case "POST", ["storage", "upload", "initiate-multipart"]:
                raise ApiFailure(501, "The embedded server has no multipart uploads yet; files up to 90 MiB need none.")
            case "PUT", ["uploads", slot]:
                return await self._receive(slot, request, record)
            case (("GET" | "HEAD"), ["files", *_]):
                return self._serve(record)
            case _:
                raise ApiFailure(404, f"Not found: {record.method} {record.path}")

    def close(self) -> None:
        """Removes the uploaded bytes from the disk."""
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    def _issue_token(self, record: RecordedRequest) -> web.StreamResponse:
        self._access.check_key(record)
        body = _json_object(record)
        apps = body.get("allowed_apps")
        if not isinstance(apps, list) or not all(isinstance(app, str) for app in cast(list[Any], apps)):
            raise _wrong("allowed_apps", "Input should be a valid list of strings")
        seconds = body.get("token_expiration", _TOKEN_SECONDS)
        if not isinstance(seconds, int | float) or seconds <= 0:
            raise _wrong("token_expiration", "Input should be a number of seconds greater than 0")
        return json_response(self._access.issue(cast(list[str], apps), seconds), status=201)

    def _initiate(self, record: RecordedRequest) -> web.StreamResponse:
        self._access.check_key(record)
        body = _json_object(record)
        for name in ("file_name", "content_type"):
            if not isinstance(body.get(name), str):
                raise _wrong(name, "Field required")
        identifier = secrets.token_hex(8)
        base = URL(self._url()) / "rest"
        slot = _Slot(
            file_url=str(base / "files" / identifier / (body["file_name"].replace("/", "_").strip(".") or "file")),
            file_name=body["file_name"],
            content_type=body["content_type"],
            signature=secrets.token_hex(8),
        )
        self._slots[identifier] = slot
        upload_url = str(base / "uploads" / identifier % {"signature": slot.signature})
        return json_response({"file_url": slot.file_url, "upload_url": upload_url})

    async def _receive(self, identifier: str, request: web.BaseRequest, record: RecordedRequest) -> web.StreamResponse:
        slot = self._slots.get(identifier)
        if slot is None or record.query.get("signature") != slot.signature:
            raise ApiFailure(403, "The upload URL is not valid.")
        self._directory = self._directory or TemporaryDirectory(prefix="rxfal-files-")
        path = Path(self._directory.name, f"{identifier}-{secrets.token_hex(4)}")
        size = 0
        with path.open("wb") as file:  # noqa: ASYNC230  writing to the page cache takes no time worth a thread
            async for block in request.content.iter_any():
                size += file.write(block)
        content_type = request.headers.get("Content-Type", slot.content_type)
        self.files[slot.file_url] = StoredFile(slot.file_url, slot.file_name, content_type, size, path)
        return web.Response(status=200)

    def _serve(self, record: RecordedRequest) -> web.StreamResponse:
        file = self.files.get(str(URL(self._url()).with_path(record.path)))
        if file is None:
            raise ApiFailure(404, f"There is no file at {record.path}.")
        return web.Response(body=file.data, headers={"Content-Type": file.content_type})


def _json_object(record: RecordedRequest) -> dict[str, Any]:
    try:
        value = json.loads(record.body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ApiFailure(422, {"detail": [{"loc": ["body"], "msg": "Input should be an object", "type": "dict_type"}]})
    return cast(dict[str, Any], value)


def _wrong(name: str, message: str) -> ApiFailure:
    return ApiFailure(422, {"detail": [{"loc": ["body", name], "msg": message, "type": "value_error"}]})
