"""What collectors share: how bytes from a machine become facts, and how a failed command becomes a gap."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from imagetest.model.snapshot import Gap, Part
from imagetest.transport.batch import COMPLAINT_LIMIT, PART_LIMIT, RECORDS_LIMIT, crowded

LINES_LIMIT = 1000
LINE_LIMIT = 8192
"""Lines, and bytes of one, of files that ordinary users write: what is read of them takes time on the asking side."""

MISSING = 127
"""The exit code with which a shell says that there is no such program (POSIX, 2.8.2)."""

VANISHED = frozenset({"No such file or directory", "Not a directory", "No such process"})
"""What is said of a file that went away while it was looked at, or never was there: neither is a gap."""

_UNPRINTABLE = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029\udc80-\udcff]")
_COMPLAINT = re.compile(
    rb"^[^:]*: (?:(?:line )?\d+: )?(?:(?:cannot|can't) [a-z ]+ )?"
    rb"(?P<quote>'?)(?P<path>/.*)(?P=quote): (?P<why>[^:/']+)$"
)
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


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


def rows(part: Part, columns: int, separator: bytes = b"\t") -> Iterator[tuple[str, ...]]:
    """Give the lines of a part that have at least so many columns, the last of which takes what is left."""
    for line in part.stdout.split(b"\n"):
        row = line.split(separator, columns - 1)
        if len(row) == columns:
            yield tuple(map(legible, row))


def short_rows(part: Part, columns: int, separator: bytes) -> Iterator[str]:
    """Give the lines of a part that have fewer columns, and are no comments."""
    for line in part.stdout.split(b"\n"):
        if line.strip() and not line.startswith(b"#") and line.count(separator) < columns - 1:
            yield legible(line)


def records(part: Part) -> Iterator[bytes]:
    """Give the records of a part that ends each with a zero byte."""
    yield from (record for record in part.stdout.split(b"\0") if record)


def pairs(part: Part) -> Iterator[tuple[bytes, bytes]]:
    """Give the records of a part two by two, where the second may be empty."""
    whole = part.stdout.split(b"\0")[:-1]
    yield from zip(whole[::2], whole[1::2], strict=False)


def told(parts: Mapping[str, Part], name: str) -> Part:
    """Return a part, or an empty one where the machine has nothing to ask that about.

    What was cut off is empty too: half an answer is none, and may be of any size and kind.
    """
    part = parts.get(name)
    return Part(stdout=b"") if part is None or part.exit_code is None else part


def refusal(parts: Mapping[str, Part], name: str, *, accepted: frozenset[int] = frozenset({0})) -> str:
    """Return why a part is not to be believed; empty when it is."""
    part = parts.get(name)
    if part is None:
        return "the machine did not get to it"
    if part.exit_code is None:
        return _broken_off(part)
    if part.exit_code in accepted:
        return ""
    said = [legible(line) for line in part.stderr.splitlines() if line.strip()]
    if part.exit_code == MISSING:
        return said[-1] if said else "the program for it is missing"
    return said[-1] if said else f"its command ended with exit code {part.exit_code}"


def _broken_off(part: Part) -> str:
    if part.stderr and not part.stdout:
        return legible(part.stderr)
    if len(part.stdout) >= PART_LIMIT:
        return f"it said more than {PART_LIMIT // (1024 * 1024)} MiB"
    return f"it said more than {RECORDS_LIMIT} lines" if crowded(part.stdout) else "it was broken off"


def gap(parts: Mapping[str, Part], name: str, *, key: str = "", attribute: str = "") -> tuple[Gap, ...]:
    """Return a gap when a part is not to be believed; none when it is."""
    reason = refusal(parts, name)
    return (Gap(key=key, attribute=attribute, reason=reason),) if reason else ()


@dataclass(frozen=True, slots=True)
class Complaints:
    """What a program said of files that it could not read."""

    denied: Mapping[bytes, str]
    """Why, by the file's path; what vanished is not among them."""
    vanished: bool
    other: tuple[str, ...]
    """What was said of no file."""


def complaints(part: Part) -> Complaints:
    """Read what find(1), sha256sum(1), cat(1), grep(1) and shells say, of GNU and of busybox."""
    denied, vanished, other = {}, False, []
    for line in part.stderr.splitlines():
        found = _COMPLAINT.match(line)
        why = legible(found["why"].strip()) if found else ""
        if found is None:
            other += [legible(line)] if line.strip() else []
        elif why in VANISHED:
            vanished = True
        else:
            path = found["path"]
            denied[_ESCAPE.sub(_unescaped, path) if found["quote"] else path] = why
    return Complaints(denied, vanished, tuple(other))


def _unescaped(found: re.Match[bytes]) -> bytes:
    octal = len(found[1]) > 1
    return bytes([int(found[1], 8) & 0xFF]) if octal else _LETTERS.get(found[1], found[1])


def walked(
    parts: Mapping[str, Part], name: str, *, attribute: str = "", folders: bool = True, key: str = "{}"
) -> tuple[Gap, ...]:
    """Return the gaps of a part that read many files, some of which may have been refused.

    With `folders`, what was refused are folders: everything below them is unknown. `key` makes a fact's key of a path.
    """
    part = parts.get(name)
    if part is None or part.exit_code is None:
        return gap(parts, name, attribute=attribute)
    said = complaints(part)
    if len(part.stderr) >= COMPLAINT_LIMIT - 1:
        return (Gap(attribute=attribute, reason="more of it was refused than can be told"),)
    if part.exit_code and (said.other or not (said.denied or said.vanished)):
        return gap(parts, name, attribute=attribute)
    return tuple(
        Gap(key=key.format(legible(path.rstrip(b"/")) + ("/" if folders else "")), attribute=attribute, reason=why)
        for path, why in sorted(said.denied.items())
    )


def digest(raw: bytes) -> str:
    """Return a SHA-256 in hexadecimal digits."""
    return hashlib.sha256(raw).hexdigest()


class Distinct(dict[str, dict[str, str]]):
    """Facts whose keys may come up again: then the key gets a number, which is not counted anew each time."""

    def __init__(self) -> None:
        """Begin without facts."""
        super().__init__()
        self._last: dict[str, int] = {}

    def add(self, key: str, attributes: dict[str, str]) -> None:
        """Add a fact by its key, or by the same with the first number that is free."""
        number, free = self._last.get(key, 1), key
        while free in self:
            number += 1
            free = f"{key} ({number})"
        self._last[key] = number
        self[free] = attributes


def excess(content: bytes) -> str:
    """Return why a file that an ordinary user may have written is not read: it would cost too much."""
    if content.count(b"\n") > LINES_LIMIT:
        return f"it has more than {LINES_LIMIT} lines"
    longest = max(map(len, content.split(b"\n")))
    return f"it has a line of more than {LINE_LIMIT} bytes" if longest > LINE_LIMIT else ""
