"""Decide whether machines that should be alike are: pure, one machine's state in memory at a time, failing closed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from imagetest.model.drift import Allowance, Drift
from imagetest.model.finding import Check, Status
from imagetest.model.parity import Comparison, Outcome, Parity, ParityKind
from imagetest.model.snapshot import Snapshot
from imagetest.policy.consensus import Consensus
from imagetest.policy.drift import compare

PAIR = 2
"""Machines that have no majority: they are held against each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one machine told of itself."""

    host: str
    """The machine, as its user writes it."""
    read: Callable[[], Snapshot] | None = None
    """Gives its snapshot, which whoever holds many of them keeps packed; None when it could not be had."""
    error: str = ""
    """Why it could not be had."""


def against(
    kind: ParityKind,
    name: str,
    reference: Snapshot,
    answers: Iterable[Answer],
    allowances: Sequence[Allowance] = (),
    *,
    now: datetime,
) -> Parity:
    """Hold each machine against one that is taken to be right, such as an image under test."""
    comparisons = [_held(reference, answer, allowances, now) for answer in answers]
    return Parity(kind=kind, name=name, comparisons=tuple(comparisons), unused=unused(comparisons, allowances))


def group(name: str, answers: Sequence[Answer], allowances: Sequence[Allowance] = (), *, now: datetime) -> Parity:
    """Hold the machines of a group against what most of them are, two against each other; one alone is an error.

    A machine that did not answer is an error of its own, and the others are judged.
    """
    told = [one for one in answers if one.read is not None]
    comparisons = [_lost(f"the others of {name}", one) for one in answers if one.read is None]
    if len(told) > PAIR:
        comparisons += _against_most(name, told, allowances, now)
    elif len(told) == PAIR and told[0].read is not None:
        comparisons.append(_held(told[0].read(), told[1], allowances, now))
    elif told:
        alone = "it is the only host of its group" if len(answers) == 1 else "no other host of its group told its state"
        comparisons.append(Comparison(left=f"the others of {name}", right=told[0].host, error=alone))
    return Parity(
        kind=ParityKind.GROUP, name=name, comparisons=tuple(comparisons), unused=unused(comparisons, allowances)
    )


def unused(comparisons: Iterable[Comparison], allowances: Iterable[Allowance]) -> tuple[Allowance, ...]:
    """Return the allowances that matched in none of the comparisons, of which one at least could be made."""
    drifts = [one.drift for one in comparisons if one.drift is not None]
    return tuple(one for one in allowances if drifts and all(one in drift.unused for drift in drifts))


def outcomes(left: Mapping[str, Check], right: Mapping[str, Check]) -> tuple[int, tuple[Outcome, ...]]:
    """Return how many checks were reviewed on both machines, and those that concluded differently.

    What is given are the checks that should run on both: one that is there on one side only was not reviewed on the
    other. One that errored on both proves nothing, and is among those that differ. One that was skipped on both is not
    counted: whether that is good enough is for the gate to say, of the image.
    """
    count, found = 0, []
    for check in dict.fromkeys([*left, *right]):
        here, there = _status(left.get(check)), _status(right.get(check))
        count += Status.NOT_REVIEWED not in {here, there}
        if here is not there or here is Status.ERROR:
            found.append(Outcome(check=check, left=here, right=there, message=_message(right.get(check))))
    return count, tuple(found)


def _status(check: Check | None) -> Status:
    return Status.NOT_REVIEWED if check is None else check.status


def _message(check: Check | None) -> str:
    return "it did not run there" if check is None else check.message


def _held(reference: Snapshot, answer: Answer, allowances: Sequence[Allowance], now: datetime) -> Comparison:
    if answer.read is None:
        return _lost(reference.subject, answer)
    drift = compare(reference, answer.read(), allowances, now=now)
    return Comparison(left=reference.subject, right=answer.host, drift=drift)


def _lost(left: str, answer: Answer) -> Comparison:
    return Comparison(left=left, right=answer.host, error=answer.error or "it did not tell its state")


def _against_most(
    name: str, told: Sequence[Answer], allowances: Sequence[Allowance], now: datetime
) -> Iterable[Comparison]:
    """Read each snapshot twice: once to learn what most are, once to compare."""
    votes = Consensus()
    for answer in told:
        if answer.read is not None:
            votes.add(answer.read())
    most = votes.snapshot(f"most of the {len(told)} hosts of {name}")
    for answer in told:
        one = _held(most, answer, allowances, now)
        yield one if one.drift is None else replace(one, drift=_undecided(one.drift, votes))


def _undecided(drift: Drift, votes: Consensus) -> Drift:
    """Say of every difference whether most of the machines really agree on the left one."""
    differences = []
    for one in drift.differences:
        split = votes.split(one.family, one.key, one.attribute)
        differences.append(replace(one, left=f"{one.left or 'nothing'} ({split})") if split else one)
    return replace(drift, differences=tuple(differences))
