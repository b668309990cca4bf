"""What the checks of the baseline share: a few facts about the machine, each read with one command."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

from imagetest import not_applicable
from imagetest.marks import PROJECT

CANNOT_START = ("no hostkeys available", "Missing privilege separation directory")
ALLOWANCES = frozenset({"listeners", "secrets", "setgid", "setuid", "shells"})


def pytest_collection_modifyitems(config: pytest.Config) -> None:
    """Refuse a `baseline.toml` with a mistake in it before anything is booted."""
    _allowances(config)


def _allowances(config: pytest.Config) -> dict[str, Any]:
    path = config.stash.get(PROJECT, config.rootpath) / "baseline.toml"
    try:
        everything = tomllib.loads(path.read_text()) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise pytest.UsageError(f"{path} cannot be read: {error}") from error
    for table in (everything, *everything.get("images", {}).values()):
        if unknown := sorted(table.keys() - ALLOWANCES - {"images"}):
            raise pytest.UsageError(f"{path}: unknown {', '.join(unknown)} (known: {', '.join(sorted(ALLOWANCES))})")
    return everything


@pytest.fixture
def allowed(host: Host, pytestconfig: pytest.Config) -> dict[str, frozenset[str]]:
    """Return what the project's `baseline.toml` allows this image beyond the suite's own lists."""
    everywhere = _allowances(pytestconfig)
    parts = host.backend.get_hostname().split(".")
    names = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]  # a cell of a matrix is its image as well
    tables = [everywhere, *(everywhere.get("images", {}).get(name, {}) for name in names)]
    return {name: frozenset(one for table in tables for one in table.get(name, ())) for name in ALLOWANCES}


@pytest.fixture
def loose(host: Host) -> Callable[..., list[str]]:
    """Return a function that names those files of some shell patterns that are too open or not root's.

    A pattern may match nothing, as not every image has every file; that nothing at all exists is an error.
    """

    def stat(patterns: str, *, bits: int, owners: tuple[str, ...] = ("root:root",)) -> list[str]:
        script = f'for f in {patterns}; do if [ -e "$f" ]; then stat -Lc "%a %U:%G %n" "$f" || exit; fi; done'
        rows = [line.split(" ", 2) for line in host.check_output(script).splitlines()]
        if not rows:
            raise LookupError(f"nothing exists of {patterns}")
        open_ones = [row for row in rows if int(row[0], 8) & bits or row[1] not in owners]
        return [f"{path} ({mode} {owner})" for mode, owner, path in open_ones]

    return stat


@pytest.fixture
def search(host: Host) -> Callable[[str], list[str]]:
    """Return a function that gives the paths, on every local file system, that an expression of `find` selects.

    What containers keep on this machine, and read-only images such as snaps, are other machines' file systems.
    """
    local = "awk '$1 ~ /^[/]/ && $3 !~ /^(squashfs|iso9660)$/ || $3 == \"zfs\" {print $2}' /proc/self/mounts"
    foreign = "-path /var/lib/docker -o -path /var/lib/containerd -o -path /var/lib/containers"

    def find(expression: str) -> list[str]:
        command = rf"find / $({local}) -xdev -ignore_readdir_race \( {foreign} \) -prune -o {expression} -print"
        return sorted(set(host.check_output(command).splitlines()))

    return find


@pytest.fixture
def passwd(host: Host) -> list[list[str]]:
    """Return the fields of each account of /etc/passwd."""
    return [line.split(":") for line in host.check_output("cat /etc/passwd").splitlines()]


@pytest.fixture
def sshd(host: Host) -> dict[str, str]:
    """Return the SSH server's effective configuration for root who comes from elsewhere."""
    who = "user=root,host=client.invalid,addr=192.0.2.1,laddr=192.0.2.2,lport=22"
    sshd = "/usr/sbin/sshd"
    done = host.run(f"if [ -x {sshd} ]; then {sshd} -T -C {who} || {sshd} -T -G -C {who}; fi")
    if not done.rc and not done.stdout:
        not_applicable("no SSH server: /usr/sbin/sshd does not exist")
    if done.rc and any(reason in done.stderr for reason in CANNOT_START):
        not_applicable(f"no SSH server runs, and this one could not: {done.stderr.splitlines()[0]}")
    if done.rc:
        raise LookupError(f"sshd does not tell its configuration: {done.stderr}")
    return {key: value for key, _, value in (line.partition(" ") for line in done.stdout.splitlines())}


@pytest.fixture
def systemd(host: Host) -> Host:
    """Return the machine if systemd runs it, and end the test where something else does."""
    if (init := host.check_output("cat /proc/1/comm")) != "systemd":
        not_applicable(f"systemd does not run this machine: process 1 is {init!r}")
    return host


@pytest.fixture
def sudoers(host: Host) -> list[str]:
    """Return every line of the sudoers policy that says something, continued lines joined."""
    read = r"find /etc/sudoers /etc/sudoers.d -type f ! -name '*.*' ! -name '*~' -exec cat {} +"
    output = host.check_output(f"if [ -e /etc/sudoers ]; then {read}; fi")
    if not output:
        not_applicable("no sudo: /etc/sudoers does not exist")
    lines = [line.strip() for line in output.replace("\\\n", " ").splitlines()]
    included = [line for line in lines if line.startswith(("@include", "#include")) and "/etc/sudoers.d" not in line]
    if included:
        raise LookupError(f"sudoers includes what this check does not read: {included}")
    return [line for line in lines if line and not line.startswith(("#", "@include"))]
