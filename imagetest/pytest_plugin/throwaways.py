"""Machines of a check's own: booted from the image under test, looked at, rebooted, and gone when the check is over."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import pytest
from testinfra.host import Host

from imagetest.config import wiring
from imagetest.config.settings import Settings
from imagetest.config.targets import Target
from imagetest.errors import ImagetestError, LeakError, MachineLostError
from imagetest.execute.interrupts import interrupts
from imagetest.model.drift import Allowance, Drift
from imagetest.model.image import Image
from imagetest.model.instance import Boot
from imagetest.model.plan import BootPlan, Scope
from imagetest.model.snapshot import Snapshot
from imagetest.pipeline.boot import Fleet
from imagetest.pipeline.rebake import Rebakes
from imagetest.pipeline.snapshot import take
from imagetest.policy import drift as judge
from imagetest.policy.wording import unread_words, words
from imagetest.ports import Booted, Progress
from imagetest.pytest_plugin.errands import Errands, broken_off
from imagetest.transport.backend import Backend, Switchboard
from imagetest.transport.line import Machine, reached
from imagetest.transport.shell import Answer

THROWAWAYS: pytest.StashKey[Callable[[], Throwaways]] = pytest.StashKey()
"""Where a run over an image keeps them in pytest's configuration."""

SIDE_BY_SIDE = 4
"""How many instances come up at the same time."""

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one throwaway is to be like; what is left out is as configured."""

    label: str = "throwaway"
    """What the evidence calls it, followed by a number."""
    image: Image | None = None
    """Another image than the one under test."""
    rest: bool = False
    """As the image is before its first boot."""
    clone: bool = False
    """Going on from one booted state, where the driver can: no boot of its own, and the same machine-id and keys."""
    environment: Mapping[str, str] | None = None
    """Environment variables besides those that are configured."""
    network: Literal["default", "none"] = "default"
    user: str = ""
    """Who is logged in as; empty: root where that takes nothing that is placed in it, else who is configured."""
    timeout: float | None = None

    def plan(self, configured: BootPlan) -> BootPlan:
        """Return how it is booted: nothing of the run is placed in it, unless the image's own way in is asked for."""
        given = {**dict(configured.environment), **(self.environment or {})}
        return replace(
            configured,
            user=self.user or configured.user,
            untouched=not self.user,
            environment=tuple(given.items()),
            network=self.network,
            timeout=self.timeout or configured.timeout,
        )


class Throwaway:
    """One machine of a check's own."""

    def __init__(self, owner: Throwaways, name: str, image: Image, plan: BootPlan, booted: Booted) -> None:
        self._owner = owner
        self._plan = plan
        self._booted = booted
        self.name = name
        self.image = image
        self.host = Host(Backend(name))
        """testinfra's host: what runs on it is evidence as well."""

    @property
    def brought(self) -> tuple[str, ...]:
        """Return the public keys that were placed in it for the run."""
        return self._booted.brought

    @property
    def boot(self) -> Boot:
        """Return how it came up last."""
        return self._booted.boot

    @property
    def machine(self) -> Machine:
        """Return the way to it."""
        up = self._booted
        return reached(up.instance.address, self._plan, transport=up.transport)

    def snapshot(self, scope: Scope | None = None) -> Snapshot:
        """Return its state. Raises MachineLostError when it does not tell."""
        return self._owner.snapshot(self.host, scope)

    def reboot(self) -> Boot:
        """Reboot it and wait until it is ready again. Raises BootError when it does not come back by itself."""
        self._owner.hang_up(self.name)
        self._booted = self._owner.fleet.restart(self._booted, self.image, self._plan, self._owner.progress)
        return self.boot

    def destroy(self) -> None:
        """Remove it. Raises LeakError when it cannot be removed."""
        self._owner.hang_up(self.name)
        self._owner.fleet.destroy(self._booted.instance.id)


