"""Disks: the files that one is made of, and what is in them, by the digest of their bytes."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imagetest.errors import EngineError
from imagetest.execute import process

PROGRAM = "qemu-img"

DIGEST = "sha256:"

READ_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One file of a disk: the disk's own, or one that it is based on."""

    path: Path
    format: str
    virtual_size: int


@dataclass(frozen=True, slots=True)
class State:
    """What changes when a file is written to, as far as can be told without reading it."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> State:
        """Return a file's. Raises EngineError when it is not there."""
        try:
            found = path.stat()
        except OSError as error:
            raise EngineError(f"cannot read disk {str(path)!r}: {error.strerror}") from error
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class Digests:
    """The digests of files that were read before; a file that was written to since is read again."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, State], str] = {}

    def of(self, layers: tuple[Layer, ...]) -> str:
        """Return the digest of a disk.

        That of a single file is the SHA-256 of its bytes, as sha256sum prints it. That of a file with others below it
        is the SHA-256 of all their digests, one a line, the file itself first.
        """
        found = [self._file(layer.path) for layer in layers]
        if len(found) == 1:
            return DIGEST + found[0]
        return DIGEST + hashlib.sha256("".join(f"{one}\n" for one in found).encode()).hexdigest()

    def _file(self, path: Path) -> str:
        key = (path, State.of(path))
        if key not in self._known:
            try:
                with path.open("rb") as file:
                    read = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise EngineError(f"cannot read disk {str(path)!r}: {error.strerror}") from error
            if State.of(path) != key[1]:
                raise EngineError(f"disk {str(path)!r} is being written to", hint="wait until its bake is over")
            self._known[key] = read
        return self._known[key]


def layers(path: Path) -> tuple[Layer, ...]:
    """Return a disk's own file and those that it is based on. Raises EngineError when one cannot be read."""
    argv = (PROGRAM, "info", "--output=json", "--backing-chain", "--force-share", str(path))
    done = process.run(*argv, timeout=READ_SECONDS)
    if done.exit_code:
        said = done.stderr.strip().removeprefix(f"{PROGRAM}: ")
        raise EngineError(
            f"cannot read disk {str(path)!r}: {said[-400:]}", hint=f"see 'qemu-img info --backing-chain {path}'"
        )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return tuple(
        Layer(path=Path(os.path.abspath(one["filename"])), format=one["format"], virtual_size=one["virtual-size"])  # noqa: PTH100 - a link stays one
        for one in found
    )  # fmt: skip
