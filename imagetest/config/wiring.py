"""Put the adapters that the configuration names behind the ports: the composition root."""

from __future__ import annotations

from imagetest.config import plugins
from imagetest.config.settings import Settings
from imagetest.execute.leases import Leases
from imagetest.pipeline.desk import Desk
from imagetest.ports import Builder, Collector, Driver, Promoter, Reporter, Store


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


def store(settings: Settings) -> Store:
    """Return the registry, opened on first use."""
    from imagetest.registry.store import SqlStore

    return SqlStore(settings.registry_url)


def leases(settings: Settings) -> Leases:
    """Return the project's leases."""
    return Leases(settings.state / "leases")
