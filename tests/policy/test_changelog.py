"""What changed, counted by fact."""

from __future__ import annotations

from imagetest.model.drift import Allowance, Difference, Kind
from imagetest.policy.changelog import Change, change, tallies


def package(key: str, attribute: str = "", kind: Kind = Kind.CHANGED, left: str = "", right: str = "") -> Difference:
    return Difference(
        family="packages", noun="package", key=key, attribute=attribute, kind=kind, left=left, right=right
    )


def test_what_became_of_a_fact() -> None:
    assert change([package("a", kind=Kind.ADDED)]) is Change.ADDED
    assert change([package("a", kind=Kind.REMOVED)]) is Change.REMOVED
    assert change([package("a", "state", left="x", right="y")]) is Change.CHANGED
    assert change([package("a", "state"), package("a", "version", left="1", right="2")]) is Change.UPGRADED
    assert change([package("a", "version", left="2", right="1~rc")]) is Change.DOWNGRADED
    assert change([package("a", "version", kind=Kind.ADDED, right="1")]) is Change.CHANGED


def test_each_fact_is_counted_once_in_its_family() -> None:
    allowance = Allowance(pattern="users:*", reason="x", owner="y")
    user = Difference(family="accounts", noun="account", key="eve", kind=Kind.ADDED, allowance=allowance)
    found = tallies([
        package("curl", "version", left="1", right="2"), package("curl", "source", left="a", right="b"),
        package("wget", kind=Kind.REMOVED), user,
    ])  # fmt: skip

    assert [(one.family, one.noun, one.total, one.unexplained) for one in found] == [
        ("accounts", "account", 1, 0),
        ("packages", "package", 2, 2),
    ]
    assert found[1].changes == {Change.UPGRADED: 1, Change.REMOVED: 1}


def test_nothing_is_nothing() -> None:
    assert tallies([]) == ()
