"""Where a machine's files are while it lives, and how all of it is removed: by its name alone, by any process."""

from __future__ import annotations

import hashlib
import json
import os
import re
import select
import shutil
import signal
import stat
from pathlib import Path

from imagetest.drivers.held.keeper import NOTE, start_of
from imagetest.errors import LeakError, StorageError

ROOM = Path("/var/tmp")  # noqa: S108 - a folder in it is ours alone; an overlay may be larger than a /tmp in memory
PREFIX = "imagetest-machines-"

LONGEST = 48
"""Characters of a folder's name, so that the monitor's socket in it has a name that a socket may have (unix(7))."""

GRACE_SECONDS = 10.0


def of(resource: str) -> Path:
    """Return the folder of a machine, whether it is there or not."""
    readable = re.sub(r"[^A-Za-z0-9._-]", "-", resource)
    if readable != resource or len(resource) > LONGEST:
        readable = f"{readable[: LONGEST - 13]}-{hashlib.sha256(resource.encode()).hexdigest()[:12]}"
    return ROOM / f"{PREFIX}{os.geteuid()}" / readable


def make(resource: str) -> Path:
    """Make the folder of a machine, which nobody else may enter. Raises StorageError."""
    folder = of(resource)
    try:
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        found = folder.parent.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise StorageError(f"{folder.parent} is not this account's alone", hint="see whose it is, then remove it")
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise StorageError(f"cannot make {folder}: {error.strerror}", hint="make room or permissions there") from error
    return folder


def remove(resource: str) -> None:
    """End the processes of a machine and remove its folder; nothing may be there. Raises LeakError."""
    folder = of(resource)
    for name, (pid, started) in sorted(noted(folder).items(), reverse=True):  # its keeper last, which buries it
        if not _end(pid, started):
            raise LeakError(f"the {name} of {resource!r}, process {pid}, does not end", hint=f"kill -9 {pid}")
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise LeakError(f"cannot remove {folder}", hint=f"rm -r {folder}")


def noted(folder: Path) -> dict[str, tuple[int, str]]:
    """Return the processes of a machine: what each is, its number and when it started."""
    try:
        said = json.loads((folder / NOTE).read_text())
        return {name: (int(pid), str(started)) for name, (pid, started) in said.items()}
    except (OSError, ValueError):
        return {}  # it was never started, or its keeper removed it


def runs(pid: int, started: str) -> bool:
    """Say whether a process is still the one that was noted, and not another of its number."""
    try:
        return start_of(pid) == started and _state(pid) != "Z"
    except OSError:
        return False


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _end(pid: int, started: str) -> bool:
    """Kill a process, and no other that got its number, and wait for its end; say whether it came."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if not runs(pid, started):  # looked at after the handle was taken: what it names cannot change any more
            return True
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        ready, _, _ = select.select([handle], [], [], GRACE_SECONDS)
        return bool(ready)
    except ProcessLookupError:
        return True
    finally:
        os.close(handle)
