"""testinfra's own tests of its modules pass as they stand on our backend, with all that makes it fast."""

from __future__ import annotations

import ast
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.dockyard import LABEL, Dockyard
from tests.transport import testinfras_machine

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
SUITE = "test_modules.py"

RPM = "it is about a machine with RPM"
ANSIBLE = "it is about testinfra's ansible backend"
NOT_OURS = {
    "test_rpmdb_corrupted": RPM,
    "test_non_default_package_tool": RPM,
    "test_ansible_module": ANSIBLE,
    "test_ansible_get_variables_flat_wo_child_groups": ANSIBLE,
    "test_ansible_get_variables_w_child_groups": ANSIBLE,
    "test_ansible_module_become": ANSIBLE,
    "test_ansible_module_options": ANSIBLE,
    "test_addr_namespace": ANSIBLE,
}
"""Their tests that cannot be about our backend, and why. All others run, on Debian where they know several machines."""

LEAST = 39
"""How many tests there are at least."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of each test, by its name with its parameters, and what was asked."""

    tests: dict[str, str]
    told: dict[str, Any]
    said: str

    def those(self, outcome: str) -> list[str]:
        return sorted(name for name, one in self.tests.items() if one == outcome)


@dataclass(frozen=True, slots=True)
class Theirs:
    """A folder with their tests and our fixtures."""

    folder: Path
    image: str
    label: str

    def run(self, ahead: Path | None = None) -> Outcome:
        """Run their tests; those that it knows, with what they will ask asked ahead, where `ahead` is given."""
        asked, results = self.asked(ahead), self.folder / "results.xml"
        environment = os.environ | {
            "OWN_IMAGE": self.image, "OWN_LABEL": self.label, "OWN_ASKED": str(asked), "PYTHONPATH": str(ROOT)
        }  # fmt: skip
        environment |= {"OWN_AHEAD": str(ahead)} if ahead else {}
        # Of Ansible's inventories, without any machine: it needs Ansible here.
        without = ["--deselect", f"{SUITE}::test_ansible_get_variables_w_child_groups"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={results}", *without],
            cwd=self.folder, env=environment, check=False, capture_output=True, text=True, timeout=250,
        )  # fmt: skip
        assert results.is_file(), done.stdout + done.stderr
        return Outcome(_outcomes(results), json.loads(asked.read_text()), done.stdout)

    def asked(self, ahead: Path | None) -> Path:
        return self.folder / ("asked-again.json" if ahead else "asked.json")


def _outcomes(results: Path) -> dict[str, str]:
    found = ET.parse(results).iter("testcase")  # noqa: S314 - pytest wrote it
    return {str(one.get("name")): next((child.tag for child in one if child.tag in BAD), "passed") for one in found}


BAD = {"failure", "error", "skipped"}


@pytest.fixture(scope="module")
def theirs(dockyard: Dockyard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theirs]:
    folder = tmp_path_factory.mktemp("theirs")
    shutil.copy(testinfras_machine.source() / "test" / SUITE, folder)
    (folder / "conftest.py").write_text("from tests.transport.testinfras_fixtures import *  # noqa: F403\n")
    (folder / "pytest.ini").write_text("[pytest]\n")
    label = f"{LABEL}.theirs={secrets.token_hex(6)}"
    yield Theirs(folder, testinfras_machine.image(dockyard), label)
    for container in dockyard.engine.containers.list(all=True, filters={"label": label}):
        container.remove(force=True, v=True)


@pytest.fixture(scope="module")
def first(theirs: Theirs) -> Outcome:
    return theirs.run()


def function(name: str) -> str:
    return name.partition("[")[0]


def test_all_of_them_pass_that_can_be_about_our_backend(theirs: Theirs, first: Outcome) -> None:
    written = {
        one.name
        for one in ast.parse((theirs.folder / SUITE).read_text()).body
        if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")
    }

    assert first.those("failure") + first.those("error") == [], first.said
    assert {function(name) for name in first.those("passed")} == written - NOT_OURS.keys()
    assert len(first.those("passed")) >= LEAST


def test_nothing_is_skipped_but_what_is_about_other_machines(first: Outcome) -> None:
    elsewhere = re.compile(r"\[(docker://rockylinux9|ansible://\S+)\]$")

    assert [name for name in first.those("skipped") if not elsewhere.search(name)] == []
    assert {function(name) for name in first.those("skipped")} >= NOT_OURS.keys() - {
        "test_ansible_get_variables_w_child_groups"
    }


def test_they_pass_on_a_machine_that_was_asked_ahead_what_they_asked_before(theirs: Theirs, first: Outcome) -> None:
    again = theirs.run(ahead=theirs.asked(None))

    assert again.those("passed") == sorted(first.told["asked"]), again.said
    assert again.tests.keys() == first.told["asked"].keys()
    assert again.told["from memory"] > first.told["from memory"] + 100
