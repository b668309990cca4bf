"""What a thousand assertions cost: through testinfra's own backends, through imagetest, and through goss.

Usage: python benchmarks/assertions.py [--assertions N] [--rounds N] [--only WAY ...] [--latency MS] [--growth]

Boots a Debian container with systemd and OpenSSH and makes a suite about what it has: packages, files, contents,
services, kernel parameters, users, sockets and commands, one assertion a test, of which each fiftieth fails. Runs it
by `python -m pytest` in turns: over testinfra's paramiko, ssh (with ControlPath) and docker backends, and by `--image`,
cold (nothing known from an earlier run) and with a trace (of the run before). Each is held against its floor, which is
the same command line and the same tests with empty bodies, and against that of pytest with testinfra alone. A run whose
outcomes are not those that the suite was made for, test by test, ends the benchmark. Where `goss` is on the PATH, the
same checks run by it inside the container, without pytest.

Prints the medians of one run of this program: seconds, ratios, and the processor time and peak memory of pytest's
process, in brackets those of the floor. With --latency, a proxy lies between, on which a round trip takes so long (it
does not lie before docker's own socket or goss). With --growth, 100, 1,000 and 10,000 assertions, which testinfra's own
backends take half an hour for; --only chooses ways.
PKR_VAR_base_image names the Debian image to build on.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import assertions_suite as suites
from assertions_ways import DOCKER, HERE, PLAIN, Place, Way, prepared

COUNTS = (100, 1000, 10_000)
FLOOR = " floor"


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a program took."""

    seconds: float
    processor: float
    """Seconds of pytest's own process and those that it started here."""
    peak: float
    """MB."""


@dataclass
class Bench:
    """The machine, the suites, and what was measured."""

    place: Place
    runs: dict[tuple[str, int], list[Run]] = field(default_factory=lambda: defaultdict(list))

    def suite(self, count: int) -> list[suites.Assertion]:
        """Return the suite of so many assertions, its files written."""
        chosen = suites.choose(self.place.known, count)
        for kind in ("full", "empty"):
            folder = self.place.folder / f"{kind}{count}"
            if not folder.is_dir():
                suites.write(folder, chosen, empty=kind == "empty")
                (folder / "conftest.py").write_text(self.place.conftest)
        return chosen

    def measure(self, way: Way, count: int) -> None:
        """Run the suite one way, and its floor."""
        chosen = self.suite(count)
        if way.trace is not None:
            self._prepare(way, count)
        self.floor(way, count)
        wrong = {one.number for one in chosen if one.fails}
        self.runs[way.name, count].append(self._run(way, self.place.folder / f"full{count}", count, wrong))

    def floor(self, way: Way, count: int) -> None:
        """Run the same tests with empty bodies."""
        self.suite(count)
        self.runs[way.name + FLOOR, count].append(self._run(way, self.place.folder / f"empty{count}", count, set()))

    def _prepare(self, way: Way, count: int) -> None:
        """Have the cache that a way wants: none, or that of a run before."""
        cache = self.place.folder / f"full{count}" / ".pytest_cache"
        if not way.trace:
            shutil.rmtree(cache, ignore_errors=True)
        elif not cache.is_dir():
            sys.exit("there is no trace: measure the cold way first")

    def _run(self, way: Way, folder: Path, count: int, wrong: set[int]) -> Run:
        program = [sys.executable, "-m", "pytest", "-q", "-p", "no:hypothesispytest"]
        argv = [sys.executable, str(HERE / "peak.py"), *program, *way.options, str(folder)]
        done = subprocess.run(argv, cwd=folder, check=False, capture_output=True, text=True)
        failed = {int(one) for one in re.findall(r"^FAILED \S*?[_-]a(\d{5})\b", done.stdout, re.MULTILINE)}
        passed = sum(int(one) for one in re.findall(r"\b(\d+) passed", done.stdout.splitlines()[-1]))
        if failed != wrong or passed != count - len(wrong):
            log = Path(f"{way.name}.log").absolute()
            log.write_text(done.stdout + done.stderr)
            sys.exit(f"{way.name}: not what the suite was made for, in {sorted(failed ^ wrong)}: see {log}")
        return Run(**json.loads(done.stderr.splitlines()[-1]))


