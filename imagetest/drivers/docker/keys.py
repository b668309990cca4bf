"""The way in: where the run's keys are placed in a container, and what a person types."""

from __future__ import annotations

import shlex
import sys
import tarfile
from pathlib import PurePosixPath

from imagetest.drivers import login
from imagetest.drivers.docker.facts import Account, Files, account, entry
from imagetest.errors import BootError, EngineError
from imagetest.execute import engine
from imagetest.ports import Access

SSH_FOLDER = "/etc/ssh"
AUTHORIZED = "authorized_keys"

ROOT = Account(uid=0, gid=0, home="/root")


def place(files: Files, access: Access, user: str) -> None:
    """Put the host key and the user's key into the container, not the image, before it starts.

    What is baked stays as it is, owners and modes too: a baked `authorized_keys` gets the run's key behind its own.
    Raises BootError when there is no such user, or no place for a key.
    """
    owner = account(files, user)
    if owner is None:
        raise BootError(f"the image has no user {user!r}", hint="name one that it has with boot.user")
    private, public = access.host.private.encode(), (access.host.public + "\n").encode()
    _add(
        files,
        SSH_FOLDER,
        (entry("ssh_host_ed25519_key", mode=0o600, owner=ROOT, content=private), private),
        (entry("ssh_host_ed25519_key.pub", mode=0o644, owner=ROOT, content=public), public),
    )
    folder = PurePosixPath(owner.home) / ".ssh"
    if not files.exists(str(folder)):
        _add(files, owner.home, (entry(".ssh", mode=0o700, owner=owner), b""))
    info, baked = files.entry(str(folder / AUTHORIZED)) or (
        entry(AUTHORIZED, mode=0o600, owner=owner, content=b""),
        b"",
    )
    content = baked + (b"\n" if baked and not baked.endswith(b"\n") else b"") + access.user.public.encode() + b"\n"
    info.size = len(content)
    _add(files, str(folder), (info, content))


def _add(files: Files, folder: str, *entries: tuple[tarfile.TarInfo, bytes]) -> None:
    try:
        files.add(folder, [info for info, _ in entries], {info.name: content for info, content in entries})
    except EngineError as error:
        if not isinstance(error.__cause__, engine.NotFound):
            raise
        raise BootError(
            f"the image has no folder {folder!r} to place a key in",
            hint="set boot.ssh to 'gateway', which needs none, or name another user with boot.user",
        ) from error


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
    return shlex.join([*login.ssh(access), "-o", f"ProxyCommand={gateway}", f"{user}@{container}"])
