"""How the run's keys get into a machine whose disk nobody touches: by systemd, and by cloud-init.

systemd 252 and later takes credentials from the firmware's tables (SMBIOS type 11, systemd.system-credentials(7)) and
has systemd-tmpfiles write the files that the credential `tmpfiles.extra` describes (tmpfiles.d(5)). cloud-init takes
its settings from a small disk labelled `cidata` (its data source NoCloud).
"""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

from imagetest.errors import BootError
from imagetest.execute import process
from imagetest.ports import Access

CREDENTIAL = "credential"
SEED = "seed.iso"

HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"

MAKERS = (("xorriso", "-as", "mkisofs"), ("genisoimage",), ("mkisofs",))
"""Programs that make a file system for CDs (ISO 9660), all of them with mkisofs's options."""


def credential(access: Access, user: str, *, again: bool = False) -> str:
    """Return the text of the firmware's table that has systemd place both keys.

    A host key is replaced. A baked authorized_keys gets the run's key behind its own: it is made where there is none
    (`f`), and appended to (`w+`) unless that was done `again`, at a boot before.
    """
    home = "/root" if user == "root" else f"/home/{user}"
    folder, theirs = f"{home}/.ssh", f"{home}/.ssh/authorized_keys"
    lines = [
        f"f+~ {HOST_KEY} 0600 root root - {_base64(access.host.private)}",
        f"f+~ {HOST_KEY}.pub 0644 root root - {_base64(access.host.public + chr(10))}",
        f"d {folder} 0700 {user} {user} -",
        f"f {theirs} 0600 {user} {user} -",
    ]
    if not again:
        lines.append(f"w+~ {theirs} - - - - {_base64(chr(10) + access.user.public + chr(10))}")
    return f"io.systemd.credential.binary:tmpfiles.extra={_base64(chr(10).join(lines) + chr(10))}"


def user_data(access: Access, user: str) -> str:
    """Return the settings for cloud-init that place the host key, and let root in who is to check (cloud-config).

    None is a list: that would replace what the image has in its place.
    """
    settings: dict[str, object] = {
        "ssh_keys": {"ed25519_private": access.host.private, "ed25519_public": access.host.public}
    }
    if user == "root":
        settings["disable_root"] = False
    return "#cloud-config\n" + json.dumps(settings, indent=1) + "\n"  # JSON is YAML


def meta_data(access: Access, resource: str) -> str:
    """Return what cloud-init is told of the instance: its name, and the key of its default user and of root."""
    return json.dumps({"instance-id": resource, "public-keys": [access.user.public]}) + "\n"


def arguments(
    ways: str, folder: Path, access: Access, *, user: str, resource: str, again: bool = False
) -> tuple[list[str], str]:
    """Write what the ways of a plan need into a folder; return QEMU's arguments and a note. Raises BootError."""
    argv, note = [], ""
    if ways in {"auto", "credentials"}:
        _secret(
            folder / CREDENTIAL, credential(access, user, again=again)
        )  # in a file: a command line is everybody's to read
        argv += ["-smbios", f"type=11,path={CREDENTIAL}"]
    if ways in {"auto", "cloud-init"}:
        try:
            argv += _seed(folder, access, user, resource)
        except BootError as error:
            if ways == "cloud-init":
                raise
            note = f"no keys were offered to cloud-init: {error}"
    return argv, note


def _seed(folder: Path, access: Access, user: str, resource: str) -> list[str]:
    maker = next((one for one in MAKERS if shutil.which(one[0])), None)
    if maker is None:
        raise BootError(
            "no program that makes a disk for cloud-init is installed", hint="apt-get install xorriso, or genisoimage"
        )
    source = folder / "seed"
    source.mkdir(mode=0o700, exist_ok=True)
    _secret(source / "user-data", user_data(access, user))
    _secret(source / "meta-data", meta_data(access, resource))
    process.output(*maker, "-quiet", "-volid", "cidata", "-joliet", "-rock", "-output", SEED, "seed", cwd=folder)
    (folder / SEED).chmod(0o600)
    return ["-drive", f"file={SEED},if=none,id=seed,format=raw,readonly=on", "-device", "virtio-blk-pci,drive=seed"]


def _secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
