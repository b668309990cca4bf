"""Compare two snapshots, fact by fact: pure, and the same whichever of the two comes first."""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from imagetest.model.drift import Allowance, Difference, Drift, Kind, Party, Side, Unread
from imagetest.model.snapshot import Family, Gap, Snapshot
from imagetest.policy.coverage import utc

NOT_COLLECTED = Gap(reason="it was not collected")


def compare(left: Snapshot, right: Snapshot, allowances: Iterable[Allowance] = (), *, now: datetime) -> Drift:
    """Return what differs; what one of the two did not tell is unread, never equal."""
    rules = _Rules(tuple(allowances), now)
    differences: list[Difference] = []
    unread: list[Unread] = []
    counted = _Count()
    families = 0
    for name in dict.fromkeys(family.name for one in (left, right) for family in one.families):
        pair = _Pair.of(name, left, right)
        families += pair.was_read
        unread += [rules.excuse_unread(one) for one in pair.unread()]
        for key in pair.shared():
            found = [rules.excuse(one) for one in pair.differences(key)]
            counted.add(found)
            differences += found
    differences.sort(key=lambda one: (one.allowance is not None, one.family, one.key, one.attribute))
    return Drift(
        left=_party(left),
        right=_party(right),
        compared=counted.equal + counted.allowed + counted.unexplained,
        equal=counted.equal,
        allowed=counted.allowed,
        unexplained=counted.unexplained,
        families=families,
        differences=tuple(differences),
        unread=tuple(unread),
        unused=rules.unused(),
        expired=tuple(rules.expired),
    )


def matches(allowance: Allowance, family: str, key: str, attribute: str) -> bool:
    """Say whether an allowance is about an attribute; a whole fact has the attribute ''."""
    return bool(
        _pattern(allowance.pattern).fullmatch(f"{family}:{key}") and _pattern(allowance.attribute).fullmatch(attribute)
    )


@functools.lru_cache(maxsize=4096)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(text))


def _party(snapshot: Snapshot) -> Party:
    return Party(subject=snapshot.subject, digest=snapshot.digest, taken=snapshot.taken)


@dataclass(slots=True)
class _Count:
    """Facts by what became of them."""

    equal: int = 0
    allowed: int = 0
    unexplained: int = 0

    def add(self, found: Sequence[Difference]) -> None:
        if not found:
            self.equal += 1
        elif all(one.allowance for one in found):
            self.allowed += 1
        else:
            self.unexplained += 1


@dataclass(frozen=True, slots=True)
class _Pair:
    """One family on both machines."""

    name: str
    left: Family
    right: Family

    @classmethod
    def of(cls, name: str, left: Snapshot, right: Snapshot) -> _Pair:
        """Return the family of both; one that did not collect it has it with nothing but a gap."""
        here, there = left.family(name), right.family(name)
        noun = here.noun if here is not None else there.noun if there is not None else name
        absent = Family(name=name, noun=noun, facts={}, gaps=(NOT_COLLECTED,))
        return cls(name, here or absent, there or absent)

    @property
    def was_read(self) -> bool:
        """Say whether both machines told of the family: that neither has any of it is then known."""
        return not any(not gap.key for family in (self.left, self.right) for gap in family.gaps)

    def unread(self) -> Iterator[Unread]:
        """Give what either machine did not tell."""
        for side, family in ((Side.LEFT, self.left), (Side.RIGHT, self.right)):
            yield from (Unread(side=side, family=self.name, gap=gap) for gap in family.gaps)

    def shared(self) -> list[str]:
        """Return the facts that both machines know about, whether or not they have them."""
        known = self.left.facts.keys() | self.right.facts.keys()
        return sorted(key for key in known if not self._hidden(key))

    def _hidden(self, key: str, attribute: str = "") -> bool:
        return any(gap.covers(key, attribute) for family in (self.left, self.right) for gap in family.gaps)

    def differences(self, key: str) -> Iterator[Difference]:
        """Give what differs about one fact."""
        left, right = self.left.facts.get(key), self.right.facts.get(key)
        if left is None or right is None:
            kind = Kind.ADDED if left is None else Kind.REMOVED
            yield self._difference(key, "", kind, _words(left), _words(right))
            return
        if left == right:
            return
        for attribute in sorted(left.keys() | right.keys()):
            before, after = left.get(attribute), right.get(attribute)
            if before != after and not self._hidden(key, attribute):
                kind = Kind.ADDED if before is None else Kind.REMOVED if after is None else Kind.CHANGED
                yield self._difference(key, attribute, kind, before or "", after or "")

    def _difference(self, key: str, attribute: str, kind: Kind, left: str, right: str) -> Difference:
        return Difference(
            family=self.name, noun=self.left.noun, key=key, attribute=attribute, kind=kind, left=left, right=right
        )


def _words(attributes: Mapping[str, str] | None) -> str:
    """Return all attributes of a fact in one line."""
    return ", ".join(f"{name} {value}".strip() for name, value in (attributes or {}).items())


@dataclass(slots=True)
class _Rules:
    """The allowances of one comparison, and what became of each."""

    allowances: tuple[Allowance, ...]
    now: datetime
    used: set[Allowance] = field(default_factory=set)
    expired: list[Allowance] = field(default_factory=list)

    def excuse(self, difference: Difference) -> Difference:
        """Attach the first allowance that holds."""
        return replace(difference, allowance=self._find(difference.family, difference.key, difference.attribute))

    def excuse_unread(self, unread: Unread) -> Unread:
        """Attach the first allowance that is about as much as what is missing."""
        return replace(unread, allowance=self._find(unread.family, unread.gap.key, unread.gap.attribute))

    def unused(self) -> tuple[Allowance, ...]:
        """Return the allowances that matched nothing, expired or not."""
        return tuple(one for one in self.allowances if one not in self.used and one not in self.expired)

    def _find(self, family: str, key: str, attribute: str) -> Allowance | None:
        today = utc(self.now).date()
        held = None
        for one in self.allowances:
            if not matches(one, family, key, attribute):
                continue
            if one.expires is not None and one.expires < today:
                self.expired += [] if one in self.expired else [one]
            else:
                self.used.add(one)
                held = held or one
        return held
