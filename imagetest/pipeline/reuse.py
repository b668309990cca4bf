"""Instances that outlive their run, so that the next one of the same image need not boot: quick, and no proof."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from imagetest.errors import InfrastructureError, LeakError
from imagetest.execute.interrupts import interrupts
from imagetest.execute.leases import Lease, Leases, Standing
from imagetest.model.image import Image
from imagetest.model.plan import BootPlan
from imagetest.pipeline.boot import Fleet
from imagetest.ports import Booted, Driver, Event, Progress, Reattaching

UNUSED = timedelta(hours=8)
"""How long an instance waits for the next run before it is removed."""


class Reuse:
    """Takes over what an earlier run left up, and leaves up what this one has."""

    def __init__(self, *, run: str, fleet: Fleet, leases: Leases, drivers: Callable[[str], Driver]) -> None:
        self._run = run
        self._fleet = fleet
        self._leases = leases
        self._drivers = drivers

    def boot(self, image: Image, plan: BootPlan, progress: Progress) -> Booted:
        """Return the instance that an earlier run left of the same image and plan, or boot one.

        What was left of another, or does not answer, is removed. Raises BootError, and LeakError when it cannot be.
        """
        driver = self._drivers(image.kind if plan.driver == "auto" else plan.driver)
        if not isinstance(driver, Reattaching):
            text = f"the driver {driver.name!r} cannot reach an instance of an earlier run: it boots afresh each time"
            progress(Event(subject=image.name, text=text))
            return self._fleet.boot(image, plan, progress)
        found: Booted | None = None
        for lease, standing in self._claim(image):
            reason = "another one was taken over" if found else _unfit(standing, image, plan)
            if not reason:
                try:
                    found = self._attach(driver, standing, image, plan)
                except LeakError:
                    raise
                except InfrastructureError as error:
                    reason = str(error)
            if reason:
                self._fleet.destroy(lease.resource)
            text = f"removed {lease.resource}, left by run {standing.run}: {reason}" if reason else (
                f"taken over from run {standing.run}, not booted"
            )  # fmt: skip
            progress(Event(subject=image.name, text=text))
        return found or self._fleet.boot(image, plan, progress)

    def leave(self, booted: Booted, image: Image, plan: BootPlan) -> bool:
        """Leave an instance up for the next run; say whether, for then it is this run's no more."""
        resource, boot = booted.instance.id, booted.boot
        if not isinstance(self._drivers(boot.driver), Reattaching):
            return False
        standing = Standing(
            run=boot.taken_over_from or self._run, digest=image.digest, plan=plan, instance=booted.instance, boot=boot,
            until=datetime.now(UTC) + UNUSED,
        )  # fmt: skip
        return self._fleet.lend(resource, standing)

    def _claim(self, image: Image) -> list[tuple[Lease, Standing]]:
        now = datetime.now(UTC)
        with interrupts.held():
            claimed = self._leases.claim(lambda lease, standing: lease.image == image.name and standing.until > now)
            for lease in claimed:
                self._fleet.adopt(lease)
        return [(lease, lease.standing) for lease in claimed if lease.standing is not None]

    def _attach(self, driver: Reattaching, standing: Standing, image: Image, plan: BootPlan) -> Booted:
        boot = replace(standing.boot, taken_over_from=standing.run)
        return self._fleet.attach(
            standing.instance.id,
            lambda access: driver.attach(standing.instance, boot, image=image, plan=plan, access=access),
        )


def _unfit(standing: Standing, image: Image, plan: BootPlan) -> str:
    if standing.digest != image.digest:
        return "the image is another one now"
    return "" if standing.plan == plan else "it is to be booted in another way now"
