"""The exceptions: what they say, that they travel between processes, and what becomes of a failed response."""

import email.utils
import errno
import json
import pickle
import re
import socket
import ssl
import time
from typing import Any

import aiohttp
import pytest

import rxfal.errors
from rxfal.errors import (
    ApiError,
    BodyTooLargeError,
    CallbackError,
    CredentialsError,
    DecodeError,
    EndpointError,
    EventTooLargeError,
    FalError,
    StreamTimeoutError,
    TransportError,
    ValidationError,
)
from rxfal.wire.failures import Sent, error_from_response, retry_after_seconds
from rxfal.wire.masking import Secrets
from rxfal.wire.transport import transport_error

EVERY_KIND = [
    FalError("m"),
    ApiError(
        "m",
        status=503,
        body={"a": 1},
        request_id="r",
        error_type="e",
        timeout_type="t",
        retry_after=2.0,
        endpoint="o/a",
    ),
    ValidationError("m", status=422, body={"detail": "d"}),
    StreamTimeoutError(2.5, endpoint="o/a", request_id="r"),
    TransportError("m", kind="dns", endpoint="o/a"),
    DecodeError("m", data=b"\xff", endpoint="o/a"),
    EventTooLargeError(5, endpoint="o/a"),
    BodyTooLargeError(5, endpoint="o/a"),
    CallbackError("m", endpoint="o/a"),
    CredentialsError("m"),
    EndpointError("m"),
]


@pytest.mark.parametrize("error", EVERY_KIND, ids=lambda error: type(error).__name__)
def test_errors_survive_pickling_with_all_they_hold(error: FalError):
    error.add_note("seen in a worker")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
    assert copy.args == error.args


def test_the_tree_is_complete_and_its_old_relations_hold():
    named = {getattr(rxfal.errors, name) for name in rxfal.errors.__all__ if name.endswith("Error")}
    assert {type(error) for error in EVERY_KIND} == named - {rxfal.errors.FieldError}
    assert issubclass(StreamTimeoutError, TimeoutError)
    assert issubclass(EndpointError, ValueError)


@pytest.mark.parametrize(
    ("status", "settings", "retryable"),
    [
        (503, {}, True),
        (429, {}, True),
        (408, {}, True),
        (409, {}, True),
        (500, {}, False),
        (404, {}, False),
        (504, {"timeout_type": "user"}, False),
        (504, {"timeout_type": "user", "retryable": True}, False),
        (504, {"timeout_type": "infrastructure"}, True),
        (503, {"timeout_type": "user"}, True),
        (502, {"timeout_type": "user"}, True),
        (503, {"retryable": False}, False),
        (500, {"retryable": True}, True),
    ],
)
def test_whether_a_retry_can_help(status: int, settings: dict[str, Any], retryable: bool):
    assert ApiError("m", status=status, **settings).retryable is retryable


def test_a_stream_timeout_says_how_long_it_waited():
    error = StreamTimeoutError(2.5, endpoint="o/a")
    assert (error.status, error.seconds) == (408, 2.5)
    assert str(error).startswith("o/a: nothing came for 2.5 seconds")


