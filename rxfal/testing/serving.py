"""Serves a stored file: whole, or from where a download broke off (`Range` and `If-Range`, RFC 9110, section 14)."""

import re

from aiohttp import web

from .apps import ApiFailure
from .journal import RecordedRequest
from .storage import StoredFile

__all__ = ["serve"]

_BLOCK_SIZE = 256 * 1024


async def serve(file: StoredFile, request: web.BaseRequest, record: RecordedRequest) -> web.StreamResponse:
    """Answers a GET or HEAD, piece by piece from the disk.

    Args:
        file: The file.
        request: What is to be answered.
        record: Its entry in the journal.

    Returns:
        The response, begun.
    """
    headers = {"ETag": file.etag, "Accept-Ranges": "bytes", "x-fal-request-id": record.request_id}
    response = web.StreamResponse(headers=headers)
    response.headers["Content-Type"] = file.content_type
    first, end = 0, file.size
    wanted = _range(record, file)
    if wanted is not None:
        first, end = wanted
        response.set_status(206)
        response.headers["Content-Range"] = f"bytes {first}-{end - 1}/{file.size}"
    response.content_length = end - first
    record.status = response.status
    await response.prepare(request)
    if record.method == "HEAD":
        return response
    with file.path.open("rb") as content:
        content.seek(first)
        while first < end:
            block = content.read(min(_BLOCK_SIZE, end - first))
            await response.write(block)
            first += len(block)
    return response


def _range(record: RecordedRequest, file: StoredFile) -> tuple[int, int] | None:
    """The first byte and the end of what is asked for; None for the whole file."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", record.headers.get("Range", "").strip(), re.ASCII)
    if found is None or record.headers.get("If-Range", file.etag) != file.etag:
        return None
    first, last = found.groups()
    if first:
        begin, end = int(first), min(int(last) + 1, file.size) if last else file.size
        if last and int(last) < begin:
            return None  # not a range, and so as if it was not there
    elif last:
        begin, end = max(0, file.size - int(last)), file.size
    else:
        return None
    if begin >= end:
        raise ApiFailure(416, "The range is outside the file.", headers={"Content-Range": f"bytes */{file.size}"})
    return begin, end
