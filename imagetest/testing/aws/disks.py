"""The disk behind an AMI: what its container image holds, in an ext4 file system on the one partition of a disk."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import threading
from pathlib import Path

from imagetest.errors import EngineError, ProcessError
from imagetest.execute import engine, process
from imagetest.testing.aws.machines import Yard
from imagetest.testing.aws.owners import LABEL, remove_container

GIB = 1 << 30

SECTOR, FIRST = 512, 2048
"""Bytes, and the sector at which the partition begins, as partitioning tools have it (sfdisk(8))."""

LINUX, ACTIVE, NO_CYLINDERS = 0x83, 0x80, b"\xfe\xff\xff"

MAKE_SECONDS = 300.0


class Disks:
    """The disks of one server, each made when it is first read, and gone with the server's folder."""

    def __init__(self, yard: Yard, folder: Path) -> None:
        self._yard = yard
        self._folder = folder
        self._lock = threading.Lock()

    def of(self, reference: str, size: int) -> Path:
        """Return the disk of a container image, `size` GiB large. Raises ImagetestError where it cannot be made."""
        path = self._folder / (hashlib.sha256(f"{reference} {size}".encode()).hexdigest()[:16] + ".disk")
        with self._lock:
            if not path.exists():
                draft = path.with_suffix(".new")
                try:
                    self._make(reference, draft, size)
                    draft.rename(path)
                finally:
                    draft.unlink(missing_ok=True)
        return path

    def _make(self, reference: str, path: Path, size: int) -> None:
        if os.geteuid():
            raise EngineError("only root can make a disk of a container image: its files have owners")
        tree = path.with_suffix(".tree")
        try:
            tree.mkdir()
            self._unpack(reference, tree)
            with path.open("wb") as file:
                file.truncate(size * GIB)
                file.write(_boot_sector(size))
            process.output(
                "mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-d", str(tree), "-E", f"offset={FIRST * SECTOR}",
                str(path), f"{(size * GIB - FIRST * SECTOR) // 1024}k", timeout=MAKE_SECONDS,
            )  # fmt: skip
        finally:
            shutil.rmtree(tree, ignore_errors=True)

    def _unpack(self, reference: str, tree: Path) -> None:
        """Write the files of an image into a folder, with their owners and what else they have."""
        client = self._yard.client
        with engine.translated(f"read what is in {reference!r}"):
            labels = {LABEL: self._yard.owner}
            container = str(client.create_container(reference, ["/bin/true"], entrypoint=[], labels=labels)["Id"])
        try:
            tar = process.piped(
                "tar", "--extract", "--preserve-permissions", "--numeric-owner", "--xattrs", "--xattrs-include=*",
                "--exclude=.dockerenv", cwd=tree, env={"PATH": os.environ["PATH"]},
            )  # fmt: skip
            assert tar.stdin is not None  # noqa: S101 - told to the type checker
            with engine.translated(f"read what is in {reference!r}"):
                for chunk in client.export(container):
                    tar.stdin.write(chunk)
            _, said = tar.communicate()
            if tar.returncode:
                raise ProcessError(f"tar exited with {tar.returncode}: {said.decode(errors='replace').strip()}")
        finally:
            remove_container(client, container)


def _boot_sector(size: int) -> bytes:
    """Return a master boot record with one partition for Linux, which is all of the disk but its first MiB."""
    entry = struct.pack(
        "<B3sB3sII", ACTIVE, NO_CYLINDERS, LINUX, NO_CYLINDERS, FIRST, size * GIB // SECTOR - FIRST
    )  # fmt: skip
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"
