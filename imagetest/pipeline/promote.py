"""Let an image into a channel: the only way is an open verdict over the very bytes that were tested."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from imagetest.errors import GateClosedError, InfrastructureError, UsageError
from imagetest.execute.interrupts import interrupts
from imagetest.model.assessment import Assessment, Verdict
from imagetest.model.codec import Document, encode
from imagetest.model.image import Image
from imagetest.model.outlet import Evidence, Outlet
from imagetest.model.promotion import Action, Promotion
from imagetest.policy import channels, retention
from imagetest.ports import Driver, Promoter, Retiring, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where an image of one kind is published, by what, and where that is written down."""

    outlet: Outlet
    promoter: Promoter
    store: Store


def promote(
    assessment: Assessment, verdict: Verdict, *, desk: Desk, driver: Driver, by: str, now: datetime, despite: str = ""
) -> Promotion:
    """Bring the content to where the channel is read, record the promotion, then point the channel at it.

    The record stands between the two: it says where the content was brought, and a pointer without a record would be a
    promotion that nobody can account for. A record whose pointer was not moved is mended by promoting again. Content
    that was revoked comes back only `despite` that, for a reason that is recorded. Raises GateClosedError when the
    verdict is closed, the content was revoked, or the artifact is no longer what was tested.
    """
    image, outlet = assessment.image, desk.outlet
    if not verdict.open:
        reasons = "; ".join(objection.message for objection in verdict.objections[:3])
        raise GateClosedError(f"{image.name!r} is not promoted to {outlet.channel!r}: {reasons}")
    desk.promoter.check(outlet)
    _still_the_same(image, driver)
    _not_revoked(image, outlet.channel, desk.store, despite)
    document = encode(Document(assessment=assessment, verdict=verdict))
    evidence = Evidence(assessment_id=assessment.id, document=document)
    entry = Promotion(
        number=0, channel=outlet.channel, action=Action.PROMOTE, image=image.name, kind=image.kind,
        reference=image.reference, digest=image.digest, assessment_id=assessment.id, gate=verdict.gate, by=by, at=now,
        reason=despite,
    )  # fmt: skip
    return _enter(entry, desk, evidence)


def _enter(entry: Promotion, desk: Desk, evidence: Evidence) -> Promotion:
    """Place, record, publish, and look after what the channel held before."""
    placements = desk.promoter.place(_image(entry), desk.outlet, evidence)
    with interrupts.held():
        recorded = desk.store.promote(replace(entry, placements=placements))
        _point(desk, recorded.image, recorded.kind)
    _retire(desk, recorded)
    return recorded


def _point(desk: Desk, image: str, kind: str) -> None:
    """Point the channel at what its records say now.

    Whoever promoted at the same time may have recorded last and published first: each looks again after it has
    published, so that the last one leaves the channel as the registry has it.
    """
    channel, published = desk.outlet.channel, None
    while True:
        standing = channels.current(desk.store.history(channel), channel=channel, image=image)
        if standing is None or standing.kind != kind or standing == published:
            return
        desk.promoter.publish(_image(standing), desk.outlet, standing.placements)
        published = standing


def _retire(desk: Desk, entry: Promotion) -> None:
    """Retire what was superseded. Raises InfrastructureError, which says that the promotion itself is done."""
    if not isinstance(desk.promoter, Retiring):
        return
    channel = desk.outlet.channel
    history = [one for one in desk.store.history() if one.kind == entry.kind]  # a name may have been another platform's
    keep = desk.outlet.ami.keep if desk.outlet.ami else None
    earlier = retention.superseded(history, channel=channel, image=entry.image)
    surplus = retention.surplus(history, channel=channel, image=entry.image, keep=keep) if keep is not None else ()
    try:
        desk.promoter.retire(desk.outlet, earlier, surplus)
    except InfrastructureError as error:
        raise InfrastructureError(
            f"{entry.image!r} is in {channel!r} as record {entry.number}, but what was there before was not retired: "
            f"{error}",
            hint=error.hint or "promote it again to go on with that",
        ) from error


def _image(entry: Promotion) -> Image:
    return Image(name=entry.image, kind=entry.kind, reference=entry.reference, digest=entry.digest)


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


def revoke(entry: Promotion, *, desk: Desk, by: str, reason: str, now: datetime) -> Promotion:
    """Take an image out of a channel, which then points at nothing until another is promoted or rolled back to."""
    desk.promoter.check(desk.outlet)
    record = replace(entry, number=0, action=Action.REVOKE, by=by, at=now, reason=reason)
    with interrupts.held():
        recorded = desk.store.promote(record)
        standing = channels.current(desk.store.history(entry.channel), channel=entry.channel, image=entry.image)
        if standing is None:
            desk.promoter.withdraw(desk.outlet, entry.placements)
    return recorded


def rollback(*, desk: Desk, driver: Driver, by: str, reason: str, now: datetime) -> Promotion:
    """Point a channel at the image that it held before; what is gone of its places is made again.

    Raises UsageError when there is none, and GateClosedError when that image is not what it was.
    """
    channel, image = desk.outlet.channel, desk.outlet.image
    target = channels.previous(desk.store.history(channel), channel=channel, image=image)
    if target is None:
        raise UsageError(
            f"channel {channel!r} held no other {image!r} that was not revoked",
            hint="'imagetest history' shows what it held",
        )
    desk.promoter.check(desk.outlet)
    found = driver.identify(target.reference, name=image)
    if found.digest != target.digest:
        raise GateClosedError(f"{target.reference} is {found.digest} now, {target.digest} was promoted")
    record = replace(target, number=0, action=Action.ROLLBACK, by=by, at=now, reason=reason)
    document = desk.store.document(target.assessment_id)
    return _enter(record, desk, Evidence(assessment_id=target.assessment_id, document=document or b""))
