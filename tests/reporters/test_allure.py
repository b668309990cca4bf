"""Allure's results, as a run with --alluredir leaves them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from imagetest.model.control import Control, Severity
from imagetest.model.finding import Command, Output
from imagetest.reporters.allure import evidence, labels, write_verdict
from tests.dockyard import Dockyard
from tests.nouns import NOW
from tests.reporters.regenerate import load
from tests.workshop import Ended, workshop_in

SUITE = '''
import pytest

from imagetest import control, not_applicable


@control("web-greets")
def test_it_greets(host):
    """It greets."""
    assert host.check_output("cat /greeting") == "good-day"


@control("web-fails")
def test_it_fails(host):
    assert host.run("false").rc == 0


def test_it_is_not_for_us(host):
    not_applicable("it is for others")


@pytest.mark.parametrize("n", [1, 2])
def test_many(host, n):
    assert host.run(f"echo {n}").rc == 0
'''

CONTROLS = """
[web-greets]
title = "It greets"
severity = "critical"

[web-fails]
title = "It fails"
severity = "low"
"""

CONFIGURATION = """
[images.one]
image = "docker:{image}"
suites = ["suite"]

[images.two]
image = "docker:{image}"
suites = ["suite"]
"""


@dataclass(frozen=True)
class Results:
    """What a run left for Allure."""

    ended: Ended
    folder: Path

    @property
    def all(self) -> list[dict[str, Any]]:
        """Return every result."""
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("*-result.json"))]

    def of(self, name: str, image: str) -> dict[str, Any]:
        """Return the result of one test on one image."""
        found = [one for one in self.all if name in one["name"] and image in str(one["parameters"])]
        assert len(found) == 1, [one["name"] for one in self.all]
        return found[0]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, dockyard: Dockyard) -> Iterator[Results]:
    with workshop_in(tmp_path_factory.mktemp("allure"), dockyard) as place:
        image = dockyard.build("FROM {plain}", "RUN echo good-day >/greeting", 'CMD ["sleep", "infinity"]')
        place.file("imagetest.toml", CONFIGURATION.format(image=image))
        place.file("suite/test_web.py", SUITE)
        place.file("suite/controls.toml", CONTROLS)
        place.file("pytest.ini", "[pytest]\n")
        ended = place.pytest("--image", "one", "--image", "two", "--gate", "--alluredir", "results")
        yield Results(ended, place.folder / "results")


def labels_of(result: dict[str, Any], name: str) -> set[str]:
    return {one["value"] for one in result["labels"] if one["name"] == name}


@pytest.mark.docker
def test_each_test_has_a_result_for_each_image_and_each_image_a_verdict(results: Results) -> None:
    assert results.ended.code == 1, results.ended.text
    assert len(results.all) == 2 * (5 + 1)
    assert len({one["historyId"] for one in results.all}) == len(results.all)


@pytest.mark.docker
def test_a_result_says_which_control_it_judges_and_how_much_it_matters(results: Results) -> None:
    for image in ("one", "two"):
        good, bad = results.of("test_it_greets", image), results.of("test_it_fails", image)

        assert (good["status"], bad["status"]) == ("passed", "failed")
        assert (labels_of(good, "severity"), labels_of(bad, "severity")) == ({"blocker"}, {"minor"})
        assert labels_of(good, "story") == {"It greets"}
        assert "web-greets" in labels_of(good, "tag")


@pytest.mark.docker
def test_the_commands_are_attached(results: Results) -> None:
    result = results.of("test_it_greets", "one")
    attached = [one for one in result["attachments"] if one["name"].startswith("commands of")]
    text = (results.folder / attached[0]["source"]).read_text()

    assert len(attached) == 1
    assert text.startswith("$ cat /greeting\nexit code 0, ")
    assert "--- stdout (9 bytes, sha256 " in text
    assert text.rstrip().endswith("good-day")


@pytest.mark.docker
def test_nobody_who_looks_at_allure_alone_sees_green_on_a_closed_verdict(results: Results) -> None:
    for image in ("one", "two"):
        verdict = results.of(f"gate 'default' on {image}", image)

        assert verdict["status"] == "failed"
        assert verdict["statusDetails"]["message"].startswith("verdict closed\n")
        assert "web-fails: failed" in verdict["statusDetails"]["message"]
        assert labels_of(verdict, "severity") == {"blocker"}


@pytest.mark.docker
def test_the_environment_names_each_image_and_the_categories_are_there(results: Results) -> None:
    environment = (results.folder / "environment.properties").read_text()
    categories = json.loads((results.folder / "categories.json").read_text())

    for image in ("one", "two"):
        assert f"{image}.verdict=closed\n" in environment
        assert f"{image}.digest=sha256:" in environment
    assert categories[0]["name"] == "Gate closed"


def test_evidence_is_readable() -> None:
    cut = Output(text="half", size=9000, sha256="ab", truncated=True)
    command = Command(command="cat x", exit_code=None, stdout=cut, started=NOW, seconds=1.5)

    assert evidence(command) == (
        "$ cat x\nexit code None, 1.500 s, 2026-03-14T12:00:00+00:00\n--- stdout (9000 bytes, sha256 ab, cut)\nhalf\n"
    )


@pytest.mark.parametrize("severity", list(Severity))
def test_every_severity_has_its_own_in_allure(severity: Severity) -> None:
    found = labels(Control(id="a", title="b", severity=severity))

    assert found["severity"] in {"blocker", "critical", "normal", "minor"}
    assert (found["story"], found["tag"]) == ("b", "a")


def test_an_instance_that_was_taken_over_is_told_as_such(tmp_path: Path) -> None:
    document = load("photoapp.json")
    assessment, verdict = document.assessment, document.verdict
    assert assessment.boot is not None
    taken = replace(assessment, boot=replace(assessment.boot, taken_over_from="run-of-before"))
    write_verdict(tmp_path, taken, verdict)

    told = (tmp_path / "environment.properties").read_text()
    assert f"{assessment.image.name}.instance-taken-over-from=run-of-before\n" in told
