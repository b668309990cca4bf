"""The page about the baseline says what the suite does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUITE = ROOT / "suites" / "baseline"
PAGE = (ROOT / "docs" / "suites" / "baseline.md").read_text()
CATALOGUE = tomllib.loads((SUITE / "controls.toml").read_text())
FRAMEWORKS = {"NIST SP 800-53 Rev. 5", "CIS Debian Linux 12 Benchmark v1.1.0", "ANSSI-BP-028 v2.0"}


def test_the_page_lists_every_control_as_the_catalogue_has_it() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \| (critical|high|medium|low) \|$", PAGE, re.MULTILINE)

    assert rows == [(name, control["title"], control["severity"]) for name, control in CATALOGUE.items()]


def test_the_page_lists_everything_that_can_be_allowed() -> None:
    allowances = re.search(r"ALLOWANCES = frozenset\(\{(.+)\}\)", (SUITE / "conftest.py").read_text())
    assert allowances is not None
    table = PAGE[PAGE.index("| list |") : PAGE.index("## Take a part of it")]

    assert set(re.findall(r'"(\w+)"', allowances[1])) == set(re.findall(r"`([a-z]+)`(?=[,| ]+.*\|)", table))


def test_the_profile_requires_every_control() -> None:
    profile = tomllib.loads((ROOT / "suites" / "profiles" / "baseline.toml").read_text())

    assert profile["required"] == list(CATALOGUE)


def test_every_control_is_judged_by_one_check() -> None:
    bound = [name for path in SUITE.glob("test_*.py") for name in re.findall(r'@control\("(.+)"\)', path.read_text())]

    assert sorted(bound) == sorted(CATALOGUE)


def test_every_reference_is_into_a_known_framework() -> None:
    references = [reference for control in CATALOGUE.values() for reference in control["references"]]

    assert {reference.rpartition(": ")[0] for reference in references} == FRAMEWORKS
    assert all(control["references"] and control["rationale"] for control in CATALOGUE.values())
