"""Run a command among the files of an image at rest: a program of its own, which needs the standard library alone.

Usage: python inside.py PID ROOT COMMAND..., as root

It joins the namespaces of a process, makes ROOT there its root, gives up what could lead out of it (capabilities(7))
and runs the command: the image's programs run as root among the image's files and are nobody elsewhere.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = (
    0x00020000, 0x04000000, 0x08000000, 0x20000000, 0x40000000,
)  # fmt: skip
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38

KEPT = {0, 1, 2, 3, 4, 5, 6, 7}
"""CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, KILL, SETGID and SETUID: what concerns files and users."""

LAST_CAPABILITY = 63

CANNOT = 126


def _enter(pid: str, root: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.pidfd_open(int(pid))
    spaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
    if libc.setns(handle, spaces):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.close(handle)
    os.chroot(root)
    os.chdir("/")


def _become(argv: list[str]) -> None:
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in set(range(LAST_CAPABILITY + 1)) - KEPT:
        libc.prctl(PR_CAPBSET_DROP, number)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.execv(argv[0], argv)  # noqa: S606 - that is what it is for


def main() -> int:
    """Run a command and end as it does."""
    pid, root, *argv = sys.argv[1:]
    try:
        _enter(pid, root)
        child = os.fork()  # only a child is in the namespace of processes
        if not child:
            _become(argv)
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        os._exit(CANNOT)
    for stream in (0, 1, 2):
        os.close(stream)  # they are the command's: whoever reads sees their end when it closes them
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    os._exit(main())
