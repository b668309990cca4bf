"""One run over all cells of a matrix: each is judged by itself, and a gate can require the others."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.dockyard import Dockyard
from tests.pytest_plugin.project import Project, Running, project_in

pytestmark = pytest.mark.docker

SUITE = """
def test_who(host):
    assert host.check_output("id -un") in ("root", "nobody")

def test_rights(host):
    assert host.run("touch /etc/probe").rc == 0
"""
TOML = """
[images.web]
image = "docker:{image}"
suites = ["suite"]
matrix = {{ "user" = ["root", "{other}"] }}
[gates.default]
matrix = {required}
[channels.stable]
"""


@pytest.fixture
def project(tmp_path: Path, dockyard: Dockyard) -> Iterator[Project]:
    for one in project_in(tmp_path, dockyard):
        one.write(SUITE)
        (one.folder / "pytest.ini").write_text("[pytest]\n")
        yield one


def judge(project: Project, required: list[str], *options: str, other: str = "nobody") -> tuple[int, dict[str, Any]]:
    """Return the exit code, and each cell's document."""
    text = TOML.format(image=project.dockyard.build("FROM {plain}"), required=json.dumps(required), other=other)
    (project.folder / "imagetest.toml").write_text(text)
    ended = project.run("--promote", "stable", *options)
    assert "Traceback" not in ended.text
    found = sorted((project.state / "runs" / "latest").glob("*/assessment.json"))
    return ended.code, {path.parent.name: json.loads(path.read_text()) for path in found}


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["one", "distributed"])
def test_one_closed_cell_closes_all_where_the_gate_requires_them(project: Project, options: list[str]) -> None:
    code, documents = judge(project, ["all"], *options)

    assert code == 1
    assert sorted(documents) == ["web.nobody", "web.root"]
    root = documents["web.root"]
    assert [one["status"] for one in root["assessment"]["findings"]] == ["passed", "passed"]
    (objection,) = root["verdict"]["objections"]
    assert objection["rule"] == "required-cells-are-open"
    assert objection["message"].startswith("web.nobody is closed: ")
    assert project.remains() == []


def test_two_cells_that_would_be_one_tag_are_said_before_anything_is_booted(project: Project) -> None:
    text = TOML.format(image=project.dockyard.build("FROM {plain}"), required="[]", other="nobody")
    (project.folder / "imagetest.toml").write_text(text + 'tag = "imagetest-test-shared:stable"\n')
    ended = project.run("--promote", "stable")

    assert ended.code == 4
    assert (
        "'web.root' in channel 'stable' and 'web.nobody' in channel 'stable' would share the tag "
        "'imagetest-test-shared:stable'"
    ) in ended.text
    assert "Traceback" not in ended.text
    assert not (project.state / "runs" / "latest").exists()


def test_cells_that_nobody_requires_are_judged_by_themselves(project: Project) -> None:
    code, documents = judge(project, ["root"])

    assert code == 1
    assert documents["web.root"]["verdict"]["objections"] == []
    (sibling,) = documents["web.root"]["assessment"]["siblings"]
    assert (sibling["cell"], sibling["objections"]) == ("nobody", 1)
    assert [one["rule"] for one in documents["web.nobody"]["verdict"]["objections"]] == ["no-control-failed"]


def test_a_cell_that_did_not_come_up_closes_the_others(project: Project) -> None:
    code, documents = judge(project, ["all"], other="mallory")

    assert code != 0
    messages = [one["message"] for one in documents["web.root"]["verdict"]["objections"]]
    assert any(message.startswith("web.mallory is closed: ") for message in messages)


SLEPT = timedelta(seconds=2)

AHEAD = """
[images.first]
image = "docker:{image}"
suites = ["suite"]
[images.second]
image = "docker:{image}"
suites = ["suite"]
boot.ready = "sleep {seconds}"
boot.timeout = 600
[gates.default]
"""


@pytest.fixture
def two(project: Project) -> Callable[..., Running]:
    """Start a run on two images, of which the second is ready only after some seconds."""

    def start(check: str, seconds: int, *options: str) -> Running:
        image = project.dockyard.build("FROM {plain}")
        (project.folder / "imagetest.toml").write_text(AHEAD.format(image=image, seconds=seconds))
        project.write(f"def test_it(host):\n    assert host.run({check!r}).rc == 0\n")
        return project.start("--image", "first", "--image", "second", *options)

    return start


def test_the_next_image_boots_while_one_is_checked(two: Callable[..., Running], project: Project) -> None:
    ended = two("sleep 2", 1).end()
    first, second = (
        json.loads((project.state / "runs" / "latest" / name / "assessment.json").read_text())["assessment"]
        for name in ("first", "second")
    )

    assert ended.code == 0, ended.text
    (command,) = first["checks"][0]["commands"]
    assert first["boot"]["started"] < second["boot"]["started"]
    assert datetime.fromisoformat(second["boot"]["started"]) < datetime.fromisoformat(command["started"]) + SLEPT
    assert project.remains() == []


def test_a_run_that_ends_before_does_not_wait_for_it(two: Callable[..., Running], project: Project) -> None:
    """Its checks never ran: nobody hears of its boot, which was broken off."""
    ended = two("false", 4711, "-x").end()

    assert ended.code == 1, ended.text
    assert "second" not in re.sub(r"(?m)^(image:|FAILED).*", "", ended.text.partition("short test summary")[2])
    assert project.remains() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_breaks_off_both(two: Callable[..., Running], project: Project, number: signal.Signals) -> None:
    run = two("sleep 4711", 4711)
    while len([name for name in project.dockyard.containers() if "second" in name]) < 1:
        time.sleep(0.05)
    run.signal(number)

    assert run.end().code == 2
    assert project.remains() == []


def test_an_interrupt_while_the_next_one_is_waited_for_breaks_it_off(
    two: Callable[..., Running], project: Project
) -> None:
    run = two("true", 4711)
    run.await_text("test_suite.py .")
    run.signal(signal.SIGINT)

    assert run.end().code == 2
    assert project.remains() == []
