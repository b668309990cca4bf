"""Which image a channel points at: a fold over its append-only history, and nothing that could disagree with it."""

from __future__ import annotations

from collections.abc import Iterable

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


def previous(history: Iterable[Promotion], *, channel: str, image: str) -> Promotion | None:
    """Return the newest promotion that a rollback may go back to: earlier, of other content, not revoked since."""
    entries = _of(history, channel, image)
    now = current(entries, channel=channel, image=image)
    revoked: set[str] = set()
    for entry in reversed(entries):
        if entry.action is Action.REVOKE:
            revoked.add(entry.digest)
        elif entry.digest not in revoked and (
            now is None or (entry.digest != now.digest and entry.number < _first(entries, now))
        ):
            return entry
    return None


def images(history: Iterable[Promotion], *, channel: str) -> list[str]:
    """Return the names of the images that a channel ever held."""
    return sorted({entry.image for entry in history if entry.channel == channel})


def _of(history: Iterable[Promotion], channel: str, image: str) -> list[Promotion]:
    entries = [entry for entry in history if entry.channel == channel and entry.image == image]
    return sorted(entries, key=lambda entry: entry.number)


def _first(entries: list[Promotion], now: Promotion) -> int:
    """Return the number of the promotion that first brought the content which is current now."""
    return min(entry.number for entry in entries if entry.digest == now.digest and entry.action is Action.PROMOTE)
