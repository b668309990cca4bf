"""The images and instances of one run: identified or baked once, booted when their first test comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from imagetest.config import wiring
from imagetest.config.settings import Settings
from imagetest.config.targets import Target
from imagetest.errors import ImagetestError, LeakError, MachineLostError
from imagetest.execute.interrupts import interrupts
from imagetest.execute.leases import Leases
from imagetest.model.control import Profile
from imagetest.model.plan import BootPlan
from imagetest.pipeline.bake import Kitchen
from imagetest.pipeline.boot import Fleet
from imagetest.pipeline.rebake import Rebakes
from imagetest.pipeline.reuse import Reuse
from imagetest.pipeline.verify import Verification
from imagetest.ports import Booted, Driver, Progress
from imagetest.pytest_plugin.errands import broken_off
from imagetest.pytest_plugin.handover import Handover, Handovers
from imagetest.pytest_plugin.throwaways import Throwaways
from imagetest.transport.backend import REST, Switchboard
from imagetest.transport.line import Line, Machine, reached
from imagetest.transport.shell import Shell

AT_ONCE = 4
"""Images that are booted side by side for the workers of pytest-xdist, which run their tests side by side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """What came up of one image."""

    booted: Booted
    rest: Booted | None
    """The image at rest, where somebody asks for it and it could be opened."""
    seconds: float


