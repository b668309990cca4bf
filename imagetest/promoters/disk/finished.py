"""The tested disk as one file, whatever it is based on."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from imagetest.errors import EngineError, GateClosedError
from imagetest.execute import disks, process
from imagetest.execute.interrupts import interrupts
from imagetest.model.image import Image

CONVERT_SECONDS = 3600
CHUNK_BYTES = 4 << 20

PREFIX = "imagetest-disk-"

STALE_SECONDS = 24 * 3600
"""After this long a folder is one that a killed promotion left."""

ROOM = "/var/tmp"  # noqa: S108 - a folder of its own is made in it
"""Where a disk is made into one file: on a medium, which /tmp is not everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A disk in one file."""

    path: Path
    format: str
    """The ending of its name: `qcow2`."""
    sha256: str


@contextmanager
def finished(image: Image) -> Iterator[Finished]:
    """Give the disk that was tested: itself where it is one file, and else all of its files made into one.

    The copy is held against the original, and the original against what was tested, before and after. Raises
    GateClosedError when it is not what was tested, and EngineError when it cannot be read.
    """
    known, layers = disks.Digests(), disks.layers(Path(image.reference))
    _must_be(image, known.of(layers))
    if len(layers) == 1:
        yield Finished(path=layers[0].path, format=layers[0].format, sha256=image.digest.removeprefix(disks.DIGEST))
        return
    with _room() as folder:
        flat, source = Path(folder) / "disk.qcow2", str(layers[0].path)
        _qemu_img("convert", "-f", layers[0].format, "-O", "qcow2", source, str(flat))
        _qemu_img("compare", "-f", layers[0].format, "-F", "qcow2", source, str(flat))
        _must_be(image, known.of(layers))
        yield Finished(path=flat, format="qcow2", sha256=sha256(flat))


@contextmanager
def _room() -> Iterator[str]:
    """Give a folder for as long as a disk is made. Raises EngineError where there can be none."""
    _sweep()
    try:
        made = tempfile.TemporaryDirectory(prefix=PREFIX, dir=ROOM, ignore_cleanup_errors=True)
    except OSError as error:
        raise EngineError(f"cannot make a folder in {ROOM}: {error.strerror}", hint="is there room?") from error
    with made as folder:
        yield folder


def _sweep() -> None:
    """Remove what killed promotions of this user left: no promotion takes a day."""
    for folder in Path(ROOM).glob(f"{PREFIX}*"):
        with suppress(OSError):
            found = folder.lstat()
            if found.st_uid == os.getuid() and time.time() - _touched(folder) > STALE_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _touched(folder: Path) -> float:
    return max(path.lstat().st_mtime for path in (folder, *folder.iterdir()))


def sha256(path: Path) -> str:
    """Return the digest of a file's bytes. Raises EngineError."""
    read = hashlib.sha256()
    for chunk in chunks(path):
        read.update(chunk)
    return read.hexdigest()


def chunks(path: Path, size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Give a file's bytes in pieces; an interrupt is raised between two. Raises EngineError when it cannot be read."""
    with _readable(path):
        file = path.open("rb")
    with file:
        while chunk := _piece(file, size, path):
            interrupts.checkpoint()
            yield chunk


def _piece(file: BinaryIO, size: int, path: Path) -> bytes:
    with _readable(path):
        return file.read(size)


def size_of(path: Path) -> int:
    """Return how many bytes a file has. Raises EngineError."""
    with _readable(path):
        return path.stat().st_size


def content_of(path: Path) -> bytes:
    """Return all of a small file. Raises EngineError."""
    return b"".join(chunks(path))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EngineError(f"cannot read disk {str(path)!r}: {error.strerror or error}") from error


def must_be(expected: str, found: str, where: str) -> None:
    """Raise GateClosedError unless what was read is what was to be read."""
    if found != expected:
        raise GateClosedError(
            f"{where} changed while it was copied: SHA-256 {found}, expected {expected}", hint="verify it again"
        )


def _must_be(image: Image, found: str) -> None:
    if found != image.digest:
        raise GateClosedError(
            f"disk {image.reference!r} is {found} now, {image.digest} was tested", hint="verify it again"
        )


def _qemu_img(*argv: str) -> None:
    done = process.run(disks.PROGRAM, *argv, timeout=CONVERT_SECONDS)
    if done.exit_code:
        said = (done.stderr.strip() or done.stdout.strip()).removeprefix(f"{disks.PROGRAM}: ")
        raise EngineError(
            f"cannot make one file of disk {argv[-2]!r}: {said[-400:]}", hint="is there room in /var/tmp?"
        )
