"""What a word on the command line means: a stored snapshot, an image, what a channel points at, or a live host."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from imagetest.cli.common import content_of
from imagetest.config import wiring
from imagetest.config.settings import Settings
from imagetest.config.targets import PREBUILT, Target, expand, is_template, resolve
from imagetest.errors import EngineError, UsageError
from imagetest.model.image import Image
from imagetest.model.plan import BootPlan, Environment
from imagetest.model.promotion import Promotion
from imagetest.model.snapshot import Snapshot
from imagetest.policy import channels


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is to be looked at: one of four, and a live host when it is none of the first three."""

    what: str
    stored: Snapshot | None = None
    target: Target | None = None
    at: Promotion | None = None
    """What a channel points at."""
    plan: BootPlan = field(default_factory=BootPlan)
    """How an image of either kind boots."""
    environment: Environment | None = None
    """Where the configuration lists a live host."""

    @property
    def is_image(self) -> bool:
        """Say whether a throwaway is booted from it."""
        return self.target is not None or self.at is not None

    @property
    def image(self) -> str:
        """Return the name of the image, as imagetest.toml and the registry write it; empty for a host."""
        if self.at is not None:
            return self.at.image
        if self.target is None:
            return ""
        return self.target.order.name if self.target.order else self.target.name

    @property
    def is_live(self) -> bool:
        """Say whether it is a host that is there."""
        return self.stored is None and not self.is_image


def understand(what: str, settings: Settings, *, stored: bool = False) -> Subject:
    """Return what a word means; with `stored`, it may name a file that holds a snapshot.

    Raises UsageError and DocumentError when it means nothing that can be looked at.
    """
    if what in settings.images or what.startswith(PREBUILT):
        return _of_image(what, what, settings)
    if promoted := _promoted(what, settings):
        return promoted
    if (content := content_of(what)) is not None and not _is_template(what, content):
        return _file(what, content, stored=stored)
    if is_template(Path(what)):
        return _of_image(what, what, settings)
    return _source(what, settings) or _live(what, settings)


def identify(at: Promotion) -> Image:
    """Return the image that a channel points at. Raises EngineError when it is not what was promoted."""
    driver = wiring.driver(at.kind)
    try:
        image = driver.identify(at.reference, name=at.image)
    finally:
        driver.close()
    if image.digest != at.digest:
        raise EngineError(f"{at.reference} is {image.digest} now, {at.digest} was promoted to {at.channel!r}")
    return image


def _is_template(what: str, content: bytes) -> bool:
    """Tell a template in JSON from a snapshot in JSON."""
    if not what.endswith(".json"):
        return is_template(Path(what))
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(parsed, dict) and "format" not in parsed


def _file(what: str, content: bytes, *, stored: bool) -> Subject:
    from imagetest.model.codec import decode_snapshot

    if not stored:
        raise UsageError(
            f"{what!r} is a file, and no template", hint="a stored snapshot is compared by 'imagetest diff'"
        )
    return Subject(what=what, stored=decode_snapshot(content, origin=what))


def _of_image(image: str, what: str, settings: Settings) -> Subject:
    """Return an image's only cell, or the one that is meant. Raises UsageError when it has none of that name."""
    found = _cells(image, settings)
    chosen = found if len(found) == 1 and what == image else [one for one in found if one.name == what]
    if not chosen:
        names = ", ".join(one.name for one in found)
        raise UsageError(f"{image!r} stands for several images", hint=f"name one of {names}")
    return Subject(what=what, target=chosen[0], plan=chosen[0].plan)


def _source(what: str, settings: Settings) -> Subject | None:
    """Understand IMAGE.SOURCE, and whatever else names a cell of an image's matrix; a host may be called alike."""
    images = [name for name in settings.images if what.startswith(f"{name}.")]
    if not images:
        return None
    image = max(images, key=len)
    meant = image == what.rpartition(".")[0] or any(one.name == what for one in _cells(image, settings))
    return _of_image(image, what, settings) if meant else None


def _cells(image: str, settings: Settings) -> tuple[Target, ...]:
    target = resolve(image, settings)
    return expand(target, settings, wiring.builder().sources(target.order) if target.order else ())


def _promoted(what: str, settings: Settings) -> Subject | None:
    """Understand CHANNEL and IMAGE@CHANNEL."""
    image, at, channel = what.rpartition("@")
    if channel not in settings.channels:
        return None
    history = wiring.store(settings).history(channel)
    known = channels.images(history, channel=channel)
    name = image if at else _only_image(known, channel)
    entry = channels.current(history, channel=channel, image=name)
    if entry is None:
        raise UsageError(
            f"channel {channel!r} points at no {name!r}", hint=f"it held {', '.join(known) or 'nothing so far'}"
        )
    plan = resolve(name, settings).plan if name in settings.images else BootPlan(driver=entry.kind)
    return Subject(what=what, at=entry, plan=plan)


def _only_image(known: Sequence[str], channel: str) -> str:
    if not known:
        raise UsageError(f"nothing was ever promoted to channel {channel!r}")
    if len(known) > 1:
        raise UsageError(f"channel {channel!r} holds {', '.join(known)}", hint=f"say which: IMAGE@{channel}")
    return known[0]


def _live(what: str, settings: Settings) -> Subject:
    if not what.strip() or what.startswith("-") or "/" in what:
        raise UsageError(
            f"there is no {what!r}",
            hint="expected an image of imagetest.toml, a template, docker:REFERENCE, qemu:DISK, a channel or a host",
        )
    found = Subject(what=what)
    for environment in settings.environments.values():
        if any(what in group.hosts for group in environment.groups):
            return replace(found, environment=environment)
    return found
