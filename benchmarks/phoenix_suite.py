"""What the phoenix suite costs: its time beside that of booting the image and checking the baseline.

Usage: python benchmarks/phoenix_suite.py [--image NAME] [--runs N]

Runs `pytest --image NAME` with the suites `baseline` and `phoenix` in turn, several times, in the project
of the current folder and on an image that is baked already, and prints medians: wall-clock seconds from the start of
Python to the exit code. What Packer itself takes, to run the provisioners again and to bake once more, is told apart.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from imagetest.config.suites import shipped
from imagetest.model.assessment import Assessment
from imagetest.model.codec import decode
from imagetest.model.finding import Status

LIMIT = 3.0
"""How many times the baseline the phoenix suite may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run."""

    wall: float
    packer: float
    assessment: Assessment

    @property
    def own(self) -> float:
        """Return the seconds that were not Packer's."""
        return self.wall - self.packer


def measure(image: str, suite: str) -> Measured:
    """Run one suite and read what the run's own evidence says."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, "-m", "pytest", "-q", "--image", image, "--profile", suite, "--report-dir", folder]
        argv += ["-p", "no:hypothesispytest", str(shipped("suites") / suite)]
        started = time.perf_counter()
        done = subprocess.run(argv, check=False, capture_output=True, text=True)
        wall = time.perf_counter() - started
        stored = Path(folder) / "assessment.json"
        if not stored.is_file():
            sys.exit(f"the run was not judged:\n{done.stdout}{done.stderr}")
        assessment = decode(stored.read_bytes()).assessment
    packer = sum(
        command.seconds for check in assessment.checks for command in check.commands if command.machine == "packer"
    )
    return Measured(wall=wall, packer=packer, assessment=assessment)


def show(image: str, runs: dict[str, list[Measured]]) -> None:
    """Print the medians, their ratio, and what was not passed: a suite that stops early is a quick one."""
    own = {suite: median(run.own for run in found) for suite, found in runs.items()}
    print(f"{image}: boot and baseline {own['baseline']:.2f} s, phoenix {own['phoenix']:.2f} s without Packer")
    print(
        f"  Packer: {median(run.packer for run in runs['phoenix']):.2f} s (the provisioners again, and a second bake)"
    )
    print(f"  ratio: {own['phoenix'] / own['baseline']:.2f} (limit {LIMIT:g})")
    whole = median(run.wall for run in runs["phoenix"])
    print(f"  with Packer: {whole:.2f} s, as most of the suite's own work is done meanwhile")
    print(f"  all runs: {', '.join(f'{run.own:.2f}' for run in runs['phoenix'])}")
    checks = [check for check in runs["phoenix"][-1].assessment.checks if check.controls]
    for check in sorted(checks, key=lambda one: -one.seconds)[:8]:
        print(f"  {check.seconds:6.2f} s  {check.status.value:12}  {check.controls[0]}")
    bad = [check.controls[0] for check in checks if check.status in {Status.FAILED, Status.ERROR}]
    if bad:
        print(f"  not passed: {', '.join(bad)}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--image", default="photoapp")
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    measure(chosen.image, "baseline")  # bakes it, unless it is baked
    runs: dict[str, list[Measured]] = {"baseline": [], "phoenix": []}
    for _ in range(chosen.runs):
        for suite, found in runs.items():
            found.append(measure(chosen.image, suite))
    show(chosen.image, runs)


if __name__ == "__main__":
    main()
