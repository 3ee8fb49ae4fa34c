"""Endpoint ids and URLs, and who may see a credential."""

from typing import Any

import pytest
from yarl import URL

from rxfal.errors import EndpointError
from rxfal.wire.config import Config
from rxfal.wire.endpoints import Endpoint, encode_query, may_see_credential, may_take_upload

CONFIG = Config()


def parts(app: str, config: Config = CONFIG) -> tuple[str, str, str, str]:
    endpoint = Endpoint.parse(app, config)
    assert endpoint.id == app
    return endpoint.namespace, endpoint.owner, endpoint.alias, endpoint.path


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        ("owner/alias", ("", "owner", "alias", "")),
        ("owner/alias/", ("", "owner", "alias", "")),
        ("fal-ai/flux/dev", ("", "fal-ai", "flux", "dev")),
        ("owner/alias/a/b.c", ("", "owner", "alias", "a/b.c")),
        ("workflows/owner/alias", ("workflows", "owner", "alias", "")),
        ("comfy/owner/alias/x", ("comfy", "owner", "alias", "x")),
        ("12345-some-app", ("", "12345", "some-app", "")),
        ("https://fal.run/owner/alias/x", ("", "owner", "alias", "x")),
        ("https://fal.run/workflows/owner/alias", ("workflows", "owner", "alias", "")),
        ("HTTPS://FAL.RUN/owner/alias", ("", "owner", "alias", "")),
        ("https://gateway.fal.ai:443/owner/alias/", ("", "owner", "alias", "")),
    ],
)
def test_an_endpoint_is_read(app: str, expected: tuple[str, ...]):
    assert parts(app) == expected


@pytest.mark.parametrize(
    "app",
    [
        "",
        "alias",
        "12345",
        "workflows/owner",
        "comfy",
        "/owner/alias",
        "owner//alias",
        "owner/alias//",
        "//evil.com/a/b",
        "../../x",
        "owner/..",
        "owner/../x",
        "./owner/alias",
        "owner/alias/..",
        "owner/%2e%2e/x",
        "owner/alias%2f..",
        "a/b%00",
        "owner /alias",
        " owner/alias",
        "owner/alias\n",
        "owner\\alias/x",
        "owner/al\x00ias",
        "owner/al\u2028ias",
        "owner/alias?x=1",
        "owner/alias#x",
        "user@host:80//x",
        "öwner/alias",
        "owner/ali as",
        "owner/alias;x",
        "https://fal.run",
        "https://fal.run/",
        "https://fal.run/owner",
        "https://fal.run//owner/alias",
        "https://fal.run/owner/alias/../../x",
        "https://fal.run/a/%2e%2e/b",
    ],
)
def test_what_is_no_endpoint_is_refused(app: str):
    with pytest.raises(EndpointError):
        Endpoint.parse(app, CONFIG)


def test_the_message_says_what_an_id_looks_like():
    with pytest.raises(EndpointError, match=r"Invalid app id: 'flux'\. Must be in the format <appOwner>/<appId>"):
        Endpoint.parse("flux", CONFIG)
    with pytest.raises(ValueError, match="not NoneType"):
        Endpoint.parse(None, CONFIG)  # pyright: ignore[reportArgumentType]


TRICKS = [
    "http://fal.run/x/y",
    "https://evilfal.run/x/y",
    "https://evilfal.ai/x/y",
    "https://fal.run.evil.com/x/y",
    "https://fal.ai.evil.com/x/y",
    "http://fal.run@evil.com/",
    "https://fal.run@evil.com/x/y",
    "https://fal.run:pass@evil.com/x/y",
    "https://user:pass@fal.run/x/y",
    "https://@fal.run/x/y",
    "https://evil.com/fal.run/x",
    "https://evil.com#.fal.run/x/y",
    "https://evil.com?.fal.run/x/y",
    "https://evil.com\\.fal.run/x/y",
    "https://fal.run\\@evil.com/x/y",
    "https://fal.run./x/y",
    "https://.fal.run./x/y",
    "https://fal-run/x/y",
    "https://run/x/y",
    "https://fаl.run/x/y",  # a Cyrillic letter
    "https://xn--fl-7cd.run/x/y",
    "https://fal。run.evil.com/x/y",
    "https://ｆal.run/x/y",
    "https://fal.run%2eevil.com/x/y",
    "https://fal.run%00.evil.com/x/y",
    "https://fal.run\t.evil.com/x/y",
    "https:// fal.run/x/y",
    "https:///fal.run/x/y",
    "ftp://fal.run/x/y",
    "file:///etc/passwd",
    "javascript://fal.run/x/y",
    "x://y/z",
    "://fal.run/x/y",
    "https://127.0.0.1/x/y",
    "https://[::1]/x/y",
    "https://fal.run:99999/x/y",
    "https://[fal.run/x/y",
]


