"""Real machines: few, because each takes half a minute to emulate, and shared by tests that leave them as they were."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imagetest.drivers.held import place
from imagetest.drivers.qemu import QemuDriver
from imagetest.errors import BootError, ConfigError
from imagetest.model.image import Image
from imagetest.model.plan import BootPlan, Hardware
from imagetest.ports import Access, Booted, Driver
from imagetest.testing.contracts import NAME, RESOURCE, ReattachingContract, ask, ignore, make_access
from tests.drivers.qemu import workbench

pytestmark = pytest.mark.qemu

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root opens a disk at rest")

PATIENT = BootPlan(timeout=60.0, machine=Hardware(memory=512))


TAKES_AWAY = {"gone", "at-last"}
"""What the contract calls a machine that it destroys after it has seen it."""

NEEDS_NONE = {"gone-since", "named", "words"}
"""What it calls one that may be gone before."""


class Pool:
    """Machines that tests hand on to each other."""

    def __init__(self, driver: QemuDriver, image: Image, access: Access) -> None:
        self._driver, self._image, self._access = driver, image, access
        self.names: list[str] = []
        self._up: list[Booted] = []
        self._used: list[Booted] = []

    def boot(self, suffix: str) -> Booted:
        """Return a machine that no other part of this test uses."""
        gone = [one for one in self._up if not place.of(one.instance.id).exists()]
        if suffix in NEEDS_NONE and gone:
            return gone[0]
        free = [one for one in self._up if one not in self._used and one not in gone]
        up = (free[-1] if suffix in TAKES_AWAY else free[0]) if free else self._new()
        if up.transport is None or not up.transport.is_active():  # a test rebooted it, or let go of it
            self._up.remove(up)
            up = self._driver.attach(
                up.instance, up.boot, image=self._image, plan=PATIENT, access=self._access
            )  # fmt: skip
            self._up.insert(0, up)
        self._used.append(up)
        return up

    def give_back(self) -> None:
        """Let the next test have all of them."""
        self._used.clear()

    def close(self) -> None:
        """Remove all of them."""
        for one in self._up:
            if one.transport is not None:
                one.transport.close()
            self._driver.destroy(one.instance.id)

    def _new(self) -> Booted:
        resource = RESOURCE.format(secrets.token_hex(4))  # tests in another process have a pool as well
        self.names.append(resource)
        up = self._driver.boot(self._image, PATIENT, resource=resource, access=self._access, progress=ignore)
        self._up.append(up)
        return up


@pytest.fixture(scope="module")
def shared_access(tmp_path_factory: pytest.TempPathFactory) -> Access:
    return make_access(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def pool(driver: QemuDriver, base_disk: Path, shared_access: Access) -> Iterator[Pool]:
    made = Pool(driver, driver.identify(str(base_disk), name=NAME), shared_access)
    yield made
    made.close()


class TestMachine:
    """A machine that is up; before the contract's tests, which end with the last of the shared ones."""

    @pytest.fixture
    def up(self, pool: Pool) -> Iterator[Booted]:
        yield pool.boot("up")
        pool.give_back()

    def test_the_disk_stays_as_it_was(self, up: Booted, base_disk: Path, driver: QemuDriver) -> None:
        before = driver.identify(str(base_disk), name=NAME)
        ask(up, "touch /made-by-a-check; sync")

        assert QemuDriver().identify(str(base_disk), name=NAME) == before

    def test_nobody_else_sees_a_machines_files(self, up: Booted) -> None:
        folder = place.of(up.instance.id)

        assert folder.stat().st_mode & 0o077 == 0

    def test_no_port_is_open_but_on_loopback(self, up: Booted) -> None:
        port = up.instance.address.port
        rows = [line.split() for file in ("tcp", "tcp6") for line in Path(f"/proc/net/{file}").read_text().splitlines()]
        listening = [(row[1], row[3]) for row in rows]

        assert [where for where, state in listening if where.endswith(f":{port:04X}") and state == "0A"] == [
            f"0100007F:{port:04X}"
        ]

    def test_a_person_gets_in_with_what_is_printed(self, up: Booted, shared_access: Access) -> None:
        access = shared_access
        access.key_file.with_name("known_hosts").write_text(f"imagetest {access.host.public}\n")
        done = subprocess.run(
            ["/bin/sh", "-c", f"{up.instance.login} id -un"], check=False, capture_output=True, timeout=60
        )  # fmt: skip

        assert (done.returncode, done.stdout) == (0, b"root\n")

    def test_its_console_is_evidence(self, up: Booted) -> None:
        assert "SYSLINUX" in up.boot.console
        assert "\x1b" not in up.boot.console

    def test_the_timeline_begins_at_power_on(self, up: Booted) -> None:
        moments = {one.name: one.seconds for one in up.boot.timeline}

        assert 0 < moments["kernel"] < moments["ssh.service"] <= moments["reachable"] + 1
        assert up.boot.init == "systemd"


