"""A folder of disks: nothing ever stands under its name before it is whole."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from imagetest.errors import StorageError
from imagetest.promoters.disk.finished import Finished, chunks, must_be
from imagetest.promoters.disk.finished import sha256 as sha256_of

PART = ".part"
STALE_SECONDS = 24 * 3600
"""After this long an unfinished file is one that nobody will finish."""

MODE = 0o644


class Folder:
    """The disks of one image, in a folder of its name."""

    def __init__(self, root: Path, image: str) -> None:
        self._root = root
        self._folder = root / image

    def where(self, name: str) -> str:
        """Return what a placement says of a file."""
        return f"qemu:{self._folder / name}"

    def put(self, name: str, disk: Finished) -> None:
        """Copy a disk under a passing name, and give it its own once it is whole and on the medium."""

        def copy(file: BinaryIO) -> None:
            read = hashlib.sha256()
            for chunk in chunks(disk.path):
                file.write(chunk)
                read.update(chunk)
            must_be(disk.sha256, read.hexdigest(), str(disk.path))

        self._make(name, copy)

    def write(self, name: str, content: bytes) -> None:
        """Have a small file say something else from one moment to the next."""

        def put(file: BinaryIO) -> None:
            file.write(content)

        self._make(name, put)

    def holds(self, name: str, sha256: str, disk: Finished | None = None) -> bool:
        """Say whether a disk lies there, by reading it."""
        del disk
        path = self._folder / name
        with _told(path):
            self._inside()
            if path.is_symlink():
                raise StorageError(f"{path} is a link, expected a disk", hint="remove it, and promote again")
            if not path.exists():
                return False
            found = sha256_of(path)
        if found != sha256:
            raise StorageError(
                f"{path} is not what it is called: SHA-256 {found}, expected {sha256}",
                hint="find out who changed it; remove it, and promote again",
            )
        return True

    def whole(self, name: str, sha256: str) -> bool:
        """Say whether a disk lies there, by reading it."""
        return self.holds(name, sha256)

    def says(self, name: str) -> bytes | None:
        """Return what a small file says; None where there is none."""
        path = self._folder / name
        with _told(path, "read"):
            self._inside()
            return path.read_bytes() if path.is_file() else None

    def leads(self, channel: str, name: str) -> bool:
        """Say whether the channel's link leads to a disk, and there is no other of its name."""
        with _told(self._folder, "read"):
            return [path.readlink() for path in self._links(channel)] == [Path(name)]

    def point(self, channel: str, name: str) -> None:
        """Make a link of the channel's name, with the disk's ending, lead to the disk."""
        link = self._folder / f"{channel}.{name.rpartition('.')[2]}"
        passing = self._passing(link.name)
        with _told(link):
            self._inside()
            try:
                passing.symlink_to(name)
                passing.replace(link)
            finally:
                passing.unlink(missing_ok=True)
            _settle(self._folder)
            for other in self._links(channel):
                if other != link:
                    other.unlink(missing_ok=True)
            if not link.exists():  # it may lead to another disk, where another promotes at the same time
                raise StorageError(f"{link} leads nowhere after it was made", hint="promote it again")

    def remove(self, channel: str) -> None:
        """Remove the channel's link and its small file."""
        with _told(self._folder):
            self._inside()
            for path in [*self._links(channel), self._folder / f"{channel}.json"]:
                path.unlink(missing_ok=True)
            if self._folder.exists():
                _settle(self._folder)

    def _links(self, channel: str) -> list[Path]:
        return [path for path in self._folder.glob(f"{channel}.*") if path.is_symlink() and path.stem == channel]

    def _make(self, name: str, fill: Callable[[BinaryIO], None]) -> None:
        path, passing = self._folder / name, self._passing(name)
        with _told(path):
            self._inside()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            try:
                with passing.open("xb") as file:
                    fill(file)
                    os.fchmod(file.fileno(), MODE)
                    file.flush()
                    os.fsync(file.fileno())
                passing.replace(path)
            finally:
                passing.unlink(missing_ok=True)
            _settle(self._folder)

    def _inside(self) -> None:
        """Make sure that the folder is where it seems to be. Raises StorageError."""
        if not self._folder.resolve().is_relative_to(self._root.resolve()):
            raise StorageError(f"{self._folder} is a link that leads out of {self._root}", hint="remove it")

    def _passing(self, name: str) -> Path:
        return self._folder / f".{name}.{secrets.token_hex(6)}{PART}"

    def _sweep(self) -> None:
        """Remove what a promotion that was killed left unfinished."""
        for path in self._folder.glob(f".*{PART}"):
            with suppress(FileNotFoundError):
                if path.lstat().st_mtime < time.time() - STALE_SECONDS:
                    path.unlink()


def _settle(folder: Path) -> None:
    """Have the names in a folder outlast a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _told(path: Path, what: str = "publish") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot {what} {path}: {error.strerror or error}", hint="is there room, and may this user write there?"
        ) from error
