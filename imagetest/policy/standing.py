"""How machines stand that were held against each other: the only arithmetic that a report shows of parity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from imagetest.model.drift import Difference, Drift, Side, Unread
from imagetest.model.parity import Comparison, Parity, ParityKind
from imagetest.policy.wording import unread_words

NAMED = 3
"""How many of the odd ones out are named in a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Numbers over some comparisons; a fact is counted for each machine that it was compared on."""

    machines: int
    compared: int
    equal: int
    allowed: int
    unexplained: int
    unread: int
    """What could not be compared, and nobody allows that."""
    checks: int
    outcomes: int
    """Checks that concluded differently."""
    errors: int
    """Machines that could not be compared, or not wholly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """Machines that differ in the same way from what they should be."""

    machines: tuple[str, ...]
    against: tuple[str, ...]
    differences: tuple[Difference, ...]
    """Those that nobody allows."""


def standing(comparisons: Iterable[Comparison]) -> Standing:
    """Count over some comparisons."""
    found = tuple(comparisons)
    drifts = [one.drift for one in found if one.drift is not None]
    return Standing(
        machines=len(found),
        compared=sum(one.compared for one in drifts),
        equal=sum(one.equal for one in drifts),
        allowed=sum(one.allowed for one in drifts),
        unexplained=sum(one.unexplained for one in drifts),
        unread=sum(len(missing(one)) for one in drifts),
        checks=sum(one.checks for one in found),
        outcomes=sum(len(one.outcomes) for one in found),
        errors=sum(bool(one.error) or one.drift is None for one in found),
    )


def unallowed(drift: Drift) -> tuple[Difference, ...]:
    """Return the differences that nobody allows."""
    return tuple(one for one in drift.differences if one.allowance is None)


def missing(drift: Drift) -> tuple[Unread, ...]:
    """Return what was not read and nobody allows to be."""
    return tuple(one for one in drift.unread if one.allowance is None)


def alike(comparisons: Iterable[Comparison]) -> tuple[Alike, ...]:
    """Bring together the machines that differ in the same way, so that it is read once."""
    groups: dict[tuple[Difference, ...], list[Comparison]] = {}
    for one in comparisons:
        if one.drift is not None and (found := unallowed(one.drift)):
            groups.setdefault(found, []).append(one)
    return tuple(
        Alike(
            machines=tuple(dict.fromkeys(one.right for one in group)),
            against=tuple(dict.fromkeys(one.left for one in group)),
            differences=differences,
        )
        for differences, group in groups.items()
    )


def verdict_words(parity: Parity) -> str:
    """Say in a few words how a parity stands, and name the odd ones out; of two that differ, both."""
    if not parity.comparisons:
        return "nothing was compared"
    if parity.holds:
        return "alike"
    odd = tuple(dict.fromkeys(name for one in parity.comparisons if not one.holds for name in _ones(one, parity)))
    rest = len(odd) - NAMED
    named = ", ".join(odd[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
    pair = _pair(parity)
    return f"not alike: {named} of {len(parity.comparisons) + (pair is not None)}"


def unread_words_of(comparisons: Iterable[Comparison]) -> tuple[str, ...]:
    """Return what machines did not tell and nobody allows, once for a machine that several are held against."""
    return tuple(dict.fromkeys(words for one in comparisons if one.drift is not None for words in unread_of(one.drift)))


def unread_of(drift: Drift) -> tuple[str, ...]:
    """Return what either machine did not tell and nobody allows."""
    sides = {Side.LEFT: drift.left.subject, Side.RIGHT: drift.right.subject}
    return tuple(unread_words(one, sides[one.side]) for one in missing(drift))


def _pair(parity: Parity) -> Comparison | None:
    """Return the comparison of two machines of a group with each other; of more, each is held against most of them."""
    made = [one for one in parity.comparisons if one.drift is not None]
    return made[0] if parity.kind is ParityKind.GROUP and len(made) == 1 else None


def _ones(comparison: Comparison, parity: Parity) -> tuple[str, ...]:
    """Return the machines that a comparison speaks against."""
    return (comparison.left, comparison.right) if comparison is _pair(parity) else (comparison.right,)