class TestQemuDriver(ReattachingContract):
    @pytest.fixture
    def plan(self) -> BootPlan:
        return PATIENT

    @pytest.fixture
    def reference(self, base_disk: Path) -> str:
        return str(base_disk)

    @pytest.fixture
    def access(self, shared_access: Access) -> Access:
        return shared_access

    @pytest.fixture
    def boot(self, pool: Pool) -> Iterator[Callable[[str], Booted]]:
        yield pool.boot
        pool.give_back()

    @pytest.fixture
    def there(self) -> Callable[[str], bool]:
        def there(resource: str) -> bool:
            noted = place.noted(place.of(resource))
            return bool(noted) and all(place.runs(*one) for one in noted.values())

        return there

    def test_an_instance_is_called_as_the_lease_says(  # type: ignore[override]
        self, boot: Callable[[str], Booted], pool: Pool
    ) -> None:
        assert boot("named").instance.id in pool.names

    def test_what_was_told_of_an_instance_cut_off_is_its_own(
        self, driver: Driver, image: Image, plan: BootPlan, access: Access
    ) -> None:
        """By UEFI as well, which is one boot less to wait for."""
        resource = RESOURCE.format("alone")
        alone = replace(
            plan, network="none", ready="timeout 2 getent hosts time.example.com; true",
            machine=Hardware(firmware="uefi"),
        )  # fmt: skip
        try:
            up = driver.boot(image, alone, resource=resource, access=access, progress=ignore)
            answer = ask(up, "echo alone; test -d /sys/firmware/efi && echo uefi")
            if up.transport is not None:
                up.transport.close()
        finally:
            driver.destroy(resource)

        assert answer == (0, b"alone\nuefi\n", b"")
        assert "time.example.com" in {one.name for one in up.boot.attempts}
        assert "nothing outside could be reached" in up.boot.notes
        assert "UEFI" in up.boot.notes[0]

    @as_root
    def test_the_image_at_rest_can_be_asked(self, driver: Driver, image: Image, access: Access) -> None:
        super().test_the_image_at_rest_can_be_asked(driver, image, access)

    @as_root
    def test_the_image_at_rest_is_as_it_shipped_and_leads_nowhere(
        self, driver: QemuDriver, image: Image, access: Access
    ) -> None:
        resource = RESOURCE.format("rest-as-shipped")
        try:
            up = driver.rest(image, resource=resource, access=access)
            shipped = ask(up, "cat /etc/machine-id; ls -A /root/.ssh; ls /etc/ssh/ssh_host_* 2>/dev/null")
            running = ask(up, "cat /proc/[0-9]*/comm | sort -u")[1].split()
            network = ask(up, "cat /proc/net/dev | tail -n +3 | cut -d: -f1")[1].split()
            ways_out = ("mknod /tmp/disk b 8 0", "chroot /tmp true", "mount -t tmpfs x /mnt")
            outside = [ask(up, line)[0] for line in ways_out]
            up.close()
        finally:
            driver.destroy(resource)

        assert shipped[1] == b""
        assert set(running) <= {b"sh", b"cat", b"sort", b"sleep"}
        assert network == [b"lo"]
        assert 0 not in outside


