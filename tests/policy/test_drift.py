"""Comparing two snapshots: what must hold whatever is in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagetest.model.drift import Allowance, Difference, Drift, Kind, Side
from imagetest.model.snapshot import Family, Gap, Snapshot
from imagetest.policy.drift import compare

NOW = datetime(2026, 11, 22, tzinfo=UTC)
KEYS = st.sampled_from(["a", "b", "/etc/a", "/etc/b/c", "/root/x", "c[1]"])
ATTRIBUTES = st.sampled_from(["mode", "owner", "content"])
FACTS = st.dictionaries(KEYS, st.dictionaries(ATTRIBUTES, st.sampled_from(["1", "2", ""]), max_size=3), max_size=5)
GAPS = st.lists(
    st.builds(
        Gap, key=st.one_of(st.sampled_from(["", "/etc/", "/root/"]), KEYS),
        attribute=st.one_of(st.just(""), ATTRIBUTES), reason=st.just("Permission denied"),
    ),
    max_size=2,
).map(tuple)  # fmt: skip


def family(name: str, facts: dict[str, dict[str, str]], gaps: tuple[Gap, ...] = ()) -> Family:
    return Family(name=name, noun=name.removesuffix("s"), facts=facts, gaps=gaps)


FAMILIES = st.lists(
    st.builds(family, st.sampled_from(["files", "packages", "users"]), FACTS, GAPS),
    max_size=3, unique_by=lambda one: one.name,
).map(tuple)  # fmt: skip
SNAPSHOTS = st.builds(Snapshot, subject=st.just("web"), taken=st.just(NOW), families=FAMILIES)
ALLOWANCES = st.lists(
    st.builds(
        Allowance, pattern=st.sampled_from(["files:*", "files:/etc/*", "*:a", "packages:b", "nothing:*"]),
        attribute=st.sampled_from(["*", "mode", "?ode"]), reason=st.just("r"), owner=st.just("o"),
        expires=st.sampled_from([None, date(2026, 11, 21), date(2026, 11, 22)]),
    ),
    max_size=3, unique=True,
)  # fmt: skip


def machine(facts: dict[str, dict[str, str]], *gaps: Gap) -> Snapshot:
    return Snapshot(subject="web", taken=NOW, families=(family("files", facts, gaps),))


def mirrored(one: Difference) -> tuple[object, ...]:
    return (one.family, one.key, one.attribute, one.kind.mirrored, one.right, one.left)


def told(one: Difference) -> tuple[object, ...]:
    return (one.family, one.key, one.attribute, one.kind, one.left, one.right)


def allowed_by(allowance: Allowance) -> Drift:
    return compare(machine({"a": {"mode": "1"}}), machine({"a": {"mode": "2"}}), [allowance], now=NOW)


@given(one=SNAPSHOTS, allowances=ALLOWANCES)
def test_a_machine_does_not_differ_from_itself(one: Snapshot, allowances: list[Allowance]) -> None:
    drift = compare(one, one, allowances, now=NOW)

    assert drift.differences == ()
    assert drift.equal == drift.compared
    told = any(all(gap.key for gap in family.gaps) for family in one.families)
    read = not any(found.allowance is None for found in drift.unread)
    assert drift.explained == (read and (told or drift.compared > 0))


@given(left=SNAPSHOTS, right=SNAPSHOTS, allowances=ALLOWANCES)
def test_swapping_the_machines_mirrors_every_difference(
    left: Snapshot, right: Snapshot, allowances: list[Allowance]
) -> None:
    there, back = compare(left, right, allowances, now=NOW), compare(right, left, allowances, now=NOW)

    assert set(map(told, there.differences)) == set(map(mirrored, back.differences))
    assert (there.compared, there.equal, there.allowed, there.unexplained) == (
        back.compared, back.equal, back.allowed, back.unexplained,
    )  # fmt: skip
    assert {(one.family, one.gap, one.side is Side.LEFT) for one in there.unread} == {
        (one.family, one.gap, one.side is Side.RIGHT) for one in back.unread
    }
    assert set(there.unused) == set(back.unused)
    assert set(there.expired) == set(back.expired)


@given(left=SNAPSHOTS, right=SNAPSHOTS, allowances=ALLOWANCES)
def test_the_counts_add_up_and_the_unexplained_come_first(
    left: Snapshot, right: Snapshot, allowances: list[Allowance]
) -> None:
    drift = compare(left, right, allowances, now=NOW)
    unexplained = {(one.family, one.key) for one in drift.differences if one.allowance is None}
    differing = {(one.family, one.key) for one in drift.differences}

    assert drift.compared == drift.equal + drift.allowed + drift.unexplained
    assert drift.unexplained == len(unexplained)
    assert drift.allowed == len(differing - unexplained)
    assert [one.allowance is not None for one in drift.differences] == sorted(
        one.allowance is not None for one in drift.differences
    )


@given(left=SNAPSHOTS, right=SNAPSHOTS)
def test_a_gap_is_never_equal_and_never_a_difference(left: Snapshot, right: Snapshot) -> None:
    drift = compare(left, right, now=NOW)

    for found in drift.unread:
        assert not drift.explained
        for difference in drift.differences:
            same = difference.family == found.family
            assert not (same and found.gap.covers(difference.key, difference.attribute))


@given(left=SNAPSHOTS, right=SNAPSHOTS, allowances=ALLOWANCES, more=ALLOWANCES)
def test_another_allowance_never_makes_a_fact_unexplained(
    left: Snapshot, right: Snapshot, allowances: list[Allowance], more: list[Allowance]
) -> None:
    fewer = compare(left, right, allowances, now=NOW)
    all_of_them = compare(left, right, [*allowances, *more], now=NOW)

    assert all_of_them.unexplained <= fewer.unexplained
    assert all_of_them.compared == fewer.compared


def test_a_family_that_one_machine_was_not_asked_for_is_unread() -> None:
    empty = Snapshot(subject="web", taken=NOW, families=())

    drift = compare(machine({"a": {}}), empty, now=NOW)

    assert (drift.compared, drift.differences) == (0, ())
    assert [(one.side, one.gap.reason) for one in drift.unread] == [(Side.RIGHT, "it was not collected")]
    assert not drift.explained


@pytest.mark.parametrize(
    ("gap", "compared"),
    [
        (Gap(reason="x"), 0),
        (Gap(key="/etc/", reason="x"), 1),
        (Gap(key="/etc/a", reason="x"), 1),
        (Gap(key="/etc", reason="x"), 2),
        (Gap(key="/etc/a", attribute="mode", reason="x"), 2),
        (Gap(key="/etc/a ", reason="x"), 2),
    ],
)
def test_a_gap_hides_as_much_as_it_says(gap: Gap, compared: int) -> None:
    facts = {"/etc/a": {"mode": "1"}, "/usr": {"mode": "1"}}

    assert compare(machine(facts), machine(facts, gap), now=NOW).compared == compared


def test_an_attribute_that_was_not_read_hides_no_other() -> None:
    gap = Gap(key="a", attribute="content", reason="x")
    left, right = machine({"a": {"mode": "1", "content": "1"}}), machine({"a": {"mode": "2"}}, gap)

    assert [one.attribute for one in compare(left, right, now=NOW).differences] == ["mode"]


def test_a_whole_fact_is_told_with_all_of_its_attributes() -> None:
    (found,) = compare(machine({}), machine({"a": {"mode": "1", "owner": "root"}}), now=NOW).differences

    assert (found.kind, found.attribute, found.left, found.right) == (Kind.ADDED, "", "", "mode 1, owner root")


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ({"pattern": "files:a"}, "allowed"),
        ({"pattern": "*"}, "allowed"),
        ({"pattern": "files:a", "attribute": "m*"}, "allowed"),
        ({"pattern": "files:a", "expires": date(2026, 11, 22)}, "allowed"),
        ({"pattern": "files:a", "expires": date(2026, 11, 21)}, "expired"),
        ({"pattern": "files:a", "attribute": "owner"}, "unused"),
        ({"pattern": "packages:a"}, "unused"),
        ({"pattern": "files:A"}, "unused"),
        ({"pattern": "a"}, "unused"),
    ],
)
def test_an_allowance_is_used_unused_or_expired(settings: dict[str, object], state: str) -> None:
    allowance = Allowance(**({"reason": "r", "owner": "o"} | settings))  # type: ignore[arg-type]

    drift = allowed_by(allowance)

    assert (drift.allowed, drift.unexplained) == ((1, 0) if state == "allowed" else (0, 1))
    assert drift.unused == ((allowance,) if state == "unused" else ())
    assert drift.expired == ((allowance,) if state == "expired" else ())
    assert drift.differences[0].allowance == (allowance if state == "allowed" else None)


def test_an_allowance_for_one_attribute_does_not_allow_another() -> None:
    allowance = Allowance(pattern="files:a", attribute="mode", reason="r", owner="o")
    left, right = machine({"a": {"mode": "1", "owner": "1"}}), machine({"a": {"mode": "2", "owner": "2"}})

    drift = compare(left, right, [allowance], now=NOW)

    assert (drift.allowed, drift.unexplained) == (0, 1)
    assert [(one.attribute, one.allowance) for one in drift.differences] == [("owner", None), ("mode", allowance)]


def test_what_was_not_read_is_explained_by_an_allowance_about_it() -> None:
    gap = Gap(key="/root/", reason="Permission denied")
    allowance = Allowance(pattern="files:/root/", reason="r", owner="o")

    drift = compare(machine({}), machine({}, gap), [allowance], now=NOW)

    assert drift.explained
    assert drift.unused == ()


# -- a comparison of nothing


def of_families(*families: Family) -> Snapshot:
    return replace(machine({}), families=families)


@pytest.mark.parametrize(
    ("families", "explained"),
    [
        pytest.param((), False, id="no-family"),
        pytest.param((family("sudo", {}),), True, id="a-family-that-is-empty-on-both"),
        pytest.param((family("sudo", {}, (Gap(reason="denied"),)),), False, id="a-family-that-nobody-could-read"),
    ],
)
def test_a_comparison_of_nothing_explains_nothing(families: tuple[Family, ...], *, explained: bool) -> None:
    one = of_families(*families)

    assert compare(one, one, now=NOW).explained is explained


def test_what_was_not_read_and_is_allowed_is_still_not_compared() -> None:
    one = of_families(family("sudo", {}, (Gap(reason="denied"),)))
    leave = Allowance(pattern="sudo:*", reason="nobody is root", owner="maria")

    assert not compare(one, one, [leave], now=NOW).explained
