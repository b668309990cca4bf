"""What killed runs left: removed before a run begins."""

from __future__ import annotations

from collections.abc import Callable

from imagetest.config import wiring
from imagetest.config.settings import Settings
from imagetest.errors import ImagetestError, LeakError
from imagetest.execute.leases import IMAGE, Lease
from imagetest.pipeline.reap import reap
from imagetest.ports import Event, Expiring


def remove_left(settings: Settings, progress: Callable[[Event], None]) -> None:
    """Remove it, and say so.

    What cannot be removed stops the run, so that it does not pile up unseen; but what is in an account ends by its
    expiry, and an account that cannot be asked today keeps nobody from testing what is not there: that is said.
    Raises ImagetestError.
    """

    def removed(lease: Lease) -> None:
        progress(Event(subject=lease.image, text=f"removed {lease.resource}, left by a killed run"))

    def excused(lease: Lease, error: ImagetestError) -> bool:
        kind = lease.kind.removeprefix(IMAGE)
        if not isinstance(error, LeakError) or not isinstance(wiring.driver(kind), Expiring):
            return False
        text = f"left by a killed run, and not removed: {error}; 'imagetest reap' tries again"
        progress(Event(subject=lease.image, text=text))
        return True

    reap(
        wiring.leases(settings), wiring.driver, keys=settings.state / "keys", told=removed, excused=excused
    )  # fmt: skip
