"""Where downloaded files go, and what they are called."""

import os
from pathlib import Path

import pytest
from yarl import URL

from rxfal.verbs.data_uris import DataUri
from rxfal.verbs.sources import Remote, Source
from rxfal.verbs.targets import Target, Template

PLACE = Remote("", URL("https://v3.fal.media/files/cat.png"))


def name_of(source: Source | str, content_type: str = "", disposition: str | None = None) -> str:
    headers = {} if disposition is None else {"Content-Disposition": disposition}
    target = Target(
        Remote(source, URL(source, encoded=True)) if isinstance(source, str) else source, content_type, headers
    )
    return target.name + target.ext


@pytest.mark.parametrize(
    ("url", "content_type", "name"),
    [
        ("https://h/files/cat.png?sig=x.jpg", "image/jpeg", "cat.png"),
        ("https://h/files/a%20cat.png", "", "a cat.png"),
        ("https://h/files/katze%C3%BC.png", "", "katzeü.png"),
        ("https://h/files/cat", "image/png", "cat.png"),
        ("https://h/files/cat.v2", "image/png", "cat.v2"),
        ("https://h/files/Dr. Cat", "image/png", "Dr. Cat.png"),
        ("https://h/", "image/png", "file.png"),
        ("https://h", "video/mp4", "file.mp4"),
        ("https://h/files/", "image/webp", "files.webp"),
        ("https://h/sound", "audio/wav", "sound.wav"),
        ("https://h/what", "x/unheard-of", "what"),
        ("https://h/what", "", "what"),
        ("https://h/a/..%2F..%2Fetc%2Fpasswd", "", "passwd"),
        ("https://h/a/%2e%2e", "image/png", "file.png"),
        ("https://h/a/..%5C..%5Cboot.ini", "", "boot.ini"),
        ("https://h/a/.bashrc", "", "bashrc"),
        ("https://h/a/x%00y%0A%1B%5B31m.png", "", "x_y__[31m.png"),
        ("https://h/a/x%E2%80%AEgnp.exe", "", "xgnp.exe"),
        ("https://h/a/con.png", "", "_con.png"),
        ("https://h/a/C%3A%5Cx.png", "", "x.png"),
        ("https://h/a/a%3Ab%7C%3F.png", "", "a_b__.png"),
        ("https://h/a/%FF%FE.png", "", "��.png"),
        ("https://h/a/trailing.%20.", "", "trailing"),
        (f"https://h/{'x' * 400}.png", "", f"{'x' * 150}.png"),
        (f"https://h/{'%C3%BC' * 100}.png", "", f"{'ü' * 75}.png"),
    ],
)
def test_a_name_comes_from_the_url_and_is_nothing_but_a_name(url: str, content_type: str, name: str) -> None:
    assert name_of(url, content_type) == name


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="dog.jpg"', "dog.jpg"),
        ("attachment; filename=dog.jpg", "dog.jpg"),
        ("attachment; filename*=UTF-8''h%C3%BCnd.jpg", "hünd.jpg"),
        ('attachment; filename="../../etc/passwd"', "passwd.png"),
        ('attachment; filename="..\\\\..\\\\x.jpg"', "x.jpg"),
        ('attachment; filename="/etc/cron.d/x"', "x.png"),
        ('attachment; filename=".."', "file.png"),
        ("attachment; filename*=no-such-charset''x", "x.png"),
        ("attachment", "cat.png"),
        ("inline; filename=", "cat.png"),
        ('attachment; filename="h\udcc3\udcbcnd.jpg"', "hünd.jpg"),
        ("", "cat.png"),
        ("=;*'';;filename*0*=", "cat.png"),
    ],
)
def test_a_name_that_the_server_gives_goes_first(disposition: str, name: str) -> None:
    assert name_of("https://h/cat.png", "image/png", disposition) == name


def test_a_data_uri_has_its_type_alone() -> None:
    for text, name in (("data:image/png;base64,", "file.png"), ("data:,x", "file.txt"), ("data:a/b,", "file")):
        uri = DataUri.find(text)
        assert uri is not None
        assert name_of(uri, "image/gif") == name


def test_a_path_is_a_file(tmp_path: Path) -> None:
    for to in (tmp_path / "cat.png", str(tmp_path / "cat.png")):
        template = Template(to, 1, None)
        assert not template.needs_name
        assert template.path(0) == tmp_path / "cat.png"


@pytest.mark.parametrize("count", [1, 3])
def test_a_folder_takes_files_by_their_names(tmp_path: Path, count: int) -> None:
    strange = tmp_path / "{a} folder"
    strange.mkdir()
    for to in (strange, str(strange), f"{strange}/".replace("{a}", "{{a}}")):
        assert Template(to, count, None).path(0, Target(PLACE)) == strange / "cat.png"
    assert Template(f"{tmp_path}/new/", count, None).path(0, Target(PLACE)) == tmp_path / "new" / "cat.png"
    assert Template(f"{tmp_path}/{{request_id}}/", count, "r1").path(0, Target(PLACE)) == tmp_path / "r1" / "cat.png"


def test_a_template_has_four_fields() -> None:
    template = Template("{request_id}/{index:03}-{name}{ext}", 2, "abc")
    assert template.path(7, Target(PLACE)) == Path("abc/007-cat.png")
    assert Template("{{x}}-{index}", 2, None).path(1) == Path("{x}-1")


def test_an_id_can_not_lead_out_of_the_folder() -> None:
    assert Template("out/{request_id}/{index}", 2, "../../x").path(0) == Path("out/x/0")
    with pytest.raises(ValueError, match="no request_id"):
        Template("out/{request_id}/{index}", 2, "..")


@pytest.mark.parametrize("to", ["{", "a}", "{}", "{0}", "{nothing}", "{name.upper}", "{index[0]}", "{index:z}"])
def test_what_is_no_template_is_an_error(to: str) -> None:
    with pytest.raises(ValueError, match=f"^to is {to!r}".replace("{", r"\{").replace("[", r"\[")):
        Template(to, 1, None)


def test_one_place_is_not_enough_for_several_files(tmp_path: Path) -> None:
    for to in ("cat.png", "cat{ext}", "{request_id}.png"):
        with pytest.raises(ValueError, match=r"there are 2 files, .* \{index\}"):
            Template(to, 2, "abc")


def test_what_is_no_path_is_an_error() -> None:
    for to in ("", "a\0b"):
        with pytest.raises(ValueError, match="to is a path"):
            Template(to, 1, None)
    with pytest.raises(TypeError):
        Template(5, 1, None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="to is a path, a text"):
        Template(os.fsencode("x"), 1, None)  # pyright: ignore[reportArgumentType]
