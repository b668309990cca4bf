"""Remove what a run that was killed left behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from imagetest.errors import LeakError, UsageError
from imagetest.execute.leases import IMAGE, SCRATCH, Lease, Leases
from imagetest.ports import Driver, Expiring


def reap(
    leases: Leases, drivers: Callable[[str], Driver], *, keys: Path, kept: bool = False, reused: bool = False
) -> tuple[Lease, ...]:
    """Remove every instance whose owner is gone, and return them.

    Those that were kept on purpose go only when `kept`; those that wait for a later run go when `reused`, or once
    they waited for too long.

    Raises the first LeakError once all were tried.
    """
    doomed = [lease for lease in leases if lease.kept] if kept else []
    doomed += leases.abandoned()
    now = datetime.now(UTC)
    if any(lease.standing for lease in leases):
        doomed += leases.claim(lambda _lease, standing: reused or standing.until <= now)
    leaks = []
    for lease in doomed:
        try:
            _remove(lease, drivers)
            leases.release(lease.resource)
        except LeakError as leak:
            leaks.append(leak)
            continue
        shutil.rmtree(keys / lease.resource, ignore_errors=True)
    if leaks:
        raise leaks[0]
    return tuple(doomed)


def reap_expired(driver: Driver, where: str, *, now: datetime) -> tuple[str, ...]:
    """Remove whatever is past its expiry in a place, with or without a lease, and return what it was.

    Raises UsageError for a driver whose instances carry no expiry, and the first LeakError once all were tried.
    """
    if not isinstance(driver, Expiring):
        raise UsageError(f"instances of {driver.name!r} carry no expiry", hint="'imagetest reap' goes by the leases")
    doomed, leaks = driver.expired(where, now), []
    for resource in doomed:
        try:
            driver.destroy(resource)
        except LeakError as leak:
            leaks.append(leak)
    if leaks:
        raise leaks[0]
    return doomed


def _remove(lease: Lease, drivers: Callable[[str], Driver]) -> None:
    if lease.kind.startswith(IMAGE):
        drivers(lease.kind.removeprefix(IMAGE)).discard(lease.resource)
        return
    if lease.kind != "folder":
        drivers(lease.kind).destroy(lease.resource)
        return
    folder = Path(lease.resource)
    if not folder.name.startswith(SCRATCH):
        raise LeakError(
            f"{folder} is leased but is no scratch folder of a bake", hint="see what it is, then delete the lease"
        )
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise LeakError(f"cannot remove {folder}: {error.strerror}", hint=f"rm -r {folder}") from error
