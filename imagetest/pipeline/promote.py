"""Let an image into a channel: the only way is an open verdict over the very bytes that were tested."""

from __future__ import annotations

from datetime import datetime

from imagetest.errors import GateClosedError
from imagetest.model.assessment import Assessment, Verdict
from imagetest.model.codec import Document, encode
from imagetest.model.image import Image
from imagetest.model.outlet import Evidence
from imagetest.model.promotion import Action, Promotion
from imagetest.pipeline.desk import Desk, enter
from imagetest.policy import channels
from imagetest.ports import Driver, Store


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
    return enter(entry, desk.promoter.place(image, outlet, evidence), desk)


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
