"""Decide whether an image may be promoted: pure, total, failing closed.

Every rule is always asked. What a gate's configuration can do is to tolerate failed controls of low severities, and to
accept waivers; it cannot switch a rule off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from imagetest.model.assessment import Assessment, Objection, Sibling, Verdict
from imagetest.model.control import Severity
from imagetest.model.finding import Finding, Status, Waiver
from imagetest.model.parity import Parity
from imagetest.policy.coverage import holds, utc
from imagetest.policy.wording import comparison_words

ALL = "all"
"""Every cell of the matrix."""


@dataclass(frozen=True, slots=True, order=True)
class Required:
    """Parity that a gate requires, written as `KIND` or `KIND:ENVIRONMENT`."""

    kind: str
    """The value of a ParityKind."""
    environment: str = ""
    """The environment whose hosts it must be about; any where it is empty."""

    def __str__(self) -> str:
        """Return it as it is written in the configuration."""
        return f"{self.kind}:{self.environment}" if self.environment else self.kind

    def is_met_by(self, parity: Parity) -> bool:
        """Say whether it was this that was looked at; parity of an environment is called `ENVIRONMENT/GROUP`."""
        place = parity.name.partition("/")[0]
        return parity.kind.value == self.kind and self.environment in {"", place}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A gate as it is configured."""

    name: str
    tolerate: frozenset[Severity] = frozenset()
    """Severities whose failed controls do not object; errors and controls that nobody reviewed always do."""
    waivers: tuple[Waiver, ...] = ()
    bake_differences: int = 0
    """Facts in which two bakes may differ; it is a check of the suite `phoenix` that compares them."""
    parity: frozenset[Required] = frozenset()
    """Parity that must have been proved."""
    matrix: frozenset[str] = frozenset()
    """Cells of the matrix that must be open for any of them to be: `all`, or their names, or how those begin."""


Rule = Callable[[Gate, Assessment, datetime], Iterator[Objection]]


def decide(gate: Gate, assessment: Assessment, *, now: datetime) -> Verdict:
    """Ask every rule."""
    objections = tuple(objection for rule in RULES for objection in rule(gate, assessment, now))
    failed = _unwaived(assessment, now, Status.FAILED)
    tolerated = tuple(finding.control_id for finding in failed if _tolerated(gate, assessment, finding))
    return Verdict(gate=gate.name, objections=objections, decided=now, tolerated=tolerated)


def told(sibling: Sibling, verdict: Verdict) -> Sibling:
    """Return another cell of a matrix with what its own verdict says."""
    first = next((f"{one.control_id or one.rule}: {one.message}" for one in verdict.objections), "")
    return replace(sibling, objections=len(verdict.objections), reason=first)


def run_was_complete(_gate: Gate, assessment: Assessment, _now: datetime) -> Iterator[Objection]:
    """Object to whatever kept the run from judging."""
    for error in assessment.errors:
        yield Objection(rule="run-was-complete", message=error)


def something_was_evaluated(_gate: Gate, assessment: Assessment, _now: datetime) -> Iterator[Objection]:
    """Object when no control was evaluated: no test, all skipped, none applicable."""
    evaluated = {Status.PASSED, Status.FAILED}
    if not any(finding.status in evaluated for finding in assessment.findings):
        yield Objection(rule="something-was-evaluated", message="no control was evaluated")


def subject_is_known(_gate: Gate, assessment: Assessment, _now: datetime) -> Iterator[Objection]:
    """Object when it is not known what was judged, or that it was booted."""
    if not assessment.image.digest.startswith("sha256:"):
        yield Objection(rule="subject-is-known", message="the image has no content digest")
    if assessment.boot is None:
        yield Objection(rule="subject-is-known", message="the image was not booted")


def image_was_booted_afresh(_gate: Gate, assessment: Assessment, _now: datetime) -> Iterator[Objection]:
    """Object to an instance that an earlier run booted: it may carry what the checks of that run did to it."""
    if assessment.boot is not None and assessment.boot.taken_over_from:
        message = f"the instance was taken over from run {assessment.boot.taken_over_from}"
        yield Objection(rule="image-was-booted-afresh", message=message)


def no_control_failed(gate: Gate, assessment: Assessment, now: datetime) -> Iterator[Objection]:
    """Object to every failed control that is neither waived nor tolerated."""
    for finding in _unwaived(assessment, now, Status.FAILED):
        if not _tolerated(gate, assessment, finding):
            yield _objection("no-control-failed", finding)


def no_control_errored(_gate: Gate, assessment: Assessment, now: datetime) -> Iterator[Objection]:
    """Object to every control that could not be evaluated; only a waiver accepts that."""
    for finding in _unwaived(assessment, now, Status.ERROR):
        yield _objection("no-control-errored", finding)


