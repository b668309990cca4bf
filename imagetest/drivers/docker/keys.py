"""The way in: where the run's keys are placed in a container, and what a person types."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path, PurePosixPath

from imagetest.drivers.docker.facts import Account, Files, account, entry
from imagetest.errors import BootError
from imagetest.model.instance import Address
from imagetest.ports import Access

ROOT = Account(uid=0, gid=0, home="/root")


def place(files: Files, access: Access, user: str) -> None:
    """Put the host key and the user's key into the container, not the image, before it starts.

    A baked `authorized_keys` stays as it is, with the run's key behind it. Raises BootError when there is no such user.
    """
    owner = account(files, user)
    if owner is None:
        raise BootError(f"the image has no user {user!r}", hint="name one that it has with boot.user")
    private, public = access.host.private.encode(), (access.host.public + "\n").encode()
    names = ("ssh_host_ed25519_key", "ssh_host_ed25519_key.pub")
    files.add(
        "/etc/ssh",
        [
            entry(names[0], mode=0o600, owner=ROOT, content=private),
            entry(names[1], mode=0o644, owner=ROOT, content=public),
        ],
        {names[0]: private, names[1]: public},
    )
    home = PurePosixPath(owner.home)
    baked = files.read(str(home / ".ssh" / "authorized_keys"))
    content = (baked.rstrip("\n") + "\n" if baked else "").encode() + (access.user.public + "\n").encode()
    files.add(
        str(home),
        [
            entry(".ssh", mode=0o700, owner=owner),
            entry(".ssh/authorized_keys", mode=0o600, owner=owner, content=content),
        ],
        {".ssh/authorized_keys": content},
    )


def known_hosts(access: Access) -> Path:
    """Write the pinned host key where an OpenSSH client looks for it under the alias `imagetest`."""
    path = access.key_file.with_name("known_hosts")
    path.write_text(f"imagetest {access.host.public}\n")
    return path


def login(address: Address, access: Access) -> str:
    """Return the command that opens a shell over the image's own SSH server."""
    return shlex.join([*_ssh(access), "-p", str(address.port), f"{address.user}@{address.host}"])


def login_through_gateway(container: str, user: str, access: Access) -> str:
    """Return the command that opens a shell through a gateway of its own, which ends with it."""
    gateway = shlex.join(
        [
            sys.executable,
            "-m",
            "imagetest.cli.main",
            "gateway",
            container,
            "--user",
            user,
            "--keys",
            str(access.key_file.parent),
        ]
    )
    return shlex.join([*_ssh(access), "-o", f"ProxyCommand={gateway}", f"{user}@{container}"])


def _ssh(access: Access) -> list[str]:
    return [
        "ssh", "-F", "none", "-i", str(access.key_file), "-o", "IdentitiesOnly=yes", "-o", "HostKeyAlias=imagetest",
        "-o", f"UserKnownHostsFile={known_hosts(access)}", "-o", "GlobalKnownHostsFile=/dev/null",
        "-o", "StrictHostKeyChecking=yes",
    ]  # fmt: skip
