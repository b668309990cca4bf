"""The machine that a suite of assertions is about, and the ways to run it there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import assertions_suite as suites
from snapshot import booted

from imagetest.model.instance import Address
from tests.dockyard import dockyard_of, install

HERE = Path(__file__).parent
DOCKER = shutil.which("docker") or "docker"
PACKAGES = ("iproute2", "cron", "rsyslog", "logrotate", "sudo", "curl", "git")
SETTLED = "for _ in $(seq 100); do systemctl is-system-running && break; sleep 0.1; done >/dev/null 2>&1;"

DETOUR = """
import socket, struct
from imagetest.transport import connection

def dial(address, timeout):
    channel = socket.create_connection(("127.0.0.1", {port}), timeout)
    channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    channel.sendall(struct.pack("!H", address.port))
    return channel

connection._dial = dial
"""
"""The conftest.py by which imagetest's connections go over the slow link."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run the suite."""

    name: str
    options: tuple[str, ...]
    trace: bool | None = None
    """For imagetest: whether it knows what the run before asked."""


ALONE = ("-p", "no:imagetest", "-p", "no:cacheprovider")
PLAIN = Way("pytest, testinfra", (*ALONE, "--hosts=paramiko://machine"))
"""No test of this one asks for anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A machine that is up, what is so of it whenever its image boots, and the ways to it."""

    folder: Path
    container: str
    known: set[suites.Claim]
    ways: list[Way]
    conftest: str = ""
    """What makes imagetest's own connections go over the slow link, where there is one."""


def stock(folder: Path, address: Address, container: str) -> list[Way]:
    """Return testinfra's own ways, each with an ssh_config of its own."""
    known = folder / "known_hosts"
    known.write_text(f"machine {address.host_key}\n")
    lines = [
        "Host machine", "HostName 127.0.0.1", f"Port {address.port}", f"User {address.user}", "HostKeyAlias machine",
        f"IdentityFile {address.key_file}", "IdentitiesOnly yes", f"UserKnownHostsFile {known}", "LogLevel ERROR",
    ]  # fmt: skip
    plain, shared = folder / "ssh_config", folder / "ssh_config_shared"
    plain.write_text("\n  ".join(lines) + "\n")
    control = ["ControlMaster auto", "ControlPersist 600", f"ControlPath {folder}/%C"]
    shared.write_text("\n  ".join([*lines, *control]) + "\n")
    return [
        Way("testinfra paramiko", (*ALONE, "--hosts=paramiko://machine", f"--ssh-config={plain}")),
        Way("testinfra ssh", (*ALONE, "--hosts=ssh://machine", f"--ssh-config={shared}")),
        Way("testinfra docker", (*ALONE, f"--hosts=docker://{container}")),
    ]


def ours(image: str) -> list[Way]:
    """Return imagetest's ways; the order matters, as the second knows what the first asked."""
    options = ("--image", f"docker:{image}")
    return [Way("imagetest cold", options, trace=False), Way("imagetest trace", options, trace=True)]


def inventory(container: str) -> set[suites.Claim]:
    """Return what may be asserted of a machine that has come up."""
    done = subprocess.run(
        [DOCKER, "exec", container, "sh", "-c", SETTLED + suites.INVENTORY], check=True, capture_output=True
    )
    return suites.claims(done.stdout.decode(errors="replace"))


@contextmanager
def slow_link(latency: float, port: int | None = None) -> Iterator[int]:
    """Lay the slow link, to one port or to any, and give the port on which it begins."""
    argv = [sys.executable, str(HERE / "slow_link.py"), str(latency), *([] if port is None else [str(port)])]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # noqa: S101 - told to the type checker
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


@contextmanager
def prepared(latency: float) -> Iterator[Place]:
    """Make the machine, what is asserted of it, and the ways to it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        yard = stack.enter_context(dockyard_of())
        image = f"imagetest-benchmark:{os.getpid()}"
        built = yard.build("FROM {machine}", install(*PACKAGES), 'CMD ["/sbin/init"]')
        yard.engine.images.get(built).tag(image)
        container = f"imagetest-benchmark-{os.getpid()}"
        with booted(image, folder / "other"):
            known = inventory(container)
        address = stack.enter_context(booted(image, folder))
        known &= inventory(container)  # what is so of one boot only is not known of the next
        conftest = ""
        if latency:
            conftest = DETOUR.format(port=stack.enter_context(slow_link(latency)))
            address = replace(address, port=stack.enter_context(slow_link(latency, address.port)))
        ways = [*stock(folder, address, container), *ours(image)]
        stack.callback(_hang_up, folder / "ssh_config_shared")
        yield Place(folder=folder, container=container, known=known, ways=ways, conftest=conftest)


def _hang_up(ssh_config: Path) -> None:
    argv = [shutil.which("ssh") or "ssh", "-F", str(ssh_config), "-O", "exit", "machine"]
    subprocess.run(argv, check=False, capture_output=True)
