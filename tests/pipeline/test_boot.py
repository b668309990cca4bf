"""A fleet loses no instance: whatever happens, there is either a lease or nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imagetest.errors import BootError, LeakError, StorageError
from imagetest.execute.interrupts import interrupts
from imagetest.execute.leases import Leases
from imagetest.model.image import Image
from imagetest.model.plan import BootPlan
from imagetest.pipeline.boot import Fleet
from imagetest.pipeline.reap import reap
from imagetest.ports import Access, Booted, Progress
from imagetest.testing.contracts import ask, ignore
from imagetest.testing.fakes import FakeDriver

WEB = "imagetest-run-web"


class WatchedDriver(FakeDriver):
    """A fake that notes which leases there are when it is asked to boot."""

    def __init__(self, leases: Leases) -> None:
        super().__init__()
        self.leases_at_boot: list[str] = []
        self.interrupt = False
        self._leases = leases

    def boot(self, image: Image, plan: BootPlan, *, resource: str, access: Access, progress: Progress) -> Booted:
        self.leases_at_boot += [lease.resource for lease in self._leases]
        booted = super().boot(image, plan, resource=resource, access=access, progress=progress)
        if self.interrupt:
            os.kill(os.getpid(), signal.SIGINT)
        return booted

    def destroy(self, resource: str) -> None:
        if self.interrupt:
            os.kill(os.getpid(), signal.SIGTERM)
        super().destroy(resource)


class Harbour:
    """A fleet and all that it works with."""

    def __init__(self, folder: Path) -> None:
        self.leases = Leases(folder / "leases")
        self.keys = folder / "keys"
        self.driver = WatchedDriver(self.leases)
        self.driver.images["web:1"] = "content"
        self.fleet = Fleet(run="run", leases=self.leases, folder=self.keys, drivers=lambda _name: self.driver)
        self.image = self.driver.identify("web:1", name="web")

    def boot(self) -> Booted:
        return self.fleet.boot(self.image, BootPlan(driver="fake"), ignore)

    def remains(self) -> list[str]:
        keys = [path.name for path in self.keys.glob("*")]
        return sorted([*self.driver.up, *(lease.resource for lease in self.leases), *keys])


@pytest.fixture
def harbour(tmp_path: Path) -> Iterator[Harbour]:
    made = Harbour(tmp_path)
    yield made
    made.driver.stuck.clear()
    made.driver.interrupt = False
    for resource in made.driver.up:
        made.driver.destroy(resource)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    interrupts.install()
    yield
    interrupts.restore()


def test_a_lease_is_written_before_the_instance_is_made(harbour: Harbour) -> None:
    harbour.boot()

    assert harbour.driver.leases_at_boot == [WEB]


def test_an_instance_can_be_used_and_leaves_nothing(harbour: Harbour) -> None:
    booted = harbour.boot()
    answer = ask(booted, "echo here")
    harbour.fleet.destroy(booted.instance.id)

    assert answer == (0, b"here\n", b"")
    assert harbour.remains() == []


def test_the_keys_of_an_instance_are_its_own_and_private(harbour: Harbour) -> None:
    booted, rest = harbour.boot(), harbour.fleet.rest(harbour.image, BootPlan(driver="fake"))
    files = [Path(one.instance.address.key_file) for one in (booted, rest)]

    assert [oct(path.stat().st_mode & 0o777) for path in files] == ["0o600", "0o600"]
    assert [oct(path.parent.stat().st_mode & 0o777) for path in files] == ["0o700", "0o700"]
    assert files[0].read_text() != files[1].read_text()
    assert booted.instance.address.host_key != rest.instance.address.host_key


def test_an_image_that_does_not_come_up_leaves_nothing(harbour: Harbour) -> None:
    harbour.driver.broken["web:1"] = "it crashed"

    with pytest.raises(BootError, match="it crashed"):
        harbour.boot()
    assert harbour.remains() == []


def test_without_a_lease_nothing_is_made(harbour: Harbour, tmp_path: Path) -> None:
    (tmp_path / "leases").touch()

    with pytest.raises(StorageError, match="cannot write a lease") as caught:
        harbour.boot()
    assert "nothing was started" in caught.value.hint
    assert harbour.driver.leases_at_boot == []
    assert harbour.driver.up == frozenset()


def test_without_keys_nothing_is_made(harbour: Harbour) -> None:
    harbour.keys.touch()

    with pytest.raises(StorageError, match="cannot write the run's keys"):
        harbour.boot()
    assert harbour.driver.up == frozenset()
    assert list(harbour.leases) == []


@pytest.mark.usefixtures("_interruptible")
def test_an_interrupted_boot_leaves_nothing(harbour: Harbour) -> None:
    harbour.driver.interrupt = True

    with pytest.raises(KeyboardInterrupt):
        harbour.boot()
    assert harbour.remains() == []


@pytest.mark.usefixtures("_interruptible")
def test_an_interrupt_does_not_cut_a_removal_in_half(harbour: Harbour) -> None:
    harbour.boot()
    harbour.driver.interrupt = True

    with pytest.raises(KeyboardInterrupt):
        harbour.fleet.close()
    assert harbour.remains() == []


def test_an_instance_that_cannot_be_removed_keeps_its_lease(harbour: Harbour) -> None:
    booted = harbour.boot()
    harbour.driver.stuck.add(WEB)

    with pytest.raises(LeakError):
        harbour.fleet.destroy(booted.instance.id)
    assert [lease.resource for lease in harbour.leases] == [WEB]
    assert [str(leak) for leak in harbour.fleet.close()] == [f"{WEB!r} may still be there"]
    assert [lease.resource for lease in harbour.leases] == [WEB]


def test_a_failed_boot_that_cannot_be_removed_is_a_leak_and_says_both(harbour: Harbour) -> None:
    harbour.driver.broken["web:1"] = "it crashed"
    harbour.driver.stuck.add(WEB)

    with pytest.raises(LeakError) as caught:
        harbour.boot()
    assert "it crashed" in str(caught.value.__cause__)
    assert [lease.resource for lease in harbour.leases] == [WEB]


def test_closing_removes_everything_though_one_is_stuck(harbour: Harbour) -> None:
    harbour.boot()
    harbour.fleet.rest(harbour.image, BootPlan(driver="fake"))
    harbour.driver.stuck.add(WEB)
    leaks = harbour.fleet.close()

    assert len(leaks) == 1
    assert harbour.driver.up == {WEB}
    assert harbour.fleet.close() == []


def test_what_is_kept_stays_with_its_keys_until_it_is_reaped(harbour: Harbour) -> None:
    booted = harbour.boot()
    key = Path(booted.instance.address.key_file)
    harbour.fleet.keep(booted.instance.id)
    harbour.fleet.close()
    stayed = harbour.driver.up, key.is_file(), [lease.kept for lease in harbour.leases]
    reap(harbour.leases, lambda _kind: harbour.driver, keys=harbour.keys, kept=True)

    assert stayed == (frozenset({WEB}), True, [True])
    assert harbour.remains() == []


def test_a_run_has_no_more_of_one_instance_than_one(harbour: Harbour) -> None:
    booted = harbour.boot()
    rest = harbour.fleet.rest(harbour.image, BootPlan(driver="fake"))

    assert (booted.instance.id, rest.instance.id) == (WEB, f"{WEB}-rest")
    assert harbour.fleet.close() == []
    assert harbour.remains() == []


STATE = "imagetest-state-of-the-fake"


class CloningDriver(FakeDriver):
    """A fake that can clone, and notes what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.cloned: list[str] = []

    def clone(
        self,
        image: Image,
        plan: BootPlan,
        *,
        resource: str,
        access: Access,
        progress: Progress,
        claim: Callable[[str], None],
    ) -> Booted:
        if not self.cloned:
            claim(STATE)
            self.images[STATE] = image.digest
        self.cloned.append(resource)
        return self.boot(image, plan, resource=resource, access=access, progress=progress)


