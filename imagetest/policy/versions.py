"""Which of two versions of a package is newer: the orders of dpkg, of rpm and, for what it has of its own, of apk."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

_APK_RELEASE = re.compile(r"-r\d+$")
_APK_BEFORE = re.compile(r"_(alpha|beta|pre|rc)")


def direction(left: str, right: str) -> int:
    """Return 1 when the right version is newer, -1 when it is older, and 0 when nobody can say.

    A version does not say whose it is. The orders agree on nearly all of them; where they do not, nothing is said.
    """
    if _APK_RELEASE.search(left) and _APK_RELEASE.search(right):
        # What comes before a release is marked by a word in apk, and by a tilde elsewhere (apk-package(5), pkgver).
        left, right = _APK_BEFORE.sub(r"~\1", left), _APK_BEFORE.sub(r"~\1", right)
    by_dpkg, by_rpm = debian(right, left), rpm(right, left)
    return by_dpkg if by_dpkg == by_rpm else 0


def debian(one: str, other: str) -> int:
    """Compare two versions as dpkg does (deb-version(7), "Sorting algorithm")."""
    return _compare(one, other, _debian_part)


def rpm(one: str, other: str) -> int:
    """Compare two versions as rpm does (rpm-version(7), "COMPARISON")."""
    return _compare(one, other, _rpm_part)


def _compare(one: str, other: str, by: Callable[[str, str], int]) -> int:
    """Compare epoch, version and release, the first that differs."""
    pairs = zip(_parts(one), _parts(other), strict=True)
    return next((found for mine, theirs in pairs if (found := by(mine, theirs))), 0)


def _parts(version: str) -> tuple[str, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, dash, release = rest.rpartition("-")
    return (epoch, upstream, release) if dash else (epoch, rest, "")


def _debian_part(one: str, other: str) -> int:
    """Compare by turns what is no digit, letter by letter, and what is digits, as a number."""
    for mine, theirs in zip_longest(_pieces(one), _pieces(other), fillvalue=("", "")):
        if words := _sign(_debian_order(mine[0]), _debian_order(theirs[0])):
            return words
        if numbers := _sign(int(mine[1] or 0), int(theirs[1] or 0)):
            return numbers
    return 0


def _pieces(text: str) -> list[tuple[str, str]]:
    return re.findall(r"([^0-9]*)([0-9]*)", text)


def _debian_order(text: str) -> list[int]:
    """Sort a tilde before the end, the end before letters, and letters before all else."""
    ranks = [-1 if one == "~" else ord(one) + (0 if one.isalpha() else 256) for one in text]
    return [*ranks, 0]


def _rpm_part(one: str, other: str) -> int:
    """Compare segment by segment: digits as numbers, which are newer than letters; a tilde is older than the end."""
    for mine, theirs in zip_longest(_segments(one), _segments(other), fillvalue=""):
        if mine != theirs and (found := _sign(_rpm_order(mine), _rpm_order(theirs))):
            return found
    return 0


def _segments(text: str) -> list[str]:
    return re.findall(r"[0-9]+|[A-Za-z]+|[~^]", text)


def _rpm_order(segment: str) -> tuple[int, int, str]:
    """Rank a tilde, the end, a caret, letters and digits, in this order."""
    if segment.isdigit():
        return (4, int(segment), "")
    if segment.isalpha():
        return (3, 0, segment)
    return ({"~": 0, "": 1, "^": 2}[segment], 0, "")


def _sign(one: Any, other: Any) -> int:
    return bool(one > other) - bool(one < other)
