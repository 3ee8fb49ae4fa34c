"""`upload_image` and `encode`: images in a format of one's choice, and files as data URIs."""

import asyncio
import base64
import io
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import rxfal
from rxfal.client import Client
from rxfal.errors import FalError
from rxfal.testing import FalServer


@pytest.fixture
async def server() -> AsyncIterator[FalServer]:
    async with FalServer() as server:
        yield server


@pytest.fixture
async def client(server: FalServer) -> AsyncIterator[Client]:
    async with server.client() as client:
        yield client


def opened(data: bytes) -> Any:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize(
    ("format", "name", "content_type", "kind"),
    [
        ("jpeg", "image.jpg", "image/jpeg", "JPEG"),
        ("jpg", "image.jpg", "image/jpeg", "JPEG"),
        ("JPEG", "image.jpg", "image/jpeg", "JPEG"),
        ("png", "image.png", "image/png", "PNG"),
        ("webp", "image.webp", "image/webp", "WEBP"),
        (".gif", "image.gif", "image/gif", "GIF"),
        ("tif", "image.tiff", "image/tiff", "TIFF"),
    ],
)
async def test_an_image_is_uploaded_in_the_format_that_is_asked_for(
    server: FalServer, client: Client, format: str, name: str, content_type: str, kind: str
) -> None:
    uploaded = await client.upload_image(Image.new("RGB", (8, 6), "red"), format=format, lifecycle="1h")
    stored = server.files[uploaded.url]
    assert (uploaded.name, uploaded.content_type) == (stored.file_name, stored.content_type) == (name, content_type)
    assert stored.lifecycle == {"expiration_duration_seconds": 3600}
    assert (opened(stored.data).format, opened(stored.data).size) == (kind, (8, 6))


async def test_an_image_is_a_jpeg_if_nothing_is_said_and_has_the_name_that_is_given(
    server: FalServer, client: Client
) -> None:
    uploaded = await client.upload_image(Image.new("L", (8, 8)), name="grey.jpeg")
    assert (uploaded.name, uploaded.content_type) == ("grey.jpeg", "image/jpeg")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P", "RGBa", "La", "L"])
async def test_what_is_transparent_becomes_white_in_a_jpeg(server: FalServer, client: Client, mode: str) -> None:
    image = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 8, 16))
    if mode == "P":
        image = image.quantize(4)
    elif mode == "PA":
        image = image.quantize(4).convert("PA")
    elif mode == "La":
        image = image.convert("LA").convert("La")
    elif mode == "L":  # as a PNG with a colour that stands for nothing
        image = image.convert("RGB").convert("L")
        image.paste(7, (8, 0, 16, 16))
        image.info["transparency"] = 7
    else:
        image = image.convert(mode)
    assert image.mode == mode
    uploaded = await client.upload_image(image)
    seen = opened(server.files[uploaded.url].data).convert("L")
    assert seen.getpixel((2, 8)) < 16
    assert seen.getpixel((14, 8)) > 239
    assert image.mode == mode


async def test_transparency_stays_where_the_format_has_it(server: FalServer, client: Client) -> None:
    uploaded = await client.upload_image(Image.new("RGBA", (8, 8), (9, 9, 9, 0)), format="png")
    assert opened(server.files[uploaded.url].data).getpixel((0, 0)) == (9, 9, 9, 0)


async def test_an_image_that_the_format_can_not_hold_is_an_error_with_pillows_words(client: Client) -> None:
    with pytest.raises(FalError, match=r"image\.jpg could not be read for the upload: cannot write mode F as JPEG"):
        await client.upload_image(Image.new("F", (8, 8)))


async def test_what_is_no_image_or_no_format_is_an_error_at_the_call(client: Client) -> None:
    image = Image.new("RGB", (8, 8))
    with pytest.raises(TypeError, match=r"image is PosixPath, not a PIL image; .* upload\(\)"):
        client.upload_image(Path("cat.png"))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"one that Pillow can write, .* not 'jpeg2'"):
        client.upload_image(image, format="jpeg2")
    with pytest.raises(ValueError, match="not ''"):
        client.upload_image(image, format="")
    with pytest.raises(TypeError, match="format is a text"):
        client.upload_image(image, format=None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError):
        client.upload_image(image, lifecycle="2h")  # pyright: ignore[reportArgumentType]


def test_without_pillow_the_error_says_what_to_install() -> None:
    program = """
import sys
sys.modules["PIL"] = None
import rxfal
class Looks:
    format = mode = "RGB"
    def save(self, fp, **params): ...
try:
    rxfal.Client("key").upload_image(Looks())
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "upload_image needs Pillow; install it with: pip install pillow\n"


# encode


def test_a_file_becomes_a_data_uri(tmp_path: Path) -> None:
    content = os.urandom(1000)
    path = tmp_path / "cat.png"
    path.write_bytes(content)
    wanted = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    assert rxfal.encode(path) == rxfal.encode(str(path)) == wanted
    assert rxfal.encode(rxfal.File(content, name="cat.png")) == wanted
    assert rxfal.encode(content, content_type="image/png") == wanted
    with path.open("rb") as file:
        assert rxfal.encode(file) == wanted
        file.seek(990)
        assert rxfal.encode(file).endswith(base64.b64encode(content[990:]).decode())
        assert file.tell() == 990


def test_memory_of_any_shape_is_encoded_as_its_bytes() -> None:
    assert rxfal.encode(memoryview(b"abcdef")[::2]) == "data:application/octet-stream;base64,YWNl"
    assert rxfal.encode(bytearray(b"ace"), content_type="text/plain; charset=utf-8") == (
        "data:text/plain;charset=utf-8;base64,YWNl"
    )


def test_an_image_is_encoded_as_a_png() -> None:
    head, _, data = rxfal.encode(Image.new("RGB", (8, 8))).partition(",")
    assert head == "data:image/png;base64"
    assert opened(base64.b64decode(data)).format == "PNG"


async def test_encode_sends_nothing_and_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAL_KEY", raising=False)
    assert rxfal.encode(b"GIF89a").startswith("data:image/gif;base64,")
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


def test_what_is_no_file_can_not_be_encoded(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        rxfal.encode("missing.png")
    with pytest.raises(ValueError, match="empty"):
        rxfal.encode(b"")
    with pytest.raises(TypeError, match="not a file"):
        rxfal.encode({})  # pyright: ignore[reportArgumentType]