def response_error(status: int, body: bytes = b"", sent: Sent | None = "key", **headers: str) -> ApiError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return error_from_response(status, named, body, endpoint="o/a", sent=sent, secrets=Secrets(["the-secret"]))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"detail": "no such thing"}', "no such thing"),
        (b'{"message": "no such thing"}', "no such thing"),
        (b'{"error": {"message": "no such thing"}}', "no such thing"),
        (b'{"type": "error", "errorText": "no such thing"}', "no such thing"),
        (b'{"error": "no such thing"}', "no such thing"),
        (b'{"detail": {"message": "no such thing"}}', "no such thing"),
        (b'{"detail": null, "message": "no such thing"}', "no such thing"),
        (b'"no such thing"', "no such thing"),
        (b"no such\n  thing", "no such thing"),
        (b'{"detail": [{"loc": ["body", "a", 0], "msg": "no such thing"}]}', "a.0: no such thing"),
        (b'{"detail": ["no such", 5, null, {"msg": "thing"}]}', "no such; thing"),
        (b"<html><head><title>no such &amp; thing</title></head><body>x</body></html>", "no such & thing"),
        (b"<!DOCTYPE html><html><body><h1>no such thing</h1></body></html>", "no such thing"),
        (b"<html><body>no <b>such</b> thing", "no such thing"),
        (b"", "Bad Request"),
        (b"{}", "Bad Request"),
        (b"[]", "Bad Request"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_every_shape_of_body_is_put_into_words(body: bytes, message: str):
    error = response_error(400, body)
    assert error.message == message
    assert str(error) == f"o/a: {message} (status 400)"


def test_long_texts_are_cut_and_bodies_are_kept():
    error = response_error(400, b"x" * 5000)
    assert len(error.message) == 300
    assert len(error.body) == 5000
    many = b'{"detail": [' + b",".join(b'{"loc": ["body", "f"], "msg": "wrong"}' for _ in range(9)) + b"]}"
    assert "(and 4 more)" in response_error(422, many).message


def test_the_headers_of_fal_are_read():
    error = response_error(
        504,
        b'{"detail": "too slow", "error_type": "request_timeout"}',
        x_fal_request_id="r-1",
        X_Fal_Request_Timeout_Type="user",
        Retry_After="3",
    )
    assert (error.request_id, error.error_type, error.timeout_type) == ("r-1", "request_timeout", "user")
    assert (error.retry_after, error.retryable) == (3.0, False)
    assert response_error(503, b"", X_Fal_Error_Type="runner_disconnected").error_type == "runner_disconnected"
    both = response_error(503, b'{"detail": "gone", "error_type": "runner_disconnected"}', X_Fal_Error_Type="other")
    assert both.error_type == "runner_disconnected"
    assert response_error(503, b'{"error_type": 5}', X_Fal_Error_Type="other").error_type == "other"
    assert response_error(500, b"", X_Fal_Retryable="True").retryable is True
    assert response_error(503, b"", X_Fal_Retryable="false").retryable is False
    assert response_error(503, b"", X_Fal_Retryable="perhaps").retryable is True
    for value, hint in (("1", True), ("true", True), ("0", False), ("perhaps", False)):
        error = response_error(429, b"", X_Fal_Needs_Retry=value)
        assert (error.retryable, error.retry_hint) == (True, hint)


def test_a_gateways_page_is_short_and_says_what_to_do():
    error = response_error(502, b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>")
    assert error.message == "502 Bad Gateway: try again in a moment"
    assert error.request_id is None
    assert error.retryable


def test_a_401_says_where_a_key_goes_or_that_it_is_wrong():
    without = response_error(401, b'{"detail": "Unauthorized"}', sent="nothing")
    assert "no FAL_KEY was found" in without.message
    assert "https://fal.ai/dashboard/keys" in without.message
    assert "refused the key" in response_error(401, b"", sent="key").message
    assert "refused the short-lived token" in response_error(401, b"", sent="token").message


def test_a_secret_that_the_server_repeats_is_left_out():
    for body in (b"the-secret is wrong", b'{"detail": "the-secret is wrong", "more": ["the-secret"]}'):
        error = response_error(400, body)
        assert "the-secret" not in f"{error} {error!r} {error.body!r} {vars(error)}"


def test_field_errors_are_found_by_name_and_by_path():
    body = (
        b'{"detail": [{"loc": ["body", "images", 0, "url"], "msg": "bad url", "type": "url", "ctx": {"a": 1}},'
        b' {"loc": ["body", "prompt"], "msg": "missing", "type": "missing", "input": {}}]}'
    )
    error = response_error(422, body)
    assert isinstance(error, ValidationError)
    assert error.message == "images.0.url: bad url; prompt: missing"
    assert [found["msg"] for found in error.field_errors] == ["bad url", "missing"]
    assert error.get_field_errors("url") == error.get_field_errors("images.0.url") == error.field_errors[:1]
    assert error.get_field_errors("images") == []


@pytest.mark.parametrize(
    "body", [b'{"detail": "too long"}', b'{"detail": [{"msg": "too long"}]}', b'{"detail": ["too long"]}']
)
def test_a_detail_without_a_field_is_about_the_whole_body(body: bytes):
    error = response_error(422, body)
    assert isinstance(error, ValidationError)
    assert error.field_errors == [{"loc": ["body"], "msg": "too long", "type": "value_error"}]


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b'{"detail": null}', b"<html>", b'{"message": "x"}'])
def test_a_422_without_details_has_no_field_errors(body: bytes):
    error = response_error(422, body)
    assert isinstance(error, ValidationError)
    assert error.field_errors == []


def test_retry_after_is_seconds_or_a_date():
    assert retry_after_seconds("120") == 120.0
    later = retry_after_seconds(email.utils.formatdate(time.time() + 60, usegmt=True))
    assert later is not None
    assert 50 < later <= 60
    assert retry_after_seconds("Thu, 01 Jan 1970 00:00:00 GMT") == 0.0
    for value in (None, "", "soon", "-5", "nan", "inf", "9" * 400, "Thu, 99 Foo 1970"):
        assert retry_after_seconds(value) is None


