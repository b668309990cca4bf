"""States that clones are made of: whole, or not at all; and leased, so that they go though all that knew them died."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from imagetest.config import wiring
from imagetest.drivers.held import place
from imagetest.drivers.qemu import accelerator, clones, command
from imagetest.drivers.qemu.machine import Machine
from imagetest.errors import BootError
from imagetest.execute import process
from imagetest.execute.leases import Leases
from imagetest.model.instance import Address, Boot, Instance
from imagetest.model.plan import BootPlan, Hardware
from imagetest.pipeline.reap import reap
from imagetest.ports import Booted
from imagetest.testing.contracts import make_access

pytestmark = pytest.mark.qemu

PLAN = BootPlan(timeout=600.0, machine=Hardware(memory=64, accelerator="tcg"))

PAGE = 4096

CLONES = """
import sys
from pathlib import Path
from imagetest.config import wiring
from imagetest.execute.leases import Leases
from imagetest.model.plan import BootPlan, Hardware
from imagetest.pipeline.boot import Fleet
disk, state = sys.argv[1:]
driver = wiring.driver("qemu")
fleet = Fleet(run="state", leases=Leases(Path(state) / "leases"), folder=Path(state) / "keys", drivers=lambda _: driver)
plan = BootPlan(timeout=600.0, machine=Hardware(memory=64, accelerator="tcg"))
fleet.clone(driver.identify(disk, name="web"), plan, lambda _event: None, "-clone")
"""


@pytest.fixture
def hangs(tmp_path: Path) -> Path:
    """Make a disk whose boot sector does nothing for ever."""
    path = tmp_path / "hangs.raw"
    path.write_bytes(b"\xeb\xfe".ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    return path


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Have machines in a small file system of its own."""
    made = Path("/tmp") / f"imagetest-{secrets.token_hex(4)}"  # short, as sockets need it
    made.mkdir()
    process.output("mount", "-t", "tmpfs", "-o", "size=24M", "tmpfs", str(made))
    monkeypatch.setattr(place, "ROOM", made)
    yield made
    process.output("umount", "--lazy", str(made))
    made.rmdir()


def save(hangs: Path, tmp_path: Path, *, free: int | None) -> int:
    """Save the state of a machine where so many bytes are free; return its size."""
    name = f"imagetest-state-{secrets.token_hex(4)}"
    folder = place.make(name)
    access = make_access(tmp_path / name)
    process.output(
        "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(hangs), str(folder / command.OVERLAY)
    )
    machine = Machine(folder, command.line(PLAN, accelerator.choose("tcg"), folder, name, []), PLAN)
    instance = Instance(
        id=name,
        name="web",
        address=Address(host="127.0.0.1", port=machine.port, user="root", host_key="", key_file=""),
        login="",
    )
    up = Booted(instance=instance, boot=Boot(driver="qemu", started=datetime.now(UTC)))
    try:
        if free is not None:
            fill(place.ROOM / "filler", free)
        state = clones.save(machine, up, access)
        return (state.folder / clones.STATE).stat().st_size
    finally:
        (place.ROOM / "filler").unlink(missing_ok=True)
        machine.end()


def fill(path: Path, free: int) -> None:
    """Leave so many bytes free in a file system."""
    there = os.statvfs(path.parent)
    path.write_bytes(b"x" * (there.f_bavail * there.f_frsize - free))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a small file system")
def test_a_state_that_finds_no_room_is_none(hangs: Path, room: Path, tmp_path: Path) -> None:
    """At its beginning, and at its very end, when QEMU believes that all is well."""
    size = save(hangs, tmp_path, free=None)
    for free in (4 * PAGE, size - PAGE):
        with pytest.raises(BootError, match=r"the state of a machine cannot be saved: .*No space left") as caught:
            save(hangs, tmp_path, free=free)
        assert str(room) in caught.value.hint

    assert size > PAGE


def test_a_state_goes_though_its_run_and_its_keeper_are_killed_at_one_instant(hangs: Path, tmp_path: Path) -> None:
    leases = Leases(tmp_path / "leases")
    with subprocess.Popen([sys.executable, "-c", CLONES, str(hangs), str(tmp_path)]) as run:
        state, keeper = begun(leases)
        os.kill(keeper, signal.SIGSTOP)  # so that it cannot act in between
        run.kill()
        os.kill(keeper, signal.SIGKILL)
    noted, stayed = place.noted(place.of(state)), place.of(state).exists()
    deadline = time.monotonic() + 20
    while any(place.runs(*one) for one in noted.values()) and time.monotonic() < deadline:
        time.sleep(0.05)
    removed = {one.resource for one in reap(leases, wiring.driver, keys=tmp_path / "keys")}

    assert stayed
    assert not any(place.runs(*one) for one in noted.values())
    assert state in removed
    assert not place.of(state).exists()
    assert list(leases) == []


def begun(leases: Leases) -> tuple[str, int]:
    """Wait until the machine of a state runs; return the state's name and its keeper."""
    deadline = time.monotonic() + 60
    while True:
        for one in leases:
            noted = place.noted(place.of(one.resource))
            if one.resource.startswith("imagetest-state-") and "keeper" in noted:
                return one.resource, noted["keeper"][0]
        assert time.monotonic() < deadline, "no state was begun"
        time.sleep(0.05)
