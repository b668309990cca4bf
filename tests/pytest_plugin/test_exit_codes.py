"""Every way in which a run can end has its exit code, and one clear reason for it."""

from __future__ import annotations

import pytest

from tests.dockyard import Dockyard
from tests.drivers import images
from tests.pytest_plugin.project import Ended, Project

pytestmark = pytest.mark.docker

PASSES = "def test_passes(host):\n    assert host.run('true').rc == 0\n"
FAILS = "def test_fails(host):\n    assert host.run('false').rc == 0\n"
CRASHES = "def test_crashes(host):\n    raise ZeroDivisionError\n"
SKIPS = "import pytest\n\ndef test_skips(host):\n    pytest.skip('nobody looked')\n"
CONTROL = (
    "import imagetest\n\n@imagetest.control({name!r})\ndef test_control(host):\n    assert host.run('true').rc == 0\n"
)
CATALOGUE = '[app-answers]\ntitle = "it answers"\nseverity = "high"\n'
MORTAL = 'CMD ["/bin/sh", "-c", "trap exit TERM; while :; do sleep 0.05; done"]'


def clean(ended: Ended, project: Project) -> None:
    """Hold what every run promises, however it ends."""
    assert project.remains() == []
    assert "Traceback (most recent call last)" not in ended.text, ended.text
    assert "INTERNALERROR" not in ended.text, ended.text


@pytest.mark.parametrize(
    ("suite", "options", "code"),
    [
        pytest.param(PASSES, (), 0, id="passes"),
        pytest.param(PASSES, ("--gate",), 0, id="passes-gate"),
        pytest.param(FAILS, (), 1, id="fails"),
        pytest.param(FAILS, ("--gate",), 1, id="fails-gate"),
        pytest.param(CRASHES, (), 1, id="crashes"),
        pytest.param(CRASHES, ("--gate",), 1, id="crashes-gate"),
        pytest.param(SKIPS, (), 0, id="skips"),
        pytest.param(SKIPS, ("--gate",), 1, id="all-skipped-gate"),
        pytest.param(PASSES + SKIPS, ("--gate",), 1, id="one-skipped-gate"),
        pytest.param(PASSES + FAILS, ("--gate", "-k", "passes"), 1, id="subset-gate"),
        pytest.param(PASSES + FAILS, ("-k", "passes"), 0, id="subset"),
        pytest.param(FAILS + PASSES, ("-x",), 1, id="first-failure"),
        pytest.param(FAILS + PASSES, ("--gate", "--maxfail=1"), 1, id="first-failure-gate"),
        pytest.param("X = 1\n", (), 5, id="no-tests"),
        pytest.param("X = 1\n", ("--gate",), 5, id="no-tests-gate"),
        pytest.param("def test_x(host:\n", (), 2, id="syntax-error"),
        pytest.param(CONTROL.format(name="app-answers"), ("--gate",), 0, id="control"),
        pytest.param(CONTROL.format(name="app-anwsers"), ("--gate",), 2, id="unknown-control"),
        pytest.param("import imagetest\n" + PASSES, ("--no-such-option",), 4, id="unknown-option"),
        pytest.param(PASSES, ("--promote", "nowhere"), 4, id="unknown-channel"),
        pytest.param(PASSES, ("--profile", "nowhere"), 4, id="unknown-profile"),
        pytest.param(PASSES, ("--image", "nowhere"), 4, id="unknown-image"),
        pytest.param(PASSES, ("--image", "docker:imagetest-test/none:0", "suite"), 3, id="image-that-is-not-there"),
        pytest.param(PASSES, ("--image", "web", "--hosts", "local://"), 4, id="hosts-and-image"),
        pytest.param(PASSES, ("--report-dir", "/proc/nowhere"), 3, id="report-dir"),
    ],
)
def test_a_run_ends_with_its_exit_code(project: Project, suite: str, options: tuple[str, ...], code: int) -> None:
    project.write(suite)
    project.write(CATALOGUE, "controls.toml")
    ended = project.run(*options)

    assert ended.code == code, ended.text
    clean(ended, project)


def test_an_unknown_control_is_told_with_its_neighbour(project: Project) -> None:
    project.write(CONTROL.format(name="app-anwsers"))
    project.write(CATALOGUE, "controls.toml")

    assert "did you mean 'app-answers'" in project.run().text


def test_an_image_that_does_not_come_up_was_not_judged(project: Project, dockyard: Dockyard) -> None:
    project.configure(dockyard.build(*images.plain(command='CMD ["/bin/sh", "-c", "echo no luck; exit 3"]')))
    project.write(PASSES)
    ended = project.run("--gate")

    assert ended.code == 3, ended.text
    assert "ended with exit code 3" in ended.text
    assert "no luck" in ended.text
    clean(ended, project)


