"""A channel of one image: what is recorded of it, what it is read by, and how the two are brought together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC

from imagetest.errors import ImagetestError, InfrastructureError
from imagetest.execute.interrupts import interrupts
from imagetest.model.image import Image
from imagetest.model.outlet import Outlet
from imagetest.model.promotion import Placement, Promotion
from imagetest.policy import channels, retention
from imagetest.ports import Promoter, Retiring, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where an image of one kind is published, by what, and where that is written down."""

    outlet: Outlet
    promoter: Promoter
    store: Store

    def recorded(self) -> Outlet:
        """Return the outlet with what tells its registry from others that have a channel of the same name.

        That is its first record, which stays the same for as long as the registry does.
        """
        first = next(iter(self.store.history()), None)
        if first is None:
            return self.outlet
        told = f"{first.assessment_id} {first.at.astimezone(UTC).isoformat()} {first.by}"
        return replace(self.outlet, registry=hashlib.sha256(told.encode()).hexdigest())

    def standing(self) -> Promotion | None:
        """Return the record that the channel stands at; None when it stands at nothing."""
        channel, image = self.outlet.channel, self.outlet.image
        return channels.current(self.store.history(channel), channel=channel, image=image)


def enter(entry: Promotion, placements: Sequence[Placement], desk: Desk) -> Promotion:
    """Record what was placed, point the channel at it, and look after what the channel held before."""
    with interrupts.held():
        recorded = desk.store.promote(replace(entry, placements=tuple(placements)))
        point(desk, recorded.kind)
    retire(desk, recorded)
    return recorded


def point(desk: Desk, kind: str) -> None:
    """Point the channel at what its records say now, or at nothing where they say so.

    Whoever promoted or revoked at the same time may have recorded last and published first: each looks again after it
    has published, so that the last one leaves the channel as the registry has it.
    """
    channel, image = desk.outlet.channel, desk.outlet.image
    outlet = desk.recorded()
    told: list[Promotion | None] = []
    while True:
        history = desk.store.history(channel)
        standing = channels.current(history, channel=channel, image=image)
        if standing in told[-1:] or (standing is not None and standing.kind != kind):
            return
        if standing is not None:
            desk.promoter.publish(image_of(standing), outlet, standing.placements)
        elif last := channels.newest(history, channel=channel, image=image):
            desk.promoter.withdraw(outlet, retention.everywhere(history, last))
        told.append(standing)


def retire(desk: Desk, entry: Promotion) -> None:
    """Retire what was superseded. Raises InfrastructureError, which says that the promotion itself is done."""
    if not isinstance(desk.promoter, Retiring):
        return
    channel = desk.outlet.channel
    keep = desk.outlet.ami.keep if desk.outlet.ami else None
    try:
        earlier = _superseded(desk, entry)
        history = _history(desk, entry)
        surplus = retention.surplus(history, channel=channel, image=entry.image, keep=keep) if keep is not None else ()
        desk.promoter.retire(desk.recorded(), earlier, surplus)
    except ImagetestError as error:
        raise InfrastructureError(
            f"{entry.image!r} is in {channel!r} as record {entry.number}, but what was there before was not retired: "
            f"{error}",
            hint=error.hint or "the same command again goes on with that",
        ) from error


def is_retired(desk: Desk, entry: Promotion) -> bool:
    """Say whether what was superseded is retired. Raises InfrastructureError when that cannot be told."""
    if not isinstance(desk.promoter, Retiring):
        return True
    return desk.promoter.retired(desk.recorded(), _superseded(desk, entry))


def _superseded(desk: Desk, entry: Promotion) -> tuple[Placement, ...]:
    return retention.superseded(_history(desk, entry), channel=desk.outlet.channel, image=entry.image)


def _history(desk: Desk, entry: Promotion) -> list[Promotion]:
    """Return all records of images of one kind: a name may have been another's."""
    return [one for one in desk.store.history() if one.kind == entry.kind]


def image_of(entry: Promotion) -> Image:
    """Return the image that a record is about."""
    return Image(name=entry.image, kind=entry.kind, reference=entry.reference, digest=entry.digest)
