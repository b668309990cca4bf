"""What a test will ask is read from its source, and from nothing that would have to run."""

from __future__ import annotations

import pytest

from imagetest.pytest_plugin.guessing import PRELUDE, guess

pytest_plugins = ["pytester"]

SUITE = """
import pytest

NAMES = ("alice", "bob")
PATH = "/etc/motd"

@pytest.mark.parametrize("name, mode", [("/etc/passwd", 0o644), ("/etc/it's", 0o600)])
def test_params(host, name, mode):
    assert host.file(name).mode == mode

@pytest.fixture(params=["nginx"])
def package(request):
    return request.param

def test_fixture(host, package):
    assert host.package(package).is_installed

def test_constants(host):
    assert host.file(PATH).content_string
    for name in NAMES:
        assert host.user(name).exists
    for unit in ["ssh", "cron"]:
        assert host.service(unit).is_running
    key = "kernel.hostname"
    assert host.sysctl(key)
    assert host.socket("tcp://0.0.0.0:22").is_listening
    assert host.check_output("uname -r")
    assert host.file("/x").sha256sum == "y"
    host.run("rm -rf %s", PATH)

class TestMethods:
    def test_method(self, host):
        assert host.group("adm").gid

def test_nothing():
    assert True

def test_computed(host):
    assert host.file("/etc/" + "x").exists
    assert host.file(PATH.upper()).exists
"""


def guessed(pytester: pytest.Pytester, name: str) -> set[str]:
    items = [
        one
        for one in pytester.getitems(SUITE.replace("def package(request)", "def package(request)"))
        if one.name.startswith(name)
    ]
    assert items
    return set(guess(items))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("test_params", {"stat -Lc %a /etc/passwd", "stat -Lc %a '/etc/it'\"'\"'s'", "test -e /etc/passwd"}),
        ("test_constants", {
            "cat -- /etc/motd", "id alice", "id -u bob", "getent passwd bob", "systemctl is-active ssh",
            "systemctl is-enabled cron",
            "/usr/sbin/sysctl -n kernel.hostname", "/usr/bin/ss --numeric --listening --tcp", "uname -r",
            "sha256sum /x | cut -d ' ' -f 1",
        }),
        ("test_method", {"getent group adm", "getent group adm | cut -d':' -f3"}),
        ("test_params", set(PRELUDE)),
    ],
)  # fmt: skip
def test_names_are_found_where_they_stand(pytester: pytest.Pytester, name: str, expected: set[str]) -> None:
    assert expected <= guessed(pytester, name)


@pytest.mark.parametrize("name", ["test_nothing", "test_computed"])
def test_where_no_name_stands_nothing_is_guessed(pytester: pytest.Pytester, name: str) -> None:
    assert guessed(pytester, name) == set()


def test_a_command_with_arguments_is_no_guess(pytester: pytest.Pytester) -> None:
    assert not {one for one in guessed(pytester, "test_constants") if "rm" in one.split()}
