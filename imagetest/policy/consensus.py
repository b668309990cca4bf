"""What most of some machines are, learnt from one snapshot at a time."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from imagetest.model.snapshot import Family, Gap, Snapshot


class _NoValue(enum.Enum):
    """Votes of machines whose fact has no such attribute, and of those that do not tell it."""

    ABSENT = enum.auto()
    HIDDEN = enum.auto()


ABSENT, HIDDEN = _NoValue
Vote = str | _NoValue


@dataclass(slots=True)
class _Fact:
    """What the machines that have a fact say of it."""

    have: int = 0
    attributes: dict[str, Counter[Vote]] = field(default_factory=dict)


@dataclass(slots=True)
class _Family:
    """What the machines that collected a family say of it."""

    noun: str
    told: int = 0
    facts: dict[str, _Fact] = field(default_factory=dict)
    gaps: Counter[tuple[Gap, ...]] = field(default_factory=Counter)

    def voters(self, key: str) -> int:
        """Return how many machines tell whether they have a fact."""
        hidden = sum(times for gaps, times in self.gaps.items() if any(gap.covers(key) for gap in gaps))
        return self.told - hidden

    def add(self, family: Family) -> None:
        """Count one machine's votes; what its own gaps cover is no vote."""
        self.told += 1
        self.gaps[family.gaps] += 1
        whole = [gap for gap in family.gaps if not gap.attribute]
        partial = [gap for gap in family.gaps if gap.attribute]
        for key, attributes in family.facts.items():
            if any(gap.covers(key) for gap in whole):
                continue
            fact = self.facts.setdefault(key, _Fact())
            hidden: dict[str, Vote] = {gap.attribute: HIDDEN for gap in partial if gap.covers(key, gap.attribute)}
            cast: Mapping[str, Vote] = {**attributes, **hidden}
            for name, vote in cast.items():
                votes = fact.attributes.setdefault(name, _nobody_else(fact.have))
                votes[vote] += 1
            for name in fact.attributes.keys() - attributes.keys() - hidden.keys():
                fact.attributes[name][ABSENT] += 1
            fact.have += 1


def _nobody_else(times: int) -> Counter[Vote]:
    """Return the votes on an attribute that so many machines before do not have."""
    return Counter({ABSENT: times} if times else {})


class Consensus:
    """Counts what the machines of a group say, each fact and each attribute apart.

    What as many say as say something else is decided for whoever said it first: then `split` tells so.
    """

    def __init__(self) -> None:
        self._families: dict[str, _Family] = {}
        self._taken: datetime | None = None
        self._split: dict[tuple[str, str, str], str] = {}

    def add(self, snapshot: Snapshot) -> None:
        """Count one machine."""
        self._taken = max(snapshot.taken, self._taken or snapshot.taken)
        for family in snapshot.families:
            self._families.setdefault(family.name, _Family(family.noun)).add(family)

    def snapshot(self, subject: str) -> Snapshot:
        """Return what most of the machines are. Raises ValueError when there was none."""
        if self._taken is None:
            raise ValueError("no machine was counted")
        families = tuple(
            Family(name=name, noun=one.noun, facts=dict(self._facts(name, one))) for name, one in self._families.items()
        )
        return Snapshot(subject=subject, taken=self._taken, families=families)

    def split(self, family: str, key: str, attribute: str) -> str:
        """Return how many share what was decided for, where they are not most; an empty text where they are."""
        return self._split.get((family, key, attribute), "")

    def _facts(self, name: str, family: _Family) -> Iterator[tuple[str, Mapping[str, str]]]:
        for key, fact in family.facts.items():
            voters = family.voters(key)
            if fact.have * 2 >= voters:
                self._note((name, key, ""), fact.have, voters)
                yield key, dict(self._attributes(name, key, fact))

    def _attributes(self, name: str, key: str, fact: _Fact) -> Iterator[tuple[str, str]]:
        for attribute, votes in fact.attributes.items():
            said = Counter({vote: times for vote, times in votes.items() if vote is not HIDDEN})
            if not said:
                continue
            vote, times = said.most_common(1)[0]  # of as many votes each, the one that was counted first
            self._note((name, key, attribute), times, said.total())
            if isinstance(vote, str):
                yield attribute, vote

    def _note(self, place: tuple[str, str, str], agreed: int, voters: int) -> None:
        if agreed * 2 <= voters:
            self._split[place] = f"on {agreed} of {voters}: no majority"
