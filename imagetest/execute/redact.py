"""Mask secrets in whatever is shown or stored."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable

MASK = "[secret]"
"""What stands where a secret stood."""

SHORTEST = 4
"""Characters; a shorter value would be masked inside ordinary words, and protects nothing."""

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
        self._literals = sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text with every secret replaced by `MASK`."""
        for literal in self._literals:
            text = text.replace(literal, MASK)
        for pattern in PATTERNS:
            text = pattern.sub(MASK, text)
        return text


def _forms(secret: str) -> set[str]:
    """Return the ways in which programs repeat a secret: whole, by line, and in Base64."""
    whole = {secret, secret.strip(), *secret.splitlines()}
    encoded = {base64.b64encode(secret.encode()).decode()} if len(secret) >= SHORTEST else set()
    return {form for form in whole | encoded if len(form.strip()) >= SHORTEST}
