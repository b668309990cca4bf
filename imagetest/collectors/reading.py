"""What collectors share: how bytes from a machine become facts, and how a failed command becomes a gap."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from imagetest.model.snapshot import Gap, Part

MISSING = 127
"""The exit code with which a shell says that there is no such program (POSIX, 2.8.2)."""

_UNPRINTABLE = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029\udc80-\udcff]")


def legible(raw: bytes) -> str:
    r"""Return text for one line; what cannot stand in one is written as `\xHH`, and a backslash doubled.

    No two different byte strings become the same text.
    """
    return _UNPRINTABLE.sub(_escaped, raw.decode("utf-8", "surrogateescape"))


def _escaped(found: re.Match[str]) -> str:
    if found[0] == "\\":
        return "\\\\"
    return "".join(f"\\x{byte:02x}" for byte in found[0].encode("utf-8", "surrogateescape"))


def lines(part: Part) -> Iterator[str]:
    """Give the lines of a part that hold anything, made legible."""
    yield from (legible(line) for line in part.stdout.split(b"\n") if line.strip())


def records(part: Part) -> Iterator[bytes]:
    """Give the records of a part that ends each with a zero byte."""
    yield from (record for record in part.stdout.split(b"\0") if record)


def refusal(parts: Mapping[str, Part], name: str, *, accepted: frozenset[int] = frozenset({0})) -> str:
    """Return why a part is not to be believed; empty when it is."""
    part = parts.get(name)
    if part is None:
        return "the machine did not get to it"
    if part.exit_code is None:
        return f"it said more than {len(part.stdout) // (1024 * 1024)} MiB"
    if part.exit_code in accepted:
        return ""
    said = [legible(line) for line in part.stderr.splitlines() if line.strip()]
    if part.exit_code == MISSING:
        return said[-1] if said else "the program for it is missing"
    return said[-1] if said else f"its command ended with exit code {part.exit_code}"


def gap(parts: Mapping[str, Part], name: str, *, key: str = "", attribute: str = "") -> tuple[Gap, ...]:
    """Return a gap when a part is not to be believed; none when it is."""
    reason = refusal(parts, name)
    return (Gap(key=key, attribute=attribute, reason=reason),) if reason else ()
