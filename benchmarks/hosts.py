"""How long many hosts take from one process, and how much memory: time should grow with hosts divided by workers.

Usage: python benchmarks/hosts.py [--hosts N ...] [--workers N ...] [--think SECONDS] [--only COLLECTOR ...]

Starts one Debian container with OpenSSH that answers to as many names as there are hosts, and takes the snapshots of
all of them over SSH, each over a connection of its own. Here all hosts share this machine's processors, which would be
measured first: so each is asked for little (`--only`; nothing after it means everything), and waited for `--think`
seconds, as a host elsewhere is. Each line is a process of its own: its seconds, its seconds times workers divided by
hosts, which should stay the same as long as the processors keep up, its peak memory, and the memory that it had before
the first host. PKR_VAR_base_image names the Debian image to build on.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from imagetest.config.wiring import collectors
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Family, Part
from imagetest.pipeline.survey import survey
from imagetest.transport.existing import Roads
from tests.dockyard import dockyard_of
from tests.hosts import live_hosts

BUSY = "RUN printf 'MaxStartups 500\\nMaxSessions 500\\n' >>/etc/ssh/sshd_config"


class Thinking:
    """A collector that waits, as one does for a host that is far away or slow."""

    name = "thinking"

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def script(self, _scope: Scope) -> str:
        """Wait."""
        return f"ask thinking sleep {self._seconds:g}"

    def read(self, _parts: Mapping[str, Part]) -> Family:
        """Tell nothing."""
        return Family(name=self.name, noun="thought", facts={})


def peak() -> float:
    """Return the most memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def measure(hosts: int, *, workers: int, think: float, only: list[str], config: Path) -> None:
    """Ask all hosts, and print what it took."""
    before, started = peak(), time.perf_counter()
    wanted = [one for one in collectors() if not only or one.name in only]
    roads, asked = Roads(config), (*wanted, *([Thinking(think)] if think else []))
    answers = [*survey([f"host{number}" for number in range(hosts)], roads.dial, asked, workers=workers)]
    seconds = time.perf_counter() - started
    most = peak()
    if lost := [one for one in answers if one.read is None]:
        sys.exit(f"{len(lost)} hosts did not answer: {lost[0].error}")
    facts = sum(len(family.facts) for family in answers[0].read().families) if answers[0].read else 0
    print(
        f"{hosts:5} hosts {workers:4} workers {seconds:7.2f} s {seconds * workers / hosts:6.2f} s x workers / hosts"
        f" {most:7.0f} MB at most, {before:.0f} MB before; {facts} facts a host"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="+", default=[50, 100, 200])
    parser.add_argument("--workers", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--think", type=float, default=2.0, help="seconds that each host is waited for")
    parser.add_argument("--only", nargs="*", default=["packages", "accounts"], help="the collectors to ask")
    parser.add_argument("--config", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.config:
        measure(given.hosts[0], workers=given.workers[0], think=given.think, only=given.only, config=given.config)
        return
    with tempfile.TemporaryDirectory() as folder, dockyard_of() as yard, live_hosts(yard, Path(folder)) as place:
        place.start("host", "FROM {machine}", BUSY)
        config = place.ssh_config.read_text().replace("Host host\n", "Host host?*\n")
        place.ssh_config.write_text(config)
        for workers in given.workers:
            for hosts in given.hosts:
                argv = [sys.executable, __file__, "--hosts", str(hosts), "--workers", str(workers)]
                argv += ["--think", str(given.think), "--config", str(place.ssh_config), "--only", *given.only]
                subprocess.run(argv, check=True)


if __name__ == "__main__":
    main()
