"""Checks boot machines of their own, look at them, reboot and compare them, and none of them is left."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dockyard import SYSTEMD, Dockyard
from tests.pytest_plugin.project import Ended, Project, project_in

pytestmark = pytest.mark.docker

SUITE = """
import pytest

from imagetest.pytest_plugin.throwaways import Wish


def test_another(throwaway, host):
    one = throwaway(environment={"COLOUR": "red"})
    assert one.host.check_output("echo $COLOUR") == "red"
    assert host.check_output("echo $COLOUR") == "blue"


def test_at_rest(throwaway):
    assert throwaway(rest=True, label="shipped").host.check_output("cat /proc/1/comm") == "sh"


def test_reboot(throwaway):
    one = throwaway()
    one.host.check_output("touch /run/gone /kept")
    first = one.boot
    assert one.reboot().started > first.started
    assert one.host.check_output("ls /run/gone /kept 2>/dev/null || true") == "/kept"


def test_alike(throwaway, take_snapshot, compare_snapshots, at_rest):
    two = throwaway.together(Wish(clone=True), Wish(clone=True))  # a container boots all the same
    assert len(take_snapshot(at_rest).families) > 3
    compare_snapshots(two[0].snapshot(), two[1].snapshot())


def test_not_alike(throwaway, compare_snapshots):
    one = throwaway()
    before = one.snapshot()
    one.host.check_output("useradd mallory")
    compare_snapshots(before, one.snapshot(), what="a user was added")


@pytest.mark.parametrize("number", [1, 2])
def test_shared(throwaway, number):
    made = throwaway.shared("machine", lambda factory: factory(network="none"))
    made.host.check_output(f"touch /seen-{number}")
    throwaway.owner.remember(made.boot)


def test_that_dies(throwaway):
    one = throwaway()
    one.host.run("kill -37 1; sleep 5")
"""


@pytest.fixture
def project(tmp_path: Path, dockyard: Dockyard) -> Iterator[Project]:
    for one in project_in(tmp_path, dockyard):
        one.write(SUITE)
        one.configure(dockyard.build("FROM {machine}", "RUN ssh-keygen -A", SYSTEMD), ssh="gateway")
        with (one.folder / "imagetest.toml").open("a") as file:
            file.write('[images.web.boot.environment]\nCOLOUR = "blue"\n')
        yield one


def checks(project: Project, ended: Ended) -> dict[str, Any]:
    assert (project.state / "runs" / "latest").exists(), ended.text
    found = project.document()["assessment"]["checks"]
    return {one["id"].partition("::")[2]: one for one in found}


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["one", "distributed"])
def test_checks_boot_machines_of_their_own(project: Project, options: list[str]) -> None:
    ended = project.run(*options)
    found = checks(project, ended)
    passed = {name for name, one in found.items() if one["status"] == "passed"}

    assert passed == {
        "test_another", "test_at_rest", "test_reboot", "test_alike", "test_shared[1]", "test_shared[2]",
    }, ended.text  # fmt: skip
    assert found["test_not_alike"]["status"] == "failed"
    assert "a user was added" in found["test_not_alike"]["message"]
    assert "account mallory was added" in found["test_not_alike"]["message"]
    assert found["test_that_dies"]["status"] == "error"
    assert "was lost" in found["test_that_dies"]["message"]
    assert project.document()["assessment"]["errors"] == []
    assert project.remains() == []


def test_what_ran_where_is_evidence(project: Project) -> None:
    ended = project.run("-k", "another or reboot or not_alike or at_rest or shared")
    found = checks(project, ended)
    places = [one["machine"].rstrip("0123456789") for one in found["test_another"]["commands"]]

    assert places == ["throwaway ", ""]
    assert {one["machine"].split()[0] for one in found["test_at_rest"]["commands"]} == {"shipped"}
    assert [one["unexplained"] > 0 for one in found["test_not_alike"]["drifts"]] == [True]
    assert len(found["test_another"]["boots"]) == 1
    assert found["test_another"]["boots"][0]["timeline"]
    assert "nothing outside could be reached" in found["test_shared[2]"]["boots"][0]["notes"]


def test_of_a_live_host_there_is_no_throwaway(project: Project) -> None:
    argv = [sys.executable, "-m", "pytest", "-q", "-rs", "--hosts=local://", "suite"]
    done = subprocess.run(argv, cwd=project.folder, check=False, capture_output=True, text=True)

    assert "8 skipped" in done.stdout
    assert "only of an image a throwaway can be booted" in done.stdout