def by_goss(bench: Bench, program: str, count: int) -> float:
    """Return the seconds that goss takes in the container, as the container's own clock has it."""
    (bench.place.folder / "goss.json").write_text(suites.goss(bench.suite(count)))
    for source, goal in ((program, "/tmp/goss"), (str(bench.place.folder / "goss.json"), "/tmp/goss.yaml")):  # noqa: S108
        subprocess.run([DOCKER, "cp", "-q", source, f"{bench.place.container}:{goal}"], check=True)
    script = "date +%s.%N; /tmp/goss -g /tmp/goss.yaml validate --no-color; date +%s.%N"
    done = subprocess.run(
        [DOCKER, "exec", bench.place.container, "sh", "-c", script], check=True, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    told = re.search(r"^Count: (\d+), Failed: [1-9]", done.stdout, re.MULTILINE)
    if told is None or int(told[1]) < count / 2:
        sys.exit(f"goss did not check what the suite checks\n{done.stdout[-4000:]}{done.stderr}")
    return float(lines[-1]) - float(lines[0])


def median(runs: list[Run]) -> Run:
    """Return the median of each measure."""
    return Run(*(statistics.median(one) for one in zip(*((r.seconds, r.processor, r.peak) for r in runs), strict=True)))


def table(bench: Bench, count: int) -> None:
    """Print the medians of one number of assertions, in brackets those of the floor."""
    found = {name: median(runs) for (name, some), runs in bench.runs.items() if some == count}
    least = found.pop(PLAIN.name + FLOOR)
    print(f"{count:6} assertions        seconds  x floor  x plain      processor         MB")
    print(
        f"{PLAIN.name:19} {f'({least.seconds:.2f})':>14} {f'({least.processor:.2f})':>32} {f'({least.peak:.0f})':>10}"
    )
    for name, run in found.items():
        if not name.endswith(FLOOR):
            floor = found[name + FLOOR]
            times = f"{run.seconds:7.2f} ({floor.seconds:.2f})".rjust(14)
            ratios = f"{run.seconds / floor.seconds:8.2f} {run.seconds / least.seconds:8.2f}"
            processor = f"{run.processor:.2f} ({floor.processor:.2f})".rjust(14)
            print(f"{name:19} {times} {ratios} {processor} {f'{run.peak:.0f} ({floor.peak:.0f})':>10}")


def measure(bench: Bench, ways: list[Way], count: int, rounds: int) -> None:
    """Run all ways in turns, and pytest alone."""
    for _ in range(rounds):
        bench.floor(PLAIN, count)
        for way in ways:
            bench.measure(way, count)


def compare(bench: Bench, ways: list[Way], count: int, rounds: int) -> None:
    """Run all ways in turns and print the table, and what goss takes for the same."""
    measure(bench, ways, count, rounds)
    table(bench, count)
    goss = shutil.which("goss")
    if goss:
        seconds = [by_goss(bench, goss, count) for _ in range(rounds)]
        print(f"{'goss in the guest':19} {statistics.median(seconds):8.2f}")


def growth(bench: Bench, ways: list[Way], rounds: int) -> None:
    """Print how time and memory grow with the number of assertions."""
    for count in COUNTS:
        compare(bench, ways, count, rounds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assertions", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[], metavar="WAY", help="those whose names begin so")
    parser.add_argument("--latency", type=float, default=0, metavar="MS", help="milliseconds of a round trip")
    parser.add_argument("--growth", action="store_true")
    given = parser.parse_args()
    with prepared(given.latency) as place:
        bench, begin = Bench(place), tuple(given.only) or ""
        chosen = [way for way in place.ways if way.name.startswith(begin)]
        if given.growth:
            growth(bench, chosen, given.rounds)
        else:
            compare(bench, chosen, given.assertions, given.rounds)


if __name__ == "__main__":
    main()
