"""Leases: a note on disk of each resource, written before it is made and removed when it is gone."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import msgspec

from imagetest.errors import LeakError, StorageError
from imagetest.model.instance import Boot, Instance
from imagetest.model.plan import BootPlan

SCRATCH = "imagetest-packer-"
"""How the name of every folder begins that is leased as one: nothing else is ever removed as a folder."""

ZOMBIE = "Z"

IMAGE = "image:"
"""What stands before a driver's name where what is leased is an image that was made for one run alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a run that left an instance up tells the one that takes it over."""

    run: str
    """The run that booted it."""
    digest: str
    """The content digest of the image that it was booted from."""
    plan: BootPlan
    instance: Instance
    boot: Boot
    until: datetime
    """When nobody may take it over any more, and it is removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A resource that somebody must remove: what it is, what it is called, and the process that answers for it."""

    kind: str
    """The name of the driver that can remove it, such as `docker` (`image:docker` for an image), or `folder`."""
    resource: str
    """Its name at that driver, chosen before it is made."""
    image: str
    """The name of the image under test, for people."""
    pid: int
    started: str
    """When that process started, as the kernel counts, so that a reused process id is not taken for it."""
    kept: bool = False
    """True when its owner left it up on purpose."""
    standing: Standing | None = None
    """Set while nobody uses it and a later run may: then no process answers for it, its expiry does."""


class Leases:
    """The folder of all leases of one project."""

    def __init__(self, folder: Path, *, outlive: Callable[[], None] = lambda: None) -> None:
        """Keep leases in a folder; `outlive` has a process watch over them that outlives this one."""
        self._folder = folder
        self.outlive = outlive
        """Called before anything is made in a place that outlives this machine. Raises ProcessError, StorageError."""

    def take(self, kind: str, resource: str, image: str) -> Lease:
        """Write a lease for a resource that is about to be made.

        Raises StorageError when it cannot be written; then the resource must not be made.
        """
        pid = os.getpid()
        lease = Lease(kind=kind, resource=resource, image=image, pid=pid, started=process_start(pid))
        self._write(lease)
        return lease

    def keep(self, resource: str) -> None:
        """Note that the resource stays up on purpose. Raises StorageError when that cannot be noted."""
        path = self._path(resource)
        try:
            self._write(replace(_read(path), kept=True))
        except FileNotFoundError as error:
            raise StorageError(f"lease {path} is gone", hint=f"{resource!r} is still up: remove it by hand") from error

    def lend(self, resource: str, standing: Standing) -> bool:
        """Note that the next run may take a resource over; say whether: one that is just like it may wait already.

        Raises StorageError when that cannot be noted.
        """
        with self._locked():
            if any(_alike(lease.standing, standing) for lease in self.look()[0]):
                return False
            self._write(replace(_read(self._path(resource)), standing=standing))
        return True

    def claim(self, chosen: Callable[[Lease, Standing], bool]) -> list[Lease]:
        """Make this process answer for what waits to be taken over and is chosen; return the leases as they were.

        No other process gets the same. Raises StorageError.
        """
        pid = os.getpid()
        with self._locked():
            readable, _ = self.look()  # one that cannot be read is told by whoever reaps, and no other waits for that
            found = [lease for lease in readable if lease.standing is not None and chosen(lease, lease.standing)]
            for lease in found:
                self._write(replace(lease, pid=pid, started=process_start(pid), standing=None))
        return found

    def release(self, resource: str) -> None:
        """Forget a resource that is gone. Raises LeakError when its lease cannot be removed."""
        path = self._path(resource)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise LeakError(f"cannot remove lease {path}: {error.strerror}", hint="delete the file") from error

    def __iter__(self) -> Iterator[Lease]:
        """Return all leases, oldest first. Raises StorageError, after all others, for one that cannot be read."""
        found, unreadable = self.look()
        yield from found
        for error in unreadable:
            raise error

    def look(self) -> tuple[list[Lease], list[StorageError]]:
        """Return all leases, oldest first, and why others cannot be read."""
        found, unreadable = list[Lease](), list[StorageError]()
        for path in sorted(self._folder.glob("*.json"), key=lambda path: path.name):
            try:
                found.append(_read(path))
            except FileNotFoundError:
                continue  # its owner removed it meanwhile
            except StorageError as error:
                unreadable.append(error)
        return found, unreadable

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the folder, so that one process at a time lends and claims; the kernel unlocks it when that ends."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise StorageError(f"cannot lock {self._folder}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _path(self, resource: str) -> Path:
        return self._folder / f"{quote(resource, safe='')}.json"

    def _write(self, lease: Lease) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft = self._path(lease.resource).with_suffix(".new")
            draft.write_bytes(msgspec.json.encode(lease))
            draft.replace(self._path(lease.resource))
        except OSError as error:
            raise StorageError(
                f"cannot write a lease into {self._folder}: {error.strerror}",
                hint="nothing was started; make room or permissions there, or set another [imagetest] state",
            ) from error


def _alike(one: Standing | None, other: Standing) -> bool:
    return (
        one is not None
        and (one.digest, one.plan, one.instance.name) == (other.digest, other.plan, other.instance.name)
    )  # fmt: skip


def _read(path: Path) -> Lease:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Lease)
    except FileNotFoundError:
        raise
    except (msgspec.MsgspecError, ValueError, OSError) as error:
        raise StorageError(
            f"lease {path} cannot be read: {error}", hint="see that what it names is gone, then delete the file"
        ) from error


def process_start(pid: int) -> str:
    """Return when a process started, in the kernel's clock ticks since boot (proc(5), field 22), or an empty string."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def is_abandoned(lease: Lease) -> bool:
    """Say whether its owner is gone, and neither kept it on purpose nor left it to a later run."""
    return not (lease.kept or lease.standing or owner_is_alive(lease))


def owner_is_alive(lease: Lease) -> bool:
    """Say whether the process that took the lease still runs; one that has ended and is not waited for does not."""
    try:
        os.kill(lease.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return process_start(lease.pid) == lease.started and _state(lease.pid) != ZOMBIE


def _state(pid: int) -> str:
    """Return the state of a process, a letter of proc(5), field 3; an empty string where that cannot be told."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
