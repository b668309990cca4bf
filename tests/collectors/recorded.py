"""What a real Debian 12 with systemd in a container said, and parts made for a test.

Packages, settings of the kernel and states of units were shortened; release, build and parameters of the kernel were
put in by hand, since a container shows its host's.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from imagetest.model.snapshot import Part

FILE = Path(__file__).parents[1] / "data" / "collectors" / "debian-12.json"


@functools.cache
def _all() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def recorded(family: str, **instead: Part) -> dict[str, Part]:
    """Return the parts of a family, some of them replaced."""
    parts = {
        name: Part(
            stdout=one["stdout"].encode("latin-1"), stderr=one["stderr"].encode("latin-1"), exit_code=one["exit_code"]
        )
        for name, one in _all()[family].items()
    }
    return parts | instead


def part(text: str | bytes = b"", *, stderr: str = "", code: int | None = 0) -> Part:
    """Make a part."""
    return Part(stdout=text if isinstance(text, bytes) else text.encode(), stderr=stderr.encode(), exit_code=code)


def zeros(*words: str) -> bytes:
    """Return words, each ended by a zero byte."""
    return b"".join(word.encode() + b"\0" for word in words)


OK = part()
DENIED = part(stderr="cat: /etc/x: Permission denied", code=1)
