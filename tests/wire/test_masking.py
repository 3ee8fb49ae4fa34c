"""What is taken out of texts, and what is left as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxfal.wire.masking import Secrets, without_queries

SECRETS = Secrets(["id-of-key:se/cret+val=ue", "a.token+1"])


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("the key id-of-key:se/cret+val=ue is wrong", "the key *** is wrong"),
        ("no such key: id-of-key", "no such key: ***"),
        ("no such secret: se/cret+val=ue!", "no such secret: ***!"),
        ("https://se/cret+val=ue.evil.com", "https://***.evil.com"),
        ("SE/CRET is another word", "SE/CRET is another word"),
        ("b'X-Echo: Key id-of-key:se/cret+v'", "b'X-Echo: Key ***:***'"),
        ("cret+val=ue', and more", "***', and more"),
        (r"{\"key\": \"se\/cret+val=ue\"}", r"{\"key\": \"***\"}"),
        ("?t=se%2Fcret%2Bval%3Due&u=a.token%2B1", "?t=***&u=***"),
        ("a.token+1a.token+1", "******"),
        ("nothing of the kind", "nothing of the kind"),
        ("", ""),
    ],
)
def test_a_secret_is_hidden_in_every_spelling_and_in_pieces(text: str, masked: str):
    assert SECRETS.mask(text) == masked


def test_a_host_name_is_the_secret_in_lower_case():
    assert Secrets(["AbCdEfGhIjKl"]).mask("https://abcdefghijkl.evil.com") == "https://***.evil.com"


def test_what_is_as_short_as_a_word_is_no_secret():
    assert Secrets(["model", "", "id:key"]).mask("the model's id and key") == "the model's id and key"


def test_json_is_masked_in_names_and_values_however_it_is_escaped():
    assert SECRETS.mask_value({"a.token+1": ["se/cret+val=ue", 1, None]}) == {"***": ["***", 1, None]}
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in "se/cret+val=ue")
    assert SECRETS.mask_bytes(f'{{"a": "{escaped}"}}'.encode()) == b'{"a":"***"}'
    assert SECRETS.mask_bytes(b'{"a": 1, "a": "a.token+1", "a": NaN}') == b'{"a": 1, "a": "***", "a": NaN}'
    assert SECRETS.mask_bytes(b"\xff a.token+1") == b"\xff ***"
    assert SECRETS.mask_bytes(b"\xff \xc3") == b"\xff \xc3"


@given(st.text("abcdef0123456789-", min_size=16, max_size=40), st.data())
def test_half_of_a_secret_is_hidden_wherever_it_was_cut(secret: str, data: st.DataObject):
    cut = data.draw(st.integers(8, len(secret)))
    masked = Secrets([secret]).mask(f"<{secret[:cut]}> <{secret[-cut:]}>")
    assert secret[:cut] not in masked
    assert secret[-cut:] not in masked


def test_the_repr_shows_how_many_there_are():
    assert repr(SECRETS) == "Secrets(2 hidden)"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("url='https://h.test/p?a=1&b=('2')', more", "url='https://h.test/p?... more"),
        ("URL(https://h.test:1/p?a#f) and wss://h/?b?c end", "URL(https://h.test:1/p?... and wss://h/?... end"),
        ("what? https://h.test/p", "what? https://h.test/p"),
    ],
)
def test_queries_are_left_out(text: str, shown: str):
    assert without_queries(text) == shown
    assert without_queries(shown) == shown
