"""What imagetest itself costs: the share of a run that is neither Packer's own bake nor the checks' own commands.

Usage: python benchmarks/overhead.py [--image NAME] [--runs N]

Runs `pytest --image NAME` with a bake (--rebake) and then without, several times, in the project of the current
folder, and prints the median run: its wall-clock seconds and their shares. Packer's time is that between its start and
end; the commands' time is that of each command on the instance, as the evidence has it. All else is overhead: starting
Python and pytest, collecting, the bake key, booting, pytest's own work for each test, reports, tearing down.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from imagetest.model.codec import decode
from imagetest.model.image import Bake


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """The seconds of one run."""

    wall: float
    packer: float
    commands: float
    boot: float

    @property
    def overhead(self) -> float:
        """Return what neither Packer nor a command on the instance took."""
        return self.wall - self.packer - self.commands


def measure(image: str, *, rebake: bool) -> Shares:
    """Run once and read what the run's own evidence says."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, "-m", "pytest", "-q", "--image", image, "--report-dir", folder]
        argv += ["-p", "no:hypothesispytest"]  # a tool of this project's own tests, which its users do not have
        argv += ["--rebake"] if rebake else []
        started = time.perf_counter()
        done = subprocess.run(argv, check=False, capture_output=True, text=True)
        wall = time.perf_counter() - started
        stored = Path(folder) / "assessment.json"
        if not stored.is_file():
            sys.exit(f"the run was not judged:\n{done.stdout}{done.stderr}")
        assessment = decode(stored.read_bytes()).assessment
    return Shares(
        wall=wall,
        packer=_seconds(assessment.bake) if rebake else 0.0,
        commands=sum(command.seconds for check in assessment.checks for command in check.commands),
        boot=sum(phase.seconds for phase in assessment.phases if phase.name == "boot"),
    )


def _seconds(bake: Bake | None) -> float:
    if bake is None or bake.started is None or bake.finished is None:
        return 0.0
    return (bake.finished - bake.started).total_seconds()


def show(title: str, runs: list[Shares]) -> None:
    """Print the run whose overhead is the median, and the overhead of all."""
    one = sorted(runs, key=lambda run: run.overhead)[len(runs) // 2]
    limit = max(3.0, 0.05 * one.wall)
    print(f"{title}: {one.wall:.2f} s")
    for name, seconds in (("Packer", one.packer), ("commands", one.commands), ("overhead", one.overhead)):
        print(f"  {name:9} {seconds:6.2f} s  {seconds / one.wall:6.1%}")
    print(f"  of the overhead, booting took {one.boot / one.overhead:.1%}")
    print(f"  overhead / max(3 s, 5 % of the run) = {one.overhead / limit:.2f}")
    print(f"  overhead of all runs: {', '.join(f'{run.overhead:.2f} s' for run in runs)}")


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
