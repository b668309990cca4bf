"""A disk that is open at rest goes with whoever opened it, from the first byte of its copy on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imagetest.drivers.held import place
from imagetest.drivers.held.rest import COPY, Alive, Rest
from imagetest.errors import EngineError, StorageError
from imagetest.execute.interrupts import interrupts
from imagetest.testing.contracts import make_access

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root opens a disk at rest")

OPENS = """
import sys, time
from pathlib import Path
from imagetest.drivers.held import place
from imagetest.drivers.held.rest import Rest
from imagetest.testing.contracts import make_access
name, room, keys, disk, slowly = sys.argv[1:]
place.ROOM = Path(room)
def fill(path, alive):
    path.write_bytes(Path(disk).read_bytes())
    if slowly == "slowly":
        print("half", flush=True)
        time.sleep(1000)
Rest.open(name, make_access(Path(keys)), fill)
print("open", flush=True)
time.sleep(1000)
"""


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Make a disk that is one file system, with what an operating system is known by."""
    tree = tmp_path / "tree"
    for folder in ("etc", "proc", "dev"):
        (tree / folder).mkdir(parents=True)
    (tree / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    made = tmp_path / "disk"
    subprocess.run(["mke2fs", "-q", "-F", "-d", tree, made, "4M"], check=True)
    return made


def mounted(name: str) -> bool:
    """Say whether a loop device has a file in a machine's folder."""
    backing = Path("/sys/block").glob("loop*/loop/backing_file")
    return any(name in one.read_text() for one in backing if one.exists())


@pytest.mark.parametrize(("how", "said"), [("slowly", b"half\n"), ("at once", b"open\n")])
def test_it_goes_when_its_run_is_killed(name: str, room: Path, disk: Path, how: str, said: bytes) -> None:
    argv = [sys.executable, "-c", OPENS, name, str(room), str(room / "keys"), str(disk), how]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        heard = child.stdout.readline()
        there, noted = (place.of(name) / COPY).exists(), place.noted(place.of(name))
        open_then = mounted(name)
        child.kill()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (
        place.of(name).exists() or mounted(name) or any(place.runs(*one) for one in noted.values())
    ):
        time.sleep(0.05)

    assert (heard, there, open_then) == (said, True, how == "at once")
    assert set(noted) == {"keeper", "machine"}
    assert not place.of(name).exists()
    assert not mounted(name)
    assert not any(place.runs(*one) for one in noted.values())


def test_a_copy_that_fails_leaves_nothing(name: str, tmp_path: Path) -> None:
    def fill(path: Path, _alive: Alive) -> None:
        path.write_bytes(b"half")
        raise StorageError("no room")

    with pytest.raises(StorageError, match="no room"):
        Rest.open(name, make_access(tmp_path / "keys"), fill)

    assert not place.of(name).exists()


def test_one_that_is_removed_while_it_is_copied_is_one_clear_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="closed before it was open"):
        Rest.open(name, make_access(tmp_path / "keys"), lambda _path, _alive: place.remove(name))


def test_a_copy_that_is_broken_off_stops_at_its_next_block(name: str, tmp_path: Path) -> None:
    half, removed, blocks = threading.Event(), threading.Event(), list[int]()

    def fill(path: Path, alive: Alive) -> None:
        with path.open("wb") as file:
            for number in range(100):
                alive()
                blocks.append(file.write(bytes(4096)))
                if number == 2:
                    half.set()
                    removed.wait(20)

    with ThreadPoolExecutor(max_workers=1) as pool:
        opening = pool.submit(Rest.open, name, make_access(tmp_path / "keys"), fill)
        assert half.wait(20)
        place.remove(name)
        removed.set()

        with pytest.raises(EngineError, match="closed before it was open"):
            opening.result()
    assert len(blocks) == 3
    assert not place.of(name).exists()


def test_an_interrupt_that_is_held_back_breaks_a_copy_off(name: str, tmp_path: Path) -> None:
    written: list[int] = []

    def fill(path: Path, alive: Alive) -> None:
        for _ in range(100):
            alive()
            written.append(path.write_bytes(b"block"))
            os.kill(os.getpid(), signal.SIGINT)

    interrupts.install()
    try:
        with pytest.raises(KeyboardInterrupt), interrupts.held():
            Rest.open(name, make_access(tmp_path / "keys"), fill)
    finally:
        interrupts.restore()

    assert written == [5]
    assert not place.of(name).exists()
