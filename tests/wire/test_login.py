"""The login of `fal auth login` and the secrets of a notebook: found, renewed, saved, and told about when they end."""

import asyncio
import base64
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import SecretStr

from rxfal.errors import ApiError, CredentialsError, TransportError
from rxfal.wire import credentials, login
from rxfal.wire.config import Config
from rxfal.wire.credentials import Credentials
from rxfal.wire.http import Http
from tests.hidden import assert_hidden
from tests.wire.servers import Scripted, answer, replies, request_to, scripted

MakeHttp = Callable[..., Http]


def access_token(seconds: float, name: str = "someone") -> str:
    """A JWT that expires so many seconds from now; nobody checks its signature."""
    claims = json.dumps({"sub": name, "exp": int(time.time() + seconds)}).encode()
    return f"eyJhbGciOiJub25lIn0.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.signature"


class Home:
    """The folder of fal's tools, and the file of the login in it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "auth0_token"

    def write(self, content: str | bytes) -> None:
        self.file.write_bytes(content.encode() if isinstance(content, str) else content)
        self.file.chmod(0o644)

    def read(self) -> str:
        return self.file.read_text()

    def names(self) -> list[str]:
        return [path.name for path in self.file.parent.iterdir()]

    def mode(self) -> int:
        return self.file.stat().st_mode & 0o777


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("FAL_HOME_DIR", str(tmp_path))
    return Home(tmp_path)


async def header(credentials: Credentials, http: Http | None = None) -> str | None:
    async def post(url: str, form: Any) -> Any:
        raise AssertionError("nothing is to be renewed")

    found = await credentials.current(http.post_form if http else post)
    return found and found.header()


async def test_a_good_token_of_the_file_is_sent_as_bearer(home: Home, make_http: MakeHttp):
    token = access_token(3600)
    home.write(f"refresh-token\n{token}\n")
    async with scripted(replies(answer())) as server:
        config = Config(run_url=server.url)
        http = Http(config, Credentials(None, config))
        await http.fetch(request_to(server.url))
        await http.aclose()
    assert f"Authorization: Bearer {token}\r\n".encode() in server.heads[0]


@pytest.mark.parametrize(
    ("environment", "used"),
    [
        ({}, "Bearer"),
        ({"FAL_KEY": "a-key"}, "Key"),
        ({"FAL_KEY_ID": "an-id", "FAL_KEY_SECRET": "a-secret"}, "Key"),
        ({"FAL_KEY": "a-key", "FAL_FORCE_AUTH_BY_USER": "1"}, "Bearer"),
        ({"FAL_KEY": "a-key", "FAL_FORCE_AUTH_BY_USER": "0"}, "Key"),
    ],
)
async def test_keys_of_the_environment_go_first_unless_the_login_is_asked_for(
    home: Home, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], used: str
):
    home.write(f"refresh-token\n{access_token(3600)}")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for config in (Config(), Config.from_env()):
        found = await header(Credentials(None, config))
        assert found is not None
        assert found.startswith(f"{used} ")


async def test_what_is_given_goes_before_the_login(home: Home, monkeypatch: pytest.MonkeyPatch):
    home.write(f"refresh-token\n{access_token(3600)}")
    monkeypatch.setenv("FAL_FORCE_AUTH_BY_USER", "1")
    assert await header(Credentials("given", Config())) == "Key given"
    assert await header(Credentials(None, Config(key=SecretStr("configured")))) == "Key configured"
    assert await header(Credentials("", Config())) is None


async def test_the_login_stays_away_from_a_server_of_ones_own(home: Home, monkeypatch: pytest.MonkeyPatch):
    home.write(f"refresh-token\n{access_token(3600)}")
    monkeypatch.setenv("FAL_FORCE_AUTH_BY_USER", "1")
    assert await header(Credentials(None, Config(base_url="http://127.0.0.1:8600"))) is None
    monkeypatch.setenv("FAL_KEY", "a-key")
    monkeypatch.setenv("RXFAL_BASE_URL", "http://127.0.0.1:8600")
    assert await header(Credentials(None, Config.from_env())) == "Key a-key"


@pytest.mark.parametrize("content", [None, b"", b" \n \n", b"\xff\xfe"])
async def test_without_a_login_there_is_no_credential(home: Home, content: bytes | None):
    if content is not None:
        home.write(content)
    assert await header(Credentials(None, Config())) is None


async def test_a_login_that_is_made_meanwhile_is_found(home: Home):
    found = Credentials(None, Config())
    assert await header(found) is None
    home.write(f"refresh-token\n{access_token(3600)}")
    assert str(await header(found)).startswith("Bearer ")
    assert repr(found) == "Credentials(the login)"


# Renewal


class Renewals:
    """fal's login server: it takes forms, and answers with what the test wants."""

    def __init__(self) -> None:
        self.forms: list[dict[str, list[str]]] = []
        self.reply = answer(json.dumps({"access_token": access_token(3600, "renewed")}).encode())
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        assert b"\r\nAuthorization" not in head
        assert b"Content-Type: application/x-www-form-urlencoded\r\n" in head
        self.forms.append(parse_qs((await reader.readexactly(length)).decode()))
        await self.open.wait()
        writer.write(self.reply)


def renews_at(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "TOKEN_URL", f"{server.url}/oauth/token")


