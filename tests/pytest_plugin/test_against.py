"""Production held against the image: the same checks on live hosts, their state fact by fact, nothing changed there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dockyard import Dockyard, install
from tests.hosts import LiveHosts, live_hosts
from tests.pytest_plugin.project import Ended, Project, project_in

pytestmark = pytest.mark.docker

IMAGE = (
    "FROM {machine}",
    "RUN mkdir -p -m 700 /root/.ssh && touch /root/.ssh/authorized_keys && chmod 600 /root/.ssh/authorized_keys",
    'CMD ["/bin/sh", "-c", "mkdir -p /run/sshd && ssh-keygen -qA && exec /usr/sbin/sshd -D -e"]',
)
SUDOER = "RUN useradd --create-home --shell /bin/sh ops && echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ops"
SUITE = """
import imagetest

def test_motd(host):
    assert host.file("/etc/motd").exists

@imagetest.mutates
def test_writes(host):
    assert host.run("echo x >/etc/written-by-a-check").rc == 0

def test_at_rest(at_rest):
    assert at_rest.file("/etc/motd").exists
"""
DROPS = """
import pytest

@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items[:] = [one for one in items if "on-web" in one.name]
"""
WRITES = """
def test_writes(host):
    assert host.run("echo x >/etc/written-by-a-check").rc == 0
"""


ALLOWANCES = """
[[allow]]
pattern = "keys:root/*"
reason = "the administrators' keys come with the machine, not with the image"
owner = "ops"

