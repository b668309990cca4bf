"""Mask secrets in whatever is shown or stored."""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

MASK = "[secret]"
"""What stands where a secret stood."""

SHORTEST = 4
"""Characters; a shorter value would be masked inside ordinary words, and protects nothing."""

WRAP = 76
"""Letters on a line of Base64 that base64(1) writes."""

PATTERNS = (
    # Anything in PEM armour that calls itself a private key (RFC 7468, OpenSSH's PROTOCOL.key).
    re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    # AWS secret access keys in their usual places: a credentials file, an environment.
    re.compile(r"(?<=aws_secret_access_key)\s*[=:]\s*[A-Za-z0-9/+]{40}", re.IGNORECASE),
    # Tokens that carry their issuer's prefix: GitHub, GitLab, Slack.
    re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|glpat-[\w-]{20,}|xox[abprs]-[A-Za-z0-9-]{10,})"),
    # Password hashes of crypt(5), as /etc/shadow holds them.
    re.compile(r"(?<=:)\$(?:1|2[aby]|5|6|7|y|gy)\$[./A-Za-z0-9,=$]{8,}"),
    # Passwords within a URL (RFC 3986, userinfo).
    re.compile(r"(?<=://)([^/\s:@]+:)[^/\s@]+(?=@)"),
)
"""Secrets that are known by their form."""


class Redactor:
    """Masks the values it was told and everything that looks like a secret by its form."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
        # One pass, the longest first: a mask is never searched for another secret.
        self._literals = re.compile(
            "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)) or r"(?!)"
        )

    def __call__(self, text: str) -> str:
        """Return the text with every secret replaced by `MASK`."""
        text = self._literals.sub(MASK, text)
        for pattern in PATTERNS:
            text = pattern.sub(MASK, text)
        return text


@functools.lru_cache(maxsize=8)
def _any_of(secrets: frozenset[str]) -> re.Pattern[str]:
    """Match every form of every secret in one pass, the longest first: a mask is never searched for another secret."""
    forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
    return re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)) or r"(?!)")


def _forms(secret: str) -> Iterator[str]:
    """Give the ways in which programs repeat a secret: whole, by line, quoted for JSON or a URL, and in Base64."""
    if len(secret.strip()) < SHORTEST:
        return
    for part in (secret, *secret.splitlines()):
        yield part.strip()
    for ascii_only in (True, False):
        yield json.dumps(secret.strip(), ensure_ascii=ascii_only)[1:-1]
    yield quote(secret.strip(), safe="")
    for text in {secret, secret.strip()}:
        yield from _in_base64(text.encode("utf-8", "surrogateescape"))


def _in_base64(data: bytes) -> Iterator[str]:
    """Give what stands in the Base64 of any text around the data: three ways, by what comes before it."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        # The first and the last letters carry bits of the neighbours too.
        inner = encoded[-(-before * 8 // 6) : len(encoded) - 1 if (before + len(data)) % 3 else None]
        for form in (inner, inner.replace("+", "-").replace("/", "_")):
            yield form
            yield from (form[at : at + WRAP] for at in range(0, len(form), WRAP) if len(form) > WRAP)
