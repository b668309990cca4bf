"""Whenever a run is interrupted, it removes what it made, promotes nothing, and says so with exit code 2."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from imagetest.config import wiring
from imagetest.execute.leases import Leases
from imagetest.pipeline.reap import reap
from tests.dockyard import Dockyard
from tests.drivers import images
from tests.pytest_plugin.project import CHECKS, Ended, Project, project_in

pytestmark = pytest.mark.docker

PARTS = 12
"""Into how many parts of equal length a run is cut; it is interrupted once in each."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, dockyard: Dockyard) -> Iterator[Project]:
    """Give a project whose runs are interrupted again and again."""
    for one in project_in(tmp_path_factory.mktemp("interrupted"), dockyard):
        one.configure(dockyard.build(*images.NO_SERVER))
        one.write(CHECKS.format(count=6, seconds=0.15))
        yield one


@pytest.fixture(scope="module")
def length(running: Project) -> float:
    """Return how many seconds a run takes from its first line to its end, when nobody interrupts it."""
    whole = running.start("--promote", "stable")
    whole.await_text("image: web")
    begun = time.monotonic()
    ended = whole.end()
    assert ended.code == 0, ended.text
    assert re.search(r"promoted to 'stable' as record 1: sha256:\w+\n\s+docker:web:[0-9a-f]{12}\n", ended.text)
    return time.monotonic() - begun


def well_ended(ended: Ended, project: Project) -> None:
    """Hold what an interrupted run promises."""
    assert project.remains() == []
    assert "Traceback (most recent call last)" not in ended.text, ended.text
    assert "INTERNALERROR" not in ended.text, ended.text
    assert ended.code == 2, ended.text
    assert "promoted to" not in ended.text


@pytest.mark.parametrize("part", range(PARTS))
def test_an_interrupt_at_any_moment_leaves_nothing(running: Project, length: float, part: int) -> None:
    """SIGINT and SIGTERM in turn; every third time twice in a row."""
    number = (signal.SIGINT, signal.SIGTERM)[part % 2]
    run = running.start("--promote", "stable")
    run.await_text("image: web")
    time.sleep(length * part / PARTS)
    run.signal(number)
    if part % 3 == 0:
        time.sleep(0.05)
        run.signal(number)
    ended = run.end()

    if "promoted to" in ended.text:  # it had done what it was asked for; only its process was still there
        assert ended.code in {0, 2, -number}, ended.text
        assert running.remains() == []
    else:
        well_ended(ended, running)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_the_machine_boots_leaves_nothing(project: Project, dockyard: Dockyard, number: int) -> None:
    project.configure(dockyard.build(*images.NO_SERVER), ready="false")
    project.write(CHECKS.format(count=1, seconds=0))
    run = project.start("--promote", "stable")
    run.await_text("booting")
    time.sleep(0.5)
    run.signal(number)

    well_ended(run.end(), project)


def test_an_impatient_user_gets_the_same(project: Project) -> None:
    """Ten interrupts in a second."""
    project.write(CHECKS.format(count=3, seconds=1))
    run = project.start("--promote", "stable")
    run.await_text("test_suite.py")
    for _ in range(10):
        run.signal(signal.SIGINT)
        time.sleep(0.1)

    well_ended(run.end(), project)


def test_the_report_of_an_interrupted_run_says_so(project: Project) -> None:
    project.write(CHECKS.format(count=3, seconds=1))
    run = project.start("--gate")
    run.await_text("test_suite.py .")
    run.signal(signal.SIGINT)
    ended = run.end()

    assert "the run was interrupted" in ended.text
    assert "CLOSED" in ended.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["booting", "test_suite", "PASSED"])
def test_an_interrupt_with_workers_leaves_nothing(project: Project, number: int, moment: str) -> None:
    project.write(CHECKS.format(count=8, seconds=0.3))
    run = project.start("-n", "2", "-v", "--promote", "stable")
    run.await_text(moment)
    run.signal(number)

    well_ended(run.end(), project)


def test_a_killed_run_leaves_what_the_next_one_removes(project: Project) -> None:
    project.write(CHECKS.format(count=1, seconds=30))
    killed = project.start()
    killed.await_text("test_suite.py")
    time.sleep(0.3)
    killed.signal(signal.SIGKILL)
    killed.end()
    (left,) = project.leases()
    containers = project.dockyard.containers()
    project.write(CHECKS.format(count=1, seconds=0))
    ended = project.run()

    assert containers == [left.resource]
    assert f"removed {left.resource}, left by a killed run" in ended.text
    assert ended.code == 0, ended.text
    assert project.remains() == []


def test_a_run_leaves_the_machines_of_others_alone(project: Project) -> None:
    """Neither another run's, nor what was kept on purpose."""
    project.write(CHECKS.format(count=1, seconds=0))
    assert project.run("--keep", "always").code == 0
    (kept,) = project.leases()
    project.write(CHECKS.format(count=1, seconds=4), "test_slow.py")
    slow = project.start("suite/test_slow.py")
    slow.await_text("test_slow.py")
    quick = project.run("suite/test_suite.py")

    assert quick.code == 0, quick.text
    assert kept.resource in project.dockyard.containers()
    assert slow.end().code == 0
    assert project.dockyard.containers() == [kept.resource]


@pytest.mark.parametrize(
    ("lines", "keep", "verdict"),
    [
        (images.NO_SERVER, "always", "passes"),
        (images.SERVER, "always", "passes"),
        (images.NO_SERVER, "failed", "fails"),
    ],
    ids=["gateway", "sshd", "failed"],
)
def test_what_is_kept_can_be_entered_and_removed(
    project: Project, dockyard: Dockyard, lines: tuple[str, ...], keep: str, verdict: str
) -> None:
    project.configure(dockyard.build(*lines))
    project.write(
        f"def test_it(host):\n    assert host.run('touch /left-here').rc == 0\n    assert {verdict == 'passes'}\n"
    )
    ended = project.run("--keep", keep)
    command = next(line for line in ended.text.splitlines() if re.match(r"\s+ssh ", line))
    typed = subprocess.run(
        [*shlex.split(command), "ls", "/left-here"], capture_output=True, text=True, timeout=30, check=False,
        cwd=project.folder, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    (lease,) = project.leases()
    state = project.state
    removed = reap(Leases(state / "leases"), wiring.driver, keys=state / "keys", kept=True)

    assert ended.code == (0 if verdict == "passes" else 1), ended.text
    assert (typed.returncode, typed.stdout) == (0, "/left-here\n"), typed.stderr
    assert lease.kept
    assert [one.resource for one in removed] == [lease.resource]
    assert project.remains() == []


@pytest.mark.parametrize(("keep", "passes"), [("never", False), ("failed", True)])
def test_nothing_is_kept_unasked(project: Project, keep: str, passes: bool) -> None:  # noqa: FBT001
    project.write(f"def test_it(host):\n    assert host.run('true').rc == {0 if passes else 1}\n")
    project.run("--keep", keep)

    assert project.remains() == []
