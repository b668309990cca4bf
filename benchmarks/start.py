"""How fast it starts: `--help` with the plugin and without, and the first test of a run with --reuse.

Usage: python benchmarks/start.py [--image docker:REFERENCE] [--rounds N] [--imports]

Everything is run in turns, so that a busy moment of the machine hits all alike; medians of one run of this program are
printed, their differences and their ratios. `--reuse` is timed from the start of its process to the first line of its
first test, which writes down the time; so is plain pytest on the same test, without the plugin. Both know the plugins
of testinfra and of allure-pytest, which are entry points of their own and come with imagetest: they count on neither
side. Tools of this project's own tests (hypothesis, pytest-xdist, pytest-timeout) are switched off. `--imports` says
which modules cost most of the time to the first test (`python -X importtime`).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

PYTEST = [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", "-p", "no:xdist", "-p", "no:timeout"]
WITHOUT = ["-p", "no:imagetest"]
BASE = "PKR_VAR_base_image"
COMMAND = [str(Path(sys.executable).with_name("imagetest"))]
SUITE = """
import time
from pathlib import Path

def test_first(host):
    Path("first").write_text(repr(time.time()))
    assert host is not None
"""


def whole(argv: list[str], folder: Path) -> float:
    """Return the seconds that a program takes."""
    started = time.perf_counter()
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def first(argv: list[str], folder: Path) -> float:
    """Return the seconds from the start of a run to the first line of its first test."""
    (folder / "first").unlink(missing_ok=True)
    started = time.time()
    done = subprocess.run(argv, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode or not (folder / "first").exists():
        sys.exit(f"{' '.join(argv)} went wrong:\n{done.stdout}{done.stderr}")
    return float((folder / "first").read_text()) - started


def in_turns(measures: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Return the median of each, in seconds, after a round that does not count."""
    seen: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(rounds + 1):
        for name, measure in measures.items():
            seconds = measure()
            if number:
                seen[name].append(seconds)
    return {name: statistics.median(found) for name, found in seen.items()}


def imports(argv: list[str], folder: Path) -> Counter[str]:
    """Return the milliseconds that the modules of each package took to import."""
    traced = [argv[0], "-X", "importtime", *argv[1:]]
    done = subprocess.run(traced, cwd=folder, check=True, capture_output=True, text=True)
    found: Counter[str] = Counter()
    for line in done.stderr.splitlines():
        own, _, rest = line.removeprefix("import time:").partition("|")
        if own.strip().isdigit():
            found[rest.partition("|")[2].strip().partition(".")[0]] += int(own)
    return Counter({name: round(spent / 1000) for name, spent in found.items()})


def compare(medians: dict[str, float], base: str) -> None:
    """Print each median, and by how much it is more than one of them."""
    for name, seconds in medians.items():
        beyond = (
            "" if name == base else f"  {1000 * (seconds - medians[base]):+6.0f} ms  {seconds / medians[base]:5.2f} x"
        )
        print(f"  {name:32} {1000 * seconds:6.0f} ms{beyond}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--image", default=f"docker:{os.environ.get(BASE, 'imagetest/base:bookworm')}")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--imports", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "suite").mkdir()
        (folder / "suite" / "test_suite.py").write_text(SUITE)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "imagetest.toml").write_text(f'[images.web]\nimage = "{chosen.image}"\nsuites = ["suite"]\n')
        reuse = [*PYTEST, "-q", "--image", "web", "--reuse"]
        try:
            measure(folder, reuse, rounds=chosen.rounds)
            if chosen.imports:
                print("imports of a run with --reuse, ms:", imports(reuse, folder).most_common(25))
        finally:
            subprocess.run([*COMMAND, "reap", "--reused"], cwd=folder, check=True, capture_output=True)


def measure(folder: Path, reuse: list[str], *, rounds: int) -> None:
    """Measure one after the other, and print both tables."""
    helps = {
        "pytest --help without": lambda: whole([*PYTEST, *WITHOUT, "--help"], folder),
        "pytest --help with the plugin": lambda: whole([*PYTEST, "--help"], folder),
        "imagetest --help": lambda: whole([*COMMAND, "--help"], folder),
    }
    print("the whole process:")
    compare(in_turns(helps, rounds), "pytest --help without")
    plain = [*PYTEST, *WITHOUT, "-q", "--hosts", "local://", "suite"]
    starts = {
        "plain pytest": lambda: first(plain, folder),
        "pytest --image NAME --reuse": lambda: first(reuse, folder),
    }
    print("to the first line of the first test:")
    compare(in_turns(starts, rounds), "plain pytest")


if __name__ == "__main__":
    main()
