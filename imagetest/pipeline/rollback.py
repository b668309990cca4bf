"""Point a channel at the image that it held before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from imagetest.errors import GateClosedError, UsageError
from imagetest.execute.interrupts import interrupts
from imagetest.model.outlet import Evidence
from imagetest.model.promotion import Action, Placement, Promotion
from imagetest.pipeline.desk import Desk, enter, image_of, point, retire
from imagetest.policy import channels
from imagetest.ports import Driver, Keeping


def rollback(*, desk: Desk, driver: Driver, by: str, reason: str, now: datetime) -> Promotion:
    """Go back to the newest image before, from where it was brought; what is gone of its places is made again.

    A rollback that is recorded but whose channel does not stand there is finished first, and its record returned: one
    that failed halfway is mended by doing it again, and does not lead further back. Raises UsageError when there is
    none, and GateClosedError when that image is not what it was.
    """
    channel, image = desk.outlet.channel, desk.outlet.image
    desk.promoter.check(desk.outlet)
    standing = desk.standing()
    if standing is not None and _is_unfinished(standing, desk):
        with interrupts.held():
            point(desk, standing.kind)
        retire(desk, standing)
        return standing
    target = channels.previous(desk.store.history(channel), channel=channel, image=image)
    if target is None:
        raise UsageError(
            f"channel {channel!r} held no other {image!r} that was not revoked",
            hint="'imagetest history' shows what it held",
        )
    record = replace(target, number=0, action=Action.ROLLBACK, by=by, at=now, reason=reason)
    return enter(record, _placed(target, desk, driver), desk)


def _is_unfinished(standing: Promotion, desk: Desk) -> bool:
    if standing.action is not Action.ROLLBACK:
        return False
    return not desk.promoter.stands(image_of(standing), desk.outlet, standing.placements)


def _placed(target: Promotion, desk: Desk, driver: Driver) -> Sequence[Placement]:
    """Return where the content lies: where its record says, or else where it is brought again from what was tested."""
    if isinstance(desk.promoter, Keeping):
        kept = desk.promoter.kept(image_of(target), desk.outlet, target.placements)
        if kept:
            return kept
    found = driver.identify(target.reference, name=target.image)
    if found.digest != target.digest:
        raise GateClosedError(f"{target.reference} is {found.digest} now, {target.digest} was promoted")
    document = desk.store.document(target.assessment_id)
    evidence = Evidence(assessment_id=target.assessment_id, document=document or b"")
    return desk.promoter.place(image_of(target), desk.outlet, evidence)
