"""Remove what a run that was killed left behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from imagetest.errors import LeakError
from imagetest.execute.leases import Lease, Leases
from imagetest.ports import Driver


def reap(leases: Leases, drivers: Callable[[str], Driver], *, keys: Path, kept: bool = False) -> tuple[Lease, ...]:
    """Remove every instance whose owner is gone, those that were kept on purpose only when `kept`; return them.

    Raises the first LeakError once all were tried.
    """
    doomed = [lease for lease in leases if lease.kept] if kept else []
    doomed += leases.abandoned()
    leaks = []
    for lease in doomed:
        try:
            drivers(lease.kind).destroy(lease.resource)
            leases.release(lease.resource)
        except LeakError as leak:
            leaks.append(leak)
            continue
        shutil.rmtree(keys / lease.resource, ignore_errors=True)
    if leaks:
        raise leaks[0]
    return tuple(doomed)
