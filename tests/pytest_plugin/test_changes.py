"""A check that changes the machine it judges is found, named, and fails; one that says so has a machine of its own."""

from __future__ import annotations

import pytest

from tests.pytest_plugin.project import Project

pytestmark = pytest.mark.docker

LOOKS = "def test_looks(host):\n    assert host.file('/etc/passwd').exists\n"
WRITES = "def test_writes(host):\n    assert host.run('echo x >/etc/left-by-a-check').rc == 0\n"
INSTALLS = """
def test_installs(host):
    assert host.run("sed -i '/^Package: tzdata$/,/^$/d' /var/lib/dpkg/status").rc == 0
"""
JUDGES = "def test_a_judges(changes):\n    assert not changes.said, changes.said\n"
"""Called so that it would run first if it were not for what it asks for."""


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "workers"])
def test_checks_that_only_look_change_nothing(project: Project, options: tuple[str, ...]) -> None:
    project.write(JUDGES + LOOKS)
    ended = project.run("--gate", *options)

    assert ended.code == 0, ended.text
    (judged,) = [one for one in project.document()["assessment"]["checks"] if "judges" in one["id"]]
    assert judged["status"] == "passed"
    assert judged["drifts"][0]["compared"] > 1000
    assert judged["drifts"][0]["differences"] == []
    assert project.remains() == []


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "workers"])
def test_each_check_that_changed_something_is_named(project: Project, options: tuple[str, ...]) -> None:
    project.write(JUDGES + LOOKS + WRITES + INSTALLS)
    ended = project.run("--gate", *options)

    assert ended.code == 1, ended.text
    (judged,) = [one for one in project.document()["assessment"]["checks"] if "judges" in one["id"]]
    said = judged["message"]
    assert judged["status"] == "failed"
    assert "file /etc/left-by-a-check was added" in said
    assert "by suite/test_suite.py::test_writes" in said
    assert "package tzdata is gone" in said
    assert "by suite/test_suite.py::test_installs" in said
    assert "test_looks" not in said
    assert project.remains() == []


def test_a_check_that_says_so_changes_a_machine_of_its_own(project: Project) -> None:
    project.write(JUDGES + LOOKS + "import imagetest\n\n@imagetest.mutates\n" + WRITES.lstrip() + SEES_NOTHING)
    ended = project.run("--gate")

    assert ended.code == 0, ended.text
    assert project.remains() == []


SEES_NOTHING = "\ndef test_z_sees_nothing(host):\n    assert not host.file('/etc/left-by-a-check').exists\n"
