"""The file system of a disk before its first boot: a copy of it, mounted where nobody else sees it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from imagetest.drivers.qemu import disk, inside
from imagetest.drivers.qemu.hold import Hold
from imagetest.drivers.qemu.place import noted
from imagetest.errors import EngineError, ProcessError
from imagetest.execute import process
from imagetest.execute.local import LocalExecutor
from imagetest.model.instance import Address
from imagetest.ports import Access
from imagetest.transport.gateway import Gateway

COPY, ROOT, MOUNTED = "disk.raw", "root", "mounted"

COPY_SECONDS = 1800.0
MOUNT_SECONDS = 60.0
PAUSE_SECONDS = 0.02

SECTOR = 512
"""Bytes, as sfdisk counts them in a file."""

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}

SCRIPT = f"""
mkdir {ROOT}
for at; do
    mount -o "loop,offset=$at" {COPY} {ROOT} 2>/dev/null || continue
    if test -e {ROOT}/etc/passwd; then
        mount -t proc -o nosuid,nodev,noexec proc {ROOT}/proc || exit 1
        mount -t tmpfs -o nosuid,mode=755 tmpfs {ROOT}/dev || exit 1
        for one in null zero full random urandom; do
            touch {ROOT}/dev/$one && mount --bind /dev/$one {ROOT}/dev/$one || exit 1
        done
        touch {MOUNTED}
        exec sleep infinity
    fi
    umount {ROOT}
done
echo none of its partitions holds an operating system in a file system that this machine can mount
exit 1
"""
"""What runs in namespaces of its own: its mounts, and the loop device below them, go with it."""


class Rest:
    """A disk that is open at rest."""

    def __init__(self, hold: Hold, gateway: Gateway) -> None:
        self._hold = hold
        self._gateway = gateway

    @classmethod
    def open(cls, layer: disk.Layer, folder: Path, access: Access) -> Rest:
        """Open a copy of a disk. Raises EngineError where this machine cannot."""
        if os.geteuid():
            raise EngineError(
                "a disk cannot be opened at rest by this account", hint="only root can mount what is in it"
            )
        process.output("qemu-img", "convert", "-O", "raw", str(layer.path), str(folder / COPY), timeout=COPY_SECONDS)
        spaces = ("--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--uts", "--ipc", "--net")
        offsets = [str(one) for one in partitions(folder / COPY)]
        hold = Hold(folder, ["unshare", *spaces, "/bin/sh", "-c", SCRIPT, "sh", *offsets])
        try:
            _wait(hold)
            program = (sys.executable, "-I", "-S", str(Path(inside.__file__)), _first(folder), str(folder / ROOT))
            executor = LocalExecutor(folder, before=program, env=ENVIRONMENT)
            return cls(hold, Gateway(executor, host_key=access.host, allowed=access.user.public, user="root"))
        except BaseException:
            hold.end()
            raise

    def address(self, access: Access) -> Address:
        """Return where it answers."""
        return Address(
            host="127.0.0.1", port=self._gateway.port, user="root", host_key=access.host.public,
            key_file=str(access.key_file),
        )  # fmt: skip

    def close(self) -> None:
        """Answer no more."""
        self._gateway.close()

    def end(self) -> None:
        """Close it and end all that runs in it."""
        self._gateway.close()
        self._hold.end()


def partitions(raw: Path) -> tuple[int, ...]:
    """Return where in a disk each partition begins, in bytes; a disk without any is one file system."""
    done = process.run("sfdisk", "--json", str(raw))
    if done.exit_code:
        return (0,)
    return tuple(one["start"] * SECTOR for one in json.loads(done.stdout)["partitiontable"].get("partitions", []))


def _wait(hold: Hold) -> None:
    deadline = time.monotonic() + MOUNT_SECONDS
    while not (hold.folder / MOUNTED).exists():
        if hold.ended() is not None or time.monotonic() >= deadline:
            raise EngineError(
                f"the disk cannot be opened at rest: {hold.said() or 'it was not mounted in time'}",
                hint="LVM, LUKS and Btrfs subvolumes are not looked into",
            )
        time.sleep(PAUSE_SECONDS)


def _first(folder: Path) -> str:
    """Return the number of the process that is the first in its namespace: the child of the one that was noted."""
    pid, _ = noted(folder)["machine"]
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    if not found:
        raise ProcessError("the process that holds the disk open ended")
    return found[0]
