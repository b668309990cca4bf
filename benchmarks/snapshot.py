"""What a snapshot costs beside the same commands run as one script by the ssh client.

Usage: python benchmarks/snapshot.py [--runs N] [--packages N] [--families]

Boots a Debian container with systemd, OpenSSH and at least so many packages. In turns, takes a snapshot of all families
(with everything in /etc by content) over an open connection, and runs the very script that the snapshot runs through
`ssh HOST sh`, over an open connection too, its output thrown away. Prints both medians and their ratio, which should be
at most 1.3, and with --families the time of each family alone. PKR_VAR_base_image names the Debian image to build on.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagetest.config.wiring import collectors
from imagetest.drivers.docker import DockerDriver
from imagetest.model.instance import Address
from imagetest.model.plan import BootPlan, Scope
from imagetest.pipeline.snapshot import batch_of, take
from imagetest.testing.contracts import ignore, make_access
from imagetest.transport import connection
from imagetest.transport.shell import Shell
from tests.dockyard import Dockyard, dockyard_of

LIMIT = 1.3
MORE = "build-essential git python3-venv rsyslog cron logrotate sudo curl postfix nginx-full php-cli ffmpeg"
INSTALL = (
    "RUN echo '{settings}' >/etc/apt/apt.conf.d/99-x && apt-get update -qq && DEBIAN_FRONTEND=noninteractive "
    "apt-get install -qqy --no-install-recommends {packages} >/dev/null && rm -rf /etc/apt/apt.conf.d/99-x"
)
EVERYTHING = Scope()


def equipped(yard: Dockyard) -> str:
    """Build a machine with about 400 packages."""
    script = Path(__file__).parents[1] / "scripts" / "apt-settings"
    found = os.environ.get("PKR_VAR_apt_settings")  # noqa: SIM112 - Packer wants it so
    if not found:
        found = subprocess.run([script], check=True, capture_output=True, text=True).stdout
    return yard.build("FROM {machine}", INSTALL.format(settings=found.strip(), packages=MORE), 'CMD ["/sbin/init"]')


@contextmanager
def booted(image: str, folder: Path) -> Iterator[Address]:
    """Boot it until the end of the context."""
    driver, resource = DockerDriver(), f"imagetest-benchmark-{os.getpid()}"
    try:
        found = driver.identify(image, name="benchmark")
        access = make_access(folder / "keys")
        up = driver.boot(found, BootPlan(timeout=60.0), resource=resource, access=access, progress=ignore)
        if up.transport is not None:
            up.transport.close()
        yield up.instance.address
    finally:
        driver.destroy(resource)
        driver.close()


@contextmanager
def client(address: Address, folder: Path) -> Iterator[list[str]]:
    """Keep a connection of the ssh client open, and give the command that uses it."""
    known = folder / "known_hosts"
    known.write_text(f"benchmark {address.host_key}\n")
    argv = [
        "ssh", "-F", "none", "-i", address.key_file, "-p", str(address.port), "-l", address.user,
        "-o", f"UserKnownHostsFile={known}", "-o", "HostKeyAlias=benchmark", "-o", "StrictHostKeyChecking=yes",
        "-o", f"ControlPath={folder}/control", "-o", "ControlMaster=auto", "-o", "ControlPersist=600", address.host,
    ]  # fmt: skip
    subprocess.run([*argv, "true"], check=True, stdin=subprocess.DEVNULL)
    try:
        yield [*argv, "sh"]
    finally:
        subprocess.run([*argv[:-1], "-O", "exit", address.host], check=False, capture_output=True)


def by_client(argv: list[str], script: bytes) -> float:
    """Run the script and throw away what it says."""
    started = time.perf_counter()
    subprocess.run(argv, input=script, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def by_take(shell: Shell, scope: Scope) -> float:
    """Take a snapshot and read it."""
    started = time.perf_counter()
    take(shell, collectors(), subject="benchmark", scope=scope)
    return time.perf_counter() - started


def measure(address: Address, folder: Path, runs: int, packages: int) -> tuple[list[float], list[float]]:
    """Measure both in turns."""
    every = collectors()
    transport = connection.connect(address)
    shell = Shell(transport)
    ours, theirs = [], []
    with client(address, folder) as argv:
        script = batch_of(every, EVERYTHING).script().encode()
        for _ in range(2):
            by_take(shell, EVERYTHING)
            by_client(argv, script)
        for _ in range(runs):
            ours.append(by_take(shell, EVERYTHING))
            theirs.append(by_client(argv, script))
    found = take(shell, every, subject="benchmark")
    print(", ".join(f"{one.name} {len(one.facts)}" for one in found.families))
    transport.close()
    installed = found.family("packages")
    if installed is None or len(installed.facts) < packages:
        sys.exit(f"the machine has fewer than {packages} packages")
    return ours, theirs


def show_families(address: Address, runs: int) -> None:
    """Print the median of each family alone."""
    transport = connection.connect(address)
    shell = Shell(transport)
    for one in collectors():
        times = [by_take(shell, Scope(only=(one.name,))) for _ in range(runs)]
        print(f"  {one.name:14} {statistics.median(times) * 1000:6.0f} ms")
    transport.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--packages", type=int, default=400, help="the least number of packages")
    parser.add_argument("--families", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, dockyard_of() as yard, booted(equipped(yard), Path(name)) as address:
        ours, theirs = measure(address, Path(name), given.runs, given.packages)
        if given.families:
            show_families(address, max(3, given.runs // 3))
    one, other = statistics.median(ours), statistics.median(theirs)
    print(f"snapshot {one:.3f} s, the same commands {other:.3f} s, ratio {one / other:.2f} (at most {LIMIT})")
    sys.exit(one / other > LIMIT)


if __name__ == "__main__":
    main()