def test_without_an_engine_there_is_one_clear_line(project: Project) -> None:
    project.environment["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    project.write(PASSES)
    ended = project.run("--gate")

    assert ended.code == 3, ended.text
    assert ended.text.count("no Docker engine answers") == 1, ended.text
    clean(ended, project)


def test_a_machine_that_a_check_ends_was_not_judged_and_that_is_quick(project: Project, dockyard: Dockyard) -> None:
    project.configure(dockyard.build(*images.plain(command=MORTAL)))
    lethal = "def test_lethal(host):\n    host.run('kill 1; sleep 60')\n\n"
    more = (
        "import pytest\n\n@pytest.mark.parametrize('n', range(30))\ndef test_more(host, n):\n    host.run('sleep 9')\n"
    )
    project.write(lethal + more)
    ended = project.run("--gate")

    assert ended.code == 3, ended.text
    assert "was lost" in ended.text
    assert ended.seconds < 15
    clean(ended, project)


def test_the_failed_ones_can_be_run_again(project: Project) -> None:
    project.write(PASSES + FAILS)
    project.run()
    again = project.run("--lf")

    assert again.code == 1
    assert "rerun previous 1 failure" in again.text
    assert "1 failed in" in again.text
    clean(again, project)


def test_collecting_boots_nothing(project: Project) -> None:
    project.write(PASSES)
    project.environment["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    ended = project.run("--collect-only", "-q")

    assert ended.code == 0, ended.text
    assert "test_suite.py::test_passes" in ended.text
    assert "engine" not in ended.text
    assert not project.state.exists()


def test_workers_find_what_one_process_finds(project: Project) -> None:
    project.write(PASSES + FAILS + CRASHES + SKIPS + CONTROL.format(name="app-answers"))
    project.write(CATALOGUE, "controls.toml")
    alone = project.run("--gate")
    findings = found(project)
    together = project.run("--gate", "-n", "2")

    assert alone.code == together.code == 1
    assert sorted(findings.values()) == ["error", "failed", "not_reviewed", "passed", "passed"]
    assert found(project) == findings
    clean(together, project)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--image", "docker:imagetest-test/none:0", "suite"), 3),
        (("--image", "nowhere"), 4),
        (("--report-dir", "/proc/nowhere"), 3),
    ],
)
def test_workers_end_with_the_same_exit_code(project: Project, options: tuple[str, ...], code: int) -> None:
    project.write(PASSES)
    ended = project.run("-n", "2", *options)

    assert ended.code == code, ended.text
    clean(ended, project)


def test_a_state_folder_that_cannot_be_written_starts_nothing(project: Project) -> None:
    project.write(PASSES)
    project.state.touch()
    ended = project.run()

    assert ended.code == 3, ended.text
    assert "cannot make" in ended.text
    assert "booting" not in ended.text
    assert project.dockyard.containers() == []
    assert "Traceback" not in ended.text


def test_a_lease_that_cannot_be_read_stops_the_run_before_anything_is_started(project: Project) -> None:
    project.write(PASSES)
    (project.state / "leases").mkdir(parents=True)
    (project.state / "leases" / "torn.json").write_text("{")
    ended = project.run()

    assert ended.code == 3, ended.text
    assert "torn.json cannot be read" in ended.text
    assert "booting" not in ended.text
    assert project.dockyard.containers() == []


def test_what_a_killed_run_left_in_an_account_that_cannot_be_asked_is_said_and_stops_nobody(project: Project) -> None:
    """It has an expiry; what was left on this machine has none, and stops the run."""
    project.write(PASSES)
    project.environment.update(
        AWS_REGION="eu-west-1", AWS_EC2_METADATA_DISABLED="true", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""
    )
    leave(project, "ec2", "imagetest-0-web")
    ended = project.run()

    assert ended.code == 0, ended.text
    assert "left by a killed run, and not removed: 'imagetest-0-web' may still be there" in ended.text
    assert [lease.resource for lease in project.leases()] == ["imagetest-0-web"]

    leave(project, "docker", "imagetest-0-web")
    project.environment["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    ended = project.run()

    assert ended.code == 3, ended.text
    assert "container 'imagetest-0-web' may still be there" in ended.text


def leave(project: Project, kind: str, resource: str) -> None:
    """Write a lease of a run that was killed."""
    (project.state / "leases").mkdir(parents=True, exist_ok=True)
    text = f'{{"kind":"{kind}","resource":"{resource}","image":"web","pid":{2**22 - 1},"started":"1"}}'
    (project.state / "leases" / f"{resource}.json").write_text(text)


def found(project: Project) -> dict[str, str]:
    findings = project.document()["assessment"]["findings"]
    return {one["control_id"]: one["status"] for one in findings}
