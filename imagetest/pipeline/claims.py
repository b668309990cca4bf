"""The leases of what a builder makes for the time of a bake, and a look at whether it left any of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from imagetest.errors import LeakError
from imagetest.execute.leases import IMAGE, Leases
from imagetest.ports import Claim, Driver, Event, Expiring, Progress

FOLDER = "folder"

Claimed = tuple[str, str]


@contextmanager
def leased(leases: Leases, drivers: Callable[[str], Driver], image: str, progress: Progress) -> Iterator[Claim]:
    """Give a builder what notes the things that it makes, and let go of them once it is done, however it ends.

    What it made on this machine it removes itself. What it had made in an account it may have lost sight of, as when
    it is interrupted twice: there all that carries its mark is removed, which costs a look where nothing is left. An
    image goes with the bake that fails, and stays with the one that succeeds.
    Raises LeakError when that cannot be; then its lease stays, and it is told, not raised, where the bake failed too.
    """
    taken: list[Claimed] = []

    def claim(kind: str, resource: str) -> None:
        if _elsewhere(kind, drivers):
            leases.outlive()
        leases.take(kind, resource, image)
        taken.append((kind, resource))

    try:
        yield claim
    except BaseException:
        for leak in _let_go(taken, leases, drivers, failed=True):
            progress(Event(subject=image, text=f"{leak}; 'imagetest reap' tries again"))
        raise
    leaks = _let_go(taken, leases, drivers, failed=False)
    if leaks:
        raise leaks[0]


def _elsewhere(kind: str, drivers: Callable[[str], Driver]) -> bool:
    return kind != FOLDER and isinstance(drivers(kind.removeprefix(IMAGE)), Expiring)


def _let_go(taken: list[Claimed], leases: Leases, drivers: Callable[[str], Driver], *, failed: bool) -> list[LeakError]:
    leaks = []
    for kind, resource in taken:
        try:
            if not _elsewhere(kind, drivers):
                pass
            elif not kind.startswith(IMAGE):
                drivers(kind).destroy(resource)
            elif failed:
                drivers(kind.removeprefix(IMAGE)).discard(resource)
            leases.release(resource)
        except LeakError as leak:
            leaks.append(leak)
    return leaks
