"""What can be downloaded: URLs, data URIs, and results that hold some."""

from dataclasses import dataclass
from typing import Any

import pydantic
import pytest
from yarl import URL

from rxfal.verbs.data_uris import DataUri
from rxfal.verbs.inputs import Uploaded
from rxfal.verbs.sources import Remote, Source, label_of, sources_in
from rxfal.verbs.updates import Completed, RequestLog

A, B = "https://v3.fal.media/files/a.png?sig=x%2Fy", "http://127.0.0.1:8600/b"
PNG = "data:image/png;base64,iVBORw=="


def texts(source: Any) -> list[str]:
    return [found.text for found in sources_in(source)[0]]


class Image(pydantic.BaseModel):
    url: str
    width: int = 1


@dataclass
class Chosen:
    best: Image
    rest: Any


def url_of(source: Source) -> URL:
    assert isinstance(source, Remote)
    return source.url


class Output(pydantic.BaseModel):
    images: list[Image]
    thumbnail: pydantic.HttpUrl | None = pydantic.Field(default=None, alias="url")


def test_a_url_stays_as_it_is() -> None:
    sources, request_id = sources_in(A)
    assert [(found.text, str(url_of(found))) for found in sources] == [(A, A)]
    assert request_id is None
    assert str(url_of(sources_in("https://h/a b#part")[0][0])) == "https://h/a%20b"
    assert "sig" not in repr(sources)


@pytest.mark.parametrize(
    ("result", "found"),
    [
        ({"url": A}, [A]),
        ({"images": [{"url": A, "width": 1}, {"url": B}], "video": {"url": PNG}}, [A, B, PNG]),
        ({"image": PNG, "prompt": "data: 1, 2", "seed": 5}, [PNG]),
        ([PNG, {"url": None}, {"url": 5}, {"url": "relative/path"}, {"url": ""}, A], [PNG]),
        ({"images": [{"url": A}], "again": {"url": A}}, [A, A]),
        ({"link": A, "image_url": B, "url": A}, [A]),
        (({"url": A}, ({"url": B},)), [A, B]),
        (Output.model_validate({"images": [{"url": A}], "url": B}), [A, B]),
        (Output(images=[Image(url=A)]), [A]),
        (Uploaded(A, "a.png", "image/png", 5), [A]),
        (Chosen(Image(url=A), {"url": B}), [A, B]),
    ],
)
def test_a_result_is_searched_for_its_files_in_order(result: Any, found: list[str]) -> None:
    assert texts(result) == found


def test_of_a_completed_the_output_counts_and_its_id_is_known() -> None:
    logs = (RequestLog(message=f"{PNG}", level="INFO", source="USER", timestamp="now"),)
    sources, request_id = sources_in(Completed("r1", {"images": [{"url": A}]}, logs, metrics={"url": B}))
    assert ([found.text for found in sources], request_id) == ([A], "r1")
    assert texts(Completed("r1", A)) == [A]
    assert texts(Completed("r1", Output(images=[Image(url=B)]))) == [B]


def test_a_result_may_be_nested_as_deeply_as_json_can_be() -> None:
    deep: Any = {"url": A}
    for _ in range(100_000):
        deep = [deep]
    assert texts(deep) == [A]


@pytest.mark.parametrize(
    "source",
    ["", "cat.png", "/etc/passwd", "ftp://h/x", "file:///etc/passwd", "https://", "https://[::1", "https://h:99999/x"],
)
def test_a_text_that_is_no_url_is_an_error(source: str) -> None:
    with pytest.raises(ValueError, match="source must be a URL"):
        sources_in(source)


def test_a_url_with_a_user_is_an_error_that_does_not_repeat_it() -> None:
    for text in ("https://user:pass@h/x", "https://user@h/x"):
        with pytest.raises(ValueError, match=r"has no user in it \(the host of this one is h\)") as caught:
            sources_in({"url": text})
        assert "user@" not in str(caught.value)


def test_a_result_without_files_is_an_error() -> None:
    for result in ({}, [], {"text": "hello"}, Completed("r", {"x": 1})):
        with pytest.raises(ValueError, match="the result holds no file"):
            sources_in(result)


def test_what_is_no_result_is_an_error() -> None:
    for source in (None, 5, 1.5, b"https://h/x", True):
        with pytest.raises(TypeError, match="source is a URL"):
            sources_in(source)


def test_a_label_shows_no_query() -> None:
    assert label_of(Remote(A, URL(A))) == "download of https://v3.fal.media/files/a.png"
    assert label_of(sources_in(PNG)[0][0]) == "download of a data: URI (image/png)"
    assert len(label_of(sources_in(f"https://h/{'x' * 1000}")[0][0])) < 250


@pytest.mark.parametrize(
    ("text", "content_type", "data"),
    [
        (PNG, "image/png", b"\x89PNG"),
        ("data:image/png;base64,iVBORw", "image/png", b"\x89PNG"),
        ("data:image/png;base64,iVBO\nRw==", "image/png", b"\x89PNG"),
        ("data:image/png;base64,iVBORw%3D%3D", "image/png", b"\x89PNG"),
        ("data:text/plain;charset=utf-8,a%20b", "text/plain", b"a b"),
        ("data:text/plain;charset=utf-8;base64,YQ==", "text/plain", b"a"),
        ("data:,a", "text/plain", b"a"),
        ("data:;base64,YQ==", "text/plain", b"a"),
        ("data:Image/PNG,", "image/png", b""),
    ],
)
def test_a_data_uri_is_decoded(text: str, content_type: str, data: bytes) -> None:
    uri = DataUri.find(text)
    assert uri is not None
    assert (uri.content_type, uri.decode()) == (content_type, data)


@pytest.mark.parametrize("text", ["data:", "data: image/png,x", "data:image/png;base64", "DATA", "xdata:,"])
def test_what_only_begins_like_a_data_uri_is_none(text: str) -> None:
    assert DataUri.find(text) is None


def test_what_is_not_base64_can_not_be_decoded() -> None:
    for text in ("data:;base64,?", "data:;base64,YQ=a", "data:;base64,Y", "data:;base64,ü"):
        uri = DataUri.find(text)
        assert uri is not None
        with pytest.raises(ValueError):
            uri.decode()
