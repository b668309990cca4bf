"""The counts that reports show add up, and nothing drops out of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetest.model.assessment import Assessment, Objection, Verdict
from imagetest.model.control import Control, Profile, Reference, Severity
from imagetest.model.finding import Check, Finding, Status, Waiver
from imagetest.model.image import Image
from imagetest.policy.coverage import Coverage, Row, elapsed, holds, measure, utc

NOW = datetime(2026, 11, 3, 14, 0, tzinfo=UTC)
IMAGE = Image(name="web", kind="docker", reference="sha256:1", digest="sha256:1")

IDS = st.sampled_from("abcdefgh")
WAIVERS = st.builds(
    Waiver,
    control_id=IDS,
    reason=st.just("known"),
    approved_by=st.just("somebody"),
    expires=st.sampled_from([date(2026, 11, 2), date(2026, 11, 3)]),
    image=st.sampled_from(["*", "web", "other"]),
)
CONTROLS = st.builds(
    Control,
    id=IDS,
    title=st.just("t"),
    severity=st.sampled_from(Severity),
    references=st.lists(
        st.builds(Reference, framework=st.sampled_from(["X", "Y"]), id=st.sampled_from(["1", "2", "10"])), max_size=3
    ).map(tuple),
)
FINDINGS = st.builds(
    Finding,
    control_id=IDS,
    status=st.sampled_from(Status),
    checks=st.lists(st.sampled_from(["k1", "k2", "lost"]), max_size=3).map(tuple),
    waiver=st.none() | WAIVERS,
)
CHECKS = st.builds(Check, id=st.sampled_from(["k1", "k2", "k3"]), status=st.sampled_from(Status))


@st.composite
def measured(draw: st.DrawFn) -> tuple[Assessment, Coverage]:
    assessment = assess(
        controls=tuple(draw(st.lists(CONTROLS, max_size=6))),
        findings=tuple(draw(st.lists(FINDINGS, max_size=8))),
        checks=tuple(draw(st.lists(CHECKS, max_size=4))),
        required=tuple(draw(st.lists(IDS, max_size=4))),
    )
    verdict = Verdict(gate="g", objections=(), decided=NOW, tolerated=tuple(draw(st.lists(IDS, max_size=3))))
    return assessment, measure(assessment, verdict)


def assess(
    *,
    controls: tuple[Control, ...] = (),
    findings: tuple[Finding, ...] = (),
    checks: tuple[Check, ...] = (),
    required: tuple[str, ...] = (),
) -> Assessment:
    return Assessment(
        id="1",
        image=IMAGE,
        profile=Profile(name="p", required=required),
        controls=controls,
        findings=findings,
        checks=checks,
        started=NOW,
        finished=NOW,
    )


def only_row(finding: Finding, *, decided: datetime = NOW, tolerated: tuple[str, ...] = ()) -> Row:
    verdict = Verdict(gate="g", objections=(), decided=decided, tolerated=tolerated)
    (row,) = measure(assess(findings=(finding,)), verdict).rows
    return row


@given(measured())
def test_every_sum_is_the_sum_of_its_parts(given_: tuple[Assessment, Coverage]) -> None:
    _, coverage = given_
    severities = [counts for _, counts in coverage.by_severity]

    assert coverage.total.total == len(coverage.rows)
    for status in Status:
        assert coverage.total.of(status) == len(coverage.with_status(status))
        assert coverage.total.of(status) == sum(counts.of(status) for counts in severities)
    assert coverage.total.waived == sum(counts.waived for counts in severities)
    assert coverage.total.excused == len(coverage.excused)
    assert coverage.total.excused <= coverage.total.waived + coverage.total.tolerated


@given(measured())
def test_no_control_that_anybody_named_drops_out(given_: tuple[Assessment, Coverage]) -> None:
    assessment, coverage = given_
    named = {
        *(control.id for control in assessment.controls),
        *(finding.control_id for finding in assessment.findings),
        *assessment.profile.required,
    }

    assert sorted(row.control.id for row in coverage.rows) == sorted(named)
    assert coverage.required.total == len(set(assessment.profile.required))


@given(measured())
def test_no_check_is_shown_by_nobody(given_: tuple[Assessment, Coverage]) -> None:
    assessment, coverage = given_
    shown = {check.id for row in coverage.rows for check in row.checks} | {check.id for check in coverage.strays}

    assert shown == {check.id for check in assessment.checks}
    assert coverage.checks.total == len(assessment.checks)


@given(measured())
def test_nothing_green_is_excused_and_nothing_excused_is_green(given_: tuple[Assessment, Coverage]) -> None:
    _, coverage = given_

    for row in coverage.excused:
        assert row.finding.status not in {Status.PASSED, Status.NOT_APPLICABLE}


@given(measured())
def test_a_framework_counts_a_control_once(given_: tuple[Assessment, Coverage]) -> None:
    _, coverage = given_

    for framework in coverage.by_framework:
        assert framework.counts.total == len({row.control.id for _, row in framework.entries})


def test_a_required_control_without_a_finding_counts_as_not_reviewed() -> None:
    coverage = measure(assess(required=("sshd",)), Verdict(gate="g", objections=(), decided=NOW))

    assert coverage.total.not_reviewed == coverage.required.not_reviewed == 1
    assert coverage.rows[0].reason == "no finding was recorded"


def test_of_two_findings_for_one_control_the_worse_counts() -> None:
    findings = (Finding(control_id="a", status=Status.FAILED), Finding(control_id="a", status=Status.PASSED))
    verdict = Verdict(gate="g", objections=(), decided=NOW)

    for order in (findings, findings[::-1]):
        assert measure(assess(findings=order), verdict).total.failed == 1


@pytest.mark.parametrize(
    ("image", "expires", "held"),
    [
        ("*", date(2026, 11, 3), True),
        ("web", date(2026, 11, 3), True),
        ("other", date(2026, 11, 3), False),
        ("*", date(2026, 11, 2), False),
    ],
)
def test_a_waiver_holds_for_its_image_to_the_end_of_its_last_day(image: str, expires: date, *, held: bool) -> None:
    waiver = Waiver(control_id="a", reason="r", approved_by="b", expires=expires, image=image)

    assert holds(waiver, image="web", day=NOW.date()) is held
    assert only_row(Finding(control_id="a", status=Status.FAILED, waiver=waiver)).waived is held


def test_the_last_day_of_a_waiver_is_one_in_utc() -> None:
    waiver = Waiver(control_id="a", reason="r", approved_by="b", expires=date(2026, 11, 3))
    finding = Finding(control_id="a", status=Status.FAILED, waiver=waiver)
    already_the_fourth = datetime(2026, 11, 4, 1, 0, tzinfo=timezone(timedelta(hours=2)))

    assert only_row(finding, decided=already_the_fourth).waived


def test_a_tolerated_control_keeps_its_status() -> None:
    row = only_row(Finding(control_id="a", status=Status.FAILED), tolerated=("a",))

    assert row.tolerated
    assert row.excused
    assert row.failing


def test_rows_come_with_the_worst_first_and_references_in_natural_order() -> None:
    refs = (Reference(framework="X", id="AC-10"), Reference(framework="X", id="AC-2"))
    controls = (
        Control(id="a", title="", severity=Severity.LOW, references=refs),
        Control(id="b", title="", severity=Severity.CRITICAL),
        Control(id="c", title="", severity=Severity.CRITICAL),
    )
    findings = (Finding(control_id="b", status=Status.PASSED), Finding(control_id="c", status=Status.FAILED))
    coverage = measure(assess(controls=controls, findings=findings), Verdict(gate="g", objections=(), decided=NOW))

    assert [row.control.id for row in coverage.rows] == ["c", "b", "a"]
    assert [reference for reference, _ in coverage.by_framework[0].entries] == ["AC-2", "AC-10"]


def test_a_row_knows_its_evidence_its_objections_and_what_is_missing() -> None:
    check = Check(id="k", status=Status.FAILED, message="it did not")
    finding = Finding(control_id="a", status=Status.FAILED, checks=("k", "lost", "k"))
    objection = Objection(rule="r", message="m", control_id="a")
    other = Objection(rule="r", message="m", control_id="b")
    verdict = Verdict(gate="g", objections=(objection, other), decided=NOW)
    (row,) = measure(assess(findings=(finding,), checks=(check,)), verdict).rows

    assert row.checks == (check,)
    assert row.unrecorded == ("lost",)
    assert row.objections == (objection,)
    assert row.reason == "it did not"


def test_the_time_between_two_moments_is_unknown_when_one_of_them_is() -> None:
    assert elapsed(NOW, NOW + timedelta(seconds=90)) == 90
    assert elapsed(None, NOW) is None
    assert utc(datetime(2026, 11, 3, 14, 0)) == NOW  # noqa: DTZ001 - a moment without a zone is the point
