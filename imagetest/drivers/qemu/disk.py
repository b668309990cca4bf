"""Disks as the driver has them: when one was made, and an overlay to boot it on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from imagetest.errors import EngineError, ProcessError
from imagetest.execute import process
from imagetest.execute.disks import DIGEST, PROGRAM, Digests, Layer, State, layers

__all__ = ["DIGEST", "PROGRAM", "Digests", "Layer", "State", "layers", "made", "overlay", "raw"]

COPY_SECONDS = 1800.0
LOOK_SECONDS = 0.1


def made(path: Path) -> datetime:
    """Return when a disk was last written to."""
    return datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)


def overlay(layer: Layer, path: Path) -> None:
    """Make a file that takes every write to a disk and leaves the disk alone. Raises EngineError."""
    try:
        process.output(
            PROGRAM, "create", "-q", "-f", "qcow2", "-F", layer.format, "-b", str(layer.path), str(path)
        )  # fmt: skip
    except ProcessError as error:
        raise EngineError(f"cannot make an overlay of disk {str(layer.path)!r}: {error}", hint=error.hint) from error


def raw(layer: Layer, path: Path, alive: Callable[[], None]) -> None:
    """Write a disk's content to a file, byte for byte as the machine would see it.

    What `alive` raises, which is called all the time, breaks it off. Raises ProcessError.
    """
    # qemu-img ends with the thread that waits for it, and so with this process (setpriv(1), prctl(2))
    argv = ("setpriv", "--pdeathsig", "KILL", PROGRAM, "convert", "-O", "raw", str(layer.path), str(path))
    copying, deadline = process.piped(*argv, cwd=path.parent, env=os.environ), time.monotonic() + COPY_SECONDS
    try:
        while not process.waited(copying, LOOK_SECONDS):
            alive()
            if time.monotonic() >= deadline:
                raise ProcessError(f"{PROGRAM!r} did not copy {str(layer.path)!r} within {COPY_SECONDS:.0f} seconds")
    finally:
        copying.kill()
        said = copying.communicate()[1].decode(errors="replace").strip()
    if copying.returncode:
        raise ProcessError(f"{PROGRAM!r} exited with {copying.returncode}: {said}")