def required_controls_were_reviewed(_gate: Gate, assessment: Assessment, now: datetime) -> Iterator[Objection]:
    """Object to every required control that nobody evaluated, whether it is missing, deselected or skipped."""
    found = {finding.control_id for finding in assessment.findings}
    for identity in assessment.profile.required:
        if identity not in found:
            yield Objection(rule="required-controls-were-reviewed", control_id=identity, message="there is no finding")
    for finding in _unwaived(assessment, now, Status.NOT_REVIEWED):
        if finding.control_id in assessment.profile.required:
            yield _objection("required-controls-were-reviewed", finding)


def checks_were_reviewed(_gate: Gate, assessment: Assessment, now: datetime) -> Iterator[Objection]:
    """Object to every check that was found but reached no judgement, required or not."""
    for finding in _unwaived(assessment, now, Status.NOT_REVIEWED):
        if finding.control_id not in assessment.profile.required:
            yield _objection("checks-were-reviewed", finding)


def waivers_are_in_force(gate: Gate, assessment: Assessment, now: datetime) -> Iterator[Objection]:
    """Object to every waiver of this image that has expired, so that none is permanent by neglect."""
    today = utc(now).date()
    for waiver in gate.waivers:
        if waiver.image in {"*", assessment.image.name} and waiver.expires < today:
            yield Objection(
                rule="waivers-are-in-force",
                control_id=waiver.control_id,
                message=f"its waiver by {waiver.approved_by} expired on {waiver.expires.isoformat()}",
            )


def parity_holds(_gate: Gate, assessment: Assessment, _now: datetime) -> Iterator[Objection]:
    """Object to every machine that was held against another and is not what it should be, required or not."""
    for parity in assessment.parities:
        name = f"{parity.kind.value} {parity.name}"
        if not parity.comparisons:
            yield Objection(rule="parity-holds", message=f"{name}: nothing was compared")
        for one in parity.comparisons:
            if not one.holds:
                yield Objection(rule="parity-holds", message=f"{name}: {comparison_words(one)}")


def required_parity_was_proved(gate: Gate, assessment: Assessment, _now: datetime) -> Iterator[Objection]:
    """Object when parity that the gate requires was not looked at, or only that of another environment."""
    for one in sorted(gate.parity):
        if not any(one.is_met_by(parity) for parity in assessment.parities):
            place = f" with {one.environment}" if one.environment else ""
            yield Objection(rule="required-parity-was-proved", message=f"{one.kind} parity{place} was not looked at")


def required_cells_are_open(gate: Gate, assessment: Assessment, _now: datetime) -> Iterator[Objection]:
    """Object when a cell of the matrix that the gate requires is closed, was not judged, or is none of this run."""
    for sibling in assessment.siblings:
        if not sibling.open and any(_names(one, sibling.cell) for one in gate.matrix):
            message = f"{sibling.name} is closed: {sibling.reason}"
            yield Objection(rule="required-cells-are-open", message=message)
    cells = [assessment.cell, *(sibling.cell for sibling in assessment.siblings)]
    for one in sorted(gate.matrix - {ALL}):
        if not any(_names(one, cell) for cell in cells):
            yield Objection(rule="required-cells-are-open", message=f"no cell {one!r} of the matrix was judged")


def _names(required: str, cell: str) -> bool:
    return required in {ALL, cell} or cell.startswith(f"{required}.")


RULES: tuple[Rule, ...] = (
    run_was_complete,
    subject_is_known,
    image_was_booted_afresh,
    something_was_evaluated,
    no_control_failed,
    no_control_errored,
    required_controls_were_reviewed,
    checks_were_reviewed,
    waivers_are_in_force,
    parity_holds,
    required_parity_was_proved,
    required_cells_are_open,
)
"""In-tree only: a package on the path must not be able to loosen the gate."""


def _unwaived(assessment: Assessment, now: datetime, status: Status) -> list[Finding]:
    """Return the findings of one status that no waiver excuses; one that expired, or for another image, does not."""
    return [one for one in assessment.findings if one.status is status and not _waived(one, assessment, now)]


def _waived(finding: Finding, assessment: Assessment, now: datetime) -> bool:
    waiver = finding.waiver
    return (
        waiver is not None
        and waiver.control_id == finding.control_id
        and holds(waiver, image=assessment.image.name, day=utc(now).date())
    )


def _tolerated(gate: Gate, assessment: Assessment, finding: Finding) -> bool:
    """Say whether the gate lets a failed control of its severity pass; one that nobody rated is critical."""
    rated = [control.severity for control in assessment.controls if control.id == finding.control_id]
    return bool(rated) and all(one in gate.tolerate and one is not Severity.CRITICAL for one in rated)


def _objection(rule: str, finding: Finding) -> Objection:
    words = finding.status.value.replace("_", " ")
    message = f"{words}: {finding.message}" if finding.message else words
    return Objection(rule=rule, control_id=finding.control_id, message=message)
