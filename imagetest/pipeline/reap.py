"""Remove what a run that was killed left behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from imagetest.errors import ImagetestError, InfrastructureError, LeakError, UsageError
from imagetest.execute.leases import IMAGE, SCRATCH, Lease, Leases, is_abandoned
from imagetest.model.promotion import Leftover
from imagetest.ports import Driver, Expiring, Store, Tidying


def reap(
    leases: Leases,
    drivers: Callable[[str], Driver],
    *,
    keys: Path,
    told: Callable[[Lease], None] = lambda _lease: None,
    excused: Callable[[Lease, ImagetestError], bool] = lambda _lease, _error: False,
    kept: bool = False,
    reused: bool = False,
) -> tuple[Lease, ...]:
    """Remove every instance whose owner is gone, and return them; `told` hears of each as soon as it is removed.

    `excused` is asked about one that cannot be removed, and says whether that is no error; its lease stays.

    Those that were kept on purpose go only when `kept`; those that wait for a later run go when `reused`, or once
    they waited for too long.

    Raises the first ImagetestError once all were tried: a LeakError for what could not be removed, a PluginError for
    what nobody here can remove, a StorageError for a lease that cannot be read.
    """
    found, unreadable = leases.look()
    doomed = [lease for lease in found if (kept and lease.kept) or is_abandoned(lease)]
    now = datetime.now(UTC)
    if any(lease.standing for lease in found):
        doomed += leases.claim(lambda _lease, standing: reused or standing.until <= now)
    removed, failed = list[Lease](), list[ImagetestError]()
    for lease in doomed:
        try:
            _remove(lease, drivers)
            leases.release(lease.resource)
        except ImagetestError as error:
            if not excused(lease, error):
                failed.append(error)
            continue
        removed.append(lease)
        shutil.rmtree(keys / lease.resource, ignore_errors=True)
        told(lease)
    failed += unreadable
    if failed:
        raise failed[0]
    return tuple(removed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaped:
    """What was past its expiry in a place, and what became of it."""

    removed: tuple[str, ...]
    failed: tuple[str, ...]
    """What stays, and why."""


def reap_expired(driver: Driver, where: str, *, now: datetime) -> Reaped:
    """Remove whatever is past its expiry in a place, with or without a lease.

    One that cannot be removed, or says no time, keeps no other. Raises UsageError for a driver whose instances carry no
    expiry.
    """
    if not isinstance(driver, Expiring):
        raise UsageError(f"instances of {driver.name!r} carry no expiry", hint="'imagetest reap' goes by the leases")
    found = driver.expired(where, now)
    removed, failed = list[str](), list(found.unreadable)
    acts: list[tuple[str, Callable[[str], None]]] = [(resource, driver.destroy) for resource in found.resources]
    acts += [(reference, driver.discard) for reference in found.images]
    for resource, act in acts:
        try:
            act(resource)
        except LeakError as leak:
            failed.append(str(leak))
        else:
            removed.append(resource)
    return Reaped(removed=tuple(removed), failed=tuple(failed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What became of a leftover."""

    leftover: Leftover
    removed: bool
    why: str = ""
    """Why it stays."""


def reap_leftovers(
    promoter: Tidying, where: str, *, store: Store, now: datetime, told: Callable[[Swept], None]
) -> None:
    """Remove what failed promotions brought to a place and nobody recorded by its expiry; `told` hears of each.

    Only the registry in which it would have been recorded can tell: the one that holds the assessment that it was
    brought for. Raises the first InfrastructureError once all were tried.
    """
    failed = []
    for one in promoter.leftovers(where, now):
        try:
            told(_sweep(promoter, one, store, now))
        except InfrastructureError as error:
            failed.append(error)
    if failed:
        raise failed[0]


def _sweep(promoter: Tidying, one: Leftover, store: Store, now: datetime) -> Swept:
    if any(place.where == one.where for record in store.history() for place in record.placements):
        promoter.settle(one.where)
        return Swept(leftover=one, removed=False, why="a record names it: it expires no more")
    if not one.assessment_id or store.document(one.assessment_id) is None:
        return Swept(leftover=one, removed=False, why=f"no assessment {one.assessment_id!r} is in this registry")
    if not promoter.abandon(one, now):
        return Swept(leftover=one, removed=False, why="it is in use, or promoted just now")
    return Swept(leftover=one, removed=True)


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
