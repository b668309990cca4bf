"""Outlive a run, and have what it lost removed: a program of its own, which needs the standard library alone.

Usage: python survivor.py LEASES PID START PROGRAM ARGUMENT...

It waits until the process PID, which started at START, has ended, however it ended, and then until nobody else holds
the other end of its input: a Packer that was told to stop holds it until it has cleaned up. If there are leases in the
folder LEASES for which that process answered, it becomes the program, which removes what they name; else it ends.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path

LOOK_SECONDS = 1.0

LONGEST_SECONDS = 900.0
"""How long a Packer may take to clean up before it is not waited for any longer."""


def start_of(pid: int) -> str:
    """Return when a process started, in clock ticks since boot (proc(5), field 22): a number tells who has its pid."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return ""


def _wait(pid: int, started: str) -> None:
    try:
        process = os.pidfd_open(pid)
    except (AttributeError, OSError):  # no Linux, an old one, or it has ended already
        while _lives(pid) and not select.select([0], [], [], LOOK_SECONDS)[0]:
            pass
    else:
        if start_of(pid) == started:
            select.select([process], [], [])
    select.select([0], [], [], LONGEST_SECONDS)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def lost(leases: Path, pid: int, started: str) -> bool:
    """Say whether a process that has ended left leases, other than of what is up on purpose."""
    for path in leases.glob("*.json"):
        try:
            lease = json.loads(path.read_bytes())
            mine = (lease["pid"], lease["started"]) == (pid, started)
            if mine and not (lease.get("kept") or lease.get("standing")):
                return True
        except (OSError, ValueError, LookupError, TypeError):
            continue  # somebody has just removed it; what cannot be read is told by whoever reaps
    return False


def main() -> int:
    """Wait, look, and become the program if need be."""
    leases, pid, started, *argv = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # they are meant for the run, which removes what it has itself
    _wait(int(pid), started)
    if lost(Path(leases), int(pid), started):
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.execv(argv[0], argv)  # noqa: S606 - that is what it is for
    return 0


if __name__ == "__main__":
    sys.exit(main())
