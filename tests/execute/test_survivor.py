"""Somebody who outlives a process and removes what that had: real processes, killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imagetest.errors import StorageError
from imagetest.execute.outlive import outlive

RUN = """
import sys, time
from pathlib import Path
from imagetest.execute import process
from imagetest.execute.leases import Leases
from imagetest.execute.outlive import outlive
here, does = Path(sys.argv[1]), sys.argv[2]
see = "import os, pathlib; pathlib.Path('seen').write_text(os.environ['TOLD']); print('looked')"
seen = [sys.executable, "-c", see]
leases = Leases(here / "leases", outlive=lambda: outlive(here / "leases", *seen, cwd=here, log=here / "logs" / "log"))
for _ in range(3):
    leases.outlive()
leases.take("ec2", "imagetest-1-web@eu-west-1", "web")
if does == "keep":
    leases.keep("imagetest-1-web@eu-west-1")
if does == "release":
    leases.release("imagetest-1-web@eu-west-1")
print("up", flush=True)
if does == "stream":
    program = "import signal, time; end = lambda *_: (time.sleep(1), open('cleaned', 'w').close(), exit(0)); "
    program += "signal.signal(signal.SIGTERM, end); print('on', flush=True); time.sleep(60)"
    process.stream([sys.executable, "-c", program], cwd=here, env={},
                   on_line=lambda line: print(line.decode(), flush=True))
sys.stdin.read()
"""


class Run:
    """A process that has a lease and a survivor."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._children: list[subprocess.Popen[str]] = []

    def start(self, does: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", RUN, str(self.folder), does]
        pipe = subprocess.PIPE
        child = subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, env={**os.environ, "TOLD": "as it was"})
        self._children.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        return child

    def survivors(self) -> list[str]:
        said = subprocess.run(["pgrep", "-af", str(self.folder)], check=False, capture_output=True, text=True).stdout
        return [line for line in said.splitlines() if "survivor.py" in line]

    def over(self) -> str:
        """Wait until nobody is left, and return what the program that the survivor became has seen."""
        eventually(lambda: not self.survivors())
        seen = self.folder / "seen"
        return seen.read_text() if seen.exists() else ""

    def end(self) -> None:
        for child in self._children:
            child.kill()
            child.communicate()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path)
    yield made
    made.end()


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ignores(pid: int, number: int) -> bool:
    """Say whether a process ignores a signal (proc(5), SigIgn)."""
    said = dict(line.split(":\t") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(said["SigIgn"], 16) >> (number - 1) & 1)


def test_it_runs_the_program_when_a_process_with_leases_is_killed(run: Run, tmp_path: Path) -> None:
    child = run.start("wait")
    watching = len(run.survivors())
    child.send_signal(signal.SIGKILL)
    eventually((tmp_path / "seen").exists)

    assert watching == 1
    assert run.over() == "as it was"
    assert (tmp_path / "logs" / "log").read_text() == "looked\n"


def test_it_does_so_while_nobody_has_waited_for_the_dead(run: Run, tmp_path: Path) -> None:
    child = run.start("wait")
    os.kill(child.pid, signal.SIGKILL)  # a zombie from now on
    eventually((tmp_path / "seen").exists)

    assert child.returncode is None
    assert run.over() == "as it was"


@pytest.mark.parametrize("does", ["release", "keep"])
def test_it_runs_nothing_where_nothing_is_lost(run: Run, does: str) -> None:
    child = run.start(does)
    child.send_signal(signal.SIGKILL)
    child.wait()
    eventually(lambda: not run.survivors())

    assert run.over() == ""


def test_a_run_that_ends_by_itself_takes_it_along(run: Run) -> None:
    child = run.start("release")
    watching = run.survivors()
    child.communicate()
    eventually(lambda: not run.survivors())

    assert (len(watching), child.returncode, run.over()) == (1, 0, "")


def test_signals_that_are_meant_for_the_run_do_not_end_it(run: Run, tmp_path: Path) -> None:
    child = run.start("wait")
    (pid,) = [int(line.split()[0]) for line in run.survivors()]
    eventually(lambda: ignores(pid, signal.SIGTERM))
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        os.kill(pid, number)
    child.send_signal(signal.SIGKILL)
    eventually((tmp_path / "seen").exists)

    assert run.over() == "as it was"


def test_it_waits_until_what_the_process_streamed_has_cleaned_up(run: Run, tmp_path: Path) -> None:
    child = run.start("stream")
    assert child.stdout is not None
    assert child.stdout.readline() == "on\n"
    child.send_signal(signal.SIGKILL)
    eventually(lambda: (tmp_path / "cleaned").exists() or (tmp_path / "seen").exists())
    early = (tmp_path / "seen").exists() and not (tmp_path / "cleaned").exists()
    eventually((tmp_path / "seen").exists)

    assert (early, run.over()) == (False, "as it was")


def test_a_lease_that_it_does_not_understand_keeps_it_from_nothing(run: Run, tmp_path: Path) -> None:
    child = run.start("wait")
    for number, text in enumerate(("[]", "{}", "{", "7")):
        (tmp_path / "leases" / f"{number}.json").write_text(text)
    child.send_signal(signal.SIGKILL)
    eventually((tmp_path / "seen").exists)

    assert run.over() == "as it was"


def test_where_nothing_can_be_logged_nothing_is_begun(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")

    with pytest.raises(StorageError, match="cannot write"):
        outlive(tmp_path / "leases", "true", cwd=tmp_path, log=tmp_path / "logs" / "log")