@pytest.mark.parametrize("access", ["", access_token(-60), access_token(120), "no.jwt.at-all", "a.W10.b"])
@pytest.mark.parametrize("newer", [None, "rotated-refresh-token"])
async def test_an_expired_token_is_renewed_and_saved(
    home: Home, make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch, access: str, newer: str | None
):
    home.write(f"old-refresh-token\n{access}")
    renewals, token = Renewals(), access_token(3600, "renewed")
    renewals.reply = answer(json.dumps({"access_token": token, "refresh_token": newer, "expires_in": 86400}).encode())
    async with scripted(renewals) as server:
        renews_at(server, monkeypatch)
        found, http = Credentials(None, Config()), make_http(server.url)
        assert [await header(found, http) for _ in range(2)] == [f"Bearer {token}"] * 2
    assert [form["refresh_token"] for form in renewals.forms] == [["old-refresh-token"]]
    assert renewals.forms[0]["grant_type"] == ["refresh_token"]
    assert home.read() == f"{newer or 'old-refresh-token'}\n{token}"
    assert home.names() == ["auth0_token"]
    if sys.platform != "win32":
        assert home.mode() == 0o600


async def test_many_who_need_it_at_once_share_one_renewal(
    home: Home, make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch
):
    home.write("a-refresh-token")
    renewals = Renewals()
    renewals.open.clear()
    async with scripted(renewals) as server:
        renews_at(server, monkeypatch)
        found, http = Credentials(None, Config()), make_http(server.url)
        asking = [asyncio.ensure_future(header(found, http)) for _ in range(20)]
        await asyncio.sleep(0)
        renewals.open.set()
        assert len(set(await asyncio.gather(*asking))) == 1
    assert len(renewals.forms) == 1


@pytest.mark.parametrize(
    "reply",
    [
        answer(b'{"error": "invalid_grant", "error_description": "of a-refresh-token"}', "403 Forbidden"),
        answer(b'{"error": "invalid_request"}', "400 Bad Request"),
        answer(b"{}"),
        answer(b'["a-refresh-token"]'),
        answer(b'{"access_token": ""}'),
    ],
)
async def test_a_login_that_has_ended_says_what_to_do(
    home: Home, make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch, reply: bytes
):
    home.write("a-refresh-token")
    renewals = Renewals()
    renewals.reply = reply
    async with scripted(renewals) as server:
        renews_at(server, monkeypatch)
        with pytest.raises(CredentialsError, match="run `fal auth login` again") as caught:
            await header(Credentials(None, Config()), make_http(server.url))
    assert_hidden(caught.value, "a-refresh-token")
    assert home.read() == "a-refresh-token"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (answer(b"sorry, a-refresh-token", "503 Unavailable"), ApiError),
        (b"", TransportError),
    ],
)
async def test_a_login_that_can_not_be_renewed_now_is_an_error_of_the_connection(
    home: Home, make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch, reply: bytes, kind: type[Exception]
):
    home.write("a-refresh-token")

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.write(reply)
        writer.close()

    async with scripted(handler) as server:
        renews_at(server, monkeypatch)
        with pytest.raises(kind, match="/oauth/token") as caught:
            await header(Credentials(None, Config()), make_http(server.url))
    assert_hidden(caught.value, "a-refresh-token")


async def test_a_renewed_login_is_used_though_it_can_not_be_saved(
    home: Home, make_http: MakeHttp, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    home.write("a-refresh-token")

    def full(*args: Any, **options: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    renewals = Renewals()
    async with scripted(renewals) as server:
        renews_at(server, monkeypatch)
        found, http = Credentials(None, Config()), make_http(server.url)
        assert [str(await header(found, http))[:7] for _ in range(2)] == ["Bearer "] * 2
    assert len(renewals.forms) == 1
    assert "could not be saved" in caplog.text
    assert home.names() == ["auth0_token"]


async def test_a_refused_login_is_read_again_and_called_one(home: Home):
    home.write(f"refresh-token\n{access_token(3600, 'one')}")
    async with scripted(replies(answer(b"", "401 Unauthorized"), answer())) as server:
        config = Config(run_url=server.url)
        http = Http(config, Credentials(None, config))
        with pytest.raises(ApiError, match=r"refused the access token.*fal auth login"):
            await http.fetch(request_to(server.url))
        again = access_token(3600, "two")
        home.write(f"refresh-token\n{again}")
        await http.fetch(request_to(server.url))
        await http.aclose()
    assert again.encode() in server.heads[1]


# Notebooks


@pytest.fixture
def colab(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A Google Colab whose secrets the list holds: each asking takes one, and without one is refused."""
    secrets: list[str] = []

    def get(name: str) -> str:
        assert name == "FAL_KEY"
        return secrets.pop()

    shell = type("Shell", (), {"__module__": "google.colab._shell"})()
    for name, contents in {
        "IPython": {"get_ipython": lambda: shell},
        "google": {"__path__": []},
        "google.colab": {"__path__": []},
        "google.colab.userdata": {"get": get},
    }.items():
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)
    credentials._colab_key.cache_clear()
    yield secrets
    credentials._colab_key.cache_clear()


async def test_a_notebooks_secret_is_asked_for_once(colab: list[str]):
    colab += ["never given", " a-notebooks-key\n"]
    assert [await header(Credentials(None, Config())) for _ in range(2)] == ["Key a-notebooks-key"] * 2
    assert colab == ["never given"]


async def test_a_notebook_without_the_secret_goes_on_to_the_login(colab: list[str], home: Home):
    assert await header(Credentials(None, Config())) is None
    home.write(f"refresh-token\n{access_token(3600)}")
    assert str(await header(Credentials(None, Config()))).startswith("Bearer ")


async def test_the_environment_goes_before_the_notebook(colab: list[str], monkeypatch: pytest.MonkeyPatch):
    colab += ["a-notebooks-key"]
    monkeypatch.setenv("FAL_KEY", "from-environment")
    assert await header(Credentials(None, Config())) == "Key from-environment"
    assert await header(Credentials(None, Config(base_url="http://127.0.0.1:8600"))) == "Key from-environment"
    assert colab == ["a-notebooks-key"]
