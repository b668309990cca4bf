"""Which of the images that a channel held may go: never one that any channel stands at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from imagetest.model.promotion import Action, Placement, Promotion
from imagetest.policy import channels


def superseded(history: Sequence[Promotion], *, channel: str, image: str) -> tuple[Placement, ...]:
    """Return where everything lies that a channel held of an image and that no channel stands at, newest first."""
    return _places(history, _earlier(history, channel, image), but=_standing(history))


def surplus(history: Sequence[Promotion], *, channel: str, image: str, keep: int) -> tuple[Placement, ...]:
    """Return what of it lies beyond the `keep` newest that there is to go back to.

    What was revoked is nothing to go back to and does not count, but stays as long as something older does. Whatever
    any other channel or image ever held stays too: its own rule is not this one.
    """
    kept = list(_newest(history, _earlier(history, channel, image), keep))
    for other, name in sorted({(one.channel, one.image) for one in history} - {(channel, image)}):
        kept += _earlier(history, other, name)
    stay = _standing(history).union(_places(history, kept, but=set()))
    return _places(history, _earlier(history, channel, image), but=stay)


def everywhere(history: Sequence[Promotion], entry: Promotion) -> tuple[Placement, ...]:
    """Return wherever its channel ever held an image of a record's name and kind: any of it may be pointed at still."""
    records = [one for one in history if (one.channel, one.image, one.kind) == (entry.channel, entry.image, entry.kind)]
    return tuple(dict.fromkeys(place for one in reversed(records) for place in one.placements))


def _newest(history: Sequence[Promotion], entries: list[Promotion], keep: int) -> list[Promotion]:
    """Return the newest of some records, of which `keep` were not revoked."""
    good = 0
    for position, entry in enumerate(entries):
        if good == keep:
            return entries[:position]
        out = channels.revoked(history, channel=entry.channel, image=entry.image, digest=entry.digest)
        good += out is None
    return entries


def _earlier(history: Iterable[Promotion], channel: str, image: str) -> list[Promotion]:
    """Return the newest record of each content that a channel held and does not stand at, newest first."""
    entries = [one for one in history if one.channel == channel and one.image == image]
    now = channels.current(entries, channel=channel, image=image)
    found: dict[str, Promotion] = {}
    for entry in sorted(entries, key=lambda one: -one.number):
        if entry.action is not Action.REVOKE and (now is None or entry.digest != now.digest):
            found.setdefault(entry.digest, entry)
    return list(found.values())


def _standing(history: Sequence[Promotion]) -> set[Placement]:
    """Return where everything lies that some channel stands at."""
    at = [
        channels.current(history, channel=channel, image=image)
        for channel, image in sorted({(entry.channel, entry.image) for entry in history})
    ]
    return set(_places(history, [entry for entry in at if entry is not None], but=set()))


def _places(
    history: Iterable[Promotion], entries: Iterable[Promotion], *, but: set[Placement]
) -> tuple[Placement, ...]:
    """Return wherever the content of some records was ever brought for their channels, each place once."""
    wanted = [(entry.channel, entry.image, entry.digest) for entry in entries]
    records = list(history)
    found = dict.fromkeys(
        place
        for key in wanted
        for one in records
        if (one.channel, one.image, one.digest) == key
        for place in one.placements
    )
    return tuple(place for place in found if place not in but)
