"""The states that the checks compare, and the machines that several of them share."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from imagetest.config import plugins
from imagetest.model.image import Image
from imagetest.model.instance import Boot
from imagetest.model.plan import Scope
from imagetest.model.snapshot import Snapshot
from imagetest.pytest_plugin.throwaways import Factory, Throwaway, Wish

from .declared import Declared

WHOLE = Scope(roots=(*Scope().roots, "/home", "/var"), listed=("/",))
"""Every file, with its content where it is no program; those of packages are held against their packages."""

OF_THE_IMAGE = frozenset({"package-files"})
"""Families that are compared as the image has them: what is changed since is seen by its date."""

SKEW = 5.0
"""Seconds by which the machine's clock may be behind ours."""

ASLEEP = frozenset({"listeners", "sshd"})
"""Families that only a running machine has: an SSH server does not say its settings before it has host keys."""

OF_TWINS = frozenset(
    {"phoenix-hermetic-boot", "phoenix-boot-budget", "phoenix-reboot", "phoenix-twins", "phoenix-no-environment"}
)
"""Controls that look at the twins."""

FAILED = "systemctl list-units --state=failed --plain --no-legend --no-pager | cut -d' ' -f1"

SETTLE = 20.0
"""Seconds that units which start late are waited for."""


def at_rest() -> Scope:
    """Return what is looked at before the first boot."""
    return replace(WHOLE, only=_all_but(ASLEEP))


def running(boot: Boot) -> Scope:
    """Return what is looked at on a machine that came up so: whatever was written since is compared by content."""
    since = boot.started.timestamp() - SKEW if boot.started else 0.0
    return Scope(listed=("/",), changed_since=since, only=_all_but(OF_THE_IMAGE))


def _all_but(names: frozenset[str]) -> tuple[str, ...]:
    return tuple(name for name in plugins.names("collectors") if name not in names)


def shipped(throwaway: Factory) -> Snapshot:
    """Return the state of the image under test before its first boot."""
    return throwaway.shared("shipped", _shipped)


def _shipped(factory: Factory) -> Snapshot:
    return opened(factory, label="shipped")


def opened(factory: Factory, *, image: Image | None = None, label: str) -> Snapshot:
    """Return the state of an image before its first boot."""
    machine = factory(rest=True, image=image, label=label)
    try:
        return machine.snapshot(at_rest())
    finally:
        factory.owner.destroy([machine])


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two instances that were booted alike, and the state of each then."""

    machines: tuple[Throwaway, ...]
    first_boots: tuple[Boot, ...]
    states: tuple[Snapshot, ...]
    failed: tuple[frozenset[str], ...]
    """The units that had failed on each."""


def twins(throwaway: Factory) -> Pair:
    """Return two instances of the image; the first one is left as it is, the second one may be rebooted."""
    return throwaway.shared("twins", _twins)


def _twins(factory: Factory) -> Pair:
    machines = factory.together(Wish(label="twin"), Wish(label="twin"))
    return Pair(
        machines=machines,
        first_boots=tuple(one.boot for one in machines),
        failed=tuple(settled(one) for one in machines),
        states=factory.owner.side_by_side(*(one.host for one in machines), scope=running(machines[0].boot)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebooted:
    """What an instance was like after a reboot."""

    boot: Boot
    worse: frozenset[str]
    """The units that failed and had not failed before."""
    before: Snapshot
    after: Snapshot


def rebooted(throwaway: Factory) -> Rebooted:
    """Return what became of the second twin when it was rebooted. Raises BootError when it did not come back."""
    return throwaway.shared("rebooted", _rebooted)


def _rebooted(factory: Factory) -> Rebooted:
    pair = twins(factory)
    machine = pair.machines[1]
    boot = machine.reboot()
    factory.owner.remember(boot)
    worse = settled(machine) - pair.failed[1]
    return Rebooted(boot=boot, worse=worse, before=pair.states[1], after=machine.snapshot(running(pair.first_boots[1])))


def environments(declared: Declared) -> tuple[str, Callable[[Factory], tuple[Snapshot, ...]]]:
    """Return what boots an instance with the settings of each environment and tells their states, and its name."""
    wishes = [Wish(label=name, environment=one) for name, one in (declared.environments or {}).items()]

    def make(factory: Factory) -> tuple[Snapshot, ...]:
        machines = factory.together(*wishes)
        states = factory.owner.side_by_side(*(one.host for one in machines), scope=running(machines[0].boot))
        factory.owner.destroy(machines)
        return states

    return "environments", make


def begin(throwaway: Factory, coming: Collection[str], declared: Declared) -> None:
    """Begin the work of the checks whose controls are still to come, so that they find it done."""
    throwaway.ahead("shipped", _shipped)
    if OF_TWINS.intersection(coming):
        throwaway.ahead("twins", _twins)
    if "phoenix-no-environment" in coming and declared.environments:
        throwaway.ahead(*environments(declared))
    if "phoenix-reboot" in coming:
        throwaway.ahead("rebooted", _rebooted)


def settled(machine: Throwaway) -> frozenset[str]:
    """Wait until no unit is on its way up, and return those that failed; nothing where systemd does not run it."""
    if machine.boot.init != "systemd":
        return frozenset()
    host, deadline = machine.host, time.monotonic() + SETTLE
    while host.run("systemctl list-jobs --no-legend | grep -q .").rc == 0 and time.monotonic() < deadline:
        time.sleep(0.1)
    return frozenset(host.check_output(FAILED).split())
