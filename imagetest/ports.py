"""The seams: what the use cases ask of the world, as protocols and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

import paramiko

from imagetest.execute.keys import KeyPair
from imagetest.model.assessment import Assessment, Verdict
from imagetest.model.image import Bake, Image, Input
from imagetest.model.instance import Boot, Instance
from imagetest.model.outlet import Evidence, Outlet
from imagetest.model.plan import BakeOrder, BootPlan, Scope
from imagetest.model.promotion import Leftover, Placement, Promotion
from imagetest.model.snapshot import Family, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A step of a bake or a boot, to be shown while it happens."""

    subject: str
    """What it is about, such as a source of a template."""
    text: str
    detail: bool = False
    """True for what only a verbose run shows."""


Progress = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredients:
    """All that a bake of one source depends on."""

    source: str
    inputs: tuple[Input, ...]
    unknown: tuple[str, ...]
    base: str
    secrets: tuple[str, ...] = ()
    """Values to mask wherever they appear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """What a builder made of one source."""

    source: str
    kind: str
    reference: str


Claim = Callable[[str, str], None]
"""Called with the kind and the name of what a builder is about to make, or has just heard of, and will remove.

Of an image, whose kind begins with `image:`, it is what `discard` of that driver takes; it stays if the bake succeeds.
"""


class Builder(Protocol):
    """Makes images from templates."""

    name: str

    def version(self) -> str:
        """Return the builder's version. Raises ProcessError when it is not installed."""
        ...

    def sources(self, order: BakeOrder) -> tuple[str, ...]:
        """Return the names of the sources that the order bakes. Raises ConfigError when there are none."""
        ...

    def ingredients(self, order: BakeOrder) -> tuple[Ingredients, ...]:
        """Return what each source depends on."""
        ...

    def build(
        self,
        order: BakeOrder,
        sources: Sequence[str],
        *,
        log: Path,
        secrets: Sequence[str],
        progress: Progress,
        claim: Claim,
    ) -> tuple[Artifact, ...]:
        """Bake some sources and return one artifact for each. Raises BakeError with what the builder reported."""
        ...

    def repeat(
        self,
        order: BakeOrder,
        source: str,
        *,
        base: str,
        log: Path,
        secrets: Sequence[str],
        progress: Progress,
        claim: Claim,
    ) -> Artifact:
        """Bake one source once more and publish nothing: no post-processor runs.

        With a `base`, which is an image that the builder can start from, the provisioners run on that. Raises
        ConfigError, with the reason, where the template cannot be baked so, and BakeError.
        """
        ...


class Connection(Protocol):
    """The two keys that one boot uses."""

    host: KeyPair
    user: KeyPair


@dataclass(frozen=True, slots=True, kw_only=True)
class Booted:
    """An instance that is up."""

    instance: Instance
    boot: Boot
    transport: paramiko.Transport | None = None
    """A connection that is open already, for whoever runs the first command."""
    brought: tuple[str, ...] = ()
    """Public keys that were placed in it for the run, `ssh-ed25519 AAAA...`."""
    keep: Callable[[], None] = lambda: None
    """Has the instance outlive this process, where it would end with it."""
    close: Callable[[], None] = lambda: None
    """Ends what the driver runs on this side for the instance, such as a gateway."""
    until: datetime | None = None
    """When it ends by itself, whoever is left; None where it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The keys of one boot, made before the instance is."""

    host: KeyPair
    user: KeyPair
    key_file: Path


