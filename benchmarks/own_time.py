"""A plugin of pytest's that tells what a run took, and what of it was imagetest's own work: `-p own_time`.

That is the processor time of pytest's own process, which is all that is neither Packer, QEMU, Docker, an emulated
account nor a guest: those are other processes.
"""

from __future__ import annotations

import resource
import sys
import time

import pytest

STARTED = time.monotonic()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Print it once everything is removed and every report is written."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    own, whole = used.ru_utime + used.ru_stime, time.monotonic() - STARTED
    sys.stdout.write(f"the whole run {whole:.1f} s, imagetest's own work {own:.1f} s: {own / whole:.3f} of it\n")
