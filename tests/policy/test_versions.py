"""The order of versions, held against dpkg itself and against the examples that rpm's own manual and tests give."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from imagetest.policy.versions import debian, direction, rpm

KNOWN = [
    "1.0", "1.0-1", "1:0.5", "0:1.0", "1.0~rc1", "1.0~rc1-1", "1.0+dfsg-1", "1.0a", "1.0-1+b1", "1.0-1~bpo12+1", "1.00",
    "7.88.1-10+deb12u5", "7.88.1-10+deb12u12", "2.36-9+deb12u4", "1.0.", "1.0-1.1", "0", "1:1.0-1", "09", "9",
]  # fmt: skip

VERSIONS = st.sampled_from(KNOWN) | st.from_regex(r"[0-9]([0-9a-z.+~]{0,6})(-[0-9a-z.+~]{1,4})?", fullmatch=True)


def by_dpkg(one: str, other: str) -> int | None:
    """Ask dpkg."""
    for relation, answer in (("lt", -1), ("eq", 0)):
        done = subprocess.run(["dpkg", "--compare-versions", one, relation, other], check=False, capture_output=True)
        if done.returncode == 0:
            return answer
        if done.returncode != 1:
            return None  # it is no version at all
    return 1


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is not installed")
@given(VERSIONS, VERSIONS)
@settings(max_examples=300, deadline=None)
def test_debian_versions_are_ordered_as_dpkg_orders_them(one: str, other: str) -> None:
    answer = by_dpkg(one, other)
    assume(answer is not None)

    assert debian(one, other) == answer


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is not installed")
@pytest.mark.parametrize("one", KNOWN)
def test_known_versions_are_ordered_as_dpkg_orders_them(one: str) -> None:
    assert [debian(one, other) for other in KNOWN] == [by_dpkg(one, other) for other in KNOWN]


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [  # from rpm's tests/rpmvercmp.at
        ("1.0", "1.0", 0), ("1.0", "2.0", -1), ("2.0.1", "2.0.1a", -1), ("5.5p1", "5.5p10", -1),
        ("10xyz", "10.1xyz", -1),
        ("xyz10", "xyz10.1", -1), ("xyz.4", "8", -1), ("xyz.4", "2", -1), ("5.5p2", "5.6p1", -1), ("6.0.rc1", "6.0", 1),
        ("10b2", "10a1", 1), ("1.0aa", "1.0a", 1), ("10.0001", "10.1", 0), ("10.0001", "10.0039", -1),
        ("20101121", "20101122", -1), ("2_0", "2.0", 0), ("2.0", "2_0", 0), ("a", "a", 0), ("a+", "a_", 0),
        ("+", "_", 0),
        ("1.0~rc1", "1.0", -1), ("1.0~rc1", "1.0~rc2", -1), ("1.0~rc1~git123", "1.0~rc1", -1), ("1.0^", "1.0", 1),
        ("1.0^git1", "1.0^git2", -1), ("1.0^git1", "1.01", -1), ("1.0^20160101", "1.0.1", -1),
        ("1.0^20160101^git1", "1.0^20160102", -1), ("1.0~rc1^git1", "1.0~rc1", 1), ("1.0^git1~pre", "1.0^git1", -1),
        ("1:1.0-1", "2.0-1", 1), ("1.0-1.el9", "1.0-2.el9", -1),
    ],
)  # fmt: skip
def test_rpm_versions_are_ordered_as_rpm_orders_them(one: str, other: str, answer: int) -> None:
    assert rpm(one, other) == answer
    assert rpm(other, one) == -answer


@pytest.mark.parametrize(
    ("left", "right", "answer"),
    [
        ("7.88.1-10+deb12u5", "7.88.1-10+deb12u12", 1),
        ("7.88.1-10+deb12u12", "7.88.1-10+deb12u5", -1),
        ("3.0.7-24.el9", "3.0.7-25.el9_3", 1),
        ("8.5.0-r0", "8.5.0-r1", 1),
        ("1.2_rc1-r0", "1.2-r0", 1),
        ("1.2_p1-r0", "1.2-r0", -1),
        ("1.0", "1.00", 0),
        ("1.a", "1.1", 0),
        ("", "1", 1),
        ("same", "same", 0),
    ],
)
def test_a_direction_is_said_where_the_orders_agree(left: str, right: str, answer: int) -> None:
    assert direction(left, right) == answer


@given(st.text(), st.text())
def test_any_text_has_a_direction_and_its_mirror(left: str, right: str) -> None:
    assert direction(left, right) == -direction(right, left)
