"""Hold the machines of a run against each other: the image against production, its platforms against the first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from imagetest.config import wiring
from imagetest.config.settings import Settings
from imagetest.config.targets import Target
from imagetest.errors import ImagetestError
from imagetest.model.finding import Check
from imagetest.model.parity import Comparison, Parity, ParityKind
from imagetest.model.snapshot import Snapshot
from imagetest.pipeline.snapshot import take
from imagetest.policy import parity
from imagetest.policy.parity import Answer
from imagetest.pytest_plugin.against import Against, Tested
from imagetest.pytest_plugin.changes import Changes
from imagetest.pytest_plugin.machines import Machines


class References:
    """The state of each image under test just after its boot, for whatever is held against it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._told: dict[str, Snapshot | str] = {}

    def remember(self, machines: Machines, name: str) -> None:
        """Take an image's snapshot, once; why it cannot be had is remembered as well."""
        if name in self._told:
            return
        scope = replace(self._settings.scope, brought=machines.brought(name))
        digest = machines.verifications[name].image.digest
        try:
            self._told[name] = take(machines.shell(name), wiring.collectors(), subject=name, digest=digest, scope=scope)
        except ImagetestError as error:
            self._told[name] = str(error)

    def get(self, name: str) -> Snapshot | str:
        """Return an image's snapshot, or why there is none."""
        return self._told.get(name, "it was not booted")


class Platforms:
    """The images that one template bakes for several platforms."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self._siblings: dict[str, list[Target]] = defaultdict(list)
        for target in targets:
            if target.order is not None:
                self._siblings[target.order.name].append(target)

    def wants(self, name: str) -> bool:
        """Say whether an image has siblings."""
        return any(name in {one.name for one in targets} for targets in self._siblings.values() if len(targets) > 1)

    def conclude(self, name: str, references: References) -> tuple[Parity, ...]:
        """Hold all images of a template against the first; each of them has the outcome in its assessment."""
        return tuple(
            self._held(template, targets, references)
            for template, targets in self._siblings.items()
            if name in {one.name for one in targets} and len(targets) > 1
        )

    @staticmethod
    def _held(template: str, targets: list[Target], references: References) -> Parity:
        first, *others = [one.name for one in targets]
        reference, allowances = references.get(first), targets[0].allowances
        if isinstance(reference, str):
            lost = tuple(Comparison(left=first, right=one, error=f"{first}: {reference}") for one in others)
            return Parity(kind=ParityKind.PLATFORM, name=template, comparisons=lost)
        answers = [_answer(one, references.get(one)) for one in others]
        return parity.against(ParityKind.PLATFORM, template, reference, answers, allowances, now=datetime.now(UTC))


def _answer(name: str, told: Snapshot | str) -> Answer:
    return Answer(host=name, error=told) if isinstance(told, str) else Answer(host=name, read=lambda: told)


class Parities:
    """Everything that the images of one run are held against."""

    def __init__(
        self, targets: Sequence[Target], settings: Settings, *, against: Sequence[str], platforms: bool
    ) -> None:
        self._references = References(settings)
        self._platforms = Platforms(targets) if platforms else None
        environments = [settings.environment(name) for name in against]
        images = [target.name for target in targets]
        self.live = Against(environments, images, settings) if environments else None

    def remember(self, machines: Machines, name: str) -> None:
        """Take the state of an image that was just booted, where anything is held against it."""
        siblings = self._platforms is not None and self._platforms.wants(name)
        if siblings or self.live_names(name):
            self._references.remember(machines, name)

    def live_names(self, image: str) -> list[str]:
        """Return what the tests call the live hosts that are held against an image."""
        return self.live.names(image) if self.live is not None else []

    def clear_checks(self, image: str, changes: Callable[[], Changes]) -> None:
        """Let the checks run on live hosts, if they changed nothing on the throwaway."""
        if self.live is None or not self.live.names(image):
            return
        try:
            harm = changes().harm
        except ImagetestError as error:
            harm = f"nobody knows what they change: {error}"
        self.live.clear(image, unsafe=f"no check ran there, as {harm}" if harm else "")

    def may_run(self, name: str, check: str, machines: Machines) -> bool:
        """Say whether a check runs on a live host; never where the image is not there to compare with."""
        if self.live is None or self.live.image(name) in machines.not_judged:
            return False
        image = self.live.image(name)
        verification, reference = machines.verifications.get(image), self._references.get(image)
        if verification is None or isinstance(reference, str):
            return False
        return self.live.may_run(name, check, verification.checks, rights_of=reference.user)

    def conclude(
        self, name: str, checks: Mapping[str, Check], collected: Mapping[str, Collection[str]]
    ) -> tuple[Parity, ...]:
        """Say whether all that is held against an image is like it; `collected` has each machine's checks."""
        found = self._platforms.conclude(name, self._references) if self._platforms is not None else ()
        if self.live is None:
            return found
        there = {check for live in self.live_names(name) for check in collected.get(live, ())}
        compared = {identity: check for identity, check in checks.items() if identity in there}
        return found + self.live.conclude(Tested(image=name, reference=self._references.get(name), checks=compared))

    def close(self) -> None:
        """Let go of the live hosts."""
        if self.live is not None:
            self.live.close()
