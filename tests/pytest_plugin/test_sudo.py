"""An image that lets root in nowhere is judged by a user whom it lets become root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dockyard import SYSTEMD, Dockyard, install
from tests.pytest_plugin.project import Project, project_in

pytestmark = pytest.mark.docker

ADMIN = "RUN useradd -m admin -s /bin/bash && echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin"

SUITE = """
from imagetest.pytest_plugin.throwaways import Wish

def test_who(host):
    assert host.check_output("id -un") == "root"
    assert host.file("/etc/shadow").content_string
    assert host.user().name == "root"

def test_at_rest(at_rest):
    assert at_rest.check_output("id -un") == "root"

def test_throwaways(throwaway):
    outside, inside = throwaway.together(Wish(), Wish(user="admin"))
    assert (outside.boot.reached_by, outside.host.check_output("id -un")) == ("gateway", "root")
    assert (inside.boot.reached_by, inside.host.check_output("id -un")) == ("image", "root")

def test_states(throwaway, take_snapshot, host):
    told = take_snapshot(host)
    assert {family.name: family.gaps for family in told.families if family.gaps} == {}

def test_changes(changes):
    assert changes.drift.differences == ()
"""


@pytest.fixture
def project(tmp_path: Path, dockyard: Dockyard) -> Iterator[Project]:
    for one in project_in(tmp_path, dockyard):
        one.write(SUITE)
        yield one


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["one", "distributed"])
def test_checks_run_as_root_by_sudo(project: Project, options: list[str]) -> None:
    image = project.dockyard.build("FROM {machine}", install("sudo"), "RUN ssh-keygen -A", ADMIN, SYSTEMD)
    project.configure(image, user="admin", sudo=True, ssh="image" if options else "auto")
    if options:
        project.write(SUITE.replace("test_throwaways", "not_throwaways"))
    ended = project.run("--gate", *options)

    assert ended.code == 0, ended.text
    document = project.document()["assessment"]
    assert document["boot"]["user"] == "admin"
    assert document["boot"]["reached_by"] == "image"
    assert project.remains() == []


def test_a_user_whom_sudo_refuses_is_said_to_be_refused(project: Project) -> None:
    image = project.dockyard.build("FROM {machine}", install("sudo"), "RUN ssh-keygen -A && useradd -m admin", SYSTEMD)
    project.configure(image, user="admin", sudo=True)
    ended = project.run("-k", "test_who", "--gate")

    assert ended.code != 0
    assert "sudo: a password is required" in ended.text
    assert "Traceback" not in ended.text
