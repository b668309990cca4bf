"""An instance outlives its run, for the next of the same image alone, and is never without somebody who removes it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from imagetest.errors import LeakError
from imagetest.execute.leases import Lease, Leases, Standing
from imagetest.model.plan import BootPlan
from imagetest.pipeline import reuse
from imagetest.pipeline.boot import Fleet
from imagetest.pipeline.reap import reap
from imagetest.pipeline.reuse import Reuse
from imagetest.ports import Booted, Driver, Event
from imagetest.testing.contracts import ask
from imagetest.testing.fakes import FakeDriver

PLAN = BootPlan(driver="fake")


class Forgetful:
    """A driver that cannot reach again what it booted."""

    def __init__(self, driver: FakeDriver) -> None:
        self._driver = driver

    def __getattr__(self, name: str) -> Any:
        if name == "attach":
            raise AttributeError(name)
        return getattr(self._driver, name)


class Run:
    """One run of several on the same project and the same machine."""

    def __init__(self, name: str, harbour: Harbour) -> None:
        self.fleet = Fleet(run=name, leases=harbour.leases, folder=harbour.keys, drivers=lambda _name: harbour.used)
        self.reuse = Reuse(run=name, fleet=self.fleet, leases=harbour.leases, drivers=lambda _name: harbour.used)
        self.said: list[str] = []
        self._harbour = harbour

    def boot(self, plan: BootPlan = PLAN) -> Booted:
        return self.reuse.boot(self._harbour.driver.identify("web:1", name="web"), plan, self._hear)

    def leave(self, booted: Booted, plan: BootPlan = PLAN) -> bool:
        return self.reuse.leave(booted, self._harbour.driver.identify("web:1", name="web"), plan)

    def _hear(self, event: Event) -> None:
        self.said.append(event.text)


class Harbour:
    """What the runs share."""

    def __init__(self, folder: Path) -> None:
        self.leases = Leases(folder / "leases")
        self.keys = folder / "keys"
        self.driver = FakeDriver()
        self.driver.images["web:1"] = "content"
        self.used: Driver = self.driver
        self.runs: list[Run] = []

    def run(self) -> Run:
        self.runs.append(Run(f"run{len(self.runs) + 1}", self))
        return self.runs[-1]

    def reap(self, *, reused: bool = False) -> list[str]:
        done = reap(self.leases, lambda _name: self.driver, keys=self.keys, reused=reused)
        return [lease.resource for lease in done]

    def left(self) -> list[str]:
        """Return the run that booted each instance that waits."""
        return [lease.standing.run for lease in self.leases if lease.standing is not None]

    def remains(self) -> list[str]:
        keys = [path.name for path in self.keys.glob("*")]
        return sorted([*self.driver.up, *(lease.resource for lease in self.leases), *keys])


@pytest.fixture
def harbour(tmp_path: Path) -> Iterator[Harbour]:
    made = Harbour(tmp_path)
    yield made
    for run in made.runs:
        run.fleet.close()
    made.driver.stuck.clear()
    made.reap(reused=True)


def left_by_a_run(harbour: Harbour, command: str = "true") -> str:
    """Have a run leave an instance; return what it is called."""
    run = harbour.run()
    up = run.boot()
    ask(up, command)
    assert run.leave(up)
    return up.instance.id


def test_the_next_run_takes_over_what_was_left(harbour: Harbour) -> None:
    resource = left_by_a_run(harbour, "echo kept >left.txt")
    second = harbour.run()
    up = second.boot()

    assert ask(up, "cat left.txt") == (0, b"kept\n", b"")
    assert (up.instance.id, up.boot.taken_over_from) == (resource, "run1")
    assert second.said == ["taken over from run run1, not booted"]
    assert up.brought == ((harbour.keys / resource / "id.pub").read_text().strip(),)


def test_a_third_run_is_told_who_booted_it(harbour: Harbour) -> None:
    left_by_a_run(harbour)
    second = harbour.run()
    up = second.boot()
    assert second.leave(up)

    assert harbour.run().boot().boot.taken_over_from == "run1"


def test_a_boot_of_its_own_says_so(harbour: Harbour) -> None:
    assert harbour.run().boot().boot.taken_over_from == ""


def test_the_key_that_is_left_is_its_owners_alone(harbour: Harbour) -> None:
    folder = harbour.keys / left_by_a_run(harbour)

    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "id").stat().st_mode & 0o077 == (folder / "host").stat().st_mode & 0o077 == 0


def test_nobody_shares_an_instance(harbour: Harbour) -> None:
    left = left_by_a_run(harbour)
    one, other = harbour.run().boot(), harbour.run().boot()

    assert one.instance.id == left
    assert other.instance.id != left
    assert other.boot.taken_over_from == ""


def test_processes_that_claim_at_once_get_one_each(harbour: Harbour, tmp_path: Path) -> None:
    """Twelve of them for one lease, and each says how many it got."""
    left_by_a_run(harbour)
    script = (
        "import sys; from pathlib import Path; from imagetest.execute.leases import Leases; "
        f"leases = Leases(Path({str(tmp_path / 'leases')!r})); print('ready', flush=True); sys.stdin.readline(); "
        "print(len(leases.claim(lambda lease, standing: True)))"
    )
    several = [
        subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(12)
    ]
    for one in several:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in several:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    got = [one.communicate(timeout=30)[0] for one in several]

    assert sorted(got) == ["0\n"] * 11 + ["1\n"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda harbour: harbour.driver.images.update({"web:1": "new"}), "another one now", id="digest"),
        pytest.param(lambda harbour: harbour.driver.destroy("imagetest-run1-web"), "no instance", id="gone"),
        pytest.param(lambda harbour: (harbour.keys / "imagetest-run1-web" / "id").unlink(), "the keys", id="keys"),
    ],
)
def test_what_is_of_no_use_is_removed_and_said_so(
    harbour: Harbour, change: Callable[[Harbour], object], reason: str
) -> None:
    left = left_by_a_run(harbour)
    change(harbour)
    second = harbour.run()
    up = second.boot()

    assert (up.instance.id, up.boot.taken_over_from) == ("imagetest-run2-web", "")
    (said, _) = second.said
    assert said.startswith(f"removed {left}, left by run run1: ")
    assert reason in said
    assert sorted({*harbour.remains()}) == ["imagetest-run2-web"]


def test_another_plan_boots_afresh(harbour: Harbour) -> None:
    left_by_a_run(harbour)
    second = harbour.run()
    up = second.boot(replace(PLAN, environment=(("COLOUR", "red"),)))

    assert up.boot.taken_over_from == ""
    assert "to be booted in another way now" in second.said[0]
    assert sorted({*harbour.remains()}) == ["imagetest-run2-web"]


def test_another_image_is_left_alone(harbour: Harbour) -> None:
    left_by_a_run(harbour)
    second = harbour.run()
    image = harbour.driver.identify("web:1", name="api")
    second.reuse.boot(image, PLAN, lambda _event: None)

    assert harbour.left() == ["run1"]


def test_one_that_cannot_be_removed_is_an_error_and_stays_leased(harbour: Harbour) -> None:
    left = left_by_a_run(harbour)
    harbour.driver.images["web:1"] = "new"
    harbour.driver.stuck.add(left)

    with pytest.raises(LeakError, match=left):
        harbour.run().boot()
    assert [lease.resource for lease in harbour.leases] == [left]


def test_but_one_waits_for_the_next_run(harbour: Harbour) -> None:
    first, second = harbour.run(), harbour.run()
    one, other = first.boot(), second.boot()

    assert first.leave(one)
    assert not second.leave(other)
    second.fleet.destroy(other.instance.id)
    assert sorted({*harbour.remains()}) == [one.instance.id]


def test_a_driver_that_cannot_boots_afresh_and_says_so(harbour: Harbour) -> None:
    harbour.used = Forgetful(harbour.driver)
    first = harbour.run()
    up = first.boot()

    assert "cannot reach an instance of an earlier run" in first.said[0]
    assert not first.leave(up)
    first.fleet.destroy(up.instance.id)
    assert harbour.remains() == []


def test_the_reaper_leaves_it_until_nobody_used_it_for_long(harbour: Harbour) -> None:
    resource = left_by_a_run(harbour)
    before = harbour.reap()
    expire(harbour, resource)

    assert before == []
    assert harbour.reap() == [resource]
    assert harbour.remains() == []


def test_what_waited_for_too_long_is_not_taken_over(harbour: Harbour) -> None:
    resource = left_by_a_run(harbour)
    expire(harbour, resource)

    assert harbour.run().boot().instance.id != resource


def test_the_reaper_removes_it_when_that_is_asked_for(harbour: Harbour) -> None:
    resource = left_by_a_run(harbour)

    assert harbour.reap(reused=True) == [resource]
    assert harbour.remains() == []


def test_the_reaper_takes_nothing_that_is_in_use(harbour: Harbour) -> None:
    left_by_a_run(harbour)
    up = harbour.run().boot()

    assert harbour.reap(reused=True) == []
    assert ask(up, "true") == (0, b"", b"")


def test_what_a_killed_run_had_taken_over_is_removed(harbour: Harbour, tmp_path: Path) -> None:
    resource = left_by_a_run(harbour)
    script = (
        "from pathlib import Path; from imagetest.execute.leases import Leases; import os, signal; "
        f"Leases(Path({str(tmp_path / 'leases')!r})).claim(lambda lease, standing: True); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script], check=False)

    assert harbour.left() == []
    assert harbour.reap() == [resource]
    assert harbour.remains() == []


def expire(harbour: Harbour, resource: str) -> None:
    """Have an instance wait for longer than it may."""
    (lease,) = harbour.leases.claim(lambda lease, _standing: lease.resource == resource)
    assert lease.standing is not None
    harbour.leases.lend(resource, replace(lease.standing, until=lease.standing.until - reuse.UNUSED - timedelta(1)))


def test_a_lease_comes_back_as_it_was_written(harbour: Harbour) -> None:
    resource = left_by_a_run(harbour)
    (lease,) = harbour.leases

    assert isinstance(lease, Lease)
    assert isinstance(lease.standing, Standing)
    assert (lease.standing.plan, lease.standing.instance.id) == (PLAN, resource)
