"""The file system of a disk before its first boot: a copy of it, mounted where nobody else sees it.

Whoever opens one writes the copy. The copy's folder has a keeper before the first byte of it is there, so that it goes
with the process that opened it, in whatever way that ends.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from imagetest.drivers.held import inside, place
from imagetest.drivers.held.hold import Hold
from imagetest.errors import EngineError, ProcessError
from imagetest.execute import process
from imagetest.execute.interrupts import interrupts
from imagetest.execute.local import LocalExecutor
from imagetest.model.image import Image
from imagetest.model.instance import Address, Boot, Instance
from imagetest.ports import Access, Booted
from imagetest.transport import connection
from imagetest.transport.gateway import Gateway

COPY, ROOT, OFFSETS, MOUNTED = "disk.raw", "root", "offsets", "mounted"

MOUNT_SECONDS = 60.0
ANSWER_SECONDS = 30.0
PAUSE_SECONDS = 0.02

SECTOR = 512
"""Bytes, as sfdisk counts them in a file."""

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}

SCRIPT = f"""
mkdir {ROOT}
until test -e {OFFSETS}; do sleep 0.1; done
for at in $(cat {OFFSETS}); do
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


Alive = Callable[[], None]
"""Raises what a long piece of work is to be broken off by, when nobody wants it any more."""


class Rest:
    """A disk that is open at rest."""

    def __init__(self, hold: Hold, gateway: Gateway) -> None:
        self._hold = hold
        self._gateway = gateway

    @classmethod
    def open(cls, resource: str, access: Access, fill: Callable[[Path, Alive], None]) -> Rest:
        """Open the disk whose raw copy `fill` writes. Raises EngineError where this machine cannot, and what it does.

        While it writes, `fill` calls what it is given: that raises once the disk was destroyed or the run interrupted.
        Only what is made of `resource` beforehand is to be held against interrupts: `fill` may take long.
        """
        if os.geteuid():
            raise EngineError(
                "a disk cannot be opened at rest by this account", hint="only root can mount what is in it"
            )
        spaces = ("--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--uts", "--ipc", "--net")
        with interrupts.held():
            folder = place.make(resource)
            hold = Hold(folder, ["unshare", *spaces, "/bin/sh", "-c", SCRIPT])
        try:
            fill(folder / COPY, partial(_wanted, hold))
            _mount(hold)
            program = (sys.executable, "-I", "-S", str(Path(inside.__file__)), _first(folder), str(folder / ROOT))
            executor = LocalExecutor(folder, before=program, env=ENVIRONMENT)
            return cls(hold, Gateway(executor, host_key=access.host, allowed=access.user.public, user="root"))
        except BaseException:
            hold.end()
            raise

    def answer(self, image: Image, boot: Boot, *, resource: str, access: Access) -> Booted:
        """Return it as an instance that is up; `boot` says by which driver. Raises MachineLostError."""
        address = Address(
            host="127.0.0.1", port=self._gateway.port, user="root", host_key=access.host.public,
            key_file=str(access.key_file),
        )  # fmt: skip
        try:
            transport = connection.wait(address, deadline=time.monotonic() + ANSWER_SECONDS, alive=lambda: None)
        except BaseException:
            self.close()
            raise
        told = replace(boot, reached_by="gateway", user="root", host_key_fingerprint=access.host.fingerprint)
        instance = Instance(id=resource, name=image.name, address=address, login="")
        return Booted(instance=instance, boot=told, transport=transport, close=self.close)

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


def _wanted(hold: Hold) -> None:
    if hold.ended() is not None:
        raise EngineError(f"the disk was closed before it was open: {hold.said() or 'its keeper has gone'}")
    interrupts.checkpoint()


def _mount(hold: Hold) -> None:
    _wanted(hold)
    offsets, draft = hold.folder / OFFSETS, hold.folder / (OFFSETS + ".new")
    draft.write_text(" ".join(str(one) for one in partitions(hold.folder / COPY)))
    draft.replace(offsets)
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
    pid, _ = place.noted(folder)["machine"]
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    if not found:
        raise ProcessError("the process that holds the disk open ended")
    return found[0]
