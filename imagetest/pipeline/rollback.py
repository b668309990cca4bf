"""Point a channel at the image that it held before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from imagetest.errors import EngineError, GateClosedError, InfrastructureError, UsageError
from imagetest.execute.interrupts import interrupts
from imagetest.model.outlet import Evidence
from imagetest.model.promotion import Action, Placement, Promotion
from imagetest.pipeline.desk import Desk, enter, image_of, is_retired, point, retire
from imagetest.policy import channels
from imagetest.ports import Driver, Keeping


def rollback(*, desk: Desk, driver: Driver, by: str, reason: str, now: datetime, to: int | None = None) -> Promotion:
    """Go back to the newest image before, from where it was brought; what is gone of its places is made again.

    A rollback that is recorded but whose channel does not stand there, or that has not retired what was before, is
    finished first, and its record returned: one that failed halfway is mended by doing it again, and does not lead
    further back. With `to`, the number of a record, that is where it goes, whatever stands between. Raises UsageError
    when there is nothing to go back to, GateClosedError when that image is not what it was, and EngineError, with what
    else there is, when it is gone.
    """
    desk.promoter.check(desk.outlet)
    standing = desk.standing()
    if to is None and standing is not None and _is_unfinished(standing, desk):
        with _gone(standing, desk), interrupts.held():
            point(desk, standing.kind)
        retire(desk, standing)
        return standing
    target = _target(desk, to)
    record = replace(target, number=0, action=Action.ROLLBACK, by=by, at=now, reason=reason)
    with _gone(target, desk):
        placed = _placed(target, desk, driver)
    return enter(record, placed, desk)


def _target(desk: Desk, to: int | None) -> Promotion:
    channel, image = desk.outlet.channel, desk.outlet.image
    history = desk.store.history(channel)
    shown = f"'imagetest history {channel}' shows what it held"
    if to is None:
        target = channels.previous(history, channel=channel, image=image)
        if target is None:
            raise UsageError(f"channel {channel!r} held no other {image!r} that was not revoked", hint=shown)
        return target
    target = channels.numbered(history, to, channel=channel, image=image)
    if target is None:
        raise UsageError(
            f"{channel!r} cannot go back to a record {to} of {image!r}: there is none, or it was revoked", hint=shown
        )
    return target


@contextmanager
def _gone(target: Promotion, desk: Desk) -> Iterator[None]:
    """Say, where what a record names cannot be had any more, what else there is to go back to."""
    try:
        yield
    except InfrastructureError as error:
        channel, image = desk.outlet.channel, desk.outlet.image
        further = channels.previous(desk.store.history(channel), channel=channel, image=image, gone={target.digest})
        which = f"--to {further.number}" if further is not None else ""
        raise EngineError(
            f"{channel!r} cannot go back to record {target.number}, {image!r} {target.digest[:19]}: {error}",
            hint=f"to go further back: 'imagetest rollback {channel} --image {image} {which} --reason WHY'"
            if which
            else "there is nothing else to go back to: bake it again and promote that",
        ) from error


def _is_unfinished(standing: Promotion, desk: Desk) -> bool:
    if standing.action is not Action.ROLLBACK:
        return False
    if not desk.promoter.stands(image_of(standing), desk.recorded(), standing.placements):
        return True
    return not is_retired(desk, standing)


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