class Driver(Protocol):
    """Boots images as throwaway machines."""

    name: str

    def identify(self, reference: str, *, name: str) -> Image:
        """Read the artifact and return what it is now. Raises EngineError when it is not there."""
        ...

    def boot(self, image: Image, plan: BootPlan, *, resource: str, access: Access, progress: Progress) -> Booted:
        """Boot an instance called `resource` and wait until it is ready.

        Raises BootError, with the machine's last words, when it does not come up. Whatever happened, `destroy` of the
        same resource leaves nothing.
        """
        ...

    def restart(self, up: Booted, image: Image, plan: BootPlan, *, access: Access, progress: Progress) -> Booted:
        """Reboot an instance that `boot` made, with what it was booted with, and wait until it is ready again.

        It keeps its files and its host key; whatever ran is gone. The connections of before are closed. Raises
        BootError when it does not go down or does not come back.
        """
        ...

    def rest(self, image: Image, *, resource: str, access: Access) -> Booted:
        """Make the image's file system reachable as it shipped: nothing of its own started, nothing brought in."""
        ...

    def destroy(self, resource: str) -> None:
        """Remove an instance; one that is not there is fine. Raises LeakError when it cannot be removed."""
        ...

    def discard(self, reference: str) -> None:
        """Remove an image that was made for one run alone; one that is not there is fine. Raises LeakError."""
        ...

    def last_words(self, resource: str) -> str:
        """Return the last lines that the machine logged, and its exit code where it ended."""
        ...

    def close(self) -> None:
        """Let go of what the driver holds on this side, such as connections; instances are not touched."""
        ...


@runtime_checkable
class Reattaching(Protocol):
    """A driver that can reach an instance again which an earlier process left up; not every one can."""

    def attach(self, instance: Instance, boot: Boot, *, image: Image, plan: BootPlan, access: Access) -> Booted:
        """Connect to an instance that was booted from this image by this plan, with the keys of that boot.

        `boot` is the record of that boot. Raises an InfrastructureError when it is not there, is of another image, or
        does not answer.
        """
        ...


@runtime_checkable
class Cloning(Protocol):
    """A driver that can have several instances go on from one booted state; not every one can."""

    def clone(
        self,
        image: Image,
        plan: BootPlan,
        *,
        resource: str,
        access: Access,
        progress: Progress,
        claim: Callable[[str], None],
    ) -> Booted:
        """Make an instance called `resource` that has not booted: it goes on from where another one was ready.

        Its clock is right, its randomness its own; machine-id, boot-id, host key and keys are those of the other. Its
        boot says that it is a clone. `claim` is called with the name of what it has to make for that, and keeps for
        the clones to come, before it is made: `destroy` removes that too. Raises BootError.
        """
        ...


@runtime_checkable
class Placing(Protocol):
    """A driver whose instances are in one of several places, such as regions.

    It is given names that end in `@PLACE`, so that a later process can remove what they name.
    """

    def place(self, image: Image) -> str:
        """Return where instances of an image are. Raises ImagetestError where that cannot be told."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What a place holds that nobody may need any more."""

    resources: tuple[str, ...]
    """The names of what is past its expiry, for `destroy`."""
    images: tuple[str, ...] = ()
    """The references of images that a bake made which never came to its end, for `discard`."""
    unreadable: tuple[str, ...] = ()
    """What says no time at which it expires, in words: it stays, and somebody has to look at it."""


@runtime_checkable
class Expiring(Protocol):
    """A driver whose instances carry their expiry themselves, so that they are found without a lease."""

    def expired(self, where: str, now: datetime) -> Expired:
        """Return what is past its expiry in a place, whoever made it."""
        ...

    def settle(self, reference: str) -> None:
        """Have an image stay that carried an expiry while it was baked. Raises EngineError when that cannot be."""
        ...


class Collector(Protocol):
    """Reads one family of facts of a machine, and never changes it."""

    name: str
    """The family: `packages`."""

    def script(self, scope: Scope) -> str:
        """Return shell commands for a POSIX `sh`; each `ask NAME COMMAND ARGUMENT...` of them makes one part."""
        ...

    def read(self, parts: Mapping[str, Part]) -> Family:
        """Return the facts in the parts, and a gap for whatever a part does not tell."""
        ...


class Reporter(Protocol):
    """Renders an assessment and its verdict as one file; it decides nothing."""

    filename: str
    """The name of the file, without a folder: `report.html`."""

    def render(self, assessment: Assessment, verdict: Verdict) -> bytes:
        """Return the whole content of the file."""
        ...


