"""Say in words what differs between two machines."""

from __future__ import annotations

import re

from imagetest.model.drift import Difference, Kind, Unread
from imagetest.model.parity import Comparison
from imagetest.model.snapshot import Gap

RIGHTS = re.compile(r"(?:.*, )?rights set-.*|capabilities (?!.*, type ).*")
"""What is told of a file of which nothing but its rights is told, in whatever order: the file may have been there."""

LONGEST = 200
"""Characters of one value that are shown; the whole of it is in the document."""


def words(difference: Difference) -> str:
    """Return one difference as a sentence about the right machine, such as `package curl: version 1 became 2`."""
    what, left, right = f"{difference.noun} {difference.key}", _short(difference.left), _short(difference.right)
    if not difference.attribute and difference.family == "files" and RIGHTS.fullmatch(left + right):
        added = "were added" if right_only(difference) else "are gone"
        return f"{what}: more rights than its caller's {added}{_in_brackets(left + right)}"
    if not difference.attribute:
        said = f"was added{_in_brackets(right)}" if right_only(difference) else f"is gone{_in_brackets(left)}"
        return f"{what} {said}"
    if difference.kind is Kind.CHANGED:
        return f"{what}: {difference.attribute} {left or 'nothing'} became {right or 'nothing'}"
    if right_only(difference):
        return f"{what}: {difference.attribute} {right} was added".replace("  ", " ")
    return f"{what}: {difference.attribute} {left} is gone".replace("  ", " ")


def unread_words(unread: Unread, subject: str) -> str:
    """Return what a machine did not tell, and why."""
    return gap_words(unread.family, unread.gap, subject)


def gap_words(family: str, gap: Gap, subject: str) -> str:
    """Return what a machine did not tell of a family, and why."""
    what = " ".join(part for part in (family, gap.key, gap.attribute) if part)
    return f"{subject} does not tell {what}: {gap.reason}"


def comparison_words(comparison: Comparison) -> str:
    """Return in one line what stands between two machines."""
    drift, said = comparison.drift, [comparison.error] if comparison.error else []
    if drift is not None and drift.unexplained:
        said.append(f"{drift.unexplained} of {drift.compared} facts differ and nobody allows it")
    if drift is not None and (missing := sum(one.allowance is None for one in drift.unread)):
        said.append(f"{missing} could not be read")
    if comparison.outcomes:
        said.append(f"{len(comparison.outcomes)} of {comparison.checks} checks conclude differently")
    if drift is None and not comparison.error:
        said.append("its state was not compared")
    return f"{comparison.right} against {comparison.left}: {'; '.join(said) or 'alike'}"


def right_only(difference: Difference) -> bool:
    """Say whether only the right machine has it."""
    return difference.kind is Kind.ADDED


def _in_brackets(value: str) -> str:
    return f" ({value})" if value else ""


def _short(value: str) -> str:
    return value if len(value) <= LONGEST else f"{value[:LONGEST]}..."
