"""Let an image into a channel: the only way is an open verdict over the very bytes that were tested."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from imagetest.errors import GateClosedError, UsageError
from imagetest.execute.interrupts import interrupts
from imagetest.model.assessment import Assessment, Verdict
from imagetest.model.image import Image
from imagetest.model.promotion import Action, Promotion
from imagetest.policy import channels
from imagetest.ports import Driver, Promoter, Store


def promote(
    assessment: Assessment,
    verdict: Verdict,
    *,
    channel: str,
    tag: str,
    driver: Driver,
    promoter: Promoter,
    store: Store,
    by: str,
    now: datetime,
    despite: str = "",
) -> Promotion:
    """Record the promotion, then tag the image.

    The record comes first: a tag without a record would be a promotion that nobody can account for, while a record
    whose tag failed is seen by `imagetest channels` and mended by promoting again. Content that was revoked comes back
    only `despite` that, for a reason that is recorded. Raises GateClosedError when the verdict is closed, the content
    was revoked, or the artifact is no longer what was tested.
    """
    if not verdict.open:
        reasons = "; ".join(objection.message for objection in verdict.objections[:3])
        raise GateClosedError(f"{assessment.image.name!r} is not promoted to {channel!r}: {reasons}")
    _still_the_same(assessment.image, driver)
    _not_revoked(assessment.image, channel, store, despite)
    entry = Promotion(
        number=0, channel=channel, action=Action.PROMOTE, image=assessment.image.name, kind=assessment.image.kind,
        reference=assessment.image.reference, digest=assessment.image.digest, assessment_id=assessment.id,
        gate=verdict.gate, by=by, at=now, reason=despite,
    )  # fmt: skip
    with interrupts.held():
        recorded = store.promote(entry)
        promoter.publish(assessment.image, tag)
    return recorded


def _still_the_same(image: Image, driver: Driver) -> None:
    now = driver.identify(image.reference, name=image.name)
    if now.digest != image.digest:
        raise GateClosedError(
            f"{image.name!r} changed after it was tested: {image.digest} was judged, {now.digest} is there now",
            hint="verify it again",
        )


def _not_revoked(image: Image, channel: str, store: Store, despite: str) -> None:
    record = channels.revoked(store.history(channel), channel=channel, image=image.name, digest=image.digest)
    if record is not None and not despite:
        raise GateClosedError(
            f"{image.name!r} {image.digest[:19]} was revoked from {channel!r} by {record.by}: {record.reason}",
            hint=f"bake another, or 'imagetest promote {image.name} {channel} --despite-revoke WHY'",
        )


def revoke(
    entry: Promotion, *, tag: str, promoter: Promoter, store: Store, by: str, reason: str, now: datetime
) -> Promotion:
    """Take an image out of a channel, which then points at nothing until another is promoted or rolled back to."""
    record = replace(entry, number=0, action=Action.REVOKE, by=by, at=now, reason=reason)
    with interrupts.held():
        recorded = store.promote(record)
        standing = channels.current(store.history(entry.channel), channel=entry.channel, image=entry.image)
        if standing is None:
            promoter.withdraw(tag)
    return recorded


def rollback(
    channel: str, image: str, *, tag: str, driver: Driver, promoter: Promoter, store: Store, by: str, reason: str,
    now: datetime,
) -> Promotion:  # fmt: skip
    """Point a channel at the image that it held before.

    Raises UsageError when there is none, and GateClosedError when that image is not what it was.
    """
    target = channels.previous(store.history(channel), channel=channel, image=image)
    if target is None:
        raise UsageError(
            f"channel {channel!r} held no other {image!r} that was not revoked",
            hint="'imagetest history' shows what it held",
        )
    found = driver.identify(target.reference, name=image)
    if found.digest != target.digest:
        raise GateClosedError(f"{target.reference} is {found.digest} now, {target.digest} was promoted")
    record = replace(target, number=0, action=Action.ROLLBACK, by=by, at=now, reason=reason)
    with interrupts.held():
        recorded = store.promote(record)
        promoter.publish(found, tag)
    return recorded
