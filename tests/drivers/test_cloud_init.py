"""cloud-init itself, with what an instance of EC2 is told: the image's own commands run, and so does the timer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from imagetest.drivers.ec2 import first_boot
from imagetest.ports import Access, Booted
from imagetest.testing.contracts import make_access
from imagetest.transport.shell import Shell
from tests.dockyard import SYSTEMD, Dockyard, install
from tests.drivers.conftest import Boot

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

SEED = "/var/lib/cloud/seed/nocloud"

OWN = """
datasource_list: [NoCloud]
network: {config: disabled}
bootcmd: ["echo bootcmd >>/root/ran"]
runcmd: ["echo runcmd >>/root/ran"]
ssh_authorized_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJtUzvJQhn0uMQkUXlTJDTbUHPVsVoTCe+Zbx5qV2mDH baked"]
"""
"""What an image may have cloud-init do, each a list."""

UNTIL = datetime.now(UTC) + timedelta(hours=2)


def placing(path: str, text: str) -> str:
    return f"RUN mkdir -p $(dirname {path}) && echo {base64.b64encode(text.encode()).decode()} | base64 -d >{path}"


@pytest.fixture(scope="module")
def access(tmp_path_factory: pytest.TempPathFactory) -> Access:
    return make_access(tmp_path_factory.mktemp("access"))


@pytest.fixture(scope="module")
def image(dockyard: Dockyard, access: Access) -> str:
    told = first_boot.user_data(access, user="root", until=UNTIL, most=7200)
    return dockyard.build(
        "FROM {machine}", install("cloud-init"), "RUN systemctl disable ssh",
        placing("/etc/cloud/cloud.cfg.d/90-own.cfg", OWN),
        placing(f"{SEED}/meta-data", json.dumps({"instance-id": "i-1", "public-keys": [access.user.public]})),
        placing(f"{SEED}/user-data", told), SYSTEMD,
    )  # fmt: skip


@contextmanager
def shell(up: Booted) -> Iterator[Shell]:
    assert up.transport is not None
    yield Shell(up.transport)


def test_the_images_own_commands_run_and_a_timer_ends_it(boot: Boot, image: str, access: Access) -> None:
    with boot(image, timeout=120) as up, shell(up) as asked:

        def said(command: str) -> str:
            return asked.run(command, timeout=90).stdout.decode().strip()

        status = said("cloud-init status --wait --long")
        ran = said("cat /root/ran").split()
        timer = said("systemctl show -p ActiveState --value imagetest-expiry.timer")
        armed = said(f'cat "{first_boot.ARMED}"')
        keys = said("cat /root/.ssh/authorized_keys")
        host = said("cat /etc/ssh/ssh_host_ed25519_key.pub")
        said(f'systemctl stop imagetest-expiry.timer; rm "{first_boot.ARMED}"')
        said("cloud-init init")  # what a boot runs
        again = said("systemctl show -p ActiveState --value imagetest-expiry.timer")

    assert ran == ["bootcmd", "runcmd"], status
    assert (timer, again, armed) == ("active", "active", str(int(UNTIL.timestamp()))), status
    assert access.user.public.split()[1] in keys
    assert "baked" in keys
    assert host.split()[:2] == access.host.public.split()[:2]
