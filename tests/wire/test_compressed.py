"""Compressed bodies: decompressed as they come, in bounded steps, and never taken for whole when they are not."""

import gzip
import zlib
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import Callable

import pytest

from rxfal.errors import ApiError, DecodeError, FalError, TransportError
from rxfal.wire.compressed import Decompressor
from rxfal.wire.http import Http
from tests.wire.servers import answer, replies, request_to, scripted

MakeHttp = Callable[..., Http]
TEXT = b"".join(b'data: {"n": %d}\n\n' % n for n in range(2000))


def bare_deflate(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush()


WHOLE = {
    "gzip": ("gzip", gzip.compress(TEXT)),
    "x-gzip": ("X-GZip ", gzip.compress(TEXT)),
    "several gzips": ("gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
    "deflate": ("deflate", zlib.compress(TEXT)),
    "bare deflate": ("deflate", bare_deflate(TEXT)),
    "junk behind": ("gzip", gzip.compress(TEXT) + b"junk" * 100 + gzip.compress(b"no more")),
    "zeros behind": ("gzip", gzip.compress(TEXT) + bytes(512)),
    "half a magic behind": ("gzip", gzip.compress(TEXT) + b"\x1f"),
}


def decompressed(encoding: str, pieces: list[bytes]) -> bytes:
    decompressor, data = Decompressor(encoding), b""
    for piece in pieces:
        decompressor.feed(piece)
        while step := decompressor.take():
            assert len(step) <= 2**18
            data += step
    decompressor.close()
    return data


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(("encoding", "body"), WHOLE.values(), ids=WHOLE)
def test_a_body_cut_anywhere_comes_out_whole(encoding: str, body: bytes, size: int):
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    assert decompressed(encoding, pieces) == TEXT


def test_a_bomb_comes_out_in_bounded_steps():
    assert len(decompressed("gzip", [gzip.compress(bytes(2**24))])) == 2**24


def test_no_body_at_all_is_no_error():
    assert decompressed("gzip", []) == b""


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("left", [1, 5, 100])
def test_one_that_ends_early_was_cut(encoding: str, left: int):
    _, body = WHOLE[encoding]
    with pytest.raises(TransportError, match="cut short") as caught:
        decompressed(encoding, [body[:-left]])
    assert (caught.value.kind, caught.value.retryable) == ("cut short", True)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b'{"plain": 1}'),
        ("gzip", b"\x1f\x8b\x08 and no gzip"),
        ("gzip", gzip.compress(TEXT)[:50] + b"x" * 500),
        ("deflate", b"x is how a deflate begins, but it goes on otherwise"),
    ],
)
def test_what_is_not_what_it_says_is_said_so(encoding: str, body: bytes):
    with pytest.raises(DecodeError, match=r"not the .* that its Content-Encoding says") as caught:
        decompressed(encoding, [body])
    assert not caught.value.retryable
    assert caught.value.data


def test_an_encoding_that_is_not_known_is_named():
    with pytest.raises(DecodeError, match=r"Content-Encoding 'br, gzip', .*identity"):
        decompressed("br, gzip", [b"xyz"])


# Over the wire


@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
async def test_an_answer_is_decompressed(make_http: MakeHttp, framing: str):
    body = WHOLE["gzip"][1]

    async def handler(reader: Reader, writer: Writer, head: bytes) -> None:
        encoding = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
        match framing:
            case "length":
                writer.write(encoding + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            case "chunks":
                writer.write(encoding + b"Transfer-Encoding: chunked\r\n\r\n")
                writer.write(b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")
            case _:
                writer.write(encoding + b"\r\n" + body)
                writer.close()

    async with scripted(handler) as server:
        assert await make_http(server.url).fetch(request_to(server.url)) == TEXT
    assert b"Accept-Encoding: gzip, deflate\r\n" in server.heads[0]


@pytest.mark.parametrize(
    ("body", "encoding", "kind"),
    [
        (WHOLE["gzip"][1][:-1], "gzip", TransportError),
        (b"no gzip, and it has the-secret-key in it", "gzip", DecodeError),
        (b"abc", "br", DecodeError),
    ],
)
async def test_what_can_not_be_decompressed_is_an_error_of_the_endpoint(
    make_http: MakeHttp, body: bytes, encoding: str, kind: type[FalError]
):
    async with scripted(replies(answer(body, "200 OK", f"Content-Encoding: {encoding}"))) as server:
        with pytest.raises(kind) as caught:
            await make_http(server.url).fetch(request_to(server.url))
    assert caught.value.endpoint == "owner/alias"
    assert "the-secret-key" not in f"{caught.value} {vars(caught.value)}"
    assert len(server.heads) == 1


async def test_an_error_says_what_it_says_also_when_it_is_compressed(make_http: MakeHttp):
    told = gzip.compress(b'{"detail": "the model burst"}')
    for body, message in [(told, "the model burst"), (told[:-1], "the model burst"), (b"no gzip", "Bad Request")]:
        async with scripted(replies(answer(body, "400 X", "Content-Encoding: gzip"))) as server:
            with pytest.raises(ApiError, match=message) as caught:
                await make_http(server.url).fetch(request_to(server.url))
        assert caught.value.status == 400
