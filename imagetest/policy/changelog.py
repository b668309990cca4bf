"""What changed between two machines, counted: so many packages added, so many upgraded."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from imagetest.model.drift import Difference, Kind
from imagetest.policy.versions import direction


class Change(enum.Enum):
    """What became of one fact."""

    ADDED = "added"
    REMOVED = "removed"
    UPGRADED = "upgraded"
    DOWNGRADED = "downgraded"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The facts of one family that differ, each counted once."""

    family: str
    noun: str
    changes: Mapping[Change, int]
    unexplained: int
    """How many of them nobody allows to differ."""
    total: int


def change(differences: Iterable[Difference]) -> Change:
    """Return what became of one fact, of which these are all differences."""
    for one in differences:
        if not one.attribute:
            return Change.ADDED if one.kind is Kind.ADDED else Change.REMOVED
        if one.attribute == "version" and one.kind is Kind.CHANGED and (way := direction(one.left, one.right)):
            return Change.UPGRADED if way > 0 else Change.DOWNGRADED
    return Change.CHANGED


def tallies(differences: Iterable[Difference]) -> tuple[Tally, ...]:
    """Count the differences of each family by fact, in the order of the families' names."""
    facts: dict[tuple[str, str], list[Difference]] = {}
    for one in differences:
        facts.setdefault((one.family, one.key), []).append(one)
    families: dict[str, list[list[Difference]]] = {}
    for (family, _), of_fact in sorted(facts.items()):
        families.setdefault(family, []).append(of_fact)
    return tuple(_tally(family, found) for family, found in families.items())


def _tally(family: str, facts: list[list[Difference]]) -> Tally:
    return Tally(
        family=family,
        noun=facts[0][0].noun,
        changes=Counter(change(one) for one in facts),
        unexplained=sum(any(one.allowance is None for one in fact) for fact in facts),
        total=len(facts),
    )
