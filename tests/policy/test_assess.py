"""From checks to findings, and what a choice of tests may not do."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetest.model.control import Control, Profile, Severity
from imagetest.model.finding import Check, Status
from imagetest.policy.assess import Collected, controls, findings, scope, waive
from imagetest.policy.gate import Gate, decide
from tests.nouns import BOOT, IMAGE, NAMES, NOW, TODAY, found, judged, waiver

CATALOGUE = {name: Control(id=name, title=name.upper(), severity=Severity.LOW) for name in "abcd"}
STATUSES = st.sampled_from(Status)


def check(identity: str, *bound: str, status: Status = Status.PASSED, message: str = "") -> Check:
    return Check(id=identity, controls=bound, status=status, message=message)


@given(st.lists(STATUSES))
def test_the_worst_status_ignores_order(statuses: list[Status]) -> None:
    assert Status.worst(statuses) is Status.worst(reversed(statuses))
    assert Status.worst([*statuses, Status.ERROR]) is Status.ERROR


def test_no_status_at_all_means_that_nobody_looked() -> None:
    assert Status.worst([]) is Status.NOT_REVIEWED


def test_a_control_takes_the_worst_of_its_checks_and_its_words() -> None:
    checks = (
        check("t1", "a", message="fine"),
        check("t2", "a", status=Status.FAILED, message="bad"),
        check("t3", "a", status=Status.FAILED, message="worse"),
    )
    (finding,) = findings(checks, Profile(name="p"), absent={})

    assert (finding.status, finding.message, finding.checks) == (Status.FAILED, "bad; worse", ("t1", "t2", "t3"))


def test_a_check_without_a_control_is_a_finding_of_its_own_and_unrated() -> None:
    checks = (Check(id="t1", title="It serves.", status=Status.FAILED),)

    assert [one.control_id for one in findings(checks, Profile(name="p"), absent={})] == ["t1"]
    assert controls({}, checks, Profile(name="p"), absent={}) == (
        Control(id="t1", title="It serves.", severity=Severity.UNRATED),
    )


def test_a_required_control_without_a_test_says_so() -> None:
    (finding,) = findings((), Profile(name="p", required=("a",)), absent={})

    assert finding.status is Status.NOT_REVIEWED
    assert finding.message == "no test is bound to it"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (Status.PASSED, Status.NOT_REVIEWED),
        (Status.NOT_APPLICABLE, Status.NOT_REVIEWED),
        (Status.FAILED, Status.FAILED),
    ],
)
def test_a_control_that_lost_a_test_was_not_reviewed(status: Status, expected: Status) -> None:
    absent = {"a": "t2 was deselected"}
    (finding,) = findings((check("t1", "a", status=status),), Profile(name="p"), absent=absent)

    assert finding.status is expected
    assert ("t2 was deselected" in finding.message) == (expected is Status.NOT_REVIEWED)


@given(
    bound=st.dictionaries(st.integers(0, 5).map(str), st.lists(NAMES, max_size=2).map(tuple), min_size=1),
    lost=st.sets(st.integers(0, 5).map(str)),
    deselected=st.booleans(),
    named=st.booleans(),
    required=st.lists(NAMES, max_size=2, unique=True).map(tuple),
    statuses=st.lists(STATUSES, min_size=6, max_size=6),
    tolerate=st.frozensets(st.just(Severity.LOW) | st.just(Severity.UNRATED)),
)
def test_a_choice_of_tests_never_opens_a_gate(
    *,
    bound: dict[str, tuple[str, ...]],
    lost: set[str],
    deselected: bool,
    named: bool,
    required: tuple[str, ...],
    statuses: list[Status],
    tolerate: frozenset[Severity],
) -> None:
    profile = Profile(name="p", required=required) if named else Profile(name="")
    gate = Gate(name="default", tolerate=tolerate)

    def is_open(left_out: set[str]) -> bool:
        collected = {
            name: Collected(controls=names, deselected=deselected and name in left_out) for name, names in bound.items()
        }
        ran = {
            name: check(name, *names, status=statuses[int(name)])
            for name, names in bound.items()
            if name not in left_out
        }
        seen = scope(collected, ran, profile)
        concluded = judged()
        concluded = type(concluded)(
            id="x", image=IMAGE, boot=BOOT, profile=seen.profile, started=NOW, finished=NOW, errors=seen.errors,
            controls=controls(CATALOGUE, tuple(ran.values()), seen.profile, absent=seen.absent),
            findings=findings(tuple(ran.values()), seen.profile, absent=seen.absent),
        )  # fmt: skip
        assert {one.id for one in concluded.controls} == {one.control_id for one in concluded.findings}
        return decide(gate, concluded, now=NOW).open

    assert is_open(set()) or not is_open(lost)
    assert not (lost & set(bound)) or not is_open(lost)


def test_without_a_profile_every_control_of_a_collected_test_is_required() -> None:
    collected = {"t1": Collected(controls=("a", "b")), "t2": Collected(controls=("b", "c"), deselected=True)}
    seen = scope(collected, {"t1": check("t1", "a", "b")}, Profile(name=""))

    assert seen.profile.required == ("a", "b", "c")
    assert seen.absent == {"b": "t2 was deselected", "c": "t2 was deselected"}
    assert seen.errors == ("1 of 2 tests were deselected",)


def test_a_test_that_did_not_run_is_told_from_one_that_was_deselected() -> None:
    collected = {"t1": Collected(controls=()), "t2": Collected(controls=("a",), deselected=True)}
    seen = scope(collected, {}, Profile(name="p", required=("z",)))

    assert seen.profile.required == ("z",)
    assert seen.absent == {"t1": "t1 did not run", "a": "t2 was deselected"}
    assert seen.errors == ("1 of 2 tests did not run", "1 of 2 tests were deselected")


def test_a_waiver_is_attached_to_what_is_not_good_and_changes_no_status() -> None:
    before = tuple(found(name, status) for name, status in zip("abcde", Status, strict=True))
    waivers = [waiver(name) for name in "abcde"]
    after = waive(before, waivers, image="web", today=TODAY)

    assert [one.status for one in after] == list(Status)
    assert [one.waiver is not None for one in after] == [False, False, True, True, True]


@pytest.mark.parametrize(
    ("days", "image", "holds"), [(0, "*", True), (0, "web", True), (-1, "*", False), (0, "x", False)]
)
def test_a_waiver_is_attached_only_while_it_holds(days: int, image: str, holds: bool) -> None:  # noqa: FBT001 - a column
    (after,) = waive((found("a", Status.FAILED),), [waiver(days=days, image=image)], image="web", today=TODAY)

    assert (after.waiver is not None) == holds


def test_of_two_waivers_the_one_in_force_counts() -> None:
    old, new = waiver(days=-1), waiver(days=1)
    for order in ([old, new], [new, old]):
        (after,) = waive((found("a", Status.FAILED),), order, image="web", today=TODAY + timedelta(days=0))

        assert after.waiver == new