[[allow]]
pattern = "packages:no-such-package"
reason = "matches nothing"
owner = "ops"
"""


@pytest.fixture(scope="module")
def hosts(dockyard: Dockyard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHosts]:
    with live_hosts(dockyard, tmp_path_factory.mktemp("live")) as place:
        for name in ("web-1", "web-2", "web-3"):
            place.start(name, *IMAGE)
        yield place


@pytest.fixture
def project(tmp_path: Path, dockyard: Dockyard, hosts: LiveHosts) -> Iterator[Project]:
    for one in project_in(tmp_path, dockyard):
        one.configure(dockyard.build(*IMAGE))
        one.write(SUITE)
        declare(one, hosts, "web-1", "web-2", "web-3")
        yield one


def declare(project: Project, hosts: LiveHosts, *names: str, sudo: bool = False) -> None:
    with (project.folder / "imagetest.toml").open("a") as file:
        file.write(
            f'[environments.production]\nssh_config = "{hosts.ssh_config}"\nsudo = {json.dumps(sudo)}\n'
            f"[environments.production.groups.web]\nhosts = {json.dumps(names)}\n"
            'allowances = ["allowances.toml"]\n'
        )
    (project.folder / "allowances.toml").write_text(ALLOWANCES)


def parities(project: Project) -> dict[str, Any]:
    return {one["kind"]: one for one in project.document()["assessment"]["parities"]}


def judged(project: Project) -> Ended:
    return project.run("--gate", "--against", "production")


def test_production_is_the_image(project: Project) -> None:
    ended = judged(project)
    found = parities(project)

    assert ended.code == 0, ended.text
    assert [one["right"] for one in found["environment"]["comparisons"]] == ["web-1", "web-2", "web-3"]
    for one in found["environment"]["comparisons"]:
        assert (one["checks"], one["outcomes"], one["error"]) == (1, [], "")
        assert one["drift"]["unexplained"] == 0
        assert one["drift"]["compared"] > 1000
    assert [one["right"] for one in found["group"]["comparisons"]] == ["web-1", "web-2", "web-3"]
    assert project.remains() == []
    assert [one["pattern"] for one in found["environment"]["unused"]] == ["packages:no-such-package"]


def test_what_was_changed_on_one_host_is_found_and_the_host_is_named(project: Project, hosts: LiveHosts) -> None:
    host = hosts.made["web-2"]
    host.run("rm /etc/motd && sed -i '/^Package: tzdata$/,/^$/d' /var/lib/dpkg/status")
    try:
        ended = judged(project)
    finally:
        host.run("touch /etc/motd")
    first, second, third = parities(project)["environment"]["comparisons"]
    said = {(one["family"], one["key"], one["kind"]) for one in second["drift"]["differences"] if not one["allowance"]}

    assert ended.code == 1, ended.text
    assert "parity-holds: environment production/web: web-2 against web" in ended.text
    assert (first["drift"]["unexplained"], third["drift"]["unexplained"]) == (0, 0)
    assert {("files", "/etc/motd", "removed"), ("packages", "tzdata", "removed")} <= said
    assert [one["check"] for one in second["outcomes"]] == ["suite/test_suite.py::test_motd"]
    odd = [one["right"] for one in parities(project)["group"]["comparisons"] if one["drift"]["unexplained"]]
    assert odd == ["web-2"]


def test_a_host_that_is_away_is_an_error_and_the_others_are_judged(project: Project, hosts: LiveHosts) -> None:
    hosts.made["web-1"].container.pause()
    try:
        project.configure(project.dockyard.build(*IMAGE))
        declare(project, hosts, "web-1", "web-3")
        ended = judged(project)
    finally:
        hosts.made["web-1"].container.unpause()
    first, third = parities(project)["environment"]["comparisons"]

    assert ended.code == 1, ended.text
    assert "cannot reach 'web-1'" in first["error"]
    assert first["drift"] is None
    assert (third["error"], third["checks"], third["drift"]["unexplained"]) == ("", 1, 0)
    assert project.remains() == []


def test_a_check_that_changes_the_throwaway_never_runs_on_live_hosts(project: Project, hosts: LiveHosts) -> None:
    project.write(SUITE + WRITES.replace("test_writes", "test_writes_unsaid"))
    ended = judged(project)

    assert ended.code == 1, ended.text
    for one in parities(project)["environment"]["comparisons"]:
        assert "no check ran there, as suite/test_suite.py::test_writes_unsaid changes its machine" in one["error"]
        assert (one["checks"], one["outcomes"]) == (0, [])
    for name in ("web-1", "web-2", "web-3"):
        hosts.made[name].run("test ! -e /etc/written-by-a-check")


@pytest.mark.parametrize(
    ("options", "conftest"),
    [
        (("-k", "on-web-1"), ""),
        ((), "def pytest_collection_modifyitems(items):\n    items.reverse()\n"),
        ((), DROPS),
    ],
    ids=["throwaway deselected", "live hosts first", "throwaway dropped"],
)  # fmt: skip
def test_no_check_runs_on_live_hosts_that_was_not_seen_to_be_harmless(
    project: Project, hosts: LiveHosts, options: tuple[str, ...], conftest: str
) -> None:
    project.write(WRITES)
    project.write(conftest, "conftest.py")
    ended = project.run("--gate", "--against", "production", *options)

    assert ended.code != 0, ended.text
    for name in ("web-1", "web-2", "web-3"):
        hosts.made[name].run("test ! -e /etc/written-by-a-check")


def test_what_may_differ_may_not_be_changed_by_a_check(project: Project, hosts: LiveHosts) -> None:
    project.configure(project.dockyard.build(*IMAGE))
    toml = project.folder / "imagetest.toml"
    toml.write_text(toml.read_text().replace("[images.web]", '[images.web]\nallowances = ["own.toml"]'))
    allow = '[[allow]]\npattern = "files:/etc/written*"\nreason = "a test"\nowner = "us"\n'
    (project.folder / "own.toml").write_text(allow)
    declare(project, hosts, "web-1")
    project.write(WRITES)
    ended = judged(project)

    assert ended.code == 1, ended.text
    assert "no check ran there" in parities(project)["environment"]["comparisons"][0]["error"]
    hosts.made["web-1"].run("test ! -e /etc/written-by-a-check")


def test_no_check_gets_more_rights_on_a_live_host_than_on_the_throwaway(
    project: Project, hosts: LiveHosts, dockyard: Dockyard
) -> None:
    image = dockyard.build(IMAGE[0], "RUN useradd --create-home --shell /bin/sh ops", *IMAGE[1:])
    project.configure(image, user="ops")
    toml = project.folder / "imagetest.toml"
    toml.write_text(toml.read_text().replace("[images.web]", '[images.web]\nallowances = ["own.toml"]'))
    (project.folder / "own.toml").write_text('[[allow]]\npattern = "*:*"\nreason = "a test"\nowner = "us"\n')
    declare(project, hosts, "web-1")
    project.write("def test_writes(host):\n    host.run('echo x >/etc/written-by-a-check')\n")
    ended = judged(project)

    assert ended.code == 1, ended.text
    assert "no check ran there, as root might change" in parities(project)["environment"]["comparisons"][0]["error"]
    hosts.made["web-1"].run("test ! -e /etc/written-by-a-check")


def test_hosts_are_looked_at_as_an_ordinary_user_who_may_use_sudo(
    project: Project, hosts: LiveHosts, dockyard: Dockyard
) -> None:
    if "admin" not in hosts.made:
        hosts.start("admin", IMAGE[0], install("sudo"), SUDOER, *IMAGE[1:], user="ops")
    project.configure(dockyard.build(*IMAGE))
    declare(project, hosts, "admin", sudo=False)
    ended = judged(project)
    (plain,) = parities(project)["environment"]["comparisons"]
    project.configure(dockyard.build(*IMAGE))
    declare(project, hosts, "admin", sudo=True)
    judged(project)
    (root,) = parities(project)["environment"]["comparisons"]

    assert ended.code == 1, ended.text
    assert any(one["side"] == "right" and "denied" in one["gap"]["reason"] for one in plain["drift"]["unread"])
    assert root["drift"]["unread"] == []
    assert any(one["key"] == "ops" for one in root["drift"]["differences"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--against", "staging"), "unknown environment 'staging' (known: production)"),
        (("--against", "production", "-n", "2"), "--against and -n exclude each other"),
    ],
    ids=["environment", "workers"],
)
def test_a_mistake_is_told_in_one_line(project: Project, options: tuple[str, ...], said: str) -> None:
    ended = project.run(*options)

    assert ended.code == 4
    assert said in ended.text
    assert "Traceback" not in ended.text
