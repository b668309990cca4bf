"""`--reuse` takes over the instance of the last run, proves nothing by it, and leaves none without an owner."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagetest.config import wiring
from imagetest.config.settings import load
from imagetest.execute.leases import Leases
from imagetest.model.codec import decode
from imagetest.pipeline.reap import reap
from tests.dockyard import Dockyard
from tests.drivers import images
from tests.pytest_plugin.project import CHECKS, Project, project_in

pytestmark = pytest.mark.docker

COUNTS = """
def test_it(host):
    host.check_output("echo once more >>/tmp/runs; wc -l </tmp/runs")
    assert host.check_output("wc -l </tmp/runs") == "{count}"
"""


@pytest.fixture
def project(tmp_path: Path, dockyard: Dockyard) -> Iterator[Project]:
    """Give a project of which nothing waits for a next run in the end."""
    for one in project_in(tmp_path, dockyard):
        one.configure(dockyard.build(*images.NO_SERVER))
        yield one
        empty(one)


def boot_of(project: Project) -> Any:
    return project.document()["assessment"]["boot"]


def rules_of(project: Project) -> list[str]:
    return [one["rule"] for one in project.document()["verdict"]["objections"]]


def empty(project: Project) -> None:
    """Remove what waits for the next run, as `imagetest reap --reused` does."""
    reap(Leases(project.state / "leases"), wiring.driver, keys=project.state / "keys", reused=True)


def imagetest(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "imagetest.cli.main", *arguments], cwd=project.folder, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("lines", [images.NO_SERVER, images.SERVER], ids=["gateway", "sshd"])
def test_the_second_run_finds_what_the_first_left(project: Project, dockyard: Dockyard, lines: tuple[str, ...]) -> None:
    project.configure(dockyard.build(*lines))
    project.write(COUNTS.format(count=1))
    first = project.run("--reuse")
    (lease,) = project.leases()
    opened = rules_of(project)
    project.write(COUNTS.format(count=2))
    second = project.run("--reuse")
    taken, closed = boot_of(project), rules_of(project)
    page = (project.state / "runs" / "latest" / "report.html").read_text()

    assert first.code == second.code == 0, first.text + second.text
    assert opened == []
    assert closed == ["image-was-booted-afresh"]
    assert lease.standing is not None
    assert taken["taken_over_from"] == lease.standing.run
    assert f"none: taken over from run {lease.standing.run}" in second.text
    assert f"taken over from run {lease.standing.run}" in page
    assert [one.resource for one in project.leases()] == [lease.resource] == dockyard.containers()
    empty(project)
    assert project.remains() == []


def test_a_run_without_it_boots_its_own_and_leaves_the_other(project: Project) -> None:
    project.write(COUNTS.format(count=1))
    project.run("--reuse")
    (left,) = project.leases()
    ended = project.run("--promote", "stable")

    assert ended.code == 0, ended.text
    assert boot_of(project)["taken_over_from"] == ""
    assert [one.resource for one in project.leases()] == [left.resource] == project.dockyard.containers()


def test_workers_share_what_was_left(project: Project) -> None:
    project.write(CHECKS.format(count=4, seconds=0))
    project.run("--reuse")
    ended = project.run("--reuse", "-n", "2")

    assert ended.code == 0, ended.text
    assert "4 passed" in ended.text
    assert boot_of(project)["taken_over_from"]
    assert len(project.leases()) == len(project.dockyard.containers()) == 1


def test_two_runs_at_once_have_one_each(project: Project) -> None:
    project.write(CHECKS.format(count=1, seconds=0))
    project.run("--reuse")
    project.write(CHECKS.format(count=1, seconds=4))
    slow = project.start("--reuse")
    slow.await_text("taken over from run")
    other = project.run("--reuse")
    ended = slow.end()

    assert ended.code == other.code == 0
    assert "booting" in other.text
    assert len(project.leases()) == len(project.dockyard.containers()) == 1


def test_another_image_or_another_plan_is_booted_afresh(project: Project, dockyard: Dockyard) -> None:
    project.write(COUNTS.format(count=1))
    project.run("--reuse")
    image = dockyard.build("FROM {plain}", "ENV COLOUR=red", images.STAYS)
    project.configure(image)
    changed = project.run("--reuse")
    project.configure(image, ready="true")
    planned = project.run("--reuse")

    assert changed.code == planned.code == 0
    assert "the image is another one now" in changed.text
    assert "it is to be booted in another way now" in planned.text
    assert len(project.leases()) == len(project.dockyard.containers()) == 1


def test_one_that_was_stopped_is_replaced(project: Project) -> None:
    project.write(COUNTS.format(count=1))
    project.run("--reuse")
    (left,) = project.leases()
    project.dockyard.engine.api.stop(left.resource, timeout=0)
    ended = project.run("--reuse")

    assert ended.code == 0, ended.text
    assert f"removed {left.resource}, left by run" in ended.text
    assert "does not run any more" in ended.text
    assert left.resource not in project.dockyard.containers()


def test_a_machine_that_a_check_stopped_is_not_left(project: Project) -> None:
    project.configure(project.dockyard.build("FROM {plain}", 'CMD ["/bin/sh", "-c", "sleep 3"]'))
    project.write("import time\ndef test_it(host):\n    time.sleep(3.5)\n    host.run('true')\n")
    ended = project.run("--reuse")

    assert ended.code == 3, ended.text
    assert project.remains() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(project: Project, number: int) -> None:
    project.write(CHECKS.format(count=1, seconds=0))
    project.run("--reuse")
    project.write(CHECKS.format(count=4, seconds=1))
    run = project.start("--reuse")
    run.await_text("test_suite.py .")
    run.signal(number)
    ended = run.end()

    assert ended.code == 2, ended.text
    assert project.remains() == []


def test_what_a_killed_run_had_taken_over_is_removed_by_the_next(project: Project) -> None:
    project.write(CHECKS.format(count=1, seconds=0))
    project.run("--reuse")
    (left,) = project.leases()
    project.write(CHECKS.format(count=1, seconds=30))
    killed = project.start("--reuse")
    killed.await_text("test_suite.py")
    killed.signal(signal.SIGKILL)
    killed.end()
    project.write(CHECKS.format(count=1, seconds=0))
    ended = project.run()

    assert f"removed {left.resource}, left by a killed run" in ended.text
    assert project.remains() == []


@pytest.mark.parametrize(
    ("options", "named"),
    [(("--gate",), "--gate"), (("--promote", "stable"), "--promote"), (("--keep", "always"), "--keep")],
)
def test_what_it_cannot_go_with_is_told_before_anything_is_done(
    project: Project, options: tuple[str, ...], named: str
) -> None:
    project.write(CHECKS.format(count=1, seconds=0))
    ended = project.run("--reuse", *options)

    assert ended.code == 4, ended.text
    assert f"--reuse and {named} exclude each other" in ended.text
    assert "Traceback" not in ended.text
    assert not project.state.exists()


def test_what_it_was_told_promotes_nothing_later_either(project: Project) -> None:
    """The assessment says what it is of, so that whoever judges it again objects as well."""
    project.write(COUNTS.format(count=1))
    project.run("--reuse")
    project.write(CHECKS.format(count=1, seconds=0))
    project.run("--reuse")
    stored = (project.state / "runs" / "latest" / "assessment.json").read_bytes()
    document = decode(stored)
    wiring.store(load(project.folder / "imagetest.toml")).record(document.assessment, document.verdict, stored)
    judged = imagetest(project, "promote", "web", "stable")

    assert judged.returncode == 1, judged.stdout + judged.stderr
    assert "'web' is not promoted to 'stable': the instance was taken over from run" in judged.stderr


def test_the_command_ends_what_waits(project: Project) -> None:
    project.write(CHECKS.format(count=1, seconds=0))
    project.run("--reuse")
    (left,) = project.leases()
    looked = imagetest(project, "reap")
    removed = imagetest(project, "reap", "--reused")

    assert looked.stdout == f"left to a later run: {left.resource}; --reused removes them\n"
    assert removed.stdout == f"removed {left.resource}\n"
    assert project.remains() == []