def test_a_clone_is_asked_of_a_driver_that_can_and_leaves_nothing(harbour: Harbour, tmp_path: Path) -> None:
    driver = CloningDriver()
    driver.images["web:1"] = "content"
    fleet = Fleet(run="run", leases=harbour.leases, folder=tmp_path / "keys", drivers=lambda _name: driver)
    up = fleet.clone(harbour.image, BootPlan(driver="fake"), ignore, "-twin")
    answer = ask(up, "echo here")
    leased = {lease.resource for lease in harbour.leases}
    fleet.destroy(up.instance.id)
    kept = [lease.resource for lease in harbour.leases]

    assert leased == {*driver.cloned, STATE} == {f"{WEB}-twin", STATE}
    assert answer == (0, b"here\n", b"")
    assert kept == [STATE]
    assert fleet.close() == []
    assert (driver.up, list(harbour.leases)) == (frozenset(), [])


def test_what_a_clone_is_of_is_not_made_without_a_lease(harbour: Harbour, tmp_path: Path) -> None:
    driver = CloningDriver()
    driver.images["web:1"] = "content"
    fleet = Fleet(run="run", leases=harbour.leases, folder=tmp_path / "keys", drivers=lambda _name: driver)
    fleet.break_off()

    with pytest.raises(BootError, match="broken off"):
        fleet.clone(harbour.image, BootPlan(driver="fake"), ignore, "-twin")
    assert STATE not in driver.images
    assert list(harbour.leases) == []


def test_what_is_broken_off_by_its_name_is_that_alone(harbour: Harbour) -> None:
    harbour.fleet.break_off(["-unwanted-2"])
    plan = BootPlan(driver="fake")

    with pytest.raises(BootError, match="broken off"):
        harbour.fleet.boot(harbour.image, plan, ignore, "-unwanted-2")
    up = harbour.fleet.boot(harbour.image, plan, ignore, "-unwanted-22")
    assert harbour.driver.up == {up.instance.id}
    assert harbour.fleet.close() == []
    assert harbour.remains() == []


def test_where_a_driver_cannot_clone_it_boots(harbour: Harbour) -> None:
    up = harbour.fleet.clone(harbour.image, BootPlan(driver="fake"), ignore)
    answer = ask(up, "echo here")
    harbour.fleet.destroy(up.instance.id)

    assert answer == (0, b"here\n", b"")
    assert harbour.driver.leases_at_boot == [WEB]
