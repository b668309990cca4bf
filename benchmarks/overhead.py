"""What imagetest itself costs: the share of a run that is neither Packer's own bake nor the checks' own commands.

Usage: python benchmarks/overhead.py [--image NAME] [--runs N]

Runs `pytest --image NAME` with a bake (--rebake) and then without, several times, in the project of the current folder, and
prints medians of wall-clock seconds and shares of one and the same run. Packer's time is that between its start and end; the
commands' time is that of each command on the instance, as the evidence has it. All else is overhead: starting Python and pytest,
collecting, working out the bake's key, booting, pytest's own work for each test, reports, tearing down.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from imagetest.model.codec import decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """The seconds of one run."""

    wall: float
    packer: float
    commands: float
    boot: float

    @property
    def overhead(self) -> float:
        return self.wall - self.packer - self.commands


def measure(image: str, *, rebake: bool) -> Shares:
    """Run once and read what the run's own evidence says."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--image", image, "--report-dir", folder]
        started = time.perf_counter()
        done = subprocess.run([*argv, *(["--rebake"] if rebake else [])], check=False, capture_output=True, text=True)  # noqa: S603
        wall = time.perf_counter() - started
        stored = Path(folder) / "assessment.json"
        if not stored.is_file():
            sys.exit(f"the run was not judged:\n{done.stdout}{done.stderr}")
        assessment = decode(stored.read_bytes()).assessment
    bake = assessment.bake
    baked = rebake and bake is not None and bake.started is not None and bake.finished is not None
    return Shares(
        wall=wall,
        packer=(bake.finished - bake.started).total_seconds() if baked and bake and bake.finished and bake.started else 0.0,
        commands=sum(command.seconds for check in assessment.checks for command in check.commands),
        boot=sum(phase.seconds for phase in assessment.phases if phase.name == "boot"),
    )


def show(title: str, runs: list[Shares]) -> None:
    """Print one row: the median run by its overhead."""
    middle = sorted(runs, key=lambda one: one.overhead)[len(runs) // 2]
    limit = max(3.0, 0.05 * middle.wall)
    print(
        f"{title:14} wall {middle.wall:6.2f} s = packer {middle.packer / middle.wall:5.1%} + commands "
        f"{middle.commands / middle.wall:5.1%} + overhead {middle.overhead / middle.wall:5.1%} "
        f"({middle.overhead:.2f} s, of which boot {middle.boot:.2f} s); overhead / max(3 s, 5 %) = {middle.overhead / limit:.2f}; "
        f"all runs: {', '.join(f'{one.overhead:.2f}' for one in runs)}, median {statistics.median(one.overhead for one in runs):.2f} s"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--image", default="photoapp")
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    show("with a bake", [measure(chosen.image, rebake=True) for _ in range(chosen.runs)])
    show("bake reused", [measure(chosen.image, rebake=False) for _ in range(chosen.runs)])


if __name__ == "__main__":
    main()
