"""Whether machines that should be alike are: the image under test, production's hosts, each other."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from imagetest.model.drift import Allowance, Drift
from imagetest.model.finding import Status


class ParityKind(enum.Enum):
    """What was held against what."""

    ENVIRONMENT = "environment"
    """The image under test against the hosts of an environment."""
    GROUP = "group"
    """The hosts of one group against what most of them are."""
    PLATFORM = "platform"
    """Images of one template for several platforms against the first of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One check that concluded differently on the two machines."""

    check: str
    """The check's id."""
    left: Status
    right: Status
    message: str = ""
    """What the right one said, where it did not pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One machine held against another."""

    left: str
    """The machine that is held to be right: the image under test, or what most hosts of a group are."""
    right: str
    drift: Drift | None = None
    """None when the state of one of them could not be had."""
    checks: int = 0
    """How many checks ran on both."""
    outcomes: tuple[Outcome, ...] = ()
    """Those that concluded differently."""
    error: str = ""
    """Why they could not be compared, or not wholly."""

    @property
    def holds(self) -> bool:
        """Say whether the two were compared and nothing unexplained is between them."""
        return self.drift is not None and self.drift.explained and not self.outcomes and not self.error


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """All comparisons of one kind with one name."""

    kind: ParityKind
    name: str
    """The environment, the group as `environment/group`, or the template's image."""
    comparisons: tuple[Comparison, ...]
    unused: tuple[Allowance, ...] = ()
    """Allowances that matched in none of the comparisons."""

    @property
    def holds(self) -> bool:
        """Say whether every machine is what it should be; where nothing was compared, nobody knows."""
        return bool(self.comparisons) and all(one.holds for one in self.comparisons)
