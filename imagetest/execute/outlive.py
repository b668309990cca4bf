"""Have somebody left who removes what this process has elsewhere, should it be killed."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from imagetest.errors import StorageError
from imagetest.execute import process, survivor

_lock = threading.Lock()
_watched: set[Path] = set()
"""The folders of leases for which this process has a survivor."""


def outlive(leases: Path, *argv: str, cwd: Path, log: Path) -> None:
    """Start a survivor that runs a program when this process is gone and has leases in a folder; one is enough.

    What the program says is appended to `log`. It gets the environment of now. Raises ProcessError when it cannot be
    started and StorageError when nothing can be logged; then nothing must be made.
    """
    with _lock:
        if leases in _watched:
            return
        own = os.getpid()
        _start([str(leases), str(own), survivor.start_of(own), *argv], cwd=cwd, log=log)
        _watched.add(leases)


def _start(arguments: Sequence[str], *, cwd: Path, log: Path) -> None:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            program = str(Path(survivor.__file__))
            process.left_behind(sys.executable, "-I", "-S", program, *arguments, cwd=cwd, output=file)
    except OSError as error:
        raise StorageError(f"cannot write {log}: {error.strerror}", hint="make room or permissions there") from error
