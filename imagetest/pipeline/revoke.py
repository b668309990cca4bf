"""Take an image out of a channel, which then points at nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from imagetest.errors import UsageError
from imagetest.execute.interrupts import interrupts
from imagetest.model.promotion import Action, Promotion
from imagetest.pipeline.desk import Desk, point
from imagetest.policy import channels


def revoke(*, desk: Desk, by: str, reason: str, now: datetime) -> Promotion:
    """Record that the channel points at nothing until another is promoted or rolled back to, and make it so.

    Where that is recorded already it is made so once more, and the earlier record is returned: a revoke that failed
    halfway is mended by doing it again. Raises UsageError when the channel never held such an image.
    """
    channel, image = desk.outlet.channel, desk.outlet.image
    history = desk.store.history(channel)
    last = channels.newest(history, channel=channel, image=image)
    if last is None:
        raise UsageError(f"nothing called {image!r} was ever promoted to {channel!r}")
    desk.promoter.check(desk.outlet)
    standing = channels.current(history, channel=channel, image=image)
    with interrupts.held():
        if standing is not None:
            last = desk.store.promote(replace(standing, number=0, action=Action.REVOKE, by=by, at=now, reason=reason))
        point(desk, last.kind)
    return last
