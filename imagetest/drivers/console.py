"""What serial consoles say, as text that a person reads."""

from __future__ import annotations

import re

KEPT = 64 * 1024
"""Characters of a console that are evidence of a boot; as many bytes are what AWS keeps of one."""

LAST_LINES = 15

CONTROLS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-_])|[^\n\x20-\x7e\x80-\uffff]")
"""ANSI's control sequences (ECMA-48) and whatever else is no text."""


def text(said: str) -> str:
    """Return what was said without what only moves a cursor."""
    return CONTROLS.sub("", said)


def last_lines(said: str, *, nothing: str = "its serial console said nothing") -> str:
    """Return the last lines in words, for the end of a message; `nothing` where there is none."""
    lines = [line.rstrip() for line in text(said).splitlines() if line.strip()]
    if not lines:
        return nothing
    return "\n".join(["its last console lines:", *(f"    {line[:200]}" for line in lines[-LAST_LINES:])])
