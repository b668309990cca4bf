"""How the run's keys are offered to a machine."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest

from imagetest.drivers.qemu import keys
from imagetest.errors import BootError
from imagetest.ports import Access
from imagetest.testing.contracts import make_access


@pytest.fixture
def access(tmp_path: Path) -> Access:
    return make_access(tmp_path / "keys")


def lines(text: str) -> list[list[str]]:
    name, _, value = text.partition("=")
    assert name == "io.systemd.credential.binary:tmpfiles.extra"
    return [line.split() for line in base64.b64decode(value).decode().splitlines()]


def test_systemd_is_told_to_write_the_host_key_and_to_add_the_users(access: Access) -> None:
    found = lines(keys.credential(access, "root"))
    written = {line[1]: base64.b64decode(line[6]).decode() for line in found if "~" in line[0]}

    assert written == {
        "/etc/ssh/ssh_host_ed25519_key": access.host.private,
        "/etc/ssh/ssh_host_ed25519_key.pub": access.host.public + "\n",
        "/root/.ssh/authorized_keys": f"\n{access.user.public}\n",
    }
    assert [line[:3] for line in found] == [
        ["f+~", "/etc/ssh/ssh_host_ed25519_key", "0600"], ["f+~", "/etc/ssh/ssh_host_ed25519_key.pub", "0644"],
        ["d", "/root/.ssh", "0700"], ["f", "/root/.ssh/authorized_keys", "0600"],
        ["w+~", "/root/.ssh/authorized_keys", "-"],
    ]  # fmt: skip


def test_another_user_owns_what_is_written_for_it(access: Access) -> None:
    found = [line for line in lines(keys.credential(access, "alice")) if "/.ssh" in line[1]]

    assert {line[1] for line in found} == {"/home/alice/.ssh", "/home/alice/.ssh/authorized_keys"}
    assert {tuple(line[3:5]) for line in found if not line[0].startswith("w")} == {("alice", "alice")}


def test_a_reboot_adds_no_second_line(access: Access) -> None:
    assert not [line for line in lines(keys.credential(access, "root", again=True)) if line[0].startswith("w")]


def test_cloud_init_gets_the_same_keys(access: Access) -> None:
    head, _, body = keys.user_data(access, "root").partition("\n")
    said = json.loads(body)

    assert head == "#cloud-config"
    assert json.loads(keys.meta_data(access, "web")) == {"instance-id": "web", "public-keys": [access.user.public]}
    assert not [name for name, value in said.items() if isinstance(value, list)]
    assert ["disable_root" in keys.user_data(access, user) for user in ("root", "alice")] == [True, False]
    assert said["ssh_keys"] == {"ed25519_private": access.host.private, "ed25519_public": access.host.public}


@pytest.mark.parametrize(
    ("ways", "credential", "seed"), [("auto", True, True), ("credentials", True, False), ("cloud-init", False, True)]
)
@pytest.mark.qemu
def test_no_key_stands_on_a_command_line(
    access: Access, tmp_path: Path, ways: str, *, credential: bool, seed: bool
) -> None:
    argv, note = keys.arguments(ways, tmp_path, access, user="root", resource="web")
    written = [one for one in tmp_path.rglob("*") if one.is_file() and "keys" not in one.parts]

    assert not note
    assert ("-smbios" in argv, any("seed" in one for one in argv)) == (credential, seed)
    assert (tmp_path / keys.CREDENTIAL).exists() == credential
    assert (tmp_path / keys.SEED).exists() == seed
    assert access.host.private not in " ".join(argv)
    assert {stat.S_IMODE(one.stat().st_mode) for one in written} == {0o600}
    assert not [one for one in written if one.name == keys.SEED and b"cidata" not in one.read_bytes()[:65536]]


def test_a_missing_program_is_noted_unless_cloud_init_was_asked_for(
    access: Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    argv, note = keys.arguments("auto", tmp_path, access, user="root", resource="web")

    assert "-smbios" in argv
    assert note.startswith("no keys were offered to cloud-init: no program")
    with pytest.raises(BootError, match="no program that makes a disk for cloud-init is installed") as caught:
        keys.arguments("cloud-init", tmp_path, access, user="root", resource="web")
    assert "xorriso" in caught.value.hint
