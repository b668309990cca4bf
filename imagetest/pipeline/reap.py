"""Remove what a run that was killed left behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from imagetest.execute.leases import Lease, Leases
from imagetest.ports import Driver


def reap(leases: Leases, drivers: Callable[[str], Driver], *, keys: Path, kept: bool = False) -> tuple[Lease, ...]:
    """Remove every instance whose owner is gone, those that were kept on purpose only when `kept`; return them.

    Raises LeakError for the first that cannot be removed.
    """
    doomed = [lease for lease in leases if lease.kept] if kept else []
    doomed += leases.abandoned()
    for lease in doomed:
        drivers(lease.kind).destroy(lease.resource)
        leases.release(lease.resource)
        shutil.rmtree(keys / lease.resource, ignore_errors=True)
    return tuple(doomed)
