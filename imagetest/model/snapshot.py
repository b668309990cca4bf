"""The state of one machine at one moment, as facts that can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

Facts = Mapping[str, Mapping[str, str]]
"""Each fact's attributes by its key, such as `{"curl": {"version": "7.88.1-10", "state": "installed"}}`.

Keys and values are text that can be printed on one line: a collector writes control characters, and bytes that are not
UTF-8, as backslash escapes.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one command of a collector's script left."""

    stdout: bytes
    stderr: bytes = b""
    exit_code: int | None = 0
    """None when it was cut off, because it said more than a collector may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something that a collector could not read: nobody looked, so nobody knows."""

    key: str = ""
    """The fact; empty for the whole family; one that ends in `/`, `: ` or a blank stands for all that begin with it."""
    attribute: str = ""
    """The attribute of the fact; empty for the whole fact."""
    reason: str

    def covers(self, key: str, attribute: str = "") -> bool:
        """Say whether it keeps an attribute, or without one the whole fact, from being known."""
        below = not self.key or self.key == key or (self.key.endswith(("/", " ")) and key.startswith(self.key))
        return below and self.attribute in {"", attribute}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """All facts of one kind, as one collector read them."""

    name: str
    """The name of its collector: `packages`."""
    noun: str
    """What one fact is called: `package`."""
    facts: Facts
    gaps: tuple[Gap, ...] = ()
    unique: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What every machine has of its own, such as its host keys: by rule, each fact's SHA-256 before it was normalised.

    In `facts` such a value is replaced by the rule's name in angle brackets.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The facts of one machine, by family."""

    subject: str
    """What was asked for: the name of an image under test, or of a host as its user writes it."""
    digest: str = ""
    """The content digest of the image it was booted from; empty for a live host."""
    user: str = ""
    """Who asked, on the machine."""
    taken: datetime
    seconds: float = 0.0
    """From the question to the last byte of the answer."""
    families: tuple[Family, ...]

    def family(self, name: str) -> Family | None:
        """Return a family by its name; None when it was not collected."""
        return next((family for family in self.families if family.name == name), None)
