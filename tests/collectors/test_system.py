"""The kernel, its settings, what is mounted, and the language and time zone."""

from __future__ import annotations

import pytest

from imagetest.collectors.kernel import KernelCollector
from imagetest.collectors.locale import LocaleCollector
from imagetest.collectors.mounts import MountsCollector
from imagetest.collectors.sysctl import SysctlCollector
from imagetest.model.snapshot import Gap
from tests.collectors.recorded import OK, part, recorded, zeros

MACHINE = "0123456789abcdef0123456789abcdef"


def test_a_recorded_debian_tells_its_kernel() -> None:
    found = KernelCollector().read(recorded("kernel", modules=part("overlay\nvirtio_net\n")))

    assert found.gaps == ()
    assert found.facts["release"] == {"value": "6.1.0-31-amd64"}
    assert found.facts["parameter root"] == {"value": "<boot-device>"}
    assert found.facts["parameter console"] == {"value": "tty0, ttyS0"}
    assert found.facts["module overlay"] == {"value": "loaded"}
    assert found.facts["system VERSION_ID"] == {"value": "12"}
    assert found.facts["machine-id"] == {"value": "<machine-id>"}
    assert set(found.unique) == {"machine-id"}


@pytest.mark.parametrize("value", ["", "uninitialized", MACHINE.upper(), MACHINE[:-1]])
def test_a_machine_id_of_another_form_is_shown(value: str) -> None:
    found = KernelCollector().read(recorded("kernel", **{"machine-id": part(f"{value}\n")}))

    assert found.facts["machine-id"] == {"value": value}
    assert "machine-id" not in found.unique


def test_a_written_hostname_is_told_where_it_is_not_the_real_one() -> None:
    found = KernelCollector().read(recorded("kernel", **{"hostname-file": part("other\n")}))

    assert found.facts["hostname in /etc/hostname"] == {"value": "other"}


def test_a_password_on_the_command_line_is_masked() -> None:
    found = KernelCollector().read(recorded("kernel", parameters=part("quiet luks.password=hunter22 root=/dev/sda1\n")))

    assert found.facts["parameter luks.password"]["value"].startswith("[secret] ")
    assert found.facts["parameter root"] == {"value": "/dev/sda1"}


def test_a_recorded_debian_tells_its_settings() -> None:
    found = SysctlCollector().read(recorded("sysctl"))

    assert found.gaps == ()
    assert found.facts["net.ipv4.ip_default_ttl"] == {"value": "64"}
    assert found.facts["kernel.hostname"] == {"value": "<hostname>"}
    assert not {"kernel.random.uuid", "fs.dentry-state", "kernel.ns_last_pid"} & found.facts.keys()


def test_a_setting_of_an_interface_with_a_dot_and_of_several_lines_is_read() -> None:
    text = "/proc/sys/net/ipv4/conf/eth0.100/rp_filter:1\n/proc/sys/a/b:one\ttwo\n/proc/sys/a/b:three\n/proc/sys/a/e:\n"
    found = SysctlCollector().read({"settings": part(text)})

    assert found.facts == {
        "net.ipv4.conf.eth0/100.rp_filter": {"value": "1"}, "a.b": {"value": "one two; three"}, "a.e": {"value": ""},
    }  # fmt: skip


def test_a_setting_that_is_refused_is_a_gap_of_that_name() -> None:
    settings = part("/proc/sys/a/b:1\n", stderr="grep: /proc/sys/kernel/cad_pid: Permission denied", code=1)

    assert SysctlCollector().read({"settings": settings}).gaps == (
        Gap(key="kernel.cad_pid", reason="Permission denied"),
    )


def test_a_recorded_container_tells_its_mounts() -> None:
    found = MountsCollector().read(recorded("mounts"))

    assert found.gaps == ()
    assert found.facts["/"] == {
        "type": "overlay", "source": "overlay", "layers": "<overlay-paths>", "options": "relatime,rw",
    }  # fmt: skip
    assert found.facts["/etc/hosts"]["source"] == "<docker-injected>"
    assert "/var/lib/docker" not in repr(found)


@pytest.mark.parametrize(
    ("line", "key", "attributes"),
    [
        (
            "1 0 8:1 / /srv/a\\040b rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro",
            "/srv/a b",
            {"type": "ext4", "source": "/dev/sda1", "options": "errors=remount-ro,noatime,rw"},
        ),
        (
            "1 0 0:9 /sub /srv rw - btrfs /dev/sda1 rw",
            "/srv",
            {"type": "btrfs", "source": "/dev/sda1[/sub]", "options": "rw"},
        ),
        (
            "1 0 0:9 / /x rw - autofs systemd-1 rw,fd=29,pgrp=1,timeout=0,pipe_ino=1234",
            "/x",
            {"type": "autofs", "source": "systemd-1", "pipe": "<autofs-pipe>", "options": "rw,timeout=0"},
        ),
        (
            "1 0 8:1 /home/me/hosts /etc/hosts rw - ext4 /dev/sda1 rw",
            "/etc/hosts",
            {"type": "ext4", "source": "/dev/sda1[/home/me/hosts]", "options": "rw"},
        ),
    ],
)
def test_a_mount_is_told_by_its_place(line: str, key: str, attributes: dict[str, str]) -> None:
    assert MountsCollector().read({"mounts": part(f"{line}\n")}).facts == {key: attributes}


def test_what_containers_and_logins_mount_is_not_the_machines() -> None:
    lines = (
        "1 0 0:9 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw",
        "1 0 0:9 / /run/user/1000 rw - tmpfs tmpfs rw,size=1k",
    )

    assert MountsCollector().read({"mounts": part("\n".join(lines))}).facts == {}


def test_a_password_of_a_mount_is_masked() -> None:
    line = "1 0 0:9 / /srv rw - cifs //nas/x rw,username=u,password=hunter22"

    assert "hunter22" not in repr(MountsCollector().read({"mounts": part(line)}))


def test_a_recorded_debian_tells_its_locale() -> None:
    found = LocaleCollector().read(recorded("locale"))

    assert found.gaps == ()
    assert found.facts["time zone"] == {"value": "Etc/UTC"}
    assert found.facts["/etc/timezone: time zone"] == {"value": "Etc/UTC"}
    assert found.facts["locale C.utf8"] == {"value": "available"}


def test_settings_of_the_locale_lose_their_quotes() -> None:
    settings = part(zeros("/etc/default/locale", '# comment\nLANG="en_GB.UTF-8"\n'))
    found = LocaleCollector().read({"asked": OK, "settings": settings, "zone": part("abc  -\n")})

    assert found.facts["/etc/default/locale: LANG"] == {"value": "en_GB.UTF-8"}
    assert found.facts["time zone"] == {"value": "a file of its own, abc  -"}
