"""What differs between two machines, and who allows it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date, datetime

from imagetest.model.snapshot import Gap


class Kind(enum.Enum):
    """How a fact or an attribute changed from the left machine to the right one."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"

    @property
    def mirrored(self) -> Kind:
        """Return the kind that the same difference has when left and right change places."""
        return {Kind.ADDED: Kind.REMOVED, Kind.REMOVED: Kind.ADDED}.get(self, self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Somebody's decision that a fact may differ, and why."""

    pattern: str
    """`family:key` with the wildcards of a shell, such as `files:/etc/motd` or `packages:linux-image-*`."""
    attribute: str = "*"
    """Which attributes of the fact, with wildcards."""
    reason: str
    owner: str
    expires: date | None = None
    """The last day on which it holds, in UTC."""
    origin: str = ""
    """The file that it stands in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One fact, or one attribute of a fact, that the two machines do not share."""

    family: str
    noun: str
    key: str
    attribute: str = ""
    """Empty where the whole fact is on one machine only."""
    kind: Kind
    left: str = ""
    """The value on the left; of a whole fact, all its attributes in words."""
    right: str = ""
    allowance: Allowance | None = None


class Side(enum.Enum):
    """One of the two machines."""

    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """Something that could not be compared because one machine did not tell it."""

    side: Side
    family: str
    gap: Gap
    allowance: Allowance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One of two machines that were compared."""

    subject: str
    digest: str = ""
    taken: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """The outcome of one comparison. Facts are counted by key: one with two differing attributes is one fact."""

    left: Party
    right: Party
    compared: int
    equal: int
    allowed: int
    unexplained: int
    families: int = 0
    """Families that both machines told of, be it that they have none of it."""
    differences: tuple[Difference, ...] = ()
    """Unexplained ones first."""
    unread: tuple[Unread, ...] = ()
    unused: tuple[Allowance, ...] = ()
    """Allowances that matched nothing here."""
    expired: tuple[Allowance, ...] = ()
    """Allowances that would have matched, and hold no more."""

    @property
    def explained(self) -> bool:
        """Say whether anything was looked at, all of it was read, and nothing differs without somebody's leave."""
        compared = bool(self.compared or self.families)
        return compared and not self.unexplained and not any(one.allowance is None for one in self.unread)
