"""What one command that takes the gallery through a container, a virtual machine and maybe an AMI spends its time on.

Usage: python benchmarks/platforms.py [--aws] [OPTION OF PYTEST ...]

Runs scripts/platforms once, which prints its time and imagetest's own share of it (own_time.py), and prints what of it
the bakes, the boots and the checks were, and what was compared. The share should stay below 0.05. Takes some minutes
where there is no KVM.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run it and print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reports = folder / "reports"
        options = [*sys.argv[1:], "-q", "--report-dir", str(reports)]
        done = subprocess.run([ROOT / "scripts" / "platforms", *options], check=False)
        documents = [json.loads(path.read_text())["assessment"] for path in sorted(reports.glob("*/assessment.json"))]
        for one in documents:
            phases = {phase["name"]: phase["seconds"] for phase in one["phases"]}
            print(one["image"]["name"], *(f"{name} {spent:.1f} s" for name, spent in phases.items()), sep="  ")
            for parity in one["parities"] if one is documents[0] else ():
                print(f"parity {parity['name']}:", *(_facts(held) for held in parity["comparisons"]))
    sys.exit(done.returncode)


def _facts(held: dict[str, dict[str, int]]) -> str:
    drift = held["drift"]
    return f"{drift['compared']} facts, {drift['equal']} equal, {drift['allowed']} allowed, {drift['unexplained']} not"


if __name__ == "__main__":
    main()