@pytest.mark.parametrize("app", TRICKS)
def test_a_host_that_is_not_trusted_is_no_endpoint(app: str):
    with pytest.raises(EndpointError):
        Endpoint.parse(app, CONFIG)


@pytest.mark.parametrize("app", TRICKS)
def test_and_never_sees_a_credential(app: str):
    try:
        url = URL(app)
    except ValueError:
        return
    # Two of them are spellings that, read leniently, lead to fal's own host and nowhere else.
    assert not may_see_credential(url, CONFIG) or url.origin() == URL("https://fal.run")


@pytest.mark.parametrize("app", ["wss://fal.run/a/b", "ws://127.0.0.1:8600/a/b", "file:///a/b"])
def test_another_scheme_is_refused_even_with_a_trusted_host(app: str):
    with pytest.raises(EndpointError, match=r"begins with https://, not (wss?|file)://.*https://fal\.run/owner/alias"):
        Endpoint.parse(app, Config(base_url="http://127.0.0.1:8600"))


def test_a_refused_url_is_not_repeated_with_its_secrets():
    for app in ("https://me:hunter2@evil.com/x/y", "https://fal.run/x/y?fal_jwt_token=hunter2", "x/y?t=hunter2"):
        with pytest.raises(EndpointError) as caught:
            Endpoint.parse(app, CONFIG)
        assert "hunter2" not in str(caught.value)
    with pytest.raises(EndpointError, match=r"'/x\?\.\.\.'") as caught:
        Endpoint.parse("x/y", CONFIG).url(CONFIG, path="/x?fal_jwt_token=hunter2")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://fal.run/x",
        "https://queue.fal.run/x",
        "https://rest.fal.ai/",
        "https://v3.b.fal.media.fal.ai/",
        "https://falrun.com/x",
        "https://queue.falrun.com/x",
        "wss://fal.run/x",
    ],
)
def test_fals_hosts_see_credentials_over_tls(url: str):
    assert may_see_credential(URL(url), CONFIG)
    assert not may_see_credential(URL(url.replace("https", "http").replace("wss", "ws")), CONFIG)


@pytest.mark.parametrize(
    "host", ["x.falrun.com", "evilfalrun.com", "falrun.com.evil.com", "queue.falrun.com.", "falrun"]
)
def test_of_the_backup_hosts_only_the_two_see_credentials(host: str):
    assert not may_see_credential(URL(f"https://{host}/x"), CONFIG)


@pytest.mark.parametrize(
    "url",
    [
        "https://v3.fal.media/files/a.png?signature=s",
        "https://storage.googleapis.com/bucket/a",
        "https://some-cdn.example.:8443/a",
        "https://1.example.com/a",
        "https://xn--bcher-kva.example/a",
    ],
)
def test_a_file_may_go_over_tls_to_any_host_with_a_name(url: str):
    assert may_take_upload(URL(url), CONFIG)
    assert not may_take_upload(URL(url.replace("https:", "http:")), CONFIG)


@pytest.mark.parametrize(
    "url",
    [
        "http://rest.fal.ai/a",
        "https://10.0.0.1/a",
        "https://169.254.169.254/latest",
        "https://127.1/a",
        "https://2130706433/a",
        "https://0x7f000001/a",
        "https://0x7f.0.0.0x1/a",
        "https://127.0.0.1./a",
        "https://[::1]/a",
        "https://[::ffff:10.0.0.1]/a",
        "https://localhost/a",
        "https://router/a",
        "https://me@cdn.example/a",
        "https://me:pass@cdn.example/a",
        "https://@10.0.0.1/a",
        "ftp://cdn.example/a",
        "file:///etc/passwd",
        "wss://cdn.example/a",
        "/relative",
    ],
)
def test_a_file_goes_nowhere_else(url: str):
    assert not may_take_upload(URL(url, encoded=True), CONFIG) or url.startswith("wss:")


def test_a_file_may_go_to_a_host_of_the_configuration():
    config = Config(base_url="http://127.0.0.1:8600", trusted_hosts=frozenset({"minio", "10.0.0.2:9000"}))
    for url in ("http://127.0.0.1:8600/x", "http://127.0.0.1:9000/x", "http://minio:81/", "https://10.0.0.2:9000/"):
        assert may_take_upload(URL(url), config), url
    for url in ("https://127.0.0.1:8600/x", "http://127.0.0.2:8600/", "https://10.0.0.2/", "http://me@127.0.0.1:8600/"):
        assert not may_take_upload(URL(url), config), url


