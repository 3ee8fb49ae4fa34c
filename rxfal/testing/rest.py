"""What fal's REST host answers, on the embedded server: short-lived tokens and file storage."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from aiohttp import web

from .access import UPLOADS, Access
from .apps import ApiFailure, json_response
from .journal import RecordedRequest
from .serving import serve
from .storage import Storage, StoredFile, json_object, wrong

__all__ = ["Rest", "StoredFile"]

_TOKEN_SECONDS = 120
_UPLOAD_TOKEN_SECONDS = 3600


class Rest:
    """Answers everything under `/rest`.

    Args:
        access: Checks keys and issues tokens.
        url: Gives the server's address.
    """

    takes_upload = staticmethod(Storage.takes_upload)

    def __init__(self, access: Access, url: Callable[[], str]) -> None:
        self._access = access
        self._url = url
        self._storage = Storage(access, url)
        self.files = self._storage.files
        self.close = self._storage.close

    async def respond(self, request: web.BaseRequest, record: RecordedRequest) -> web.StreamResponse:
        storage = self._storage
        match record.method, record.path.strip("/").split("/")[1:]:
            case "POST", ["tokens"]:
                return self._issue_token(record)
            case "POST", ["storage", "upload", "initiate" | "initiate-multipart"]:
                return storage.initiate(record)
            case "PUT", ["uploads", upload]:
                return await storage.receive(upload, request, record)
            case "PUT", ["uploads", upload, number]:
                return await storage.receive_part(upload, number, request, record)
            case "POST", ["uploads", upload, "complete"]:
                return await storage.complete(upload, record)
            case "POST", ["storage", "auth", "token"]:
                return self._issue_upload_token(record)
            case "POST", ["files", "upload"]:
                return await storage.receive_by_token(request, record)
            case "POST", ["files", "upload", "multipart"]:
                return storage.initiate_by_token(record)
            case "PUT", ["files", upload, _, "multipart", secret, number]:
                return await storage.receive_part_by_token(upload, secret, number, request, record)
            case "POST", ["files", upload, _, "multipart", secret, "complete"]:
                return await storage.complete_by_token(upload, secret, record)
            case (("GET" | "HEAD"), ["files", *_]):
                return await serve(storage.find(record), request, record)
            case _:
                raise ApiFailure(404, f"Not found: {record.method} {record.path}")

    def _issue_token(self, record: RecordedRequest) -> web.StreamResponse:
        self._access.check_key(record)
        body = json_object(record)
        apps = body.get("allowed_apps")
        if not isinstance(apps, list) or not all(isinstance(app, str) for app in cast(list[Any], apps)):
            raise wrong("allowed_apps", "Input should be a valid list of strings")
        seconds = body.get("token_expiration", _TOKEN_SECONDS)
        if not isinstance(seconds, int | float) or seconds <= 0:
            raise wrong("token_expiration", "Input should be a number of seconds greater than 0")
        return json_response(self._access.issue(cast(list[str], apps), seconds), status=201)

    def _issue_upload_token(self, record: RecordedRequest) -> web.StreamResponse:
        self._access.check_key(record)
        expiry = datetime.now(UTC) + timedelta(seconds=_UPLOAD_TOKEN_SECONDS)
        return json_response(
            {
                "token": self._access.issue([UPLOADS], _UPLOAD_TOKEN_SECONDS),
                "token_type": "Bearer",
                "base_url": f"{self._url()}/rest",
                "expires_at": expiry.isoformat(),
            }
        )
