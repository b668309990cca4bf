"""A disk with cloud-init takes its keys from a small disk (NoCloud), and from nothing else."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import pytest

from imagetest.drivers.qemu import QemuDriver
from imagetest.model.plan import BootPlan, Hardware
from imagetest.testing.contracts import RESOURCE, ignore, make_access
from imagetest.transport.shell import Shell
from tests.drivers.qemu.conftest import SCRIPTS

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(600)]

PLAN = BootPlan(timeout=90.0, machine=Hardware(memory=512, keys="cloud-init"))


@pytest.fixture
def cloud_disk() -> Path:
    argv = [str(SCRIPTS / "base-disk"), "cloud-init"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def test_cloud_init_lets_the_run_in_and_gives_it_the_host_key(
    driver: QemuDriver, cloud_disk: Path, tmp_path: Path
) -> None:
    access, resource = make_access(tmp_path / "keys"), RESOURCE.format(secrets.token_hex(4))
    image = driver.identify(str(cloud_disk), name="web")
    try:
        up = driver.boot(image, PLAN, resource=resource, access=access, progress=ignore)
        assert up.transport is not None
        shell = Shell(up.transport)
        said = shell.run("cat /root/.ssh/authorized_keys; cloud-init query instance_id; cat /proc/cmdline", timeout=60)
        placed = shell.run("cat /etc/ssh/ssh_host_ed25519_key.pub", timeout=60).stdout.decode()
        up.transport.close()
    finally:
        driver.destroy(resource)

    assert access.user.public in said.stdout.decode()
    assert resource in said.stdout.decode()
    assert placed.split()[:2] == access.host.public.split()[:2]