# What a message may hold


@pytest.mark.parametrize(
    "body",
    [
        b'{"detail": [{"loc": ["body", "%s"], "msg": "wrong"}]}' % (b"x" * 2**20),
        b'{"detail": [%s]}' % b",".join([b'{"loc": ["body", "%s"], "msg": "wrong"}' % (b"y" * 600)] * 9),
        b"x" * 2**20,
    ],
)
def test_a_message_has_an_end_and_room_for_what_to_do(body: bytes):
    error = response_error(413, body)
    assert len(error.message) <= 2000
    assert error.message.endswith("upload large files and send their URLs")


def test_whatever_is_put_into_a_message_is_one_line_of_limited_length():
    error = FalError("a\tb\r\nc \x1b[31mred\x07 \u202e" + "x" * 5000)
    assert error.message.startswith("a b c \ufffd[31mred\ufffd \ufffdxxx")
    assert len(error.message) == 2000
    assert str(error).isprintable()


def test_no_header_of_a_server_brings_control_characters_or_much_text():
    error = response_error(
        503,
        b'{"detail": "\\u001b[31mred\\u0007\\r\\nsecond line\\u2028third"}',
        x_fal_request_id="r\x1b[2J" + "1" * 5000,
        X_Fal_Error_Type="e\x9b",
        X_Fal_Request_Timeout_Type="t\udce4",
    )
    assert str(error).isprintable()
    assert len(str(error)) < 1000
    assert error.error_type == "e\ufffd"
    assert error.timeout_type == "t\ufffd"


def test_sentences_end_once():
    for text in ("no such thing.", "no such thing: ", "no such thing;"):
        error = response_error(404, json.dumps({"detail": text}).encode())
        assert error.message.startswith("no such thing: ")
        assert not re.search(r"[.:;,]\s*[.:;,]", error.message)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.200409, "0.2 seconds"),
        (0.05, "0.05 seconds"),
        (1.0, "1 second"),
        (61.00005, "61 seconds"),
        (600, "600 seconds"),
    ],
)
def test_durations_are_round(seconds: float, text: str):
    assert str(StreamTimeoutError(seconds)).startswith(f"nothing came for {text};")


@pytest.mark.parametrize("status", [101, 304, 300])
def test_a_status_without_a_target_is_no_redirect(status: int):
    message = response_error(status).message
    assert message.startswith({101: "Switching Protocols", 304: "Not Modified", 300: "Multiple Choices"}[status])
    assert "redirect" not in message


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_to_nowhere_says_so(status: int):
    assert response_error(status).message == "the server redirects and does not say where to; check the address"


@pytest.mark.parametrize("status", [401, 403, 404, 413])
def test_what_to_do_about_a_key_or_an_endpoint_is_not_said_where_neither_was_sent(status: int):
    assert response_error(status, b"no", sent=None).message == "no"
    assert response_error(status, b"no", sent="key").message.startswith("no: ")


def test_retryable_as_a_number_counts_too():
    assert response_error(500, X_Fal_Retryable="1").retryable is True
    assert response_error(503, X_Fal_Retryable="0").retryable is False


# Broken connections


def test_the_cause_is_found_in_the_arguments_of_an_exception_too():
    for kind, number in [
        ("out of file descriptors", errno.EMFILE),
        ("reset", errno.EPIPE),
        ("refused", errno.ECONNREFUSED),
    ]:
        failure, _ = transport_error(aiohttp.ClientError("broken", OSError(number, "why")), endpoint="o/a")
        assert failure.kind == kind


@pytest.mark.parametrize("kind", ["refused", "reset", "cut short", "dns", "tls", "timeout", "connection"])
def test_a_broken_connection_names_the_address(kind: str):
    error = {
        "refused": ConnectionRefusedError(),
        "reset": ConnectionResetError(),
        "cut short": aiohttp.ClientPayloadError(),
        "dns": socket.gaierror(),
        "tls": ssl.SSLError(),
        "timeout": TimeoutError(),
        "connection": OSError("something else."),
    }[kind]
    failure, _ = transport_error(error, endpoint="o/a", address="models.test:8600 (RXFAL_BASE_URL says so)")
    assert failure.kind == kind
    assert "models.test:8600 (RXFAL_BASE_URL says so)" in str(failure)
    assert not re.search(r"[.:;,]\s*[.:;,]", str(failure).replace("...", ""))
