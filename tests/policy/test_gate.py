"""The gate, by what must hold for every assessment: it is the one decision that everything else trusts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetest.model.assessment import Assessment, Sibling
from imagetest.model.control import Severity
from imagetest.model.drift import Drift, Party
from imagetest.model.finding import Finding, Status, Waiver
from imagetest.model.parity import Comparison, Parity, ParityKind
from imagetest.policy.gate import RULES, Gate, Required, decide
from tests.nouns import ASSESSMENTS, BOOT, MOMENTS, NAMES, NOW, findings, found, judged, waiver, waivers

PLAIN = Gate(name="default")
GATES = st.builds(
    Gate,
    name=st.just("default"),
    tolerate=st.frozensets(st.sampled_from(Severity)),
    waivers=st.lists(waivers(), max_size=3).map(tuple),
)
BAD = st.sampled_from([Status.FAILED, Status.ERROR, Status.NOT_REVIEWED])


def is_open(assessment: Assessment, gate: Gate = PLAIN, now: datetime = NOW) -> bool:
    return decide(gate, assessment, now=now).open


def rules_against(assessment: Assessment, gate: Gate = PLAIN) -> set[str]:
    return {objection.rule for objection in decide(gate, assessment, now=NOW).objections}


def as_open_as_can_be(assessment: Assessment, gate: Gate, now: datetime) -> Assessment:
    """Return the assessment without what closes the gate, and with all of its findings that do not."""
    quiet = Gate(name=gate.name, tolerate=gate.tolerate)
    profile = replace(assessment.profile, required=())
    best = replace(assessment, errors=(), boot=BOOT, profile=profile, findings=(found("z"),))
    for finding in assessment.findings:
        more = replace(best, findings=(*best.findings, finding))
        best = more if is_open(more, quiet, now) else best
    return best


# -- what must hold whatever the assessment is


@given(gate=GATES, assessment=ASSESSMENTS, finding=findings(), status=BAD, place=st.integers(0, 5), now=MOMENTS)
def test_one_more_finding_that_is_not_good_never_opens_a_gate(
    *, gate: Gate, assessment: Assessment, finding: Finding, status: Status, place: int, now: datetime
) -> None:
    before = as_open_as_can_be(assessment, gate, now)
    after = (*before.findings[:place], replace(finding, control_id="z", status=status), *before.findings[place:])

    assert is_open(before, gate, now) or not is_open(replace(before, findings=after), gate, now)


@given(gate=GATES, assessment=ASSESSMENTS, status=BAD, name=NAMES, now=MOMENTS)
def test_one_that_is_not_excused_closes_what_was_open(
    gate: Gate, assessment: Assessment, status: Status, name: str, now: datetime
) -> None:
    before = as_open_as_can_be(assessment, replace(gate, tolerate=frozenset()), now)
    strict = Gate(name="strict")

    assert is_open(before, strict, now)
    assert not is_open(replace(before, findings=(*before.findings, found(name, status))), strict, now)


@given(
    gate=GATES, assessment=ASSESSMENTS, finding=findings(), now=MOMENTS,
    status=st.sampled_from([Status.ERROR, Status.NOT_REVIEWED]),
)  # fmt: skip
def test_a_finding_that_nobody_excuses_closes_every_gate(
    gate: Gate, assessment: Assessment, finding: Finding, status: Status, now: datetime
) -> None:
    plain = replace(finding, waiver=None, status=status)

    assert not is_open(replace(assessment, findings=(*assessment.findings, plain)), gate, now)


@given(gate=GATES, assessment=ASSESSMENTS, name=NAMES, status=BAD)
def test_nothing_critical_is_tolerated(gate: Gate, assessment: Assessment, name: str, status: Status) -> None:
    rated = tuple(replace(one, severity=Severity.CRITICAL) for one in assessment.controls)
    bad = replace(assessment, controls=rated, findings=(*assessment.findings, found(name, status)))
    verdict = decide(gate, bad, now=NOW)

    assert not verdict.open
    assert verdict.tolerated == ()


@given(gate=GATES, assessment=ASSESSMENTS, error=st.text(max_size=5))
def test_an_error_of_the_run_closes_every_gate(gate: Gate, assessment: Assessment, error: str) -> None:
    assert not is_open(replace(assessment, errors=(*assessment.errors, error)), gate)


@given(gate=GATES, assessment=ASSESSMENTS, now=MOMENTS)
def test_an_image_that_was_not_booted_closes_every_gate(gate: Gate, assessment: Assessment, now: datetime) -> None:
    assert not is_open(replace(assessment, boot=None), gate, now)


@given(gate=GATES, assessment=ASSESSMENTS, now=MOMENTS)
def test_an_instance_of_an_earlier_run_closes_every_gate(gate: Gate, assessment: Assessment, now: datetime) -> None:
    before = as_open_as_can_be(assessment, gate, now)
    taken = replace(before, boot=replace(BOOT, taken_over_from="20260314-120000-abcdef"))

    assert not is_open(taken, gate, now)
    assert "image-was-booted-afresh" in rules_against(taken, gate)


@given(gate=GATES, assessment=ASSESSMENTS, excuse=waivers(), days=st.integers(1, 999))
def test_a_waiver_never_opens_after_its_last_day(gate: Gate, assessment: Assessment, excuse: Waiver, days: int) -> None:
    bad = Finding(control_id=excuse.control_id, status=Status.ERROR, waiver=excuse)
    late = datetime.combine(excuse.expires, datetime.min.time(), tzinfo=UTC) + timedelta(days=days)

    assert not is_open(replace(assessment, findings=(*assessment.findings, bad)), gate, late)


@given(gate=GATES, assessment=ASSESSMENTS, status=st.sampled_from([Status.NOT_APPLICABLE, Status.NOT_REVIEWED]))
def test_a_gate_is_closed_when_nothing_was_evaluated(gate: Gate, assessment: Assessment, status: Status) -> None:
    none = tuple(replace(one, status=status) for one in assessment.findings)

    assert not is_open(replace(assessment, findings=none), gate)


@given(gate=GATES, assessment=ASSESSMENTS, missing=st.just("nobody-looked"))
def test_a_required_control_without_a_finding_closes_every_gate(
    gate: Gate, assessment: Assessment, missing: str
) -> None:
    profile = replace(assessment.profile, required=(*assessment.profile.required, missing))

    assert not is_open(replace(assessment, profile=profile), gate)


@given(gate=GATES, assessment=ASSESSMENTS, kind=st.sampled_from(ParityKind), error=st.sampled_from(["", "it is down"]))
def test_a_machine_that_was_not_compared_closes_every_gate(
    gate: Gate, assessment: Assessment, kind: ParityKind, error: str
) -> None:
    lost = Parity(kind=kind, name="x", comparisons=(Comparison(left="a", right="b", error=error),))
    nothing = Parity(kind=kind, name="x", comparisons=())

    assert not is_open(replace(assessment, parities=(lost,)), gate)
    assert not is_open(replace(assessment, parities=(nothing,)), gate)


@given(gate=GATES, assessment=ASSESSMENTS, kind=st.sampled_from(ParityKind))
def test_parity_that_is_required_must_have_been_looked_at(gate: Gate, assessment: Assessment, kind: ParityKind) -> None:
    assert not is_open(assessment, replace(gate, parity=frozenset({Required(kind.value)})))


@given(assessment=ASSESSMENTS, gate=GATES, now=MOMENTS)
def test_a_verdict_is_the_same_each_time_and_names_a_reason(assessment: Assessment, gate: Gate, now: datetime) -> None:
    verdict = decide(gate, assessment, now=now)

    assert verdict == decide(gate, assessment, now=now)
    assert verdict.decided == now
    assert verdict.open == (verdict.objections == ())


# -- each rule, by an image that only it refuses

LATE = waiver("gone", days=-1)
LOST = Comparison(left="web", right="web1", error="it is down")
ODD = Parity(kind=ParityKind.ENVIRONMENT, name="production/web", comparisons=(LOST,))
SHUT = Sibling(name="web.qemu.uefi", cell="qemu.uefi", objections=2, reason="it did not come up")
REFUSED = {
    "run-was-complete": (PLAIN, replace(judged(found("a")), errors=("the machine was lost",))),
    "subject-is-known": (PLAIN, replace(judged(found("a")), boot=None)),
    "something-was-evaluated": (PLAIN, judged(found("a", Status.NOT_APPLICABLE))),
    "image-was-booted-afresh": (PLAIN, replace(judged(found("a")), boot=replace(BOOT, taken_over_from="run"))),
    "no-control-failed": (PLAIN, judged(found("a"), found("b", Status.FAILED))),
    "no-control-errored": (PLAIN, judged(found("a"), found("b", Status.ERROR))),
    "required-controls-were-reviewed": (
        PLAIN, judged(found("a"), found("b", Status.NOT_REVIEWED), required=("a", "b"))
    ),
    "checks-were-reviewed": (PLAIN, judged(found("a"), found("b", Status.NOT_REVIEWED), required=("a",))),
    "parity-holds": (PLAIN, replace(judged(found("a")), parities=(ODD,))),
    "required-parity-was-proved": (Gate(name="default", parity=frozenset({Required("group")})), judged(found("a"))),
    "required-cells-are-open": (
        Gate(name="default", matrix=frozenset({"all"})), replace(judged(found("a")), cell="docker", siblings=(SHUT,))
    ),
    "waivers-are-in-force": (Gate(name="default", waivers=(LATE,)), judged(found("a"))),
}  # fmt: skip


@pytest.mark.parametrize("rule", REFUSED)
def test_each_rule_alone_closes_the_gate(rule: str) -> None:
    gate, assessment = REFUSED[rule]

    assert rules_against(assessment, gate) == {rule}


ALIKE = Drift(
    left=Party(subject="web", taken=NOW), right=Party(subject="h", taken=NOW), compared=1, equal=1, allowed=0,
    unexplained=0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("required", "name", "opens"),
    [
        (Required("environment"), "staging/web", True),
        (Required("environment", "staging"), "staging/web", True),
        (Required("environment", "production"), "staging/web", False),
        (Required("environment", "stag"), "staging/web", False),
        (Required("group", "staging"), "staging/web", False),
    ],
    ids=str,
)
def test_parity_that_is_required_of_an_environment_is_of_that_one(
    required: Required, name: str, *, opens: bool
) -> None:
    held = Comparison(left="web", right="h", drift=ALIKE)
    proved = Parity(kind=ParityKind.ENVIRONMENT, name=name, comparisons=(held,))
    assessment = replace(judged(found("a")), parities=(proved,))

    assert is_open(assessment, Gate(name="default", parity=frozenset({required}))) is opens


@pytest.mark.parametrize(
    ("matrix", "opens"),
    [
        ([], True),
        (["docker"], True),
        (["qemu.bios"], True),
        (["docker", "qemu.bios"], True),
        (["all"], False),
        (["qemu"], False),
        (["qemu.uefi"], False),
        (["qemu.uef"], False),
        (["ec2"], False),
    ],
    ids=str,
)
def test_a_gate_requires_some_cells_of_the_matrix_or_all(matrix: list[str], *, opens: bool) -> None:
    siblings = (Sibling(name="web.qemu.bios", cell="qemu.bios"), SHUT)
    assessment = replace(judged(found("a")), cell="docker", siblings=siblings)

    assert is_open(assessment, Gate(name="default", matrix=frozenset(matrix))) is opens


@given(gate=GATES, assessment=ASSESSMENTS, names=st.lists(st.sampled_from(["a", "a.b", "c"]), unique=True))
def test_a_closed_cell_never_opens_a_gate(gate: Gate, assessment: Assessment, names: list[str]) -> None:
    siblings = tuple(Sibling(name=one, cell=one, objections=1, reason="it failed") for one in names)
    with_them = replace(assessment, siblings=siblings)
    requiring = replace(gate, matrix=frozenset({"all"}))

    assert is_open(with_them, requiring) == (is_open(assessment, gate) and not siblings)
    assert is_open(with_them, gate) == is_open(assessment, gate)


def test_every_rule_is_tried_above() -> None:
    assert {rule.__name__.replace("_", "-") for rule in RULES} == set(REFUSED)


def test_an_image_that_passed_is_let_in() -> None:
    assert is_open(judged(found("a"), found("b", Status.NOT_APPLICABLE), required=("a", "b")))


def test_an_image_without_a_digest_is_not() -> None:
    good = judged(found("a"))

    assert rules_against(replace(good, image=replace(good.image, digest="latest"))) == {"subject-is-known"}


# -- waivers and tolerance


@pytest.mark.parametrize("status", [Status.FAILED, Status.ERROR, Status.NOT_REVIEWED])
def test_a_waiver_excuses_until_the_end_of_its_last_day_in_utc(status: Status) -> None:
    waived = judged(found("b"), found("a", status, waiver(days=0)))
    evening = NOW.replace(hour=23, minute=59)
    further_west = (evening + timedelta(minutes=1)).astimezone(timezone(timedelta(hours=-8)))

    assert is_open(waived, now=evening)
    assert not is_open(waived, now=evening + timedelta(minutes=1))
    assert not is_open(waived, now=further_west)


@pytest.mark.parametrize("wrong", [waiver(image="other"), waiver("b"), waiver(days=-1)])
def test_a_waiver_for_something_else_excuses_nothing(wrong: Waiver) -> None:
    assert not is_open(judged(found("b"), found("a", Status.FAILED, wrong)))


@pytest.mark.parametrize("severity", [one for one in Severity if one is not Severity.CRITICAL])
def test_what_is_tolerated_is_named_and_does_not_close(severity: Severity) -> None:
    assessment = judged(found("a", Status.FAILED), found("b"), severity=severity)
    gate = Gate(name="lax", tolerate=frozenset({severity}))

    assert not is_open(assessment)
    assert decide(gate, assessment, now=NOW).tolerated == ("a",)
    assert is_open(assessment, gate)


def test_a_control_that_nobody_rated_is_not_tolerated() -> None:
    unrated = replace(judged(found("a", Status.FAILED), found("b")), controls=())

    assert not is_open(unrated, Gate(name="lax", tolerate=frozenset(Severity)))


def test_a_control_that_is_rated_twice_is_taken_at_its_worst() -> None:
    twice = judged(found("a", Status.FAILED), found("b"), severity=Severity.LOW)
    worse = replace(twice.controls[0], severity=Severity.HIGH)
    gate = Gate(name="lax", tolerate=frozenset({Severity.LOW}))

    assert is_open(twice, gate)
    assert not is_open(replace(twice, controls=(*twice.controls, worse)), gate)
    assert not is_open(replace(twice, controls=(worse, *twice.controls)), gate)


def test_a_waiver_of_another_image_that_expired_does_not_close() -> None:
    gate = Gate(name="default", waivers=(waiver("x", days=-1, image="other"),))

    assert is_open(judged(found("a")), gate)