def test_a_disk_that_holds_no_system_cannot_be_opened_at_rest(driver: QemuDriver, tmp_path: Path) -> None:
    path = tmp_path / "blank.raw"
    path.write_bytes(bytes(1 << 20))
    resource = RESOURCE.format("blank")
    try:
        with pytest.raises(Exception, match="cannot be opened at rest") as caught:
            driver.rest(driver.identify(str(path), name=NAME), resource=resource, access=make_access(tmp_path / "keys"))
    finally:
        driver.destroy(resource)

    assert type(caught.value).__name__ == "EngineError"


@pytest.fixture
def fails(driver: QemuDriver, tmp_path: Path) -> Iterator[Callable[..., BootError]]:
    """Return a function that boots a disk which does not come up, and returns what is said of that."""
    resource = RESOURCE.format(f"fails-{secrets.token_hex(4)}")

    def fails(path: Path, plan: BootPlan = PATIENT) -> BootError:
        image, access = driver.identify(str(path), name=NAME), make_access(tmp_path / "keys")
        with pytest.raises(BootError) as caught:
            driver.boot(image, plan, resource=resource, access=access, progress=ignore)
        return caught.value

    yield fails
    driver.destroy(resource)
    assert not place.of(resource).exists()


def test_a_disk_without_a_boot_sector(base_disk: Path, fails: Callable[..., BootError], tmp_path: Path) -> None:
    said = fails(workbench.without_boot_sector(base_disk, tmp_path / "disk.raw"))

    assert "there is nothing on its disk that the firmware could boot" in str(said)
    assert "boot loader" in said.hint


def test_a_disk_whose_kernel_finds_no_root(base_disk: Path, fails: Callable[..., BootError], tmp_path: Path) -> None:
    disk = workbench.with_kernel_options(base_disk, tmp_path / "disk.raw", "root=/dev/nowhere console=ttyS0")
    said = str(fails(disk))

    assert "its kernel panicked: VFS: Unable to mount root fs" in said
    assert "its last console lines:\n" in said
    assert "end Kernel panic" in said.splitlines()[-1]


def test_a_boot_that_takes_too_long_says_how_long_that_was(base_disk: Path, fails: Callable[..., BootError]) -> None:
    said = fails(base_disk, replace(PATIENT, timeout=0.25, machine=Hardware(accelerator="tcg")))

    assert "it was still booting after 1 seconds" in str(said)
    assert "timeout" in said.hint


def test_a_machine_that_qemu_refuses_says_what_qemu_says(base_disk: Path, fails: Callable[..., BootError]) -> None:
    said = str(fails(base_disk, replace(PATIENT, machine=Hardware(cpu="no-such-processor", accelerator="tcg"))))

    assert "QEMU with exit code 1" in said
    assert "no-such-processor" in said


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"ssh": "gateway"}, "ssh"), ({"command": ("x",)}, "command"), ({"environment": (("A", "b"),)}, "environment")],
)
def test_what_only_a_container_understands_is_refused(
    driver: QemuDriver, tmp_path: Path, changes: dict[str, object], name: str
) -> None:
    image = Image(name=NAME, kind="qemu", reference="/nowhere", digest="sha256:0")

    with pytest.raises(ConfigError, match=f"boot.{name} is for containers"):
        driver.boot(
            image, replace(PATIENT, **changes), resource=RESOURCE.format("refused"),  # type: ignore[arg-type]
            access=make_access(tmp_path), progress=ignore,
        )  # fmt: skip


def test_emulation_is_said_once(base_disk: Path, tmp_path: Path) -> None:
    said: list[str] = []
    fresh = QemuDriver()
    image, access = fresh.identify(str(base_disk), name=NAME), make_access(tmp_path / "keys")
    plan = replace(PATIENT, timeout=0.1, machine=Hardware(accelerator="tcg"))
    for number in range(2):
        resource = RESOURCE.format(f"once-{number}")
        with pytest.raises(BootError):
            fresh.boot(image, plan, resource=resource, access=access, progress=lambda event: said.append(event.text))
        fresh.destroy(resource)

    assert len([one for one in said if "it is emulated" in one]) == 1
    assert len([one for one in said if one.startswith("booting by BIOS")]) == 2
