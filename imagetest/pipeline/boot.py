"""Boot instances so that none is ever lost: a lease before it is made, its removal whatever happens."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from imagetest.errors import ImagetestError, LeakError, StorageError
from imagetest.execute import keys
from imagetest.execute.interrupts import interrupts
from imagetest.execute.leases import Leases
from imagetest.model.image import Image
from imagetest.model.plan import BootPlan
from imagetest.ports import Access, Booted, Driver, Progress


class Fleet:
    """The instances of one run."""

    def __init__(self, *, run: str, leases: Leases, folder: Path, drivers: Callable[[str], Driver]) -> None:
        self._run = run
        self._leases = leases
        self._folder = folder
        self._drivers = drivers
        self._up: dict[str, tuple[Driver, Booted | None]] = {}
        self._accesses: dict[str, Access] = {}

    def boot(self, image: Image, plan: BootPlan, progress: Progress, suffix: str = "") -> Booted:
        """Boot an image as it ships; `suffix` tells further instances of one image from the first.

        Raises BootError, after removing what was made.
        """
        return self._start(
            image, plan.driver, suffix, lambda driver, resource, access: driver.boot(
                image, plan, resource=resource, access=access, progress=progress
            )
        )  # fmt: skip

    def rest(self, image: Image, plan: BootPlan, suffix: str = "") -> Booted:
        """Open an image as it is before its first boot."""
        return self._start(
            image, plan.driver, "-rest" + suffix,
            lambda driver, resource, access: driver.rest(image, resource=resource, access=access),
        )  # fmt: skip

    def restart(self, booted: Booted, image: Image, plan: BootPlan, progress: Progress) -> Booted:
        """Reboot an instance; `booted` is of no more use then. Raises BootError when it does not come back."""
        resource = booted.instance.id
        driver, _ = self._up[resource]
        self._up[resource] = (driver, None)  # whatever happens: its connections are closed
        up = driver.restart(booted, image, plan, access=self._accesses[resource], progress=progress)
        self._up[resource] = (driver, up)
        return up

    def destroy(self, resource: str) -> None:
        """Remove an instance and everything that was made for it. Raises LeakError when it cannot be removed."""
        with interrupts.held():
            if resource not in self._up:
                return
            driver, booted = self._up[resource]
            if booted is not None:
                if booted.transport is not None:
                    booted.transport.close()
                booted.close()
            driver.destroy(resource)
            self._leases.release(resource)
            shutil.rmtree(self._folder / resource, ignore_errors=True)
            self._up.pop(resource, None)
            self._accesses.pop(resource, None)

    def destroy_all(self, resources: Sequence[str]) -> None:
        """Remove several instances side by side. Raises the first LeakError once all were tried."""
        with interrupts.held(), ThreadPoolExecutor(max_workers=max(1, len(resources))) as pool:
            attempts = [pool.submit(self.destroy, resource) for resource in resources]
        for attempt in attempts:
            attempt.result()

    def keep(self, resource: str) -> None:
        """Leave an instance up on purpose, with the keys to get in."""
        with interrupts.held():
            _, booted = self._up.pop(resource)
            self._leases.keep(resource)
            if booted is not None:
                booted.close()

    def close(self) -> list[LeakError]:
        """Remove whatever is still up, and return what could not be."""
        leaks = []
        with interrupts.held():
            for resource in list(self._up):
                try:
                    self.destroy(resource)
                except LeakError as error:
                    leaks.append(error)
                    self._up.pop(resource, None)
        return leaks

    def last_words(self, resource: str) -> str:
        """Return what the machine logged last."""
        driver, _ = self._up[resource]
        return driver.last_words(resource)

    def _start(
        self, image: Image, driver_name: str, suffix: str, start: Callable[[Driver, str, Access], Booted]
    ) -> Booted:
        driver = self._drivers(driver_name)
        resource = f"imagetest-{self._run}-{image.name}{suffix}"
        with interrupts.held():
            self._leases.take(driver.name, resource, image.name)
            self._up[resource] = (driver, None)
        try:
            access = self._accesses[resource] = self._access(resource)
            booted = replace(start(driver, resource, access), brought=(access.user.public,))
        except BaseException as error:
            self._abandon(resource, error)
            raise
        self._up[resource] = (driver, booted)
        return booted

    def _abandon(self, resource: str, error: BaseException) -> None:
        try:
            self.destroy(resource)
        except LeakError as leak:
            if isinstance(error, ImagetestError):
                raise leak from error
            raise

    def _access(self, resource: str) -> Access:
        folder = self._folder / resource
        try:
            folder.mkdir(parents=True, mode=0o700, exist_ok=True)
            host, user = keys.generate(), keys.generate()
            host.write(folder / "host")
            (folder / "known_hosts").write_text(f"imagetest {host.public}\n")
            return Access(host=host, user=user, key_file=user.write(folder / "id"))
        except OSError as error:
            raise StorageError(f"cannot write the run's keys into {folder}: {error.strerror}") from error