class Throwaways:
    """All throwaways of one process that runs checks."""

    def __init__(
        self,
        *,
        settings: Settings,
        fleet: Fleet,
        switchboard: Switchboard,
        rebakes: Rebakes,
        image: Callable[[str], Image],
        first_boot: Callable[[str], Boot | None],
        target: Callable[[str], Target],
        progress: Progress,
    ) -> None:
        self.settings = settings
        self.fleet = fleet
        self.progress = progress
        self.image = image
        self.first_boot = first_boot
        """How the instance under test itself came up."""
        self.target = target
        self._rebakes = rebakes
        self._switchboard = switchboard
        self._numbers = itertools.count(2)
        self._up: dict[str, Throwaway] = {}
        self._shared: dict[tuple[str, str], Any] = {}
        self._errands = Errands(switchboard.recorder)
        self._known: set[str] = set()
        """The names of all there ever were."""
        self._booting: dict[str, str] = {}
        """Which image each of those is of that come up just now, by how their names end."""

    def boot(self, name: str, *wishes: Wish) -> tuple[Throwaway, ...]:
        """Boot several at once. Raises the first error, once all have come up or failed; then none is left.

        Whatever keeps this thread from waiting, such as an interrupt, breaks them all off.
        """
        wished = {f"-{wish.label}-{next(self._numbers)}": wish for wish in wishes}
        attempts = list[Future[Throwaway]]()
        with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE) as pool:
            try:
                attempts += (pool.submit(self._boot, name, wish, suffix) for suffix, wish in wished.items())
                wait(attempts)
            except BaseException:
                with interrupts.held(), suppress(LeakError):  # the fleet says at its end what is still there
                    broken_off(attempts, lambda: self.fleet.break_off(wished))
                    self.destroy(self._took(attempts))
                raise
        made = self._took(attempts)
        for attempt in attempts:
            if attempt.exception() is not None:
                self.destroy(made)
                attempt.result()
        return made

    def _took(self, attempts: Iterable[Future[Throwaway]]) -> tuple[Throwaway, ...]:
        """Return what came up, and is there from now on."""
        made = [one.result() for one in attempts if not one.cancelled() and one.exception() is None]
        self._up |= {one.name: one for one in made}
        self._known |= {one.name for one in made}
        return tuple(made)

    def _boot(self, name: str, wish: Wish, suffix: str) -> Throwaway:
        self._booting[suffix] = name
        try:
            return self._come_up(name, wish, suffix)
        finally:
            self._booting.pop(suffix, None)

    def _come_up(self, name: str, wish: Wish, suffix: str) -> Throwaway:
        image = replace(wish.image or self.image(name), name=name)
        plan = wish.plan(self.target(name).plan)
        if wish.rest:
            booted = self.fleet.rest(image, plan, suffix)
        elif wish.clone:
            booted = self.fleet.clone(image, plan, self.progress, suffix)
        else:
            booted = self.fleet.boot(image, plan, self.progress, suffix)
        return Throwaway(self, f"{name}+{suffix[1:]}", image, plan, booted)

    def has(self, name: str) -> bool:
        """Say whether a name is one of theirs."""
        return name in self._known

    def machine(self, name: str) -> Machine:
        """Return the way to a throwaway. Raises MachineLostError when there is none of that name."""
        if name not in self._up:
            raise MachineLostError(f"there is no {name!r} any more")
        return self._up[name].machine

    def hang_up(self, name: str) -> None:
        """Close the connection to one machine."""
        self._switchboard.hang_up(name)

    def destroy(self, doomed: Iterable[Throwaway]) -> None:
        """Remove some. Raises the first LeakError once all were tried."""
        with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE) as pool:
            attempts = [pool.submit(one.destroy) for one in doomed if self._up.pop(one.name, None)]
        for attempt in attempts:
            attempt.result()

    def shared(self, name: str, key: str, make: Callable[[], Made]) -> Made:
        """Return what several checks of an image use, made by the first; what it raised is raised again."""
        if (name, key) not in self._shared:
            try:
                ahead = self._errands.knows((name, key))
                self._shared[name, key] = self._errands.fetch((name, key)) if ahead else make()
            except ImagetestError as error:
                self._shared[name, key] = error
        found = self._shared[name, key]
        if isinstance(found, ImagetestError):
            raise found
        kept: Made = found
        return kept

    def ahead(self, name: str, key: str, make: Callable[[], object]) -> None:
        """Begin to make what a check to come will ask `shared` for, while the running one waits for something."""
        if (name, key) not in self._shared:
            self._errands.begin((name, key), make)

    def dismiss(self, name: str) -> None:
        """Remove what an image's checks booted and baked, once the last of them has run. Raises LeakError."""
        self._errands.end(lambda: self._abandon(name))
        self._shared = {key: value for key, value in self._shared.items() if key[0] != name}
        self.destroy([one for one in self._up.values() if one.name.partition("+")[0] == name])
        self._rebakes.discard(name)

    def close(self) -> list[LeakError]:
        """Break off what comes up, and forget all; the fleet removes what is still up.

        Return what could not be removed.
        """
        self._errands.end(self._abandon)
        self._shared, self._up = {}, {}
        return self._rebakes.close()

    def _abandon(self, name: str = "") -> None:
        """End what comes up of one image, or of all, for checks that will not run; and what is up, which they ask."""
        self.fleet.break_off([one for one, of in list(self._booting.items()) if of == name] if name else [""])
        with suppress(LeakError):  # the fleet says at its end what is still there
            self.destroy([one for one in list(self._up.values()) if name in {"", one.name.partition("+")[0]}])

    def snapshot(self, host: Host, scope: Scope | None = None) -> Snapshot:
        """Return the state of any machine of this run."""
        name = host.backend.get_hostname()
        wanted = scope or self.settings.scope
        if name in self._up:
            wanted = replace(wanted, brought=(*wanted.brought, *self._up[name].brought))
        shell = self._switchboard.line(name).shell()
        try:
            return take(shell, wiring.collectors(), subject=name, scope=wanted)
        finally:
            shell.close()

    def side_by_side(self, *hosts: Host, scope: Scope | None = None) -> tuple[Snapshot, ...]:
        """Return the states of several machines, asked at the same time."""
        with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE) as pool:
            try:
                return tuple(pool.map(lambda host: self.snapshot(host, scope), hosts))
            except BaseException:
                for host in hosts:
                    self.hang_up(host.backend.get_hostname())  # nobody waits for what is asked there
                raise

    def drift(self, left: Snapshot, right: Snapshot, allow: Iterable[Allowance] = ()) -> Drift:
        """Return what differs between two states; nothing fails, and it is no evidence."""
        return judge.compare(left, right, allow, now=datetime.now(UTC))

    def remember(self, *boots: Boot) -> None:
        """Have some boots stand in the evidence of the running check."""
        for boot in boots:
            self._switchboard.recorder.booted(boot)

    def compare(
        self, left: Snapshot, right: Snapshot, allow: Iterable[Allowance] = (), *, at_most: int = 0, what: str = ""
    ) -> Drift:
        """Hold two states against each other: what differs fails the check, what could not be read ends it unreviewed.

        `at_most` facts may differ without anybody's leave; `what` begins the message.
        """
        drift = self.drift(left, right, allow)
        self._switchboard.recorder.compared(drift)
        said = [words(one) for one in drift.differences if one.allowance is None]
        if drift.unexplained > at_most:
            pytest.fail("\n".join([what, *said] if what else said), pytrace=False)
        unread = dict.fromkeys(unread_words(one, "it") for one in drift.unread if one.allowance is None)
        if unread:
            pytest.skip(f"not all could be compared: {'; '.join(unread)}")
        return drift

    def rebake(self, name: str, *, on: Image | None = None) -> Image:
        """Bake an image under test once more, or run its provisioners again `on` a finished image.

        Packer's time stands in the evidence. Raises ConfigError where its template cannot be baked so, and BakeError.
        """
        target = self.target(name)
        started, clock = time.time(), time.monotonic()
        answer = Answer(exit_code=0, stdout=b"", stderr=b"")
        try:
            return self._rebakes.bake(target.order, target.source, name=name, on=on)
        except ImagetestError as error:
            answer = Answer(exit_code=1, stdout=b"", stderr=str(error).encode())
            raise
        finally:
            what = "the provisioners again on the finished image" if on else "the whole template once more"
            self._switchboard.recorder.record(
                f"packer build: {what}", answer, started=started, seconds=time.monotonic() - clock, machine="packer"
            )  # fmt: skip


