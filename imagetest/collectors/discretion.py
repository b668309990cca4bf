"""Secrets among the values that a machine tells: masked, with a digest, so that a difference still shows."""

from __future__ import annotations

import functools
import hashlib
import re

from imagetest.execute.redact import MASK, Redactor

_NAMES = re.compile(
    r"(^|_|-|\.|[a-z])(pass(wd|word|phrase)?|pwd|secret|token|api_?key|access_?key|private_?key|secret_?key|key|credentials?|auth|dsn|salt)"
    r"s?(_|-|\.|$)",
    re.IGNORECASE,
)  # fmt: skip
_KEY_FILES = re.compile(r"(/[\w.@+-]+)+/?")
_PAIR = re.compile(
    r"(?<![\w.-])(?=[\w.-]*?(?:pass|secret|token|api_?key))(?P<name>[\w.-]++)"
    r"(?P<sign>\s*=\s*|\s+|:)(?P<value>[^\s'\"]{4,})",
    re.IGNORECASE,
)
"""Each run of letters is looked at once: what a user writes must not cost more than its length."""

MOST = 4
"""Secrets of a line that are sealed one by one; sealing is slow, so that of more the line is sealed as one."""

_redacted = Redactor()


def masked(name: str, value: str) -> str:
    """Return the value of a variable; when its name or its form says that it is a secret, a mask and a digest."""
    path = _KEY_FILES.fullmatch(value) and "pass" not in name.lower()
    secret = bool(value) and not path and _NAMES.search(name)
    return sealed(value) if secret or _redacted(value) != value else value


def discreet(text: str) -> str:
    """Return a line of text in which what looks like a secret, or is given as one, is masked."""
    if sum(1 for _ in _PAIR.finditer(text)) > MOST:
        return sealed(text)
    hidden = _PAIR.sub(lambda found: f"{found['name']}{found['sign']}{sealed(found['value'])}", text)
    safe = _redacted(hidden)
    return f"{safe} ({_digest(text)})" if safe != hidden else hidden


def sealed(value: str) -> str:
    """Return a mask and a digest."""
    return f"{MASK} {_digest(value)}"


@functools.lru_cache(maxsize=4096)
def _digest(value: str) -> str:
    """Return 32 bits of a slow hash: enough to see a change by, and dear to try out a list of passwords against."""
    raw = hashlib.scrypt(value.encode("utf-8", "surrogateescape"), salt=b"imagetest", n=2**12, r=8, p=1, dklen=4)
    return raw.hex()