class Promoter(Protocol):
    """Publishes images of one kind: first the content, under names of its own, then what a channel points at.

    Whatever it does can be done again, after a failure at any point too, and ends in the same state.
    """

    def check(self, outlet: Outlet) -> None:
        """Find out whether the channel takes images of this kind. Raises ConfigError when it does not."""
        ...

    def place(self, image: Image, outlet: Outlet, evidence: Evidence) -> tuple[Placement, ...]:
        """Bring the content to where the channel is read, and say where that is; nobody is pointed at it yet.

        Raises GateClosedError when it is not what was tested, and InfrastructureError when it cannot be brought.
        """
        ...

    def publish(self, image: Image, outlet: Outlet, placements: Sequence[Placement]) -> None:
        """Point the channel at what was placed, and read that back. Raises InfrastructureError when it cannot."""
        ...

    def stands(self, image: Image, outlet: Outlet, placements: Sequence[Placement]) -> bool:
        """Say whether the channel points at what was placed, wherever it is read, as after `publish`."""
        ...

    def withdraw(self, outlet: Outlet, placements: Sequence[Placement]) -> None:
        """Have the channel point at nothing; the content stays.

        `placements` are all that it ever held of the image, newest first: a promotion that failed halfway leaves it
        pointing at an earlier one. Raises InfrastructureError when it cannot.
        """
        ...


@runtime_checkable
class Retiring(Protocol):
    """A promoter that looks after what a channel held before; not every one does."""

    def retire(self, outlet: Outlet, superseded: Sequence[Placement], surplus: Sequence[Placement]) -> None:
        """Deprecate what was superseded, and remove what is surplus unless somebody still uses it.

        Raises InfrastructureError when it cannot.
        """
        ...

    def retired(self, outlet: Outlet, superseded: Sequence[Placement]) -> bool:
        """Say whether that was done with all that was superseded. Raises InfrastructureError when it cannot be told."""
        ...


@runtime_checkable
class Keeping(Protocol):
    """A promoter whose placements hold the content themselves, so that nobody needs what they were made of."""

    def kept(self, image: Image, outlet: Outlet, placements: Sequence[Placement]) -> tuple[Placement, ...]:
        """Return those that still hold the tested content where the channel is now; none when it must be placed again.

        Raises InfrastructureError when something else lies there.
        """
        ...


@runtime_checkable
class Tidying(Protocol):
    """A promoter whose placements carry an expiry until they are recorded; not every one's do."""

    def leftovers(self, where: str, now: datetime) -> tuple[Leftover, ...]:
        """Return what is past its expiry in a place such as a region, whoever brought it there."""
        ...

    def settle(self, where: str) -> None:
        """Take the expiry off what a record names. Raises InfrastructureError when it cannot."""
        ...

    def abandon(self, leftover: Leftover, now: datetime) -> bool:
        """Remove it unless it is in use, or past its expiry no more; say whether that was done."""
        ...


class Store(Protocol):
    """The registry: what was assessed and promoted, append-only."""

    def check(self) -> None:
        """Find out whether records can be appended. Raises RegistryError."""
        ...

    def record(self, assessment: Assessment, verdict: Verdict, document: bytes) -> None:
        """Remember an assessment. Raises RegistryError when it cannot be written."""
        ...

    def document(self, key: str) -> bytes | None:
        """Return the document of an assessment: by its id, by its SHA-256, or the newest of an image by its name."""
        ...

    def promote(self, promotion: Promotion) -> Promotion:
        """Append a record and return it with its number."""
        ...

    def history(self, channel: str | None = None) -> tuple[Promotion, ...]:
        """Return the records, oldest first."""
        ...


__all__ = [
    "Access", "Artifact", "Bake", "Booted", "Builder", "Cloning", "Collector", "Driver", "Event", "Expired", "Expiring",
    "Family", "Ingredients", "Keeping", "Part", "Placing", "Progress", "Promoter", "Reattaching", "Reporter",
    "Retiring", "Store", "Tidying",
]  # fmt: skip
