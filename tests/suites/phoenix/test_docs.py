"""The page about the phoenix suite says what the suite does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from imagetest.config import schema

ROOT = Path(__file__).parents[3]
SUITE = ROOT / "suites" / "phoenix"
PAGE = (ROOT / "docs" / "suites" / "phoenix.md").read_text()
CATALOGUE = tomllib.loads((SUITE / "controls.toml").read_text())
BASELINE = tomllib.loads((ROOT / "suites" / "baseline" / "controls.toml").read_text())


def test_the_page_lists_every_control_as_the_catalogue_has_it() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \| (critical|high|medium|low) \|$", PAGE, re.MULTILINE)

    assert rows == [(name, control["title"], control["severity"]) for name, control in CATALOGUE.items()]


def test_the_profile_requires_every_control_and_the_residue_that_the_baseline_finds() -> None:
    required = tomllib.loads((ROOT / "suites" / "profiles" / "phoenix.toml").read_text())["required"]
    residue = {name for name in BASELINE if name.startswith("image-no-")}

    assert {*CATALOGUE} | residue <= {*required}
    assert {*required} - {*CATALOGUE} - residue == {
        "passwords-not-baked", "apt-no-passwords", "packages-fully-installed",
    }  # fmt: skip


def test_every_control_is_judged_by_one_check() -> None:
    bound = [name for path in SUITE.glob("test_*.py") for name in re.findall(r'@control\("(.+)"\)', path.read_text())]

    assert sorted(bound) == sorted(CATALOGUE)
    assert all(control["references"] and control["rationale"] for control in CATALOGUE.values())


def test_every_setting_of_the_file_has_its_row() -> None:
    reader = (SUITE / "declared.py").read_text()
    known = re.search(r"known = \(\*LISTS, (.+)\)", reader)
    lists = re.search(r"LISTS = \((.+)\)", reader)
    assert known is not None
    assert lists is not None
    names = set(re.findall(r'"(\w+)"', known[1] + lists[1]))
    rows = set(re.findall(r"^\| `(?:\[\[)?(\w+)(?:\]\]|\.NAME)?` \| (?:top|image)", PAGE, re.MULTILINE))

    assert rows == names
    assert {"install", "remove", "included", "files"} <= set(re.findall(r"`(\w+)", PAGE))


def test_the_settings_elsewhere_are_there() -> None:
    assert "budget" in schema.BootTable.model_fields
    assert "bake_differences" in schema.GateTable.model_fields
    assert "[images.NAME.boot] budget" in PAGE
    assert "[gates.NAME] bake_differences" in PAGE


def test_the_example_is_understood() -> None:
    chosen, declared = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)

    assert tomllib.loads(chosen)["images"]["web"]["profile"] == "phoenix"
    assert set(tomllib.loads(declared)) == {"users", "images"}
