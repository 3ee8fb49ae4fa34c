"""`upload`, `upload_image`, `download` and `encode`: files to fal's storage and back.

How a file goes up is in `uploading`, and how it is read in `reading`.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from rxfal.reactive.progress import ProgressStream
from rxfal.reactive.reader import Sink
from rxfal.wire.http import Http

from .connected import Connected
from .downloading import Downloads, DownloadStream
from .files import File, FileSource, Image
from .inputs import Uploaded
from .lifecycle import Lifecycle, LifecycleLike
from .pictures import Picture
from .reading import Upload
from .sources import label_of, sources_in
from .targets import Template
from .uploading import send

__all__ = ["StorageVerbs", "UploadProgress", "UploadStream"]


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """How far an upload is.

    Attributes:
        sent: Bytes handed to the network so far. It never goes back: what is sent again is not counted again.
        total: Bytes in the whole file.
    """

    sent: int
    total: int


class UploadStream(ProgressStream[UploadProgress, Uploaded]):
    """The progress of an upload. Its last item says where the file is; `await` and `run()` return that."""


AnyFile: TypeAlias = FileSource | File | str
"""What `upload` takes; a text is a path."""


class StorageVerbs(Connected):
    """The verbs of fal's storage."""

    def upload(
        self,
        file: AnyFile,
        *,
        name: str | None = None,
        content_type: str | None = None,
        lifecycle: LifecycleLike = None,
    ) -> UploadStream:
        """Upload a file to fal's storage. The Stream gives the progress, and at the end where the file is.

        The file is read block by block as the network takes it. A file above 90 MiB goes in parts of 10 MiB, eight at a
        time, of which each is sent again if it fails; an error names its part. While the subscriber is full, steps of
        the progress are left out; the upload does not wait for the subscriber. Each subscription uploads the file
        again. An open file is read from its position at the call, and that position does not change.

        Args:
            file: A path (here it can be a string too), an open binary file, bytes, a PIL image or a `rxfal.File`.
            name: Its name. If left out, its own name, or one made from its content type.
            content_type: Its media type. If left out, guessed from the name, or else from the first bytes.
            lifecycle: How long it is kept: seconds, or one of `immediate`, `1h`, `1d`, `7d`, `30d`, `1y`, `never`; a
                mapping with `expires_in` and `initial_acl`; a `rxfal.Lifecycle`, or fal-client's `StorageSettings`.

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
        return _uploading(self._connections().http, _ready(file, name, content_type), lifecycle)

    def upload_image(
        self, image: Image, *, format: str = "jpeg", name: str | None = None, lifecycle: LifecycleLike = None
    ) -> UploadStream:
        """Upload a PIL image in a format of your choice; else as `upload`, which keeps it as JPEG or makes it a PNG.

        JPEG has no transparency: what is transparent in the image becomes white.

        Args:
            image: A PIL image.
            format: The name of a format that Pillow can write, such as `jpeg`, `png` or `webp`.
            name: Its name. If left out, `image` with the ending of the format.
            lifecycle: As for `upload`.

        Returns:
            A cold Stream, as of `upload`.

        Raises:
            TypeError: It is not a PIL image.
            ValueError: Pillow can't write the format, or the lifecycle is wrong.
            ImportError: Pillow is not installed.

        Examples:
            >>> from PIL import Image
            >>> from rxfal.testing import FalServer
            >>> with FalServer() as server, server.client() as client:
            ...     uploaded = client.upload_image(Image.new("RGB", (8, 8)), format="webp").run()
            >>> uploaded.name, uploaded.content_type
            ('image.webp', 'image/webp')
        """
        return _uploading(self._connections().http, Upload(Picture.in_format(image, format), name=name), lifecycle)

    def download(
        self, source: Any, to: str | os.PathLike[str] | None = None, *, overwrite: bool = False
    ) -> DownloadStream:
        """Download a file, or all files of a result, into memory or onto the disk.

        A file is written beside its place and renamed when it is whole; after an error or a dispose there is nothing.
        A download that breaks off goes on where it stopped, if the server can do that and the file is still the same,
        and else from the start. No credential is sent. Redirects are followed, at most ten, but not from https to http.
        While the subscriber is full, steps of the progress are left out. Disposing ends the download at once.

        Args:
            source: A URL; a `data:` URI; an `Uploaded`; or a result, of which each field `url` and each `data:` URI is
                a file (of a `Completed`, those in its output).
            to: Where to save it: a path; a folder, which is one or ends in a slash; or a template with `{index}` (from
                0), `{name}`, `{ext}` (with its dot) and `{request_id}`, such as `out/{request_id}/{index}{ext}`.
                Missing folders are made. The name comes from the server or the URL, cleaned so that it leads nowhere
                else; two files with the same name are numbered. If left out, the bytes are in `Downloaded.data`; then
                a file may have `Config.max_body_size` bytes.
            overwrite: Whether to write over files that exist. If not, one that exists is a FileExistsError: at the
                call, or from the Stream if its name is only known by then.

        Returns:
            A cold Stream of `DownloadProgress(received, total)`, in bytes, and a `Downloaded` for each file. Awaiting
            it gives the last one. After 60 seconds of silence it ends with `StreamTimeoutError`.

        Raises:
            ValueError: There is nothing to download, a URL is wrong, or `to` is not enough for so many files.
            TypeError: The source is neither a text nor a result.
            FileExistsError: A file exists.

        Examples:
            >>> from rxfal.testing import FalServer
            >>> with FalServer() as server, server.client() as client:
            ...     uploaded = client.upload(b"hello", name="hello.txt").run()
            ...     *progress, downloaded = client.download(uploaded)
            >>> progress[-1], downloaded.data, downloaded.content_type
            (DownloadProgress(received=5, total=5), b'hello', 'text/plain')
        """
        sources, request_id = sources_in(source)
        template = None if to is None else Template(to, len(sources), request_id)
        downloads = Downloads(self._connections().http, sources, template, overwrite=overwrite)
        what = label_of(sources[0]) if len(sources) == 1 else f"download of {len(sources)} files"
        return DownloadStream.fed_by(downloads.read, name=what, unused=what)

    def encode(self, file: AnyFile, *, content_type: str | None = None) -> str:
        """A file as a data URI, to send it inside the input. This sends nothing, and reads the whole file at once.

        It suits small files: a model has to be able to take them, and the whole text is kept in memory.

        Args:
            file: As for `upload`.
            content_type: As for `upload`.

        Returns:
            The URI.

        Raises:
            OSError, ValueError, TypeError: As `upload`.

        Examples:
            >>> import rxfal
            >>> rxfal.encode(b"hello", content_type="text/plain")
            'data:text/plain;base64,aGVsbG8='
        """
        ready = _ready(file, None, content_type)
        return f"data:{ready.content_type.replace(' ', '')};base64,{base64.b64encode(ready.read()).decode()}"


def _ready(file: AnyFile, name: str | None, content_type: str | None) -> Upload:
    return Upload(Path(file) if isinstance(file, str) else file, name=name, content_type=content_type)


def _uploading(http: Http, ready: Upload, lifecycle: LifecycleLike) -> UploadStream:
    headers = Lifecycle.of(lifecycle).headers()

    async def read(sink: Sink[Any]) -> None:
        def moved(sent: int, total: int) -> None:
            if sent == total or not sink.gate.closed:
                sink.on_next(UploadProgress(sent, total))

        sink.on_next(await send(http, ready, headers, moved))

    name = f"upload {ready.name}"
    return UploadStream.fed_by(read, name=name, unused=name)
