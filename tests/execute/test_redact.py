"""No secret is left, whatever surrounds it and however it is written; everything else is."""

from __future__ import annotations

import base64
import json
import textwrap
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetest.execute.redact import MASK, SHORTEST, Redactor

# A secret made of the mask's own letters could be seen in the mask itself.
SECRETS = st.text(
    st.characters(exclude_characters=MASK, exclude_categories=["Cs", "Cc", "Z"]),
    min_size=SHORTEST,
    max_size=60,
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n-----END OPENSSH PRIVATE KEY-----"


@given(SECRETS, TEXTS, TEXTS)
def test_no_secret_is_left_whatever_surrounds_it(secret: str, before: str, after: str) -> None:
    assert secret not in Redactor([secret])(before + secret + after)


@given(st.lists(SECRETS, min_size=1, max_size=5), st.data())
def test_no_secret_of_many_is_left_even_where_they_contain_each_other(secrets: list[str], data: st.DataObject) -> None:
    whole = [*secrets, secrets[0] + secrets[-1]]
    text = "".join(data.draw(st.lists(st.sampled_from(whole) | TEXTS, max_size=10)))
    masked = Redactor(whole)(text)

    assert [secret for secret in whole if secret in masked] == []


@given(st.lists(SECRETS, min_size=2, max_size=5), st.sampled_from(["\n", "\r\n"]), TEXTS)
def test_no_line_of_a_secret_is_left_however_it_is_indented(lines: list[str], end: str, indent: str) -> None:
    masked = Redactor([end.join(f"  {line}" for line in lines)])("\n".join(indent + line for line in lines))

    assert [line for line in lines if line in masked] == []


@given(SECRETS.filter(lambda secret: len(secret.encode()) >= 8), st.binary(max_size=20), st.binary(max_size=20))
def test_no_secret_is_left_in_base64_whatever_is_encoded_with_it(secret: str, before: bytes, after: bytes) -> None:
    """Such as `user:password` in an Authorization header."""
    encoded = base64.b64encode(before + secret.encode() + after).decode()
    masked = Redactor([secret])(encoded)

    assert MASK in masked
    assert secret.encode() not in _decoded(masked)


@given(SECRETS)
def test_a_secret_is_masked_in_a_string_of_json_and_in_a_url(secret: str) -> None:
    redact = Redactor([secret])

    assert redact(f"x{json.dumps(secret)[1:-1]}y") == f"x{MASK}y"
    assert redact(f"https://host/?key={quote(secret, safe='')}&x") == f"https://host/?key={MASK}&x"


def test_a_long_secret_is_masked_in_wrapped_base64() -> None:
    secret = "\n".join(f"line {number} of a key file" for number in range(20))
    wrapped = base64.encodebytes(secret.encode()).decode()
    masked = Redactor([secret])("\n".join(["data:", textwrap.indent(wrapped, "  "), "end"]))

    assert set(masked.split()) == {"data:", MASK, "end"}


@given(TEXTS)
def test_a_text_without_secrets_stays_as_it_is(text: str) -> None:
    assert Redactor()(text) == text
    assert Redactor(["", " ", "ab", "\n\n\n\n\n"])(text) == text


@given(SECRETS, TEXTS)
def test_masking_twice_is_masking_once(secret: str, text: str) -> None:
    redact = Redactor([secret])

    assert redact(redact(text + secret)) == redact(text + secret)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"before {KEY} after", f"before {MASK} after"),
        (KEY.rpartition("\n")[0] + "\ncut off", MASK),
        (KEY.replace("OPENSSH ", "") + "\n" + KEY, f"{MASK}\n{MASK}"),
        ("aws_secret_access_key = " + "a" * 40, f"aws_secret_access_key{MASK}"),
        ("AWS_SECRET_ACCESS_KEY=" + "b/+1" * 10, f"AWS_SECRET_ACCESS_KEY{MASK}"),
        ("token ghp_" + "a1B2" * 9, f"token {MASK}"),
        ("glpat-" + "x_-9" * 5, MASK),
        ("xoxb-123456789012-abc", MASK),
        ("root:$6$saltsalt$hashhash:19000:0:99999:7:::", f"root:{MASK}:19000:0:99999:7:::"),
        ("root:$y$j9T$abc$def/ghi.:19000::::::", f"root:{MASK}:19000::::::"),
        ("postgresql://app:pa55@db:5432/x", f"postgresql://{MASK}@db:5432/x"),
    ],
)
def test_what_looks_like_a_secret_is_masked_untold(text: str, masked: str) -> None:
    assert Redactor()(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "root:*:19000:0:99999:7:::",
        "root:!locked:19000::::::",
        "-----BEGIN PUBLIC KEY-----",
        "https://host:8080/path@2",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI",
    ],
)
def test_what_only_resembles_a_secret_stays(text: str) -> None:
    assert Redactor()(text) == text


def _decoded(text: str) -> bytes:
    """Decode whatever is left around the masks."""
    parts = text.replace("=", "").split(MASK)
    return b"|".join(base64.b64decode(part[: len(part) // 4 * 4]) for part in parts)
