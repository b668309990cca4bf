"""Put the adapters that the configuration names behind the ports: the composition root."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from imagetest.config import plugins
from imagetest.config.apart import Spot, clash
from imagetest.config.settings import Settings
from imagetest.errors import ConfigError
from imagetest.execute.leases import Leases
from imagetest.execute.outlive import outlive
from imagetest.model.promotion import Promotion
from imagetest.pipeline.desk import Desk
from imagetest.policy import channels as policy
from imagetest.ports import Builder, Collector, Driver, Promoter, Reporter, Store

REAPED = "reaped.log"
"""What became of what killed processes had in an account."""


def builder(name: str = "packer") -> Builder:
    """Return a builder."""
    made: Builder = plugins.load("builders", name)()
    return made


def driver(name: str) -> Driver:
    """Return a driver."""
    made: Driver = plugins.load("drivers", name)()
    return made


def reporters() -> tuple[Reporter, ...]:
    """Return every reporter that is installed."""
    return tuple(plugins.load("reporters", name)() for name in plugins.names("reporters"))


def collectors() -> tuple[Collector, ...]:
    """Return every collector that is installed, in the order of their names."""
    return tuple(plugins.load("collectors", name)() for name in plugins.names("collectors"))


def promoter(kind: str) -> Promoter:
    """Return the promoter of a kind of image."""
    made: Promoter = plugins.load("promoters", kind)()
    return made


def desk(settings: Settings, channel: str, image: str, *, kind: str, registry: Store | None = None) -> Desk:
    """Return where an image of a kind is promoted into a channel. Raises ConfigError and PluginError."""
    return Desk(
        outlet=settings.outlet(channel, image),
        promoter=promoter(kind),
        store=registry if registry is not None else store(settings),
    )


def check_apart(settings: Settings, channel: str, images: Mapping[str, str], registry: Store) -> None:
    """Find out whether some images, given with their kinds, would be written over each other, or over what stands.

    A kind that is not known yet is empty. Raises ConfigError.
    """
    mine = [Spot(outlet=settings.outlet(channel, image), kind=kind) for image, kind in images.items()]
    found = clash(mine)
    if found is not None:
        raise ConfigError(str(found), hint=f"say '{{image}}' in the {found.what} of [channels.{channel}]")
    history = registry.history()
    standing = [policy.current(history, channel=one, image=image) for one, image in sorted(_held(history))]
    there = [
        Spot(outlet=settings.outlet(one.channel, one.image), kind=one.kind)
        for one in standing
        if one is not None and one.channel in settings.channels
    ]
    for spot in mine:
        for other in there:
            if (found := clash([other, spot])) is not None:
                at = other.outlet
                raise ConfigError(
                    f"{found}, where {at.image!r} stands",
                    hint=f"say '{{image}}' in the {found.what} of [channels.{channel}], or take away what stands: "
                    f"'imagetest revoke {at.channel} --image {at.image}'",
                )


def _held(history: Iterable[Promotion]) -> set[tuple[str, str]]:
    return {(one.channel, one.image) for one in history}


def store(settings: Settings) -> Store:
    """Return the registry, opened on first use."""
    from imagetest.registry.store import SqlStore

    return SqlStore(settings.registry_url)


def leases(settings: Settings) -> Leases:
    """Return the project's leases, with somebody to see to what a killed process leaves in an account."""
    folder = settings.state / "leases"
    reap = [sys.executable, "-m", "imagetest.cli.main", "reap"]
    if settings.file is not None:
        reap += ["--config", str(settings.file)]
    return Leases(
        folder, outlive=lambda: outlive(folder, *reap, cwd=settings.project, log=settings.state / "logs" / REAPED)
    )  # fmt: skip
