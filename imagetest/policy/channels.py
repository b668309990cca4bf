"""Which image a channel points at: a fold over its append-only history, and nothing that could disagree with it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

from imagetest.model.promotion import Action, Promotion


def current(history: Iterable[Promotion], *, channel: str, image: str) -> Promotion | None:
    """Return the record that a channel stands at for an image; None when it never had one, or the last was revoked."""
    at: Promotion | None = None
    for entry in _of(history, channel, image):
        if entry.action is not Action.REVOKE:
            at = entry
        elif at is not None and at.digest == entry.digest:
            at = None
    return at


def previous(history: Iterable[Promotion], *, channel: str, image: str, gone: Collection[str] = ()) -> Promotion | None:
    """Return the newest promotion that a rollback may go back to: earlier, of other content, not revoked since.

    What has one of the digests that are `gone` is passed over.
    """
    entries = _of(history, channel, image)
    now = current(entries, channel=channel, image=image)
    limit = _places(entries)[now.number] if now else math.inf
    revoked: set[str] = set(gone)
    for entry in reversed(entries):
        if entry.action is Action.REVOKE:
            revoked.add(entry.digest)
        elif entry.number < limit and entry.digest not in revoked and (now is None or entry.digest != now.digest):
            return entry
    return None


def numbered(history: Iterable[Promotion], number: int, *, channel: str, image: str) -> Promotion | None:
    """Return the record with a number where the channel may go back to it: no revoke, and its content not revoked."""
    entries = _of(history, channel, image)
    for entry in entries:
        if entry.number == number and entry.action is not Action.REVOKE:
            return None if revoked(entries, channel=channel, image=image, digest=entry.digest) else entry
    return None


def revoked(history: Iterable[Promotion], *, channel: str, image: str, digest: str) -> Promotion | None:
    """Return the record that took this content out of a channel, unless somebody put it back in spite of that."""
    entries = [entry for entry in _of(history, channel, image) if entry.digest == digest]
    return entries[-1] if entries and entries[-1].action is Action.REVOKE else None


def newest(history: Iterable[Promotion], *, channel: str, image: str) -> Promotion | None:
    """Return the last record of an image in a channel, whatever it says; None when there is none."""
    entries = _of(history, channel, image)
    return entries[-1] if entries else None


def images(history: Iterable[Promotion], *, channel: str) -> list[str]:
    """Return the names of the images that a channel ever held."""
    return sorted({entry.image for entry in history if entry.channel == channel})


def _of(history: Iterable[Promotion], channel: str, image: str) -> list[Promotion]:
    entries = [entry for entry in history if entry.channel == channel and entry.image == image]
    return sorted(entries, key=lambda entry: entry.number)


def _places(entries: list[Promotion]) -> dict[int, int]:
    """Return which promotion each record stands for, so that going back again goes on from there and never forth.

    That is a promotion's own number, and for a rollback the place of the record that it went back to.
    """
    places: dict[int, int] = {}
    limit: float = math.inf
    for position, entry in enumerate(entries):
        if entry.action is Action.REVOKE:
            limit = limit if current(entries[: position + 1], channel=entry.channel, image=entry.image) else math.inf
            continue
        earlier = [
            places[one.number]
            for one in entries[:position]
            if one.number in places and one.number < limit and one.digest == entry.digest
        ]
        went_back = entry.action is Action.ROLLBACK and earlier
        places[entry.number] = limit = earlier[-1] if went_back else entry.number
    return places