class Machines:
    """Keeps one verification for each image that there is, and a reason for each that there is not."""

    def __init__(
        self,
        targets: tuple[Target, ...],
        *,
        settings: Settings,
        run: str,
        folder: Path,
        reports: Path,
        progress: Progress,
        rebake: bool,
        reuse: bool = False,
    ) -> None:
        self.targets = {target.name: target for target in targets}
        self.verifications: dict[str, Verification] = {}
        self.not_judged: dict[str, ImagetestError] = {}
        self.secrets: set[str] = set()
        self.folder = folder
        self._own: Throwaways | None = None
        self._settings = settings
        self._reports = reports
        self._progress = progress
        self._drivers: dict[str, Driver] = {}
        self._leases: Leases = wiring.leases(settings)
        self.fleet = Fleet(run=run, leases=self._leases, folder=settings.state / "keys", drivers=self.driver)
        again = Reuse(run=run, fleet=self.fleet, leases=self._leases, drivers=self.driver)
        self._reuse = again if reuse else None
        self._kitchen = Kitchen(
            builder=wiring.builder,
            driver=self.driver,
            leases=self._leases,
            state=settings.state,
            folder=reports,
            progress=progress,
            rebake=rebake,
        )
        self._booted: dict[str, Booted] = {}
        self._shells: dict[str, Shell] = {}
        self._ahead = ThreadPoolExecutor(max_workers=1, thread_name_prefix="boot-ahead")
        self._coming: dict[str, Future[Up]] = {}

    def driver(self, name: str) -> Driver:
        """Return a driver, one and the same each time."""
        if name not in self._drivers:
            self._drivers[name] = wiring.driver(name)
        return self._drivers[name]

    def prepare(self, profiles: dict[str, Profile]) -> None:
        """Find or bake every image; one that cannot be had is noted and the others go on."""
        orders: dict[str, list[Target]] = {}
        for target in self.targets.values():
            if target.order is None:
                with self.judging(target.name):
                    image = self.driver(target.plan.driver).identify(target.reference, name=target.name)
                    self.verifications[target.name] = Verification(image=image, profile=profiles[target.name])
            else:
                orders.setdefault(target.order.name, []).append(target)
        for targets in orders.values():
            self._bake(targets, profiles)

    def _bake(self, targets: list[Target], profiles: dict[str, Profile]) -> None:
        clock, order = time.monotonic(), targets[0].order
        assert order is not None  # noqa: S101 - such targets are grouped by their orders
        try:
            order = replace(order, sources=tuple(dict.fromkeys(target.source for target in targets)))
            baked = self._kitchen.bake(order)
        except ImagetestError as error:
            for target in targets:
                self.not_judged[target.name] = error
            return
        self.secrets |= set(baked.secrets)
        for target in targets:
            with self.judging(target.name):
                image, bake = baked.images[target.source]
                self.verifications[target.name] = Verification(
                    image=replace(image, name=target.name), bake=bake, profile=profiles[target.name]
                )
                self.verifications[target.name].seconds["bake"] = time.monotonic() - clock

    def throwaways(self, switchboard: Switchboard) -> Throwaways:
        """Return what the checks of this process boot machines of their own with."""
        self._own = Throwaways(
            settings=self._settings, fleet=self.fleet, switchboard=switchboard, progress=self._progress,
            image=lambda name: self.verifications[name].image,
            first_boot=lambda name: self.verifications[name].boot, target=self.targets.__getitem__,
            rebakes=Rebakes(
                builder=wiring.builder, driver=self.driver, leases=self._leases, folder=self._reports,
                progress=self._progress, secrets=lambda: tuple(self.secrets),
            ),
        )  # fmt: skip
        return self._own

    def boot(self, name: str, *, rest: bool = False) -> bool:
        """Boot an image unless it is up; say whether it is there to be tested.

        With `rest`, it is opened at rest as well, in the time that the boot spends waiting.
        """
        if name in self._booted:
            return name not in self.not_judged
        if name in self.not_judged or name not in self.verifications:
            return False
        with self.judging(name):
            coming = self._coming.get(name)
            up = coming.result() if coming is not None else self._come_up(name, rest=rest)
            self._coming.pop(name, None)
            self._booted[name] = up.booted
            if up.rest is not None:
                self._booted[name + REST] = up.rest
            self.verifications[name].boot = up.booted.boot
            self.verifications[name].seconds["boot"] = up.seconds
        return name in self._booted

    def boot_ahead(self, name: str, *, rest: bool = False) -> None:
        """Begin to boot an image whose tests come next, while those of another run; `boot` waits for it.

        What becomes of it is heard there, and by nobody when the run ends before.
        """
        if name not in self._booted and name not in self._coming and name in self.verifications:
            self._coming[name] = self._ahead.submit(self._come_up, name, rest=rest)

    def _come_up(self, name: str, *, rest: bool) -> Up:
        image, plan, clock = self.verifications[name].image, self.targets[name].plan, time.monotonic()
        opened: Booted | None = None
        with ThreadPoolExecutor(max_workers=1) as pool:
            resting = pool.submit(self.fleet.rest, image, plan) if rest else None
            try:
                booted = (self._reuse or self.fleet).boot(image, plan, self._progress)
            except BaseException:
                doomed = [self.fleet.called(image, "-rest")]
                broken_off([resting] if resting is not None else [], lambda: self.fleet.break_off(doomed))
                raise
            with suppress(ImagetestError):  # the checks that ask for it hear why, and no others
                opened = resting.result() if resting is not None else None
        return Up(booted=booted, rest=opened, seconds=time.monotonic() - clock)

    def boot_all(self) -> None:
        """Boot every image, and tell the workers where they answer."""
        boots = list[Future[bool]]()
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            try:
                boots += (pool.submit(self.boot, name) for name in [*self.verifications])
                wait(boots)
            except BaseException:
                broken_off(boots, self.fleet.break_off)
                raise
        for boot in boots:
            boot.result()
        Handovers(
            machines={
                name: Handover(
                    image=self.verifications[name].image,
                    plan=self.targets[name].plan,
                    address=booted.instance.address,
                    boot=booted.boot,
                )
                for name, booted in self._booted.items()
            },
            secrets=tuple(self.secrets),
        ).write(self.folder)

    def machine(self, name: str) -> Machine:
        """Return the machine behind a host's name; the image at rest is opened when it is first asked for."""
        image, plan = name.removesuffix(REST), self.targets[name.removesuffix(REST)].plan
        if image not in self._booted:
            raise MachineLostError(f"no instance of {image!r} was booted")
        up = self._booted[image]
        if name.endswith(REST) and name in self._booted:
            up = self._booted[name]
        elif name.endswith(REST):
            up = self.fleet.rest(self.verifications[image].image, plan)
            self._booted[name] = up
        return reached(up.instance.address, plan, transport=up.transport, remember=not up.boot.taken_over_from)

    def shell(self, name: str) -> Shell:
        """Return a shell on an instance that is not recorded: what imagetest itself asks is no evidence of a check."""
        if name not in self._shells:
            self._shells[name] = _shell(self._booted[name], self.targets[name].plan)
        return self._shells[name]

    def brought(self, name: str) -> tuple[str, ...]:
        """Return the public keys that were placed in an instance for this run."""
        return self._booted[name].brought

    @contextmanager
    def another(self, name: str, suffix: str) -> Iterator[Callable[[], Shell]]:
        """Boot one more instance of an image for as long as the context lasts, and give a shell on it."""
        booted = self.fleet.boot(self.verifications[name].image, self.targets[name].plan, self._progress, suffix)
        try:
            shell = _shell(booted, self.targets[name].plan)
            yield lambda: shell
        finally:
            self.fleet.destroy(booted.instance.id)

    def lost(self, name: str, message: str) -> None:
        """Note that a machine stopped answering, with what it said last."""
        if name in self.not_judged:
            return
        with self.judging(name):
            words = self.fleet.last_words(self._booted[name].instance.id) if name in self._booted else ""
            message = f"{message}; {words}" if words else message
            self.verifications[name].errors.append(message)
            raise MachineLostError(message, hint="did a check stop it, or did its command end?")

    def dismiss(self, name: str, *, keep: bool) -> Booted | None:
        """Remove an image's instances, or keep the booted one and return it."""
        self._shells.pop(name, None)
        rest, up = self._booted.pop(name + REST, None), self._booted.pop(name, None)
        kept = None
        if up is not None and keep:
            with self.judging(name):
                self.fleet.keep(up.instance.id)
                kept = up
            up = None
        if up is not None and self._is_left(name, up):
            up = None
        doomed = [one.instance.id for one in (rest, up) if one is not None]
        with self.judging(name):
            self.fleet.destroy_all(doomed)
        return kept

    def _is_left(self, name: str, up: Booted) -> bool:
        """Leave an instance to the next run where that is wanted, and nothing speaks against it; say whether."""
        left = False
        if self._reuse is not None and name not in self.not_judged and not interrupts.came:
            with self.judging(name):
                left = self._reuse.leave(up, self.verifications[name].image, self.targets[name].plan)
        return left

    def close(self) -> list[LeakError]:
        """Remove whatever is still there, let go of the drivers, and return what could not be removed."""
        self.fleet.break_off()
        broken_off(self._coming.values(), self.fleet.break_off)
        self._ahead.shutdown()
        leaks = self._own.close() if self._own is not None else []
        leaks += self.fleet.close()
        for driver in self._drivers.values():
            try:
                driver.close()
            except LeakError as leak:
                leaks.append(leak)
        return leaks

    def up(self) -> list[str]:
        """Return the names of the images that are booted."""
        return [name for name in list(self._booted) if not name.endswith(REST)]

    @contextmanager
    def judging(self, name: str) -> Iterator[None]:
        """Note what keeps an image from being judged instead of stopping the others."""
        try:
            yield
        except ImagetestError as error:
            self.not_judged.setdefault(name, error)
            if name in self.verifications:
                self.verifications[name].errors.append(str(error))


def _shell(booted: Booted, plan: BootPlan) -> Shell:
    return Line(
        booted.instance.name, lambda _: reached(booted.instance.address, plan, transport=booted.transport)
    ).shell()