class Factory:
    """What the fixture `throwaway` gives: call it for one machine more."""

    def __init__(self, owner: Throwaways, name: str) -> None:
        self._made: list[Throwaway] = []
        self.owner = owner
        self.name = name

    def __call__(self, **wish: Any) -> Throwaway:
        """Boot one more instance, which is gone when the test is over. Raises BootError."""
        return self.together(Wish(**wish))[0]

    def together(self, *wishes: Wish) -> tuple[Throwaway, ...]:
        """Boot several side by side. Raises BootError."""
        made = self.owner.boot(self.name, *wishes)
        self._made += made
        self.owner.remember(*(one.boot for one in made))
        return made

    def shared(self, key: str, make: Callable[[Factory], Made]) -> Made:
        """Return what several tests use; machines that `make` boots live until the image's last test has run."""
        return self.owner.shared(self.name, key, lambda: make(Factory(self.owner, self.name)))

    def ahead(self, key: str, make: Callable[[Factory], object]) -> None:
        """Begin to make what a check to come will ask `shared` for."""
        self.owner.ahead(self.name, key, lambda: make(Factory(self.owner, self.name)))

    @contextmanager
    def lent(self) -> Iterator[Factory]:
        """Remove in the end whatever was booted by it."""
        try:
            yield self
        finally:
            self.owner.destroy(self._made)


def factory(host: Host, config: pytest.Config) -> Factory:
    """Return the factory of a host's image; a live host has none, and its test is not reviewed."""
    backend = host.backend
    owner = config.stash.get(THROWAWAYS, None)
    if owner is None or not isinstance(backend, Backend) or "+" in backend.get_hostname():
        pytest.skip("only of an image a throwaway can be booted: run with --image")
    return Factory(owner(), backend.get_hostname())
