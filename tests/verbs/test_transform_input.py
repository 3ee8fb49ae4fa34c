"""`transform_input`: which values are files, how an input is walked, and what its uploads are told."""

import asyncio
import gc
import io
import os
import tempfile
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, RootModel, field_serializer

from rxfal.errors import FalError
from rxfal.verbs import locks
from rxfal.verbs.files import File
from rxfal.verbs.inputs import MAX_CONCURRENT_UPLOADS, PreparedInput, Uploaded, transform_input
from rxfal.verbs.reading import Upload
from rxfal.wire.payload import encode_json

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


class Uploads:
    """Stands for the storage: keeps what it is given and numbers the URLs."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, bytes]] = []

    async def __call__(self, upload: Upload) -> str:
        number = len(self.sent)
        self.sent.append((upload.name, upload.content_type, b""))
        self.sent[number] = upload.name, upload.content_type, await content_of(upload)
        return f"https://files/{number + 1}"

    @property
    def contents(self) -> list[bytes]:
        return [content for _, _, content in self.sent]


async def content_of(upload: Upload) -> bytes:
    async with upload.open() as contents:
        return await contents.read(0, contents.size)


@pytest.fixture
def uploads() -> Uploads:
    return Uploads()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    path.write_bytes(PNG)
    return path


# What is walked, and how


async def test_files_in_dicts_lists_and_tuples_become_urls(uploads: Uploads, photo: Path) -> None:
    value = {"prompt": "a cat", "images": [{"url": photo}, b"one"], "pair": (b"two", 3)}
    got = await transform_input(value, uploads)
    assert got == {
        "prompt": "a cat",
        "images": [{"url": "https://files/1"}, "https://files/2"],
        "pair": ("https://files/3", 3),
    }
    assert uploads.contents == [PNG, b"one", b"two"]


async def test_the_users_input_is_left_as_it_was(uploads: Uploads, photo: Path) -> None:
    class Model(BaseModel):
        image: Path

    images: list[Any] = [photo]
    model = Model(image=photo)
    value = {"images": images, "model": model}
    await transform_input(value, uploads)
    assert value == {"images": [photo], "model": Model(image=photo)}
    assert value["images"] is images
    assert value["model"] is model


@pytest.mark.parametrize("value", ["a text", "/etc/hosts", "data:image/png;base64,AAAA", 1, 0.5, True, None, {}, []])
async def test_what_is_no_file_stays_as_it_is(uploads: Uploads, value: Any) -> None:
    assert await transform_input(value, uploads) == value
    assert uploads.sent == []


async def test_an_uploaded_file_stands_for_its_url(uploads: Uploads) -> None:
    done = Uploaded(url="https://files/old", name="a", content_type="b", size=1)
    assert await transform_input([done], uploads) == ["https://files/old"]
    assert uploads.sent == []


async def test_a_file_alone_is_an_input_too(uploads: Uploads) -> None:
    assert await transform_input(b"alone", uploads) == "https://files/1"


async def test_a_model_is_dumped_by_alias_without_unset_fields_after_its_files_were_replaced(
    uploads: Uploads, photo: Path
) -> None:
    class Picture(BaseModel):
        path: Path = Field(alias="imagePath")
        strength: float = 0.5

    class Input(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True, extra="allow")
        pictures: list[Picture]
        mask: bytes
        sound: File
        stream: io.BytesIO
        before: Uploaded
        note: str = "unset"

    value = Input(
        pictures=[Picture(imagePath=photo)],
        mask=b"mask",
        sound=File(b"sound"),
        stream=io.BytesIO(b"stream"),
        before=Uploaded(url="https://files/old", name="a", content_type="b", size=1),
        more={"deep": [b"extra"]},  # pyright: ignore[reportCallIssue]
    )
    assert await transform_input({"input": value}, uploads) == {
        "input": {
            "pictures": [{"imagePath": "https://files/1"}],
            "mask": "https://files/2",
            "sound": "https://files/3",
            "stream": "https://files/4",
            "before": "https://files/old",
            "more": {"deep": ["https://files/5"]},
        }
    }
    assert uploads.contents == [PNG, b"mask", b"sound", b"stream", b"extra"]


async def test_a_root_model_is_walked_too(uploads: Uploads) -> None:
    assert await transform_input(RootModel[list[bytes]]([b"a", b"b"]), uploads) == [
        "https://files/1",
        "https://files/2",
    ]


async def test_files_that_a_models_dump_would_not_show_are_not_uploaded(uploads: Uploads) -> None:
    class Input(BaseModel):
        default: Path = Path("/there/is/no/such/file")
        hidden: bytes = Field(default=b"", exclude=True)
        prompt: str

    assert await transform_input(Input(prompt="hi", hidden=b"secret"), uploads) == {"prompt": "hi"}
    assert uploads.sent == []


async def test_a_model_that_cannot_take_a_url_is_an_error_that_names_its_place(uploads: Uploads) -> None:
    class Input(BaseModel):
        image: bytes

        @field_serializer("image")
        def as_number(self, image: bytes) -> int:
            return image[0] + 1

    with pytest.raises(TypeError, match=r"input\.list\[1\]: Input can't be dumped with URLs"):
        await transform_input({"list": [1, Input(image=b"x")]}, uploads)


@dataclass(frozen=True, slots=True)
class Mask:
    image: Any
    names: list[str]


class Masked(BaseModel):
    prompt: str
    masks: Any = None


async def test_files_in_dataclasses_and_other_collections_become_urls(uploads: Uploads) -> None:
    value = {"mask": Mask(b"a", ["x"]), "set": {b"b"}, "deque": deque([b"c"]), "model": Masked(prompt="", masks={b"d"})}
    got = await transform_input(value, uploads)
    assert encode_json(got) == encode_json(
        {
            "mask": {"image": "https://files/1", "names": ["x"]},
            "set": ["https://files/2"],
            "deque": ["https://files/3"],
            "model": {"prompt": "", "masks": ["https://files/4"]},
        }
    )
    assert uploads.contents == [b"a", b"b", b"c", b"d"]
    assert value["mask"] == Mask(b"a", ["x"])


async def test_a_model_in_a_dataclass_and_a_dataclass_in_a_model(uploads: Uploads) -> None:
    class Picture(BaseModel):
        data: bytes = Field(alias="fileData")
        size: int | None = None

    value = Masked(prompt="hi", masks=[Mask(b"a", ["x"])]), Mask(Picture(fileData=b"b"), [])
    assert await transform_input(value, uploads) == (
        {"prompt": "hi", "masks": [{"image": "https://files/1", "names": ["x"]}]},
        {"image": {"fileData": "https://files/2"}, "names": []},
    )


async def test_later_changes_of_no_container_reach_the_request(uploads: Uploads) -> None:
    model, mask, names = Masked(prompt="before"), Mask(None, ["before"]), {"before"}
    prepared = PreparedInput({"model": model, "mask": mask, "names": names, "deep": Masked(prompt="", masks=[names])})
    model.prompt = "after"
    mask.names.append("after")
    names.add("after")
    assert await prepared.resolve(uploads) == {
        "model": {"prompt": "before"},
        "mask": {"image": None, "names": ["before"]},
        "names": ["before"],
        "deep": {"prompt": "", "masks": [["before"]]},
    }


async def test_the_same_object_is_uploaded_once(uploads: Uploads, photo: Path) -> None:
    file = File(b"same")
    got = await transform_input({"a": file, "b": [file, {"c": file}], "d": File(b"same")}, uploads)
    assert got["a"] == got["b"][0] == got["b"][1]["c"] != got["d"]
    assert uploads.contents == [b"same", b"same"]


async def test_the_input_is_taken_as_it_was_at_the_call(uploads: Uploads) -> None:
    value = {"images": [b"one"]}
    prepared = PreparedInput(value)
    value["images"].append(b"two")
    assert await prepared.resolve(uploads) == {"images": ["https://files/1"]}


async def test_an_input_that_contains_itself_is_an_error(uploads: Uploads) -> None:
    value: dict[str, Any] = {}
    value["self"] = value
    with pytest.raises(ValueError, match="input contains itself"):
        await transform_input(value, uploads)


async def test_what_json_cannot_carry_is_left_for_the_encoder_to_name(uploads: Uploads) -> None:
    with pytest.raises(TypeError, match=r"input\.a\[0\] is object"):
        encode_json(await transform_input({"a": [object()], "b": b"file"}, uploads))


# Concurrency


async def test_uploads_run_side_by_side_but_no_more_than_the_limit() -> None:
    running = most = 0
    full = asyncio.Event()

    async def upload(file: Upload) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == MAX_CONCURRENT_UPLOADS:
            full.set()
        await full.wait()
        await asyncio.sleep(0)
        running -= 1
        return file.name

    count = 3 * MAX_CONCURRENT_UPLOADS
    got = await transform_input([File(b"x", name=f"{number}") for number in range(count)], upload)
    assert got == [f"{number}" for number in range(count)]
    assert most == MAX_CONCURRENT_UPLOADS


async def test_one_failing_upload_cancels_the_others_and_its_error_is_raised_alone() -> None:
    cancelled: list[str] = []
    started = asyncio.Event()
    cause = OSError("the disk")

    async def upload(file: Upload) -> str:
        if file.name == "bad":
            await started.wait()
            raise FalError("broken") from cause
        try:
            started.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(file.name)
            raise
        return ""

    with pytest.raises(FalError, match="broken") as caught:
        await transform_input([File(b"x", name="good"), File(b"x", name="bad")], upload)
    assert cancelled == ["good"]
    assert caught.value.__cause__ is cause


async def test_cancelling_cancels_the_uploads() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def upload(file: Upload) -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    task = asyncio.create_task(transform_input([b"x"], upload))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


# The kinds of files


@pytest.mark.parametrize("data", [b"hello", bytearray(b"hello"), memoryview(b"hello"), memoryview(b"h.e.l.l.o")[::2]])
async def test_bytes_of_every_kind(uploads: Uploads, data: Any) -> None:
    await transform_input(data, uploads)
    assert uploads.sent == [("file.bin", "application/octet-stream", b"hello")]


async def test_a_bytearray_can_be_resized_once_it_is_uploaded(uploads: Uploads) -> None:
    data = bytearray(b"hello")
    prepared = PreparedInput(data)
    data += b"!"
    await prepared.resolve(uploads)
    data += b"!"
    assert uploads.contents == [b"hello!"]


async def test_an_open_file_is_read_from_where_it_stands_each_time_and_left_there(
    uploads: Uploads, tmp_path: Path
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"skipped, sent")
    with path.open("rb") as file:
        file.seek(9)
        prepared = PreparedInput({"a": file})
        file.seek(2)  # the position that counts is the one at the call
        await prepared.resolve(uploads)
        await prepared.resolve(uploads)
        assert file.tell() == 2
    assert uploads.sent == [("notes.txt", "text/plain", b"sent")] * 2


async def test_an_open_file_can_be_in_several_inputs_at_once() -> None:
    class Hurdle(io.BytesIO):
        def seek(self, offset: int, whence: int = 0) -> int:
            position = super().seek(offset, whence)
            threading.Event().wait(0.0005)  # lets another thread in between the seek and the read
            return position

    content = os.urandom(20_000)
    file = Hurdle(content)
    file.seek(1)

    async def upload(upload: Upload) -> str:
        async with upload.open() as contents:
            blocks = [await contents.read(offset, 1000) for offset in range(0, contents.size, 1000)]
        assert b"".join(blocks) == content[1:]
        return ""

    await asyncio.gather(*(transform_input({"file": file}, upload) for _ in range(4)))
    assert file.tell() == 1
    gc.collect()
    assert not locks._locks  # a lock lives no longer than its use


@pytest.mark.parametrize("kind", [tempfile.TemporaryFile, tempfile.NamedTemporaryFile, tempfile.SpooledTemporaryFile])
async def test_temporary_files_are_open_files(uploads: Uploads, kind: Any) -> None:
    with kind() as file:
        file.write(b"hello")
        file.seek(0)
        await transform_input(file, uploads)
    assert uploads.contents == [b"hello"]


async def test_a_path_of_another_kind(uploads: Uploads, photo: Path) -> None:
    with os.scandir(photo.parent) as entries:
        [entry] = entries
    await transform_input(entry, uploads)
    assert uploads.sent == [("photo.png", "image/png", PNG)]


async def test_a_picture_becomes_a_png(uploads: Uploads) -> None:
    picture = Image.new("RGBA", (3, 2), "red")
    await transform_input(picture, uploads)
    [(name, content_type, content)] = uploads.sent
    assert (name, content_type) == ("image.png", "image/png")
    with Image.open(io.BytesIO(content)) as again:
        assert (again.format, again.size, again.mode) == ("PNG", (3, 2), "RGBA")


async def test_a_jpeg_picture_stays_a_jpeg(uploads: Uploads, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (8, 8), "blue").save(path)
    with Image.open(path) as picture:
        await transform_input(picture, uploads)
    [(name, content_type, content)] = uploads.sent
    assert (name, content_type) == ("image.jpg", "image/jpeg")
    with Image.open(io.BytesIO(content)) as again:
        assert again.format == "JPEG"


async def test_a_picture_that_cannot_be_encoded_is_a_fal_error(uploads: Uploads) -> None:
    with pytest.raises(FalError, match=r"image\.png could not be read for the upload: .*CMYK"):
        await transform_input(Image.new("CMYK", (2, 2)), uploads)


async def test_a_picture_by_another_library_needs_only_save_format_and_mode(uploads: Uploads) -> None:
    class Picture:
        format = None
        mode = "RGB"

        def save(self, fp: Any, format: str) -> None:
            fp.write(format.encode())

    await transform_input({"image": Picture()}, uploads)
    assert uploads.sent == [("image.png", "image/png", b"PNG")]


@pytest.mark.parametrize("wrap", [lambda path: path, lambda path: path.read_bytes(), lambda path: path.open("rb")])
async def test_a_file_has_the_name_and_type_that_it_is_given(uploads: Uploads, photo: Path, wrap: Any) -> None:
    data = wrap(photo)
    await transform_input(File(data, name="cat.xyz", content_type="image/x-cat"), uploads)
    assert uploads.sent == [("cat.xyz", "image/x-cat", PNG)]
    if isinstance(data, io.IOBase):
        data.close()


# Names and types


@pytest.mark.parametrize(
    ("beginning", "name", "content_type"),
    [
        (PNG, "file.png", "image/png"),
        (b"\xff\xd8\xff\xe0", "file.jpg", "image/jpeg"),
        (b"GIF89a", "file.gif", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "file.webp", "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "file.wav", "audio/wav"),
        (b"ID3\4", "file.mp3", "audio/mpeg"),
        (b"\xff\xfb\x90", "file.mp3", "audio/mpeg"),
        (b"\0\0\0\x20ftypisom", "file.mp4", "video/mp4"),
        (b"%PDF-1.7", "file.pdf", "application/pdf"),
        (b"RIFF\0\0\0\0AVI ", "file.bin", "application/octet-stream"),
        (b"x", "file.bin", "application/octet-stream"),
    ],
)
def test_bytes_without_a_name_get_one_by_their_beginning(beginning: bytes, name: str, content_type: str) -> None:
    upload = Upload(beginning)
    assert upload.content_type == content_type
    assert Path(upload.name).stem == "file"
    assert Path(upload.name).suffix in (Path(name).suffix, ".bin")


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.png", "image/png"),
        ("a.webp", "image/webp"),
        ("a.MP4", "video/mp4"),
        ("notes.txt.gz", "application/gzip"),
        ("notes.txt.xz", "application/octet-stream"),
        ("unknown", "application/octet-stream"),
    ],
)
def test_a_name_tells_the_type(name: str, content_type: str) -> None:
    assert Upload(b"x", name=name).content_type == content_type


def test_a_name_without_a_known_ending_leaves_the_type_to_the_beginning() -> None:
    upload = Upload(PNG, name="picture")
    assert (upload.name, upload.content_type) == ("picture", "image/png")


@pytest.mark.parametrize("name", ["/home/me/cat.png", "C:\\me\\cat.png", "../cat.png", "cat\r\n.png"])
def test_a_name_is_one_without_its_folder_or_control_characters(name: str) -> None:
    assert Upload(b"x", name=name).name == "cat.png"


@pytest.mark.parametrize("content_type", ["", "image", "image/", "/png", "image/png\r\nX-Evil: 1", "bild/ä"])
def test_a_content_type_that_is_none_is_an_error_at_the_call(content_type: str) -> None:
    with pytest.raises(ValueError, match="content_type is a media type"):
        Upload(File(b"x"), content_type=content_type)


# What can't be uploaded: all at the call, with its place


def test_a_missing_file_is_named_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"input\.images\[1\]: No such file") as caught:
        PreparedInput({"images": ["text", tmp_path / "missing.png"]})
    assert caught.value.filename == str(tmp_path / "missing.png")


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=r"input\.a: is a directory"):
        PreparedInput({"a": tmp_path})


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match=r"input: .*pipe' is not a regular file"):
        PreparedInput(tmp_path / "pipe")


def test_empty_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(ValueError, match=r"input\[0\]: .*empty' is empty"):
        PreparedInput([tmp_path / "empty"])
    with pytest.raises(ValueError, match=r"input\.a is empty"):
        PreparedInput({"a": b""})


def test_an_open_file_at_its_end_is_an_error_that_says_so() -> None:
    file = io.BytesIO(b"abc")
    file.read()
    with pytest.raises(ValueError, match=r"nothing left to read from its position \(byte 3\)"):
        PreparedInput(file)


@pytest.mark.parametrize("text", [io.StringIO("text"), io.TextIOWrapper(io.BytesIO(b"text"))])
def test_a_file_in_text_mode_is_an_error_that_says_how_to_open_it(text: Any) -> None:
    with pytest.raises(TypeError, match=r"input\.a is a file that reads str, not bytes; open it with mode 'rb'"):
        PreparedInput({"a": text})


def test_a_closed_file_is_an_error() -> None:
    file = io.BytesIO(b"abc")
    file.close()
    with pytest.raises(ValueError, match="input is a closed file"):
        PreparedInput(file)


def test_a_pipe_is_an_error_that_says_what_to_do() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, pytest.raises(ValueError, match="can't seek, such as a pipe"):
        PreparedInput(pipe)


def test_a_file_open_for_writing_alone_is_an_error(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file, pytest.raises(ValueError, match="can't be read"):
        PreparedInput(file)


def test_a_file_to_be_awaited_is_an_error() -> None:
    class AsyncFile:
        async def read(self, size: int = -1) -> bytes:
            return b""

    with pytest.raises(TypeError, match=r"input is an async file \(AsyncFile\)"):
        PreparedInput(AsyncFile())


def test_a_file_around_something_else_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"input\.a is str, not a file"):
        PreparedInput({"a": File("photo.png")})


# What goes wrong between the call and the upload


async def test_a_path_that_vanished_since_the_call_is_a_fal_error(uploads: Uploads, photo: Path) -> None:
    prepared = PreparedInput(photo)
    photo.unlink()  # noqa: ASYNC240
    with pytest.raises(FalError, match=r"photo\.png could not be read for the upload: .*No such file") as caught:
        await prepared.resolve(uploads)
    assert isinstance(caught.value.__cause__, FileNotFoundError)


async def test_a_path_that_became_empty_since_the_call_is_a_fal_error(uploads: Uploads, photo: Path) -> None:
    prepared = PreparedInput(photo)
    photo.write_bytes(b"")  # noqa: ASYNC240
    with pytest.raises(FalError, match="it has become empty in the meantime"):
        await prepared.resolve(uploads)


async def test_a_file_that_was_closed_since_the_call_is_a_fal_error(uploads: Uploads, photo: Path) -> None:
    with photo.open("rb") as file:
        prepared = PreparedInput(file)
    with pytest.raises(FalError, match=r"photo\.png could not be read for the upload: .*closed file"):
        await prepared.resolve(uploads)