def test_what_is_configured_sees_credentials():
    config = Config(
        base_url="http://127.0.0.1:8600",
        proxy_url="https://me.test/proxy",
        trusted_hosts=frozenset({"Mine.test", "b.test:81"}),
    )
    for url in (
        "http://127.0.0.1:8600/x",
        "https://me.test/",
        "https://mine.test/x",
        "http://mine.test:9/",
        "http://b.test:81/",
    ):
        assert may_see_credential(URL(url), config), url
    for url in (
        "http://127.0.0.1:8601/",
        "https://127.0.0.1:8600/",
        "http://me.test/",
        "http://b.test/",
        "https://x.mine.test/",
    ):
        assert not may_see_credential(URL(url), config), url
    assert may_see_credential(URL("ws://127.0.0.1:8600/x"), config)
    assert not may_see_credential(URL("/relative"), config)


def test_a_url_of_a_configured_server_stands_for_an_endpoint():
    config = Config(base_url="http://127.0.0.1:8600/prefix", trusted_hosts=frozenset({"mine.test"}))
    endpoint = Endpoint.parse("http://127.0.0.1:8600/prefix/owner/alias", config)
    assert (endpoint.owner, endpoint.alias) == ("owner", "alias")
    assert str(endpoint.stream_url(config)) == "http://127.0.0.1:8600/prefix/owner/alias/stream"
    endpoint = Endpoint.parse("http://mine.test:81/owner/alias", config)
    assert str(endpoint.stream_url(config)) == "http://mine.test:81/owner/alias/stream"


@pytest.mark.parametrize(
    ("app", "path", "url"),
    [
        ("owner/alias", None, "https://fal.run/owner/alias/stream"),
        ("owner/alias", "", "https://fal.run/owner/alias"),
        ("owner/alias", "/", "https://fal.run/owner/alias"),
        ("owner/alias", "v1/chat", "https://fal.run/owner/alias/v1/chat"),
        ("owner/alias", "/v1/chat/", "https://fal.run/owner/alias/v1/chat/"),
        ("owner/alias/stream", None, "https://fal.run/owner/alias/stream"),
        ("owner/alias/stream", "/stream", "https://fal.run/owner/alias/stream/stream"),
        ("owner/alias/stream", "", "https://fal.run/owner/alias/stream"),
        ("owner/alias/realtime", "/realtime", "https://fal.run/owner/alias/realtime/realtime"),
        ("owner/stream", None, "https://fal.run/owner/stream"),
        ("owner/alias/stream", "/x", "https://fal.run/owner/alias/stream/x"),
        ("owner/alias/upstream", None, "https://fal.run/owner/alias/upstream/stream"),
        ("workflows/owner/alias", None, "https://fal.run/workflows/owner/alias/stream"),
        ("owner/alias", "/a b/ü:c", "https://fal.run/owner/alias/a%20b/%C3%BC:c"),
        ("https://queue.fal.run/owner/alias", None, "https://queue.fal.run/owner/alias/stream"),
    ],
)
def test_the_url_of_a_stream(app: str, path: str | None, url: str):
    assert str(Endpoint.parse(app, CONFIG).stream_url(CONFIG, path=path)) == url


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "/../x",
        "a/../b",
        ".",
        "a//b",
        "//evil.com/x",
        "a\\b",
        "a?b",
        "a#b",
        "%2e%2e/x",
        "a%2fb",
        "a\nb",
        "a\x00",
        " .. /x",
    ],
)
def test_a_path_can_not_lead_out(path: str):
    with pytest.raises(EndpointError):
        Endpoint.parse("owner/alias", CONFIG).url(CONFIG, path=path)


def test_a_query_is_encoded_as_fal_reads_it():
    query: dict[str, Any] = {
        "s": "a b&c=",
        "t": True,
        "n": None,
        "i": 3,
        "f": 0.5,
        "l": [1, "x"],
        "d": {"k": None},
        "e": "",
    }
    url = Endpoint.parse("owner/alias", CONFIG).url(CONFIG, query=query)
    assert dict(url.query) == {
        "s": "a b&c=",
        "t": "true",
        "n": "null",
        "i": "3",
        "f": "0.5",
        "l": '[1,"x"]',
        "d": '{"k":null}',
        "e": "",
    }
    assert "?" not in str(Endpoint.parse("owner/alias", CONFIG).url(CONFIG, query={}))


def test_a_query_that_json_can_not_carry_names_its_place():
    with pytest.raises(TypeError, match=r"query\.image\[0\] is bytes"):
        encode_query({"image": [b"x"]})


def test_the_server_of_models_is_trusted_with_the_key_and_that_of_schemas_is_not():
    config = Config(api_url="http://models.test/v1", openapi_url="http://schemas.test/openapi")
    assert may_see_credential(URL("http://models.test/v1/models"), config)
    assert not may_see_credential(URL("http://schemas.test/openapi"), config)
