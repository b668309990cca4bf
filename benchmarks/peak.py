"""Run a program and add a line to its standard error: its seconds, those of processors, and its peak memory in MB.

Usage: python peak.py PROGRAM ARGUMENT...

A process of its own, and a small one: what Linux says of a child's memory begins with that of whoever started it.
"""

import json
import os
import resource
import sys
import time


def main() -> int:
    """Run, measure and pass the exit code on."""
    started = time.perf_counter()
    pid = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:])  # noqa: S606 - no shell is wanted
    _, status = os.waitpid(pid, 0)
    seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = {"seconds": seconds, "processor": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss / 1000}
    print(json.dumps(said), file=sys.stderr)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
