"""How reports write values: text made safe to look at, moments in UTC, durations, sizes and the words for a status."""

from __future__ import annotations

import re
from datetime import datetime

from imagetest.model.finding import Command, Status
from imagetest.policy.coverage import utc

WORDS = {
    Status.PASSED: "passed",
    Status.FAILED: "failed",
    Status.ERROR: "error",
    Status.NOT_REVIEWED: "not reviewed",
    Status.NOT_APPLICABLE: "not applicable",
}
"""What each status is called, in the order in which reports show them."""

MINUTE = 60

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, among them the escape that starts a terminal sequence
    "\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"  # invisible, or turning the direction of reading
    "\ud800-\udfff\ufdd0-\ufdef\ufff9-\ufffb\ufffe\uffff]"  # not characters at all
)
_BREAK = re.compile("[\t\n\r][ \t\n\r]*")
_LONG_DIGEST = re.compile(r"(?<![0-9a-f])([0-9a-f]{12})[0-9a-f]{20,}")
_SYMBOLS = 0x2400
_DELETE = 0x7F


def readable(text: str) -> str:
    """Return the text with everything visible that a terminal or browser would obey or hide.

    An escape becomes `␛`, a carriage return `␍`, a character that turns the reading direction `<U+202E>`. The result
    can be written in XML and UTF-8, whatever the machine under test has sent.
    """
    return _HIDDEN.sub(_reveal, text)


def line(text: str) -> str:
    """Return the text as one readable line."""
    return readable(_BREAK.sub(" ", text))


def moment(value: datetime | None) -> str:
    """Return the moment in UTC to the second, or an empty string when it is unknown."""
    return "" if value is None else f"{utc(value):%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float | None) -> str:
    """Return seconds as people say them: `120 ms`, `4.2 s`, `3 min 12 s`, `1 h 02 min`."""
    if seconds is None:
        return ""
    if round(seconds, 3) < 1:
        return f"{seconds * 1000:.0f} ms"
    if round(seconds, 1) < MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), MINUTE)
    if minutes < MINUTE:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // MINUTE} h {minutes % MINUTE:02} min"


def size(number: int | None) -> str:
    """Return a number of bytes in decimal units: `812 B`, `4.1 kB`, `182.4 MB`."""
    if number is None:
        return ""
    if number < 1000:  # noqa: PLR2004 - the unit itself
        return f"{number} B"
    value = float(number)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 1000:  # noqa: PLR2004 - the unit itself
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"


def short(name: str) -> str:
    """Return the name with its digest, or the digest that it is, cut to the first twelve digits."""
    return _LONG_DIGEST.sub(r"\1", name)


def plural(number: int, noun: str) -> str:
    """Return `1 control`, `2 controls`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def exit_of(command: Command) -> str:
    """Return how a command ended, in words."""
    return "no exit code" if command.exit_code is None else f"exit {command.exit_code}"


def _reveal(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < ord(" "):
        return chr(_SYMBOLS + code)
    if code == _DELETE:
        return "\u2421"
    return f"<U+{code:04X}>"
