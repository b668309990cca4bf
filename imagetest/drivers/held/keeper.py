"""Keep one virtual machine for as long as somebody holds on to it: a program of its own, of the standard library alone.

Usage: python keeper.py FOLDER PROGRAM ARGUMENT...

It starts the program as its child, with FOLDER as its working directory, and writes who both are to `machine.json`
there. It says `started` on its standard output, and `ended CODE` when the program has ended. When its input ends, which
it does in whatever way whoever started it dies, it kills the program, removes FOLDER and ends. A line `keep` lets go:
it then stays until the program ends by itself. When it is killed, the kernel kills the program (prctl(2),
PR_SET_PDEATHSIG). That signal alone would not do: the kernel sends it when the thread that started a process ends, and
boots have threads.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1

NOTE = "machine.json"

SAID = "said.log"
"""What the program itself wrote, such as why it does not start."""

CONSOLE = "console.log"

LONGEST_CONSOLE = 64 << 20
"""Bytes: a guest that fills its console must not fill this machine's disk."""

LOOK_SECONDS = 2.0

CANNOT_START = 127


def start_of(pid: int) -> str:
    """Return when a process started, in clock ticks since boot (proc(5), field 22): a number tells who has its pid."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def _run(folder: Path, argv: list[str], parent: int) -> None:
    """Become the program; never returns."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(CANNOT_START)
        os.chdir(folder)
        said = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.execvp(argv[0], argv)  # noqa: S606 - that is what it is for
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(CANNOT_START)


def _note(folder: Path, child: int) -> None:
    own = os.getpid()
    draft = folder / (NOTE + ".new")
    draft.write_text(json.dumps({"keeper": [own, start_of(own)], "machine": [child, start_of(child)]}))
    draft.replace(folder / NOTE)


def _say(line: str) -> None:
    with suppress(OSError):  # nobody listens any more
        os.write(1, line.encode() + b"\n")


def _watch(folder: Path, child: int) -> None:
    """Wait until the program has ended and nobody holds on to it."""
    ended, waiting = os.pidfd_open(child), [0]
    watched = [ended, 0]
    while watched:
        ready, _, _ = select.select(watched, [], [], LOOK_SECONDS)
        if ended in ready:
            watched.remove(ended)
            _say(f"ended {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")
        if 0 in ready:
            heard = os.read(0, 4096)
            if heard.startswith(b"keep"):
                watched.remove(0)
                waiting.clear()
            elif not heard:
                break
        shorten(folder / CONSOLE)
    if waiting:
        with suppress(ProcessLookupError):
            if ended in watched:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        shutil.rmtree(folder, ignore_errors=True)


def shorten(console: Path) -> None:
    """Empty a console that has grown too long."""
    with suppress(OSError):
        if console.stat().st_size > LONGEST_CONSOLE:
            os.truncate(console, 0)


def main() -> int:
    """Keep a machine."""
    folder, *argv = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it ends with its input, and an interrupt of the run is the run's
    own = os.getpid()
    child = os.fork()
    if not child:
        _run(Path(folder), argv, own)
    _note(Path(folder), child)
    _say("started")
    _watch(Path(folder), child)
    return 0


if __name__ == "__main__":
    sys.exit(main())
