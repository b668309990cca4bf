"""Machines that go on from one booted state: as good as booted ones in what the contract asks, and told from them."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from imagetest.drivers.ec2.reaching import fingerprint
from imagetest.drivers.held import place
from imagetest.drivers.qemu import QemuDriver
from imagetest.drivers.qemu.monitor import Monitor
from imagetest.errors import BootError
from imagetest.model.image import Image
from imagetest.model.plan import BootPlan, Hardware
from imagetest.ports import Access, Booted, Driver
from imagetest.testing.contracts import NAME, DriverContract, ask, ignore, let_go, make_access

pytestmark = pytest.mark.qemu

PATIENT = BootPlan(timeout=60.0, machine=Hardware(memory=512))


@dataclass(frozen=True, kw_only=True)
class Clones:
    """What makes clones of one state."""

    driver: QemuDriver
    image: Image
    access: Access
    claimed: list[str] = field(default_factory=list)

    def make(self, resource: str) -> Booted:
        return self.driver.clone(
            self.image, PATIENT, resource=resource, access=self.access, progress=ignore, claim=self.claimed.append
        )  # fmt: skip


@pytest.fixture(scope="module")
def clones(driver: QemuDriver, base_disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clones]:
    access = make_access(tmp_path_factory.mktemp("keys"))
    yield Clones(driver=driver, image=driver.identify(str(base_disk), name=NAME), access=access)
    made = own_states()
    driver.close()
    assert made
    assert not any(one.exists() for one in made)


def own_states() -> list[Path]:
    """Return the folders of the states that this process holds; tests in others have theirs."""

    def holds(folder: Path) -> bool:
        keeper = place.noted(folder).get("keeper")
        try:
            said = Path(f"/proc/{keeper[0]}/stat").read_text() if keeper else ""
        except OSError:
            return False
        return said.rpartition(")")[2].split()[1:2] == [str(os.getpid())]

    return [one for one in place.of("x").parent.glob("imagetest-state-*") if holds(one)]


RESEED = "perl -e 'open R, q(>/dev/urandom) or die; ioctl R, 0x5207, 0 or die'"
"""What a clone is asked when it wakes, where the kernel obeys it (RNDRESEEDCRNG, random(4))."""


def generation(up: Booted) -> str:
    """Return the generation id that QEMU shows a machine."""
    with Monitor(place.of(up.instance.id)) as monitor:
        return str(monitor.ask("query-vm-generation-id")["guid"])


class TestClone(DriverContract):
    """One boot, and a second or two for each of these."""

    @pytest.fixture
    def plan(self) -> BootPlan:
        return PATIENT

    @pytest.fixture
    def reference(self, base_disk: Path) -> str:
        return str(base_disk)

    @pytest.fixture
    def boot(self, clones: Clones) -> Iterator[Callable[[str], Booted]]:
        made: list[Booted] = []
        token = secrets.token_hex(4)

        def boot(suffix: str) -> Booted:
            made.append(clones.make(f"imagetest-contract-{suffix}-{token}"))
            return made[-1]

        yield boot
        for one in made:
            let_go(one)
            clones.driver.destroy(one.instance.id)

    @pytest.fixture
    def there(self) -> Callable[[str], bool]:
        return lambda resource: bool(place.noted(place.of(resource)))

    test_what_was_told_of_an_instance_cut_off_is_its_own = None  # type: ignore[assignment]  # it is a boot's
    test_the_image_at_rest_can_be_asked = None  # type: ignore[assignment]  # it is a disk's

    def test_an_instance_is_called_as_the_lease_says(self, boot: Callable[[str], Booted]) -> None:
        assert boot("named").instance.id.startswith("imagetest-contract-named-")

    def test_a_boot_tells_how_it_went(self, driver: Driver, boot: Callable[[str], Booted], access: Access) -> None:
        """It tells that it was none, and the host key is that of the state."""
        up = boot("told")

        assert up.boot.host_key_fingerprint == fingerprint(up.instance.address.host_key) != access.host.fingerprint
        assert 0 < up.boot.reachable_seconds <= up.boot.ready_seconds
        assert "a clone, which did not boot" in up.boot.notes[-1]
        assert up.boot.driver == driver.name

    def test_what_must_differ_differs_and_the_clock_is_right(self, boot: Callable[[str], Booted]) -> None:
        one, other = boot("one"), boot("other")
        said = [ask(up, "date +%s; head -c 32 /dev/urandom | od -An -tx1")[1].split() for up in (one, other)]
        generations = [generation(up) for up in (one, other)]
        reseeded = [ask(up, RESEED)[0] for up in (one, other)]

        assert said[0][1:] != said[1][1:]
        assert generations[0] != generations[1]
        assert reseeded == [0, 0]
        assert abs(int(said[1][0]) - time.time()) < 60

    def test_what_one_writes_the_other_does_not_see(self, boot: Callable[[str], Booted]) -> None:
        one, other = boot("writes"), boot("reads")
        ask(one, "echo mine >/written; sync")

        assert ask(other, "cat /written")[0] == 1

    def test_one_that_is_destroyed_while_its_state_boots_is_waited_for_no_longer(
        self, image: Image, access: Access
    ) -> None:
        fresh, resource = QemuDriver(), f"imagetest-test-{secrets.token_hex(4)}"
        before = own_states()
        with ThreadPoolExecutor(max_workers=1) as pool:
            waiting = pool.submit(
                fresh.clone, image, PATIENT, resource=resource, access=access, progress=ignore, claim=lambda _name: None
            )  # fmt: skip
            deadline = time.monotonic() + 30
            while not (new := [one for one in own_states() if one not in before]):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            fresh.destroy(resource)
            error = waiting.exception(timeout=30)

        assert isinstance(error, BootError)
        assert not any(one.exists() for one in new)

    def test_one_whose_state_is_broken_is_an_error_and_leaves_nothing(
        self, clones: Clones, boot: Callable[[str], Booted]
    ) -> None:
        boot("whole")
        (folder,) = own_states()
        whole, resource = (folder / "state").read_bytes(), f"imagetest-test-{secrets.token_hex(4)}"
        (folder / "state").write_bytes(whole[: len(whole) // 2])
        try:
            with pytest.raises(BootError):
                clones.make(resource)
        finally:
            (folder / "state").write_bytes(whole)
            clones.driver.destroy(resource)

        assert not place.of(resource).exists()
