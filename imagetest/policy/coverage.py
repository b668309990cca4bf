"""Count what an assessment says: the only arithmetic that a report shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TypeVar

from imagetest.model.assessment import Assessment, Objection, Verdict
from imagetest.model.control import Control, Severity
from imagetest.model.finding import Check, Finding, Status, Waiver

T = TypeVar("T")

GREEN = frozenset({Status.PASSED, Status.NOT_APPLICABLE})
"""The statuses that need no excuse."""

UNRECORDED = "no finding was recorded"
"""The message of a control that the assessment is silent about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many of each status; the last three are contained in those numbers, not added to them."""

    not_applicable: int = 0
    passed: int = 0
    not_reviewed: int = 0
    failed: int = 0
    error: int = 0
    waived: int = 0
    tolerated: int = 0
    excused: int = 0
    """Waived or tolerated: one that is both counts once."""

    @property
    def total(self) -> int:
        """Return how many there are of all statuses."""
        return sum(self.of(status) for status in Status)

    def of(self, status: Status) -> int:
        """Return how many there are of one status."""
        number: int = getattr(self, status.value)
        return number


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One control as a report shows it: the requirement, what was found, and what was decided about it."""

    control: Control
    finding: Finding
    checks: tuple[Check, ...]
    """The evidence: those of the finding's checks that were recorded."""
    required: bool
    waived: bool
    """It is not green, and a waiver for this image held on the day of the verdict."""
    tolerated: bool
    """It is not green, and the gate as configured lets it pass."""
    objections: tuple[Objection, ...]

    @property
    def unrecorded(self) -> tuple[str, ...]:
        """Return the ids of checks that the finding rests on and that the assessment does not hold."""
        held = {check.id for check in self.checks}
        return tuple(id_ for id_ in self.finding.checks if id_ not in held)

    @property
    def reason(self) -> str:
        """Return why the finding is as it is: its own message, else those of its checks."""
        return self.finding.message or "; ".join(dict.fromkeys(check.message for check in self.checks if check.message))

    @property
    def excused(self) -> bool:
        """Say whether somebody's decision stands behind this control, though it is not green."""
        return self.waived or self.tolerated

    @property
    def failing(self) -> bool:
        """Say whether the control failed or could not be evaluated, excused or not."""
        return self.finding.status in {Status.FAILED, Status.ERROR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """Somebody else's catalogue, as far as the controls of this assessment refer to it."""

    name: str
    counts: Counts
    """Each control once, however many of its references are into this framework."""
    entries: tuple[tuple[str, Row], ...]
    """The id within the framework, and a control that refers to it; ordered by id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What was judged, with what outcome, and what nobody looked at."""

    rows: tuple[Row, ...]
    """Every control once: worst severity first, then worst status, then by id."""
    total: Counts
    required: Counts
    """Only the controls that the profile requires."""
    checks: Counts
    commands: int
    by_severity: tuple[tuple[Severity, Counts], ...]
    by_framework: tuple[Framework, ...]
    strays: tuple[Check, ...]
    """Checks that no finding rests on; shown all the same, so that no evidence is lost."""

    @property
    def failing(self) -> tuple[Row, ...]:
        """Return the controls that failed or could not be evaluated, excused or not."""
        return tuple(row for row in self.rows if row.failing)

    @property
    def excused(self) -> tuple[Row, ...]:
        """Return the controls that are waived or tolerated."""
        return tuple(row for row in self.rows if row.excused)

    def with_status(self, status: Status) -> tuple[Row, ...]:
        """Return the controls of one status."""
        return tuple(row for row in self.rows if row.finding.status is status)


def measure(assessment: Assessment, verdict: Verdict) -> Coverage:
    """Count an assessment as its verdict saw it.

    A control that is required but missing, or that has no finding, counts as not reviewed: it cannot drop out of a sum.
    """
    rows = _rows(assessment, verdict)
    resting = {check for row in rows for check in row.finding.checks}
    return Coverage(
        rows=rows,
        total=_count(rows),
        required=_count(row for row in rows if row.required),
        checks=Counts(**Counter(check.status.value for check in assessment.checks)),
        commands=sum(len(check.commands) for check in assessment.checks),
        by_severity=_by_severity(rows),
        by_framework=_by_framework(rows),
        strays=tuple(check for check in assessment.checks if check.id not in resting),
    )


def elapsed(started: datetime | None, finished: datetime | None) -> float | None:
    """Return the seconds between two moments, or None when one of them is unknown."""
    return None if started is None or finished is None else (utc(finished) - utc(started)).total_seconds()


def utc(moment: datetime) -> datetime:
    """Return the moment in UTC; one without a zone is taken to be in UTC already."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def holds(waiver: Waiver, *, image: str, day: date) -> bool:
    """Say whether a waiver is for this image and has not expired on that day."""
    return waiver.image in {"*", image} and day <= waiver.expires


def _rows(assessment: Assessment, verdict: Verdict) -> tuple[Row, ...]:
    controls = {control.id: control for control in assessment.controls}
    findings = _findings(assessment)
    required = frozenset(assessment.profile.required)
    checks = _grouped((check.id, check) for check in assessment.checks)
    objections = _grouped((objection.control_id, objection) for objection in verdict.objections)
    rows = []
    for id_ in dict.fromkeys((*controls, *findings, *assessment.profile.required)):
        finding = findings.get(id_) or Finding(control_id=id_, status=Status.NOT_REVIEWED, message=UNRECORDED)
        rows.append(
            Row(
                control=controls.get(id_) or Control(id=id_, title="", severity=Severity.UNRATED),
                finding=finding,
                checks=tuple(check for name in dict.fromkeys(finding.checks) for check in checks.get(name, ())),
                required=id_ in required,
                waived=_waived(finding, assessment=assessment, verdict=verdict),
                tolerated=finding.status not in GREEN and id_ in verdict.tolerated,
                objections=tuple(objections.get(id_, ())),
            )
        )
    return tuple(sorted(rows, key=_worst_first))


def _waived(finding: Finding, *, assessment: Assessment, verdict: Verdict) -> bool:
    if finding.status in GREEN or finding.waiver is None:
        return False
    return holds(finding.waiver, image=assessment.image.name, day=utc(verdict.decided).date())


def _grouped(pairs: Iterable[tuple[str, T]]) -> dict[str, list[T]]:
    groups: dict[str, list[T]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def _findings(assessment: Assessment) -> dict[str, Finding]:
    """Return one finding for each control: the worst, should there be several."""
    found: dict[str, Finding] = {}
    for finding in assessment.findings:
        other = found.get(finding.control_id)
        if other is None or Status.worst((other.status, finding.status)) is not other.status:
            found[finding.control_id] = finding
    return found


def _worst_first(row: Row) -> tuple[int, int, str]:
    return (list(Severity).index(row.control.severity), -list(Status).index(row.finding.status), row.control.id)


def _count(rows: Iterable[Row]) -> Counts:
    rows = tuple(rows)
    return Counts(
        **Counter(row.finding.status.value for row in rows),
        waived=sum(row.waived for row in rows),
        tolerated=sum(row.tolerated for row in rows),
        excused=sum(row.excused for row in rows),
    )


def _by_severity(rows: tuple[Row, ...]) -> tuple[tuple[Severity, Counts], ...]:
    groups = ((severity, [row for row in rows if row.control.severity is severity]) for severity in Severity)
    return tuple((severity, _count(group)) for severity, group in groups if group)


def _by_framework(rows: tuple[Row, ...]) -> tuple[Framework, ...]:
    references = ((reference, row) for row in rows for reference in row.control.references)
    entries = _grouped((reference.framework, (reference.id, row)) for reference, row in references)
    return tuple(
        Framework(
            name=name,
            counts=_count({row.control.id: row for _, row in found}.values()),
            entries=tuple(sorted(found, key=lambda entry: (_natural(entry[0]), entry[1].control.id))),
        )
        for name, found in sorted(entries.items())
    )


def _natural(text: str) -> list[tuple[str, str]]:
    """Return a key that puts AC-2 before AC-10."""
    return [(word, digits.zfill(9)) for word, digits in re.findall(r"([^0-9]*)([0-9]*)", text)]
