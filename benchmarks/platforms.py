"""What imagetest itself costs when one command takes the gallery through a container and a virtual machine.

Usage: python benchmarks/platforms.py [OPTION OF PYTEST ...]

Runs scripts/platforms once and prints its wall-clock time, what of it the bake, the boots and the checks were, and the
processor time of pytest's own process, which is all that is neither Packer, QEMU, Docker nor a guest: those are other
processes. Its share of the whole should stay below 0.05. Takes some minutes where there is no KVM.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

MEASURING = """
import atexit, os, resource
def tell():
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open(os.environ["IMAGETEST_BENCHMARK"], "w") as file:
        file.write(str(used.ru_utime + used.ru_stime))
if os.environ.get("IMAGETEST_BENCHMARK"):
    atexit.register(tell)
"""
"""A plugin of pytest's that writes down the processor time of its process, in seconds."""


def main() -> None:
    """Run it and print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "measuring.py").write_text(MEASURING)
        reports = folder / "reports"
        options = ["-p", "measuring", "-q", "--report-dir", str(reports), *sys.argv[1:]]
        environment = {**os.environ, "PYTHONPATH": name, "IMAGETEST_BENCHMARK": str(folder / "own")}
        started = time.monotonic()
        done = subprocess.run([ROOT / "scripts" / "platforms", *options], env=environment, check=False)
        seconds = time.monotonic() - started
        own = float((folder / "own").read_text())
        documents = [json.loads(path.read_text())["assessment"] for path in sorted(reports.glob("*/assessment.json"))]
        for one in documents:
            phases = {phase["name"]: phase["seconds"] for phase in one["phases"]}
            print(one["image"]["name"], *(f"{name} {spent:.1f} s" for name, spent in phases.items()), sep="  ")
            for parity in one["parities"] if one is documents[0] else ():
                print(f"parity {parity['name']}:", *(_facts(held) for held in parity["comparisons"]))
    print(f"the whole run {seconds:.1f} s, imagetest's own work {own:.1f} s: {own / seconds:.3f} of it")
    sys.exit(done.returncode)


def _facts(held: dict[str, dict[str, int]]) -> str:
    drift = held["drift"]
    return f"{drift['compared']} facts, {drift['equal']} equal, {drift['allowed']} allowed, {drift['unexplained']} not"


if __name__ == "__main__":
    main()
